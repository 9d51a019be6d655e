package push

import (
	"errors"
	"net/http"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// withWhy adds to refusals what they mean and what helps.
func withWhy(err error) error {
	var status *StatusError
	switch {
	case report.Advice(err) != "":
		return err
	case errors.Is(err, errPage):
		return report.WithHint(err, "a proxy before the registry answers in its place, or wants a login: ask whoever runs it")
	case !errors.As(err, &status):
		return err
	}
	if advice := status.advice(); advice != "" {
		return report.WithHint(err, advice)
	}
	return err
}

func (e *StatusError) advice() string {
	switch {
	case e.Status == http.StatusPreconditionFailed && (e.Has("PROJECTPOLICYVIOLATION") || e.says("policy")):
		return "a policy of the project forbids to pull such images, and so to look at them; lift it for the time of the migration"
	case e.says("proxy project"):
		return "the project is a proxy cache, which nobody can push to: map its repositories to another with --rewrite or --project-map"
	case e.Status == http.StatusPreconditionFailed:
		return "a rule of the project makes the tag immutable, and it has another digest there"
	case e.Status == http.StatusRequestEntityTooLarge:
		return "a proxy before the registry limits the size of requests: raise its limit (nginx: client_max_body_size)"
	case e.overQuota():
		return "raise the project's quota, then run again"
	case e.readOnly():
		return "an administrator ends read-only mode; then run again"
	case e.Status == http.StatusUnauthorized && e.says("project") && e.says("not found"):
		return "create the project first, then run again"
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return "there is no such project, or this account may not push to it"
	case e.Status >= 500 && e.says("MANIFEST_BLOB_UNKNOWN"):
		return "the registry does not take layers that are kept elsewhere; distribution does with validation.manifests.urls.allow"
	case e.Has("DIGEST_INVALID"):
		return "the bytes are not what their digest says, or were changed on the way: drydock check --read-data tells"
	}
	return ""
}

// overQuota tells Harbor's refusal for want of room: "… will exceed the
// configured upper limit of …".
func (e *StatusError) overQuota() bool {
	return e.Status == http.StatusForbidden && (e.says("quota") || e.says("upper limit"))
}

func (e *StatusError) readOnly() bool {
	return e.Status == http.StatusForbidden && e.says("read only")
}
