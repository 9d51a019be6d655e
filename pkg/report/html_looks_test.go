package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var pictures = flag.String("pictures", "", "a `directory` for pictures of the HTML report, to be looked at")

// printing takes the margins that the style sheet wants, on A4.
var printing = map[string]any{"preferCSSPageSize": true, "paperWidth": 8.27, "paperHeight": 11.69}

func (c *chromium) print() []byte {
	c.t.Helper()
	return c.picture("Page.printToPDF", printing)
}

// fits tells whether the page can be read without scrolling sideways.
func (c *chromium) fits(what string) {
	c.t.Helper()
	var widths []int
	c.eval(`[document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth, document.documentElement.clientWidth]`, &widths)
	if max(widths[0], widths[1], widths[2]) > widths[3] {
		c.t.Errorf("%s: the page is %d, %d and %d wide, on a screen of %d", what, widths[0], widths[1], widths[2], widths[3])
	}
}

func TestBrowserWidths(t *testing.T) {
	c := startChromium(t)
	for name, run := range everyRun() {
		path := writeRun(t, "run.html", run)
		for _, width := range []int{320, 360, 768, 900, 1280, 2560} {
			c.size(width, 800, width < 800)
			c.open(path, "")
			c.fits(name)
			c.eval(`document.getElementById("long")?.click()`, nil)
			c.fits(name + " with full digests")
			if width == 360 {
				c.expect("true", `(b => !b || innerWidth === 360 && getComputedStyle(b).display !== "none")(document.getElementById("turn"))`)
			}
		}
	}
	c.quiet()
}

// contrast gives every text whose colour is too near that of its ground: under
// 4.5 to 1 (https://www.w3.org/TR/WCAG22/#contrast-minimum).
const contrast = `(() => {
	const channels = color => color.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
	const ground = e => {
		for (; e; e = e.parentElement) {
			const color = channels(getComputedStyle(e).backgroundColor);
			if (color.length === 3 || color[3] === 1) return color;
		}
		return [NaN, NaN, NaN];
	};
	const weak = [];
	let seen = 0;
	for (const e of document.body.querySelectorAll("*")) {
		if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.tagName === "SCRIPT" || e.disabled) continue;
		seen++;
		const [a, b] = [light(channels(getComputedStyle(e).color)), light(ground(e))].sort((a, b) => b - a);
		const ratio = (a + 0.05) / (b + 0.05);
		if (!(ratio >= 4.5)) weak.push(e.tagName + " " + e.textContent.slice(0, 30) + " " + ratio);
	}
	return seen < 20 ? ["only " + seen + " texts"] : weak;
})()`

