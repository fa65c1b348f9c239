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

// Settings are one layer of a site's prompt: the Caddyfile's, or an operator's at run time. A nil member is
// not set; a set one, even an empty one, wins over the layer below.
type Settings struct {
	// Enabled is false if only a page's own call may show the prompt.
	Enabled *bool `json:"enabled,omitempty"`
	// Kind is one of Kinds.
	Kind *string `json:"kind,omitempty"`
	// The texts; empty means the built-in one, in the page's language.
	Title  *string `json:"title,omitempty"`
	Body   *string `json:"body,omitempty"`
	Accept *string `json:"accept,omitempty"`
	Reject *string `json:"reject,omitempty"`
	// The colours, as #rgb or #rrggbb; empty means the built-in one.
	Color     *string `json:"color,omitempty"`
	TextColor *string `json:"textColor,omitempty"`
	// Topics are what a visitor can choose from; empty means no choice.
	Topics []Topic `json:"topics,omitzero"`
	// After is when the prompt shows by itself.
	After *After `json:"after,omitempty"`
	// Paths and NotPaths are patterns of whole paths, in which * matches any text. No Paths means all.
	Paths    []string `json:"paths,omitzero"`
	NotPaths []string `json:"notPaths,omitzero"`
	// AskAgain is how long refusals are respected: the first, the second and so on; the last is for all
	// further ones.
	AskAgain AskAgain `json:"askAgain,omitzero"`
	// Consent is a CSS selector of the site's consent banner; may be empty.
	Consent *string `json:"consent,omitempty"`
}

// After is when the prompt shows by itself: pages and delay must both hold, and then one of the triggers, if
// any, must happen. The zero value means the first page, once it is loaded and idle.
type After struct {
	Pages int   `json:"pages,omitempty"`
	Delay Delay `json:"delay,omitzero"`
	// Scroll is a percentage of the page's scrollable height.
	Scroll int `json:"scroll,omitempty"`
	// Click is a CSS selector.
	Click string `json:"click,omitempty"`
	// Event is a name that the page passes to webpush.event().
	Event  string `json:"event,omitempty"`
	Exit   bool   `json:"exit,omitempty"`
	Manual bool   `json:"manual,omitempty"`
}

// Kinds are the forms of the prompt.
var Kinds = []string{"dialog", "bar", "bell"}

// DefaultAskAgain is a week, like CleverTap's.
const DefaultAskAgain = 7 * 24 * time.Hour

// Delay and AskAgain are durations in JSON as in a Caddyfile: "30s", "12h", "7d". A single duration of
// AskAgain need not be in a list.
type (
	Delay    time.Duration
	AskAgain []time.Duration
)

// Default sets all members. manual is for sites whose pages show the prompt themselves.
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

// Over returns the settings of p laid over base: the members that p sets, and base's for the rest.
func (p Settings) Over(base Settings) Settings {
	return Settings{
		Enabled: setOr(p.Enabled, base.Enabled), Kind: setOr(p.Kind, base.Kind),
		Title: setOr(p.Title, base.Title), Body: setOr(p.Body, base.Body),
		Accept: setOr(p.Accept, base.Accept), Reject: setOr(p.Reject, base.Reject),
		Color: setOr(p.Color, base.Color), TextColor: setOr(p.TextColor, base.TextColor),
		After: setOr(p.After, base.After), Consent: setOr(p.Consent, base.Consent),
		Topics: setListOr(p.Topics, base.Topics),
		Paths:  setListOr(p.Paths, base.Paths), NotPaths: setListOr(p.NotPaths, base.NotPaths),
		AskAgain: setListOr(p.AskAgain, base.AskAgain),
	}
}

func setOr[T any](upper, lower *T) *T {
	if upper != nil {
		return upper
	}
	return lower
}

func setListOr[S ~[]T, T any](upper, lower S) S {
	if upper != nil {
		return upper
	}
	return lower
}

// Said returns the JSON names of the members that p sets, sorted.
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

// Validate returns a *FieldError for the first wrong member; its Field is the member's JSON name.
func (p Settings) Validate() error {
	if p.Kind != nil && !slices.Contains(Kinds, *p.Kind) {
		return &pushsvc.FieldError{Field: "kind", Problem: fmt.Sprintf("%q is not known; known are: %s", *p.Kind, strings.Join(Kinds, ", "))}
	}
	for _, c := range []struct {
		field string
		value *string
	}{{"color", p.Color}, {"textColor", p.TextColor}} {
		if c.value != nil && *c.value != "" && !colorPattern.MatchString(*c.value) {
			return &pushsvc.FieldError{Field: c.field, Problem: fmt.Sprintf("%q is not a colour; write it like 0b6bcb or \"#0b6bcb\"", *c.value)}
		}
	}
	if err := validateTopics(p.Topics); err != nil {
		return err
	}
	if p.AskAgain != nil && len(p.AskAgain) == 0 || len(p.AskAgain) > maxAskAgain {
		return &pushsvc.FieldError{Field: "askAgain", Problem: fmt.Sprintf("takes one duration or more, at most %d", maxAskAgain)}
	}
	for _, d := range p.AskAgain {
		if d < time.Second {
			return &pushsvc.FieldError{Field: "askAgain", Problem: "must be at least 1s"}
		}
	}
	if err := validatePatterns("paths", p.Paths); err != nil {
		return err
	}
	if err := validatePatterns("notPaths", p.NotPaths); err != nil {
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
	others, delay := *a, time.Duration(a.Delay)
	others.Manual = false
	switch {
	case a.Manual && others != After{}:
		return &pushsvc.FieldError{Field: "after", Problem: "manual can't be combined with others; remove either it or the others"}
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
	for i, text := range raw {
		d, err := unmarshalDuration("askAgain", text)
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
	return 0, &pushsvc.FieldError{Field: field, Problem: `has a value that is not a duration; write it like "30s", "12h" or "7d"`}
}
