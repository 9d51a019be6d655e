package storage_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/seed-5b48bd9d/drydock/pkg/storage"
	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
)

var (
	one = digest.FromString("one")
	two = digest.FromString("two")
)

func TestParseTagMap(t *testing.T) {
	pushed := time.Date(2025, 3, 1, 10, 20, 30, 500000000, time.UTC)
	want := storage.TagMap{
		"library/app": {{Name: "v1", Digest: one}, {Name: "v2", Digest: two}},
		"alpine":      {{Name: "latest", Digest: one}},
	}
	timed := storage.TagMap{"library/app": {{Name: "v1", Digest: one, Updated: pushed}}}
	for name, test := range map[string]struct {
		text string
		want storage.TagMap
		err  string
	}{
		"lines":        {"# tags\n\nlibrary/app:v1 " + string(one) + "\r\nlibrary/app:v2\t" + string(two) + "\nalpine:latest " + string(one), want, ""},
		"csv":          {"repository,tag,digest\nlibrary/app,v1," + string(one) + "\nlibrary/app,v2," + string(two) + "\nalpine,latest," + string(one) + "\n", want, ""},
		"csv, turned":  {"\ufeffdigest,Tag,extra,repository,pushed\n" + string(one) + ",v1,x,library/app,2025-03-01 10:20:30.5\n", timed, ""},
		"said twice":   {"alpine:latest " + string(one) + "\nalpine:latest " + string(one), storage.TagMap{"alpine": {{Name: "latest", Digest: one}}}, ""},
		"empty":        {"", storage.TagMap{}, ""},
		"contradicted": {"alpine:latest " + string(one) + "\nalpine:latest " + string(two), nil, "line 2: alpine:latest was " + string(one)},
		"one word":     {"alpine:latest\n", nil, "line 1: 1 words"},
		"no tag":       {"\nalpine " + string(one), nil, `line 2: "alpine" is no repository:tag`},
		"bad name":     {"../../etc:latest " + string(one), nil, "is no repository's name"},
		"bad tag":      {"alpine:-x " + string(one), nil, "is no tag"},
		"bad digest":   {"alpine:latest sha256:123", nil, "is no digest"},
		"no column":    {"repository,digest\nalpine," + string(one), nil, "no column named tag"},
		"short row":    {"repository,tag,digest\nalpine,latest\n", nil, "wrong number of fields"},
		"csv, bad row": {"repository,tag,digest\nalpine,latest," + string(one) + "\nalpine,,x\n", nil, "line 3: "},
		"long line":    {strings.Repeat("x", 1<<17), nil, "token too long"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := storage.ParseTagMap(strings.NewReader(test.text))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want …%s…", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTagsGiven takes the tags from a file, as for the tree of a Harbor, which
// has none, or stale ones.
func TestTagsGiven(t *testing.T) {
	b := storagetest.New()
	b.Image("app", "amd64", "base")
	b.Image("newer", "amd64", "base", "more")
	b.Push("library/app", "app")
	b.Tag("library/stale", "v1", "app")
	b.Tag("library/stale", "kept", "app")
	b.Push("library/stale", "newer")
	dir := b.Dir(t)
	tags, err := storage.ParseTagMap(strings.NewReader(
		"library/app:v1 " + b.Digest("app").String() + "\n" +
			"library/stale:v1 " + b.Digest("newer").String() + "\n" +
			"library/gone:v1 " + b.Digest("app").String() + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := storage.Scan(context.Background(), os.DirFS(dir+"/"+storagetest.V2), &storage.ScanOptions{Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := range x.Repositories() {
		for _, tag := range r.Tags {
			got[r.Name+":"+tag.Name] = b.Symbolic(tag.Digest.Encoded())
			if tag.Problem != nil {
				got[r.Name+":"+tag.Name] += " " + string(tag.Problem.Code)
			} else if tag.Updated.IsZero() {
				t.Errorf("%s:%s has no time", r.Name, tag.Name)
			}
		}
	}
	want := map[string]string{
		"library/app:v1":     "<app>",
		"library/stale:v1":   "<newer>",
		"library/stale:kept": "<app>",
		"library/gone:v1":    "<app> revision-missing",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseTagMap(f *testing.F) {
	f.Add("library/app:v1 " + string(one))
	f.Add("repository,tag,digest,pushed\nalpine,latest," + string(one) + ",2025-03-01 10:20:30.5\n")
	f.Add("# nothing\n\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		tags, err := storage.ParseTagMap(strings.NewReader(text))
		if err != nil {
			return
		}
		for repository, list := range tags {
			for _, tag := range list {
				if !storage.ValidRepository(repository) || !storage.ValidTag(tag.Name) || tag.Digest.Validate() != nil {
					t.Errorf("took %s:%s %s", repository, tag.Name, tag.Digest)
				}
			}
		}
	})
}
