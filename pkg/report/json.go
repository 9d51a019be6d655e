package report

import (
	"encoding/json"
	"io"
	"time"
)

// JSON tells everything as JSON Lines: one object a line, each with a "type".
type JSON struct {
	enc      *json.Encoder
	progress time.Time // of the last progress line
}

// NewJSON writes to w.
func NewJSON(w io.Writer) *JSON {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &JSON{enc: enc}
}

// Image implements Handler. Lists are never null.
func (j *JSON) Image(i Image) error {
	return j.enc.Encode(struct {
		Type string `json:"type"`
		Image
	}{"image", i.filled()})
}

// filled puts empty lists where there are none.
func (i Image) filled() Image {
	if i.Platforms == nil {
		i.Platforms = []string{}
	}
	if i.Missing == nil {
		i.Missing = []string{}
	}
	i.Updated = i.Updated.UTC()
	return i
}

// Finding implements Handler.
func (j *JSON) Finding(f Finding) error {
	return j.enc.Encode(struct {
		Type string `json:"type"`
		Finding
	}{"finding", f})
}

// Outcome implements Handler.
func (j *JSON) Outcome(o Outcome) error {
	return j.enc.Encode(struct {
		Type string `json:"type"`
		Outcome
	}{"outcome", o})
}

// Progress implements Handler: a line a second at most.
func (j *JSON) Progress(p Progress) {
	if time.Since(j.progress) < time.Second {
		return
	}
	j.progress = time.Now()
	// A line that cannot be written will be missed at the next one that counts.
	_ = j.enc.Encode(struct {
		Type string `json:"type"`
		Progress
	}{"progress", p})
}

// Close implements Handler.
func (j *JSON) Close(s Summary) error {
	return j.enc.Encode(struct {
		Type string `json:"type"`
		Summary
	}{"summary", s})
}

// Names prints the name of every image, a line each, and nothing else.
type Names struct{ w io.Writer }

// NewNames writes to w.
func NewNames(w io.Writer) *Names { return &Names{w} }

// Image implements Handler.
func (n *Names) Image(i Image) error {
	_, err := io.WriteString(n.w, printable(i.Name())+"\n")
	return err
}

// Finding implements Handler.
func (n *Names) Finding(Finding) error { return nil }

// Outcome implements Handler.
func (n *Names) Outcome(Outcome) error { return nil }

// Progress implements Handler.
func (n *Names) Progress(Progress) {}

// Close implements Handler.
func (n *Names) Close(Summary) error { return nil }
