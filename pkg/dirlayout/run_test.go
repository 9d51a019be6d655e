package dirlayout_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/dirlayout"
	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/plan"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
)

// children are what this test program does when it is started again, by the
// name in CHILD, with what the test gives it in ARGS.
var children = map[string]func(args []string) error{
	"hold":    childHold,
	"convert": childConvert,
}

func TestMain(m *testing.M) {
	child, ok := children[os.Getenv("CHILD")]
	if !ok {
		os.Exit(m.Run())
	}
	if err := child(strings.Split(os.Getenv("ARGS"), "\n")); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func child(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CHILD="+name, "ARGS="+strings.Join(args, "\n"))
	return cmd
}

// childHold opens layouts, says so, and stays until it is killed.
func childHold(args []string) error {
	src, err := source.Open(context.Background(), args[0], nil)
	if err != nil {
		return err
	}
	if _, err := dirlayout.Open(args[1], src, nil); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(args[1], ".drydock", "layouts", "half"), nil, 0o644); err != nil {
		return err
	}
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestLock(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	layouts := t.TempDir()
	l := tr.open(t, layouts, "")
	if _, err := dirlayout.Open(layouts, tr.src, nil); err == nil || report.Advice(err) == "" {
		t.Errorf("a second run: error %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	diff(t, []string(nil), list(t, layouts))

	cmd := child("hold", tr.dir, layouts)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "open\n" {
		t.Fatalf("the other run says %q, error %v", said, err)
	}
	if _, err := dirlayout.Open(layouts, tr.src, nil); err == nil {
		t.Error("beside another process it is opened")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	tr.convert(t, layouts, link.Auto)
	for _, path := range list(t, layouts) {
		if strings.Contains(path, ".drydock") || strings.Contains(path, "half") {
			t.Errorf("left over: %s", path)
		}
	}
}

// TestLockRace opens and closes from many sides: never are two inside.
func TestLockRace(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	layouts := t.TempDir()
	var inside sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				l, err := dirlayout.Open(layouts, tr.src, nil)
				if err != nil {
					if report.Advice(err) == "" {
						t.Error(err)
					}
					continue
				}
				if !inside.TryLock() {
					t.Error("two runs have the lock")
					continue
				}
				inside.Unlock()
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// halting is a source that is told of each look at a file, and may end the run.
type halting struct {
	source.Dir
	look func()
}

func (h halting) LocalPath(name string) (string, bool) {
	h.look()
	return h.Dir.LocalPath(name)
}

func (h halting) Open(name string) (fs.File, error) {
	h.look()
	return h.Dir.Open(name)
}

// TestInterrupted ends the run after each of its steps: a layout is whole or
// not there.
func TestInterrupted(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	deep := tr.image(t, "library/app:deep")
	for _, method := range []link.Method{link.Hardlink, link.Copy} {
		for steps, ended := 0, true; ended; steps++ {
			layouts := t.TempDir()
			ctx, cancel := context.WithCancel(context.Background())
			left := steps
			src := halting{tr.src.(source.Dir), func() {
				if left--; left < 0 {
					cancel()
				}
			}}
			l, err := dirlayout.Open(layouts, src, &dirlayout.Options{Link: method})
			if err != nil {
				t.Fatal(err)
			}
			made, err := l.Write(ctx, deep)
			ended = err != nil
			cancel()
			if ended && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			_, statErr := os.Lstat(filepath.Join(layouts, "library"))
			if made == ended || (statErr == nil) == ended {
				t.Errorf("%s, %d steps: made %v, error %v, %v", method, steps, made, err, statErr)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(filepath.Join(layouts, ".drydock")); err == nil {
				t.Error("the work directory is still there")
			}
		}
	}
}

// childConvert copies layouts and is killed by itself after so many looks.
func childConvert(args []string) error {
	var looks int
	if _, err := fmt.Sscan(args[2], &looks); err != nil {
		return err
	}
	t := &testing.T{}
	tr := load(t, args[0], plan.Rules{})
	src := halting{tr.src.(source.Dir), func() {
		if looks--; looks < 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}}
	l, err := dirlayout.Open(args[1], src, &dirlayout.Options{Link: link.Copy})
	if err != nil {
		return err
	}
	for _, i := range tr.p.Images {
		if _, err := l.Write(context.Background(), i); err != nil {
			return err
		}
	}
	return nil
}

// TestKilled kills a run that copies, in several places: what it copied whole
// is not copied again, and no layout is half-written.
func TestKilled(t *testing.T) {
	tr := write(t, t.TempDir(), sample, plan.Rules{})
	whole := list(t, layoutsOf(t, tr))
	for _, looks := range []int{1, 7, 12, 25} {
		t.Run(fmt.Sprint(looks), func(t *testing.T) {
			layouts := t.TempDir()
			if err := child("convert", tr.dir, layouts, fmt.Sprint(looks)).Run(); err == nil {
				t.Fatal("it was not killed")
			}
			copied := int64(0)
			seen := map[uint64]bool{}
			for _, path := range list(t, layouts) {
				info, err := os.Lstat(filepath.Join(layouts, path))
				if err != nil {
					t.Fatal(err)
				}
				inode := info.Sys().(*syscall.Stat_t).Ino
				if counts := info.Mode().IsRegular() && !strings.Contains(path, "/version") && !strings.HasSuffix(path, ".partial"); counts && !seen[inode] {
					seen[inode] = true
					copied += info.Size()
				}
			}
			usage := tr.convert(t, layouts, link.Copy)
			if usage.Copied+copied != tr.unique() {
				t.Errorf("%d bytes were copied before, %d after, of %d", copied, usage.Copied, tr.unique())
			}
			diff(t, whole, list(t, layouts))
		})
	}
}

func layoutsOf(t *testing.T, tr tree) string {
	t.Helper()
	dir := t.TempDir()
	tr.convert(t, dir, link.Auto)
	return dir
}

// unique is the size of all files that the plan needs, each once.
func (tr tree) unique() int64 {
	sizes := map[string]int64{}
	for _, i := range tr.p.Images {
		for _, m := range i.Manifests {
			sizes[tr.x.Path(m.Digest)] = m.Size
		}
		for _, b := range i.Blobs {
			sizes[tr.x.Path(b.Digest)] = b.Size
		}
	}
	sum := int64(0)
	for _, size := range sizes {
		sum += size
	}
	return sum
}
