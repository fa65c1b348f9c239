package onsite

import "github.com/caddy-webpush/caddy-webpush/pushsvc/popup"

// Seen is how often a visitor has seen a pop-up.
type Seen struct {
	Session int `json:"session,omitempty"`
	// Today counts since DayStart in the pop-up's zone.
	Today int `json:"today,omitempty"`
	Ever  int `json:"ever,omitempty"`
}

// Caps returns which cap keeps the visitor from seeing the pop-up once more; "" if none does.
func Caps(c popup.Caps, seen Seen) Reason {
	switch {
	case c.Session > 0 && seen.Session >= c.Session:
		return CapSession
	case c.Day > 0 && seen.Today >= c.Day:
		return CapDay
	case c.Lifetime > 0 && seen.Ever >= c.Lifetime:
		return CapAll
	}
	return ""
}

// Full reports whether a visitor has seen as many pop-ups as the site allows in one session or in one of the
// visitor's days.
func Full(s popup.Settings, session, today int) bool {
	return s.PerSession > 0 && session >= s.PerSession || s.PerDay > 0 && today >= s.PerDay
}
