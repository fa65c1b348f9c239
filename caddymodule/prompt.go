package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// Prompt is the question before the browser's own. Empty texts are the
// built-in ones, in the page's language.
type Prompt struct {
	// The form: dialog, bar or bell. Default: dialog.
	Kind string `json:"kind,omitempty"`
	// The heading.
	Title string `json:"title,omitempty"`
	// What the visitor gets by agreeing.
	Body string `json:"body,omitempty"`
	// The text of the button that agrees.
	Accept string `json:"accept,omitempty"`
	// The text of the button that refuses.
	Reject string `json:"reject,omitempty"`
	// The colour of the accept button, as #rgb or #rrggbb.
	Color string `json:"color,omitempty"`
	// The colour of the text on it. Default: black or white, whichever
	// contrasts more.
	TextColor string `json:"text_color,omitempty"`
	// What the visitor can choose to hear of: a check box for each in the prompt
	// and in <webpush-preferences>.
	Topics []Topic `json:"topics,omitempty"`
	// When to ask. Default: on the second page; with compat only when a page calls
	// for it.
	After *After `json:"after,omitempty"`
	// Where to ask: patterns of whole paths, in which * stands for anything.
	// Default: everywhere.
	Paths []string `json:"paths,omitempty"`
	// Where not to ask, even if it is in paths.
	NotPaths []string `json:"not_paths,omitempty"`
	// How long a refusal is respected: the first one, the second and so on; the
	// last is for all that follow. Default: 7d.
	AskAgain AskAgain `json:"ask_again,omitempty"`
	// A CSS selector of the site's consent banner: nobody is asked while it is
	// there. The banners of well-known providers are known without.
	Consent string `json:"consent,omitempty"`
}

// AskAgain is one duration or more. In JSON, one need not be in a list.
type AskAgain []caddy.Duration

// MarshalJSON implements json.Marshaler.
func (a AskAgain) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]caddy.Duration(a))
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *AskAgain) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return json.Unmarshal(b, (*[]caddy.Duration)(a))
	}
	var one caddy.Duration
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*a = AskAgain{one}
	return nil
}

// After is when the prompt is shown by itself: pages and delay must both hold,
// and then one of the triggers scroll, click, event and exit must happen, where
// any are given. If this is given and empty, it is on the first page, once it has
// settled.
type After struct {
	// On this many pages, the present one included.
	Pages int `json:"pages,omitempty"`
	// This long after the visit's first page was opened.
	Delay caddy.Duration `json:"delay,omitempty"`
	// Trigger: this per cent of the page has been scrolled by.
	Scroll int `json:"scroll,omitempty"`
	// Trigger: a click on what this CSS selector finds.
	Click string `json:"click,omitempty"`
	// Trigger: a page calls webpush.event() with this name.
	Event string `json:"event,omitempty"`
	// Trigger: the visitor seems to be leaving.
	Exit bool `json:"exit,omitempty"`
	// If true, only when a page calls webpush.prompt(), and nothing else may be
	// given.
	Manual bool `json:"manual,omitempty"`
}

// defaultAskAgain is a week, as CleverTap's prompt has it.
const defaultAskAgain = 7 * 24 * time.Hour

// promptKinds are the values of the option kind.
var promptKinds = []string{"dialog", "bar", "bell"}

func (p *Prompt) setDefaults() {
	if len(p.AskAgain) == 0 {
		p.AskAgain = AskAgain{caddy.Duration(defaultAskAgain)}
	}
}

// config is what the SDK is told. Defaults are set.
func (p *Prompt) config() httpapi.PromptConfig {
	c := httpapi.PromptConfig{
		Kind: p.Kind, Title: p.Title, Body: p.Body, Accept: p.Accept, Reject: p.Reject,
		Color: p.Color, TextColor: p.TextColor, Consent: p.Consent,
	}
	c.Topics = topicsConfig(p.Topics)
	if a := p.After; a != nil {
		c.After = &httpapi.PromptAfter{
			Pages: a.Pages, Seconds: seconds(a.Delay), Scroll: a.Scroll,
			Click: a.Click, Event: a.Event, Exit: a.Exit, Manual: a.Manual,
		}
	}
	for _, d := range p.AskAgain {
		c.AskAgain = append(c.AskAgain, seconds(d))
	}
	if len(p.Paths)+len(p.NotPaths) > 0 {
		c.Paths = &httpapi.PromptPaths{In: p.Paths, Out: p.NotPaths}
	}
	return c
}

