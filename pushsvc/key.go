package pushsvc

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Secret is text that must not be shown: every way of formatting it prints "[redacted]". Reveal returns the
// text.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

const redacted = "[redacted]"

// String implements fmt.Stringer without the secret.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer without the secret.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter without the secret, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler without the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer without the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MaxRowID is the longest id of a message and of a key, and the longest key of an
// Idempotency, in bytes.
const MaxRowID = 255

// Key is a VAPID key pair (RFC 8292) of the key ring.
type Key struct {
	// ID is the first 8 bytes of the SHA-256 of the raw public key, in
	// base64url.
	ID string
	// Public is the uncompressed point in base64url without padding (87 characters), for
	// PushManager.subscribe.
	Public string
	// Private is the scalar in base64url without padding (43 characters).
	Private Secret
	// Created is when the store got the key.
	Created time.Time
	// Current is true for the one key that new subscriptions are made with.
	Current bool
}

// ErrRingEmpty means that the key ring has no current key, and that EnsureKey has to make one.
var ErrRingEmpty = errors.New("the key ring is empty")

// CurrentKey returns the key that EnsureKey returns: the current one of the ring's readable keys. Without
// one, it returns ErrRingEmpty, or ErrKeyLost if subscribed reports that a site has a subscription: a new key
// would not reach it.
func CurrentKey(ring []Key, subscribed func() bool) (Key, error) {
	if i := slices.IndexFunc(ring, func(key Key) bool { return key.Current }); i >= 0 {
		return ring[i], nil
	}
	if subscribed() {
		return Key{}, ErrKeyLost
	}
	return Key{}, ErrRingEmpty
}

// AddKey returns the row that ImportKey stores for a pair. known is the ring's key of the same ID, which
// keeps its date; zero if the ring has no readable one. haveCurrent reports whether the ring has a readable
// current key.
func AddKey(key, known Key, current, haveCurrent bool, now time.Time) (Key, error) {
	if err := key.check(); err != nil {
		return Key{}, err
	}
	if known.ID != "" {
		if known.Public != key.Public || known.Private != key.Private {
			return Key{}, errors.New("the ring has another key pair with this id")
		}
		key = known
	}
	if key.Created.IsZero() {
		key.Created = now
	}
	key.Created, key.Current = key.Created.UTC().Round(0), current || known.Current || !haveCurrent
	return key, nil
}

// check refuses what no store accepts.
func (key Key) check() error {
	if key.ID == "" || len(key.ID) > MaxRowID {
		return fmt.Errorf("the key's id has %d bytes, not 1 to %d", len(key.ID), MaxRowID)
	}
	return nil
}

// SortKeys puts the current key first, then the others from the oldest.
func SortKeys(keys []Key) {
	slices.SortStableFunc(keys, func(a, b Key) int {
		switch {
		case a.Current != b.Current && a.Current:
			return -1
		case a.Current != b.Current:
			return 1
		}
		return a.Created.Compare(b.Created)
	})
}
