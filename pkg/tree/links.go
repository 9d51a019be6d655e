package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// Links are what makes blobs and manifests a repository's own. The blobs have to
// be in the tree.
type Links struct {
	Repository string
	Layers     []digest.Digest // blobs: configs and layers alike
	Revisions  []digest.Digest // manifests, children before parents
	Tag        string          // that names the last of them; empty for none
	Updated    time.Time       // when the manifests were pushed; zero: now
}

// LinkLayer makes a blob a repository's own, and tells how many links that took.
func (t *Tree) LinkLayer(repository string, layers ...digest.Digest) (made int, err error) {
	return t.Link(Links{Repository: repository, Layers: layers})
}

// Link makes blobs and manifests a repository's own, and a tag name the last of
// the manifests: in this order, so that whenever it is interrupted, nothing is
// named that is not all there. It tells how many links that took; those that are
// there are left. Where one of them says something else, the error is a
// WrongLinkError or, for a tag, wraps ErrTagTaken, and nothing was done.
func (t *Tree) Link(l Links) (made int, err error) {
	made, err = t.makeLinks(l)
	if err != nil {
		return made, fmt.Errorf("linking in %s: %w", report.Name(l.Repository, l.Tag, ""), err)
	}
	return made, nil
}

// linkFile is a link to be made.
type linkFile struct {
	name    string
	digest  digest.Digest
	updated time.Time
	staged  *staged
}

func (t *Tree) makeLinks(l Links) (made int, err error) {
	if err := l.check(); err != nil {
		return 0, err
	}
	missing, err := t.missing(l)
	if err != nil {
		return 0, err
	}
	defer func() {
		for _, f := range missing {
			if f.staged != nil {
				f.staged.remove()
			}
		}
	}()
	if err := t.stageLinks(missing); err != nil {
		return 0, err
	}
	for _, f := range missing {
		ok, err := f.staged.publish(f.name)
		if err != nil {
			return made, err
		}
		if ok {
			made++
			continue
		}
		// Somebody was quicker: another image, or the registry itself.
		if ok, err = t.isLinked(l, f); err != nil {
			return made, err
		}
		if !ok {
			return made, &fs.PathError{Op: "rename", Path: t.path(f.name), Err: fs.ErrExist}
		}
	}
	return made, nil
}

// check refuses names that no registry has: paths are made of them.
func (l Links) check() error {
	switch {
	case !storage.ValidRepository(l.Repository):
		return fmt.Errorf("%q is no name of a repository", l.Repository)
	case l.Tag != "" && !storage.ValidTag(l.Tag):
		return fmt.Errorf("%q is no tag", l.Tag)
	case l.Tag != "" && len(l.Revisions) == 0:
		return errors.New("a tag of no manifest")
	}
	for _, list := range [][]digest.Digest{l.Layers, l.Revisions} {
		for _, d := range list {
			if err := d.Validate(); err != nil {
				return fmt.Errorf("digest %q: %w", d, err)
			}
		}
	}
	return nil
}

// files are all links, in the order in which they have to appear.
func (l Links) files() (files []*linkFile) {
	for _, d := range l.Layers {
		files = append(files, &linkFile{name: storage.LayerLinkPath(l.Repository, d), digest: d})
	}
	for _, d := range l.Revisions {
		files = append(files, &linkFile{name: storage.RevisionLinkPath(l.Repository, d), digest: d, updated: l.Updated})
	}
	if l.Tag != "" {
		d := l.Revisions[len(l.Revisions)-1]
		files = append(files, &linkFile{name: storage.TagIndexLinkPath(l.Repository, l.Tag, d), digest: d, updated: l.Updated},
			&linkFile{name: storage.TagLinkPath(l.Repository, l.Tag), digest: d, updated: l.Updated})
	}
	return files
}

