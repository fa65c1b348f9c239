package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// Prompt is the site's own question before the browser's permission prompt. Empty
// texts mean the built-in ones, in the page's language.
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
	// The topics that the visitor can choose: a check box for each in the prompt
	// and in <webpush-preferences>.
	Topics []Topic `json:"topics,omitempty"`
	// When to ask. Default: on the second page; with compat clevertap only when a
	// page requests it, and with compat onesignal when its pages specify.
	After *After `json:"after,omitempty"`
	// Where to ask: patterns of whole paths, in which * matches anything. Default: everywhere.
	Paths []string `json:"paths,omitempty"`
	// Where not to ask, even if it is in paths.
	NotPaths []string `json:"not_paths,omitempty"`
	// How long a refusal is respected: the first one, the second and so on; the
	// last duration applies to all later refusals. Default: 7d.
	AskAgain AskAgain `json:"ask_again,omitempty"`
	// A CSS selector of the site's consent banner: the prompt is not shown while
	// the banner is. Banners of well-known providers are built in.
	Consent string `json:"consent,omitempty"`
}

// AskAgain is one or more durations. In JSON, a single one need not be in a list.
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
	var single caddy.Duration
	if err := json.Unmarshal(b, &single); err != nil {
		return err
	}
	*a = AskAgain{single}
	return nil
}

// After is when the prompt appears by itself: pages and delay must both hold, and
// then one of the triggers scroll, click, event and exit must happen, if any is
// set. An empty After means the first page, once it has loaded.
type After struct {
	// On this many pages, including the present one.
	Pages int `json:"pages,omitempty"`
	// This long after the visit's first page was opened.
	Delay caddy.Duration `json:"delay,omitempty"`
	// Trigger: this percentage of the page has been scrolled.
	Scroll int `json:"scroll,omitempty"`
	// Trigger: a click on an element that matches this CSS selector.
	Click string `json:"click,omitempty"`
	// Trigger: a page calls webpush.event() with this name.
	Event string `json:"event,omitempty"`
	// Trigger: the visitor seems to be leaving.
	Exit bool `json:"exit,omitempty"`
	// If true, the prompt appears only when a page calls webpush.prompt(); no
	// other condition may be set.
	Manual bool `json:"manual,omitempty"`
}

// settings returns the conditions in the form of the operator's API.
func (a *After) settings() *prompt.After {
	if a == nil {
		return nil
	}
	return &prompt.After{
		Pages: a.Pages, Delay: prompt.Delay(a.Delay), Scroll: a.Scroll,
		Click: a.Click, Event: a.Event, Exit: a.Exit, Manual: a.Manual,
	}
}

// add parses the words of one line of after: each adds a condition or a trigger.
func (a *After) add(words []string) error {
	s := a.settings()
	if err := s.Add(caddy.ParseDuration, words...); err != nil {
		return err
	}
	*a = After{Pages: s.Pages, Delay: caddy.Duration(s.Delay), Scroll: s.Scroll, Click: s.Click, Event: s.Event, Exit: s.Exit, Manual: s.Manual}
	return nil
}

// config returns the SDK's configuration.
func (p *Prompt) config() httpapi.PromptConfig {
	byDefault := prompt.Settings{AskAgain: prompt.AskAgain{prompt.DefaultAskAgain}}
	return httpapi.PromptConfig{}.With(byDefault).With(p.settings())
}

// settings returns the prompt's settings in the form of the operator's API.
func (p *Prompt) settings() (s prompt.Settings) {
	if p == nil {
		return s
	}
	for _, f := range []struct {
		to   **string
		from string
	}{
		{&s.Kind, p.Kind},
		{&s.Title, p.Title},
		{&s.Body, p.Body},
		{&s.Accept, p.Accept},
		{&s.Reject, p.Reject},
		{&s.Color, p.Color},
		{&s.TextColor, p.TextColor},
		{&s.Consent, p.Consent},
	} {
		if f.from != "" {
			*f.to = &f.from
		}
	}
	for _, t := range p.Topics {
		s.Topics = append(s.Topics, prompt.Topic(t))
	}
	s.After = p.After.settings()
	for _, d := range p.AskAgain {
		s.AskAgain = append(s.AskAgain, time.Duration(d))
	}
	if len(p.Paths) > 0 {
		s.Paths = p.Paths
	}
	if len(p.NotPaths) > 0 {
		s.NotPaths = p.NotPaths
	}
	return s
}

// optionOf is the option of a setting: "not_paths" of "notPaths".
func optionOf(member string) string {
	return capital.ReplaceAllStringFunc(member, func(c string) string { return "_" + strings.ToLower(c) })
}

var capital = regexp.MustCompile("[A-Z]")

// check returns an error that names the wrong option.
func (p *Prompt) check() error {
	var field *pushsvc.FieldError
	if err := p.settings().Validate(); errors.As(err, &field) {
		return &optionError{optionOf(field.Field), field.Problem}
	} else if err != nil {
		return err
	}
	return nil
}

// Interface guards
var (
	_ json.Marshaler   = AskAgain(nil)
	_ json.Unmarshaler = (*AskAgain)(nil)
)
