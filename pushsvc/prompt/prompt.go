package prompt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Settings are what somebody says of a site's prompt: the Caddyfile, or an
// operator at run time. A member that is nil is not said; what is said, be it
// empty, wins over what lies below.
type Settings struct {
	// Enabled is false where nobody is to be asked but by a page's own call.
	Enabled *bool `json:"enabled,omitempty"`
	// Kind is one of Kinds.
	Kind *string `json:"kind,omitempty"`
	// The texts; empty ones are the built-in ones, in the page's language.
	Title  *string `json:"title,omitempty"`
	Body   *string `json:"body,omitempty"`
	Accept *string `json:"accept,omitempty"`
	Reject *string `json:"reject,omitempty"`
	// The colours, as #rgb or #rrggbb; empty is the built-in one.
	Color     *string `json:"color,omitempty"`
	TextColor *string `json:"text_color,omitempty"`
	// Topics are what a visitor can choose; none is no choice.
	Topics []Topic `json:"topics,omitzero"`
	// After is when it comes by itself.
	After *After `json:"after,omitempty"`
	// Paths and NotPaths are patterns of whole paths, in which * stands for
	// anything. No paths are all.
	Paths    []string `json:"paths,omitzero"`
	NotPaths []string `json:"not_paths,omitzero"`
	// AskAgain is how long refusals are respected: the first, the second and so
	// on; the last is for all that follow.
	AskAgain AskAgain `json:"ask_again,omitzero"`
	// Consent is a CSS selector of the site's consent banner; empty is none.
	Consent *string `json:"consent,omitempty"`
}

// After is when the prompt comes by itself: pages and delay must both hold,
// and then one of the triggers must happen, where there are any. The zero value
// is the first page, once it has settled.
type After struct {
	Pages int   `json:"pages,omitempty"`
	Delay Delay `json:"delay,omitzero"`
	// Scroll is in per cent of the page's scrollable height.
	Scroll int `json:"scroll,omitempty"`
	// Click is a CSS selector.
	Click string `json:"click,omitempty"`
	// Event is a name that the page gives to webpush.event().
	Event  string `json:"event,omitempty"`
	Exit   bool   `json:"exit,omitempty"`
	Manual bool   `json:"manual,omitempty"`
}

// Kinds are the forms of the prompt.
var Kinds = []string{"dialog", "bar", "bell"}

// DefaultAskAgain is a week, as CleverTap's prompt has it.
const DefaultAskAgain = 7 * 24 * time.Hour

// Delay and AskAgain are times in JSON as they are in a Caddyfile: "30s",
// "12h", "7d". One time of AskAgain need not be in a list.
type (
	Delay    time.Duration
	AskAgain []time.Duration
)

// Default says everything of the prompt. manual is for sites whose pages
// call for it themselves.
func Default(manual bool) Settings {
	on, kind, none := true, Kinds[0], ""
	after := After{Pages: 2}
	if manual {
		after = After{Manual: true}
	}
	return Settings{
		Enabled: &on, Kind: &kind, Title: &none, Body: &none, Accept: &none, Reject: &none, Color: &none, TextColor: &none,
		After: &after, Topics: []Topic{}, Paths: []string{}, NotPaths: []string{}, AskAgain: AskAgain{DefaultAskAgain}, Consent: &none,
	}
}

// Over gives what holds where p lies over base: each member that p says, and the
// others as base has them.
func (p Settings) Over(base Settings) Settings {
	return Settings{
		Enabled: said(p.Enabled, base.Enabled), Kind: said(p.Kind, base.Kind),
		Title: said(p.Title, base.Title), Body: said(p.Body, base.Body),
		Accept: said(p.Accept, base.Accept), Reject: said(p.Reject, base.Reject),
		Color: said(p.Color, base.Color), TextColor: said(p.TextColor, base.TextColor),
		After: said(p.After, base.After), Consent: said(p.Consent, base.Consent),
		Topics: saidList(p.Topics, base.Topics),
		Paths:  saidList(p.Paths, base.Paths), NotPaths: saidList(p.NotPaths, base.NotPaths),
		AskAgain: saidList(p.AskAgain, base.AskAgain),
	}
}

func said[T any](upper, lower *T) *T {
	if upper != nil {
		return upper
	}
	return lower
}

func saidList[S ~[]T, T any](upper, lower S) S {
	if upper != nil {
		return upper
	}
	return lower
}

