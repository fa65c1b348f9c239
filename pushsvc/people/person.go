package people

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Bounds of what is kept of one person. The excess drops what is oldest, or what was to be added if nothing
// is older.
const (
	MaxIdentities     = 10
	MaxIdentity       = 256 // bytes
	MaxDevices        = 20
	MaxDeviceBatches  = 64
	MaxAttributes     = 256
	MaxAttributesSize = 32 << 10 // bytes of JSON
	MaxPersonEvents   = 200      // names with a count of their own
	// MaxPersonEventNames is in bytes: names come from browsers and are written with each batch.
	MaxPersonEventNames = 32 << 10
	MaxPersonPopups     = 200
	MaxShown            = 100
	MaxHistory          = 200      // events
	MaxHistorySize      = 64 << 10 // bytes of JSON
)

// shownFor is how long a view of a pop-up is remembered: caps by day look no further back. It is extended to
// the time within which a conversion of the pop-up counts.
const shownFor = 8 * 24 * time.Hour

// IdentityKind is what kind of name an identity is.
type IdentityKind string

// The kinds, as CleverTap has them.
const (
	IdentityID     IdentityKind = "identity" // the site's own id of a person
	IdentityEmail  IdentityKind = "email"
	IdentityGoogle IdentityKind = "gpid"
	IdentityFB     IdentityKind = "fbid"
)

// Known reports whether k is one of the kinds.
func (k IdentityKind) Known() bool {
	return slices.Contains([]IdentityKind{IdentityID, IdentityEmail, IdentityGoogle, IdentityFB}, k)
}

// Identity is a name by which a person is known on all devices.
type Identity struct {
	Kind  IdentityKind `json:"kind"`
	Value string       `json:"value"`
}

// Clean returns the identity as it is stored; false for an unknown kind, and for a value that is empty,
// longer than MaxIdentity or not valid text.
func (i Identity) Clean() (Identity, bool) {
	i.Value = strings.TrimSpace(i.Value)
	if i.Kind == IdentityEmail {
		i.Value = strings.ToLower(i.Value)
	}
	ok := i.Kind.Known() && i.Value != "" && len(i.Value) <= MaxIdentity && utf8.ValidString(i.Value) && !strings.ContainsRune(i.Value, 0)
	return i, ok
}

// SignIdentity returns the signature that identity_secret requires: HMAC-SHA256 of kind, colon and value, in
// hexadecimal.
func SignIdentity(secret pushsvc.Secret, i Identity) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(string(i.Kind) + ":" + i.Value))
	return hex.EncodeToString(mac.Sum(nil))
}

// CheckIdentity reports whether the signature is that of the identity, as given or as stored.
func CheckIdentity(secret pushsvc.Secret, i Identity, signature string) bool {
	clean, _ := i.Clean()
	given := []byte(strings.ToLower(signature))
	// Both are always computed: the time must not reveal which one matches.
	a, b := hmac.Equal(given, []byte(SignIdentity(secret, i))), hmac.Equal(given, []byte(SignIdentity(secret, clean)))
	return a || b
}

// Profile is one person on one site, known by identities or only by a browser. Its content comes from the
// person's browsers unless stated otherwise. Times are in milliseconds.
type Profile struct {
	// ID is a UUIDv7.
	ID string `json:"id"`
	// Group is the key by which variants of pop-ups are chosen: the Line of the profile's first browser,
	// since the choice was made before the profile existed.
	Group      pushsvc.DeviceID `json:"group,omitzero"`
	Created    time.Time        `json:"created"`
	Seen       time.Time        `json:"seen"`
	Identities []Identity       `json:"identities,omitempty"`
	// Proven means that each of the identities is signed, or comes from the proxy. Only such logins add
	// devices to the profile.
	Proven bool `json:"proven,omitempty"`
	// Claims are identities that a browser of the profile named but can't have: they are another profile's,
	// or exceed the maximum. Only erasure finds profiles by claims.
	Claims []Identity `json:"claims,omitempty"`
	// Shared means that several browsers reported the profile without proving to be the same person's.
	Shared        bool                  `json:"shared,omitempty"`
	Aliases       []string              `json:"aliases,omitempty"`
	Attributes    map[string]any        `json:"attributes,omitempty"`
	Devices       []Device              `json:"devices,omitempty"`
	Events        map[string]EventCount `json:"events,omitempty"`
	Popups        map[string]PopupCount `json:"popups,omitempty"`
	Shown         []Shown               `json:"shown,omitempty"`
	Visits        int64                 `json:"visits,omitempty"`
	LastVisit     time.Time             `json:"lastVisit,omitzero"`
	PreviousVisit time.Time             `json:"previousVisit,omitzero"`
	// FirstSource and LastSource are where visits came from.
	FirstSource *Visit       `json:"firstSource,omitempty"`
	LastSource  *Visit       `json:"lastSource,omitempty"`
	History     []HistoryRef `json:"history,omitempty"`
}

