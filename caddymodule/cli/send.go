package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// sendFlags is a message on the command line.
type sendFlags struct {
	site           string
	body           api.SendRequest
	urgency        string
	ttl, at, rate  string
	actions        []string
	data           string
	idempotencyKey string
	wait           bool
}

func (c *command) send() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send --site <site> --title <text> [--body <text>] [--url <URL>]",
		Short: "Sends a notification to all subscribers of a site",
		Long: `Stores a message for all present subscribers of a site and returns; the server
sends it from then on, through restarts too. What can't be delivered at the
moment is tried again until --ttl has passed.

With --wait it shows the progress until the message is done; Ctrl-C ends the
waiting, not the message. The exit status is 1 if no subscriber got
it. That includes a site without subscribers and a topic that no subscriber has chosen.`,
		Example: `  caddy webpush send --site shop.example.com --title "Sale" --body "Ends tonight" --url /sale
  caddy webpush send --site localhost:8080 --title "New post" --action "read=Read now=/post" --wait
  caddy webpush send --site shop.example.com --title "Sale" --dry-run
  caddy webpush send --site shop.example.com --title "Sale" --to 17 --wait
  caddy webpush send --site shop.example.com --title "Sale" --topic deals --topic fashion
  caddy webpush send --site shop.example.com --title "Sale" --at "2026-11-24 09:00" --rate 500/s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runSend(cmd, &f) },
	}
	f.register(cmd)
	for _, required := range []string{"site", "title"} {
		// It cannot fail: the flag has just been made.
		_ = cmd.MarkFlagRequired(required)
	}
	return cmd
}

func (f *sendFlags) register(cmd *cobra.Command) {
	fl, content := cmd.Flags(), &f.body.Content
	fl.StringVar(&f.site, "site", "", "Site to send to, such as shop.example.com (required)")
	fl.StringVar(&content.Title, "title", "", "Title of the notification (required)")
	fl.StringVar(&content.Body, "body", "", "Text below the title")
	fl.StringVar(&content.URL, "url", "", "Target of a click: a URL, or a path on the site")
	fl.StringVar(&content.Icon, "icon", "", "URL or path of the icon")
	fl.StringVar(&content.Image, "image", "", "URL or path of a large picture")
	fl.StringVar(&content.Badge, "badge", "", "URL or path of the small monochrome badge")
	fl.StringVar(&content.Tag, "tag", "", "Replace a shown notification of the same tag")
	fl.StringVar(&content.Dir, "dir", "", "Text direction: auto, ltr or rtl")
	fl.StringVar(&content.Lang, "lang", "", "Language of the texts, such as en or pt-BR")
	fl.StringArrayVar(&f.actions, "action", nil, "Button, as id=Title or id=Title=URL; may be repeated")
	fl.StringVar(&f.data, "data", "", "JSON that the worker gets with the notification")
	fl.IntSliceVar(&content.Vibrate, "vibrate", nil, "Vibration pattern in ms, such as 200,100,200")
	fl.Int64Var(&content.Timestamp, "timestamp", 0, "Time the notification is about, in ms since 1970")
	fl.BoolVar(&content.Renotify, "renotify", false, "Alert again when replacing a notification of the same tag")
	fl.BoolVar(&content.Silent, "silent", false, "No sound, no vibration")
	fl.BoolVar(&content.RequireInteraction, "require-interaction", false, "Keep the notification until the visitor clicks or closes it")
	fl.StringVar(&f.ttl, "ttl", "1d", "Time to live: how long push services try to deliver to offline devices, such as 90s, 12h or 7d")
	fl.StringVar(&f.urgency, "urgency", "", "very-low, low, normal or high")
	fl.StringArrayVar(&f.body.Topics, "topic", nil, "Send to the subscribers who have chosen this topic, by its id; may be repeated for several")
	fl.StringVar(&content.Topic, "collapse-key", "", "Replace an undelivered message of the same key (topic of RFC 8030)")
	fl.StringVar(&f.at, "at", "", `When to send: "2026-11-24 09:00" in local time, 2026-11-24T09:00:00Z, or +90m (default: now)`)
	fl.StringVar(&f.rate, "rate", "", "At most so many pushes: 500/s, 30000/m or 1000000/h (default: as fast as possible)")
	fl.StringVar(&f.body.Subscription, "to", "", "Send to this subscriber alone, by the id that 'caddy webpush subscribers' shows")
	fl.BoolVar(&f.body.Literal, "literal", false, "Send texts with {{ … }} or {% … %} literally; without it they are refused, because notifications are not filled in")
	fl.BoolVar(&f.body.DryRun, "dry-run", false, "Check everything and count the audience, but send nothing")
	fl.StringVar(&f.idempotencyKey, "idempotency-key", "", "Name of this request: if it is repeated within 30 days, the message is sent once (default: random)")
	fl.BoolVar(&f.wait, "wait", false, "Wait until the message has been sent to all, and show the progress")
}

func (c *command) runSend(cmd *cobra.Command, f *sendFlags) error {
	if f.wait && f.body.DryRun {
		return errors.New("--dry-run sends nothing, so there is nothing to --wait for")
	}
	if err := f.complete(cmd.Flags().Changed("ttl"), time.Now()); err != nil {
		return err
	}
	var raw []byte
	m, err := c.client(&raw).SendToSite(cmd.Context(), f.site, f.idempotencyKey, f.body)
	if err != nil {
		return err
	}
	for _, w := range m.Warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	switch {
	case f.body.DryRun:
		return c.print(raw, func(w io.Writer) error { return printDryRun(w, m) })
	case !f.wait:
		return c.print(raw, func(w io.Writer) error { return c.printSent(w, m) })
	}
	planned := m.Results.Audience
	if raw, err = c.waitFor(cmd.Context(), &m); err != nil {
		return err
	}
	if err := c.print(raw, func(w io.Writer) error { return printMessages(w, []api.Message{m}, time.Now()) }); err != nil {
		return err
	}
	if m.Results.Accepted == 0 {
		return notReceived(&m, planned)
	}
	return nil
}

func (c *command) printSent(w io.Writer, m api.Message) error {
	when := "is on its way"
	if m.State == pushsvc.StateScheduled {
		when = "will be sent at " + localTime(m.SendAt)
	}
	to := plural(m.Results.Audience, "subscriber")
	if len(m.Topics) > 0 {
		// They are not counted yet.
		to = "the subscribers to " + strings.Join(m.Topics, " or ")
	}
	_, err := fmt.Fprintf(w, "Message %s %s to %s of %s.\nSee its results: %s messages --site %s %s\n",
		m.ID, when, to, m.Site, c.self(), m.Site, m.ID)
	return err
}

func printDryRun(w io.Writer, m api.Message) error {
	when := "now"
	if m.State == pushsvc.StateScheduled {
		when = "at " + localTime(m.SendAt)
	}
	audience := cmp.Or(m.Audience, &api.Audience{})
	fmt.Fprintf(w, "Nothing was sent. It would go to %s of %s, %s, and expire at %s.\n",
		plural(audience.Total, "subscriber"), m.Site, when, localTime(m.Expires))
	if m.Rate > 0 {
		takes := time.Duration(float64(audience.Total) / m.Rate * float64(time.Second)).Round(time.Second)
		fmt.Fprintf(w, "At %.3g/s that takes %s.\n", m.Rate, takes)
	}
	for _, name := range slices.Sorted(maps.Keys(audience.Services)) {
		fmt.Fprintf(w, "  %-8s %d\n", name, audience.Services[name])
	}
	content := json.NewEncoder(w)
	content.SetEscapeHTML(false) // for people to read
	content.SetIndent("", "  ")
	if err := content.Encode(m.Message); err != nil {
		return fmt.Errorf("showing the message: %w", err)
	}
	return nil
}

// complete sets the request's fields from flags that need decoding.
func (f *sendFlags) complete(ttlGiven bool, now time.Time) (err error) {
	f.body.Urgency = pushsvc.Urgency(f.urgency)
	if f.body.SendAt, err = parseAt(f.at, now); err != nil {
		return err
	}
	if f.body.Rate, err = parseRate(f.rate); err != nil {
		return err
	}
	if ttlGiven {
		seconds, err := parseTTL(f.ttl)
		if err != nil {
			return err
		}
		f.body.TTL = &seconds
	}
	if f.data != "" {
		if !json.Valid([]byte(f.data)) {
			return fmt.Errorf("--data is not JSON: %s", f.data)
		}
		f.body.Data = json.RawMessage(f.data)
	}
	for _, s := range f.actions {
		parts := strings.SplitN(s, "=", 3)
		if len(parts) < 2 {
			return fmt.Errorf("--action %q: write it as id=Title or id=Title=URL", s)
		}
		a := pushsvc.Action{Action: parts[0], Title: parts[1]}
		if len(parts) == 3 {
			a.URL = parts[2]
		}
		f.body.Actions = append(f.body.Actions, a)
	}
	if f.idempotencyKey == "" {
		id, err := uuid.NewRandom()
		if err != nil {
			return fmt.Errorf("making an idempotency key: %w", err)
		}
		f.idempotencyKey = id.String()
	}
	return nil
}

// parseTTL takes a duration as the Caddyfile does: with a unit, as all durations of the command
// line have.
func parseTTL(s string) (int, error) {
	d, err := caddy.ParseDuration(s)
	if err != nil || d%time.Second != 0 {
		return 0, fmt.Errorf("--ttl %q: write whole seconds with their unit, such as 90s, 12h or 7d", s)
	}
	return int(d / time.Second), nil
}

// parseAt is parseTime for --at: it returns RFC 3339.
func parseAt(s string, now time.Time) (string, error) {
	at, err := parseTime(s, now)
	switch {
	case err != nil:
		return "", fmt.Errorf("--at %w", err)
	case at.IsZero():
		return "", nil
	}
	return at.Format(time.RFC3339), nil
}

// parseTime parses a time as people write it; zero if s is empty. Without a time zone, the
// zone is that of now; after "+" the time is relative to now.
func parseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if after, relative := strings.CutPrefix(s, "+"); relative {
		if d, err := caddy.ParseDuration(after); err == nil && d >= 0 {
			return now.Add(d), nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", time.DateTime, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf(`%q: write it like "2026-11-24 09:00" (local time), 2026-11-24T09:00:00Z or +90m`, s)
}

// parseRate takes a number per second, minute or hour.
func parseRate(s string) (*float64, error) {
	if s == "" {
		return nil, nil
	}
	number, unit, _ := strings.Cut(s, "/")
	seconds, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(n > 0) {
		return nil, fmt.Errorf("--rate %q: write it with its unit, like 500/s, 30000/m or 1000000/h", s)
	}
	rate := n / seconds
	return &rate, nil
}
