package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The files that tell a dir: layout (containers/image, directory/
// directory_transport.go), and those that tell what holds layouts.
const (
	layoutManifest = "manifest.json"
	layoutVersion  = "version"
	inventoryFile  = "drydock-inventory.json"
	workDir        = ".drydock"
)

// maxLook is how many directories are looked into for layouts.
const maxLook = 4096

// holdsLayouts tells whether a layout lies below a directory. It looks no
// further than needed, and not into the whole of a disk: a directory given by
// mistake may be anything.
func holdsLayouts(dir string) bool {
	looked := 0
	for level := []string{dir}; len(level) > 0; {
		var below []string
		for _, dir := range level {
			if looked++; looked > maxLook {
				return false
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				continue // there may be layouts elsewhere
			}
			for _, e := range entries {
				path := filepath.Join(dir, e.Name())
				if strings.HasPrefix(e.Name(), ".") || (!e.IsDir() && e.Type()&fs.ModeSymlink == 0) {
					continue
				}
				if isFile(filepath.Join(path, layoutManifest)) && isFile(filepath.Join(path, layoutVersion)) {
					return true
				}
				if e.IsDir() {
					below = append(below, path)
				}
			}
		}
		level = below
	}
	return false
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// layoutsRoot finds the directory that the names of layouts in an archive count
// from: the one that holds a bundle's inventory, or the work directory of
// convert; else one that is called as convert calls it, if all layouts are below
// it; else the archive's top, since all that leads to a layout may be part of
// its repository's name.
func (a *archive) layoutsRoot() (uint32, bool) {
	layouts := a.findLayouts()
	marks := []string{inventoryFile}
	if len(layouts) > 0 {
		marks = append(marks, workDir)
	} // else an inventory may be all that is left of a bundle
	isLayout := func(id uint32) bool {
		_, found := slices.BinarySearch(layouts, id)
		return found
	}
	for level := []uint32{top}; len(level) > 0; {
		var below []uint32
		for _, id := range level {
			for _, mark := range marks {
				if _, ok := a.tree.child(id, mark); ok {
					return id, true
				}
			}
			for _, kid := range a.tree.kidsOf(id) {
				if a.tree.node(kid).kind == directory && !isLayout(kid) {
					below = append(below, kid)
				}
			}
		}
		level = below
	}
	if len(layouts) == 0 {
		return 0, false
	}
	return a.calledLayouts(layouts), true
}

// findLayouts gives the layouts of an archive, in the order of the nodes.
func (a *archive) findLayouts() (layouts []uint32) {
	for id := range uint32(a.tree.count) {
		if a.tree.node(id).kind == directory && id != top && a.hasFile(id, layoutManifest) && a.hasFile(id, layoutVersion) && a.tree.listed(id) {
			layouts = append(layouts, id)
		}
	}
	return layouts
}

func (a *archive) hasFile(dir uint32, name string) bool {
	id, ok := a.tree.child(dir, name)
	if !ok {
		return false
	}
	base, err := a.tree.base(id)
	return err == nil && a.tree.node(base).kind == regular
}

// calledLayouts gives the deepest directory above all layouts that is called as
// those of layouts are, or the top.
func (a *archive) calledLayouts(layouts []uint32) uint32 {
	for dir := a.tree.node(layouts[0]).parent; dir != top; dir = a.tree.node(dir).parent {
		name := a.tree.get(a.tree.node(dir).name)
		if name != "drydock-layouts" && name != "layouts" {
			continue
		}
		if !slices.ContainsFunc(layouts, func(id uint32) bool { return !a.tree.holds(dir, id) }) {
			return dir
		}
	}
	return top
}
