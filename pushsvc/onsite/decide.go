package onsite

import (
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

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

// Window returns NotYet or NotAnyMore if now is not between from and until by the zone's clock, else "".
func Window(p *popup.Popup, now time.Time, zone *time.Location) Reason {
	if t, err := popup.ParseWindow(p.From, zone); p.From != "" && (err != nil || now.Before(t)) {
		return NotYet
	}
	if t, err := popup.ParseWindow(p.Until, zone); p.Until != "" && (err != nil || !now.Before(t)) {
		return NotAnyMore
	}
	return ""
}

// Decide returns why the pop-up does not apply to a visitor on the page; "" if it applies. It does not look at
// the audience and the control group. visitorZone is an IANA name.
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
