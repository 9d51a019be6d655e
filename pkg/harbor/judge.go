package harbor

import "errors"

var errNotListed = errors.New("Harbor does not list it for this account")

// judge draws the conclusions from what was learned about each project.
func (p *preflight) judge() {
	for _, own := range p.projects {
		switch {
		case own.Exists == No:
			p.judgeMissing(own)
		case own.ProxyCache == Yes:
			p.problem(ProxyCache, StopsProject, "map its repositories to another project",
				"it is a proxy cache of another registry, which nobody can push to", own.Name)
		case own.MayPush == No:
			p.judgePushRight(own)
		default:
			if own.Exists == Yes && own.unlisted {
				p.unknown("whether it is a proxy cache, and which policies it has", errNotListed, own.Name)
			}
			p.judgeQuota(own)
			p.judgeTags(own)
			p.judgePolicies(own)
		}
	}
}

func (p *preflight) judgePushRight(own *Project) {
	hint := "give the account the role of a developer, maintainer or administrator in it"
	if p.report.Account.Kind == Robot {
		hint = "give the robot the permissions to push and to pull repositories there"
	}
	p.problem(PushForbidden, StopsProject, hint, "this account may not push, or not pull, which goes with it", own.Name)
}

func (p *preflight) judgeMissing(own *Project) {
	switch {
	case !p.ask.Create:
		p.problem(ProjectMissing, StopsProject, "create it in Harbor first, or let it be created", "it does not exist", own.Name)
	case p.report.MayCreate == No:
		p.problem(CreateForbidden, StopsProject, hintCreate, "it does not exist, and this account may not create it", own.Name)
	default:
		if p.report.MayCreate == Unknown {
			p.unknown("whether this account may create it", errNotShown, own.Name)
		}
		p.judgeNewQuota(own)
	}
}

// judgeNewQuota holds what a project is to take against the quota that it will
// get: that of the settings, where this account has a say in it, or Harbor's.
// Who has none is not told (src/server/v2.0/handler/project.go, CreateProject).
func (p *preflight) judgeNewQuota(own *Project) {
	wanted := p.ask.Settings.For(own.Name).Quota
	switch {
	case p.quotas == No:
		own.Quota = No
	case wanted != 0 && p.report.Account.Kind == Administrator:
		own.promise(wanted)
	case p.preset == Yes:
		own.promise(p.limit)
	}
	if own.Quota == Unknown && own.need.Bytes > 0 && p.report.Account.Kind != Administrator {
		p.unknown("which quota it will get", errNotShown, own.Name)
	}
	if wanted != 0 && p.report.Account.Kind == User {
		p.problem(QuotaIgnored, Note, "have an administrator, or a system robot that may create projects, create it",
			"the settings give it a quota, which Harbor takes from administrators alone: it will get the usual one", own.Name)
	}
	p.judgeQuota(own)
}

func (own *Project) promise(limit int64) {
	if own.Quota, own.Limit = Yes, limit; limit == unlimited {
		own.Quota, own.Limit = No, 0
	}
}
