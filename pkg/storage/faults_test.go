package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

// faulty is a source that fails, and counts what is opened.
type faulty struct {
	source.Source
	// fail gives the error of an operation (open, readdir, stat, read) on a name.
	fail func(op, name string) error

	mu     sync.Mutex
	opened map[string]int
}

func newFaulty(src source.Source, fail func(op, name string) error) *faulty {
	return &faulty{Source: src, fail: fail, opened: map[string]int{}}
}

func (f *faulty) check(op, name string) error {
	if err := f.fail(op, name); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

func (f *faulty) Open(name string) (fs.File, error) {
	f.mu.Lock()
	f.opened[name]++
	f.mu.Unlock()
	if err := f.check("open", name); err != nil {
		return nil, err
	}
	file, err := f.Source.Open(name)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f, name}, nil
}

func (f *faulty) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.check("readdir", name); err != nil {
		return nil, err
	}
	return f.Source.ReadDir(name)
}

func (f *faulty) Stat(name string) (fs.FileInfo, error) {
	if err := f.check("stat", name); err != nil {
		return nil, err
	}
	return f.Source.Stat(name)
}

type faultyFile struct {
	fs.File
	f    *faulty
	name string
}

func (f *faultyFile) Read(p []byte) (int, error) {
	if err := f.f.check("read", f.name); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

// below fails every operation on a path and what lies below it.
func below(where string, err error, ops ...string) func(op, name string) error {
	return func(op, name string) error {
		if (name == where || strings.HasPrefix(name, where+"/")) && (len(ops) == 0 || slices.Contains(ops, op)) {
			return err
		}
		return nil
	}
}

// TestReadErrors holds that what cannot be read is never said to be absent, and
// never passed over.
func TestReadErrors(t *testing.T) {
	const tree = `
image amd amd64 base top
image arm arm64 base sha512:big
index multi amd arm
artifact sig a/b multi note
tag library/app v1 multi
push library/app sig
image other amd64 base
tag library/other v1 other
`
	b, dir := build(t, tree)
	for _, c := range []struct {
		name, place string
		ops         []string
		images      string // empty: all is whole
	}{
		{name: "tag link", place: "tag:library/app:v1", images: "library/app:v1 unreadable, perhaps <multi>"},
		{name: "tag link while reading", place: "tag:library/app:v1", ops: []string{"read"}, images: "library/app:v1 unreadable, perhaps <multi>"},
		{name: "revision link", place: "revision:library/app@multi", images: "library/app:v1 unreadable, perhaps <multi>"},
		{name: "revision link of a child", place: "revision:library/app@arm"},
		{name: "revisions", place: "repositories/library/app/_manifests/revisions", images: "library/app:v1 unreadable, perhaps <multi>"},
		{name: "listing revisions", place: "repositories/library/app/_manifests/revisions/sha256", ops: []string{"readdir"}},
		{name: "tags", place: "repositories/library/app/_manifests/tags", images: "-"},
		{name: "repository", place: "repositories/library/app", images: "-"},
		{name: "index", place: "blob:multi", images: "library/app:v1 unreadable <multi>"},
		{name: "index while reading", place: "blob:multi", ops: []string{"read"}, images: "library/app:v1 unreadable <multi>"},
		{name: "child", place: "blob:arm", images: "library/app:v1 unreadable <arm>"},
		{name: "config", place: "blob:amd-config", ops: []string{"open"}, images: "library/app:v1 unreadable <amd-config>"},
		{name: "config while reading", place: "blob:amd-config", ops: []string{"read"}, images: "library/app:v1 unreadable <amd-config>"},
		{name: "layer", place: "blob:top", images: "library/app:v1 unreadable <top>"},
		{name: "fan-out", place: "blobs/sha256/<top:2>", images: "library/app:v1 unreadable <top>"},
		{name: "listing a fan-out", place: "blobs/sha256/<top:2>", ops: []string{"readdir"}},
		{name: "listing all blobs", place: "blobs/sha256", ops: []string{"readdir"}},
		{name: "link of a sha512 digest", place: "repositories/library/app/_layers/sha512/<big:sha512>/link", images: "library/app:v1 unreadable sha512:<big>"},
		{name: "blob of a sha512 digest", place: "blob:big", images: "library/app:v1 unreadable sha512:<big>"},
		{name: "layer links", place: "repositories/library/app/_layers/sha256"},
	} {
		for _, errno := range []error{syscall.EACCES, syscall.EIO} {
			for _, thorough := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%v/%v", c.name, errno, thorough), func(t *testing.T) {
					src := newFaulty(open(t, dir), below(b.Path(c.place), errno, c.ops...))
					x, err := storage.Scan(context.Background(), src, &storage.ScanOptions{Thorough: thorough})
					if err != nil {
						t.Fatal(err)
					}
					seen := thorough || c.name != "layer links"
					checkUnreadable(t, x, seen)
					checkImages(t, c.images, describe(b, x))
				})
			}
		}
	}
}

