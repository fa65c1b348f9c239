package onsite

import (
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// Seen is how often a visitor has seen a pop-up.
type Seen struct {
	Session int `json:"session,omitempty"`
	// Today counts since DayStart in the pop-up's zone.
	Today int `json:"today,omitempty"`
	Ever  int `json:"ever,omitempty"`
}

// Zone returns the time zone that a pop-up goes by. visitor is the zone that the visitor's browser reported;
// an unknown zone is UTC.
func Zone(p *popup.Popup, visitor string) *time.Location {
	name := p.TimeZone
	if name == "" || name == popup.ZoneVisitor {
		name = visitor
	}
	return location(name)
}

// locations caches zones, each of which is read from a file. The names come from browsers, so the number is
// bounded.
var locations struct {
	sync.RWMutex
	m map[string]*time.Location
}

// maxLocations exceeds the number of zones that exist.
const maxLocations = 1000

// location returns a zone. It is UTC for an unknown name, and for Local, which would be the server's.
func location(name string) *time.Location {
	locations.RLock()
	zone := locations.m[name]
	locations.RUnlock()
	if zone != nil {
		return zone
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return time.UTC
	}
	locations.Lock()
	defer locations.Unlock()
	if locations.m == nil {
		locations.m = map[string]*time.Location{}
	}
	if len(locations.m) < maxLocations {
		locations.m[name] = zone
	}
	return zone
}

// DayStart returns when the calendar day of now began in the zone: the first moment of a day that has no
// midnight.
func DayStart(now time.Time, zone *time.Location) time.Time {
	now = now.In(zone)
	start := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	// Where clocks go forward at midnight, Date may return an hour of the day before.
	for start.Day() != now.Day() {
		start = start.Add(30 * time.Minute)
	}
	return start
}

// Window checks that now is between from and until by the zone's clock.
func Window(p *popup.Popup, now time.Time, zone *time.Location) Reason {
	if t, err := popup.ParseWindow(p.From, zone); p.From != "" && (err != nil || now.Before(t)) {
		return NotYet
	}
	if t, err := popup.ParseWindow(p.Until, zone); p.Until != "" && (err != nil || !now.Before(t)) {
		return NotAnyMore
	}
	return ""
}

// Caps checks that the visitor may see the pop-up once more.
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

// Decide checks whether the pop-up applies to a visitor on the page, all but its audience and control group.
// visitorZone is an IANA name.
func Decide(p *popup.Popup, page Page, now time.Time, visitorZone string, seen Seen) Reason {
	if p.State != popup.Running {
		return NotRunning
	}
	if why := Place(&p.Where, page); why != "" {
		return why
	}
	if why := Window(p, now, Zone(p, visitorZone)); why != "" {
		return why
	}
	return Caps(p.Caps, seen)
}

// Full reports whether a visitor has seen as many pop-ups as the site allows in one session or in one of the
// visitor's days.
func Full(s popup.Settings, session, today int) bool {
	return s.PerSession > 0 && session >= s.PerSession || s.PerDay > 0 && today >= s.PerDay
}
