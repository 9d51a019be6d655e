package floor

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Convert makes the links of layouts from a tree that is whole, so many
// repositories side by side, and says how long that took. It reads what says
// which links there are to be: directories, tag links and manifests, and parses
// them. It looks at nothing else, checks nothing, and leaves half a layout where
// it is interrupted.
func Convert(ctx context.Context, tree, to string, jobs int) (time.Duration, error) {
	start := time.Now()
	c := &converter{v2: filepath.Join(tree, "docker/registry/v2"), to: to}
	c.g, ctx = errgroup.WithContext(ctx)
	c.g.SetLimit(jobs + 1) // one to look for repositories
	c.g.Go(func() error { return c.walk(ctx, "") })
	err := c.g.Wait()
	return time.Since(start), err
}

type converter struct {
	v2, to string
	g      *errgroup.Group
}

// walk looks for repositories below a directory, and has each converted.
func (c *converter) walk(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir := filepath.Join(c.v2, "repositories", name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	made := false
	for _, e := range entries {
		switch {
		case e.Name() == "_manifests":
			c.g.Go(func() error { return c.repository(ctx, name) })
		case strings.HasPrefix(e.Name(), "_"):
		default:
			if !made {
				made = true
				if err := unix.Mkdir(filepath.Join(c.to, name), 0o755); err != nil {
					return err
				}
			}
			if err := c.walk(ctx, filepath.Join(name, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *converter) repository(ctx context.Context, name string) error {
	tags := filepath.Join(c.v2, "repositories", name, "_manifests/tags")
	entries, err := os.ReadDir(tags)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		link, err := os.ReadFile(filepath.Join(tags, e.Name(), "current/link"))
		if err != nil {
			return err
		}
		dir := filepath.Join(c.to, name+":"+e.Name())
		if err := unix.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("making %s: %w", dir, err)
		}
		if err := c.manifest(dir, "manifest.json", strings.TrimPrefix(string(link), "sha256:"), map[string]bool{}); err != nil {
			return err
		}
	}
	return nil
}

// manifest links a manifest and what it names, each once.
func (c *converter) manifest(dir, file, hex string, linked map[string]bool) error {
	from, err := c.link(dir, file, hex)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var m struct {
		Config            named
		Layers, Manifests []named
	}
	if err := json.Unmarshal(content, &m); err != nil {
		return err
	}
	for _, child := range m.Manifests {
		if err := c.manifest(dir, child.hex()+".manifest.json", child.hex(), linked); err != nil {
			return err
		}
	}
	if m.Config.Digest != "" {
		m.Layers = append(m.Layers, m.Config)
	}
	for _, b := range m.Layers {
		if linked[b.Digest] {
			continue
		}
		linked[b.Digest] = true
		if _, err := c.link(dir, b.hex(), b.hex()); err != nil {
			return err
		}
	}
	return nil
}

type named struct{ Digest string }

func (n named) hex() string { return strings.TrimPrefix(n.Digest, "sha256:") }

func (c *converter) link(dir, name, hex string) (from string, err error) {
	from = c.v2 + "/blobs/sha256/" + hex[:2] + "/" + hex + "/data"
	if err := unix.Link(from, dir+"/"+name); err != nil {
		return "", fmt.Errorf("linking %s: %w", name, err)
	}
	return from, nil
}
