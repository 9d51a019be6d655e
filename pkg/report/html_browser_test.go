package report_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// shownRows are the names of the images that can be seen.
func (c *chromium) shownRows() []string {
	c.t.Helper()
	var names []string
	c.eval(`[...document.querySelectorAll("#images tbody tr")].filter(row => getComputedStyle(row).display !== "none")
		.map(row => row.cells[0].firstChild.textContent)`, &names)
	return names
}

// expect compares a text that a script gives.
func (c *chromium) expect(want, script string) {
	c.t.Helper()
	var got string
	c.eval("String("+script+")", &got)
	if got != want {
		c.t.Errorf("%s is %q, not %q", script, got, want)
	}
}

func (c *chromium) quiet() {
	c.t.Helper()
	if all := c.complaints(); len(all) > 0 {
		c.t.Errorf("the browser complains:\n%s", strings.Join(all, "\n"))
	}
}

// names are those of images, in an order: negative where a comes first.
func names(images []report.Image, order func(a, b report.Image) int) []string {
	images = slices.Clone(images)
	slices.SortStableFunc(images, order)
	var all []string
	for _, i := range images {
		all = append(all, i.Name())
	}
	return all
}

func TestBrowserSorts(t *testing.T) {
	c := startChromium(t)
	run := mixedRun(120)
	path := writeRun(t, "run.html", run)
	asTold := func(a, b report.Image) int { return 0 }
	bySize := func(a, b report.Image) int { return int(a.Size - b.Size) }
	rank := map[string]int{}
	for n, i := range run.Images {
		rank[i.Name()] = []int{2, 1, 0, 3, 3, 3}[min(n%50, 5)] // failed, left out, carried, there already
		if n%50 > 5 || n%50 == 0 {
			rank[i.Name()] = 2
		}
	}
	for fragment, order := range map[string]func(a, b report.Image) int{
		"":              asTold,
		"#sort=size":    bySize,
		"#sort=-size":   func(a, b report.Image) int { return bySize(b, a) },
		"#sort=updated": func(a, b report.Image) int { return a.Updated.Compare(b.Updated) },
		"#sort=status":  func(a, b report.Image) int { return rank[a.Name()] - rank[b.Name()] },
		// None of these is known: all is as it was told.
		"#sort=__proto__":               asTold,
		"#sort=-&status=<b>&q=":         asTold,
		"#note-repository-untagged":     asTold,
		"#constructor=1&sort=si-ze":     asTold,
		"#%E0%A4%A&sort=size&sort=<i>":  bySize,
		"#sort=size&nobody=knows&this=": bySize,
	} {
		c.open(path, fragment)
		if d := cmp.Diff(names(run.Images, order), c.shownRows()); d != "" {
			t.Errorf("%s: -want +got:\n%s", fragment, d)
		}
	}

	// Numbers in names are numbers, and what has no target comes last both ways.
	c.open(path, "#sort=image&q=library+service-")
	if got := c.shownRows(); len(got) != 24 || got[0] != "library/service-0:v1.0.0" || got[1] != "library/service-0:v1.5.5" || got[2] != "library/service-0:v1.10.3" {
		t.Errorf("by name: %q", got)
	}
	for _, fragment := range []string{"#sort=target", "#sort=-target"} {
		c.open(path, fragment)
		if got := c.shownRows(); !strings.HasPrefix(got[len(got)-1], "payments/") || rank[got[len(got)-1]] != 1 {
			t.Errorf("%s: the last is %s", fragment, got[len(got)-1])
		}
	}
	c.quiet()
}

