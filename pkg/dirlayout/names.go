package dirlayout

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// Locate is where the layout of an image that Scan found lies below dir.
func Locate(dir string, i plan.Image) string {
	path := filepath.Join(dir, filepath.FromSlash(i.LayoutPath()))
	if i.Source.Tag != "latest" {
		return path
	}
	bare := filepath.Join(dir, filepath.FromSlash(i.Source.Repository))
	if _, err := os.Lstat(filepath.Join(path, "manifest.json")); err != nil && isThere(filepath.Join(bare, "manifest.json")) {
		return bare
	}
	return path
}

// splitName takes a layout's path apart.
func splitName(path string) (repository, tag string, d digest.Digest) {
	if name, encoded, ok := strings.Cut(path, "@"); ok {
		return name, "", digest.Digest(encoded)
	}
	at := strings.LastIndexAny(path, ":/")
	if at < 0 || path[at] == '/' {
		return path, "latest", ""
	}
	return path[:at], path[at+1:], ""
}
