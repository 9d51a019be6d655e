package tree_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// TestView tells what a repository has of a blob as its registry would find it, and
// changes nothing.
func TestView(t *testing.T) {
	sha512 := digest.SHA512.FromBytes
	for _, tt := range []struct {
		name   string
		has    bool
		err    string
		damage func(data, link string) error
	}{
		{name: "whole", has: true, damage: func(string, string) error { return nil }},
		{name: "no blob", damage: func(data, _ string) error { return os.Remove(data) }},
		{name: "no link", damage: func(_, link string) error { return os.Remove(link) }},
		{name: "no directory", damage: func(data, _ string) error { return os.RemoveAll(filepath.Dir(data)) }},
		{name: "cut off", damage: func(data, _ string) error { return os.Truncate(data, 7) }},
		{name: "empty link", damage: func(_, link string) error { return os.Truncate(link, 0) }},
		{name: "link of NUL bytes", damage: func(_, link string) error { return os.WriteFile(link, make([]byte, 71), 0o600) }},
		{name: "another's link", damage: func(_, link string) error {
			return os.WriteFile(link, []byte(digest.FromString("another")), 0o600)
		}},
		{name: "endless link", damage: func(_, link string) error { return os.Truncate(link, 1<<40) }},
		{name: "blob is a FIFO", damage: func(data, _ string) error {
			return errors.Join(os.Remove(data), syscall.Mkfifo(data, 0o600))
		}},
		{name: "link is a FIFO", damage: func(_, link string) error {
			return errors.Join(os.Remove(link), syscall.Mkfifo(link, 0o600))
		}},
		{name: "blob is elsewhere", has: true, damage: func(data, _ string) error {
			return errors.Join(os.Rename(data, data+".moved"), os.Symlink(data+".moved", data))
		}},
		{name: "no directory to look into", err: "not a directory", damage: func(data, _ string) error {
			dir := filepath.Dir(data)
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t)
			own, v2 := o.Digest("own"), filepath.Join(o.dir, storagetest.V2)
			if err := tt.damage(o.file("own"), filepath.Join(v2, storage.LayerLinkPath("library/app", own))); err != nil {
				t.Fatal(err)
			}
			v, err := tree.Look(o.dir)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // what is remembered is the same
				has, err := v.Has("library/app", own, int64(len(o.Bytes("own"))))
				if has != tt.has || (err == nil) != (tt.err == "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("has %v, %v", has, err)
				}
			}
			if has, err := v.Has("library/other", own, int64(len(o.Bytes("own")))); has || (err != nil && tt.err == "") {
				t.Errorf("another repository has it: %v, %v", has, err)
			}
		})
	}
	t.Run("under another algorithm", func(t *testing.T) {
		o := newOrigin(t)
		alias, v2 := sha512(o.Bytes("own")), filepath.Join(o.dir, storagetest.V2)
		name := filepath.Join(v2, storage.LayerLinkPath("library/app", alias))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(o.Digest("own")), 0o600)); err != nil {
			t.Fatal(err)
		}
		v, err := tree.Look(v2)
		if err != nil {
			t.Fatal(err)
		}
		if has, err := v.Has("library/app", alias, int64(len(o.Bytes("own")))); err != nil || !has {
			t.Errorf("%v, %v", has, err)
		}
	})
	t.Run("names of no repository", func(t *testing.T) {
		o := newOrigin(t)
		v, err := tree.Look(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if has, err := v.Has("../app", o.Digest("own"), 1); has || err == nil {
			t.Errorf("%v, %v", has, err)
		}
		if has, err := v.Has("library/app", o.Digest("own"), 1); has || err != nil {
			t.Errorf("a new storage: %v, %v", has, err)
		}
	})
}
