package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// sendFlags is a message on the command line.
type sendFlags struct {
	site           string
	content        pushsvc.Content
	urgency        string
	ttl            string
	actions        []string
	data           string
	idempotencyKey string
	wait           bool
}

// messageAnswer is what the API says of a message.
type messageAnswer struct {
	ID       string           `json:"id"`
	Site     string           `json:"site"`
	State    pushsvc.State    `json:"state"`
	Created  time.Time        `json:"created"`
	Message  pushsvc.Content  `json:"message"`
	Results  pushsvc.Progress `json:"results"`
	Warnings []string         `json:"warnings"`
}

func (c *command) send() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send --site <site> --title <text> [--body <text>] [--url <URL>]",
		Short: "Sends a notification to all subscribers of a site",
		Example: `  caddy webpush send --site shop.example.com --title "Sale" --body "Ends tonight" --url /sale
  caddy webpush send --site localhost:8080 --title "New post" --action "read=Read now=/post" --wait`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runSend(cmd, &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.site, "site", "", "Site to send to, such as shop.example.com (required)")
	fl.StringVar(&f.content.Title, "title", "", "Title of the notification (required)")
	fl.StringVar(&f.content.Body, "body", "", "Text below the title")
	fl.StringVar(&f.content.URL, "url", "", "What a click opens: a URL, or a path on the site")
	fl.StringVar(&f.content.Icon, "icon", "", "URL or path of the icon")
	fl.StringVar(&f.content.Image, "image", "", "URL or path of a large picture")
	fl.StringVar(&f.content.Badge, "badge", "", "URL or path of the small monochrome badge")
	fl.StringVar(&f.content.Tag, "tag", "", "Replace a shown notification of the same tag")
	fl.StringVar(&f.content.Dir, "dir", "", "Text direction: auto, ltr or rtl")
	fl.StringVar(&f.content.Lang, "lang", "", "Language of the texts, such as en or pt-BR")
	fl.StringArrayVar(&f.actions, "action", nil, "Button, as id=Title or id=Title=URL; may be repeated")
	fl.StringVar(&f.data, "data", "", "JSON that the worker gets with the notification")
	fl.IntSliceVar(&f.content.Vibrate, "vibrate", nil, "Vibration pattern in ms, such as 200,100,200")
	fl.Int64Var(&f.content.Timestamp, "timestamp", 0, "Time the notification is about, in ms since 1970")
	fl.BoolVar(&f.content.Renotify, "renotify", false, "Alert again when replacing a notification of the same tag")
	fl.BoolVar(&f.content.Silent, "silent", false, "No sound, no vibration")
	fl.BoolVar(&f.content.RequireInteraction, "require-interaction", false, "Keep the notification until it is dealt with")
	fl.StringVar(&f.ttl, "ttl", "1d", "How long the push service keeps the message for devices that are away, such as 90s, 12h or 7d")
	fl.StringVar(&f.urgency, "urgency", "", "very-low, low, normal or high")
	fl.StringVar(&f.content.Topic, "topic", "", "Replace an undelivered message of the same topic")
	fl.StringVar(&f.idempotencyKey, "idempotency-key", "", "Name of this request: repeating it sends once (default: random)")
	fl.BoolVar(&f.wait, "wait", false, "Wait until the message has been sent to all, and show the progress")
	for _, required := range []string{"site", "title"} {
		// It cannot fail: the flag has just been made.
		_ = cmd.MarkFlagRequired(required)
	}
	return cmd
}

func (c *command) runSend(cmd *cobra.Command, f *sendFlags) error {
	if err := f.complete(cmd.Flags().Changed("ttl")); err != nil {
		return err
	}
	header := http.Header{"Idempotency-Key": {f.idempotencyKey}}
	var m messageAnswer
	raw, err := c.call(http.MethodPost, sitePath(f.site, "/messages"), header, f.content, &m)
	if err != nil {
		return err
	}
	for _, w := range m.Warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	if f.wait {
		if raw, err = c.waitFor(&m); err != nil {
			return err
		}
	}
	if err := c.print(raw, func(w io.Writer) error {
		if !f.wait {
			_, err := fmt.Fprintf(w, "Message %s is on its way to %s of %s.\nSee what became of it: caddy webpush messages --site %s\n",
				m.ID, plural(m.Results.Audience, "subscriber"), m.Site, m.Site)
			return err
		}
		return printMessages(w, []messageAnswer{m})
	}); err != nil {
		return err
	}
	if f.wait && m.Results.Audience > 0 && m.Results.Accepted == 0 {
		return errors.New("nobody got it: no push service accepted the message")
	}
	return nil
}

