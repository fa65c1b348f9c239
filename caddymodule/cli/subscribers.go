package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

func (c *command) subscribers() *cobra.Command {
	var site string
	var limit int
	cmd := &cobra.Command{
		Use:   "subscribers [--site <site>]",
		Short: "Lists the sites, or the subscribers of one; exports, imports and removes them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if site == "" {
				return c.listSites(cmd.Context())
			}
			return c.listSubscribers(cmd.Context(), site, limit)
		},
	}
	cmd.PersistentFlags().StringVar(&site, "site", "", "Site of the subscribers")
	cmd.Flags().IntVar(&limit, "limit", 100, "How many to list, at most 1000")
	remove := &cobra.Command{
		Use:   "remove --site <site> <id>",
		Short: "Removes a subscriber",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.removed(args[0], c.client(nil).DeleteSubscription(cmd.Context(), site, args[0]))
		},
	}
	cmd.AddCommand(remove, c.export(&site), c.importSubscribers(&site))
	needSite(&site, "subscribers", cmd.Commands()...)
	return cmd
}

func (c *command) listSites(ctx context.Context) error {
	var raw []byte
	list, err := c.client(&raw).ListSites(ctx)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		if len(list.Sites) == 0 {
			_, err := fmt.Fprintln(w, "No site has subscribers yet: open one in a browser and accept.")
			return err
		}
		var rows [][]any
		for _, s := range list.Sites {
			rows = append(rows, []any{s.Site, s.Subscriptions, s.Messages})
		}
		return table(w, []string{"SITE", "SUBSCRIBERS", "MESSAGES"}, rows)
	})
}

func (c *command) listSubscribers(ctx context.Context, site string, limit int) error {
	var raw []byte
	list, err := c.client(&raw).ListSubscriptions(ctx, site, api.Page{Limit: &limit})
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		var rows [][]any
		for _, s := range list.Subscriptions {
			rows = append(rows, []any{s.ID, s.Service, s.Created, s.Seen, s.Language, s.TimeZone, strings.Join(s.Topics, ","), s.Page})
		}
		columns := []string{"ID", "SERVICE", "SUBSCRIBED", "LAST SEEN", "LANGUAGE", "TIME ZONE", "TOPICS", "PAGE"}
		if err := table(w, columns, rows); err != nil || list.Next == "" {
			return err
		}
		_, err := fmt.Fprintf(w, "There are more subscribers: raise --limit, or write all to a file with 'subscribers export'.\n")
		return err
	})
}
