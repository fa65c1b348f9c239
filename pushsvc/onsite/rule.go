package onsite

import (
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// Rule is every page's information on a running pop-up, so that the page asks the server only where one may
// apply. Anyone who loads a page can read it, so it contains neither the content
// nor the audience.
type Rule struct {
	ID    string      `json:"id"`
	Where popup.Where `json:"where,omitzero"`
	When  popup.When  `json:"when,omitzero"`
	// From and Until are milliseconds since 1970 or, by the visitor's clock, a time without a zone.
	From  any `json:"from,omitempty" ts:"number | string"`
	Until any `json:"until,omitempty" ts:"number | string"`
	// Session is the pop-up's cap.
	Session  int `json:"session,omitempty"`
	Priority int `json:"priority,omitempty"`
	// Free is true for a pop-up that does not count towards the session's limit.
	Free bool `json:"free,omitempty"`
}

// Public returns the rule of a pop-up. It returns false if the pop-up is not running or has ended everywhere
// on Earth.
func Public(p *popup.Popup, now time.Time) (Rule, bool) {
	r := Rule{ID: p.ID, Where: p.Where, When: p.When, Session: p.Caps.Session, Priority: p.Priority, Free: Uncounted(p.Kind)}
	r.Where.Referrer = hosts(p.Where.Referrer)
	r.Where.Languages = lower(p.Where.Languages)
	zone, late := time.UTC, 12*time.Hour // the last clock on Earth is at UTC-12
	fixed := p.TimeZone != "" && p.TimeZone != popup.ZoneVisitor
	if fixed {
		zone, late = Zone(p, ""), 0
	}
	for _, end := range []struct {
		text string
		to   *any
	}{{p.From, &r.From}, {p.Until, &r.Until}} {
		t, err := popup.ParseWindow(end.text, zone)
		switch {
		case err != nil:
		case fixed:
			*end.to = t.UnixMilli()
		default:
			*end.to = end.text
		}
	}
	if until, err := popup.ParseWindow(p.Until, zone); err == nil && !now.Before(until.Add(late)) {
		return r, false
	}
	return r, p.State == popup.Running
}

// Uncounted reports whether a kind does not count towards the limits per session and day: an inbox waits
// until it is opened.
func Uncounted(kind popup.Kind) bool { return kind == popup.Inbox }

func lower(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, strings.ToLower(s))
	}
	return out
}

// hosts returns patterns of host names as browsers write hosts: in lower case, non-ASCII names in ASCII (RFC
// 5890).
func hosts(list []string) []string {
	out := lower(list)
	for i, host := range out {
		if ascii, err := idna.Punycode.ToASCII(host); err == nil {
			out[i] = ascii
		}
	}
	return out
}
