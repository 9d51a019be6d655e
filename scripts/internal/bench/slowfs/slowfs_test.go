package slowfs_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/slowfs"
)

func TestFS(t *testing.T) {
	fsys := fstest.MapFS{"a/b": {Data: []byte("content")}, "c": {}}
	if err := fstest.TestFS(slowfs.New(fsys, 0), "a/b", "c"); err != nil {
		t.Error(err)
	}
	counted := slowfs.New(fsys, 0)
	for _, one := range []func() error{
		func() error { _, err := fs.ReadDir(counted, "."); return err },
		func() error { _, err := fs.Stat(counted, "c"); return err },
		func() error { // open, and read twice: the end is an operation too
			f, err := counted.Open("a/b")
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.Read(make([]byte, 100))
			_, _ = f.Read(make([]byte, 100))
			return err
		},
	} {
		if err := one(); err != nil {
			t.Error(err)
		}
	}
	if got := counted.Operations(); got != 5 {
		t.Errorf("%d operations, not 5", got)
	}
}
