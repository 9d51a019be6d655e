// Package registry runs distribution's registry as a program, on the loopback.
package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Registry is one that runs.
type Registry struct {
	Addr string // host:port
	Dir  string // its root directory
	cmd  *exec.Cmd
	said bytes.Buffer
}

// The registry says nothing of what it is asked for, and is otherwise as it comes.
const config = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %q}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: %q, secret: bench}
`

// Start starts one over a directory, and returns when it answers.
func Start(ctx context.Context, dir string) (*Registry, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, fmt.Errorf("starting registry: %w", err)
	}
	file, err := WriteConfig(dir, addr)
	if err != nil {
		return nil, fmt.Errorf("starting registry: %w", err)
	}
	defer os.Remove(file)
	r := &Registry{Addr: addr, Dir: dir}
	r.cmd = exec.CommandContext(ctx, "registry", "serve", file)
	r.cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is for whoever started it
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting registry: %w", err)
	}
	if err := r.await(ctx); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

// WriteConfig writes a configuration for one over a directory, into a file beside
// that, and gives its path.
func WriteConfig(dir, addr string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(dir), "registry-*.yml")
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintf(f, config, dir, addr)
	return f.Name(), errors.Join(err, f.Close())
}

// FreeAddr is a host and port on the loopback that nobody has.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

const patience = 30 * time.Second

func (r *Registry) await(ctx context.Context) error {
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + r.Addr + "/v2/")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.New("starting registry: it does not answer")
}

// Stop ends it.
func (r *Registry) Stop() error {
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := r.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() < 0 {
		err = nil // by the signal
	}
	if err != nil {
		return fmt.Errorf("stopping registry: %w: %s", err, r.said.String())
	}
	return nil
}

// Tags is how many tags its storage has.
func (r *Registry) Tags() (int, error) {
	tags, err := 0, error(nil)
	walk := func(path string, e os.DirEntry, failed error) error {
		if failed != nil {
			return failed
		}
		if e.IsDir() && e.Name() == "_layers" {
			return filepath.SkipDir
		}
		if e.Name() == "link" && filepath.Base(filepath.Dir(path)) == "current" {
			tags++
		}
		return nil
	}
	err = filepath.WalkDir(filepath.Join(r.Dir, "docker/registry/v2/repositories"), walk)
	return tags, err
}