func TestBrowserContrast(t *testing.T) {
	c := startChromium(t)
	for name, run := range everyRun() {
		path := writeRun(t, "run.html", run)
		for _, scheme := range []string{"light", "dark"} {
			c.media("screen", scheme)
			c.open(path, "")
			var weak []string
			c.eval(contrast, &weak)
			if len(weak) > 0 {
				t.Errorf("%s, %s: too weak: %q", name, scheme, weak)
			}
			c.expect(map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(20, 25, 30)"}[scheme], `getComputedStyle(document.body).backgroundColor`)
		}
	}
}

// TestBrowserRoles reads the page as a screen reader does: rows are grids to the
// eye, and rows of a table all the same.
func TestBrowserRoles(t *testing.T) {
	c := startChromium(t)
	for _, width := range []int{360, 1280} {
		c.size(width, 800, false)
		c.open(writeRun(t, "run.html", mixedRun(60)), "")
		var tree struct {
			Nodes []struct {
				Ignored    bool
				Role, Name struct{ Value string }
			}
		}
		c.call("Accessibility.getFullAXTree", nil, &tree)
		roles := map[string]int{}
		for _, n := range tree.Nodes {
			if !n.Ignored {
				roles[n.Role.Value]++
				if (n.Role.Value == "button" || n.Role.Value == "searchbox" || n.Role.Value == "combobox") && n.Name.Value == "" {
					t.Errorf("a %s has no name", n.Role.Value)
				}
			}
		}
		heads := 8 // with those of the table of bytes
		if width == 360 {
			heads = 2
		}
		if roles["rowheader"] != 63 || roles["columnheader"] != heads || roles["cell"] != 60*5+3 || roles["table"] != 2 || roles["searchbox"] != 1 || roles["status"] != 1 || roles["main"] != 1 {
			t.Errorf("at %d: %v", width, roles)
		}
		c.expect("en", `document.documentElement.lang`)
		c.expect("", `[...document.querySelectorAll("th:not([scope])")].map(th => th.textContent)`)
		c.expect("1", `document.querySelectorAll("h1").length`)
	}
}

var pdfPages = regexp.MustCompile(`/Type\s*/Page\b`)

func TestBrowserPrints(t *testing.T) {
	c := startChromium(t)
	run := mixedRun(200)
	path := writeRun(t, "run.html", run)
	c.open(path, "")
	all := len(pdfPages.FindAll(c.print(), -1))
	c.open(path, "#q=nobody+has+this")
	pdf := c.print()
	if pages := len(pdfPages.FindAll(pdf, -1)); !bytes.HasPrefix(pdf, []byte("%PDF-")) || pages != all || pages < 5 {
		t.Errorf("%d pages where nothing is found, of %d", pages, all)
	}
	c.expect("0", `document.querySelectorAll("details[open]").length`) // as before

	c.media("print", "dark")
	if got := c.shownRows(); len(got) != 200 {
		t.Errorf("%d rows are printed", len(got))
	}
	for _, id := range []string{"tools", "shown"} {
		c.expect("none", `getComputedStyle(document.getElementById("`+id+`")).display`)
	}
	c.expect("block", `getComputedStyle(document.querySelector(".sign")).display`)
	c.expect("table-row", `getComputedStyle(document.querySelector("#images tbody tr")).display`)
	c.expect("table-header-group", `getComputedStyle(document.querySelector("#images thead")).display`)
	c.expect("rgb(255, 255, 255)", `getComputedStyle(document.body).backgroundColor`)
	c.expect("normal", `getComputedStyle(document.querySelector("#images code")).whiteSpace`)
	c.eval(`dispatchEvent(new Event("beforeprint"))`, nil)
	c.expect("0", `document.querySelectorAll("details:not([open])").length`)
	c.eval(`dispatchEvent(new Event("afterprint"))`, nil)
	c.expect("0", `document.querySelectorAll("details[open]").length`)
	c.quiet()
}

// TestPictures makes pictures for people, where -pictures names a directory.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("-pictures is not given")
	}
	keep := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(*pictures, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := startChromium(t)
	for name, run := range everyRun() {
		path := writeRun(t, "run.html", run)
		for _, screen := range []struct {
			name          string
			width, height int
			scheme, place string
		}{
			{"desktop", 1280, 1500, "light", "header"},
			{"table", 1280, 1000, "light", "#all"},
			{"notes", 1280, 1000, "light", "#notes"},
			{"dark", 1280, 1500, "dark", "header"},
			{"dark-table", 1280, 1000, "dark", "#all"},
			{"tablet", 800, 1000, "light", "#all"},
			{"phone", 360, 1500, "light", "header"},
			{"phone-table", 360, 1000, "dark", "#all"},
		} {
			c.size(screen.width, screen.height, screen.width < 500)
			c.media("screen", screen.scheme)
			c.open(path, "")
			c.eval(`document.querySelector("`+screen.place+`")?.scrollIntoView()`, nil)
			c.eval(`new Promise(done => setTimeout(done, 300))`, nil)
			keep(name+"-"+screen.name+".png", c.picture("Page.captureScreenshot", map[string]any{"format": "png"}))
		}
		c.media("", "light")
		c.open(path, "")
		keep(name+".pdf", c.print())
	}
}
