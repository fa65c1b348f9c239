package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

func (c *command) messages() *cobra.Command {
	var site string
	var limit int
	list := func(ctx context.Context) error {
		var raw []byte
		list, err := c.client(&raw).ListMessages(ctx, site, api.Page{Limit: &limit})
		if err != nil {
			return err
		}
		return c.print(raw, func(w io.Writer) error {
			if err := printMessages(w, list.Messages, time.Now()); err != nil || list.Next == "" {
				return err
			}
			_, err := fmt.Fprintln(w, "There are older messages: raise --limit.")
			return err
		})
	}
	show := func(ctx context.Context, given string) error {
		id, err := c.messageID(ctx, site, given)
		if err != nil {
			return err
		}
		var raw []byte
		m, err := c.client(&raw).ShowMessage(ctx, site, id)
		if err != nil {
			return err
		}
		return c.print(raw, func(w io.Writer) error { return printMessage(w, m, time.Now()) })
	}
	cmd := &cobra.Command{
		Use:   "messages --site <site> [<id>]",
		Short: "Lists a site's messages and their results; pauses, resumes and cancels them",
		Example: `  caddy webpush messages --site shop.example.com
  caddy webpush messages pause --site shop.example.com 019f8b7c-2f3e-7d41-9a55-0c1d2e3f4a5b`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return show(cmd.Context(), args[0])
			}
			return list(cmd.Context())
		},
	}
	cmd.PersistentFlags().StringVar(&site, "site", "", "Site of the messages (required)")
	_ = cmd.MarkPersistentFlagRequired("site")
	listCmd := &cobra.Command{
		Use: "list --site <site>", Short: "Lists a site's messages: scheduled ones, then from the latest to the oldest", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return list(cmd.Context()) },
	}
	for _, cmd := range []*cobra.Command{cmd, listCmd} {
		cmd.Flags().IntVar(&limit, "limit", 20, "How many to show, at most 1000")
	}
	cmd.AddCommand(listCmd, &cobra.Command{
		Use: "show --site <site> <id>", Short: "Shows one message with all its results", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return show(cmd.Context(), args[0]) },
	})
	for _, command := range []struct {
		name pushsvc.Command
		call messageCall
		what string
	}{
		{pushsvc.CommandPause, (*api.Client).PauseMessage, "Pauses a message; pushes in transit are finished"},
		{pushsvc.CommandResume, (*api.Client).ResumeMessage, "Lets a paused or held message go on"},
		{pushsvc.CommandCancel, (*api.Client).CancelMessage, "Ends a message for good; the subscribers who have not had it do not get it"},
	} {
		var held bool
		control := &cobra.Command{
			Use: string(command.name) + " --site <site> <id>", Short: command.what, Args: cobra.MaximumNArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				switch {
				case held && len(args) > 0:
					return errors.New("give the message's id, or --held, not both")
				case held:
					return c.controlHeld(cmd.Context(), site, command.call)
				case len(args) == 0:
					return errors.New("give the message's id, as 'messages list' shows it")
				}
				return c.control(cmd.Context(), site, args[0], command.call)
			},
		}
		if command.name != pushsvc.CommandPause {
			control.Use += " | --held"
			control.Flags().BoolVar(&held, "held", false, "All messages of the site that are held since a restore")
		}
		cmd.AddCommand(control)
	}
	return cmd
}

// messageCall pauses, resumes or cancels a message.
type messageCall func(client *api.Client, ctx context.Context, site, id string) (api.Message, error)

// controlHeld makes the call for all held messages of a restored store.
func (c *command) controlHeld(ctx context.Context, site string, call messageCall) error {
	messages, err := c.allMessages(ctx, site)
	if err != nil {
		return err
	}
	found := false
	for _, m := range messages {
		if m.State != pushsvc.StateHeld {
			continue
		}
		found = true
		if err := c.control(ctx, site, m.ID, call); err != nil {
			return err
		}
	}
	if !found {
		return errors.New("no message of the site is held: 'messages list' shows the states")
	}
	return nil
}

