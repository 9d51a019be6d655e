//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// running is drydock as a process of its own, in the middle of something.
type running struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan error
}

// startRunning starts a command line, which is killed where it does not end.
func startRunning(t *testing.T, stdin io.Reader, line ...string) *running {
	t.Helper()
	r := &running{cmd: exec.CommandContext(t.Context(), line[0], line[1:]...), ended: make(chan error, 1)}
	r.cmd.Stdin, r.cmd.Stderr = stdin, &r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	return r
}

func (r *running) wait(t *testing.T) {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(30 * time.Second):
		_ = r.cmd.Process.Kill()
		t.Fatalf("it goes on: %s", &r.stderr)
	}
}

// Whoever is asked for a password may think better of it, and a line that is hung
// up is an interruption like any other.
func TestInterruptedAtPassword(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			stdin, silent, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			defer silent.Close()
			r := startRunning(t, stdin, "drydock", "plan", "../../testdata/distribution-3", "harbor.invalid", "-u", "x", "--password-stdin", "--log-level", "debug")
			if _, err := silent.Write(bytes.Repeat([]byte("x"), 100<<10)); err != nil { // more than a pipe holds: it is being read
				t.Fatal(err)
			}
			if err := r.cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			r.wait(t)
			if code := r.cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(r.stderr.String(), "interrupted") {
				t.Errorf("exit status %d: %s", code, &r.stderr)
			}
		})
	}
}

// TestSecondSignal holds that what hears of no interruption, here of the first,
// since it waits for a file, ends with the second.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	tags, r := readingTags(t, "drydock")
	defer tags.Close()
	for range 1000 {
		_ = r.cmd.Process.Signal(os.Interrupt)
		select {
		case <-r.ended:
			if status := r.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
				t.Errorf("it ended with %v: %s", r.cmd.ProcessState, &r.stderr)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	_ = r.cmd.Process.Kill()
	t.Error("it goes on, whatever is sent to it")
}

// TestNohup holds that what nohup started goes on where its line is hung up.
func TestNohup(t *testing.T) {
	t.Parallel()
	tags, r := readingTags(t, "sh", "-c", `trap "" HUP; exec drydock "$@"`, "sh")
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	tags.Close()
	r.wait(t)
	if !r.cmd.ProcessState.Success() {
		t.Errorf("it ended with %v: %s", r.cmd.ProcessState, &r.stderr)
	}
}

// readingTags starts a list that waits for its file of tags, which it has open.
func readingTags(t *testing.T, line ...string) (tags *os.File, r *running) {
	t.Helper()
	fifo := filepath.Join(t.TempDir(), "tags")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r = startRunning(t, nil, append(line, "list", "../../testdata/distribution-3", "--tags", fifo)...)
	for range 30000 {
		tags, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			return tags, r
		}
		if !errors.Is(err, syscall.ENXIO) { // nobody has it open for reading
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	_ = r.cmd.Process.Kill()
	t.Fatalf("it does not read its tags: %s", &r.stderr)
	return nil, nil
}
