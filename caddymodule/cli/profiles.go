package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

func (c *command) profiles() *cobra.Command {
	var site, identity, cursor string
	var limit int
	list := func(cmd *cobra.Command, _ []string) error {
		return c.listProfiles(cmd.Context(), site, identity, api.Page{Cursor: cursor, Limit: &limit})
	}
	cmd := &cobra.Command{
		Use:   "profiles --site <site>",
		Short: "Lists the known visitors of a site; shows, exports and erases one; erases many by their attributes",
		Example: `  caddy webpush profiles --site shop.example.com --identity ann@example.com
  caddy webpush profiles export --site shop.example.com ann@example.com > ann.json
  caddy webpush profiles erase --site shop.example.com 019f8b7c-2f3e-7d41-9a55-0c1d2e3f4a5b`,
		Args: cobra.NoArgs,
		RunE: list,
	}
	cmd.PersistentFlags().StringVar(&site, "site", "", "Site of the visitors (required)")
	_ = cmd.MarkPersistentFlagRequired("site")
	listCmd := &cobra.Command{Use: "list --site <site>", Short: "Lists the visitors, from the oldest", Args: cobra.NoArgs, RunE: list}
	for _, cmd := range []*cobra.Command{cmd, listCmd} {
		cmd.Flags().StringVar(&identity, "identity", "", "Only visitors with this identity or e-mail address; or <kind>:<value>")
		cmd.Flags().StringVar(&cursor, "cursor", "", "Where an earlier list ended")
		cmd.Flags().IntVar(&limit, "limit", 100, "How many to list, at most 1000")
	}
	profileCommand := func(use, short string, run func(ctx context.Context, site, id string) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " --site <site> <id or identity>", Short: short, Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				id, err := c.profileID(cmd.Context(), site, args[0])
				if err != nil {
					return err
				}
				return run(cmd.Context(), site, id)
			},
		}
	}
	cmd.AddCommand(listCmd,
		profileCommand("show", "Shows the data of a visitor", c.showProfile),
		profileCommand("export", "Prints all stored data of a visitor, as JSON", c.exportProfile),
		&cobra.Command{
			Use: "erase --site <site> <id or identity>", Short: "Erases a visitor: profile, events, devices and subscriptions", Args: cobra.ExactArgs(1),
			Long: "Erases a visitor: profile, events, devices and subscriptions. With an identity, also the visitors who claim it without proof.",
			RunE: func(cmd *cobra.Command, args []string) error {
				if profileIDPattern.MatchString(args[0]) {
					return c.eraseProfile(cmd.Context(), site, args[0])
				}
				return c.eraseBy(cmd.Context(), site, args[0])
			},
		},
		c.purge(&site),
	)
	return cmd
}

var profileIDPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// profileID returns the id, or the id of the profile with the identity.
func (c *command) profileID(ctx context.Context, site, given string) (string, error) {
	if profileIDPattern.MatchString(given) {
		return given, nil
	}
	list, err := c.client(nil).SearchProfiles(ctx, site, api.IdentityRequest{Identity: given})
	if err != nil {
		return "", err
	}
	if len(list.Profiles) > 1 {
		var all []candidate
		for _, p := range list.Profiles {
			all = append(all, candidate{p.ID, knownAs(p.Identities)})
		}
		return pick("profiles", strings.ToLower(given), all)
	}
	if len(list.Profiles) == 0 {
		return "", fmt.Errorf("%s has no profile with the id or identity %q; 'caddy webpush profiles --site %s' lists them", site, given, site)
	}
	return list.Profiles[0].ID, nil
}

func (c *command) listProfiles(ctx context.Context, site, identity string, page api.Page) error {
	var raw []byte
	var list api.ProfileList
	var err error
	if identity != "" {
		list, err = c.client(&raw).SearchProfiles(ctx, site, api.IdentityRequest{Identity: identity})
	} else {
		list, err = c.client(&raw).ListProfiles(ctx, site, page)
	}
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		if len(list.Profiles) == 0 {
			none := "No profiles yet."
			if identity != "" {
				none = fmt.Sprintf("No profile has the identity %q.", identity)
			}
			_, err := fmt.Fprintln(w, none)
			return err
		}
		var rows [][]any
		for _, p := range list.Profiles {
			rows = append(rows, []any{p.ID, knownAs(p.Identities), p.Devices, p.Created, p.Seen})
		}
		if err := table(w, []string{"ID", "KNOWN AS", "DEVICES", "SINCE", "LAST SEEN"}, rows); err != nil {
			return err
		}
		fmt.Fprintf(w, "The site has %s, %d of them anonymous.\n", plural(list.Counts.Profiles, "profile"), list.Counts.Anonymous)
		if list.Next != "" {
			fmt.Fprintf(w, "There are more: --cursor %s\n", list.Next)
		}
		return nil
	})
}

