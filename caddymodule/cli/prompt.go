package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

func (c *command) prompt() *cobra.Command {
	var site string
	cmd := &cobra.Command{
		Use:   "prompt [--site <site>]",
		Short: "Shows the prompt of a site, and changes it without a reload",
		Long: `Shows the settings of a site's prompt, and the source of each: the Caddyfile, the API
(also used by 'prompt set'), or the default. A setting of the API overrides that of
the Caddyfile, and is kept in the store across restarts. Visitors see a change within
a minute. Without --site the command lists the sites.`,
		Example: `  caddy webpush prompt --site shop.example.com
  caddy webpush prompt set --site shop.example.com --kind bar --after "2 pages" --title "Offers, first"
  caddy webpush prompt set --site shop.example.com --enabled=false
  caddy webpush prompt reset --site shop.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if site == "" {
				return c.listPrompts(cmd.Context())
			}
			var raw []byte
			view, err := c.client(&raw).ShowPrompt(cmd.Context(), site)
			if err != nil {
				return err
			}
			return c.print(raw, func(w io.Writer) error { return printPrompt(w, view) })
		},
	}
	cmd.PersistentFlags().StringVar(&site, "site", "", "Site of the prompt")
	cmd.AddCommand(c.setPrompt(&site), c.resetPrompt(&site))
	needSite(&site, "prompt", cmd.Commands()...)
	return cmd
}

func (c *command) listPrompts(ctx context.Context) error {
	var raw []byte
	list, err := c.client(&raw).ListPrompts(ctx)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		var rows [][]any
		for _, s := range list.Prompts {
			set := orNone(strings.Join(s.Set, ", "))
			if !s.Configured {
				set += " (of no use: the running configuration has no such site)"
			}
			rows = append(rows, []any{s.Site, set, s.Updated})
		}
		return table(w, []string{"SITE", "SET BY THE API", "SINCE"}, rows)
	})
}

// promptFlags are the options of the Caddyfile's prompt as flags.
type promptFlags struct {
	file, kind, title, body, accept, reject, color, textColor, consent string
	topics, after, paths, notPaths, askAgain, unset                    []string
	enabled                                                            bool
	revision                                                           int64
}

func (c *command) setPrompt(site *string) *cobra.Command {
	var f promptFlags
	cmd := &cobra.Command{
		Use:   "set --site <site> [<settings>]",
		Short: "Changes settings of the prompt; the others stay",
		Long: `Changes settings of a site's prompt. They are those of the Caddyfile's option prompt,
and --enabled=false: then only a page's own call shows the prompt. Settings that are
not named do not change; --unset resets some to those of the Caddyfile.

--file replaces all settings that were set before. The file is JSON, as "override" in
the output of 'prompt --json':

  {"kind": "bar", "title": "Offers, first", "after": {"pages": 2}, "askAgain": ["3d", "7d"]}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runSetPrompt(cmd, *site, f) },
	}
	f.add(cmd)
	return cmd
}

func (f *promptFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.file, "file", "", `JSON file with all settings; "-" is standard input`)
	flags.StringVar(&f.kind, "kind", "", "dialog, bar or bell")
	flags.StringVar(&f.title, "title", "", "The heading; empty texts are the built-in ones")
	flags.StringVar(&f.body, "body", "", "The text below the heading: the benefit for the visitor")
	flags.StringVar(&f.accept, "accept", "", "The text of the button that agrees")
	flags.StringVar(&f.reject, "reject", "", "The text of the button that refuses")
	flags.StringVar(&f.color, "color", "", "The colour of the accept button, such as 0b6bcb")
	flags.StringVar(&f.textColor, "text-color", "", "The colour of the text on it")
	flags.StringArrayVar(&f.topics, "topics", nil, `Topics that visitors can choose, such as news="Breaking news"; with "*" before the id the topic is checked at first; may be repeated`)
	flags.StringArrayVar(&f.after, "after", nil, `When to ask: "2 pages", "30s", "scroll 50%", "click <selector>", "event <name>", "exit" or "manual"; may be repeated`)
	flags.StringArrayVar(&f.paths, "paths", nil, "Where to ask, such as /news/*, or /* for everywhere; may be repeated")
	flags.StringArrayVar(&f.notPaths, "not-paths", nil, "Where not to ask; may be repeated")
	flags.StringArrayVar(&f.askAgain, "ask-again", nil, "How long a refusal is respected, such as 7d; may be repeated, for the second one and so on")
	flags.StringVar(&f.consent, "consent", "", "A CSS selector of the site's consent banner")
	flags.BoolVar(&f.enabled, "enabled", true, "Show the prompt by itself; with false, only a page's own call shows it")
	flags.StringSliceVar(&f.unset, "unset", nil, "Settings to return to the Caddyfile, such as title,after")
	for _, name := range []string{"title", "body", "accept", "reject", "color", "text-color"} {
		// It cannot fail: the flag has just been made.
		_ = flags.SetAnnotation(name, mayBeEmpty, nil)
	}
	flags.Int64Var(&f.revision, "revision", -1, "Change nothing if the revision that 'prompt' shows is another one")
}

