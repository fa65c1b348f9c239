package people

import (
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// MaxEntries is the maximum number of entries of a batch.
const MaxEntries = 200

// MaxOps is the maximum number of operations of a batch, over all entries.
const MaxOps = 1000

// Bounds of one site. The excess is counted and left out.
const (
	// MaxSiteEvents is how many event names a site counts.
	MaxSiteEvents = 500
	// MaxAnonymous is how many anonymous profiles a site keeps.
	MaxAnonymous = 1_000_000
	// MaxKnown is the number of profiles from which on the first login of a new person, unless the site
	// vouches for it, makes no more of them: anyone can post such logins.
	MaxKnown = 5_000_000
)

// EntryKind is the kind of an entry of a batch.
type EntryKind string

// The kinds.
const (
	EntryEvent   EntryKind = "event"   // Name, Props
	EntryProfile EntryKind = "profile" // Set, Ops
	EntryLogin   EntryKind = "login"   // Identities, Set
	EntryLogout  EntryKind = "logout"
	EntryVisit   EntryKind = "visit"  // Visit
	EntryOptOut  EntryKind = "optout" // OptOut
	EntryAdopt   EntryKind = "adopt"  // Alias
	EntryPopup   EntryKind = "popup"  // Popup
)

// Entry is one thing that a browser, or the proxy on its behalf, reports. It is cleaned, and its signatures
// and tokens are checked.
type Entry struct {
	Kind       EntryKind
	Time       time.Time
	Name       string
	Props      map[string]any
	Set        map[string]any // nil values remove
	Ops        []Op
	Identities []Identity // the first one that a profile has decides whose it is
	Visit      *Visit
	OptOut     bool
	Alias      string
	Popup      *PopupAct
}

// Visit is where a visit came from.
type Visit struct {
	Page     string            `json:"page,omitempty"`
	Referrer string            `json:"referrer,omitempty"`
	UTM      map[string]string `json:"utm,omitempty"`
}

// Act is what a visitor did with a pop-up, or what happened to it.
type Act string

// The acts. The server sets ActControl: the pop-up was held back from a visitor in the control group.
// ActConverted is counted when the event of a Conversion happens.
const (
	ActViewed    Act = "viewed"
	ActClicked   Act = "clicked"
	ActClosed    Act = "closed"
	ActSubmitted Act = "submitted"
	ActError     Act = "error"
	ActControl   Act = "control"
	ActConverted Act = "converted"
)

// Reported reports whether browsers report the act.
func (a Act) Reported() bool {
	switch a {
	case ActViewed, ActClicked, ActClosed, ActSubmitted, ActError:
		return true
	}
	return false
}

// PopupAct is one act on one pop-up. Element is the part of it that was used.
type PopupAct struct {
	Popup, Variant string
	Act            Act
	Element        string
}

// Conversion is the event that counts as a pop-up's success if it happens within a time of the view.
type Conversion struct {
	Popup, Event string
	Within       time.Duration
}

// Batch is what one device reports at a time.
type Batch struct {
	Device pushsvc.DeviceID
	// Next is the device id that replaces Device if the batch changes whose the device is, so that the old
	// cookie leads to no profile. Zero for none.
	Next pushsvc.DeviceID
	// Line is the browser's lasting id; zero means Device.
	Line pushsvc.DeviceID
	// ID is 16 random bytes in base64url; a device's batch is applied once.
	ID string
	// Session is the browser's session; may be empty.
	Session string
	// At is when the batch arrived.
	At      time.Time
	Entries []Entry
	// Names are events that the site's configuration and pop-ups name. The site counts them even if it is
	// full, and they never make room for others.
	Names []string
	// Conversions are the site's.
	Conversions []Conversion
	// Rejected is how many logins have already been refused.
	Rejected int64
	// Malformed is how many entries could not be read.
	Malformed int64
	// Trusted means that the site vouches for its logins: they are signed, or come from the proxy itself.
	Trusted bool
	// Limits are the site's; zeros mean the defaults.
	Limits Limits
}

func (b *Batch) line() pushsvc.DeviceID {
	if b.Line.IsZero() {
		return b.Device
	}
	return b.Line
}

// Limits bound a site; zeros mean MaxAnonymous, MaxKnown and MaxSiteEvents.
type Limits struct{ Anonymous, Known, EventNames int64 }

func (l Limits) known() int64 {
	if l.Known > 0 {
		return l.Known
	}
	return MaxKnown
}

func (l Limits) anonymous() int64 {
	if l.Anonymous > 0 {
		return l.Anonymous
	}
	return MaxAnonymous
}

func (l Limits) eventNames() int64 {
	if l.EventNames > 0 {
		return l.EventNames
	}
	return MaxSiteEvents
}

// MayMove reports whether the entries may change whose a device is.
func MayMove(entries []Entry) bool {
	return slices.ContainsFunc(entries, func(e Entry) bool {
		return e.Kind == EntryLogin || e.Kind == EntryLogout || e.Kind == EntryOptOut
	})
}

// Tracked is the result of a batch.
type Tracked struct {
	// Repeated means that the batch had been applied before.
	Repeated bool
	// Refused means that nothing was kept: the device is new and the site has the maximum number of anonymous
	// profiles.
	Refused bool
	// Forgotten means that the visitor has opted out.
	Forgotten bool
	// Work is what the batch cost beyond its own bytes: about the bytes of rows that were read and written
	// for it, plus the time of its operations, converted to bytes.
	Work int
	// Replaced means that the device is Batch.Next now, and Batch.Device leads to no profile.
	Replaced bool
}
