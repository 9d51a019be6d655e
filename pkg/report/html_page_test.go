package report_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"time"
)

// open loads a file, with a fragment, and waits until it is there.
func (c *chromium) open(path, fragment string) {
	c.t.Helper()
	c.call("Page.navigate", map[string]any{"url": "about:blank"}, nil)
	c.until("document.URL === 'about:blank'")
	address := url.URL{Scheme: "file", Path: path}
	c.opened = append(c.opened, address.String())
	c.call("Page.navigate", map[string]any{"url": address.String() + fragment}, nil)
	c.until("document.URL !== 'about:blank' && document.readyState === 'complete'")
}

// eval runs a script in the page; into gets its value.
func (c *chromium) eval(script string, into any) {
	c.t.Helper()
	var got struct {
		Result struct {
			Value json.RawMessage
		}
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	c.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true}, &got)
	if got.ExceptionDetails != nil {
		c.t.Fatalf("%s: %s %s", script, got.ExceptionDetails.Text, got.ExceptionDetails.Exception.Description)
	}
	if into != nil {
		if err := json.Unmarshal(got.Result.Value, into); err != nil {
			c.t.Fatalf("%s: %v: %s", script, err, got.Result.Value)
		}
	}
}

// until waits for a script to be true.
func (c *chromium) until(script string) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var is bool
		if c.eval("!!("+script+")", &is); is {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("it never came to be that %s", script)
		}
	}
}

// size makes the page as wide and as high as a screen, in CSS pixels.
func (c *chromium) size(width, height int, mobile bool) {
	c.t.Helper()
	c.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}, nil)
}

// media emulates "print" or "screen", and a scheme, "light" or "dark".
func (c *chromium) media(kind, scheme string) {
	c.t.Helper()
	c.call("Emulation.setEmulatedMedia", map[string]any{
		"media": kind, "features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}},
	}, nil)
}

func (c *chromium) press(key string, code int, text string) {
	c.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		params := map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
		if kind == "keyDown" && text != "" {
			params["text"] = text
		}
		c.call("Input.dispatchKeyEvent", params, nil)
	}
}

func (c *chromium) picture(method string, params map[string]any) []byte {
	c.t.Helper()
	var got struct{ Data string }
	c.call(method, params, &got)
	data, err := base64.StdEncoding.DecodeString(got.Data)
	if err != nil {
		c.t.Fatal(err)
	}
	return data
}