// control makes the call for a message and prints its state.
func (c *command) control(ctx context.Context, site, given string, call messageCall) error {
	id, err := c.messageID(ctx, site, given)
	if err != nil {
		return err
	}
	var raw []byte
	m, err := call(c.client(&raw), ctx, site, id)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Message %s is %s: %s\n", m.ID, m.State, counts(m.Results))
		return err
	})
}

// waitFor polls the message until it is done, and shows its progress. An
// interrupt ends only the waiting.
func (c *command) waitFor(ctx context.Context, m *api.Message) (raw []byte, err error) {
	waiting, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	show := newProgress()
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for {
		now, err := c.client(&raw).ShowMessage(ctx, m.Site, m.ID)
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, c.stillThere(m))
		}
		*m = now
		text := waitingLine(m, show.clock().Sub(show.started))
		if m.State.Final() {
			show.finish(text)
			if m.State == pushsvc.StateCancelled {
				return raw, errors.New("the message was cancelled: " + counts(m.Results))
			}
			return raw, nil
		}
		show.show(text)
		select {
		case <-waiting.Done():
			show.finish(text)
			return nil, errors.New("interrupted\n" + c.stillThere(m))
		case <-poll.C:
		}
	}
}

// stillThere is the hint after an interrupt: the message continues.
func (c *command) stillThere(m *api.Message) string {
	return fmt.Sprintf("The message continues.\n  See it:    %[1]s messages show --site %[2]s %[3]s\n  Cancel it: %[1]s messages cancel --site %[2]s %[3]s", c.self(), m.Site, m.ID)
}

func waitingLine(m *api.Message, elapsed time.Duration) string {
	switch m.State {
	case pushsvc.StateScheduled:
		return "scheduled for " + localTime(m.SendAt)
	case pushsvc.StatePaused, pushsvc.StateHeld, pushsvc.StateCancelling:
		return string(m.State) + "  " + messageProgress(m.Results, 0)
	}
	text := messageProgress(m.Results, elapsed)
	if !m.NextTry.IsZero() {
		text += "  next try " + relative(m.NextTry, time.Now())
	}
	return text
}

// timeOf returns the time at which a message ended, else began, else is scheduled to begin,
// else was created.
func timeOf(m api.Message) time.Time {
	for _, at := range []time.Time{m.Finished, m.Started, m.SendAt} {
		if !at.IsZero() {
			return at
		}
	}
	return m.Created
}

// byTime orders messages: first the scheduled ones, then the others; each from the latest.
func byTime(a, b api.Message) int {
	return cmp.Or(timeOf(b).Compare(timeOf(a)), b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID))
}

func printMessages(w io.Writer, messages []api.Message, now time.Time) error {
	if len(messages) == 0 {
		_, err := fmt.Fprintln(w, "No messages yet.")
		return err
	}
	var rows [][]any
	for _, m := range slices.SortedFunc(slices.Values(messages), byTime) {
		p := m.Results
		toSend, notSent := withReasons(p.Pending+p.Later, nil), withReasons(p.Expired+p.Cancelled, p.Reasons)
		if !m.State.Final() {
			toSend, notSent = withReasons(p.Pending+p.Later, p.Reasons), withReasons(p.Expired+p.Cancelled, nil)
		}
		rows = append(rows, []any{
			m.ID, m.State, when(timeOf(m), now), p.Audience, toSend, p.Accepted, p.Gone,
			withReasons(p.FailedTotal(), p.Failed), notSent, p.Shown, p.Clicked, p.Closed, m.Message.Title,
		})
	}
	return table(w, []string{
		"ID", "STATE", "WHEN", "AUDIENCE", "TO SEND", "ACCEPTED", "GONE", "FAILED", "NOT SENT", "SHOWN", "CLICKED", "CLOSED", "TITLE",
	}, rows)
}

