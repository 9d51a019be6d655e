package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// harborAnswer is what the embedded Harbor says to its admin.
func harborAnswer(ts *testscript.TestScript, h *harbortest.Server, path string) (int, []byte) {
	req, err := http.NewRequest(http.MethodGet, h.URL()+path, nil)
	ts.Check(err)
	req.SetBasicAuth("admin", "Harbor12345")
	req.Header["Accept"] = storage.ManifestMediaTypes
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return resp.StatusCode, content
}

// harborHolds asks for every image that is to be carried, down to the last byte,
// and for every tag that there should not be.
func harborHolds(ts *testscript.TestScript, h *harbortest.Server, dir, file string) {
	b := treeOf(ts, dir)
	var tags []string
	for _, f := range expectations(ts, file, "carried") {
		repository, tag, isTag := strings.Cut(f[1], ":")
		if !isTag {
			repository, _, _ = strings.Cut(f[1], "@")
			tag = b.Digest(f[2]).String()
		} else {
			tag = b.Expand(tag)
			tags = append(tags, named(b, mapped(repository)+":"+tag))
		}
		harborHoldsManifest(ts, h, mapped(repository), tag, b.Digest(f[2]))
	}
	compare(ts, "tags in the target", tags, strings.Fields(named(b, strings.Join(harborTags(ts, h), " "))))
	for _, f := range expectations(ts, file, "left-out", "failed") {
		repository, hex, untagged := strings.Cut(b.Expand(f[1]), "@")
		if !untagged {
			continue
		}
		if status, _ := harborAnswer(ts, h, "/v2/"+mapped(repository)+"/manifests/sha256:"+hex); status != http.StatusNotFound {
			ts.Fatalf("%s is in the target: status %d", f[1], status)
		}
	}
}

// harborHoldsManifest asks for a manifest, and for all that it names.
func harborHoldsManifest(ts *testscript.TestScript, h *harbortest.Server, repository, name string, want digest.Digest) {
	status, content := harborAnswer(ts, h, "/v2/"+repository+"/manifests/"+name)
	if status != http.StatusOK || !storage.HasDigest(content, want) {
		ts.Fatalf("%s %s: status %d, want %s:\n%.300s", repository, name, status, want, content)
	}
	m, err := storage.ParseManifest(content, want, "")
	ts.Check(err)
	for _, child := range m.Manifests {
		harborHoldsManifest(ts, h, repository, child.Digest.String(), child.Digest)
	}
	for _, blob := range m.Blobs {
		status, content := harborAnswer(ts, h, "/v2/"+repository+"/blobs/"+blob.Digest.String())
		if len(blob.URLs) == 0 && (status != http.StatusOK || blob.Digest.Algorithm().FromBytes(content) != blob.Digest) {
			ts.Fatalf("%s: blob %s: status %d, %d bytes", repository, blob.Digest, status, len(content))
		}
	}
}

func harborTags(ts *testscript.TestScript, h *harbortest.Server) (all []string) {
	var catalog struct{ Repositories []string }
	_, content := harborAnswer(ts, h, "/v2/_catalog?n=1000")
	ts.Check(json.Unmarshal(content, &catalog))
	for _, repository := range catalog.Repositories {
		var list struct{ Tags []string }
		_, content := harborAnswer(ts, h, "/v2/"+repository+"/tags/list")
		ts.Check(json.Unmarshal(content, &list))
		for _, tag := range list.Tags {
			all = append(all, repository+":"+tag)
		}
	}
	return all
}

// harborReferrers holds that the referrers API lists these of a subject, and no other.
func harborReferrers(ts *testscript.TestScript, h *harbortest.Server, dir, repository, subject string, names []string) {
	b := treeOf(ts, dir)
	var index struct{ Manifests []struct{ Digest string } }
	_, content := harborAnswer(ts, h, "/v2/"+repository+"/referrers/"+b.Digest(subject).String())
	ts.Check(json.Unmarshal(content, &index))
	var got []string
	for _, m := range index.Manifests {
		got = append(got, named(b, m.Digest))
	}
	var want []string
	for _, name := range names {
		want = append(want, named(b, b.Digest(name).String()))
	}
	compare(ts, "referrers of "+subject, want, got)
}
