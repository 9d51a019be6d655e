package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// Commands of scripts about servers:
//
//	serving SOURCE ARG … starts drydock serve SOURCE ARG … at any free port, and waits until
//	                     it listens: $SERVED is its URL, $SERVED_HOST its host and port
//	serving end N FILE   asks it to end, holds that its exit status is N, and writes what it
//	                     wrote to standard error to FILE
//	ask METHOD URL FILE [HEADER: VALUE …]
//	                     writes an answer to FILE: its status, its headers, and its body.
//	                     Names in <> in the URL are those of the tree that is served
func init() {
	scriptCommands["serving"] = scriptServing
	scriptCommands["ask"] = scriptAsk
}

// serving is a drydock that serves, by script.
var serving sync.Map

type server struct {
	cmd    *exec.Cmd
	source string
	stderr bytes.Buffer
}

func scriptServing(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 3 && args[0] == "end" {
		endServing(ts, args[1], args[2])
		return
	}
	s := &server{source: args[0]}
	var program string
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "drydock")); err == nil {
			program = filepath.Join(dir, "drydock")
			break
		}
	}
	s.cmd = exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	s.cmd.Dir, s.cmd.Stderr = ts.MkAbs("."), &s.stderr
	stdout, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Defer(func() {
		_ = s.cmd.Process.Kill() // where it has not ended
		_ = s.cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	at := regexp.MustCompile(`^serving .* at (https?)://(\S+)\n$`).FindStringSubmatch(line)
	if err != nil || at == nil {
		_ = s.cmd.Wait()
		ts.Fatalf("it says %q (%v) and %s", line, err, s.stderr.String())
	}
	ts.Logf("%s", line)
	ts.Setenv("SERVED", at[1]+"://"+at[2])
	ts.Setenv("SERVED_HOST", at[2])
	serving.Store(ts, s)
}

func endServing(ts *testscript.TestScript, status, file string) {
	value, ok := serving.LoadAndDelete(ts)
	if !ok {
		ts.Fatalf("nothing is served")
	}
	s := value.(*server)
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	_ = s.cmd.Wait()
	if got := fmt.Sprint(s.cmd.ProcessState.ExitCode()); got != status {
		ts.Fatalf("exit status %s, want %s: %s", got, status, s.stderr.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs(file), s.stderr.Bytes(), 0o644))
}

func scriptAsk(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: ask METHOD URL FILE [HEADER: VALUE …]")
	}
	url := args[1]
	if value, ok := serving.Load(ts); ok && strings.Contains(url, "<") {
		url = treeOf(ts, value.(*server).source).Expand(url)
	}
	req, err := http.NewRequest(args[0], url, nil)
	ts.Check(err)
	for _, h := range args[3:] {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var answer bytes.Buffer
	fmt.Fprintln(&answer, resp.StatusCode)
	ts.Check(resp.Header.Write(&answer))
	fmt.Fprintf(&answer, "\n%s\n", body)
	if err != nil {
		fmt.Fprintln(&answer, "broken off")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), answer.Bytes(), 0o644))
}
