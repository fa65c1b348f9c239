package webpush

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Sizes of key material in bytes.
const (
	// P256DHSize is an uncompressed P-256 point (RFC 8291 §3.1).
	P256DHSize = 65
	// AuthSize is a subscription's authentication secret (RFC 8291 §3.2).
	AuthSize = 16

	privateSize = 32
)

// KeyError names the wrong key and the problem. It never contains the key.
type KeyError struct {
	Field   string // "p256dh", "auth", "public key" or "private key"
	Problem string
}

// Error implements error.
func (e *KeyError) Error() string { return e.Field + " " + e.Problem }

// KeyPair is an application server's VAPID key pair (RFC 8292 §3.2) on P-256. Formatting and marshalling only
// show the public half; only RevealPrivateKey returns the other. Use the pointer from GenerateKeyPair or
// ParseKeyPair; it is safe for concurrent use.
type KeyPair struct {
	public string
	// A pointer, because fmt does not follow pointers inside structs: a KeyPair in an unexported field prints
	// as an address.
	private *ecdsa.PrivateKey
}

// GenerateKeyPair returns a new random key pair.
func GenerateKeyPair() (*KeyPair, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating a VAPID key pair: %w", err)
	}
	return newKeyPair(private)
}

func newKeyPair(private *ecdsa.PrivateKey) (*KeyPair, error) {
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encoding a VAPID public key: %w", err)
	}
	return &KeyPair{public: base64.RawURLEncoding.EncodeToString(point), private: private}, nil
}

// ParseKeyPair parses a key pair as web-push tools print it: the uncompressed public point (65 bytes) and the
// private scalar (32 bytes), both in base64url with or without padding. It fails with a *KeyError unless they
// belong together.
func ParseKeyPair(publicB64, privateB64 string) (*KeyPair, error) {
	public, err := decodeKey("public key", publicB64, P256DHSize)
	if err != nil {
		return nil, err
	}
	scalar, err := decodeKey("private key", privateB64, privateSize)
	if err != nil {
		return nil, err
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		return nil, &KeyError{"private key", "is not a P-256 private key"}
	}
	k, err := newKeyPair(private)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(k.public), []byte(base64.RawURLEncoding.EncodeToString(public))) != 1 {
		return nil, &KeyError{"public key", "does not belong to the private key"}
	}
	return k, nil
}

// PublicKey returns the applicationServerKey that browsers subscribe with (Push API §7.1): the uncompressed
// point in base64url without padding, 87 characters.
func (k *KeyPair) PublicKey() string { return k.public }

// RevealPrivateKey returns the private scalar in base64url without padding, 43 characters, for a store.
// Anyone who has it can message every subscriber of the key.
func (k *KeyPair) RevealPrivateKey() (string, error) {
	scalar, err := k.private.Bytes()
	if err != nil {
		return "", fmt.Errorf("encoding a VAPID private key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(scalar), nil
}

// String implements fmt.Stringer without the private key.
func (k KeyPair) String() string { return "VAPID key pair " + k.public + " [private key redacted]" }

// GoString implements fmt.GoStringer without the private key.
func (k KeyPair) GoString() string { return k.String() }

// Format implements fmt.Formatter without the private key, whatever the verb.
func (k KeyPair) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// MarshalText implements encoding.TextMarshaler without the private key.
func (k KeyPair) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue implements slog.LogValuer without the private key.
func (k KeyPair) LogValue() slog.Value { return slog.StringValue(k.String()) }

// ParseSubscriptionKeys parses the keys of a PushSubscription (Push API §8) as its toJSON returns them:
// p256dh, an uncompressed P-256 point of 65 bytes, and auth, 16 bytes, both base64url with or without
// padding. It checks that the point is on the curve, so that Encrypt can't fail on it later. The error is a
// *KeyError.
func ParseSubscriptionKeys(p256dh, auth string) ([P256DHSize]byte, [AuthSize]byte, error) {
	var (
		point  [P256DHSize]byte
		secret [AuthSize]byte
	)
	rawPoint, err := decodeKey("p256dh", p256dh, P256DHSize)
	if err != nil {
		return point, secret, err
	}
	if _, err := ecdh.P256().NewPublicKey(rawPoint); err != nil {
		return point, secret, &KeyError{"p256dh", "is not a point on P-256"}
	}
	rawSecret, err := decodeKey("auth", auth, AuthSize)
	if err != nil {
		return point, secret, err
	}
	return [P256DHSize]byte(rawPoint), [AuthSize]byte(rawSecret), nil
}

// decodeKey decodes exactly size bytes of base64url. Padding must be complete or absent. Line breaks, which
// encoding/base64 skips, and stray bits in the last character are refused, so that a key has only one text
// form.
func decodeKey(field, text string, size int) ([]byte, error) {
	if text == "" {
		return nil, &KeyError{field, "is missing"}
	}
	if len(text) > base64.URLEncoding.EncodedLen(size) {
		return nil, &KeyError{field, fmt.Sprintf("is longer than %d bytes", size)}
	}
	encoding := base64.RawURLEncoding
	if strings.HasSuffix(text, "=") {
		encoding = base64.URLEncoding
	}
	raw, err := encoding.Strict().DecodeString(text)
	var corrupt base64.CorruptInputError
	switch {
	case strings.ContainsAny(text, "+/"):
		return nil, &KeyError{field, "is base64 but must be base64url (- and _ for + and /)"}
	case strings.ContainsAny(text, "\r\n"), errors.As(err, &corrupt):
		return nil, &KeyError{field, "is not base64url"}
	case err != nil:
		return nil, &KeyError{field, "cannot be decoded"}
	case len(raw) != size:
		return nil, &KeyError{field, fmt.Sprintf("is %d bytes, not %d", len(raw), size)}
	}
	return raw, nil
}
