package httpapi

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// PromptConfig is the configuration of the prompt; empty texts are the SDK's own.
type PromptConfig struct {
	// Kind is "dialog", "bar" or "bell"; empty is a dialog.
	Kind      string `json:"kind,omitempty" api:"oneof=dialog|bar|bell"`
	Title     string `json:"title"`
	Body      string `json:"body"`
	Accept    string `json:"accept"`
	Reject    string `json:"reject"`
	Color     string `json:"color,omitempty"`
	TextColor string `json:"textColor,omitempty"`
	// Topics are what a visitor can choose.
	Topics []Topic `json:"topics,omitempty"`
	// After is when it is shown by itself; missing is the SDK's default.
	After *PromptAfter `json:"after,omitempty"`
	// Paths are where it may show by itself; missing is everywhere.
	Paths *PromptPaths `json:"paths,omitempty"`
	// AskAgain is how long the first refusal is respected, the second and so on, in seconds; the
	// last applies to all that follow.
	AskAgain []int64 `json:"askAgain"`
	// Consent is a CSS selector of the site's consent banner, for which the prompt waits.
	Consent string `json:"consent,omitempty"`
}

// PromptAfter is what has to happen before the prompt is shown by itself: both pages and seconds,
// and then one of the triggers, if there are any. The zero value is no condition.
type PromptAfter struct {
	Pages   int   `json:"pages,omitempty"`
	Seconds int64 `json:"seconds,omitempty"`
	// Scroll is in per cent of the page's scrollable height.
	Scroll int `json:"scroll,omitempty"`
	// Click is a CSS selector.
	Click string `json:"click,omitempty"`
	// Event is a name that the page passes to webpush.event().
	Event  string `json:"event,omitempty"`
	Exit   bool   `json:"exit,omitempty"`
	Manual bool   `json:"manual,omitempty"`
}

// Topic is a subject that a visitor can choose.
type Topic struct {
	ID      string `json:"id"`
	Label   string `json:"label"`
	Checked bool   `json:"checked,omitempty"`
}

// TopicIDs are the topics' ids.
func (c *PromptConfig) TopicIDs() []string {
	ids := make([]string, len(c.Topics))
	for i, t := range c.Topics {
		ids[i] = t.ID
	}
	return ids
}

// PromptPaths are patterns of whole paths, where * matches anything. Out takes precedence.
type PromptPaths struct {
	In  []string `json:"in,omitempty"`
	Out []string `json:"out,omitempty"`
}

// With returns the config with the values of the settings in place of its own. They must be valid.
// It shares no memory with c that it changes.
func (c PromptConfig) With(s prompt.Settings) PromptConfig {
	set(&c.Kind, s.Kind)
	set(&c.Title, s.Title)
	set(&c.Body, s.Body)
	set(&c.Accept, s.Accept)
	set(&c.Reject, s.Reject)
	set(&c.Color, s.Color)
	set(&c.TextColor, s.TextColor)
	set(&c.Consent, s.Consent)
	if a := s.After; a != nil {
		c.After = &PromptAfter{
			Pages: a.Pages, Seconds: int64(time.Duration(a.Delay) / time.Second), Scroll: a.Scroll,
			Click: a.Click, Event: a.Event, Exit: a.Exit, Manual: a.Manual,
		}
	}
	if s.Enabled != nil && !*s.Enabled {
		c.After = &PromptAfter{Manual: true}
	}
	if s.Topics != nil {
		c.Topics = make([]Topic, len(s.Topics))
		for i, t := range s.Topics {
			c.Topics[i] = Topic(t)
		}
	}
	if s.AskAgain != nil {
		c.AskAgain = make([]int64, len(s.AskAgain))
		for i, d := range s.AskAgain {
			c.AskAgain[i] = int64(d / time.Second)
		}
	}
	c.Paths = c.Paths.with(s.Paths, s.NotPaths)
	return c
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// with returns nil if both lists are empty.
func (p *PromptPaths) with(in, out []string) *PromptPaths {
	var merged PromptPaths
	if p != nil {
		merged = *p
	}
	if in != nil {
		merged.In = in
	}
	if out != nil {
		merged.Out = out
	}
	if len(merged.In)+len(merged.Out) == 0 {
		return nil
	}
	return &merged
}
