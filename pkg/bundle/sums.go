package bundle

import (
	"bufio"
	"strings"

	"github.com/opencontainers/go-digest"
)

// unknownSum stands in SHA256SUMS for bytes that were not to be had and whose
// sha256 nobody knows: no file has it, as far as anyone does.
var unknownSum = strings.Repeat("0", 64)

// writeSums writes SHA256SUMS, in the form of GNU sha256sum: of each file of the
// archive what its bytes should have.
func (r *run) writeSums() error {
	w := bufio.NewWriterSize(r.out, 1<<16)
	line := func(sum, name string) { w.WriteString(sumLine(sum, name)) } // Flush tells of errors
	line(r.b.inventory.Digest().Encoded(), InventoryName)
	texts := map[string]string{}
	for e := range r.b.layoutEntries() {
		switch {
		case e.content != nil:
			line(r.sumOf(e.content), e.name)
		case e.text != "":
			if texts[e.text] == "" {
				texts[e.text] = digest.FromString(e.text).Encoded()
			}
			line(texts[e.text], e.name)
		}
	}
	return w.Flush()
}

// sumOf is a content's sha256, hexadecimal.
func (r *run) sumOf(c *content) string {
	if c.sum != "" {
		return c.sum
	}
	if sum := r.sums[c]; sum != "" {
		return sum
	}
	return unknownSum
}

// sumLine is one line. No name here has a character that would need escaping.
func sumLine(sum, name string) string { return sum + "  " + name + "\n" }

func sumLength(name string) int64 { return int64(len(sumLine(unknownSum, name))) }

// fileSum is the line for a file of any name. GNU sha256sum marks with a
// backslash at the beginning that there are some in it.
func fileSum(sum, name string) string {
	if !strings.ContainsAny(name, "\\\n\r") {
		return sumLine(sum, name)
	}
	return `\` + sumLine(sum, strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name))
}