func (c *command) runSetPrompt(cmd *cobra.Command, site string, f promptFlags) error {
	view, err := c.client(nil).ShowPrompt(cmd.Context(), site)
	if err != nil {
		return err
	}
	var settings json.RawMessage
	if f.file != "" {
		if settings, err = promptFile(f.file); err != nil {
			return err
		}
		if n := cmd.LocalFlags(); slices.ContainsFunc(promptMembers(), func(m string) bool { return n.Changed(flagOfMember(m)) }) || len(f.unset) > 0 {
			return errors.New("--file contains all settings; leave out the other flags")
		}
	} else if settings, err = f.merge(view.Override, cmd.Flags().Changed); err != nil {
		return err
	}
	if f.revision < 0 {
		f.revision = int64(view.Revision)
	}
	var raw []byte
	if view, err = c.client(&raw).SetPromptJSON(cmd.Context(), site, settings, pushsvc.Revision(f.revision)); err != nil {
		return err
	}
	warnLiteral(view.Override)
	return c.print(raw, func(w io.Writer) error { return printPrompt(w, view) })
}

// warnLiteral warns of templates, which visitors would see literally.
func warnLiteral(s prompt.Settings) {
	for _, f := range []struct {
		flag string
		text *string
	}{{"title", s.Title}, {"body", s.Body}, {"accept", s.Accept}, {"reject", s.Reject}} {
		if f.text == nil {
			continue
		}
		if found := pushsvc.FindTemplate(*f.text); found != "" {
			fmt.Fprintf(os.Stderr, "warning: --%s has the template %q, and prompts are not filled in: visitors see the template literally\n", f.flag, found)
		}
	}
}

// promptFile reads a file unchanged: the server reports its faults.
func promptFile(name string) (json.RawMessage, error) {
	read := func() ([]byte, error) { return os.ReadFile(name) }
	if name == "-" {
		read = func() ([]byte, error) { return io.ReadAll(os.Stdin) }
	}
	raw, err := read()
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	if raw = bytes.TrimSpace(raw); !json.Valid(raw) {
		return nil, fmt.Errorf("%s is not JSON", name)
	}
	return raw, nil
}

// promptMembers are the settings by their JSON names.
func promptMembers() []string { return prompt.Default(false).Said() }

func flagOfMember(member string) string {
	return capitals.ReplaceAllStringFunc(member, func(c string) string { return "-" + strings.ToLower(c) })
}

var capitals = regexp.MustCompile("[A-Z]")

// memberOfFlag returns the setting of a flag, also if it is spelled as in JSON or the
// Caddyfile; false if no setting has the name.
func memberOfFlag(name string) (string, bool) {
	for _, member := range promptMembers() {
		if name == member || strings.ReplaceAll(name, "_", "-") == flagOfMember(member) {
			return member, true
		}
	}
	return "", false
}

// merge changes the stored settings by the given flags. The result is JSON, which the
// server checks.
func (f promptFlags) merge(set prompt.Settings, given func(flag string) bool) (json.RawMessage, error) {
	raw, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encoding the settings: %w", err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("decoding the settings: %w", err)
	}
	after, err := f.parseAfter()
	if err != nil {
		return nil, err
	}
	flags := map[string]any{
		"kind": f.kind, "title": f.title, "body": f.body, "accept": f.accept, "reject": f.reject, "consent": f.consent,
		"color": withHash(f.color), "textColor": withHash(f.textColor), "enabled": f.enabled,
		"paths": f.paths, "notPaths": f.notPaths, "askAgain": f.askAgain, "after": after,
		"topics": f.parseTopics(),
	}
	changed := len(f.unset) > 0
	for member, value := range flags {
		if given(flagOfMember(member)) {
			members[member], changed = value, true
		}
	}
	for _, name := range f.unset {
		member, known := memberOfFlag(name)
		if !known {
			return nil, fmt.Errorf("--unset: %q is not a setting; known are: %s", name, strings.Join(promptMembers(), ", "))
		}
		delete(members, member)
	}
	if !changed {
		return nil, errors.New(`nothing to set; name a setting, such as --kind bar, or see 'caddy webpush prompt set --help'`)
	}
	if raw, err = json.Marshal(members); err != nil {
		return nil, fmt.Errorf("encoding the settings: %w", err)
	}
	return raw, nil
}

