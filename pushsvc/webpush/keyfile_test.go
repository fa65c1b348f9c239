package webpush_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// keyFiles returns one private key in all common forms.
func keyFiles(t testing.TB, key *ecdsa.PrivateKey) map[string][]byte {
	t.Helper()
	scalar, err1 := key.Bytes()
	point, err2 := key.PublicKey.Bytes()
	sec1, err3 := x509.MarshalECPrivateKey(key)
	pkcs8, err4 := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	url := base64.RawURLEncoding.EncodeToString
	params := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
	ec := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}))
	files := map[string]string{
		"base64url":         url(scalar),
		"padded":            base64.URLEncoding.EncodeToString(scalar) + "\n",
		"base64":            base64.StdEncoding.EncodeToString(scalar),
		"hex":               hex.EncodeToString(scalar),
		"quotes":            `"` + url(scalar) + `"`,
		"single quotes":     "'" + url(scalar) + "'\r\n",
		"byte order mark":   "\ufeff" + url(scalar) + "\n",
		"mark and quotes":   "\ufeff\"" + url(scalar) + "\"",
		"33 bytes":          url(append([]byte{0}, scalar...)),
		"SEC 1, PEM":        ec,
		"openssl":           params + ec,
		"PKCS #8, PEM":      string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		"PEM, mark, CRLF":   "\ufeff" + strings.ReplaceAll(ec, "\n", "\r\n"),
		"SEC 1, DER":        string(sec1),
		"PKCS #8, DER":      string(pkcs8),
		"DER in base64url":  url(sec1),
		"DER in base64":     base64.StdEncoding.EncodeToString(pkcs8),
		"web-push --json":   fmt.Sprintf(`{"publicKey":%q,"privateKey":%q}`, url(point), url(scalar)),
		"web-push, printed": fmt.Sprintf("\n=======================================\n\nPublic Key:\n%s\n\nPrivate Key:\n%s\n\n=======================================\n", url(point), url(scalar)),
		".env":              fmt.Sprintf("VAPID_PUBLIC_KEY=%s\nVAPID_PRIVATE_KEY=\"%s\"\n", url(point), url(scalar)),
		"private_key":       fmt.Sprintf(`{"subject":"mailto:a@b.example","public_key":%q,"private_key":%q,"created":1}`, url(point), url(scalar)),
		"nested":            fmt.Sprintf(`{"vapid":{"publicKey":%q,"privateKey":%q}}`, url(point), url(scalar)),
		"PEM in JSON":       fmt.Sprintf(`{"private_key":%s}`, quoted(t, ec)),
		"JWK":               fmt.Sprintf(`{"kty":"EC","crv":"P-256","d":%q,"x":%q,"y":%q}`, url(scalar), url(point[1:33]), url(point[33:])),
	}
	if scalar[0] == 0 {
		files["31 bytes"] = url(scalar[1:])
		files["31 bytes, JWK"] = fmt.Sprintf(`{"kty":"EC","crv":"P-256","d":%q}`, url(scalar[1:]))
	}
	out := make(map[string][]byte, len(files))
	for name, text := range files {
		out[name] = []byte(text)
	}
	return out
}

func quoted(t testing.TB, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// keyWithZero returns a key whose scalar begins with a zero byte.
func keyWithZero(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	scalar := bytes.Repeat([]byte{7}, 32)
	scalar[0] = 0
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestReadKeyPair: every encoding returns the same pair, with each form of the public key or without it.
func TestReadKeyPair(t *testing.T) {
	random, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []*ecdsa.PrivateKey{random, keyWithZero(t)} {
		point, err1 := key.PublicKey.Bytes()
		spki, err2 := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		want := base64.RawURLEncoding.EncodeToString(point)
		publics := []string{
			"", want, want + "=", `"` + want + `"`, "\ufeff" + want + "\n", base64.StdEncoding.EncodeToString(point), hex.EncodeToString(point),
			string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})), base64.StdEncoding.EncodeToString(spki),
		}
		files := keyFiles(t, key)
		if _, ok := files["31 bytes"]; !ok && key != random {
			t.Fatal("no key of 31 bytes is tried")
		}
		for name, file := range files {
			for i, public := range publics {
				pair, err := webpush.ReadKeyPair(public, file)
				if err != nil || pair.PublicKey() != want {
					t.Errorf("%s with public key %d: %v", name, i, err)
				}
			}
		}
	}
}

// TestReadKeyPairRefuses: errors name the wrong part, and show nothing of a key.
func TestReadKeyPairRefuses(t *testing.T) {
	key := keyWithZero(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384DER, err := x509.MarshalPKCS8PrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	url := base64.RawURLEncoding.EncodeToString
	point, err := ecdh.P256().NewPublicKey(foreign)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, public, private, field, says string }{
		{"nothing", "", "", "private key", "empty"},
		{"quotes alone", "", `""`, "private key", "empty"},
		{"30 bytes", "", url(scalar[2:]), "private key", "30 bytes"},
		{"34 bytes", "", url(append([]byte{0, 0}, scalar...)), "private key", "34 bytes"},
		{"zero", "", url(make([]byte, 32)), "private key", "not a P-256"},
		{"words", "", "not a key at all!", "private key", "is not a key"},
		{"another curve", "", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p384DER})), "private key", "P-256"},
		{"another curve, JWK", "", `{"kty":"EC","crv":"P-384","d":"` + url(scalar) + `"}`, "private key", "P-256"},
		{"PEM cut off", "", "-----BEGIN PRIVATE KEY-----\nMIG", "private key", "cut off"},
		{"a certificate", "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "private key", "missing"},
		{"encrypted", "", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "private key", "encrypted"},
		{"JSON of something else", "", `{"name":"x","keys":{}}`, "private key", "member privateKey"},
		{"broken JSON", "", `{"privateKey":`, "private key", "not JSON"},
		{"deep JSON", "", strings.Repeat(`{"a":`, 50) + `{"privateKey":"` + url(scalar) + `"}` + strings.Repeat("}", 50), "private key", "member privateKey"},
		{"another's public key", url(point.Bytes()), url(scalar), "public key", "does not belong"},
		{"another's in the file", "", `{"publicKey":"` + url(foreign) + `","privateKey":"` + url(scalar) + `"}`, "public key", "does not belong"},
		{"no public key", "BNabc", url(scalar), "public key", "is not a P-256"},
	} {
		_, err := webpush.ReadKeyPair(tt.public, []byte(tt.private))
		var bad *webpush.KeyError
		if !errors.As(err, &bad) || bad.Field != tt.field || !strings.Contains(bad.Problem, tt.says) {
			t.Errorf("%s: %v; want %s … %s", tt.name, err, tt.field, tt.says)
		}
		if err != nil && len(tt.private) > 20 && strings.Contains(err.Error(), url(scalar)[:12]) {
			t.Errorf("%s: the error shows the key", tt.name)
		}
	}
}

// FuzzReadKeyPair: no input panics, and an accepted pair can be read again from what it reveals.
func FuzzReadKeyPair(f *testing.F) {
	for _, file := range keyFiles(f, keyWithZero(f)) {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		pair, err := webpush.ReadKeyPair("", file)
		if err != nil {
			var bad *webpush.KeyError
			if !errors.As(err, &bad) {
				t.Errorf("%T %v", err, err)
			}
			return
		}
		private, err := pair.RevealPrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := webpush.ReadKeyPair(pair.PublicKey(), []byte(private)); err != nil || again.PublicKey() != pair.PublicKey() {
			t.Errorf("read again: %v", err)
		}
	})
}