// Said lists the members that p says, by their JSON names.
func (p Settings) Said() []string {
	raw, err := json.Marshal(p)
	members := map[string]json.RawMessage{}
	if err == nil {
		err = json.Unmarshal(raw, &members)
	}
	if err != nil {
		// Strings, numbers, booleans and lists of them always encode.
		panic("pushsvc: encoding prompt settings: " + err.Error())
	}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var colorPattern = regexp.MustCompile(`^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)

// Limits of what goes into every page's script.
const (
	maxPatterns = 100
	maxAskAgain = 10
	maxSelector = 500 // bytes of a selector, a name or a pattern
)

// Validate gives a *FieldError, whose Field is the member's JSON name, for the
// first member that is wrong.
func (p Settings) Validate() error {
	if p.Kind != nil && !slices.Contains(Kinds, *p.Kind) {
		return &pushsvc.FieldError{Field: "kind", Problem: fmt.Sprintf("%q is not known; known are: %s", *p.Kind, strings.Join(Kinds, ", "))}
	}
	for _, c := range []struct {
		field string
		value *string
	}{{"color", p.Color}, {"text_color", p.TextColor}} {
		if c.value != nil && *c.value != "" && !colorPattern.MatchString(*c.value) {
			return &pushsvc.FieldError{Field: c.field, Problem: fmt.Sprintf("%q is not a colour; write it like 0b6bcb or \"#0b6bcb\"", *c.value)}
		}
	}
	if err := validateTopics(p.Topics); err != nil {
		return err
	}
	if p.AskAgain != nil && len(p.AskAgain) == 0 || len(p.AskAgain) > maxAskAgain {
		return &pushsvc.FieldError{Field: "ask_again", Problem: fmt.Sprintf("takes one duration or more, at most %d", maxAskAgain)}
	}
	for _, d := range p.AskAgain {
		if d < time.Second {
			return &pushsvc.FieldError{Field: "ask_again", Problem: "must be at least 1s"}
		}
	}
	if err := validatePatterns("paths", p.Paths); err != nil {
		return err
	}
	if err := validatePatterns("not_paths", p.NotPaths); err != nil {
		return err
	}
	if p.Consent != nil {
		if err := validateSelector("consent", *p.Consent); err != nil {
			return err
		}
	}
	return p.After.validate()
}

func validatePatterns(field string, patterns []string) error {
	if len(patterns) > maxPatterns {
		return &pushsvc.FieldError{Field: field, Problem: fmt.Sprintf("takes at most %d patterns", maxPatterns)}
	}
	for _, pattern := range patterns {
		if err := validateSelector(field, pattern); err != nil {
			return err
		}
		switch {
		case !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "*"):
			return &pushsvc.FieldError{Field: field, Problem: fmt.Sprintf("%q does not begin with /; write it like %q", pattern, "/"+pattern)}
		case strings.ContainsAny(pattern, "?#"):
			return &pushsvc.FieldError{Field: field, Problem: fmt.Sprintf("%q has more than a path; leave out what begins with ? or #", pattern)}
		}
	}
	return nil
}

func validateSelector(field, value string) error {
	if len(value) > maxSelector {
		return &pushsvc.FieldError{Field: field, Problem: fmt.Sprintf("is longer than %d bytes", maxSelector)}
	}
	return nil
}

func (a *After) validate() error {
	if a == nil {
		return nil
	}
	rest, delay := *a, time.Duration(a.Delay)
	rest.Manual = false
	switch {
	case a.Manual && rest != After{}:
		return &pushsvc.FieldError{Field: "after", Problem: "manual stands alone; take out either it or the others"}
	case a.Pages < 0 || a.Pages > 1000:
		return &pushsvc.FieldError{Field: "after", Problem: "pages must be from 1 to 1000"}
	case delay < 0 || delay > 0 && delay < time.Second || delay > 24*time.Hour:
		return &pushsvc.FieldError{Field: "after", Problem: "the time must be from 1s to 24h"}
	case a.Scroll < 0 || a.Scroll > 100:
		return &pushsvc.FieldError{Field: "after", Problem: "scroll must be from 1% to 100%"}
	}
	if err := validateSelector("after click", a.Click); err != nil {
		return err
	}
	return validateSelector("after event", a.Event)
}

// MarshalJSON implements json.Marshaler.
func (d Delay) MarshalJSON() ([]byte, error) {
	return json.Marshal(pushsvc.FormatDuration(time.Duration(d)))
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Delay) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	v, err := unmarshalDuration("after", b)
	*d = Delay(v)
	return err
}

// MarshalJSON implements json.Marshaler.
func (a AskAgain) MarshalJSON() ([]byte, error) {
	texts := make([]string, len(a))
	for i, d := range a {
		texts[i] = pushsvc.FormatDuration(d)
	}
	return json.Marshal(texts)
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *AskAgain) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*a = nil
		return nil
	}
	raw := []json.RawMessage{b}
	if bytes.HasPrefix(b, []byte("[")) {
		raw = nil
		if err := json.Unmarshal(b, &raw); err != nil {
			return err
		}
	}
	list := make(AskAgain, len(raw))
	for i, one := range raw {
		d, err := unmarshalDuration("ask_again", one)
		if err != nil {
			return err
		}
		list[i] = d
	}
	*a = list
	return nil
}

func unmarshalDuration(field string, b []byte) (time.Duration, error) {
	var text string
	if json.Unmarshal(b, &text) == nil {
		if d, err := pushsvc.ParseDuration(text); err == nil {
			return d, nil
		}
	}
	return 0, &pushsvc.FieldError{Field: field, Problem: `has something that is not a duration; write it like "30s", "12h" or "7d"`}
}