func seconds(d caddy.Duration) int64 { return int64(time.Duration(d) / time.Second) }

var colorPattern = regexp.MustCompile(`^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)

// Limits of what goes into every page's script.
const (
	maxPatterns = 100
	maxAskAgain = 10
	maxText     = 500 // bytes of a selector, a name or a pattern
)

// check says which option is wrong.
func (p *Prompt) check() error {
	if p == nil {
		return nil
	}
	if p.Kind != "" {
		if err := oneOf("kind", p.Kind, promptKinds); err != nil {
			return err
		}
	}
	for _, c := range []struct{ option, value string }{{"color", p.Color}, {"text_color", p.TextColor}} {
		if c.value != "" && !colorPattern.MatchString(c.value) {
			return &optionError{c.option, fmt.Sprintf("%q is not a colour; write it like 0b6bcb or \"#0b6bcb\"", c.value)}
		}
	}
	if err := checkTopics(p.Topics); err != nil {
		return err
	}
	if len(p.AskAgain) > maxAskAgain {
		return &optionError{"ask_again", fmt.Sprintf("takes at most %d durations", maxAskAgain)}
	}
	for _, d := range p.AskAgain {
		if time.Duration(d) < time.Second {
			return &optionError{"ask_again", "must be at least 1s"}
		}
	}
	if err := checkPatterns("paths", p.Paths); err != nil {
		return err
	}
	if err := checkPatterns("not_paths", p.NotPaths); err != nil {
		return err
	}
	if err := checkText("consent", p.Consent); err != nil {
		return err
	}
	return p.After.check()
}

// oneOf says what could be written instead of an unknown value.
func oneOf(option, value string, known []string) error {
	for _, k := range known {
		if value == k {
			return nil
		}
	}
	if near := nearest(value, known); near != "" {
		return &optionError{option, fmt.Sprintf("%q is not known; did you mean %q?", value, near)}
	}
	return &optionError{option, fmt.Sprintf("%q is not known; known are: %s", value, strings.Join(known, ", "))}
}

func checkPatterns(option string, patterns []string) error {
	if len(patterns) > maxPatterns {
		return &optionError{option, fmt.Sprintf("takes at most %d patterns", maxPatterns)}
	}
	for _, pattern := range patterns {
		switch {
		case !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "*"):
			return &optionError{option, fmt.Sprintf("%q does not begin with /; write it like %q", pattern, "/"+pattern)}
		case strings.ContainsAny(pattern, "?#"):
			return &optionError{option, fmt.Sprintf("%q has more than a path; leave out what begins with ? or #", pattern)}
		}
		if err := checkText(option, pattern); err != nil {
			return err
		}
	}
	return nil
}

func checkText(option, value string) error {
	if len(value) > maxText {
		return &optionError{option, fmt.Sprintf("is longer than %d bytes", maxText)}
	}
	return nil
}

func (a *After) check() error {
	if a == nil {
		return nil
	}
	rest := *a
	rest.Manual = false
	switch {
	case a.Manual && rest != After{}:
		return &optionError{"after", "manual stands alone; take out either it or the others"}
	case a.Pages < 0 || a.Pages > 1000:
		return &optionError{"after", "pages must be from 1 to 1000"}
	case a.Delay < 0 || a.Delay > 0 && time.Duration(a.Delay) < time.Second || time.Duration(a.Delay) > 24*time.Hour:
		return &optionError{"after", "the time must be from 1s to 24h"}
	case a.Scroll < 0 || a.Scroll > 100:
		return &optionError{"after", "scroll must be from 1% to 100%"}
	}
	if err := checkText("after click", a.Click); err != nil {
		return err
	}
	return checkText("after event", a.Event)
}

// Interface guards
var (
	_ json.Marshaler   = AskAgain(nil)
	_ json.Unmarshaler = (*AskAgain)(nil)
)
