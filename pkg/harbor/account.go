package harbor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Kind is what sort of account it is.
type Kind string

// The kinds of accounts; empty is unknown.
const (
	Administrator Kind = "administrator"
	User          Kind = "user"
	Robot         Kind = "robot"
)

// Account is who Harbor is asked as.
type Account struct {
	Name string
	Kind Kind
}

// whoAmI asks whether Harbor knows the account. It answers robots 412, since it
// looks for users alone, but by then it knows them
// (src/server/v2.0/handler/user.go, GetCurrentUserInfo).
func (p *preflight) whoAmI(ctx context.Context) {
	p.report.Account.Name = p.ask.Username
	var user struct {
		Username string `json:"username"`
		Admin    bool   `json:"sysadmin_flag"`
		ByGroup  bool   `json:"admin_role_in_auth"`
	}
	_, err := p.Harbor.ask(ctx, "/api/v2.0/users/current", nil, &user)
	p.answered(err)
	switch {
	case err == nil && user.Username == "":
		p.unknown("what kind of account this is", errNoName)
	case err == nil && (user.Admin || user.ByGroup):
		p.report.Account.Kind = Administrator
	case err == nil:
		p.report.Account.Kind = User
	case refused(err, http.StatusPreconditionFailed):
		p.report.Account.Kind = Robot
	case refused(err, http.StatusUnauthorized):
		p.refuseCredentials(err)
	default:
		p.unknown("what kind of account this is", err)
	}
	p.checkReadOnly()
}

var errNoName = errors.New("the answer has no user name")

// refuseCredentials says what to look at. Harbor does not tell a user name that
// it does not know from a password that is another.
func (p *preflight) refuseCredentials(err error) {
	p.stranger = true
	hint := "check user name and password; a robot may also be disabled or expired"
	detail := fmt.Sprintf("Harbor refuses the user name or password of %s: %v", p.ask.Username, err)
	switch {
	case p.ask.Username == "":
		hint, detail = "give a user name and a password", "Harbor is asked as nobody, and nobody may push"
	case p.AuthMode == "oidc_auth":
		hint = "with single sign-on the password is the CLI secret in the user profile, not that of the sign-on; a robot has one of its own, and may be disabled or expired"
	}
	p.problem(BadCredentials, StopsAll, hint, detail)
}

func (p *preflight) checkReadOnly() {
	switch {
	case p.readOnly == Yes:
		p.problem(ReadOnlyMode, StopsAll, "an administrator ends it under Configuration, System Settings", "Harbor is in read-only mode: nobody may push")
	case p.readOnly == Unknown && !p.stranger:
		p.unknown("whether Harbor is in read-only mode", errNotShown)
	}
}

var errNotShown = errors.New("Harbor does not show that to this account")

// carriesPushes are the components that no push goes without. The others scan,
// sweep, replicate or draw pages.
var carriesPushes = map[string]bool{"core": true, "database": true, "redis": true, "registry": true}

// askHealth asks what Harbor says of itself (src/controller/health).
func (p *preflight) askHealth(ctx context.Context) {
	var health struct {
		Status     string
		Components []struct{ Name, Status, Error string }
	}
	_, err := p.Harbor.ask(ctx, "/api/v2.0/health", nil, &health)
	p.answered(err)
	if err == nil && health.Status == "" {
		err = errors.New("the answer has no status")
	}
	if err != nil {
		p.unknown("whether Harbor is healthy", err)
		return
	}
	p.report.Healthy = known(health.Status == "healthy")
	for _, c := range health.Components {
		if c.Status == "healthy" {
			continue
		}
		severity := Note
		if carriesPushes[c.Name] {
			severity = StopsAll
		}
		p.problem(Unhealthy, severity, "Harbor's own logs say more; wait until it is healthy",
			fmt.Sprintf("Harbor says that its component %.40q is %.40q: %.300q", c.Name, c.Status, c.Error))
	}
	if p.report.Healthy == No && len(health.Components) == 0 {
		p.problem(Unhealthy, Note, "Harbor's own logs say more", fmt.Sprintf("Harbor says that it is %.40q", health.Status))
	}
}

// projectRobot is how robots of one project are called while their prefix is
// the usual one: robot$PROJECT+NAME. No other name has a plus in it
// (src/server/v2.0/handler/robot.go, validateName).
func projectRobot(name string) bool {
	own, ok := strings.CutPrefix(name, "robot$")
	return ok && strings.Contains(own, "+")
}

// askCreation finds out whether this account may create projects
// (src/server/v2.0/handler/project.go, CreateProject): not a robot of one
// project, ever; others unless that is left to administrators, to whom belong
// those of a directory's group, and robots with that right. The latter cannot be
// asked for.
func (p *preflight) askCreation(ctx context.Context) {
	account := p.report.Account
	switch {
	case account.Kind == Administrator:
		p.report.MayCreate = Yes
	case account.Kind == Robot && projectRobot(account.Name):
		p.report.MayCreate = No
	case p.creation == "everyone" && account.Kind == Robot:
		p.report.MayCreate = known(true)
		if account.Name == "" || strings.Contains(account.Name, "+") {
			p.report.MayCreate = Unknown // with another prefix, it may be a robot of one project
		}
	case p.creation == "everyone" && account.Kind == User:
		p.report.MayCreate = Yes
	case p.creation == "adminonly" && account.Kind == User && len(p.toCreate()) > 0:
		p.askSystemRight(ctx)
	}
}

func (p *preflight) toCreate() []*Project {
	if !p.ask.Create {
		return nil
	}
	return p.those(func(own *Project) bool { return own.Exists == No })
}

// askSystemRight looks for administrators by way of a group: they are users
// without the flag, who may do everything.
func (p *preflight) askSystemRight(ctx context.Context) {
	var rights []struct{ Resource, Action string }
	_, err := p.Harbor.ask(ctx, "/api/v2.0/users/current/permissions", url.Values{"scope": {"/system"}, "relative": {"true"}}, &rights)
	p.answered(err)
	if err != nil {
		p.unknown("whether this account may create projects", err)
		return
	}
	p.report.MayCreate = No
	for _, r := range rights {
		if strings.TrimPrefix(r.Resource, "/system/") == "project" && r.Action == "create" {
			p.report.MayCreate, p.report.Account.Kind = Yes, Administrator
		}
	}
}
