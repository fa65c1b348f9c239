package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// profileRow is a person in the API's list.
type profileRow struct {
	ID            string
	Identities    []people.Identity
	Created, Seen time.Time
	Devices       int
}

func (c *command) profiles() *cobra.Command {
	var site, identity, cursor string
	var limit int
	list := func(*cobra.Command, []string) error { return c.listProfiles(site, identity, cursor, limit) }
	cmd := &cobra.Command{
		Use:   "profiles --site <site>",
		Short: "Lists the visitors that a site knows; shows, exports and erases one, or many by what is known of them",
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
		cmd.Flags().StringVar(&identity, "identity", "", "Only who has this identity or e-mail address; or <kind>:<value>")
		cmd.Flags().StringVar(&cursor, "cursor", "", "Where an earlier list ended")
		cmd.Flags().IntVar(&limit, "limit", 100, "How many to list, at most 1000")
	}
	one := func(use, short string, run func(site, id string) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " --site <site> <id or identity>", Short: short, Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				id, err := c.profileID(site, args[0])
				if err != nil {
					return err
				}
				return run(site, id)
			},
		}
	}
	cmd.AddCommand(listCmd,
		one("show", "Shows what is known of a visitor", c.showProfile),
		one("export", "Prints all that is kept of a visitor, as JSON", c.exportProfile),
		&cobra.Command{
			Use: "erase --site <site> <id or identity>", Short: "Erases a visitor: profile, events, devices and subscriptions", Args: cobra.ExactArgs(1),
			Long: "Erases a visitor: profile, events, devices and subscriptions. With an identity, also the visitors who claim it without proof.",
			RunE: func(_ *cobra.Command, args []string) error {
				if profileIDPattern.MatchString(args[0]) {
					return c.eraseProfile(site, args[0])
				}
				return c.eraseBy(site, args[0])
			},
		},
		c.purge(&site),
	)
	return cmd
}

var profileIDPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// searchProfiles finds who has the identity. It is not in the address, which Caddy
// logs.
func (c *command) searchProfiles(site, identity string, out any) ([]byte, error) {
	return c.call(http.MethodPost, sitePath(site, "/profiles/search"), nil, map[string]string{"identity": identity}, out)
}

// profileID is the id, or that of the one who has the identity.
func (c *command) profileID(site, given string) (string, error) {
	if profileIDPattern.MatchString(given) {
		return given, nil
	}
	var list struct{ Profiles []profileRow }
	if _, err := c.searchProfiles(site, given, &list); err != nil {
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
		return "", fmt.Errorf("%s knows nobody by %q; 'caddy webpush profiles --site %s' lists them", site, given, site)
	}
	return list.Profiles[0].ID, nil
}

func (c *command) listProfiles(site, identity, cursor string, limit int) error {
	var list struct {
		Profiles []profileRow
		Next     string
		Counts   api.PeopleCounts
	}
	query := url.Values{"limit": {fmt.Sprint(limit)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	ask := func() ([]byte, error) {
		return c.call(http.MethodGet, sitePath(site, "/profiles?"+query.Encode()), nil, nil, &list)
	}
	if identity != "" {
		ask = func() ([]byte, error) { return c.searchProfiles(site, identity, &list) }
	}
	raw, err := ask()
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		if len(list.Profiles) == 0 {
			_, err := fmt.Fprintln(w, "There is nobody.")
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

func (c *command) showProfile(site, id string) error {
	var p struct {
		people.Profile
		HistoryEvents []people.EventRecord
		Subscriptions []struct{ Service string }
	}
	raw, err := c.call(http.MethodGet, sitePath(site, "/profiles/"+id), nil, nil, &p)
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

func (c *command) exportProfile(site, id string) error {
	raw, err := c.call(http.MethodGet, sitePath(site, "/profiles/"+id), nil, nil, nil)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error { _, err := w.Write(raw); return err })
}

// eraseBy erases who has the identity, and who claims it; where there is none, the one
// whose id it is short for.
func (c *command) eraseBy(site, identity string) error {
	var out struct{ Erased int }
	raw, err := c.call(http.MethodPost, sitePath(site, "/profiles/erase"), nil, map[string]string{"identity": identity}, &out)
	if err != nil {
		return err
	}
	if out.Erased == 0 {
		id, err := c.profileID(site, identity)
		if err != nil {
			return err
		}
		return c.eraseProfile(site, id)
	}
	return c.print(raw, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Erased %s. Backups made before have it still; 'caddy webpush compact' takes the last bytes out of the store's file.\n", plural(int64(out.Erased), "profile"))
		return err
	})
}

func (c *command) eraseProfile(site, id string) error {
	if _, err := c.call(http.MethodDelete, sitePath(site, "/profiles/"+id), nil, nil, nil); err != nil {
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
		Short: "Erases all visitors whom an expression means",
		Long: `Erases all visitors whom an expression means: profile, events, devices and
subscriptions. The expression is one as pop-ups have for their audience, in CEL, over
profile, events, subscribed, visits, known, created, seen and now. Who comes while the
command runs stays.`,
		Example: `  caddy webpush profiles purge --site shop.example.com --where '!known && !subscribed && seen - created < duration("1m")' --dry-run
  caddy webpush profiles purge --site shop.example.com --where 'seen < timestamp("2026-01-01T00:00:00Z")' --yes`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.purgeProfiles(*site, where, confirm) },
	}
	cmd.Flags().StringVar(&where, "where", "", "Who is meant (required)")
	_ = cmd.MarkFlagRequired("where")
	confirm.flags(cmd)
	return cmd
}

// purgeProfiles asks for part after part.
func (c *command) purgeProfiles(site, where string, confirm confirmation) error {
	var sum api.Purged
	for request := (api.PurgeRequest{Where: where, DryRun: confirm.trial()}); ; {
		var part api.Purged
		if _, err := c.call(http.MethodPost, sitePath(site, "/profiles/purge"), nil, request, &part); err != nil {
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
	return errors.Join(err, confirm.end())
}
