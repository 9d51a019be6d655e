package harbortest_test

import (
	"io"
	"testing"

	"github.com/distribution/distribution/v3/registry/storage/driver/factory"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// TestMemory writes a file while it is read: who reads gets what was there first.
func TestMemory(t *testing.T) {
	ctx := t.Context()
	d, err := factory.Create(ctx, harbortest.MemoryDriver, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		offset int64
		want   string
	}{{0, "before"}, {3, "ore"}, {6, ""}, {9, ""}} {
		if err := d.PutContent(ctx, "/file", []byte("before")); err != nil {
			t.Fatal(err)
		}
		r, err := d.Reader(ctx, "/file", tt.offset)
		if err != nil {
			t.Fatal(err)
		}
		written := make(chan error)
		go func() { written <- d.PutContent(ctx, "/file", []byte("change")) }()
		got, err := io.ReadAll(r)
		if string(got) != tt.want || err != nil {
			t.Errorf("from %d: %q, %v, want %q", tt.offset, got, err, tt.want)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Reader(ctx, "/file", -1); err == nil {
		t.Error("reads from before the beginning")
	}
	if _, err := d.Reader(ctx, "/none", 0); err == nil {
		t.Error("reads what is not there")
	}
}
