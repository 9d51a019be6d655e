package dirlayout

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"syscall"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
)

// The contents of the file version, of which there are two. The second version
// knows digests of other algorithms, by names with the algorithm in front.
const (
	Version1_1 = "Directory Transport Version: 1.1\n"
	Version1_2 = "Directory Transport Version: 1.2\n"
)

// versions makes the files version of layouts. All layouts of a run share one:
// a file of its own costs each an inode, a block, and eight calls for one. Who
// writes to it in one layout writes to it in all, as with every other file of a
// layout; and there is nothing else to be written into it.
type versions struct {
	dir  string // for those that are linked
	link func(from *link.Dir, name string, to *link.Dir, as string) error

	mu    sync.Mutex
	made  int               // numbers them
	files map[string]string // the paths of those in use, by their contents
	alone bool              // no links here: each layout gets a file of its own
}

func newVersions(dir string) *versions {
	return &versions{dir: dir, link: link.HardAt, files: map[string]string{}}
}

// place puts a file of the content into a layout.
func (v *versions) place(content string, to *link.Dir, as string) error {
	full := ""
	for range 2 {
		from, err := v.file(content, full)
		if err != nil {
			return err
		}
		if from == "" {
			break
		}
		err = v.link(nil, from, to, as)
		switch {
		case errors.Is(err, syscall.EMLINK): // it has all the links that a file can have
			full = from
		case err != nil && link.Refused(err):
			v.refuse()
		default:
			return err
		}
	}
	return os.WriteFile(to.Path(as), []byte(content), 0o644)
}

// file gives the path of a file of the content, made if need be, and not the one
// that is full; or empty where there are no links.
func (v *versions) file(content, full string) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if path := v.files[content]; v.alone || (path != "" && path != full) {
		return path, nil
	}
	v.made++
	path := v.dir + separator + "version-" + strconv.Itoa(v.made)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return "", err
	}
	v.files[content] = path
	return path, nil
}

func (v *versions) refuse() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.alone = true
	clear(v.files)
}
