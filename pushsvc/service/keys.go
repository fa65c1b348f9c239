package service

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// RingKey converts the key pair to its stored form.
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

// KeyID returns a public key's id: the first 8 bytes of its SHA-256, in
// base64url.
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

// PushService returns the owner of an endpoint's push service: "fcm", "mozilla",
// "apple", "wns" or "other". It is suitable for lists and metrics.
func PushService(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return string(webpush.ServiceOther)
	}
	return string(webpush.ServiceOf(u.Hostname()))
}

// ImportKey adds a VAPID key pair to the ring. If current is false, an existing
// current key stays current: new subscriptions of all sites use that. The halves
// are in any encoding that webpush.ReadKeyPair accepts.
func (s *Service) ImportKey(ctx context.Context, public string, private pushsvc.Secret, current bool) (pushsvc.Key, error) {
	if public == "" {
		return pushsvc.Key{}, &pushsvc.FieldError{Field: "publicKey", Problem: "is missing: it makes sure that the pair is the expected one"}
	}
	pair, err := webpush.ReadKeyPair(public, []byte(private.Reveal()))
	if err != nil {
		var key *webpush.KeyError
		if errors.As(err, &key) {
			return pushsvc.Key{}, &pushsvc.FieldError{Field: keyFields[key.Field], Problem: key.Problem}
		}
		return pushsvc.Key{}, &pushsvc.FieldError{Field: "privateKey", Problem: err.Error()}
	}
	key, err := RingKey(pair, s.Clock())
	if err != nil {
		return pushsvc.Key{}, fmt.Errorf("reading the key pair: %w", err)
	}
	return s.storeKey(ctx, key, current)
}

// keyFields maps package webpush's names to the fields of an import.
var keyFields = map[string]string{"public key": "publicKey", "private key": "privateKey"}

// RotateKey makes a new key pair and makes it current. Messages to existing
// subscriptions still use the old keys, until each browser has subscribed with
// the new one at its next visit.
func (s *Service) RotateKey(ctx context.Context) (pushsvc.Key, error) {
	key, err := NewKey(s.Clock())
	if err != nil {
		return pushsvc.Key{}, fmt.Errorf("making a key pair: %w", err)
	}
	return s.storeKey(ctx, key, true)
}

func (s *Service) storeKey(ctx context.Context, key pushsvc.Key, current bool) (pushsvc.Key, error) {
	row, err := s.Store.ImportKey(ctx, key, current)
	if err != nil {
		return pushsvc.Key{}, fmt.Errorf("storing the key pair: %w", err)
	}
	if err := s.live().changed(ctx, s.live().readKeys); err != nil {
		s.log().ErrorContext(ctx, "the key is stored, and could not be read again", "error", err)
	}
	if s.KeyChanged != nil && row.Current {
		s.KeyChanged(row)
	}
	return row, nil
}

// Keys lists the ring. With count it also returns the number of subscriptions by
// key id.
func (s *Service) Keys(ctx context.Context, count bool) (keys []pushsvc.Key, counts map[string]int64, err error) {
	if keys, err = s.Store.Keys(ctx); err != nil {
		return nil, nil, fmt.Errorf("listing keys: %w", err)
	}
	if count {
		counts, err = s.KeyCounts(ctx)
	}
	return keys, counts, err
}

// KeyCounts counts the subscriptions of all sites by the id of their key. It
// reads them all, which takes seconds for millions.
func (s *Service) KeyCounts(ctx context.Context) (map[string]int64, error) {
	sites, err := s.Store.Sites(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing sites: %w", err)
	}
	counts := make(map[string]int64)
	for _, site := range sites {
		err := s.each(ctx, site.Site, func(sub *pushsvc.Subscription) error {
			counts[sub.KeyID]++
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return counts, nil
}
