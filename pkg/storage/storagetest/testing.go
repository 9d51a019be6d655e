package storagetest

import "testing"

// Make is Parse, and then Dir.
func Make(t testing.TB, text string) (b *Builder, dir string) {
	t.Helper()
	b, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return b, b.Dir(t)
}

// Dir writes the tree below a registry's root directory that goes with the test.
func (b *Builder) Dir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := b.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}
