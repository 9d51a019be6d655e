package harbor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dustin/go-humanize"
)

// unlimited is Harbor's word for no quota.
const unlimited = -1

// Pages of listings: the most that Harbor gives in one answer, and how many are
// asked for before a server is taken for one that has no end of them.
const (
	pageSize = 100
	maxPages = 100
)

// resources are amounts by name; the one that Harbor counts is storage, bytes.
type resources struct {
	Storage *int64 `json:"storage"`
}

// askQuotas asks for the limits of those projects that are to take something.
// Harbor counts each blob and manifest once for a project, at the size that a
// manifest says it has (src/server/middleware/quota/put_manifest.go).
func (p *preflight) askQuotas(ctx context.Context) {
	if len(p.those(func(own *Project) bool { return own.need.Bytes > 0 })) == 0 {
		return
	}
	p.askDefaults(ctx)
	if p.quotas == No {
		for _, own := range p.projects {
			own.Quota = No
		}
		return
	}
	open := p.those(func(own *Project) bool { return own.Exists == Yes && own.takes() && own.need.Bytes > 0 })
	if p.report.Account.Kind != User {
		open = p.listQuotas(ctx, open)
	}
	p.forEach(ctx, "how much it may still take", open, p.askSummary)
}

// askDefaults asks administrators' questions: are there quotas at all, and which
// do new projects get (api/v2.0/swagger.yaml, ConfigurationsResponse)?
func (p *preflight) askDefaults(ctx context.Context) {
	if p.report.Account.Kind != Administrator {
		return
	}
	var settings struct {
		Enabled struct{ Value *bool }  `json:"quota_per_project_enable"`
		Limit   struct{ Value *int64 } `json:"storage_per_project"`
	}
	_, err := p.Harbor.ask(ctx, "/api/v2.0/configurations", nil, &settings)
	p.answered(err)
	if err != nil {
		p.unknown("which quota new projects get", err)
		return
	}
	if v := settings.Enabled.Value; v != nil {
		p.quotas = known(*v)
	}
	if v := settings.Limit.Value; v != nil && *v >= unlimited {
		p.preset, p.limit = Yes, *v
	}
}

// quotaRow is a quota in a listing (api/v2.0/swagger.yaml, Quota).
type quotaRow struct {
	Ref struct {
		Name string `json:"name"`
	} `json:"ref"`
	Hard resources `json:"hard"`
	Used resources `json:"used"`
}

// listQuotas asks for all quotas, a hundred at once, as long as that is not more
// requests than one for each project that remains. It gives the projects for
// which it learned nothing. Without the right to list quotas, those are all.
func (p *preflight) listQuotas(ctx context.Context, open []*Project) (rest []*Project) {
	byName := map[string]*Project{}
	for _, own := range open {
		byName[own.Name] = own
	}
	for number := 1; number <= maxPages && len(byName) > 0; number++ {
		total, err := p.listQuotaPage(ctx, number, byName)
		p.answered(err)
		if err != nil || total <= number*pageSize || (total-1)/pageSize+1-number > len(byName) {
			break
		}
	}
	for _, own := range open {
		if byName[own.Name] != nil {
			rest = append(rest, own)
		}
	}
	return rest
}

// listQuotaPage takes the projects that it finds out of byName, and gives how
// many quotas there are on all pages.
func (p *preflight) listQuotaPage(ctx context.Context, number int, byName map[string]*Project) (total int, err error) {
	query := url.Values{"reference": {"project"}, "page": {strconv.Itoa(number)}, "page_size": {strconv.Itoa(pageSize)}}
	var rows []quotaRow
	header, err := p.Harbor.ask(ctx, "/api/v2.0/quotas", query, &rows)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if own := byName[row.Ref.Name]; own != nil && own.setQuota(row.Hard, row.Used) == nil {
			delete(byName, own.Name)
		}
	}
	if len(rows) == 0 {
		return 0, nil
	}
	return totalOf(header), nil
}

// totalOf is how many rows a listing has on all its pages; 0 where the answer
// does not say.
func totalOf(header http.Header) int {
	total, err := strconv.Atoi(header.Get("X-Total-Count"))
	if err != nil || total < 0 || total > 1<<30 {
		return 0
	}
	return total
}

// setQuota believes no amounts that cannot be.
func (own *Project) setQuota(hard, used resources) error {
	switch {
	case hard.Storage == nil || used.Storage == nil:
		return errors.New("the answer has no amounts")
	case *hard.Storage < unlimited || *used.Storage < 0:
		return fmt.Errorf("the answer has amounts that cannot be: limit %d, used %d", *hard.Storage, *used.Storage)
	case *hard.Storage == unlimited:
		own.Quota = No
	default:
		own.Quota, own.Limit, own.Used = Yes, *hard.Storage, *used.Storage
	}
	return nil
}

// projectSummary is what one project's page shows (api/v2.0/swagger.yaml,
// ProjectSummary). Every member sees its quota.
type projectSummary struct {
	Quota *struct {
		Hard resources `json:"hard"`
		Used resources `json:"used"`
	} `json:"quota"`
}

var errNoQuota = errors.New("Harbor shows none: quotas are switched off, or this account may not see them")

func (p *preflight) askSummary(ctx context.Context, own *Project) error {
	var summary projectSummary
	if _, err := p.Harbor.ask(ctx, projectPath(own.Name, "summary"), nil, &summary); err != nil {
		return err
	}
	if summary.Quota == nil {
		return errNoQuota
	}
	return own.setQuota(summary.Quota.Hard, summary.Quota.Used)
}

// judgeQuota holds what is to be sent against what is left.
func (p *preflight) judgeQuota(own *Project) {
	need := own.need.Bytes
	if own.Quota != Yes || need <= 0 || need <= own.Limit-own.Used {
		return
	}
	p.problem(OverQuota, StopsProject, "raise the project's quota, or leave something out",
		fmt.Sprintf("it may hold %s, and holds %s; up to %s would be sent to it", bytesOf(own.Limit), bytesOf(own.Used), bytesOf(need)), own.Name)
}

// bytesOf writes an amount as Harbor does, in powers of 1024.
func bytesOf(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