// missing are the links that are not there, each once. Of a tag that is taken
// nothing is to be made, not even its history.
func (t *Tree) missing(l Links) (missing []*linkFile, err error) {
	if l.Tag != "" {
		if err := t.TagFree(l.Repository, l.Tag, l.Revisions[len(l.Revisions)-1]); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	for _, f := range l.files() {
		if seen[f.name] {
			continue
		}
		seen[f.name] = true
		there, err := t.isLinked(l, f)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, f)
		}
	}
	return missing, nil
}

// TagFree refuses, wrapping ErrTagTaken, a tag that is there and names something
// other than a digest. A tag is the administrator's word on what is current, and
// nothing says which of two is newer.
func (t *Tree) TagFree(repository, tag string, d digest.Digest) error {
	l := Links{Repository: repository, Tag: tag, Revisions: []digest.Digest{d}}
	if err := l.check(); err != nil {
		return err
	}
	content, err := t.readLink(storage.TagLinkPath(repository, tag))
	if errors.Is(err, fs.ErrNotExist) || (err == nil && content == d.String()) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w: %q", ErrTagTaken, content)
	}
	return report.WithHint(err, "delete the tag there first, or map the repository elsewhere with --rewrite")
}

// isLinked tells whether a link is there, and names what it should.
func (t *Tree) isLinked(l Links, f *linkFile) (bool, error) {
	content, err := t.readLink(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case content == f.digest.String() || t.isAlias(f, content):
		return true, nil
	case f.name == storage.TagLinkPath(l.Repository, l.Tag):
		return false, fmt.Errorf("%w: %q", ErrTagTaken, content)
	}
	wrong := &WrongLinkError{Repository: l.Repository, Digest: f.digest, Path: f.name, Content: content}
	t.find(wrong.finding())
	return false, wrong
}

// isAlias tells of a link to a blob that was pushed under another algorithm than
// sha256: registries keep it under its sha256, and have the link say so.
func (t *Tree) isAlias(f *linkFile, content string) bool {
	if !mayBeAlias(f.digest, content) {
		return false
	}
	info, err := t.root.Stat(storage.BlobPath(digest.Digest(content)))
	return err == nil && info.Mode().IsRegular()
}

// mayBeAlias tells whether a link to a blob may hold another digest than the
// blob's own.
func mayBeAlias(d digest.Digest, content string) bool {
	alias, err := digest.Parse(content)
	return err == nil && d.Algorithm() != digest.Canonical && alias.Algorithm() == digest.Canonical
}

// maxLink bounds what is read of a link that is there, bytes: more than any digest.
const maxLink = 200

// readLink reads a link as a registry does, which takes no blanks around a digest.
func (t *Tree) readLink(name string) (string, error) {
	info, err := t.root.Stat(name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			err = t.outside(name, err)
		}
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is in the way and no regular file", t.path(name))
	}
	return held(t.root.OpenFile(name, readOnly, 0))
}

// readOnly opens a file that might have become a FIFO, without waiting for a writer.
const readOnly = os.O_RDONLY | syscall.O_NONBLOCK

// held is what a link that was just opened holds; it closes it.
func held(f *os.File, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxLink))
	return string(content), err
}

// linkJobs is how many links are brought to the disk side by side: it takes them
// hardly longer than one.
const linkJobs = 16

// stageLinks writes links, to have them on the disk before one of them has its
// name: what a crash leaves of one that is not is an empty file.
func (t *Tree) stageLinks(files []*linkFile) error {
	var g errgroup.Group
	g.SetLimit(linkJobs)
	for _, f := range files {
		g.Go(func() (err error) {
			if f.staged, err = t.stage(path.Base(f.name)); err != nil {
				return err
			}
			return t.writeLink(f)
		})
	}
	return g.Wait()
}

func (t *Tree) writeLink(f *linkFile) error {
	out, err := os.OpenFile(f.staged.file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = out.WriteString(f.digest.String())
	if err == nil {
		err = t.owner.giveFile(f.staged.file)
	}
	if err == nil && !f.updated.IsZero() {
		err = os.Chtimes(f.staged.file, f.updated, f.updated)
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
