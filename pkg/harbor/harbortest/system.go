package harbortest

import (
	"net/http"
	"strings"
	"time"
)

// SetUnhealthy makes a component, such as database or trivy, say what it
// suffers from; an empty message heals it.
func (s *Server) SetUnhealthy(component, message string) {
	s.db.locked(func() {
		delete(s.db.unhealthy, component)
		if message != "" {
			s.db.unhealthy[component] = message
		}
	})
}

// SetQuotasEnabled switches quotas of projects on, as they are at first, or
// off: then none is shown for one project, and none is held to.
func (s *Server) SetQuotasEnabled(enabled bool) {
	s.db.locked(func() { s.db.quotasOff = !enabled })
}

// SetDefaultQuota sets the limit, in bytes, of projects that are created
// without one; -1 means none.
func (s *Server) SetDefaultQuota(bytes int64) {
	s.db.locked(func() { s.db.defaultQuota = bytes })
}

// SetStorage has the server say that its registry keeps blobs with another
// driver, such as s3. It goes on as before.
func (s *Server) SetStorage(driver string) {
	s.db.locked(func() { s.db.storage = driver })
}

// systemInfo tells more to those who are logged in.
func (s *Server) systemInfo(c caller) map[string]any {
	info := map[string]any{
		"auth_mode": "db_auth", "banner_message": "", "oidc_provider_name": "",
		"primary_auth_mode": false, "self_registration": false,
	}
	if !c.known() {
		return info
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	info["current_time"] = apiTime(time.Now())
	info["external_url"] = s.external
	info["harbor_version"] = harborVersion
	info["has_ca_root"] = false
	info["notification_enable"] = true
	info["project_creation_restriction"] = s.db.restriction
	info["read_only"] = s.db.readOnly
	info["registry_storage_provider_name"] = s.db.storage
	_, info["registry_url"], _ = strings.Cut(s.external, "://")
	return info
}

// health asks nobody who it is that asks (src/controller/health/controller.go).
func (s *Server) health() map[string]any {
	type component struct {
		Error  string `json:"error,omitempty"`
		Name   string `json:"name"`
		Status string `json:"status"`
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	all, overall := []component{}, "healthy"
	for _, name := range []string{"core", "database", "jobservice", "portal", "redis", "registry", "registryctl"} {
		c := component{s.db.unhealthy[name], name, "healthy"}
		if c.Error != "" {
			c.Status, overall = "unhealthy", "unhealthy"
		}
		all = append(all, c)
	}
	return map[string]any{"components": all, "status": overall}
}

// getConfigurations is for administrators; of some eighty settings it has
// those that matter to a push (api/v2.0/swagger.yaml, ConfigurationsResponse).
func (s *Server) getConfigurations(w http.ResponseWriter, c caller) error {
	if err := requireSystem(c, "configuration:read"); err != nil {
		return err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	settings := map[string]any{
		"auth_mode": "db_auth", "project_creation_restriction": s.db.restriction, "read_only": s.db.readOnly,
		"quota_per_project_enable": !s.db.quotasOff, "storage_per_project": s.db.defaultQuota,
		"robot_name_prefix": "robot$", "token_expiration": int(s.lifetime.Minutes()),
	}
	for name, value := range settings {
		settings[name] = map[string]any{"editable": true, "value": value}
	}
	return writeJSON(w, settings)
}

// getCurrentUser knows no robots (src/server/v2.0/handler/user.go,
// GetCurrentUserInfo).
func (s *Server) getCurrentUser(w http.ResponseWriter, c caller) error {
	switch {
	case !c.known():
		return unauthenticated()
	case c.robot != nil:
		return refuse(http.StatusPreconditionFailed, "PRECONDITION", "get current user not available for security context: robot")
	}
	user := map[string]any{
		"admin_role_in_auth": false, "comment": "", "realname": c.name, "sysadmin_flag": c.admin && !c.byGroup,
		"creation_time": apiTime(started), "update_time": apiTime(started),
		"user_id": s.userID(c.name), "username": c.name,
	}
	if c.name == adminName {
		user["comment"], user["realname"] = "admin user", "system admin"
	}
	return writeJSON(w, user)
}