// plural is "1 subscriber", "2 subscribers".
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// complete turns flags that are no plain fields into the message.
func (f *sendFlags) complete(ttlGiven bool) error {
	f.content.Urgency = pushsvc.Urgency(f.urgency)
	if ttlGiven {
		seconds, err := parseTTL(f.ttl)
		if err != nil {
			return err
		}
		f.content.TTL = &seconds
	}
	if f.data != "" {
		if !json.Valid([]byte(f.data)) {
			return fmt.Errorf("--data is not JSON: %s", f.data)
		}
		f.content.Data = json.RawMessage(f.data)
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
		f.content.Actions = append(f.content.Actions, a)
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

// parseTTL takes a duration as the Caddyfile does, or a number of seconds as the
// API does.
func parseTTL(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil {
		return n, nil
	}
	d, err := caddy.ParseDuration(s)
	if err != nil || d%time.Second != 0 {
		return 0, fmt.Errorf("--ttl %q: write whole seconds, such as 90s, 12h or 7d", s)
	}
	return int(d / time.Second), nil
}

// waitFor polls the message until it is done, drawing a bar on a terminal.
func (c *command) waitFor(m *messageAnswer) ([]byte, error) {
	tty := isTerminal(os.Stderr)
	for {
		raw, err := c.call(http.MethodGet, sitePath(m.Site, "/messages/"+m.ID), nil, nil, m)
		if err != nil {
			return nil, err
		}
		if tty {
			fmt.Fprintf(os.Stderr, "\r%s", progressBar(m.Results))
		}
		if m.State == pushsvc.StateDone {
			if tty {
				fmt.Fprintln(os.Stderr)
			}
			return raw, nil
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progressBar is one line: a bar, the share and the counts.
func progressBar(p pushsvc.Progress) string {
	const width = 30
	done := p.Audience - p.Pending
	filled, percent := width, int64(100)
	if p.Audience > 0 {
		filled, percent = int(done*width/p.Audience), done*100/p.Audience
	}
	return fmt.Sprintf("[%s%s] %3d%%  %d/%d  accepted %d, gone %d, failed %d",
		strings.Repeat("█", filled), strings.Repeat("░", width-filled), percent,
		done, p.Audience, p.Accepted, p.Gone, p.FailedTotal())
}

func (c *command) messages() *cobra.Command {
	var site string
	var limit int
	cmd := &cobra.Command{
		Use:   "messages --site <site> [<id>]",
		Short: "Shows what became of a site's messages, the newest first",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				var m messageAnswer
				raw, err := c.call(http.MethodGet, sitePath(site, "/messages/"+args[0]), nil, nil, &m)
				if err != nil {
					return err
				}
				return c.print(raw, func(w io.Writer) error { return printMessages(w, []messageAnswer{m}) })
			}
			var list struct{ Messages []messageAnswer }
			raw, err := c.call(http.MethodGet, sitePath(site, fmt.Sprintf("/messages?limit=%d", limit)), nil, nil, &list)
			if err != nil {
				return err
			}
			return c.print(raw, func(w io.Writer) error { return printMessages(w, list.Messages) })
		},
	}
	cmd.Flags().StringVar(&site, "site", "", "Site whose messages to show (required)")
	cmd.Flags().IntVar(&limit, "limit", 20, "How many to show, at most 1000")
	_ = cmd.MarkFlagRequired("site")
	return cmd
}

func printMessages(w io.Writer, messages []messageAnswer) error {
	if len(messages) == 0 {
		_, err := fmt.Fprintln(w, "No messages yet.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tCREATED\tSTATE\tAUDIENCE\tACCEPTED\tGONE\tFAILED\tSHOWN\tCLICKED\tCLOSED\tTITLE")
	for _, m := range messages {
		p := m.Results
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t%s\n",
			m.ID, localTime(m.Created), m.State, p.Audience, p.Accepted, p.Gone, failures(p),
			p.Shown, p.Clicked, p.Closed, printable(m.Message.Title))
	}
	return t.Flush()
}

// failures is the number of failed recipients, with the reasons.
func failures(p pushsvc.Progress) string {
	if len(p.Failed) == 0 {
		return "0"
	}
	var reasons []string
	for reason, n := range p.Failed {
		reasons = append(reasons, fmt.Sprintf("%s %d", reason, n))
	}
	slices.Sort(reasons)
	return fmt.Sprintf("%d (%s)", p.FailedTotal(), strings.Join(reasons, ", "))
}

// printable keeps somebody's text from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '·'
		}
		return r
	}, s)
}
