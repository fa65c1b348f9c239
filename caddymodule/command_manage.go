package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func (c *command) subscribers() *cobra.Command {
	var site string
	var limit int
	cmd := &cobra.Command{
		Use:   "subscribers [--site <site>]",
		Short: "Lists the sites, or the subscribers of one",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if site == "" {
				return c.listSites()
			}
			return c.listSubscribers(site, limit)
		},
	}
	cmd.Flags().StringVar(&site, "site", "", "Site whose subscribers to list")
	cmd.Flags().IntVar(&limit, "limit", 100, "How many to list, at most 1000")
	remove := &cobra.Command{
		Use:   "remove --site <site> <id>",
		Short: "Removes a subscriber",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if site == "" {
				return errors.New("--site is missing: it names the site of the subscriber")
			}
			if _, err := c.call(http.MethodDelete, sitePath(site, "/subscriptions/"+args[0]), nil, nil, nil); err != nil {
				return err
			}
			fmt.Println("Removed.")
			return nil
		},
	}
	remove.Flags().StringVar(&site, "site", "", "Site of the subscriber (required)")
	cmd.AddCommand(remove)
	return cmd
}

func (c *command) listSites() error {
	var list struct{ Sites []pushsvc.SiteSummary }
	raw, err := c.call(http.MethodGet, "/sites", nil, nil, &list)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		if len(list.Sites) == 0 {
			_, err := fmt.Fprintln(w, "No site has subscribers yet: open one in a browser and accept.")
			return err
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "SITE\tSUBSCRIBERS\tMESSAGES")
		for _, s := range list.Sites {
			fmt.Fprintf(t, "%s\t%d\t%d\n", s.Site, s.Subscriptions, s.Messages)
		}
		return t.Flush()
	})
}

func (c *command) listSubscribers(site string, limit int) error {
	var list struct {
		Subscriptions []struct {
			ID, Service, Language, TimeZone, Page string
			Created, Seen                         time.Time
		}
		Next string
	}
	raw, err := c.call(http.MethodGet, sitePath(site, fmt.Sprintf("/subscriptions?limit=%d", limit)), nil, nil, &list)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tSERVICE\tSUBSCRIBED\tLAST SEEN\tLANGUAGE\tTIME ZONE\tPAGE")
		for _, s := range list.Subscriptions {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.Service,
				localTime(s.Created), localTime(s.Seen), printable(s.Language), printable(s.TimeZone), printable(s.Page))
		}
		if err := t.Flush(); err != nil || list.Next == "" {
			return err
		}
		_, err := fmt.Fprintf(w, "There are more: raise --limit, or follow \"next\" of the API.\n")
		return err
	})
}

func (c *command) keys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Lists the VAPID keys, or imports a pair",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return c.listKeys() },
	}
	cmd.AddCommand(c.importKey())
	return cmd
}

func (c *command) listKeys() error {
	var list struct{ Keys []pushsvc.Key }
	raw, err := c.call(http.MethodGet, "/keys", nil, nil, &list)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tCREATED\tCURRENT\tPUBLIC KEY")
		for _, k := range list.Keys {
			current := ""
			if k.Current {
				current = "yes"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.ID, localTime(k.Created), current, k.Public)
		}
		return t.Flush()
	})
}

func (c *command) importKey() *cobra.Command {
	var public, file string
	cmd := &cobra.Command{
		Use:   "import --public <key> [--private-file <file>]",
		Short: "Imports a VAPID key pair and makes it the current one",
		Long: `Imports a VAPID key pair, both halves in base64url as other web push software
has them, and makes it the current one: new subscriptions are made with it.
Subscriptions made with an earlier key go on with that.

The private key is read from --private-file, or from standard input, so that it
shows in no process list and no shell history.`,
		Example: `  caddy webpush keys import --public BNc… --private-file vapid.key
  printf %s "$VAPID_PRIVATE_KEY" | caddy webpush keys import --public BNc…`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			in := os.Stdin
			if file != "" {
				f, err := os.Open(file)
				if err != nil {
					return fmt.Errorf("opening the private key: %w", err)
				}
				defer f.Close()
				in = f
			} else if isTerminal(os.Stdin) {
				fmt.Fprintln(os.Stderr, "Paste the private key and press Enter, then Ctrl-D:")
			}
			private, err := io.ReadAll(io.LimitReader(in, 4096))
			if err != nil {
				return fmt.Errorf("reading the private key: %w", err)
			}
			var key pushsvc.Key
			raw, err := c.call(http.MethodPost, "/keys", nil, map[string]string{
				"public_key": strings.TrimSpace(public), "private_key": strings.TrimSpace(string(private)),
			}, &key)
			if err != nil {
				return err
			}
			return c.print(raw, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "Key %s is the current one now.\n", key.ID)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&public, "public", "", "The public key, 87 characters of base64url (required)")
	cmd.Flags().StringVar(&file, "private-file", "", "File with the private key, 43 characters of base64url")
	_ = cmd.MarkFlagRequired("public")
	return cmd
}
