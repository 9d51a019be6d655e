package report

// Code names a kind of finding. Codes are stable: programs may compare them.
type Code string

// The codes, in the order of the tree: links, manifests, blobs, repositories,
// and then what the plan and the target say.
const (
	TagLinkEmpty        Code = "tag-link-empty"
	TagDeleted          Code = "tag-deleted"
	RevisionLinkEmpty   Code = "revision-link-empty"
	RevisionMissing     Code = "revision-missing"
	LinkPadded          Code = "link-padded"
	LinkInvalid         Code = "link-invalid"
	LinkMismatch        Code = "link-mismatch"
	LinkNotAFile        Code = "link-not-a-file"
	LinkLeftover        Code = "link-leftover"
	LayerLinkDangling   Code = "layer-link-dangling"
	BlobUnlinked        Code = "blob-unlinked"
	ManifestMissing     Code = "manifest-missing"
	ManifestDamaged     Code = "manifest-damaged"
	ManifestInvalid     Code = "manifest-invalid"
	ManifestTooLarge    Code = "manifest-too-large"
	ManifestLarge       Code = "manifest-large"
	MediaTypeAbsent     Code = "media-type-absent"
	MediaTypeUnknown    Code = "media-type-unknown"
	Schema1             Code = "schema1"
	ArtifactManifest    Code = "artifact-manifest"
	IndexIncomplete     Code = "index-incomplete"
	IndexOfLayers       Code = "index-of-layers"
	IndexTrimmed        Code = "index-trimmed"
	ConfigNotJSON       Code = "config-not-json"
	SubjectMissing      Code = "subject-missing"
	BlobMissing         Code = "blob-missing"
	BlobEmpty           Code = "blob-empty"
	BlobTruncated       Code = "blob-truncated"
	BlobCorrupt         Code = "blob-corrupt"
	BlobNotAFile        Code = "blob-not-a-file"
	BlobMisplaced       Code = "blob-misplaced"
	BlobUnreferenced    Code = "blob-unreferenced"
	DescriptorSize      Code = "descriptor-size"
	ForeignLayer        Code = "foreign-layer"
	RepositoryName      Code = "repository-name"
	RepositoryUntagged  Code = "repository-untagged"
	RepositoryLoop      Code = "repository-loop"
	TagName             Code = "tag-name"
	TagRecovered        Code = "tag-recovered"
	UploadsLeftover     Code = "uploads-leftover"
	PullThroughCache    Code = "pull-through-cache"
	Unreadable          Code = "unreadable"
	ArchiveDamaged      Code = "archive-damaged"
	ArchiveMember       Code = "archive-member"
	TargetName          Code = "target-name"
	TargetCollision     Code = "target-collision"
	TargetCaseCollision Code = "target-case-collision"
	TargetExtra         Code = "target-extra"
	TargetBlob          Code = "target-blob"
	TargetLink          Code = "target-link"
	TargetUnseen        Code = "target-unseen"
	TargetLacks         Code = "target-lacks"

	HarborCredentials     Code = "harbor-credentials"
	HarborReadOnly        Code = "harbor-read-only"
	HarborUnhealthy       Code = "harbor-unhealthy"
	HarborProjectMissing  Code = "harbor-project-missing"
	HarborProjectCreation Code = "harbor-project-creation"
	HarborProxyCache      Code = "harbor-proxy-cache"
	HarborPushRight       Code = "harbor-push-right"
	HarborQuota           Code = "harbor-quota"
	HarborQuotaIgnored    Code = "harbor-quota-ignored"
	HarborImmutableTag    Code = "harbor-immutable-tag"
	HarborPullPolicy      Code = "harbor-pull-policy"
	HarborRetention       Code = "harbor-retention"
	HarborSettings        Code = "harbor-settings-ignored"
	HarborUnknown         Code = "harbor-unknown"
)

// Kind is what is known of a code beforehand.
type Kind struct {
	Code   Code
	Level  Level
	Means  string // what is true of the data
	Advice string // what to do about it
}

