package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Forecast is what placing blobs would do, in bytes.
type Forecast struct {
	There  int64 // of blobs that are there
	Linked int64
	Copied int64
	Why    string // the first reason why a blob would not be hard-linked; empty where there is none
	// Refused says why nothing can be put there at all, by this user or by anybody.
	Refused string
	// Interrupted tells of the work directory of a run that was interrupted, or that
	// is at work: Open clears it up.
	Interrupted bool
	// Findings is what is wrong with the tree: none of these blobs can be placed.
	Findings []report.Finding
}

// Foresee says what placing blobs of these sizes, in bytes, would do, each once, to
// the tree of a registry, which may be missing below a directory that is there. It
// writes nothing: whether files can be linked it tells by mounts and modes, and not
// by trying.
func Foresee(dir string, blobs iter.Seq2[digest.Digest, int64], opts *Options) (*Forecast, error) {
	f, err := foresee(dir, blobs, opts)
	if err != nil {
		return nil, fmt.Errorf("looking into storage %s: %w", dir, err)
	}
	return f, nil
}

func foresee(dir string, blobs iter.Seq2[digest.Digest, int64], opts *Options) (*Forecast, error) {
	v2, err := locate(dir, false)
	if err != nil {
		return nil, err
	}
	t := &Tree{dir: v2, opts: *opts}
	if t.opts.Path == nil {
		t.opts.Path = storage.BlobPath
	}
	at := v2 // or what is there on the way to it
	for {
		if t.owner, err = ownerIn(at, ""); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		at = filepath.Dir(at)
	}
	if err != nil {
		return nil, err
	}
	if err := t.Use(opts.Source, opts.Path); err != nil {
		return nil, err
	}
	_, none := os.Lstat(t.path(workDir))
	f, seen := &Forecast{Interrupted: none == nil}, map[digest.Digest]bool{}
	if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
		f.Refused = (&fs.PathError{Op: "writing to", Path: at, Err: err}).Error()
	}
	for d, size := range blobs {
		if seen[d] {
			continue
		}
		seen[d] = true
		if err := t.foreseeBlob(f, at, d, size); err != nil {
			return nil, err
		}
	}
	report.SortFindings(f.Findings)
	return f, nil
}

func (t *Tree) foreseeBlob(f *Forecast, at string, d digest.Digest, size int64) error {
	name := storage.BlobPath(d)
	info, err := os.Stat(t.path(name))
	switch {
	case err == nil && info.Mode().IsRegular() && info.Size() == size:
		f.There += size
	case err == nil:
		wrong := &WrongSizeError{Digest: d, Path: name, Size: info.Size(), Want: size}
		f.Findings = append(f.Findings, wrong.finding())
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		why := t.whyNotLinked(d, at)
		if why == "" {
			f.Linked += size
			return nil
		}
		f.Copied += size
		if f.Why == "" {
			f.Why = why
		}
	}
	return nil
}

// whyNotLinked says why a blob cannot become a hard link in a directory.
func (t *Tree) whyNotLinked(d digest.Digest, at string) string {
	if t.opts.Link == link.Copy || t.opts.Link == link.Reflink {
		return fmt.Sprintf("--link=%s was asked for", t.opts.Link)
	}
	from, ok := "", false
	if t.local != nil {
		from, ok = t.local.LocalPath(t.opts.Path(d))
	}
	if !ok {
		return "the source is an archive, whose files have no names of their own"
	}
	info, err := os.Stat(from)
	switch {
	case err != nil:
		return err.Error()
	case !link.SameMount(from, at):
		return fmt.Sprintf("%s and %s are not on one mount of one file system", from, at)
	case !mayLink(from, info):
		return fmt.Sprintf("this user may not link to %s, which is another's: the kernel forbids it (fs.protected_hardlinks)", from)
	case !t.owner.reads(from, info):
		return fmt.Sprintf("user %d, whom the tree belongs to, could not read %s, which is %s", t.owner.uid, from, access(from, info))
	}
	return ""
}

// mayLink tells whether the kernel lets this process make a hard link to a file:
// with fs.protected_hardlinks, as proc(5) has it, root and the file's owner may, and
// whoever may read and write it.
func mayLink(path string, info fs.FileInfo) bool {
	uid, _ := ids(info)
	if euid := os.Geteuid(); euid == 0 || euid == uid || !linksProtected() {
		return true
	}
	return info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) == 0 && unix.Access(path, unix.R_OK|unix.W_OK) == nil
}

// linksProtected tells whether the kernel forbids some hard links. Where there is
// no such setting, it does not.
var linksProtected = sync.OnceValue(func() bool {
	content, err := os.ReadFile("/proc/sys/fs/protected_hardlinks")
	return err == nil && strings.TrimSpace(string(content)) != "0"
})