func knownAs(identities []people.Identity) string {
	var all []string
	for _, i := range identities {
		all = append(all, printable(i.Value))
	}
	return orNone(strings.Join(all, ", "))
}

func (c *command) showProfile(ctx context.Context, site, id string) error {
	var raw []byte
	p, err := c.client(&raw).ExportProfile(ctx, site, id)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		rows := [][]any{
			{"Profile", p.ID},
			{"Known as", knownAs(p.Identities)},
			{"Since", p.Created},
			{"Last seen", p.Seen},
			{"Visits", p.Visits},
			{"Devices", len(p.Devices)},
			{"Subscriptions", len(p.Subscriptions)},
		}
		for _, key := range slices.Sorted(maps.Keys(p.Attributes)) {
			value, err := json.Marshal(p.Attributes[key])
			if err != nil {
				return fmt.Errorf("showing an attribute: %w", err)
			}
			rows = append(rows, []any{"  " + key, string(value)})
		}
		if len(p.Events) > 0 {
			rows = append(rows, []any{"EVENT", "COUNT", "LAST"})
		}
		for _, name := range slices.Sorted(maps.Keys(p.Events)) {
			rows = append(rows, []any{name, p.Events[name].Count, p.Events[name].Last})
		}
		return table(w, nil, rows)
	})
}

func (c *command) exportProfile(ctx context.Context, site, id string) error {
	var raw []byte
	if _, err := c.client(&raw).ExportProfile(ctx, site, id); err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error { _, err := w.Write(raw); return err })
}

// eraseBy erases the profiles that have or claim the identity. If no profile does, it erases
// the profile whose id it abbreviates.
func (c *command) eraseBy(ctx context.Context, site, identity string) error {
	var raw []byte
	out, err := c.client(&raw).EraseIdentity(ctx, site, api.IdentityRequest{Identity: identity})
	if err != nil {
		return err
	}
	if out.Erased == 0 {
		id, err := c.profileID(ctx, site, identity)
		if err != nil {
			return err
		}
		return c.eraseProfile(ctx, site, id)
	}
	return c.print(raw, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Erased %s. Backups made before have it still; 'caddy webpush compact' takes the last bytes out of the store's file.\n", plural(int64(out.Erased), "profile"))
		return err
	})
}

func (c *command) eraseProfile(ctx context.Context, site, id string) error {
	if err := c.client(nil).EraseProfile(ctx, site, id); err != nil {
		return err
	}
	return c.printValue(struct {
		Erased string `json:"erased"`
	}{id}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Erased. The profile was %s. Backups made before have it still; 'caddy webpush compact' takes the last bytes out of the store's file.\n", id)
		return err
	})
}

func (c *command) purge(site *string) *cobra.Command {
	var where string
	var confirm confirmation
	cmd := &cobra.Command{
		Use:   "purge --site <site> --where <expression>",
		Short: "Erases all visitors that an expression matches",
		Long: `Erases all visitors that an expression matches: profile, events, devices and
subscriptions. The expression is one as pop-ups have for their audience, in CEL, over
profile, events, subscribed, visits, known, created, seen and now. A visitor who comes
while the command runs stays.`,
		Example: `  caddy webpush profiles purge --site shop.example.com --where '!known && !subscribed && seen - created < duration("1m")' --dry-run
  caddy webpush profiles purge --site shop.example.com --where 'seen < timestamp("2026-01-01T00:00:00Z")' --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.purgeProfiles(cmd.Context(), *site, where, confirm)
		},
	}
	cmd.Flags().StringVar(&where, "where", "", "Which visitors to erase, as a CEL expression (required)")
	_ = cmd.MarkFlagRequired("where")
	confirm.flags(cmd)
	return cmd
}

// purgeProfiles erases in parts, one request for each.
func (c *command) purgeProfiles(ctx context.Context, site, where string, confirm confirmation) error {
	var sum api.Purged
	for request := (api.PurgeRequest{Where: where, DryRun: confirm.trial()}); ; {
		part, err := c.client(nil).PurgeProfiles(ctx, site, request)
		if err != nil {
			if sum.Erased > 0 {
				return fmt.Errorf("%s erased before this went wrong: %w", plural(sum.Erased, "profile"), err)
			}
			return err
		}
		sum.Looked, sum.Matched, sum.Erased = sum.Looked+part.Looked, sum.Matched+part.Matched, sum.Erased+part.Erased
		if request.After = part.Next; part.Next == "" {
			break
		}
	}
	err := c.printValue(sum, func(w io.Writer) error {
		if confirm.trial() {
			_, err := fmt.Fprintf(w, "%s of %d would be erased.\n", plural(sum.Matched, "profile"), sum.Looked)
			return err
		}
		_, err := fmt.Fprintf(w, "%s of %d erased. Backups made before have them still; 'caddy webpush compact' takes the last bytes out of the store's file.\n",
			plural(sum.Erased, "profile"), sum.Looked)
		return err
	})
	return errors.Join(err, confirm.end(false))
}
