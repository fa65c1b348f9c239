package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// candidate is a row that an id on the command line may mean.
type candidate struct{ id, what string }

// pick returns the only id that equals given or that given abbreviates. If no id does, it
// returns given: the server reports the error. kind is in the plural.
func pick(kind, given string, all []candidate) (string, error) {
	ids := make([]string, len(all))
	for i, c := range all {
		ids[i] = c.id
	}
	found := pushsvc.ShortID(given, ids)
	switch len(found) {
	case 0:
		return given, nil
	case 1:
		return found[0], nil
	}
	var lines strings.Builder
	for _, c := range all {
		if slices.Contains(found, c.id) {
			fmt.Fprintf(&lines, "\n  %s  %s", c.id, c.what)
		}
	}
	return "", fmt.Errorf("%q matches %d %s: write more of one of them%s", given, len(found), kind, &lines)
}

// messageID completes the id of a message.
func (c *command) messageID(ctx context.Context, site, given string) (string, error) {
	if given = strings.ToLower(given); profileIDPattern.MatchString(given) || len(given) < pushsvc.MinShortID {
		return given, nil
	}
	var all []candidate
	messages, err := c.allMessages(ctx, site)
	if err != nil {
		return "", err
	}
	for _, m := range messages {
		all = append(all, candidate{m.ID, localTime(m.Created) + "  " + printable(m.Message.Title)})
	}
	return pick("messages", given, all)
}

// allMessages reads all messages of a site, page by page.
func (c *command) allMessages(ctx context.Context, site string) (all []api.Message, err error) {
	for page := (api.Page{Limit: new(1000)}); ; {
		list, err := c.client(nil).ListMessages(ctx, site, page)
		if err != nil {
			return nil, err
		}
		all = append(all, list.Messages...)
		if page.Cursor = list.Next; page.Cursor == "" {
			return all, nil
		}
	}
}

// popupID completes the id of a pop-up, and names the one that was meant.
func (c *command) popupID(ctx context.Context, site, given string) (string, error) {
	list, err := c.client(nil).ListPopups(ctx, site)
	if err != nil {
		return "", err
	}
	var all []candidate
	var ids []string
	for _, p := range list.Popups {
		all, ids = append(all, candidate{p.Popup.ID, printable(p.Popup.Name)}), append(ids, p.Popup.ID)
	}
	id, err := pick("pop-ups", given, all)
	if near := pushsvc.Nearest(id, ids); err == nil && near != "" && !slices.Contains(ids, id) {
		return "", fmt.Errorf("%s has no pop-up %q%s", site, given, pushsvc.DidYouMean("; ", near))
	}
	return id, err
}

// keyID completes the id of a key in the ring.
func (c *command) keyID(ctx context.Context, given string) (string, error) {
	list, err := c.client(nil).ListKeys(ctx, false)
	if err != nil {
		return "", err
	}
	var all []candidate
	for _, k := range list.Keys {
		all = append(all, candidate{k.ID, localTime(k.Created)})
	}
	return pick("keys", given, all)
}