func TestBrowserSortsByHand(t *testing.T) {
	c := startChromium(t)
	run := mixedRun(60)
	path := writeRun(t, "run.html", run)
	c.size(1280, 800, false)
	c.open(path, "")
	want := names(run.Images, func(a, b report.Image) int { return int(a.Size - b.Size) })
	c.eval(`document.querySelector("[data-sort=size] button").focus()`, nil)
	c.expect("null", `document.querySelector("[data-sort=size]").getAttribute("aria-sort")`)
	c.press("Enter", 13, "\r")
	c.expect("ascending", `document.querySelector("[data-sort=size]").getAttribute("aria-sort")`)
	if d := cmp.Diff(want, c.shownRows()); d != "" {
		t.Errorf("by keyboard: -want +got:\n%s", d)
	}
	c.press(" ", 32, " ")
	slices.Reverse(want)
	if d := cmp.Diff(want, c.shownRows()); d != "" {
		t.Errorf("again: -want +got:\n%s", d)
	}
	c.expect("descending", `document.querySelector("[data-sort=size]").getAttribute("aria-sort")`)
	c.expect("#sort=-size", `location.hash`)
	c.expect("BUTTON", `document.activeElement.tagName`)
	c.eval(`document.querySelector("[data-sort=updated] button").click()`, nil)
	c.expect("updated", `[...document.querySelectorAll("[aria-sort]")].map(head => head.dataset.sort)`)

	// A view that was passed on is the one that was seen.
	c.eval(`document.querySelector("[data-sort=size] button").click()`, nil)
	seen := c.shownRows()
	var fragment string
	c.eval(`location.hash`, &fragment)
	c.open(path, fragment)
	if d := cmp.Diff(seen, c.shownRows()); d != "" || fragment != "#sort=size" {
		t.Errorf("%s: -seen +opened:\n%s", fragment, d)
	}
	c.quiet()
}

func TestBrowserSearches(t *testing.T) {
	c := startChromium(t)
	run := mixedRun(400)
	path := writeRun(t, "run.html", run)
	shown := func(of func(n int, i report.Image) bool) []string {
		var all []string
		for n, i := range run.Images {
			if of(n, i) {
				all = append(all, i.Name())
			}
		}
		return all
	}
	for fragment, of := range map[string]func(n int, i report.Image) bool{
		"#q=payments":                     func(n int, i report.Image) bool { return n%5 == 1 },
		"#q=PAYMENTS+service-1:":          func(n int, i report.Image) bool { return n%5 == 1 && n/40 == 1 },
		"#q=" + numbered(77)[20:]:         func(n int, i report.Image) bool { return n == 77 },
		"#status=failed":                  func(n int, i report.Image) bool { return n%50 == 2 },
		"#status=left-out&q=is+not+there": func(n int, i report.Image) bool { return n%50 == 1 },
		"#status=there&q=library":         func(n int, i report.Image) bool { return n%50 == 5 },
		"#q=nobody+has+this":              func(n int, i report.Image) bool { return false },
		"#q=<script>":                     func(n int, i report.Image) bool { return false },
	} {
		c.open(path, fragment)
		want := shown(of)
		if d := cmp.Diff(want, c.shownRows(), equateEmpty); d != "" {
			t.Errorf("%s: -want +got:\n%s", fragment, d)
		}
		c.expect(fmt.Sprintf("%d of 400 are shown.", len(want)), `shown.textContent`)
	}

	c.open(path, "")
	c.expect("All 400 are shown.", `shown.textContent`)
	c.eval(`document.getElementById("q").focus()`, nil)
	c.call("Input.insertText", map[string]any{"text": "notebooks"}, nil)
	c.until(`shown.textContent === "80 of 400 are shown."`)
	c.expect("#q=notebooks", `location.hash`)
	c.eval(`const s = document.getElementById("status"); s.value = "there"; s.dispatchEvent(new Event("change"))`, nil)
	c.expect("8 of 400 are shown.", `shown.textContent`)
	c.eval(`location.hash = ""`, nil)
	c.until(`shown.textContent === "All 400 are shown."`)
	c.quiet()
}

