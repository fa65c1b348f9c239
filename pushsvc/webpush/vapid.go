package webpush

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

const (
	// tokenLife is how long a token is valid. RFC 8292 §2 allows 24 hours; half of it tolerates a clock that
	// is wrong by hours in either direction.
	tokenLife = 12 * time.Hour
	// tokenRenewal is the age at which a new token is signed. Apple allows it once an hour.
	tokenRenewal = tokenLife / 2
	// clockSlack is how far a clock may be set back before a token is dropped: its expiry would be too far
	// ahead.
	clockSlack = time.Minute
	// maxTokens bounds the cache. Visitors choose the hosts below a wildcard of the allow-list, so the number
	// of origins is not trusted.
	maxTokens = 1024
)

// jwtHeader is {"typ":"JWT","alg":"ES256"} in base64url (RFC 8292 §2).
const jwtHeader = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9"

// tokens signs VAPID tokens and caches them: RFC 8292 §2 lets one token serve every endpoint of an origin,
// and only the key agreement of a message costs more than signing.
type tokens struct {
	now func() time.Time

	mu    sync.RWMutex
	cache map[tokenKey]token
}

type tokenKey struct{ public, origin, contact string }

type token struct {
	header string // the whole Authorization value
	signed time.Time
}

func newTokens(now func() time.Time) *tokens {
	return &tokens{now: now, cache: make(map[tokenKey]token)}
}

func (t token) usable(now time.Time) bool {
	age := now.Sub(t.signed)
	return age < tokenRenewal && age > -clockSlack
}

// authorization returns the Authorization header (RFC 8292 §3) for messages to origin, signed by k for
// contact.
func (t *tokens) authorization(k *KeyPair, origin, contact string) (string, error) {
	key := tokenKey{k.public, origin, contact}
	now := t.now()
	t.mu.RLock()
	cached, ok := t.cache[key]
	t.mu.RUnlock()
	if ok && cached.usable(now) {
		return cached.header, nil
	}

	// Sign under the lock: it is rare, and two callers must not both renew.
	t.mu.Lock()
	defer t.mu.Unlock()
	if cached, ok := t.cache[key]; ok && cached.usable(now) {
		return cached.header, nil
	}
	header, err := sign(k, origin, contact, now.Add(tokenLife))
	if err != nil {
		return "", err
	}
	if len(t.cache) >= maxTokens {
		t.evict(now)
	}
	t.cache[key] = token{header: header, signed: now}
	return header, nil
}

// evict drops the stale tokens or, if none is stale, any one.
func (t *tokens) evict(now time.Time) {
	for key, cached := range t.cache {
		if !cached.usable(now) {
			delete(t.cache, key)
		}
	}
	for key := range t.cache {
		if len(t.cache) < maxTokens {
			return
		}
		delete(t.cache, key)
	}
}

// claims are in the order of RFC 8292's example. exp is in Unix seconds.
type claims struct {
	Audience string `json:"aud"`
	Expiry   int64  `json:"exp"`
	Subject  string `json:"sub,omitempty"`
}

// sign returns an Authorization value with a new ES256 token (RFC 7515, RFC 7518 §3.4: the signature is r and
// s, 32 bytes each).
func sign(k *KeyPair, origin, contact string, expiry time.Time) (string, error) {
	if err := CheckContact(contact); err != nil {
		return "", err
	}
	body, err := json.Marshal(claims{Audience: origin, Expiry: expiry.Unix(), Subject: contact})
	if err != nil {
		return "", fmt.Errorf("encoding the VAPID claims: %w", err)
	}
	input := jwtHeader + "." + base64.RawURLEncoding.EncodeToString(body)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing the VAPID token: %w", err)
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return "vapid t=" + input + "." + base64.RawURLEncoding.EncodeToString(signature[:]) + ", k=" + k.public, nil
}