// printMessage prints all about one message.
func printMessage(w io.Writer, m api.Message, now time.Time) error {
	var rows [][]any
	row := func(name string, value any) { rows = append(rows, []any{name, value}) }
	row("id", m.ID)
	row("site", m.Site)
	row("title", m.Message.Title)
	row("state", m.State)
	if m.State == pushsvc.StateHeld {
		row("", "restored from a backup: 'resume' sends it to all pending subscribers, also to those that got it since the backup")
		if !m.Expires.After(time.Now()) {
			row("", "its time to live is over: no subscriber gets it after 'resume'")
		}
	}
	for _, at := range []struct {
		name string
		time time.Time
	}{{"created", m.Created}, {"send at", m.SendAt}, {"started", m.Started}, {"finished", m.Finished}, {"next try", m.NextTry}, {"expires", m.Expires}} {
		if !at.time.IsZero() {
			row(at.name, when(at.time, now))
		}
	}
	if m.Rate > 0 {
		row("rate", fmt.Sprintf("%g/s", m.Rate))
	}
	if m.Subscription != "" {
		row("only to", m.Subscription)
	}
	if len(m.Topics) > 0 {
		row("topics", strings.Join(m.Topics, ", "))
	}
	p := m.Results
	row("audience", p.Audience)
	for _, n := range []count{
		{"pending", p.Pending},
		{retried, p.Later},
		{"accepted", p.Accepted},
		{"gone", p.Gone},
		{"left", p.Left},
		{"expired", p.Expired},
		{"cancelled", p.Cancelled},
	} {
		if n.name == retried && !m.State.Final() {
			row("  "+n.name, withReasons(n.n, p.Reasons))
			continue
		}
		row("  "+n.name, n.n)
	}
	row("  failed", withReasons(p.FailedTotal(), p.Failed))
	if m.State.Final() && len(p.Reasons) > 0 {
		row("not reached", withReasons(total(p.Reasons), p.Reasons))
	}
	row("shown", p.Shown)
	row("clicked", p.Clicked)
	row("closed", p.Closed)
	return table(w, nil, rows)
}

// retried names those who are in Later.
const retried = "to be tried again"

// counts is a message's results in one line.
func counts(p pushsvc.Progress) string {
	text := fmt.Sprintf("%d of %d accepted, %d still to be sent, %d cancelled", p.Accepted, p.Audience, p.Pending+p.Later, p.Cancelled)
	if len(p.Reasons) > 0 {
		text += "; not reached: " + inReasons(p.Reasons)
	}
	return text
}

// withReasons is a number of recipients and why, as "3 (dns 2, tls 1)".
func withReasons(n int64, reasons map[string]int64) string {
	if len(reasons) == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d (%s)", n, inReasons(reasons))
}

// inReasons is the most frequent one first.
func inReasons(reasons map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(reasons[b], reasons[a]), strings.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, reasons[name])
	}
	return strings.Join(names, ", ")
}

func total(reasons map[string]int64) (sum int64) {
	for _, n := range reasons {
		sum += n
	}
	return sum
}

// notReceived is the error of a message that has ended and was accepted for no subscriber.
// It names the reasons; planned is the number of recipients when it was created.
func notReceived(m *api.Message, planned int64) error {
	p := m.Results
	why := make([]string, 0, 4)
	add := func(is bool, text string) {
		if is {
			why = append(why, text)
		}
	}
	add(planned == 0, fmt.Sprintf("%s has no subscriber: open the site in a browser and accept the prompt first, or look for the right name with 'caddy webpush subscribers'", m.Site))
	add(planned > 0 && p.Audience == 0 && len(m.Topics) > 0, fmt.Sprintf("none of its %s has chosen %s", plural(planned, "subscriber"), strings.Join(m.Topics, " or ")))
	add(p.Gone > 0, fmt.Sprintf("%d gone", p.Gone))
	add(p.Left > 0, fmt.Sprintf("%d left before their turn", p.Left))
	add(p.FailedTotal() > 0, "failed: "+inReasons(p.Failed))
	add(p.Expired > 0, fmt.Sprintf("%d expired before they could be reached", p.Expired))
	add(len(p.Reasons) > 0, "not reached: "+inReasons(p.Reasons))
	if len(why) == 0 {
		return errors.New("no subscriber got it")
	}
	return errors.New("no subscriber got it: " + strings.Join(why, "; "))
}
