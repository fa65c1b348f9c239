package webpush

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
)

func mustKeyPair(t testing.TB) *KeyPair {
	t.Helper()
	k, err := GenerateKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustReveal(t testing.TB, k *KeyPair) string {
	t.Helper()
	s, err := k.RevealPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseKeyPair(t *testing.T) {
	t.Parallel()
	k, other := mustKeyPair(t), mustKeyPair(t)
	public, private := k.PublicKey(), mustReveal(t, k)
	if len(public) != 87 || len(private) != 43 {
		t.Fatalf("lengths %d and %d", len(public), len(private))
	}
	b64 := base64.RawURLEncoding
	for _, tc := range []struct {
		name, public, private, field string
	}{
		{"as generated", public, private, ""},
		{"padded", public + "=", private + "=", ""},
		{"another's public key", other.PublicKey(), private, "public key"},
		{"another's private key", public, mustReveal(t, other), "public key"},
		{"swapped", private, public, "public key"},
		{"no public key", "", private, "public key"},
		{"no private key", public, "", "private key"},
		{"zero", public, b64.EncodeToString(make([]byte, 32)), "private key"},
		{"over the order", public, b64.EncodeToString(bytes.Repeat([]byte{0xff}, 32)), "private key"},
		{"short", public, private[:42], "private key"},
		{"line break", public, private[:20] + "\n" + private[20:], "private key"},
		{"double padding", public, private + "==", "private key"},
		{"space", public, " " + private[1:], "private key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseKeyPair(tc.public, tc.private)
			if tc.field == "" {
				if err != nil || got.PublicKey() != public || mustReveal(t, got) != private {
					t.Fatalf("%v, %v", got, err)
				}
				return
			}
			var key *KeyError
			if !errors.As(err, &key) || key.Field != tc.field {
				t.Fatalf("error %v, want one on %s", err, tc.field)
			}
			for _, secret := range []string{tc.public, tc.private} {
				if len(secret) > 8 && strings.Contains(err.Error(), secret[:8]) {
					t.Errorf("error repeats the key: %v", err)
				}
			}
		})
	}
}

func TestKeyPairRedacts(t *testing.T) {
	t.Parallel()
	k := mustKeyPair(t)
	secret := mustReveal(t, k)
	scalar := unbase64(t, secret)
	type holder struct {
		Open   *KeyPair
		hidden *KeyPair
		value  KeyPair
	}
	h := holder{k, k, *k}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{k, *k, h, &h, []*KeyPair{k}, map[string]any{"k": k}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, v := range []any{k, h} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "k", k, "v", *k, "h", h)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "k", k, "h", h)
	for _, form := range []string{
		secret, base64.StdEncoding.EncodeToString(scalar), fmt.Sprintf("%x", scalar), fmt.Sprintf("%X", scalar),
		strings.Trim(fmt.Sprint(scalar), "[]"), new(big.Int).SetBytes(scalar).String(), string(scalar), fmt.Sprintf("%x", secret),
	} {
		if strings.Contains(out.String(), form) {
			t.Errorf("output contains the private key as %q", form)
		}
	}
	if !strings.Contains(out.String(), k.PublicKey()) {
		t.Error("output lacks the public key")
	}
}

func TestParseSubscriptionKeys(t *testing.T) {
	t.Parallel()
	s := newSubscriber(t)
	point := s.private.PublicKey().Bytes()
	b64 := base64.RawURLEncoding
	p256dh, auth := b64.EncodeToString(point), b64.EncodeToString(s.auth[:])
	off := bytes.Clone(point)
	off[64] ^= 1
	compressed := append([]byte{2 + point[64]&1}, point[1:33]...)
	hybrid := append([]byte{6 + point[64]&1}, point[1:]...)
	for _, tc := range []struct {
		name, p256dh, auth, field string
	}{
		{"plain", p256dh, auth, ""},
		{"padded", p256dh + "=", auth + "==", ""},
		{"half padded", p256dh, auth + "=", "auth"},
		{"missing point", "", auth, "p256dh"},
		{"missing secret", p256dh, "", "auth"},
		{"off curve", b64.EncodeToString(off), auth, "p256dh"},
		{"compressed", b64.EncodeToString(compressed), auth, "p256dh"},
		{"hybrid", b64.EncodeToString(hybrid), auth, "p256dh"},
		{"infinity", b64.EncodeToString(make([]byte, 65)), auth, "p256dh"},
		{"long point", p256dh + "AA", auth, "p256dh"},
		{"huge", strings.Repeat("A", 1<<20), auth, "p256dh"},
		{"long secret", p256dh, b64.EncodeToString(make([]byte, 17)), "auth"},
		{"short secret", p256dh, b64.EncodeToString(make([]byte, 15)), "auth"},
		{"stray bits", p256dh, auth[:21] + "_", "auth"},
		{"standard alphabet", p256dh, "++++++++++++++++++++AA", "auth"},
		{"line break", p256dh, auth[:10] + "\r\n" + auth[10:], "auth"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			gotPoint, gotAuth, err := ParseSubscriptionKeys(tc.p256dh, tc.auth)
			if tc.field == "" {
				if err != nil || gotPoint != s.p256dh() || gotAuth != s.auth {
					t.Fatalf("%v", err)
				}
				return
			}
			var key *KeyError
			if !errors.As(err, &key) || key.Field != tc.field {
				t.Errorf("error %v, want one on %s", err, tc.field)
			}
		})
	}
}

