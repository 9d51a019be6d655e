package main

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// app is what the commands share: the streams, and the environment.
type app struct {
	getenv   func(string) string
	in       io.Reader
	out, err io.Writer
	started  bool     // the command line was understood
	asked    []string // flags that say what is meant, as they were given
	session  *session // of the command; nil before it has one
	log      *slog.Logger
}

const exitStatus = `

EXIT STATUS
  0    everything that was asked for was done
  1    the run could not do its work
  2    wrong usage
  3    finished, but some image was left out or failed, or the check found damage
  130  interrupted; the same command goes on where it was`

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "drydock",
		Short: "Move every image from a registry's storage directory into Harbor",
		Long: `drydock reads the storage directory of a container registry that is not running
(docker/registry/v2), hard-links every image into a layout that skopeo reads,
pushes those to Harbor or any other registry, and checks that the target has the
same digests. The storage directory itself is never written to.

  drydock list     SOURCE               what is in there
  drydock check    SOURCE               is it whole, and what is wrong with it
  drydock plan     SOURCE DEST          what would be done
  drydock convert  SOURCE LAYOUTS       hard-link every image into LAYOUTS
  drydock push     LAYOUTS DEST         push the layouts, or a bundle
  drydock migrate  SOURCE DEST          all of it: scan, plan, convert, push, verify
  drydock verify   SOURCE DEST          every digest against the target's
  drydock bundle   SOURCE FILE          an archive of layouts, for an air gap
  drydock serve    SOURCE               a read-only registry over it
  drydock extract  SOURCE IMAGE OUT     one image, for one client

SOURCE is a registry's root directory, often /var/lib/registry, or any of docker,
docker/registry and docker/registry/v2 below it; or a tar of one, plain, compressed
or in parts; or - for one on standard input. Layouts and bundles are taken too.
DEST is HOST[:PORT][/PREFIX]; http:// before it means plain HTTP.` + exitStatus,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	logLevel := root.PersistentFlags().String("log-level", "warn", "debug, info, warn or error; the log goes to stderr")
	root.SetGlobalNormalizationFunc(skopeoSpelling)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		var level slog.Level
		if err := level.UnmarshalText([]byte(*logLevel)); err != nil {
			return usageError{err}
		}
		a.started = true
		if err := checkValues(cmd.Flags()); err != nil {
			return err
		}
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if slices.Contains(tellingFlags, f.Name) {
				a.asked = append(a.asked, "--"+f.Name+"="+f.Value.String())
			}
		})
		a.log = slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
		return nil
	}
	for _, verb := range []func(*app) *cobra.Command{
		newListCommand, newCheckCommand, newPlanCommand, newConvertCommand,
		newPushCommand, newMigrateCommand, newVerifyCommand, newBundleCommand, newServeCommand, newExtractCommand, newVersionCommand,
	} {
		root.AddCommand(verb(a))
	}
	addProfileFlags(root)
	return root
}

// checkValues refuses values that are empty, as those of shell variables are that
// nobody set: --since "$DAY" would take everything, and --htpasswd "$FILE" let in
// everybody. Without a project, though, names stay as they are.
func checkValues(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if slices.Contains(values, "") && f.Name != "project" {
			err = report.WithHint(usageError{fmt.Errorf("--%s wants a value, and got an empty one", f.Name)},
				"leave it out, or see whether a variable that stands for it is set")
		}
	})
	return err
}

// tellingFlags are those that a report repeats: what was asked for, and nothing
// about accounts and machines.
var tellingFlags = []string{
	"include", "exclude", "latest", "since", "untagged", "no-referrers", "incomplete",
	"read-data", "recover", "project", "rewrite", "force", "deep", "extra", "public", "link", "trust-source",
}

// skopeoSpelling accepts skopeo's names of the flags about a destination.
func skopeoSpelling(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	switch short := strings.TrimPrefix(name, "dest-"); short {
	case "creds", "username", "authfile", "cert-dir", "tls-verify":
		return pflag.NormalizedName(short)
	}
	return pflag.NormalizedName(name)
}
