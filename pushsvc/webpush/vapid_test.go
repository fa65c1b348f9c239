package webpush

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// epoch is the start of test clocks.
func epoch() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// clock is a settable clock.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

// verifyVAPID checks an Authorization value like a push service (RFC 8292 §3, §4.2) and returns the claims
// and the key.
func verifyVAPID(header string) (claims map[string]any, public string, err error) {
	params, ok := strings.CutPrefix(header, "vapid ")
	if !ok {
		return nil, "", fmt.Errorf("scheme of %q", header)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(params, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	parts := strings.Split(fields["t"], ".")
	if len(parts) != 3 {
		return nil, "", fmt.Errorf("token of %d parts", len(parts))
	}
	decode := func(s string) []byte {
		b, decodeErr := decodeRaw(s)
		if decodeErr != nil {
			err = decodeErr
		}
		return b
	}
	head, body, signature, point := decode(parts[0]), decode(parts[1]), decode(parts[2]), decode(fields["k"])
	if err != nil {
		return nil, "", err
	}
	var typ struct{ Typ, Alg string }
	if err := json.Unmarshal(head, &typ); err != nil || typ.Alg != "ES256" || typ.Typ != "JWT" {
		return nil, "", fmt.Errorf("token header %s", head)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, "", err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(signature) != 64 ||
		!ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return nil, "", fmt.Errorf("signature does not verify")
	}
	return claims, fields["k"], json.Unmarshal(body, &claims)
}

// TestVerifyRFC8292 proves the verifier on the example of RFC 8292 §2.4.
func TestVerifyRFC8292(t *testing.T) {
	t.Parallel()
	const header = "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, " +
		"k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"
	got, _, err := verifyVAPID(header)
	if err != nil || got["aud"] != "https://push.example.net" || got["sub"] != "mailto:push@example.com" || got["exp"] != 1453523768.0 {
		t.Errorf("%v, %v", got, err)
	}
	if _, _, err := verifyVAPID(strings.Replace(header, "i3CY", "i3CZ", 1)); err == nil {
		t.Error("a changed signature verifies")
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	k := mustKeyPair(t)
	for contact, sub := range map[string]any{"": nil, "mailto:ops@example.com": "mailto:ops@example.com", "https://example.com/a?b&c": "https://example.com/a?b&c"} {
		header, err := sign(k, "https://fcm.googleapis.com", contact, epoch())
		if err != nil {
			t.Fatal(err)
		}
		got, public, err := verifyVAPID(header)
		if err != nil || public != k.PublicKey() {
			t.Fatalf("%s: %v", header, err)
		}
		if got["aud"] != "https://fcm.googleapis.com" || got["exp"] != float64(epoch().Unix()) || got["sub"] != sub {
			t.Errorf("claims %v", got)
		}
		if _, there := got["sub"]; there != (contact != "") {
			t.Errorf("contact %q: claims %v", contact, got)
		}
	}
	if _, err := sign(k, "https://fcm.googleapis.com", "ops@example.com", epoch()); err == nil {
		t.Error("signed for a contact that services refuse")
	}
}

func TestTokensCache(t *testing.T) {
	t.Parallel()
	c := &clock{at: epoch()}
	tk := newTokens(c.now)
	k, other := mustKeyPair(t), mustKeyPair(t)
	get := func(k *KeyPair, origin, contact string) string {
		t.Helper()
		header, err := tk.authorization(k, origin, contact)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := verifyVAPID(header)
		if err != nil {
			t.Fatal(err)
		}
		left := time.Unix(int64(got["exp"].(float64)), 0).Sub(c.now())
		if left <= 6*time.Hour-time.Second || left > 12*time.Hour+clockSlack {
			t.Fatalf("token with %s left", left)
		}
		return header
	}
	const a, b, sub = "https://a.push.apple.com", "https://b.push.apple.com", "mailto:ops@example.com"
	first := get(k, a, sub)
	distinct := map[string]bool{first: true, get(k, b, sub): true, get(other, a, sub): true, get(k, a, ""): true}
	if len(distinct) != 4 {
		t.Error("key pair, origin and contact do not all count")
	}
	for _, step := range []struct {
		name   string
		at     time.Duration
		renews bool
	}{
		{"at once", 0, false},
		{"just before half life", 6*time.Hour - time.Second, false},
		{"at half life", 6 * time.Hour, true},
		{"a little later", 6*time.Hour + time.Minute, false},
		{"clock set back a little", 6*time.Hour - 30*time.Second, false},
		{"clock set back a year", -8760 * time.Hour, true},
		{"clock set forward a year", 8760 * time.Hour, true},
	} {
		c.set(epoch().Add(step.at))
		next := get(k, a, sub)
		if (next != first) != step.renews {
			t.Errorf("%s: renewed %v", step.name, next != first)
		}
		first = next
	}
}

func TestTokensBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("signs thousands of tokens")
	}
	c := &clock{at: epoch()}
	tk, k := newTokens(c.now), mustKeyPair(t)
	for i := range maxTokens + 100 {
		if _, err := tk.authorization(k, fmt.Sprintf("https://h%d.notify.windows.com", i), ""); err != nil {
			t.Fatal(err)
		}
	}
	if len(tk.cache) != maxTokens {
		t.Errorf("%d tokens", len(tk.cache))
	}
	c.set(epoch().Add(7 * time.Hour))
	if _, err := tk.authorization(k, "https://new.notify.windows.com", ""); err != nil {
		t.Fatal(err)
	}
	if len(tk.cache) != 1 {
		t.Errorf("%d tokens after all went stale", len(tk.cache))
	}
}

func TestTokensConcurrent(t *testing.T) {
	t.Parallel()
	tk, k := newTokens(epoch), mustKeyPair(t)
	headers := make([]string, 64)
	var group sync.WaitGroup
	// Unlock lets all waiting readers in at once, so that all of them find the cache empty.
	tk.mu.Lock()
	for i := range headers {
		group.Go(func() {
			header, err := tk.authorization(k, "https://web.push.apple.com", "")
			if err != nil {
				t.Error(err)
			}
			headers[i] = header
		})
	}
	time.Sleep(50 * time.Millisecond)
	tk.mu.Unlock()
	group.Wait()
	if distinct := slices.Compact(headers); len(distinct) != 1 {
		t.Errorf("%d tokens for one origin", len(distinct))
	}
}
