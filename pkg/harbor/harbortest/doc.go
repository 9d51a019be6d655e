// Package harbortest is a Harbor to test against: a distribution registry
// running in this process, with the answers of Harbor 2.15's core in front
// of it.
//
//	harbor, err := harbortest.New(nil)
//	if err != nil {
//		return err
//	}
//	defer harbor.Close()
//	harbor.CreateProject("mig", harbortest.Project{})
//	// push to harbor.Host() as admin, Harbor12345
//
// What is pushed is really stored and can be pulled back; with [Options.Dir]
// it lies in a registry tree on disk. Tokens, projects, robots, quotas,
// immutable tags, read-only mode and the refusals that go with them behave as
// measured on a real Harbor, down to wording and headers where a client can
// tell them apart. Harbor's own database is kept in memory: as in Harbor 2.15,
// the registry tree itself carries no tags.
//
// The package serves tests and demonstrations, listens on 127.0.0.1 alone, and
// does not import testing.
package harbortest
