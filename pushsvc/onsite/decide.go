package onsite

import (
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// Seen is how often a visitor has seen a pop-up.
type Seen struct {
	Session int `json:"session,omitempty"`
	// Today is since DayStart of the pop-up's zone.
	Today int `json:"today,omitempty"`
	Ever  int `json:"ever,omitempty"`
}

// Zone is whose clock a pop-up goes by. visitor is what the visitor's browser
// said; what is no time zone is UTC.
func Zone(p *popup.Popup, visitor string) *time.Location {
	name := p.TimeZone
	if name == "" || name == popup.ZoneVisitor {
		name = visitor
	}
	return location(name)
}

// locations holds zones that have been looked up, each of which is a file. Names
// come from browsers: their number is bounded.
var locations struct {
	sync.RWMutex
	m map[string]*time.Location
}

// maxLocations is more than there are zones.
const maxLocations = 1000

// location finds a zone; UTC where there is none of that name, and for Local,
// which would be the server's.
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

// DayStart is when the calendar day of now began in the zone. On days that have
// no midnight it is their first moment.
func DayStart(now time.Time, zone *time.Location) time.Time {
	now = now.In(zone)
	start := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	// Where clocks go forward at midnight, Date may give an hour of the day before.
	for start.Day() != now.Day() {
		start = start.Add(30 * time.Minute)
	}
	return start
}

// Window says whether now is between from and until by the zone's clock.
func Window(p *popup.Popup, now time.Time, zone *time.Location) Reason {
	if t, err := popup.ParseWindow(p.From, zone); p.From != "" && (err != nil || now.Before(t)) {
		return NotYet
	}
	if t, err := popup.ParseWindow(p.Until, zone); p.Until != "" && (err != nil || !now.Before(t)) {
		return NotAnyMore
	}
	return ""
}

// Caps says whether the visitor may see it once more.
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

// Decide says whether the pop-up is for a visitor on the page at a time, all but
// its audience and control group. visitorZone is an IANA name.
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

// Full says whether a visitor has seen as many pop-ups, in one session and in one
// day of their own, as the site allows.
func Full(s popup.Settings, session, today int) bool {
	return s.PerSession > 0 && session >= s.PerSession || s.PerDay > 0 && today >= s.PerDay
}
