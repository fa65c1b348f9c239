package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// errNotConfirmed ends a command that would have removed something.
var (
	errNotConfirmed = errors.New("nothing was removed: give --yes to do it")
	errNotForced    = errors.New("nothing was removed: give --yes and --force to do it")
)

// confirmation has the flags of commands that remove many rows.
type confirmation struct{ dryRun, yes bool }

func (f *confirmation) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "Report the rows to remove, and remove nothing")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "Remove it; without this flag, the command reports the rows to remove, and fails")
}

// trial is true if the command must not remove anything.
func (f *confirmation) trial() bool { return f.dryRun || !f.yes }

// end is the command's result after a trial or the removal. needsForce is true if --yes alone would
// be refused.
func (f *confirmation) end(needsForce bool) error {
	switch {
	case f.dryRun || f.yes:
		return nil
	case needsForce:
		return errNotForced
	}
	return errNotConfirmed
}

func (c *command) sites() *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error { return c.allSites(cmd.Context()) }
	cmd := &cobra.Command{
		Use:   "sites",
		Short: "Lists the sites of the configuration and of the store; renames, merges and removes them",
		Example: `  caddy webpush sites
  caddy webpush sites rename old.example.com new.example.com --dry-run
  caddy webpush sites merge www.example.com example.com --yes
  caddy webpush sites remove old.example.com --dry-run
  caddy webpush sites remove old.example.com --yes`,
		Args: cobra.NoArgs,
		RunE: list,
	}
	var confirm confirmation
	var force bool
	remove := &cobra.Command{
		Use:   "remove <site>",
		Short: "Removes all stored data of a site",
		Long: `Removes all stored data of a site: subscribers, messages and their results, visitors,
events, counts, the prompt's settings, pop-ups and images.

A site that the configuration names, or one with unsent messages, is removed only with
--force, which cancels its messages. The bytes stay in earlier backups, and in the
store's file until 'caddy webpush compact'.

Of a former name of a site (see rename) the name alone is removed: the next visitor under
it begins a site of its own.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.removeSite(cmd.Context(), args[0], confirm, force)
		},
	}
	confirm.flags(remove)
	remove.Flags().BoolVar(&force, "force", false, "Remove it although it is in use")
	cmd.AddCommand(remove, c.moveSite("rename", (*api.Client).RenameSite, "Renames a site",
		`Renames a site, with its subscribers, messages and their results, visitors, events,
counts, the prompt's settings, pop-ups and images. The store must have no data under
the new name; 'merge' joins two sites.

`+moveHelp), c.moveSite("merge", (*api.Client).MergeSite, "Joins a site with another one",
		`Brings all that is kept of a site to another one, such as www.example.com to
example.com. A browser that is subscribed at both is one subscriber, with what was
seen last: no subscriber gets anything twice. Profiles with the same identity
become one, counts are added. The other site's settings stay; a pop-up of a known id
gets another id and is paused, unless it is the same.

`+moveHelp), &cobra.Command{Use: "list", Short: "Lists the sites of the configuration and of the store", Args: cobra.NoArgs, RunE: list})
	return cmd
}

// moveHelp is the common part of the help of rename and merge.
const moveHelp = `The old name stays valid: requests of pages, workers and push services under it count
for the new one. Change the Caddyfile too, before or after the command. Scheduled
messages move with the site; while a message is being sent, the site cannot be moved.
The server continues to work, and continues the move after a restart.`

// moveSite is the command that calls move, which renames or merges a site.
func (c *command) moveSite(verb string, move func(*api.Client, context.Context, string, api.SiteMoveRequest) (api.SiteMoving, error), short, long string) *cobra.Command {
	var confirm confirmation
	cmd := &cobra.Command{
		Use: verb + " <from> <into>", Short: short, Long: long, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw []byte
			out, err := move(c.client(&raw), cmd.Context(), args[0], api.SiteMoveRequest{Into: args[1], DryRun: confirm.trial()})
			if err != nil {
				return err
			}
			err = c.print(raw, func(w io.Writer) error {
				if verb == "rename" {
					return printRenamed(w, out)
				}
				return printMerged(w, out)
			})
			if err == nil && !confirm.dryRun && !confirm.yes {
				err = errNotMoved
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&confirm.dryRun, "dry-run", false, "Say what would change, and change nothing")
	cmd.Flags().BoolVar(&confirm.yes, "yes", false, "Do it; without, the command says what would change and fails")
	return cmd
}

// errNotMoved ends a command that was not confirmed.
var errNotMoved = errors.New("nothing was changed: give --yes to do it")

// printRenamed prints a rename: nothing is under the new name before it.
func printRenamed(w io.Writer, m api.SiteMoving) error {
	rows, would := contents(m.From), "would be"
	if !m.DryRun {
		would = "is"
		rows = movedRows(m, false)
	}
	if err := table(w, nil, rows); err != nil {
		return err
	}
	last, subscribers := "The old name leads there.", m.Into.Subscriptions
	if m.DryRun {
		last, subscribers = "Nothing was changed.", m.From.Subscriptions
	}
	_, err := fmt.Fprintf(w, "%s %s renamed to %s, with %s. %s\n%s", m.From.Site, would, m.Into.Site, plural(subscribers, "subscriber"), last, stillConfigured(m))
	return err
}

// stillConfigured tells if the configuration has the old name only.
func stillConfigured(m api.SiteMoving) string {
	if m.DryRun || !m.From.Configured || m.Into.Configured {
		return ""
	}
	return fmt.Sprintf("The configuration still names %[1]s: give its block the new name, or 'site %[2]s'. Until then visitors of %[1]s count for %[2]s all the same.\n", m.From.Site, m.Into.Site)
}

// movedRows counts what has moved; joined adds what was at both sites.
func movedRows(m api.SiteMoving, joined bool) [][]any {
	subscribers := []count{{"Subscribers", m.Moved.Subscriptions}}
	profiles := []count{{"Profiles", m.Moved.Profiles}}
	if joined {
		subscribers = append(subscribers, count{"  that were at both", m.Moved.Joined})
		profiles = append(profiles, count{"  that became part of another", m.Moved.JoinedProfiles})
	}
	return rowsOf(slices.Concat(
		subscribers,
		[]count{{"Messages", m.Moved.Messages}},
		profiles,
		[]count{{"Pop-ups", m.Moved.Popups}, {"Images", m.Moved.Uploads}, {"Settings", m.Moved.Settings}},
	)...)
}

func printMerged(w io.Writer, m api.SiteMoving) error {
	columns, rows := []string(nil), movedRows(m, true)
	if m.DryRun {
		into := contents(m.Into)
		columns, rows = []string{"", m.From.Site, m.Into.Site}, contents(m.From)
		for i := range rows {
			rows[i] = append(rows[i], into[i][1])
		}
	}
	if err := table(w, columns, rows); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(m.Popups)) {
		fmt.Fprintf(w, "Pop-up %q of %s is now %q, and paused: %s has another pop-up with that id.\n", id, m.From.Site, m.Popups[id], m.Into.Site)
	}
	last := fmt.Sprintf("All of %s is at %s now, which has %s. The old name leads there.", m.From.Site, m.Into.Site, plural(m.Into.Subscriptions, "subscriber"))
	if m.DryRun {
		both := fmt.Sprintf("%d of them are at both now", m.Shared)
		if m.Shared == 1 {
			both = "1 of them is at both now"
		}
		last = fmt.Sprintf("This would come together at %s: %s; %s.", m.Into.Site, plural(m.From.Subscriptions+m.Into.Subscriptions-m.Shared, "subscriber"), both)
	}
	_, err := fmt.Fprintf(w, "%s\n%s", last, stillConfigured(m))
	return err
}

func (c *command) allSites(ctx context.Context) error {
	var raw []byte
	list, err := c.client(&raw).ListSites(ctx)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		if len(list.Sites) == 0 {
			_, err := fmt.Fprintln(w, "No visitor has been to any site yet.")
			return err
		}
		var rows [][]any
		for _, s := range list.Sites {
			rows = append(rows, []any{s.Site, s.Subscriptions, s.Messages, s.Profiles, named(s)})
		}
		if err := table(w, []string{"SITE", "SUBSCRIBERS", "MESSAGES", "PROFILES", "CONFIGURED"}, rows); err != nil {
			return err
		}
		for _, s := range list.Sites {
			if s.Now != "" && s.Subscriptions > 0 {
				fmt.Fprintf(w, "Messages to %s do not reach the subscribers of %s: '%s sites merge %s %s' joins them.\n", s.Now, s.Site, c.self(), s.Site, s.Now)
			}
		}
		return nil
	})
}

// named reports whether the configuration names a site, and the former names of the site.
func named(s api.Site) string {
	text := ""
	switch {
	case s.Configured:
		text = "by name"
	case s.Now != "":
		text = "no: its visitors belong to " + s.Now
	}
	if len(s.OtherNames) > 0 {
		text = strings.TrimSpace(text + " (formerly " + strings.Join(s.OtherNames, ", ") + ")")
	}
	if s.Coming {
		text += " (more data is being moved)"
	}
	return text
}

// contents are table rows that count the stored data of a site.
func contents(s api.SiteContents) [][]any {
	return rowsOf(
		count{"Subscribers", s.Subscriptions},
		count{"Messages", s.Messages},
		count{"  not sent yet", s.Unfinished},
		count{"Profiles", s.Profiles},
		count{"Names of events", s.EventNames},
		count{"Pop-ups", s.Popups},
		count{"Images", s.Uploads},
		count{"Settings", s.Settings},
	)
}

func (c *command) removeSite(ctx context.Context, site string, confirm confirmation, force bool) error {
	var raw []byte
	kept, err := c.client(&raw).RemoveSite(ctx, site, confirm.trial(), force)
	if err != nil {
		return err
	}
	needsForce := !force && (kept.Configured || kept.Unfinished > 0)
	err = c.print(raw, func(w io.Writer) error {
		if kept.OtherNameOf != "" {
			what := "would be removed"
			if kept.Removed {
				what = "is removed"
			}
			_, err := fmt.Fprintf(w, "%s is another name of %s. Only the name %s; all data stays with %s.\n", kept.Site, kept.OtherNameOf, what, kept.OtherNameOf)
			return err
		}
		if err := table(w, nil, append([][]any{{"Site", kept.Site}}, contents(kept.SiteContents)...)); err != nil {
			return err
		}
		last := "Removed. Backups made before have it still; 'caddy webpush compact' takes the last bytes out of the store's file."
		if !kept.Removed {
			last = "This would be removed."
			if needsForce {
				last = (&service.SiteInUseError{Contents: kept.SiteContents}).Error() + "."
			}
		}
		_, err := fmt.Fprintln(w, last)
		return err
	})
	return errors.Join(err, confirm.end(needsForce))
}