// Device is one browser of a person's.
type Device struct {
	ID      pushsvc.DeviceID `json:"id"`
	Created time.Time        `json:"created"`
	Seen    time.Time        `json:"seen"`
	// Batches has 8 bytes of a digest of each of the last MaxDeviceBatches batch ids, the oldest first.
	Batches []byte `json:"batches,omitempty"`
	// Own is what the device itself has reported of a Shared profile.
	Own *Own `json:"own,omitempty"`
	// Reports is the time up to which the device's reports on pop-ups are used up; see mayReport.
	Reports time.Time `json:"reports,omitzero"`
}

// EventCount is how often and when something happened.
type EventCount struct {
	Count int64     `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Add returns the sum of both counts.
func (c EventCount) Add(o EventCount) EventCount {
	switch {
	case o.Count == 0:
		return c
	case c.Count == 0:
		return o
	}
	c.Count += o.Count
	if o.First.Before(c.First) {
		c.First = o.First
	}
	if o.Last.After(c.Last) {
		c.Last = o.Last
	}
	return c
}

// PopupCount counts what a person did with one pop-up.
type PopupCount struct {
	Viewed  int64     `json:"viewed,omitempty"`
	Clicked int64     `json:"clicked,omitempty"`
	Closed  int64     `json:"closed,omitempty"`
	Kept    int64     `json:"kept,omitempty"` // times that it was held back by its control group
	Last    time.Time `json:"last,omitzero"`  // the last time it was seen or held back
}

// Shown is one time that a pop-up was seen, or held back by its control group.
type Shown struct {
	Popup   string    `json:"popup"`
	Variant string    `json:"variant,omitempty"`
	At      time.Time `json:"at"`
	// Session is the SessionMark of the browser's session.
	Session   string `json:"session,omitempty"`
	Control   bool   `json:"control,omitempty"`
	Converted bool   `json:"converted,omitempty"`
	// Clicked is when it was last clicked or answered.
	Clicked time.Time `json:"clicked,omitzero"`
	// Unseen is true for a click without a view: browsers report a view after a second, and people may be
	// faster.
	Unseen bool `json:"unseen,omitempty"`
}

// Viewed reports whether the visitor saw it.
func (s *Shown) Viewed() bool { return !s.Control && !s.Unseen }

// last returns the time of the last act on it.
func (s *Shown) last() time.Time {
	if s.Clicked.After(s.At) {
		return s.Clicked
	}
	return s.At
}

// backAfter is the time after which a visitor has come back: longer than one visit.
const backAfter = 30 * time.Minute

// CameBack reports whether a visitor, or a subscription, has been seen after the first visit. Made-up ones
// rarely are.
func CameBack(created, seen time.Time) bool { return seen.Sub(created) >= backAfter }

// HistoryRef refers to a row of a profile's history.
type HistoryRef struct {
	Seq  uint64 `json:"seq"`
	N    int    `json:"n"`
	Size int    `json:"size"`
}

// EventRecord is one event of a person's history.
type EventRecord struct {
	Name  string         `json:"name"`
	Time  time.Time      `json:"time"`
	Props map[string]any `json:"props,omitempty"`
}

// Known reports whether the person has an identity.
func (p *Profile) Known() bool { return len(p.Identities) > 0 }

// KeptSince returns how often the pop-up was held back by its control group since from.
func (p *Profile) KeptSince(popup string, from time.Time) (n int) {
	for _, s := range p.Shown {
		if s.Control && s.Popup == popup && !s.At.Before(from) {
			n++
		}
	}
	return n
}

// KeptIn returns how often it was held back in the session.
func (p *Profile) KeptIn(session, popup string) (n int) {
	mark := pushsvc.SessionMark(session)
	for _, s := range p.Shown {
		if s.Control && s.Popup == popup && mark != "" && s.Session == mark {
			n++
		}
	}
	return n
}

// ViewsSince returns how often the pop-up, or any if it is empty, was seen since from. It looks back at most
// 8 days and MaxShown views.
func (p *Profile) ViewsSince(popup string, from time.Time) (n int) {
	for _, s := range p.Shown {
		if s.Viewed() && (popup == "" || s.Popup == popup) && !s.At.Before(from) {
			n++
		}
	}
	return n
}

// ViewsIn returns how often the pop-up, or any if it is empty, was seen in the session.
func (p *Profile) ViewsIn(session, popup string) (n int) {
	mark := pushsvc.SessionMark(session)
	for _, s := range p.Shown {
		if s.Viewed() && mark != "" && s.Session == mark && (popup == "" || s.Popup == popup) {
			n++
		}
	}
	return n
}

// device returns the index of a device, negative if the person does not have it.
func (p *Profile) device(id pushsvc.DeviceID) int {
	return slices.IndexFunc(p.Devices, func(d Device) bool { return d.ID == id })
}

// DeviceIDs returns the ids of the person's devices.
func (p *Profile) DeviceIDs() (ids []pushsvc.DeviceID) {
	for _, d := range p.Devices {
		ids = append(ids, d.ID)
	}
	return ids
}

// takeDevice removes a device and returns it.
func (p *Profile) takeDevice(id pushsvc.DeviceID) (Device, bool) {
	i := p.device(id)
	if i < 0 {
		return Device{}, false
	}
	d := p.Devices[i]
	p.Devices = slices.Delete(slices.Clone(p.Devices), i, i+1)
	return d, true
}

// hasApplied reports whether the batch has been applied.
func (d *Device) hasApplied(batch string) bool {
	mark := batchMark(batch)
	for b := range slices.Chunk(d.Batches, len(mark)) {
		if string(b) == string(mark[:]) {
			return true
		}
	}
	return false
}

// remember adds the batch's id and drops the oldest ones.
func (d *Device) remember(batch string) {
	if batch == "" {
		return
	}
	mark := batchMark(batch)
	d.Batches = append(slices.Clone(d.Batches), mark[:]...)
	d.Batches = d.Batches[max(len(d.Batches)-len(mark)*MaxDeviceBatches, 0):]
}

func batchMark(batch string) (mark [8]byte) {
	sum := sha256.Sum256([]byte(batch))
	copy(mark[:], sum[:])
	return mark
}

// absorb merges another profile into p. p's attributes win over o's; counts are added.
func (p *Profile) absorb(o *Profile) {
	if o.Created.Before(p.Created) {
		p.Created = o.Created
	}
	p.Aliases = appendNew(p.Aliases, o.Aliases, MaxIdentities)
	if len(o.Attributes) > 0 {
		all := maps.Clone(o.Attributes)
		maps.Copy(all, p.Attributes)
		p.Attributes = all
	}
	for name, c := range o.Events {
		p.count(name, c)
	}
	for id, c := range o.Popups {
		have := p.Popups[id]
		have.Viewed, have.Clicked, have.Closed, have.Kept = have.Viewed+c.Viewed, have.Clicked+c.Clicked, have.Closed+c.Closed, have.Kept+c.Kept
		if c.Last.After(have.Last) {
			have.Last = c.Last
		}
		setIn(&p.Popups, id, have)
	}
	p.Shown = append(slices.Clone(p.Shown), o.Shown...)
	slices.SortStableFunc(p.Shown, func(a, b Shown) int { return a.At.Compare(b.At) })
	p.Visits += o.Visits
	if o.LastVisit.After(p.LastVisit) {
		p.PreviousVisit, p.LastVisit = p.LastVisit, o.LastVisit
	}
	if p.FirstSource == nil {
		p.FirstSource = o.FirstSource
	}
	if o.LastSource != nil {
		p.LastSource = o.LastSource
	}
	p.History = append(slices.Clone(p.History), o.History...)
	slices.SortFunc(p.History, func(a, b HistoryRef) int { return int(int64(a.Seq - b.Seq)) })
}

// count adds to an event's count.
func (p *Profile) count(name string, c EventCount) { setIn(&p.Events, name, p.Events[name].Add(c)) }

func setIn[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}

// appendNew adds what is missing, and drops the oldest beyond most.
func appendNew[T comparable](have, add []T, most int) []T {
	out := slices.Clone(have)
	for _, v := range add {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out[max(len(out)-most, 0):]
}

// NewProfileID returns a UUIDv7 (RFC 9562 §5.7): ids rise with time.
func NewProfileID(now time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[6:]) // never fails (crypto/rand, Go 1.24)
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6], b[8] = b[6]&0x0f|0x70, b[8]&0x3f|0x80
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
