package harbor_test

import (
	"strings"
	"testing"

	"github.com/seed-5b48bd9d/drydock/pkg/harbor"
	"github.com/seed-5b48bd9d/drydock/pkg/harbor/harbortest"
)

// What a new project will get is held against what it is to take.
func TestPreflightNewQuota(t *testing.T) {
	settings := &harbor.Settings{Rules: []harbor.Setting{{Match: "wide", Quota: 1 << 20}, {Match: "narrow", Quota: 10}, {Match: "endless", Quota: -1}}}
	ask := func(account string) harbor.Ask {
		a := harbor.Ask{Username: account, Create: true, Settings: settings}
		for _, name := range []string{"wide", "narrow", "endless", "usual"} {
			a.Projects = append(a.Projects, harbor.Need{Name: name, Bytes: 1000})
		}
		return a
	}
	s := startFull(t)
	s.SetDefaultQuota(999)
	diff(t, []string{"project quota: narrow", "project quota: usual"}, lines(preflight(t, s, ask("admin"))))
	s.SetDefaultQuota(1000) // up to the limit is fine
	diff(t, []string{"project quota: narrow"}, lines(preflight(t, s, ask("admin"))))
	diff(t, []string{"note quota-ignored: endless narrow wide", "note unknown: endless narrow usual wide (which quota it will get)"},
		lines(preflight(t, s, ask("user"))))
	s.SetQuotasEnabled(false)
	diff(t, []string(nil), lines(preflight(t, s, ask("admin"))))
}

// Quotas that are switched off are still listed, and mean nothing.
func TestPreflightQuotasOff(t *testing.T) {
	s := startFull(t)
	s.SetQuotasEnabled(false)
	ask := func(account string) harbor.Ask {
		return harbor.Ask{Username: account, Projects: []harbor.Need{{Name: "tight", Bytes: 5000}}}
	}
	diff(t, []string(nil), lines(preflight(t, s, ask("admin"))))
	diff(t, []string{"note unknown: tight " + quotaQuestion}, lines(preflight(t, s, ask("dev"))))
}

// What Harbor shows of quotas is what it holds to: the last byte is taken, one
// more is not.
func TestPreflightQuotaComesTrue(t *testing.T) {
	s := startFull(t)
	r := dial(t, s.Host(), "admin")
	content := indexWith("1")
	s.CreateProject("exact", harbortest.Project{StorageLimit: int64(len(content))})
	ask := func(bytes int) harbor.Ask {
		return harbor.Ask{Username: "admin", Projects: []harbor.Need{{Name: "exact", Bytes: int64(bytes)}}}
	}
	diff(t, []string(nil), lines(preflight(t, s, ask(len(content)))))
	diff(t, []string{"project quota: exact"}, lines(preflight(t, s, ask(len(content)+1))))
	if err := tryPut(t, r, "exact/app", "v1", "1"); err != nil {
		t.Error(err)
	}
	diff(t, []string{"project quota: exact"}, lines(preflight(t, s, ask(1))))
	if err := tryPut(t, r, "exact/app", "v2", "2"); err == nil || !strings.Contains(err.Error(), "upper limit") {
		t.Errorf("more than the quota was taken: %v", err)
	}
}
