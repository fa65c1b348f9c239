package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// errNotConfirmed ends a command that would have removed something.
var errNotConfirmed = errors.New("nothing was removed: give --yes to do it")

// confirmation is what commands that remove much have.
type confirmation struct{ dryRun, yes bool }

func (f *confirmation) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "Say what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "Remove it; without, the command says what it would remove and fails")
}

// trial is true where nothing is to be removed.
func (f *confirmation) trial() bool { return f.dryRun || !f.yes }

// end is the command's result after a trial or the removal.
func (f *confirmation) end() error {
	if f.dryRun || f.yes {
		return nil
	}
	return errNotConfirmed
}

func (c *command) sites() *cobra.Command {
	list := func(*cobra.Command, []string) error { return c.allSites() }
	cmd := &cobra.Command{
		Use:   "sites",
		Short: "Lists all sites that visitors have been to; removes one",
		Example: `  caddy webpush sites
  caddy webpush sites remove old.example.com --dry-run
  caddy webpush sites remove old.example.com --yes`,
		Args: cobra.NoArgs,
		RunE: list,
	}
	var confirm confirmation
	var force bool
	remove := &cobra.Command{
		Use:   "remove <site>",
		Short: "Removes all that is kept of a site",
		Long: `Removes all that is kept of a site: subscribers, messages and what came of them,
visitors, events, counts, the question's settings, pop-ups and images.

A site that the configuration names, and one with messages that are not sent yet,
is refused unless --force is given; its messages are cancelled then. The bytes stay
in backups made before, and in the store's file until 'caddy webpush compact'.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return c.removeSite(args[0], confirm, force) },
	}
	confirm.flags(remove)
	remove.Flags().BoolVar(&force, "force", false, "Remove it although it is in use")
	cmd.AddCommand(remove, &cobra.Command{Use: "list", Short: "Lists all sites that visitors have been to", Args: cobra.NoArgs, RunE: list})
	return cmd
}

func (c *command) allSites() error {
	var list struct{ Sites []service.SiteRow }
	raw, err := c.call(http.MethodGet, "/sites?all=true", nil, nil, &list)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		if len(list.Sites) == 0 {
			_, err := fmt.Fprintln(w, "No visitor has been to any site yet.")
			return err
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "SITE\tSUBSCRIBERS\tMESSAGES\tPROFILES\tCONFIGURED")
		for _, s := range list.Sites {
			named := ""
			if s.Configured {
				named = "by name"
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\n", s.Site, s.Subscriptions, s.Messages, s.Profiles, named)
		}
		return t.Flush()
	})
}

func (c *command) removeSite(site string, confirm confirmation, force bool) error {
	var kept struct {
		service.SiteContents
		Removed bool
	}
	query := url.Values{"dry_run": {fmt.Sprint(confirm.trial())}, "force": {fmt.Sprint(force)}}
	raw, err := c.call(http.MethodDelete, sitePath(site, "?"+query.Encode()), nil, nil, &kept)
	if err != nil {
		return err
	}
	err = c.print(raw, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "Site\t%s\n", kept.Site)
		for _, row := range []struct {
			name string
			n    int64
		}{
			{"Subscribers", kept.Subscriptions},
			{"Messages", kept.Messages},
			{"  not sent yet", kept.Unfinished},
			{"Profiles", kept.Profiles},
			{"Names of events", kept.EventNames},
			{"Pop-ups", kept.Popups},
			{"Images", kept.Uploads},
			{"Settings", kept.Settings},
		} {
			fmt.Fprintf(t, "%s\t%d\n", row.name, row.n)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		last := "Removed. Backups made before have it still; 'caddy webpush compact' takes the last bytes out of the store's file."
		if !kept.Removed {
			last = "This would be removed."
			if !force && (kept.Configured || kept.Unfinished > 0) {
				last = (&service.SiteInUseError{Contents: kept.SiteContents}).Error() + "."
			}
		}
		_, err := fmt.Fprintln(w, last)
		return err
	})
	return errors.Join(err, confirm.end())
}
