package webpush

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"

	peer "github.com/SherClockHolmes/webpush-go"
)

// The examples of RFC 8291 §5 and appendix A.
const (
	rfcReceiverPrivate = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
	rfcReceiverPublic  = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	rfcAuth            = "BTBZMqHH6r4Tts7J_aSIgg"
	rfcSenderPrivate   = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
	rfcSalt            = "DGv6ra1nlYgDCS1FRnbzlw"
	rfcPlain           = "When I grow up, I want to be a watermelon"
	rfcBody            = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)

func rfcRecord(t *testing.T) *record {
	t.Helper()
	receiver, err := ecdh.P256().NewPublicKey(unbase64(t, rfcReceiverPublic))
	if err != nil {
		t.Fatal(err)
	}
	sender, err := ecdh.P256().NewPrivateKey(unbase64(t, rfcSenderPrivate))
	if err != nil {
		t.Fatal(err)
	}
	return &record{
		receiver: receiver,
		auth:     [AuthSize]byte(unbase64(t, rfcAuth)),
		sender:   sender,
		salt:     [saltSize]byte(unbase64(t, rfcSalt)),
		padded:   len(rfcPlain),
	}
}

func TestSealRFC8291AppendixA(t *testing.T) {
	t.Parallel()
	r := rfcRecord(t)
	key, nonce, err := r.derive(r.sender.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := base64.RawURLEncoding.EncodeToString(key[:]); got != "oIhVW04MRdy2XN9CiKLxTg" {
		t.Errorf("content encryption key %s", got)
	}
	if got := base64.RawURLEncoding.EncodeToString(nonce[:]); got != "4h_95klXJ5E_qnoN" {
		t.Errorf("nonce %s", got)
	}
	body, err := rfcRecord(t).seal([]byte("before"), []byte(rfcPlain))
	if err != nil {
		t.Fatal(err)
	}
	if got := base64.RawURLEncoding.EncodeToString(body[len("before"):]); got != rfcBody {
		t.Errorf("body\n got %s\nwant %s", got, rfcBody)
	}
}

// TestSubscriberRFCVectors proves the decryptor that other tests rely on.
func TestSubscriberRFCVectors(t *testing.T) {
	t.Parallel()
	private, err := ecdh.P256().NewPrivateKey(unbase64(t, rfcReceiverPrivate))
	if err != nil {
		t.Fatal(err)
	}
	s := &subscriber{private: private, auth: [AuthSize]byte(unbase64(t, rfcAuth))}
	if plain, err := s.decrypt(unbase64(t, rfcBody)); err != nil || string(plain) != rfcPlain {
		t.Errorf("RFC 8291: %q, %v", plain, err)
	}
	for name, v := range map[string][2]string{
		"RFC 8188 3.1": {"yqdlZ-tYemfogSmv7Ws5PQ", "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg"},
		"RFC 8188 3.2": {"BO3ZVPxUlnLORbVGMpbT1Q", "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA"},
	} {
		plain, err := decodeAES128GCM(unbase64(t, v[0]), unbase64(t, v[1]))
		if err != nil || string(plain) != "I am the walrus" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

func TestSubscriberSharedVectors(t *testing.T) {
	t.Parallel()
	type row struct {
		Encoding, Desc, Body, Plaintext, RecvPrivKey, AuthSecret, IKM string
		Err                                                           json.RawMessage
	}
	seen := 0
	for _, v := range sharedRows[row](t, "webpush_vectors.jsonl") {
		if v.Encoding != "aes128gcm" {
			continue // the legacy coding is not supported
		}
		seen++
		var plain []byte
		var err error
		if v.IKM != "" {
			plain, err = decodeAES128GCM(unbase64(t, v.IKM), unbase64(t, v.Body))
		} else {
			private, keyErr := ecdh.P256().NewPrivateKey(unbase64(t, v.RecvPrivKey))
			if keyErr != nil {
				t.Fatal(keyErr)
			}
			s := &subscriber{private: private, auth: [AuthSize]byte(unbase64(t, v.AuthSecret))}
			plain, err = s.decrypt(unbase64(t, v.Body))
		}
		if wantErr := v.Err != nil; wantErr != (err != nil) || !wantErr && string(plain) != v.Plaintext {
			t.Errorf("%s: %q, %v", v.Desc, plain, err)
		}
	}
	if seen < 5 {
		t.Errorf("%d vectors only", seen)
	}
}

func TestSubscriberSharedHKDF(t *testing.T) {
	t.Parallel()
	for _, v := range sharedRows[struct{ Payload, Result, ID string }](t, "hkdf_prim.jsonl") {
		var p struct {
			IKM, Salt, Info, OKM string
			Size                 int
		}
		if err := json.Unmarshal([]byte(v.Payload), &p); err != nil {
			t.Fatal(err)
		}
		if v.Result != "valid" {
			continue // sizes that HKDF cannot return and that are not used here
		}
		bin := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
		if got := hex.EncodeToString(handHKDF(bin(p.IKM), bin(p.Salt), bin(p.Info), p.Size)); got != p.OKM {
			t.Errorf("%s: %s, want %s", v.ID, got, p.OKM)
		}
	}
}

// TestHMACShared checks our HKDF, as far as messages need it, with Wycheproof's vectors.
func TestHMACShared(t *testing.T) {
	t.Parallel()
	type vector struct {
		Result, ID, IKM, Salt, Info, OKM string
		Size                             int
	}
	seen := 0
	for _, row := range sharedRows[struct{ Payload, Result, ID string }](t, "hkdf_prim.jsonl") {
		var v vector
		if err := json.Unmarshal([]byte(row.Payload), &v); err != nil {
			t.Fatal(err)
		}
		bin := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
		ikm, salt, info := bin(v.IKM), bin(v.Salt), bin(v.Info)
		if row.Result != "valid" || len(salt) > sha256.BlockSize || len(ikm) > maxMAC || len(info)+1 > maxMAC {
			continue
		}
		seen++
		prk := hmacSHA256(salt, ikm)
		okm := hmacSHA256(prk[:], append(info, 1))
		n := min(v.Size, len(okm))
		if got := hex.EncodeToString(okm[:n]); got != v.OKM[:2*n] {
			t.Errorf("%s: %s, want %s", row.ID, got, v.OKM)
		}
	}
	if seen < 20 {
		t.Errorf("%d vectors only", seen)
	}
}

// TestHMAC compares ours with crypto/hmac for all possible lengths.
func TestHMAC(t *testing.T) {
	t.Parallel()
	data := make([]byte, maxMAC+sha256.BlockSize)
	_, _ = rand.Read(data)
	for key := range sha256.BlockSize + 1 {
		for text := range maxMAC + 1 {
			mac := hmac.New(sha256.New, data[:key])
			mac.Write(data[key : key+text])
			if got := hmacSHA256(data[:key], data[key:key+text]); !bytes.Equal(got[:], mac.Sum(nil)) {
				t.Fatalf("key of %d, text of %d bytes", key, text)
			}
		}
	}
}

// TestECDHShared: accepted keys agree as Wycheproof expects, also at the curve's edges.
func TestECDHShared(t *testing.T) {
	t.Parallel()
	type row struct{ Payload, Result, ID, Private, Shared string }
	seen := 0
	for _, r := range sharedRows[row](t, "p256dh.jsonl") {
		if r.Result != "valid" || r.Private == "" || r.Shared == "" {
			continue
		}
		point, _, err := ParseSubscriptionKeys(payloadText(t, r.Payload), base64.RawURLEncoding.EncodeToString(make([]byte, 16)))
		if err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		raw, err := hex.DecodeString(r.Private)
		if err != nil {
			t.Fatal(err)
		}
		scalar := make([]byte, 32)
		new(big.Int).SetBytes(raw).FillBytes(scalar)
		private, err := ecdh.P256().NewPrivateKey(scalar)
		if err != nil {
			t.Fatal(err)
		}
		public, err := ecdh.P256().NewPublicKey(point[:])
		if err != nil {
			t.Fatal(err)
		}
		shared, err := private.ECDH(public)
		if err != nil || hex.EncodeToString(shared) != r.Shared {
			t.Errorf("%s: %x, %v", r.ID, shared, err)
		}
		seen++
	}
	if seen < 50 {
		t.Errorf("%d vectors only", seen)
	}
}

func TestEncryptRoundTrip(t *testing.T) {
	t.Parallel()
	s := newSubscriber(t)
	for _, service := range []Service{ServiceFCM, ServiceMozilla, ServiceApple, ServiceWNS, ServiceOther} {
		for size := 0; size <= PayloadLimit(service); size += 1 + size/7 {
			checkRoundTrip(t, s, service, size)
		}
		checkRoundTrip(t, s, service, PayloadLimit(service))
	}
}

func checkRoundTrip(t *testing.T, s *subscriber, service Service, size int) {
	t.Helper()
	payload := make([]byte, size)
	_, _ = rand.Read(payload)
	before := bytes.Clone(payload)
	body, err := Encrypt(nil, payload, s.p256dh(), s.auth, service)
	if err != nil {
		t.Fatalf("%s, %d bytes: %v", service, size, err)
	}
	if plain, err := s.decrypt(body); err != nil || !bytes.Equal(plain, before) {
		t.Fatalf("%s, %d bytes: decrypted to %d bytes, %v", service, size, len(plain), err)
	}
	if !bytes.Equal(payload, before) {
		t.Fatalf("%s, %d bytes: payload changed", service, size)
	}
	if len(body) > 4096 || service == ServiceMozilla && len(body) > 2800+103 {
		t.Fatalf("%s, %d bytes: body of %d", service, size, len(body))
	}
}

func TestEncryptSizes(t *testing.T) {
	t.Parallel()
	s := newSubscriber(t)
	for _, tc := range []struct {
		service Service
		size    int
		padded  int // -1: refused
	}{
		{ServiceFCM, 0, 128},
		{ServiceFCM, 120, 128},
		{ServiceFCM, 128, 128},
		{ServiceFCM, 129, 256},
		{ServiceFCM, 2049, 2800},
		{ServiceFCM, 2801, 3993},
		{ServiceFCM, 3993, 3993},
		{ServiceFCM, 3994, -1},
		{ServiceMozilla, 120, 128},
		{ServiceMozilla, 2049, 2800},
		{ServiceMozilla, 2800, 2800},
		{ServiceMozilla, 2801, -1},
	} {
		body, err := Encrypt(nil, make([]byte, tc.size), s.p256dh(), s.auth, tc.service)
		var tooLarge *PayloadError
		switch {
		case tc.padded < 0:
			if !errors.As(err, &tooLarge) || tooLarge.Size != tc.size || tooLarge.Limit != PayloadLimit(tc.service) {
				t.Errorf("%s, %d bytes: %v", tc.service, tc.size, err)
			}
		case err != nil:
			t.Errorf("%s, %d bytes: %v", tc.service, tc.size, err)
		case len(body) != 86+tc.padded+17:
			t.Errorf("%s, %d bytes: body of %d, want padding to %d", tc.service, tc.size, len(body), tc.padded)
		}
	}
}

func TestEncryptAppends(t *testing.T) {
	t.Parallel()
	s := newSubscriber(t)
	// Earlier contents of a buffer must not become padding.
	buffer := bytes.Repeat([]byte{0xff}, 4096)[:3]
	copy(buffer, "abc")
	out, err := Encrypt(buffer, []byte("hello"), s.p256dh(), s.auth, ServiceFCM)
	if err != nil {
		t.Fatal(err)
	}
	if &out[0] != &buffer[0] || string(out[:3]) != "abc" {
		t.Error("did not use the room in the buffer")
	}
	if plain, err := s.decrypt(out[3:]); err != nil || string(plain) != "hello" {
		t.Errorf("%q, %v", plain, err)
	}
}

// TestEncryptFresh: neither ephemeral key nor salt ever repeats.
func TestEncryptFresh(t *testing.T) {
	t.Parallel()
	s := newSubscriber(t)
	salts, keys := map[string]bool{}, map[string]bool{}
	for range 200 {
		body, err := Encrypt(nil, []byte("same"), s.p256dh(), s.auth, ServiceFCM)
		if err != nil {
			t.Fatal(err)
		}
		salts[string(body[:16])] = true
		keys[string(body[21:86])] = true
	}
	if len(salts) != 200 || len(keys) != 200 {
		t.Errorf("%d salts and %d keys in 200 messages", len(salts), len(keys))
	}
}

func TestEncryptOffCurve(t *testing.T) {
	t.Parallel()
	var key *KeyError
	_, err := Encrypt(nil, nil, [P256DHSize]byte{4}, [AuthSize]byte{}, ServiceFCM)
	if !errors.As(err, &key) || key.Field != "p256dh" {
		t.Errorf("%v", err)
	}
}

// TestPeerBodiesDecrypt: webpush-go's bodies and ours decrypt alike.
func TestPeerBodiesDecrypt(t *testing.T) {
	t.Parallel()
	s := newSubscriber(t)
	private, public, err := peer.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseKeyPair(public, private); err != nil {
		t.Fatalf("webpush-go's key pair: %v", err)
	}
	for _, size := range []int{0, 1, 120, 3000} {
		payload := []byte(strings.Repeat("x", size))
		sink := &bodySink{}
		response, err := peer.SendNotification(payload, &peer.Subscription{
			Endpoint: "https://fcm.googleapis.com/fcm/send/token",
			Keys: peer.Keys{
				P256dh: base64.RawURLEncoding.EncodeToString(s.private.PublicKey().Bytes()),
				Auth:   base64.RawURLEncoding.EncodeToString(s.auth[:]),
			},
		}, &peer.Options{HTTPClient: sink, TTL: 60, VAPIDPublicKey: public, VAPIDPrivateKey: private})
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		theirs, err := s.decrypt(sink.body)
		if err != nil || !bytes.Equal(theirs, payload) {
			t.Errorf("webpush-go, %d bytes: %v", size, err)
		}
		body, err := Encrypt(nil, payload, s.p256dh(), s.auth, ServiceFCM)
		if err != nil {
			t.Fatal(err)
		}
		if ours, err := s.decrypt(body); err != nil || !bytes.Equal(ours, theirs) {
			t.Errorf("ours, %d bytes: %v", size, err)
		}
	}
}

// bodySink is an HTTP client for webpush-go that keeps the body.
type bodySink struct{ body []byte }

func (s *bodySink) Do(r *http.Request) (*http.Response, error) {
	var err error
	s.body, err = io.ReadAll(r.Body)
	return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody}, err
}