// checkUnreadable wants the one kind of finding there may be.
func checkUnreadable(t *testing.T, x *storage.Index, seen bool) {
	t.Helper()
	found := false
	for _, f := range x.Findings() {
		if f.Code == report.Unreadable && f.Level == report.Skip {
			found = true
		} else {
			t.Errorf("finding %+v", f)
		}
	}
	if found != seen {
		t.Errorf("unreadable was found: %v", found)
	}
}

func checkImages(t *testing.T, want string, got []string) {
	t.Helper()
	got = slices.DeleteFunc(got, func(line string) bool {
		return !strings.HasPrefix(line, "library/app:")
	})
	switch want {
	case "":
		want = "library/app:v1 whole"
	case "-":
		want = ""
	}
	if diff := cmp.Diff(lines(want), got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// TestTopUnreadable: without its two directories, a tree cannot be read at all.
func TestTopUnreadable(t *testing.T) {
	for _, name := range []string{"blobs", "repositories"} {
		_, dir := build(t, sound)
		src := newFaulty(open(t, dir), below(name, syscall.EACCES))
		if _, err := storage.Scan(context.Background(), src, nil); !errors.Is(err, syscall.EACCES) {
			t.Errorf("%s: %v", name, err)
		}
		_, dir = build(t, sound+"symlink "+name+" /nowhere/at/all")
		if _, err := storage.Scan(context.Background(), open(t, dir), nil); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLive scans a tree that changes meanwhile.
func TestLive(t *testing.T) {
	b, dir := build(t, multi)
	tag := b.Path("tag:library/app:v1")
	for _, c := range []struct {
		name   string
		hide   func(op, name string) error
		images string
	}{
		{
			name:   "pushed since the directories were listed",
			hide:   func(op, name string) error { return hiddenOnce(op, name, "blobs/sha256", "revisions/sha256") },
			images: "library/app:v1 whole",
		},
		{
			name:   "manifest deleted since it was listed",
			hide:   below(b.Path("blob:multi"), fs.ErrNotExist, "open"),
			images: "library/app:v1 manifest-missing <multi>",
		},
		{
			name:   "config deleted since it was listed",
			hide:   below(b.Path("blob:arm-config"), fs.ErrNotExist, "open"),
			images: "library/app:v1 blob-missing <arm-config>",
		},
		{
			name: "tag deleted since it was listed",
			hide: func(_, name string) error {
				if name != tag {
					return nil
				}
				return os.RemoveAll(filepath.Join(v2(dir), path.Dir(path.Dir(tag))))
			},
			images: "library/app:v1 tag-deleted",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := storage.Scan(context.Background(), newFaulty(open(t, dir), c.hide), nil)
			if err != nil {
				t.Fatal(err)
			}
			checkImages(t, c.images, describe(b, x))
		})
	}
}

// hiddenOnce makes directories as if they were not there yet.
func hiddenOnce(op, name string, ends ...string) error {
	for _, end := range ends {
		if op == "readdir" && strings.HasSuffix(name, end) {
			return fs.ErrNotExist
		}
	}
	return nil
}

// TestManifestsReadOnce: a manifest that many tags share is opened once.
func TestManifestsReadOnce(t *testing.T) {
	tree := multi
	for n := range 100 {
		tree += fmt.Sprintf("tag library/app t%d multi\ntag library/other t%d amd\n", n, n)
	}
	b, dir := build(t, tree)
	src := newFaulty(open(t, dir), func(string, string) error { return nil })
	if _, err := storage.Scan(context.Background(), src, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"multi", "amd", "arm", "amd-config"} {
		if n := src.opened[b.Path("blob:"+name)]; n != 1 {
			t.Errorf("%s was opened %d times", name, n)
		}
	}
	for name, n := range src.opened {
		if n > 1 {
			t.Errorf("%s was opened %d times", name, n)
		}
	}
}

// TestSameWhateverJobs: the index does not depend on how many look.
func TestSameWhateverJobs(t *testing.T) {
	var tree strings.Builder
	for n := range 60 {
		fmt.Fprintf(&tree, "image app%d amd64 base top%d\n", n, n)
		fmt.Fprintf(&tree, "index multi%d app%d\n", n, n)
		fmt.Fprintf(&tree, "tag library/app%d v1 multi%d\ntag library/all v%d app%d\n", n%7, n, n, n)
	}
	for n := range 10 {
		fmt.Fprintf(&tree, "remove blob:top%d\ncorrupt blob:top%d\nwrite tag:library/all:v%d\n", n, n+10, n+20)
	}
	b, dir := build(t, tree.String())
	type seen struct {
		Images, Findings []string
		Raw              []report.Finding
	}
	look := func(jobs int) seen {
		x := scan(t, dir, storage.ScanOptions{Jobs: jobs, Thorough: true, ReadData: true})
		return seen{describe(b, x), findings(b, x), x.Findings()}
	}
	want := look(1)
	if !slices.IsSortedFunc(want.Raw, compareImages) {
		t.Error("findings are not sorted")
	}
	for _, jobs := range []int{2, 64} {
		if diff := cmp.Diff(want, look(jobs)); diff != "" {
			t.Errorf("%d jobs: %s", jobs, diff)
		}
	}
}

func compareImages(a, b report.Finding) int {
	return strings.Compare(a.Repository+"\x00"+a.Tag, b.Repository+"\x00"+b.Tag)
}

// TestCancelled: the end of a context is an error, and no finding.
func TestCancelled(t *testing.T) {
	_, dir := build(t, multi)
	for after := range 40 {
		ctx, cancel := context.WithCancel(context.Background())
		var mu sync.Mutex
		left := after
		src := newFaulty(open(t, dir), func(string, string) error {
			mu.Lock()
			defer mu.Unlock()
			if left--; left == 0 {
				cancel()
			}
			return nil
		})
		_, err := storage.Scan(ctx, src, &storage.ScanOptions{ReadData: true, Thorough: true})
		if ctx.Err() != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("after %d: %v", after, err)
		}
		cancel()
	}
}

// TestProgress: hashing counts every byte, once.
func TestProgress(t *testing.T) {
	b, dir := build(t, "random big 3000000\n"+sound+"blob orphan\nimage huge amd64 big\ntag library/huge v1 huge")
	var mu sync.Mutex
	var last report.Progress
	opts := storage.ScanOptions{ReadData: true, Progress: func(p report.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if p.Stage == "hash" && p.Done > last.Done {
			last = p
		}
	}}
	scan(t, dir, opts)
	// Manifests and configs were hashed as they were read.
	want := int64(len(b.Bytes("big")) + len(b.Bytes("base")) + len(b.Bytes("top")) + len(b.Bytes("orphan")))
	if last.Done != want || last.Total != want {
		t.Errorf("%d of %d, want %d", last.Done, last.Total, want)
	}
}

// TestLargeConfig: a config of any size is carried, only not read.
func TestLargeConfig(t *testing.T) {
	const size = 9 << 20
	b := storagetest.New()
	b.Random("config", size)
	b.Manifest("app", "", `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:<config>","size":<config:size>},"layers":[]}`)
	b.Tag("library/app", "v1", "app")
	dir := b.Dir(t)
	src := newFaulty(open(t, dir), func(string, string) error { return nil })
	x, err := storage.Scan(context.Background(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := src.opened[b.Path("blob:config")]; n != 0 || len(x.Findings()) != 0 || !x.Closure(b.Digest("app")).Whole() {
		t.Errorf("opened %d times, findings %v", n, x.Findings())
	}
}

// TestDeep: indexes may be nested as deep as one likes.
func TestDeep(t *testing.T) {
	b := storagetest.New()
	b.Image("i0", "amd64", "base")
	const depth = 300
	for n := range depth {
		b.Index(fmt.Sprintf("i%d", n+1), fmt.Sprintf("i%d", n))
	}
	top := fmt.Sprintf("i%d", depth)
	b.Tag("library/app", "v1", top)
	dir := b.Dir(t)
	x := scan(t, dir, storage.ScanOptions{})
	if c := x.Closure(b.Digest(top)); !c.Whole() || len(c.Manifests) != depth+1 {
		t.Errorf("%d manifests, %v", len(c.Manifests), c.Problems)
	}
}

// TestKeepIndexes: the content of indexes is kept where it is asked for.
func TestKeepIndexes(t *testing.T) {
	b, dir := build(t, multi)
	for _, keep := range []bool{false, true} {
		x := scan(t, dir, storage.ScanOptions{KeepIndexes: keep})
		if got := x.Manifest(b.Digest("multi")).Raw; (string(got) == string(b.Bytes("multi"))) != keep {
			t.Errorf("keep %v: %d bytes", keep, len(got))
		}
		if x.Manifest(b.Digest("amd")).Raw != nil {
			t.Error("an image's manifest was kept")
		}
	}
}

// TestLocalPath: a blob's path is where its bytes are, under whatever digest.
func TestLocalPath(t *testing.T) {
	b, dir := build(t, "image app amd64 sha512:base top\ntag library/app v1 app")
	x := scan(t, dir, storage.ScanOptions{})
	for _, blob := range x.Closure(b.Digest("app")).Blobs {
		if matches, err := filepath.Glob(filepath.Join(v2(dir), x.Path(blob.Digest))); err != nil || len(matches) != 1 {
			t.Errorf("%s: %v, %v", blob.Digest, matches, err)
		}
	}
}
