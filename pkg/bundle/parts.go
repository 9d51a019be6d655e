package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// CheckParts hashes the parts of a bundle and holds each against the checksum
// that lies beside it, so that a medium that went bad is named. All is true if
// each part has one and is what it says. What is not is a finding, with the
// part's name as its path; the error is ctx's.
func CheckParts(ctx context.Context, parts []string, tell func(report.Progress)) (found []report.Finding, all bool, err error) {
	c := checking{tell: tell, all: len(parts) > 0}
	for _, part := range parts {
		if info, err := os.Stat(part); err == nil {
			c.total += info.Size()
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(runtime.GOMAXPROCS(0), 2))
	for n, part := range parts {
		g.Go(func() error { return c.check(ctx, part, n+1) })
	}
	err = g.Wait()
	report.SortFindings(c.found)
	return c.found, c.all, err
}

// checking is the state of one CheckParts.
type checking struct {
	tell  func(report.Progress)
	total int64 // bytes
	done  atomic.Int64

	mu    sync.Mutex
	found []report.Finding
	all   bool
}

func (c *checking) check(ctx context.Context, part string, n int) error {
	want, err := statedSum(part)
	if errors.Is(err, fs.ErrNotExist) {
		c.note(nil)
		return nil
	}
	sum := ""
	if err == nil {
		sum, err = c.hash(ctx, part)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		c.note(finding(part, err.Error()))
	case sum != want:
		c.note(finding(part, fmt.Sprintf("part %d is not what its checksum says: copy it again, or make it again with drydock bundle … --volume %d", n, n)))
	}
	return nil
}

func finding(part, detail string) *report.Finding {
	f := report.ArchiveDamaged.New(detail)
	f.Path = filepath.Base(part)
	return &f
}

// note records that a part is not known to be sound, and what was found, if anything.
func (c *checking) note(f *report.Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = false
	if f != nil {
		c.found = append(c.found, *f)
	}
}

// statedSum reads the checksum beside a part, as sha256sum writes it.
func statedSum(part string) (string, error) {
	f, err := os.Open(part + sumSuffix)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, 8<<10))
	if err != nil {
		return "", err
	}
	sum, _, _ := strings.Cut(strings.TrimPrefix(string(content), `\`), " ") // of a name with a backslash in it
	if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
		return "", fmt.Errorf("%s holds no checksum", filepath.Base(part)+sumSuffix)
	}
	return strings.ToLower(sum), nil
}

// hash reads a part to its end.
func (c *checking) hash(ctx context.Context, part string) (string, error) {
	f, err := os.Open(part)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	for ctx.Err() == nil {
		n, err := io.CopyN(h, f, 8<<20)
		if c.tell != nil {
			c.tell(report.Progress{Stage: "check", Done: c.done.Add(n), Total: c.total, Unit: "bytes"})
		}
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", ctx.Err()
}
