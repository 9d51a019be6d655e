package report

import (
	"cmp"
	"errors"
	"slices"
)

// Level says what a finding means for the images it touches.
type Level string

// The two levels.
const (
	Note Level = "note" // the image is still carried
	Skip Level = "skip" // the image, or a part of the tree, is not
)

// Finding is a true statement about the data, with a place.
type Finding struct {
	Code       Code   `json:"code"`
	Level      Level  `json:"level"`
	Repository string `json:"repository"` // empty where it is about none; so the others
	Tag        string `json:"tag"`
	Digest     string `json:"digest"`
	Path       string `json:"path"` // relative to the source, slashes
	Detail     string `json:"detail"`
}

// Image names the image the finding touches, or "" where it touches none.
func (f Finding) Image() string {
	if f.Repository == "" {
		return ""
	}
	if f.Tag != "" {
		return f.Repository + ":" + f.Tag
	}
	return f.Repository
}

// SortFindings puts findings into the order they are told in: by repository,
// tag, code, digest and path.
func SortFindings(findings []Finding) {
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Repository, b.Repository),
			cmp.Compare(a.Tag, b.Tag),
			cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Digest, b.Digest),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Detail, b.Detail),
		)
	})
}

// Hint is an error with a sentence on what to do about it.
type Hint struct {
	Err    error
	Advice string
}

func (h *Hint) Error() string { return h.Err.Error() }

// Unwrap gives the error that the advice is about.
func (h *Hint) Unwrap() error { return h.Err }

// WithHint adds advice to an error; nil stays nil.
func WithHint(err error, advice string) error {
	if err == nil {
		return nil
	}
	return &Hint{Err: err, Advice: advice}
}

// Advice finds what to do about an error, or "".
func Advice(err error) string {
	if h, ok := errors.AsType[*Hint](err); ok {
		return h.Advice
	}
	return ""
}
