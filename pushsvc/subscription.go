package pushsvc

import (
	"cmp"
	"crypto/subtle"
	"time"
)

// SubscriptionID names a subscription in its store. Ids rise with time and are never reused. Zero means no
// subscription.
type SubscriptionID uint64

// Lengths of a subscription's keys in bytes (RFC 8291 §3.1, §3.2).
const (
	P256DHSize = 65 // uncompressed point on P-256
	AuthSize   = 16
)

// Limits on what a subscription may carry, in bytes.
const (
	MaxEndpoint = 2048
	MaxLanguage = 35 // BCP 47 §4.4.1
	MaxTimeZone = 64
	MaxPage     = 2048
)

// Subscription is one browser's push subscription (Push API §8) with its origin. Endpoint, P256DH and Auth
// are secrets.
type Subscription struct {
	ID       SubscriptionID
	Site     string
	Endpoint string
	P256DH   [P256DHSize]byte
	Auth     [AuthSize]byte
	// KeyID is the VAPID key that the browser subscribed with.
	KeyID string
	// Expiration is the browser's expirationTime; may be zero.
	Expiration time.Time
	// Language is the browser's first language, a BCP 47 tag, or empty.
	Language string
	// TimeZone is an IANA name such as "Europe/Berlin", or empty.
	TimeZone string
	// Page is the path of the page on which the visitor agreed, or empty.
	Page string
	// Topics are ids of the site's topics that the visitor has chosen, as CleanTopics returns them. Nil means
	// that the visitor never had the choice, empty a choice of none; both get messages without topics.
	Topics []string
	// Device is the subscription's browser; zero if unknown or unwanted.
	Device DeviceID
	// Created and Seen are when the browser first and last sent us the subscription, in seconds.
	Created, Seen time.Time
	// Doubted is when a push service first reported the subscription gone, together with so many others that
	// it was not believed; zero if that has not happened since the browser was last seen. In seconds.
	Doubted time.Time
}

// Proof proves that its bearer holds a subscription: only the browser and we know the endpoint and the auth
// secret.
type Proof struct {
	Endpoint string
	Auth     [AuthSize]byte
}

// Proves reports whether the proof holds s. The time does not depend on the secret.
func (p Proof) Proves(s Subscription) bool {
	return s.ID != 0 && s.Endpoint == p.Endpoint && sameAuth(s.Auth, p.Auth)
}

func sameAuth(a, b [AuthSize]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

// Resubscribe returns the row that PutSubscription stores for sub. known is the site's row with sub's
// endpoint, proven the one that the caller's proof holds; each may be zero. If a known row can't be read, its
// ID is enough.
//
//   - A row with ID 0 is new: the store assigns the next id.
//   - replaced is the row that it replaces; zero if it replaces no row, and proven itself if only its keys change.
//   - ok is false if known stays as it is: its endpoint alone is no proof.
func Resubscribe(sub, known, proven Subscription) (row, replaced Subscription, ok bool) {
	sameKeys := known.Endpoint != "" && sameAuth(known.Auth, sub.Auth)
	switch {
	case known.Endpoint != "" && !sameKeys && proven.ID != known.ID:
		return known, Subscription{}, false
	case sameKeys && proven.ID == known.ID:
		proven = Subscription{} // a plain refresh
	}
	row = sub.kept()
	row.Doubted = time.Time{}
	row.ID = cmp.Or(known.ID, proven.ID)
	row.Device = cmp.Or(row.Device, known.Device, proven.Device)
	row.Topics = chosenTopics(row.Topics, known.Topics, proven.Topics)
	if sameKeys {
		row.Created = known.Created
	}
	if proven.ID != 0 && (!sameKeys || proven.Created.Before(row.Created)) {
		row.Created = proven.Created
	}
	return row, proven, true
}

// Merge counts an imported row, and returns the row to store; false if the site's own stays as it is. known
// and the ID are as in Resubscribe. Files have no devices.
func (n *Imported) Merge(imported, known Subscription) (row Subscription, ok bool) {
	row = imported.kept()
	row.ID, row.Device = known.ID, known.Device
	switch {
	case known.ID == 0:
		n.Added++
		return row, true
	case known.Endpoint == "": // it can't be read
		n.Known++
		return row, true
	case !sameAuth(known.Auth, row.Auth):
		n.Conflicting++
		return known, false
	}
	n.Known++
	if row.Seen.Before(known.Seen) {
		return known, false
	}
	row.Created = known.Created
	row.Topics = chosenTopics(row.Topics, known.Topics)
	if !row.Seen.After(known.Seen) {
		row.Doubted = known.Doubted
	}
	return row, true
}

// Doubt records that a push service reports the subscription gone and is not believed. It reports whether
// that changes the row: only the first time does.
func (s *Subscription) Doubt(at time.Time) bool {
	if !s.Doubted.IsZero() {
		return false
	}
	s.Doubted = kept(at, time.Second)
	return true
}

// kept returns the row with its times as stores keep them.
func (s Subscription) kept() Subscription {
	s.Created, s.Seen = kept(s.Created, time.Second), kept(s.Seen, time.Second)
	s.Expiration, s.Doubted = kept(s.Expiration, time.Millisecond), kept(s.Doubted, time.Second)
	return s
}

// kept returns a time as stores keep it: in UTC, with the given precision.
func kept(t time.Time, precision time.Duration) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(precision)
}

// chosenTopics copies the first choice that is not nil.
func chosenTopics(choices ...[]string) []string {
	for _, c := range choices {
		if c != nil {
			return append([]string{}, c...)
		}
	}
	return nil
}
