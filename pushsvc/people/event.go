package people

import (
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// MaxEntries is how many entries a batch may have.
const MaxEntries = 200

// MaxOps is how many operations all entries of a batch may have together.
const MaxOps = 1000

// Bounds of one site. What is beyond them is counted and left out.
const (
	// MaxSiteEvents is how many event names a site counts.
	MaxSiteEvents = 500
	// MaxAnonymous is how many anonymous profiles a site keeps.
	MaxAnonymous = 1_000_000
	// MaxKnown is how many profiles there may be for the first login of somebody
	// whom the site doesn't vouch for to make one more: anybody can post those.
	MaxKnown = 5_000_000
)

// EntryKind is what an entry of a batch tells.
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

// Entry is one thing that a browser, or the proxy for it, tells. It has been
// cleaned and is genuine: signatures and tokens have been checked.
type Entry struct {
	Kind       EntryKind
	Time       time.Time
	Name       string
	Props      map[string]any
	Set        map[string]any // nil values remove
	Ops        []Op
	Identities []Identity // the first one that somebody has decides who it is
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

// Act is what became of a pop-up.
type Act string

// The acts. Control is the server's: the pop-up was kept from the visitor to
// compare with. Converted is counted when the event of a Conversion happens.
const (
	ActViewed    Act = "viewed"
	ActClicked   Act = "clicked"
	ActClosed    Act = "closed"
	ActSubmitted Act = "submitted"
	ActError     Act = "error"
	ActControl   Act = "control"
	ActConverted Act = "converted"
)

// Reported says whether browsers report the act.
func (a Act) Reported() bool {
	switch a {
	case ActViewed, ActClicked, ActClosed, ActSubmitted, ActError:
		return true
	}
	return false
}

// PopupAct is one act on one pop-up. Element says on which part of it.
type PopupAct struct {
	Popup, Variant string
	Act            Act
	Element        string
}

// Conversion says which event, within which time of a pop-up's view, counts as
// the pop-up's success.
type Conversion struct {
	Popup, Event string
	Within       time.Duration
}

// Batch is what one device tells at a time.
type Batch struct {
	Device pushsvc.DeviceID
	// Next is the device that takes Device's place where the batch changes who it
	// belongs to: who had the cookie before is nobody then. Zero for none.
	Next pushsvc.DeviceID
	// Line is the browser's; zero for Device.
	Line pushsvc.DeviceID
	// ID is 16 random bytes in base64url; a device's batch is applied once.
	ID string
	// Session is the browser's session, where it says so.
	Session string
	// At is when the batch came.
	At      time.Time
	Entries []Entry
	// Names are events that the site's configuration and pop-ups name. The site counts
	// them although it is full, and they never make room for others.
	Names []string
	// Conversions are the site's.
	Conversions []Conversion
	// Rejected is how many logins were refused before.
	Rejected int64
	// Malformed is how many entries could not be read.
	Malformed int64
	// Trusted says that the site vouches for its logins: they are signed, or the
	// proxy's own.
	Trusted bool
	// Limits are the site's; zero for the defaults.
	Limits Limits
}

func (b *Batch) line() pushsvc.DeviceID {
	if b.Line.IsZero() {
		return b.Device
	}
	return b.Line
}

// Limits bound a site; zeros are MaxAnonymous, MaxKnown and MaxSiteEvents.
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

// MayMove reports whether the entries may change who a device belongs to.
func MayMove(entries []Entry) bool {
	return slices.ContainsFunc(entries, func(e Entry) bool {
		return e.Kind == EntryLogin || e.Kind == EntryLogout || e.Kind == EntryOptOut
	})
}

// Tracked is what became of a batch.
type Tracked struct {
	// Repeated says that it had been applied before.
	Repeated bool
	// Refused says that nothing was kept: the device is new and the site has as
	// many anonymous profiles as it may.
	Refused bool
	// Forgotten says that the visitor has opted out.
	Forgotten bool
	// Work is what the batch cost beyond its own bytes: about how many bytes of
	// rows were read and written for it, and as many for its operations as take
	// the time.
	Work int
	// Replaced says that the device is Batch.Next now, and Batch.Device nobody's.
	Replaced bool
}
