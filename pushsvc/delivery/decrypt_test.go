package delivery_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// payload is what the worker reads.
type payload struct {
	ID, Token    string
	Notification struct{ Title, Navigate, Body, Tag string }
}

// read decrypts a push with the subscriber's keys and opens its token.
func (s *subscriber) read(t testing.TB, p post, secret []byte) (payload, pushsvc.SubscriptionID) {
	t.Helper()
	plain, err := s.decrypt(p.body)
	if err != nil {
		t.Fatalf("%s cannot decrypt: %v", s.name, err)
	}
	var got payload
	if err := json.Unmarshal(plain, &got); err != nil {
		t.Fatalf("%s gets %q: %v", s.name, plain, err)
	}
	id, ok := pushsvc.OpenReceiptToken(secret, s.Site, got.ID, got.Token)
	if !ok {
		t.Errorf("%s gets a token that is not ours", s.name)
	}
	return got, id
}

// decrypt opens a message of one record by RFC 8291 §3.4.
func (s *subscriber) decrypt(body []byte) ([]byte, error) {
	if len(body) < 21+65 || body[20] != 65 {
		return nil, errors.New("no header with a public key")
	}
	salt, sender, record := body[:16], body[21:86], body[86:]
	point, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return nil, err
	}
	shared, err := s.private.ECDH(point)
	if err != nil {
		return nil, err
	}
	info := bytes.Join([][]byte{[]byte("WebPush: info\x00"), s.private.PublicKey().Bytes(), sender}, nil)
	ikm, err := hkdf.Key(sha256.New, shared, s.Auth[:], string(info), 32)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, record, nil)
	if err != nil {
		return nil, err
	}
	plain, last := bytes.CutSuffix(bytes.TrimRight(plain, "\x00"), []byte{2})
	if !last {
		return nil, errors.New("no delimiter of a last record")
	}
	return plain, nil
}
