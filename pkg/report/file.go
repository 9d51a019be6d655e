package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// File gathers a run and writes it, at the end, into one file: .json, .html or
// JUnit's .xml by its name. It appears under its name when it is whole.
type File struct {
	path  string
	write func(io.Writer, *Run) error
	run   Run
}

// Run is everything a run said.
type Run struct {
	Verb     string    `json:"verb"`
	Source   string    `json:"source"`
	Target   string    `json:"target,omitempty"`
	Asked    []string  `json:"asked,omitempty"` // the flags that chose and mapped images, "--name=value"; never a secret
	Started  time.Time `json:"started"`
	Version  string    `json:"version"`
	Images   []Image   `json:"images"`
	Findings []Finding `json:"findings"`
	Outcomes []Outcome `json:"outcomes"`
	Summary  Summary   `json:"summary"`
}

// ErrUnknownForm is wrapped where a report's name says no form that is known.
var ErrUnknownForm = errors.New("unknown form")

// NewFile prepares a report of a run, of which the first fields are filled.
func NewFile(path string, run Run) (*File, error) {
	writers := map[string]func(io.Writer, *Run) error{".json": writeJSON, ".xml": writeJUnit, ".html": writeHTML}
	write, ok := writers[strings.ToLower(filepath.Ext(path))]
	if !ok {
		return nil, WithHint(fmt.Errorf("report %s: %w", path, ErrUnknownForm), "name it .json, .html or .xml (JUnit)")
	}
	// A run may take hours: that the file cannot be written is to be known before.
	tmp, err := createBeside(path)
	if err != nil {
		return nil, WithHint(fmt.Errorf("preparing report: %w", err), "name a file in a directory that can be written to")
	}
	if err := errors.Join(tmp.Close(), os.Remove(tmp.Name())); err != nil {
		return nil, fmt.Errorf("preparing report: %w", err)
	}
	run.Images, run.Findings, run.Outcomes = []Image{}, []Finding{}, []Outcome{}
	return &File{path: path, write: write, run: run}, nil
}

func createBeside(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, &os.PathError{Op: "open", Path: path, Err: syscall.EISDIR}
	}
	return os.CreateTemp(filepath.Dir(path), ".drydock-report-*")
}

// Image implements Handler.
func (f *File) Image(i Image) error {
	f.run.Images = append(f.run.Images, i.filled())
	return nil
}

// Finding implements Handler.
func (f *File) Finding(x Finding) error {
	f.run.Findings = append(f.run.Findings, x)
	return nil
}

// Outcome implements Handler.
func (f *File) Outcome(o Outcome) error {
	f.run.Outcomes = append(f.run.Outcomes, o)
	return nil
}

// Progress implements Handler.
func (f *File) Progress(Progress) {}

// Close implements Handler: it writes the file.
func (f *File) Close(s Summary) error {
	f.run.Summary = s
	if err := f.save(); err != nil {
		return fmt.Errorf("writing report: %w", err)
	}
	return nil
}

func (f *File) save() (err error) {
	tmp, err := createBeside(f.path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	w := bufio.NewWriter(tmp)
	if err := f.write(w, &f.run); err != nil {
		return err
	}
	if err := errors.Join(w.Flush(), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), f.path)
}

func writeJSON(w io.Writer, run *Run) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(run)
}
