package report_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// chromium is a headless browser, spoken to by the DevTools protocol over a
// pair of pipes (https://chromedevtools.github.io/devtools-protocol): messages
// are JSON, each ended by a NUL byte.
type chromium struct {
	t       *testing.T
	to      *os.File
	session string
	opened  []string // addresses

	mu      sync.Mutex
	next    int
	answers map[int]chan message
	events  []message
	ended   error
}

type message struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// patience is how long a browser that hangs may hang.
const patience = 2 * time.Minute

// startChromium starts a browser that can reach nothing, and opens an empty
// page in it. Without one the test is skipped, but not in CI.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no chromium")
		}
		t.Skip("there is no chromium")
	}
	c := &chromium{t: t, answers: map[int]chan message{}}
	c.start(path)
	var target struct{ TargetID string }
	c.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	c.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		c.call(domain+".enable", nil, nil)
	}
	return c
}

func (c *chromium) start(path string) {
	t := c.t
	t.Helper()
	args := []string{
		"--headless=new", "--remote-debugging-pipe", "--user-data-dir=" + filepath.Join(t.TempDir(), "profile"), "--no-first-run",
		"--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
		"--disable-extensions", "--disable-breakpad", "--disable-crash-reporter", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND",
	}
	if os.Getuid() == 0 {
		args = append(args, "--no-sandbox") // Chromium's sandbox refuses root; the only page is our own
	}
	theirIn, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	c.to = to
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.listen(from)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with its renderers, which share the group
		_ = cmd.Wait()
		<-read
		from.Close()
		to.Close()
	})
}

func (c *chromium) listen(from *os.File) {
	in := bufio.NewReaderSize(from, 1<<16)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			c.end(err)
			return
		}
		var m message
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			c.end(err)
			return
		}
		c.mu.Lock()
		if answer := c.answers[m.ID]; m.ID != 0 && answer != nil {
			answer <- m
			delete(c.answers, m.ID)
		} else {
			c.events = append(c.events, m)
		}
		c.mu.Unlock()
	}
}

func (c *chromium) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = err
	for id, answer := range c.answers {
		close(answer)
		delete(c.answers, id)
	}
}

// call asks the browser, and decodes its answer unless into is nil.
func (c *chromium) call(method string, params, into any) {
	c.t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		c.t.Fatal(err)
	}
	if params == nil {
		raw = []byte("{}")
	}
	answer := make(chan message, 1)
	c.mu.Lock()
	if c.ended != nil {
		c.mu.Unlock()
		c.t.Fatalf("%s: the browser is gone: %v", method, c.ended)
	}
	c.next++
	id := c.next
	c.answers[id] = answer
	c.mu.Unlock()
	text, err := json.Marshal(message{ID: id, SessionID: c.session, Method: method, Params: raw})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.to.Write(append(text, 0)); err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	select {
	case m, ok := <-answer:
		if !ok {
			c.t.Fatalf("%s: the browser is gone", method)
		}
		if m.Error != nil {
			c.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if into != nil {
			if err := json.Unmarshal(m.Result, into); err != nil {
				c.t.Fatal(err)
			}
		}
	case <-time.After(patience):
		c.t.Fatalf("%s: no answer", method)
	}
}

// told gives the events of some methods so far.
func (c *chromium) told(methods ...string) []message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.events), func(m message) bool { return !slices.Contains(methods, m.Method) })
}

// forget takes what was told as read.
func (c *chromium) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = nil
}

// complaints are words in the console, exceptions, dialogs, frames, and requests
// for anything but the files that were opened on purpose.
func (c *chromium) complaints() []string {
	var all []string
	for _, m := range c.told("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening", "Page.frameAttached") {
		all = append(all, fmt.Sprintf("%s %s", m.Method, m.Params))
	}
	for _, m := range c.told("Network.requestWillBeSent", "Network.webSocketCreated", "Network.webTransportCreated") {
		var asked struct {
			Type    string
			Request struct{ URL string }
		}
		if err := json.Unmarshal(m.Params, &asked); err != nil {
			c.t.Fatal(err)
		}
		if asked.Type != "Document" || !slices.Contains(append(c.opened, "about:blank"), asked.Request.URL) {
			all = append(all, "asked for "+asked.Request.URL)
		}
	}
	return all
}
