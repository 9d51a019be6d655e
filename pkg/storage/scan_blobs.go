package storage

import (
	"context"
	"fmt"
	"io/fs"
	"path"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// blob is what lies under a digest in blobs. A tree has more of them than of
// anything else, so that what few have is apart.
type blob struct {
	digest  digest.Digest // the one copy of it that is kept
	size    int64
	hashed  bool
	doubted bool // something was wrong when it was first read
	odd     *oddity
}

// oddity is what is not as usual with a blob.
type oddity struct {
	problem report.Code // empty where nothing is known against it
	detail  string
	kept    digest.Digest // what the bytes lie under, if not under this digest
	path    string        // where they lie outside of a registry's storage
	away    string        // they are not here, but in this repository of where the images go to
}

// plainBlob has nothing odd about it.
var plainBlob oddity

func (b *blob) oddity() *oddity {
	if b.odd == nil {
		return &plainBlob
	}
	return b.odd
}

func (b *blob) problem() report.Code { return b.oddity().problem }
func (b *blob) detail() string       { return b.oddity().detail }

// bad is a blob that cannot be had.
func bad(problem report.Code, detail string) *blob {
	return &blob{odd: &oddity{problem: problem, detail: detail}}
}

// scanBlobs notes the size of every blob, and reads none.
func (s *scanner) scanBlobs(c *crew) error {
	algorithms, err := s.readTop(blobsDir)
	if err != nil {
		return err
	}
	for _, entry := range algorithms {
		algorithm := digest.Algorithm(entry.Name())
		if noise(entry.Name()) || !algorithm.Available() {
			continue
		}
		s.scanAlgorithm(c, algorithm)
	}
	return nil
}

func (s *scanner) scanAlgorithm(c *crew, algorithm digest.Algorithm) {
	dir := path.Join(blobsDir, algorithm.String())
	prefixes := s.listBlobs(dir)
	for _, prefix := range prefixes {
		if !noise(prefix.Name()) {
			c.do(func() { s.scanFanOut(c, algorithm, path.Join(dir, prefix.Name())) })
		}
	}
}

func (s *scanner) scanFanOut(c *crew, algorithm digest.Algorithm, dir string) {
	if d := newDigest(algorithm, path.Base(dir)); validate(d) == nil {
		s.findMisplaced(d, path.Join(dir, dataFile)) // the directory of two digits is left out
		return
	}
	entries := s.listBlobs(dir)
	room := make([]blob, len(entries)) // together, they take less than one by one
	for n, d := range newDigests(algorithm, entries) {
		if validate(d) != nil {
			continue
		}
		if path.Join(blobsDir, fanOut(d)) != dir {
			s.findMisplaced(d, path.Join(dir, entries[n].Name(), dataFile))
			continue
		}
		if c.ctx.Err() != nil {
			return
		}
		s.scanBlobInto(d, &room[n])
	}
}

// listBlobs lists a directory of blobs; what is not a directory holds none.
// Nothing is concluded from what it does not list: settleAbsence looks at every
// blob that is needed by its own name.
func (s *scanner) listBlobs(dir string) []fs.DirEntry {
	entries, err := fs.ReadDir(s.fsys, dir)
	if err != nil && !isAbsent(err) {
		s.findAt(report.Unreadable, dir, err.Error())
	}
	return entries
}

func (s *scanner) findMisplaced(d digest.Digest, name string) {
	f := report.BlobMisplaced.New("its place is " + BlobPath(d))
	f.Path, f.Digest = name, d.String()
	if info, err := fs.Stat(s.fsys, name); err == nil {
		f.Detail += fmt.Sprintf("; %d bytes", info.Size())
	}
	s.find(f)
}

func (s *scanner) scanBlob(d digest.Digest) { s.scanBlobInto(d, new(blob)) }

// scanBlobInto files what it finds in a room that is made for it.
func (s *scanner) scanBlobInto(d digest.Digest, b *blob) {
	if s.told {
		return
	}
	found := s.statBlob(d)
	if found == nil {
		return
	}
	*b = *found
	b.digest = d
	s.mu.Lock()
	s.blobs[d] = b
	s.filesSeen++
	seen := s.filesSeen
	s.mu.Unlock()
	if seen%1024 == 0 {
		s.progress(report.Progress{Stage: "scan", Done: seen, Unit: "files"})
	}
}

// statBlob gives nil where nothing lies under the digest.
func (s *scanner) statBlob(d digest.Digest) *blob {
	info, err := fs.Stat(s.fsys, BlobPath(d))
	switch {
	case err != nil && isAbsent(err):
		return nil
	case err != nil && isLoop(err):
		return bad(report.BlobNotAFile, "it is a symbolic link that leads nowhere")
	case err != nil:
		return bad(report.Unreadable, err.Error())
	case !info.Mode().IsRegular():
		return bad(report.BlobNotAFile, "it is "+fileType(info.Mode()))
	case info.Size() == 0 && d != d.Algorithm().FromBytes(nil):
		return bad(report.BlobEmpty, "")
	default:
		return &blob{size: info.Size()}
	}
}

// settleAbsence looks once more for blobs that manifests name and that were not
// found: pushed since their directory was listed, or in one that cannot be listed.
func (s *scanner) settleAbsence(ctx context.Context) error {
	absent := map[digest.Digest]bool{}
	for _, file := range s.manifests {
		for d := range file.names() {
			if s.blobs[d.Digest] == nil {
				absent[d.Digest] = true
			}
		}
	}
	c := s.crew(ctx)
	for d := range absent {
		c.do(func() { s.scanBlob(d) })
	}
	return c.wait()
}

// blob looks a digest up among what was found.
func (s *scanner) blob(d digest.Digest) blob {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.blobs[d]; b != nil {
		return *b
	}
	return absentBlob
}

func (s *scanner) lacksBlob(d digest.Digest) bool {
	b := s.blob(d)
	return b.problem() == absent
}

var absentBlob = *bad(absent, "")

// pathOf is where a blob's bytes lie.
func (s *scanner) pathOf(d digest.Digest) string {
	b := s.blob(d)
	return b.pathOf(d)
}

func (b *blob) pathOf(d digest.Digest) string {
	switch odd := b.oddity(); {
	case odd.path != "":
		return odd.path
	case odd.kept != "":
		return BlobPath(odd.kept)
	default:
		return BlobPath(d)
	}
}

// condemn notes what is wrong with a blob's bytes.
func (s *scanner) condemn(d digest.Digest, code report.Code, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.blobs[d]; b != nil {
		odd := *b.oddity() // it may be shared with an alias
		odd.problem, odd.detail = code, detail
		b.odd = &odd
	}
}
