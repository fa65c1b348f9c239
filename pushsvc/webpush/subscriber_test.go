package webpush

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// subscriber is the browser's side, written from the RFCs alone: it shares no code with the code under test,
// not even the key derivation.
type subscriber struct {
	private *ecdh.PrivateKey
	auth    [AuthSize]byte
}

func newSubscriber(t testing.TB) *subscriber {
	t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &subscriber{private: private}
	_, _ = rand.Read(s.auth[:])
	return s
}

func (s *subscriber) p256dh() [P256DHSize]byte {
	return [P256DHSize]byte(s.private.PublicKey().Bytes())
}

// decrypt opens a message body by RFC 8291 §3.4.
func (s *subscriber) decrypt(body []byte) ([]byte, error) {
	if len(body) < 21 {
		return nil, errors.New("no header")
	}
	keyID := body[21:]
	if len(keyID) < int(body[20]) {
		return nil, errors.New("short key id")
	}
	keyID = keyID[:body[20]]
	sender, err := ecdh.P256().NewPublicKey(keyID)
	if err != nil {
		return nil, err
	}
	shared, err := s.private.ECDH(sender)
	if err != nil {
		return nil, err
	}
	info := bytes.Join([][]byte{[]byte("WebPush: info\x00"), s.private.PublicKey().Bytes(), keyID}, nil)
	return decodeAES128GCM(handHKDF(shared, s.auth[:], info, 32), body)
}

// decodeAES128GCM opens the aes128gcm content coding (RFC 8188 §2), any number
// of records.
func decodeAES128GCM(ikm, body []byte) ([]byte, error) {
	if len(body) < 21 || len(body) < 21+int(body[20]) {
		return nil, errors.New("no header")
	}
	salt, size, records := body[:16], int(binary.BigEndian.Uint32(body[16:20])), body[21+int(body[20]):]
	if size < 18 {
		return nil, errors.New("record size")
	}
	block, err := aes.NewCipher(handHKDF(ikm, salt, []byte("Content-Encoding: aes128gcm\x00"), 16))
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	base := handHKDF(ikm, salt, []byte("Content-Encoding: nonce\x00"), 12)
	var plain []byte
	for sequence := uint64(0); ; sequence++ {
		record := records[:min(size, len(records))]
		records = records[len(record):]
		nonce := bytes.Clone(base)
		for i := range 8 {
			nonce[4+i] ^= byte(sequence >> (56 - 8*i))
		}
		open, err := gcm.Open(nil, nonce, record, nil)
		if err != nil {
			return nil, err
		}
		open = bytes.TrimRight(open, "\x00")
		last := len(records) == 0
		switch {
		case len(open) == 0:
			return nil, errors.New("no delimiter")
		case last && open[len(open)-1] != 2, !last && open[len(open)-1] != 1:
			return nil, errors.New("wrong delimiter")
		}
		plain = append(plain, open[:len(open)-1]...)
		if last {
			return plain, nil
		}
	}
}

// handHKDF is RFC 5869 with SHA-256 from crypto/hmac.
func handHKDF(secret, salt, info []byte, size int) []byte {
	mac := func(key []byte, parts ...[]byte) []byte {
		m := hmac.New(sha256.New, key)
		for _, p := range parts {
			m.Write(p)
		}
		return m.Sum(nil)
	}
	if len(salt) == 0 {
		salt = make([]byte, sha256.Size)
	}
	prk := mac(salt, secret)
	var out, last []byte
	for i := byte(1); len(out) < size; i++ {
		last = mac(prk, last, info, []byte{i})
		out = append(out, last...)
	}
	return out[:size]
}

// unbase64 decodes base64url of either form in test data.
func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := decodeRaw(s)
	if err != nil {
		t.Fatalf("decoding %q: %v", s, err)
	}
	return b
}

// decodeRaw decodes base64url without padding.
func decodeRaw(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }

// sharedData returns a file of the shared test data, or skips the test.
func sharedData(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		path := filepath.Join(dir, "shared", "testdata", "adversarial", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		dir = filepath.Dir(dir)
	}
	t.Skipf("shared test data %s is not beside the repository", name)
	return ""
}

// sharedRows reads a JSON Lines file of the shared test data.
func sharedRows[T any](t *testing.T, name string) []T {
	t.Helper()
	f, err := os.Open(sharedData(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var row T
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		t.Fatalf("%s is empty", name)
	}
	return rows
}

// payloadText is the payload field of a row; "b64:" marks raw bytes.
func payloadText(t *testing.T, s string) string {
	t.Helper()
	if len(s) < 4 || s[:4] != "b64:" {
		return s
	}
	b, err := base64.StdEncoding.DecodeString(s[4:])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
