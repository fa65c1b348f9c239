package pushservice

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var testNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const testAudience = "https://push.example.test"

// signer makes valid and invalid VAPID headers.
type signer struct {
	t   testing.TB
	key *ecdsa.PrivateKey
}

func newSigner(t testing.TB) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{t, key}
}

func (s signer) public() string {
	s.t.Helper()
	raw, err := s.key.PublicKey.Bytes()
	if err != nil {
		s.t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (s signer) token(head string, claims map[string]any) string {
	s.t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		s.t.Fatal(err)
	}
	signed := encode([]byte(head)) + "." + encode(payload)
	sum := sha256.Sum256([]byte(signed))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		s.t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return signed + "." + encode(signature)
}

const es256 = `{"typ":"JWT","alg":"ES256"}`

// header makes a valid header for testAudience, changed by with.
func (s signer) header(with map[string]any) string {
	s.t.Helper()
	claims := map[string]any{
		"aud": testAudience,
		"exp": testNow.Add(12 * time.Hour).Unix(),
		"sub": "mailto:ops@example.test",
	}
	for name, value := range with {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	return "vapid t=" + s.token(es256, claims) + ", k=" + s.public()
}

// cut removes 4 characters, 3 bytes, from the end.
func cut(token string) string { return token[:len(token)-4] }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func TestVerifyVAPID(t *testing.T) {
	s, other := newSigner(t), newSigner(t)
	good := s.header(nil)
	claims := map[string]any{"aud": testAudience, "exp": testNow.Add(time.Hour).Unix()}
	at := func(d time.Duration) map[string]any { return map[string]any{"exp": testNow.Add(d).Unix()} }
	tests := []struct {
		name   string
		header string
		want   string // part of the error, "" for a valid header
	}{
		{"right", good, ""},
		{"no space after comma", strings.Replace(good, ", ", ",", 1), ""},
		{"scheme in capitals", strings.Replace(good, "vapid", "VAPID", 1), ""},
		{"k before t", "vapid k=" + s.public() + ", t=" + s.token(es256, claims), ""},
		{"no sub", s.header(map[string]any{"sub": nil}), ""},
		{"https sub", s.header(map[string]any{"sub": "https://example.test/contact"}), ""},
		{"exp in exactly 24 h", s.header(at(24 * time.Hour)), ""},

		{"empty", "", "scheme"},
		{"bearer", "Bearer abc", "scheme"},
		{"old WebPush scheme", strings.Replace(good, "vapid", "WebPush", 1), "scheme"},
		{"no k", good[:strings.Index(good, ",")], "missing"},
		{"parameter without value", "vapid t", "malformed"},
		{"k of another sender", "vapid t=" + s.token(es256, claims) + ", k=" + other.public(), "does not verify"},
		{"k padded", good + "=", "base64url"},
		{"k too short", good[:len(good)-4], "P-256"},
		{"k off the curve", good[:len(good)-8] + "AAAAAAAA", "P-256"},
		{"two parts", strings.Replace(good, ".", "", 1), "parts"},
		{"alg none", "vapid t=" + s.token(`{"alg":"none"}`, claims) + ", k=" + s.public(), "ES256"},
		{"typ of something else", "vapid t=" + s.token(`{"alg":"ES256","typ":"at+jwt"}`, claims) + ", k=" + s.public(), "typ"},
		{"header no JSON", "vapid t=" + s.token(`{`, claims) + ", k=" + s.public(), "JWT header"},
		{"signature cut", "vapid t=" + cut(s.token(es256, claims)) + ", k=" + s.public(), "64"},
		{"aud of another service", s.header(map[string]any{"aud": "https://other.example.test"}), "aud"},
		{"aud with slash", s.header(map[string]any{"aud": testAudience + "/"}), "aud"},
		{"no aud", s.header(map[string]any{"aud": nil}), "aud"},
		{"exp now", s.header(at(0)), "exp"},
		{"exp past", s.header(at(-time.Second)), "exp"},
		{"exp beyond 24 h", s.header(at(24*time.Hour + time.Second)), "exp"},
		{"no exp", s.header(map[string]any{"exp": nil}), "exp"},
		{"exp in ms", s.header(map[string]any{"exp": testNow.Add(time.Hour).UnixMilli()}), "exp"},
		{"exp as text", s.header(map[string]any{"exp": "1"}), "claims"},
		{"bare sub", s.header(map[string]any{"sub": "ops@example.test"}), "sub"},
		{"empty sub", s.header(map[string]any{"sub": ""}), "sub"},
		{"sub mailto only", s.header(map[string]any{"sub": "mailto:"}), "sub"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v, err := VerifyVAPID(test.header, testAudience, testNow)
			switch {
			case test.want == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case test.want == "" && v.Key != s.public():
				t.Errorf("key is %q", v.Key)
			case test.want != "" && err == nil:
				t.Fatal("accepted")
			case test.want != "" && !strings.Contains(err.Error(), test.want):
				t.Errorf("refused for %q, want one about %q", err, test.want)
			}
		})
	}
}

func TestVerifyVAPIDResult(t *testing.T) {
	s := newSigner(t)
	header := s.header(nil)
	got, err := VerifyVAPID(header, testAudience, testNow)
	if err != nil {
		t.Fatal(err)
	}
	token, _, _ := strings.Cut(strings.TrimPrefix(header, "vapid t="), ",")
	want := VAPID{s.public(), testAudience, "mailto:ops@example.test", got.Expires, token}
	if got != want || !got.Expires.Equal(testNow.Add(12*time.Hour)) {
		t.Errorf("got %+v", got)
	}
}

// TestVerifyVAPIDAnyByte changes each byte of the token: every change must fail.
func TestVerifyVAPIDAnyByte(t *testing.T) {
	s := newSigner(t)
	header := []byte(s.header(nil))
	end := strings.IndexByte(string(header), ',')
	for i := len("vapid t="); i < end; i++ {
		changed := append([]byte(nil), header...)
		if changed[i] == 'A' {
			changed[i] = 'Q'
		} else {
			changed[i] = 'A'
		}
		// The last character of base64 has unused bits.
		if _, err := VerifyVAPID(string(changed), testAudience, testNow); err == nil && i != end-1 {
			t.Errorf("accepted with byte %d changed", i)
		}
	}
}

func FuzzVerifyVAPID(f *testing.F) {
	f.Add("vapid t=a.b.c, k=BA")
	f.Add(newSigner(f).header(nil))
	f.Fuzz(func(t *testing.T, header string) {
		v, err := VerifyVAPID(header, testAudience, testNow)
		if err == nil && (v.Audience != testAudience || !v.Expires.After(testNow)) {
			t.Errorf("accepted %+v", v)
		}
	})
}
