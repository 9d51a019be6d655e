package harbortest

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// imageIcon is the digest under which Harbor has its picture of an image.
const imageIcon = "sha256:0048162a053eef4d4ce3fe7518615bef084403614f8bca43b40ae2e762e11e06"

// The fields stand in the order in which Harbor sends them.
type artifactJSON struct {
	Accessories  []accessoryJSON     `json:"accessories"`
	Links        map[string]linkJSON `json:"addition_links"`
	Annotations  map[string]string   `json:"annotations,omitempty"`
	ArtifactType string              `json:"artifact_type"`
	Digest       digest.Digest       `json:"digest"`
	Extra        map[string]any      `json:"extra_attrs"`
	Icon         string              `json:"icon,omitempty"`
	ID           int64               `json:"id"`
	Labels       []string            `json:"labels"`
	ManifestType string              `json:"manifest_media_type"`
	MediaType    string              `json:"media_type"`
	Project      int64               `json:"project_id"`
	Pulled       string              `json:"pull_time"`
	Pushed       string              `json:"push_time"`
	References   []childJSON         `json:"references"`
	Repository   int64               `json:"repository_id"`
	Name         string              `json:"repository_name"`
	Size         int64               `json:"size"`
	Tags         []tagJSON           `json:"tags"`
	Type         string              `json:"type"`
}

type linkJSON struct {
	Absolute bool   `json:"absolute"`
	Href     string `json:"href"`
}

type accessoryJSON struct {
	Artifact int64         `json:"artifact_id"`
	Created  string        `json:"creation_time"`
	Digest   digest.Digest `json:"digest"`
	ID       int64         `json:"id"`
	Size     int64         `json:"size"`
	Subject  digest.Digest `json:"subject_artifact_digest"`
	Name     string        `json:"subject_artifact_repo"`
	Type     string        `json:"type"`
}

type childJSON struct {
	Annotations map[string]string `json:"annotations"`
	Digest      digest.Digest     `json:"child_digest"`
	ID          int64             `json:"child_id"`
	Parent      int64             `json:"parent_id"`
	Platform    *ocispec.Platform `json:"platform"`
	URLs        []string          `json:"urls"`
}

type tagJSON struct {
	Artifact   int64  `json:"artifact_id"`
	ID         int64  `json:"id"`
	Immutable  bool   `json:"immutable"`
	Name       string `json:"name"`
	Pulled     string `json:"pull_time"`
	Pushed     string `json:"push_time"`
	Repository int64  `json:"repository_id"`
}

type repositoryJSON struct {
	Artifacts int    `json:"artifact_count"`
	Created   string `json:"creation_time"`
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	Project   int64  `json:"project_id"`
	Pulls     int    `json:"pull_count"`
	Updated   string `json:"update_time"`
}

// artifactJSON describes a. The caller holds the lock.
func (r *repository) artifactJSON(p *project, a *artifact) artifactJSON {
	j := artifactJSON{
		Accessories: r.accessories(a), Links: map[string]linkJSON{}, Annotations: a.annotations,
		ArtifactType: a.artifactType, Digest: a.digest, Extra: a.extra, ID: a.id,
		ManifestType: a.mediaType, MediaType: a.configType, Project: p.id,
		Pulled: apiTime(time.Time{}), Pushed: apiTime(a.pushed), References: r.references(a),
		Repository: r.id, Name: r.name, Size: r.totalSize(a), Tags: r.tagJSON(p, a), Type: a.kind(),
	}
	if a.extra != nil {
		_, name, _ := strings.Cut(r.name, "/")
		href := apiPrefix + "projects/" + p.name + "/repositories/" + url.PathEscape(url.PathEscape(name)) +
			"/artifacts/" + a.digest.String() + "/additions/build_history"
		j.Links["build_history"], j.Icon = linkJSON{Href: href}, imageIcon
	}
	return j
}

// totalSize counts an index with all that it refers to.
func (r *repository) totalSize(a *artifact) int64 {
	size := a.total
	for _, child := range a.children {
		if c := r.artifacts[child.Digest]; c != nil {
			size += r.totalSize(c)
		}
	}
	return size
}

func (r *repository) accessories(subject *artifact) []accessoryJSON {
	var all []accessoryJSON
	for _, a := range r.inOrder() {
		if acc, ok := r.accessory(a); ok && acc.subject == subject.digest {
			all = append(all, accessoryJSON{
				Artifact: a.id, Created: apiTime(a.pushed), Digest: a.digest, ID: a.id, Size: a.total,
				Subject: subject.digest, Name: r.name, Type: acc.kind,
			})
		}
	}
	return all
}

func (r *repository) references(a *artifact) []childJSON {
	var all []childJSON
	for _, d := range a.children {
		child := childJSON{Annotations: d.Annotations, Digest: d.Digest, Parent: a.id, Platform: d.Platform, URLs: d.URLs}
		if c := r.artifacts[d.Digest]; c != nil {
			child.ID = c.id
		}
		all = append(all, child)
	}
	return all
}

func (r *repository) tagJSON(p *project, a *artifact) []tagJSON {
	var all []tagJSON
	for _, name := range slices.Sorted(maps.Keys(r.tags)) {
		t := r.tags[name]
		if t.digest == a.digest {
			all = append(all, tagJSON{
				Artifact: a.id, ID: t.id, Immutable: p.isImmutable(r.name, name), Name: name,
				Pulled: apiTime(time.Time{}), Pushed: apiTime(t.pushed), Repository: r.id,
			})
		}
	}
	return all
}
