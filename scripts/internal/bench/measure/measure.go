// Package measure runs programs and says what they took.
//
// The peak of a program's memory is what the kernel says of it when it has ended.
// That is never less than what its parent had when it was started; so a small
// process stands in between, this program itself as Child.
package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Command is what to run.
type Command struct {
	Args   []string
	Env    []string // beside the environment
	Stdin  io.Reader
	Stdout io.Writer // nil: to nowhere
}

// Usage is what a program took, its children included.
type Usage struct {
	Seconds float64
	CPU     float64 // seconds, user and system
	Memory  int64   // the peak, bytes; of the largest process
	Files   int     // the most file descriptors open at a time, as far as looking now and then shows
}

// ChildFlag as its first argument tells this program to be Child.
const ChildFlag = "-measure-child"

// Run runs a program to its end. Where it fails, the error has the end of what it
// said.
func Run(ctx context.Context, c Command) (Usage, error) {
	self, err := os.Executable()
	if err != nil {
		return Usage{}, err
	}
	report, to, err := os.Pipe()
	if err != nil {
		return Usage{}, err
	}
	defer report.Close()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, self, append([]string{ChildFlag}, c.Args...)...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, &said
	cmd.ExtraFiles = []*os.File{to}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Start()
	to.Close()
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	decoding := json.NewDecoder(report).Decode(&u)
	if err := cmd.Wait(); err != nil {
		return u, fmt.Errorf("running %s: %w: %s", strings.Join(c.Args, " "), err, end(said.String()))
	}
	return u, decoding
}

// end is the last of what a program said.
func end(s string) string {
	const most = 2000 // bytes
	return strings.TrimSpace(s[max(0, len(s)-most):])
}

// look is how often open file descriptors are counted.
const look = 20 * time.Millisecond

// Child runs a program, writes its Usage to file descriptor 3, and gives its exit
// status.
func Child(args []string) int {
	report := os.NewFile(3, "report")
	syscall.CloseOnExec(3)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 127
	}
	files := make(chan int)
	ended := make(chan struct{})
	go func() { files <- mostFiles(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	u := Usage{Seconds: time.Since(start).Seconds()}
	close(ended)
	u.Files = <-files
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.Memory = r.Maxrss << 10
		u.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	}
	if err := json.NewEncoder(report).Encode(u); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 126
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1)
	}
	return 0
}

// mostFiles counts until the end the file descriptors that a process has open.
func mostFiles(pid int, ended <-chan struct{}) int {
	most := 0
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
			most = max(most, len(entries))
		}
		select {
		case <-tick.C:
		case <-ended:
			return most
		}
	}
}

// Peak asks for a value every 20 ms until stop is called, which gives the largest
// that there was.
func Peak(value func() int64) (stop func() int64) {
	ended, peak := make(chan struct{}), make(chan int64)
	go func() {
		most := value()
		tick := time.NewTicker(look)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, value())
			case <-ended:
				peak <- max(most, value())
				return
			}
		}
	}()
	return func() int64 { close(ended); return <-peak }
}

// Taken is how many bytes of a file system are taken, by whomever.
func Taken(dir string) int64 {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0
	}
	return int64(s.Blocks-s.Bfree) * int64(s.Bsize)
}