func (f promptFlags) parseAfter() (*prompt.After, error) {
	var after prompt.After
	for _, text := range f.after {
		words := []string{strings.TrimSpace(text)}
		if word, argument, more := strings.Cut(words[0], " "); more {
			words = []string{word, strings.TrimSpace(argument)}
		}
		if err := after.Add(caddy.ParseDuration, words...); err != nil {
			return nil, fmt.Errorf("--%w", err)
		}
	}
	return &after, nil
}

// parseTopics reads id=Label, or *id=Label; the server checks them.
func (f promptFlags) parseTopics() []prompt.Topic {
	topics := []prompt.Topic{}
	for _, text := range f.topics {
		id, label, _ := strings.Cut(text, "=")
		id, checked := strings.CutPrefix(id, "*")
		topics = append(topics, prompt.Topic{ID: id, Label: label, Checked: checked})
	}
	return topics
}

// withHash takes colours as the Caddyfile does: hex digits may lack their "#". Another text stays as
// it is, for the server's error to repeat.
func withHash(color string) string {
	if !hexDigits.MatchString(color) {
		return color
	}
	return "#" + color
}

var hexDigits = regexp.MustCompile("^[0-9A-Fa-f]+$")

func (c *command) resetPrompt(site *string) *cobra.Command {
	return &cobra.Command{
		Use:   "reset --site <site>",
		Short: "Resets all settings of the prompt to those of the Caddyfile",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.client(nil).ResetPrompt(cmd.Context(), *site, pushsvc.AnyRevision); err != nil {
				return err
			}
			return c.printValue(struct {
				Reset string `json:"reset"`
			}{*site}, func(w io.Writer) error {
				if _, err := fmt.Fprintln(w, "The prompt has the settings of the Caddyfile."); err != nil {
					return err
				}
				// A site that the configuration does not name has no prompt to show.
				if view, err := c.client(nil).ShowPrompt(cmd.Context(), *site); err == nil {
					return printPrompt(w, view)
				}
				return nil
			})
		},
	}
}

func printPrompt(w io.Writer, v api.Prompt) error {
	s := v.Settings
	builtIn := func(text *string) string {
		if text == nil || *text == "" {
			return "(built-in)"
		}
		return *text
	}
	list := func(values []string) string { return orNone(strings.Join(values, ", ")) }
	var again []string
	for _, d := range s.AskAgain {
		again = append(again, pushsvc.FormatDuration(d))
	}
	var topics []string
	for _, topic := range s.Topics {
		mark := ""
		if topic.Checked {
			mark = "*"
		}
		topics = append(topics, mark+topic.ID+"="+topic.Label)
	}
	var rows [][]any
	for _, row := range []struct{ member, value string }{
		{"enabled", fmt.Sprint(s.Enabled == nil || *s.Enabled)},
		{"kind", builtIn(s.Kind)},
		{"title", builtIn(s.Title)},
		{"body", builtIn(s.Body)},
		{"accept", builtIn(s.Accept)},
		{"reject", builtIn(s.Reject)},
		{"color", builtIn(s.Color)},
		{"textColor", builtIn(s.TextColor)},
		{"topics", list(topics)},
		{"after", describeAfter(s.After)},
		{"paths", list(s.Paths)},
		{"notPaths", list(s.NotPaths)},
		{"askAgain", list(again)},
		{"consent", builtIn(s.Consent)},
	} {
		rows = append(rows, []any{row.member, row.value, v.Sources[row.member]})
	}
	err := table(w, []string{"SETTING", "VALUE", "FROM"}, rows)
	if err == nil && v.Revision > 0 {
		_, err = fmt.Fprintf(w, "\nRevision %d, of %s\n", v.Revision, localTime(v.Updated))
	}
	return err
}

// describeAfter uses the words of the Caddyfile.
func describeAfter(a *prompt.After) string {
	if a == nil {
		return ""
	}
	var parts []string
	add := func(given bool, text string) {
		if given {
			parts = append(parts, text)
		}
	}
	add(a.Manual, "manual")
	add(a.Pages > 0, plural(int64(a.Pages), "page"))
	add(a.Delay > 0, pushsvc.FormatDuration(time.Duration(a.Delay)))
	add(a.Scroll > 0, fmt.Sprintf("scroll %d%%", a.Scroll))
	add(a.Click != "", "click "+printable(a.Click))
	add(a.Event != "", "event "+printable(a.Event))
	add(a.Exit, "exit")
	if len(parts) == 0 {
		return "at once"
	}
	return strings.Join(parts, ", ")
}
