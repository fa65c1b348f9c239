package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
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
		Short: "Lists the sites, or the subscribers of one; exports, imports and removes them",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if site == "" {
				return c.listSites()
			}
			return c.listSubscribers(site, limit)
		},
	}
	cmd.PersistentFlags().StringVar(&site, "site", "", "Site of the subscribers")
	cmd.Flags().IntVar(&limit, "limit", 100, "How many to list, at most 1000")
	remove := &cobra.Command{
		Use:   "remove --site <site> <id>",
		Short: "Removes a subscriber",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return c.removed(sitePath(site, "/subscriptions/"+url.PathEscape(args[0])), args[0])
		},
	}
	cmd.AddCommand(remove, c.export(&site), c.importSubscribers(&site))
	needSite(&site, "subscribers", cmd.Commands()...)
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
			Topics                                []string
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
		fmt.Fprintln(t, "ID\tSERVICE\tSUBSCRIBED\tLAST SEEN\tLANGUAGE\tTIME ZONE\tTOPICS\tPAGE")
		for _, s := range list.Subscriptions {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.Service,
				localTime(s.Created), localTime(s.Seen), printable(s.Language), printable(s.TimeZone), strings.Join(s.Topics, ","), printable(s.Page))
		}
		if err := t.Flush(); err != nil || list.Next == "" {
			return err
		}
		_, err := fmt.Fprintf(w, "There are more: raise --limit, or write all to a file with 'subscribers export'.\n")
		return err
	})
}
