package dirlayout

import (
	"path"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// Locate is where the layout of an image that Scan found lies in fsys.
func Locate(fsys FS, i plan.Image) string {
	dir := i.LayoutPath()
	if i.Source.Tag == "latest" && !isThere(fsys, path.Join(dir, "manifest.json")) && isThere(fsys, path.Join(i.Source.Repository, "manifest.json")) {
		return i.Source.Repository
	}
	return dir
}

// splitName takes a layout's path apart.
func splitName(dir string) (repository, tag string, d digest.Digest) {
	if name, encoded, ok := strings.Cut(dir, "@"); ok {
		return name, "", digest.Digest(encoded)
	}
	at := strings.LastIndexAny(dir, ":/")
	if at < 0 || dir[at] == '/' {
		return dir, "latest", ""
	}
	return dir[:at], dir[at+1:], ""
}
