package pushsvc

import (
	"fmt"
	"log/slog"
	"time"
)

// Secret is text that must not be seen: every way of formatting it gives
// "[redacted]". Reveal gives the text.
type Secret string

// Reveal is the secret itself.
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

// Key is a VAPID key pair (RFC 8292) of the key ring.
type Key struct {
	// ID is the first 8 bytes of the SHA-256 of the raw public key, in
	// base64url.
	ID string `json:"id"`
	// Public is the uncompressed point in base64url without padding (87
	// characters), as PushManager.subscribe takes it.
	Public string `json:"public_key"`
	// Private is the scalar in base64url without padding (43 characters).
	Private Secret `json:"-"`
	// Created is when this store learned of the key.
	Created time.Time `json:"created"`
	// Current is true for the one key that new subscriptions are made with.
	Current bool `json:"current"`
}
