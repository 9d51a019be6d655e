// Package report is what a person or a program is told: images, findings,
// outcomes, progress and a closing summary, and one Handler for each form they
// are told in. It imports nothing of drydock, so that every other package can
// speak its language.
package report

import (
	"time"
)

// Image is one image of the source: a tag, or a manifest that no tag names.
type Image struct {
	Repository   string    `json:"repository"`
	Tag          string    `json:"tag"`          // empty where no tag names it
	Digest       string    `json:"digest"`       // of the top manifest; empty where a broken link hides it
	MediaType    string    `json:"mediaType"`    // of the top manifest
	ArtifactType string    `json:"artifactType"` // empty for plain images
	Platforms    []string  `json:"platforms"`    // os/architecture[/variant]
	Size         int64     `json:"size"`         // bytes of manifests and blobs, each once
	Complete     bool      `json:"complete"`
	Missing      []string  `json:"missing"` // digests that are absent or damaged
	Updated      time.Time `json:"updated"` // when the tag was last pushed
	Target       string    `json:"target,omitempty"`
	Subject      string    `json:"subject,omitempty"`   // digest of what this refers to
	Recovered    bool      `json:"recovered,omitempty"` // taken by --recover
	Trimmed      string    `json:"trimmed,omitempty"`   // digest after --incomplete=trim
	Reason       string    `json:"-"`                   // why it is left out, for people; findings say it to programs
}

// Name is "repository:tag", or "repository@digest" where there is no tag.
func (i Image) Name() string { return Name(i.Repository, i.Tag, i.Digest) }

// Name writes a reference as people read it: "repository:tag", or
// "repository@digest" where there is no tag, or the repository alone.
func Name(repository, tag, digest string) string {
	switch {
	case tag != "":
		return repository + ":" + tag
	case digest != "":
		return repository + "@" + digest
	default:
		return repository
	}
}

// Status says what became of an image.
type Status string

// The three ends an image can come to.
const (
	Done    Status = "done"    // carried in this run
	Skipped Status = "skipped" // it was there already, with the same digest
	Failed  Status = "failed"  // not carried; Outcome.Error says why
)

// Outcome is what became of one image.
type Outcome struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	Digest   string `json:"digest"` // what the target has now, or should have
	Status   Status `json:"status"`
	Error    string `json:"error"`           // empty where all went well
	Cause    string `json:"cause,omitempty"` // what the error is about, where it is no fault of the image: "project library"
	Uploaded int    `json:"uploaded"`        // blobs
	Mounted  int    `json:"mounted"`         // blobs
	Bytes    int64  `json:"bytes"`           // of the uploaded blobs

	Placed      int   `json:"placed,omitempty"`      // blobs put into the target's storage as files
	PlacedBytes int64 `json:"placedBytes,omitempty"` // of these
}

// Progress is how far a stage has come. Losing one loses nothing.
type Progress struct {
	Stage string `json:"stage"` // scan, hash, convert, push, verify
	Done  int64  `json:"done"`
	Total int64  `json:"total"` // 0 where it is not known
	Unit  string `json:"unit"`  // images, files, bytes
}

// Summary closes a run. Every image that was asked for is counted once in Done,
// Skipped, Failed or Incomplete when the run moved images, and not at all in
// them when it only looked.
type Summary struct {
	Images        int       `json:"images"`
	Done          int       `json:"done"`
	Skipped       int       `json:"skipped"`
	Failed        int       `json:"failed"`
	Incomplete    int       `json:"incomplete"` // left out or, in list and check, not whole
	Findings      int       `json:"findings"`
	UploadedBlobs int       `json:"uploadedBlobs"`
	MountedBlobs  int       `json:"mountedBlobs"`
	UploadedBytes int64     `json:"uploadedBytes"`
	PlacedBlobs   int       `json:"placedBlobs,omitempty"` // put into the target's storage as files
	PlacedBytes   int64     `json:"placedBytes,omitempty"` // of these
	LinkedFiles   int       `json:"linkedFiles"`
	CopiedBytes   int64     `json:"copiedBytes"`
	Seconds       float64   `json:"seconds"`
	UniqueBytes   int64     `json:"uniqueBytes,omitempty"` // of the blobs of all images that are not left out, each once; 0 where it was not counted
	Unasked       int       `json:"unasked,omitempty"`     // manifests without a tag, which nobody asked for
	Forecast      *Forecast `json:"forecast,omitempty"`    // what would be put into a registry's storage, where that was only foreseen
	Error         string    `json:"error,omitempty"`       // why the run ended before its time; empty where it came to its end
}

// Forecast is what putting files into a registry's storage would do, in bytes of
// blobs, each counted once.
type Forecast struct {
	Linked    int64  `json:"linkedBytes"` // by hard link
	Copied    int64  `json:"copiedBytes"` // at most: a reflink copies nothing
	There     int64  `json:"thereBytes"`
	Manifests int64  `json:"manifestBytes,omitempty"` // to be sent to the target
	Why       string `json:"why,omitempty"`           // the first reason why a blob would not be hard-linked
	Refused   string `json:"refused,omitempty"`       // why nothing could be put there at all by who asked
}

// Add counts one outcome.
func (s *Summary) Add(o Outcome) {
	switch o.Status {
	case Done:
		s.Done++
	case Skipped:
		s.Skipped++
	case Failed:
		s.Failed++
	}
	s.UploadedBlobs += o.Uploaded
	s.MountedBlobs += o.Mounted
	s.UploadedBytes += o.Bytes
	s.PlacedBlobs += o.Placed
	s.PlacedBytes += o.PlacedBytes
}

// Handler tells what happens in one form: text, names, JSON Lines, a report
// file. Its methods are called one at a time; Close once, last. An error means
// that the words could not be written.
type Handler interface {
	Image(Image) error
	Finding(Finding) error
	Outcome(Outcome) error
	Progress(Progress)
	Close(Summary) error
}