// Kinds is the one table of codes; the README's is held equal to it by a test.
var Kinds = []Kind{
	{TagLinkEmpty, Skip, "a tag's link is an empty file", "restore the link, push the tag again, or take its last digest with --recover"},
	{TagDeleted, Note, "a tag was deleted; only its history is left", "nothing, or --recover where its history names exactly one digest"},
	{RevisionLinkEmpty, Skip, "a manifest's link in its repository is an empty file", "take the manifest with --recover"},
	{RevisionMissing, Skip, "a tag names a manifest that its repository does not link, though it is there", "take it with --recover"},
	{LinkPadded, Note, "a link has blanks, a newline or NUL bytes around its digest", "nothing; the digest is read without them"},
	{LinkInvalid, Skip, "a link holds something other than a digest", "restore the file from a backup, or push the image again"},
	{LinkMismatch, Skip, "a link names another digest than its directory does", "restore the file from a backup; --recover takes the directory's digest"},
	{LinkNotAFile, Skip, "a link is not a regular file", "restore the file from a backup"},
	{LinkLeftover, Note, "a temporary file of an interrupted write lies beside a link", "nothing; it is passed over"},
	{LayerLinkDangling, Note, "a repository links a layer that is not there", "nothing where no image needs it; images that do are named on their own"},
	{BlobUnlinked, Note, "a blob is there but not linked in the repository that needs it", "nothing; the image is complete"},
	{ManifestMissing, Skip, "a manifest is not there", "restore it from a backup, or push the image again"},
	{ManifestDamaged, Skip, "a manifest's bytes are not those of its digest", "restore it from a backup, or push the image again"},
	{ManifestInvalid, Skip, "a manifest is not one: no JSON, or without what its type needs", "look at the file; a registry cannot serve it either"},
	{ManifestTooLarge, Skip, "a manifest is larger than drydock reads", "look at the file; no registry takes one of this size"},
	{ManifestLarge, Note, "a manifest is over 4 MiB; Harbor refuses it", "rebuild the image with fewer entries, or keep it elsewhere"},
	{MediaTypeAbsent, Note, "a manifest does not state its media type", "nothing; it is worked out from the content"},
	{MediaTypeUnknown, Note, "a manifest's media type is not one drydock knows", "nothing; it is carried as it is, if the target takes it"},
	{Schema1, Note, "a manifest has the old schema 1, which many registries refuse", "rebuild the image, or convert it with an old skopeo, if the target refuses it"},
	{ArtifactManifest, Note, "an artifact manifest of a type the OCI gave up; Harbor refuses it", "attach the artifact again with a current client"},
	{IndexIncomplete, Skip, "an image index names manifests that are not there", "fetch the missing platforms, or carry the rest with --incomplete=trim"},
	{IndexOfLayers, Note, "an image index names layers, as build caches do; Harbor refuses it", "nothing; build caches can be made again"},
	{IndexTrimmed, Note, "an image index was cut to the manifests that are there", "nothing; its digest is new, as asked"},
	{ConfigNotJSON, Note, "a config's type says JSON, its content does not; Harbor refuses it", "rebuild the image, or keep it elsewhere"},
	{SubjectMissing, Note, "a manifest refers to a subject that is not there", "nothing; --untagged carries it all the same"},
	{BlobMissing, Skip, "a blob that the image needs is not there", "restore it from a backup, or push the image again"},
	{BlobEmpty, Skip, "a blob is an empty file, which its digest is not", "restore it from a backup, or push the image again"},
	{BlobTruncated, Skip, "a blob has another size than its descriptor says, and the wrong digest", "restore it from a backup, or push the image again"},
	{BlobCorrupt, Skip, "a blob's bytes are not those of its digest", "restore it from a backup, or push the image again"},
	{BlobNotAFile, Skip, "a blob's data is not a regular file", "restore it from a backup, or push the image again"},
	{BlobMisplaced, Note, "a blob lies where no registry looks for it", "move it to the directory of its first two digits if an image needs it"},
	{BlobUnreferenced, Note, "no manifest refers to a blob", "nothing; it is not carried"},
	{DescriptorSize, Note, "a descriptor states another size than its blob has, whose digest is right", "nothing; it is carried as it is"},
	{ForeignLayer, Note, "a layer is kept elsewhere by design, under its urls", "nothing; the image is complete"},
	{RepositoryName, Skip, "a repository's name is none that a registry takes", "rename the directory, or use --rewrite after renaming"},
	{RepositoryUntagged, Note, "a repository has no tags", "--untagged carries its manifests by digest"},
	{RepositoryLoop, Skip, "a symbolic link leads back to where it lies, or nowhere", "mend or remove the link"},
	{TagName, Skip, "a tag's name is none that a registry takes", "rename the directory"},
	{TagRecovered, Note, "a tag was recovered, as asked", "check that it is the image you expect"},
	{UploadsLeftover, Note, "interrupted uploads are left over", "nothing; they are not carried"},
	{PullThroughCache, Note, "the registry was a pull-through cache: it holds only what was asked for", "expect incomplete image indexes; see --incomplete"},
	{Unreadable, Skip, "a file or directory could not be read", "mend permissions or the disk, then run again"},
	{ArchiveDamaged, Skip, "an archive is cut off or damaged: what lay in or behind that place is not there", "copy or make the archive again; what is whole of it is carried"},
	{ArchiveMember, Skip, "an archive holds something that is not read: a link out of it, a file too large to be true, a name that leads out", "look at that member; unpack the archive by hand if it is meant"},
	{TargetName, Skip, "the target cannot take the name", "map it to another with --rewrite or --project"},
	{TargetCollision, Skip, "two sources map to one target", "keep them apart with --rewrite, or leave one out with --exclude"},
	{TargetCaseCollision, Note, "two targets differ in upper and lower case alone", "nothing, unless the target or the disk ignores case"},
	{TargetExtra, Note, "the target has a tag that the source has not", "nothing, unless it should be gone"},
	{TargetBlob, Skip, "the target's storage has a blob of another size under the same digest", "see whether it is damaged there; it is not replaced"},
	{TargetLink, Skip, "a link in the target's storage names something other than it should", "see what damaged it there; it is not replaced"},
	{TargetUnseen, Note, "a blob that was put into the target's storage is not seen by the target; it was sent instead", "see whether the storage is all that the target reads: a mirror or a cache in between would explain it"},
	{TargetLacks, Note, "the target has an image, and its storage lacks parts of it, as after a power cut; they are put there again", "nothing; where no power was cut, see what took them away"},
	{HarborCredentials, Skip, "Harbor does not know the account, or its password is another", "check the user name and the password; robots are called robot$name"},
	{HarborReadOnly, Skip, "Harbor is in read-only mode", "have an administrator end it under Configuration, System Settings"},
	{HarborUnhealthy, Skip, "a component of Harbor is not well", "see Harbor's own logs before a long run"},
	{HarborProjectMissing, Skip, "a project does not exist, and is not to be created", "create it in Harbor first, or leave out --create-projects=false"},
	{HarborProjectCreation, Skip, "a project does not exist, and this account may not create it", "create it in Harbor first, or use an account that may create projects"},
	{HarborProxyCache, Skip, "a project is a proxy cache, which nobody can push to", "map its repositories to another project with --rewrite or --project-map"},
	{HarborPushRight, Skip, "this account may not push to a project", "give it the role of a developer or more, or the robot the rights to push and pull"},
	{HarborQuota, Skip, "more is to be sent than a project's quota leaves room for", "raise the quota, or leave images out with --exclude"},
	{HarborQuotaIgnored, Note, "a quota of the project settings is not set for this account", "have an administrator create the project, or set the quota afterwards"},
	{HarborImmutableTag, Skip, "an immutable tag rule keeps a tag at another digest", "take the rule away for the time of the migration, or map the repository elsewhere"},
	{HarborPullPolicy, Note, "a project forbids to pull some images, and so to verify them", "lift the policy for the time of the migration"},
	{HarborRetention, Note, "a project has a retention policy, which may delete what was moved", "look at the policy before its next run"},
	{HarborSettings, Note, "a project exists, and keeps its own settings", "set them in Harbor, where they matter"},
	{HarborUnknown, Note, "something could not be asked beforehand", "nothing; Harbor says so when it comes to it"},
}

var kinds = func() map[Code]Kind {
	m := make(map[Code]Kind, len(Kinds))
	for _, k := range Kinds {
		m[k.Code] = k
	}
	return m
}()

// Kind looks a code up; an unknown one is of level skip.
func (c Code) Kind() Kind {
	if k, ok := kinds[c]; ok {
		return k
	}
	return Kind{Code: c, Level: Skip, Means: "nothing is known of this code", Advice: "report it to drydock"}
}

// New starts a finding of this code, with its level.
func (c Code) New(detail string) Finding {
	return Finding{Code: c, Level: c.Kind().Level, Detail: detail}
}

// alwaysTold are the notes that people are told unasked: that Harbor refuses an
// image, whole as it may be (measured on 2.15), or that there may be more than
// is carried.
func (c Code) alwaysTold() bool {
	switch c {
	case ManifestLarge, ArtifactManifest, IndexOfLayers, ConfigNotJSON, PullThroughCache, RepositoryUntagged,
		TargetExtra, TargetUnseen, HarborUnhealthy, HarborQuotaIgnored, HarborPullPolicy, HarborRetention, HarborSettings, HarborUnknown:
		return true
	}
	return false
}
