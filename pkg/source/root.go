package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// settle ends the making of an archive: it finds where in it the registry's
// storage, or else the layouts, begin.
func (a *archive) settle(location string, told *told) error {
	a.tree.seal()
	err := a.findRoot(location)
	if err != nil {
		return damagedToo(err, told)
	}
	root := a.tree.path(a.root, top)
	a.setHome(root)
	a.tellLinks(told)
	a.findings = told.findings(root)
	return nil
}

// damagedToo adds to an error that an archive is damaged, where it is: what was
// looked for may have gone with it.
func damagedToo(err error, told *told) error {
	if len(told.damages) == 0 {
		return err
	}
	return report.WithHint(fmt.Errorf("%w; and it is damaged: %s", err, told.findings(".")[0].Detail), "copy or make the archive again")
}

// findRoot finds the one directory that is docker/registry/v2 by its shape.
func (a *archive) findRoot(location string) error {
	roots, class := a.roots()
	if class >= oneTree { // a directory called repositories, or v2, may be part of a layout's name
		if root, ok := a.layoutsRoot(); ok {
			a.root, a.layouts = root, true
			return nil
		}
	}
	switch {
	case len(roots) == 1:
		a.root = roots[0]
		return nil
	case len(roots) > 1:
		return a.severalRoots(location, roots)
	}
	if a.tree.count == 1 {
		return report.WithHint(fmt.Errorf("opening source %s: nothing is in the archive", location), "was it made of the right directory?")
	}
	return a.noRegistry(location)
}

func (a *archive) severalRoots(location string, roots []uint32) error {
	var names []string
	for _, id := range roots[:min(len(roots), 5)] {
		names = append(names, a.tree.path(id, top))
	}
	if len(roots) > len(names) {
		names = append(names, "…")
	}
	return report.WithHint(fmt.Errorf("opening source %s: the storage of %d registries is in it: %s", location, len(roots), strings.Join(names, ", ")),
		"unpack the one that is meant, and give its directory: tar -xf ARCHIVE PATH")
}

// The classes of what may be docker/registry/v2, the best first.
const (
	atHome       = iota // docker/registry/v2
	belowDocker         // registry/v2
	belowVersion        // v2
	twoTrees            // holds blobs and repositories
	oneTree             // holds one of them
	emptyAtHome         // docker/registry/v2 with nothing in it
	emptyBelow          // registry/v2 with nothing in it
	noClass
)

// roots gives the directories of the best class that there is. What is below one
// is not looked at: a repository may have any name. Only one that merely holds
// something called repositories or blobs may have a true one below it.
func (a *archive) roots() (best []uint32, class int) {
	type candidate struct {
		id   uint32
		weak bool // below one of class oneTree
	}
	class = noClass
	for level := []candidate{{top, false}}; len(level) > 0; {
		var below []candidate
		for _, at := range level {
			c := a.classify(at.id)
			if at.weak && c >= twoTrees {
				c = noClass
			}
			switch {
			case c < class:
				best, class = []uint32{at.id}, c
			case c == class && c != noClass:
				best = append(best, at.id)
			}
			if c < oneTree {
				continue
			}
			for _, kid := range a.tree.kidsOf(at.id) {
				if a.tree.node(kid).kind == directory {
					below = append(below, candidate{kid, at.weak || c == oneTree})
				}
			}
		}
		level = below
	}
	return best, class
}

// classify tells how much a directory looks like docker/registry/v2.
func (a *archive) classify(id uint32) int {
	way := a.way(id)
	home, docker := way == below[0], strings.HasSuffix(way, below[1])
	blobs, repositories := a.isBlobs(id), a.leadsToDirectory(id, "repositories")
	_, layout := a.tree.child(id, "oci-layout")  // its blobs directory is another format's
	_, bundle := a.tree.child(id, inventoryFile) // its directories are parts of names
	switch {
	case layout, bundle, !blobs && !repositories:
	case home:
		return atHome
	case docker:
		return belowDocker
	case strings.HasSuffix(way, below[2]):
		return belowVersion
	case blobs && repositories:
		return twoTrees
	default:
		return oneTree
	}
	switch {
	case layout, bundle:
		return noClass
	case home:
		return emptyAtHome
	case docker:
		return emptyBelow
	default:
		return noClass
	}
}

// way is the last three directories on the way to one, which is included.
func (a *archive) way(id uint32) string {
	var names []string
	for ; id != top && len(names) < 3; id = a.tree.node(id).parent {
		names = append(names, a.tree.get(a.tree.node(id).name))
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

// isBlobs tells whether a directory holds one of blobs: blobs/<algorithm>/.
func (a *archive) isBlobs(dir uint32) bool {
	steps := 0
	id, ok := a.tree.child(dir, "blobs")
	if !ok {
		return false
	}
	blobs, err := a.tree.follow(id, &steps)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(a.tree.kidsOf(blobs), func(kid uint32) bool {
		name := a.tree.get(a.tree.node(kid).name)
		return name == "sha256" || name == "sha512" || name == "sha384"
	})
}

func (a *archive) leadsToDirectory(dir uint32, name string) bool {
	steps := 0
	id, ok := a.tree.child(dir, name)
	if !ok {
		return false
	}
	to, err := a.tree.follow(id, &steps)
	return err == nil && a.tree.node(to).kind == directory
}

// setHome finds the directory that holds docker.
func (a *archive) setHome(root string) {
	if root != below[0] && !strings.HasSuffix(root, "/"+below[0]) {
		return
	}
	a.home, a.hasHome = a.root, true
	for range 3 {
		a.home = a.tree.node(a.home).parent
	}
}

// tellLinks tells of links below the root that lead to nothing that can be read.
func (a *archive) tellLinks(told *told) {
	for id := range uint32(a.tree.count) {
		if n := a.tree.node(id); n.kind != symlink && n.kind != hardLink {
			continue
		}
		steps := 0
		_, err := a.tree.follow(id, &steps)
		if (err == errLeadsOut || err == errNoTarget) && a.tree.holds(a.root, id) && a.tree.listed(id) {
			told.member(a.tree.path(id, top), err.Error())
		}
	}
}

// noRegistry says what an archive is instead, as notARegistry does of a directory.
func (a *archive) noRegistry(location string) error {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, a.hasAbove)
	}
	switch {
	case has(layoutManifest) && !has(layoutVersion):
		return report.WithHint(fmt.Errorf("opening source %s: it is an archive of images, as docker save writes it, not a registry's storage", location),
			"skopeo copies each on its own: skopeo copy docker-archive:FILE docker://…")
	case has("oci-layout"):
		return report.WithHint(fmt.Errorf("opening source %s: it is an OCI layout in an archive, not a registry's storage", location),
			"skopeo copies it on its own: skopeo copy oci-archive:FILE docker://…")
	}
	return instead(location, "everywhere in it", has)
}

// hasAbove looks for a path in the archive's top, and in the directories below
// it as long as there is nothing beside them.
func (a *archive) hasAbove(path string) bool {
	for dir := top; ; {
		if _, ok := a.tree.walkDown(dir, path); ok {
			return true
		}
		kids := a.tree.kidsOf(dir)
		if len(kids) != 1 {
			return false
		}
		dir = kids[0]
	}
}
