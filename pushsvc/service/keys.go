package service

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// RingKey is the key pair as the store keeps it.
func RingKey(pair *webpush.KeyPair, now time.Time) (pushsvc.Key, error) {
	private, err := pair.RevealPrivateKey()
	if err != nil {
		return pushsvc.Key{}, err
	}
	return pushsvc.Key{
		ID:      KeyID(pair.PublicKey()),
		Public:  pair.PublicKey(),
		Private: pushsvc.Secret(private),
		Created: now,
	}, nil
}

// KeyID names a public key: the first 8 bytes of its SHA-256, in base64url.
func KeyID(public string) string {
	raw, err := base64.RawURLEncoding.DecodeString(public)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:8])
}

// NewKey generates a key pair for the ring (RFC 8292 §2: ECDSA on P-256).
func NewKey(now time.Time) (pushsvc.Key, error) {
	pair, err := webpush.GenerateKeyPair()
	if err != nil {
		return pushsvc.Key{}, err
	}
	return RingKey(pair, now)
}

// PushService names whose push service an endpoint belongs to: "fcm",
// "mozilla", "apple", "wns" or "other". It is fit for lists and metrics.
func PushService(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return string(webpush.ServiceOther)
	}
	return string(webpush.ServiceOf(u.Hostname()))
}