func TestParseAuth(t *testing.T) {
	t.Parallel()
	want := newSubscriber(t).auth
	text := base64.RawURLEncoding.EncodeToString(want[:])
	for _, good := range []string{text, text + "=="} {
		if got, err := ParseAuth(good); err != nil || got != want {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", text + "=", text[:20], text + "AA", "++" + text[2:], text[:8] + "\n" + text[8:]} {
		var key *KeyError
		if _, err := ParseAuth(bad); !errors.As(err, &key) || key.Field != "auth" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestParseSubscriptionKeysShared(t *testing.T) {
	t.Parallel()
	auth := base64.RawURLEncoding.EncodeToString(make([]byte, 16))
	type row struct{ Payload, Result, ID string }
	valid, invalid := 0, 0
	for _, r := range sharedRows[row](t, "p256dh.jsonl") {
		_, _, err := ParseSubscriptionKeys(payloadText(t, r.Payload), auth)
		if want := r.Result == "valid"; want != (err == nil) {
			t.Errorf("%s (%s): %v", r.ID, r.Result, err)
		}
		if err == nil {
			valid++
		} else {
			invalid++
		}
	}
	for _, r := range sharedRows[row](t, "p256dh_der_garbage.jsonl") {
		if _, _, err := ParseSubscriptionKeys(payloadText(t, r.Payload), auth); err == nil {
			t.Errorf("%s accepted", r.ID)
		}
		invalid++
	}
	t.Logf("%d valid, %d invalid", valid, invalid)
}

func FuzzParseSubscriptionKeys(f *testing.F) {
	f.Add(rfcReceiverPublic, rfcAuth)
	f.Add(rfcReceiverPublic+"=", rfcAuth+"==")
	f.Add("", "\n")
	f.Fuzz(func(t *testing.T, p256dh, auth string) {
		point, secret, err := ParseSubscriptionKeys(p256dh, auth)
		if err != nil {
			var key *KeyError
			if !errors.As(err, &key) {
				t.Fatalf("error of type %T", err)
			}
			return
		}
		b64 := base64.RawURLEncoding
		if b64.EncodeToString(point[:]) != strings.TrimRight(p256dh, "=") || b64.EncodeToString(secret[:]) != strings.TrimRight(auth, "=") {
			t.Fatal("a second text form was accepted")
		}
		if _, err := Encrypt(nil, nil, point, secret, ServiceFCM); err != nil {
			t.Fatalf("accepted but cannot be encrypted for: %v", err)
		}
	})
}

func FuzzParseKeyPair(f *testing.F) {
	k := mustKeyPair(f)
	f.Add(k.PublicKey(), mustReveal(f, k))
	f.Add(rfcReceiverPublic, rfcReceiverPrivate)
	f.Add("", "=")
	f.Fuzz(func(t *testing.T, public, private string) {
		k, err := ParseKeyPair(public, private)
		if err != nil {
			return
		}
		if k.PublicKey() != strings.TrimRight(public, "=") || mustReveal(t, k) != strings.TrimRight(private, "=") {
			t.Fatal("a second text form was accepted")
		}
		if _, err := sign(k, "https://push.example.net", "", epoch()); err != nil {
			t.Fatal(err)
		}
	})
}