// TestBrowserWithoutScripts reads a report where scripts are off.
func TestBrowserWithoutScripts(t *testing.T) {
	c := startChromium(t)
	run := mixedRun(60)
	c.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	c.open(writeRun(t, "run.html", run), "#q=payments")
	if got := c.shownRows(); len(got) != 60 {
		t.Errorf("%d rows are shown", len(got))
	}
	c.expect("none", `getComputedStyle(document.getElementById("tools")).display`)
	c.expect("0", `document.querySelectorAll("thead button").length`)
	c.expect("normal", `getComputedStyle(document.querySelector("#images code")).whiteSpace`)
	c.quiet()
}

// TestBrowserPolicy puts into a report what must never get there: the policy
// holds even then, and the browser complains, as the other tests rely on.
func TestBrowserPolicy(t *testing.T) {
	path := writeRun(t, "run.html", goodRun(3))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := startChromium(t)
	for _, smuggled := range []string{
		`<script>window.ran = true</script>`,
		`<img src="data:image/png;base64,x" onerror="window.ran = true">`,
		`<img src="http://127.0.0.1:1/x.png">`,
		`<link rel="stylesheet" href="http://127.0.0.1:1/x.css">`,
		`<style>body { background: red }</style>`,
		`<iframe srcdoc="<script>parent.ran = true</script>"></iframe>`,
	} {
		doctored := strings.Replace(string(text), "<main>", "<main>"+smuggled, 1)
		if err := os.WriteFile(path, []byte(doctored), 0o644); err != nil {
			t.Fatal(err)
		}
		c.open(path, "")
		c.eval(`new Promise(done => setTimeout(done, 100))`, nil)
		c.expect("undefined", `window.ran`)
		if len(c.complaints()) == 0 {
			t.Errorf("%s goes unnoticed", smuggled)
		}
		for _, m := range c.told("Network.loadingFailed") {
			if !strings.Contains(string(m.Params), `"blockedReason":"csp"`) {
				t.Errorf("%s: it is not the policy that held it back: %s", smuggled, m.Params)
			}
		}
		c.forget()
	}
}

func TestBrowserHostile(t *testing.T) {
	for _, verb := range []string{"migrate", smuggled[0]} {
		c := startChromium(t)
		run := hostileRun(verb)
		c.size(320, 640, true)
		c.open(writeRun(t, "run.html", run), "#q=alert")
		c.expect("1", `document.scripts.length`)
		c.expect("1", `document.querySelectorAll("style").length`)
		c.expect("0", `document.querySelectorAll("img, iframe, link, base, object, embed").length`)
		c.expect("0", `[...document.querySelectorAll("*")].filter(e => [...e.attributes].some(a => a.name.startsWith("on") || a.name === "style")).length`)
		c.expect("true", `[...document.links].every(a => a.getAttribute("href").startsWith("#"))`)
		c.expect("drydock "+verb+": "+smuggled[0], `document.title.slice(0, `+fmt.Sprint(len("drydock "+verb+": "+smuggled[0]))+`)`)
		for _, s := range smuggled[:8] {
			c.expect("true", fmt.Sprintf(`document.getElementById("images").textContent.includes(%q)`, s))
		}
		c.fits(verb)
		c.eval(`for (const b of document.querySelectorAll("button:enabled")) b.click()`, nil)
		c.quiet()
	}
}

// TestBrowserLarge has more images than most registries; how long it takes is
// measured by hand.
func TestBrowserLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	c := startChromium(t)
	run := mixedRun(5000)
	path := writeRun(t, "run.html", run)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if perImage := info.Size() / 5000; perImage > 700 {
		t.Errorf("an image takes %d bytes of the report", perImage)
	}
	c.open(path, "#sort=-size")
	if d := cmp.Diff(names(run.Images, func(a, b report.Image) int { return int(b.Size - a.Size) }), c.shownRows()); d != "" {
		t.Errorf("by size: -want +got:\n%s", d)
	}
	// What is far off the screen is not laid out.
	c.expect("true", `document.querySelector("#images tbody").lastElementChild.cells[0].checkVisibility({contentVisibilityAuto: true}) === false`)
	c.quiet()
}
