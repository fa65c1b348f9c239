package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// Sizes of an encrypted message in bytes (RFC 8188 §2, RFC 8291 §4).
const (
	saltSize   = 16
	headerSize = saltSize + 4 + 1 + P256DHSize // salt, record size, key id length, key id
	tagSize    = 16
	delimiter  = 1

	// maxBody is what every push service must take (RFC 8030 §7.2).
	maxBody = 4096
	// recordSize is announced in the header. A message is one record, which
	// may be shorter than the announced size as it is the last.
	recordSize = 4096

	// maxPayload is the longest plaintext that fits into maxBody.
	maxPayload = maxBody - headerSize - delimiter - tagSize // 3993
	// maxMozillaPayload keeps clear of Firefox for Android, where Mozilla
	// wraps the body into JSON of at most 4096 bytes as base64.
	maxMozillaPayload = 2800
)

// PayloadLimit is the longest payload, in bytes before encryption, that
// messages to a service may have: 3993, and 2800 for Mozilla.
func PayloadLimit(s Service) int {
	if s == ServiceMozilla {
		return maxMozillaPayload
	}
	return maxPayload
}

// PayloadError says that a payload is too long for its push service.
type PayloadError struct {
	Size, Limit int // bytes before encryption
}

// Error implements error.
func (e *PayloadError) Error() string {
	return fmt.Sprintf("payload of %d bytes is over the limit of %d", e.Size, e.Limit)
}

// Encrypt appends payload to dst, encrypted for a subscription by RFC 8291
// (content coding aes128gcm, RFC 8188) in a single record with an ephemeral
// key and a salt of its own, and gives back the extended slice. The payload is
// padded to a few sizes so that its length says little about it, never beyond
// PayloadLimit(s). dst must not overlap payload. The error is a *PayloadError
// or a *KeyError.
func Encrypt(dst, payload []byte, p256dh [P256DHSize]byte, auth [AuthSize]byte, s Service) ([]byte, error) {
	limit := PayloadLimit(s)
	if len(payload) > limit {
		return dst, &PayloadError{Size: len(payload), Limit: limit}
	}
	receiver, err := ecdh.P256().NewPublicKey(p256dh[:])
	if err != nil {
		return dst, &KeyError{"p256dh", "is not a point on P-256"}
	}
	// RFC 8291 §3.1: a new key pair for each message. Sharing one between
	// messages would let one leaked key open them all.
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return dst, fmt.Errorf("generating a message's key pair: %w", err)
	}
	var salt [saltSize]byte
	_, _ = rand.Read(salt[:]) // never fails since Go 1.24
	r := record{receiver: receiver, auth: auth, sender: ephemeral, salt: salt, padded: paddedSize(len(payload), limit)}
	return r.seal(dst, payload)
}

// paddedSize is the smallest bucket that holds size bytes, at most limit. From
// 128 bytes up the buckets double; the last ones are the two limits.
func paddedSize(size, limit int) int {
	for _, bucket := range [...]int{128, 256, 512, 1024, 2048, maxMozillaPayload, maxPayload} {
		if size <= bucket && bucket <= limit {
			return bucket
		}
	}
	return limit
}

// record is everything that determines an encrypted message besides its
// payload; apart from Encrypt so that the RFC's examples can be recomputed.
type record struct {
	receiver *ecdh.PublicKey
	auth     [AuthSize]byte
	sender   *ecdh.PrivateKey
	salt     [saltSize]byte
	padded   int // plaintext size with padding, without the delimiter
}

// seal appends header and record to dst.
func (r *record) seal(dst, payload []byte) ([]byte, error) {
	key, nonce, err := r.derive()
	if err != nil {
		return dst, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return dst, fmt.Errorf("preparing the cipher: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return dst, fmt.Errorf("preparing the cipher mode: %w", err)
	}

	start := len(dst)
	dst = slices.Grow(dst, headerSize+r.padded+delimiter+tagSize)
	dst = append(dst, r.salt[:]...)
	dst = binary.BigEndian.AppendUint32(dst, recordSize)
	dst = append(dst, P256DHSize)
	dst = append(dst, r.sender.PublicKey().Bytes()...)

	// RFC 8188 §2: 0x02 ends the last record's data, zeros pad it.
	dst = append(dst, payload...)
	dst = append(dst, 2)
	padding := r.padded - len(payload)
	dst = dst[:len(dst)+padding]
	clear(dst[len(dst)-padding:])

	plain := dst[start+headerSize:]
	return gcm.Seal(dst[:start+headerSize], nonce, plain, nil), nil
}

// derive gives the content encryption key and the nonce of the first record
// (RFC 8291 §3.4, RFC 8188 §2.2 and §2.3).
func (r *record) derive() (key, nonce []byte, err error) {
	shared, err := r.sender.ECDH(r.receiver)
	if err != nil {
		return nil, nil, fmt.Errorf("agreeing on a key: %w", err)
	}
	info := make([]byte, 0, 14+2*P256DHSize)
	info = append(info, "WebPush: info\x00"...)
	info = append(info, r.receiver.Bytes()...)
	info = append(info, r.sender.PublicKey().Bytes()...)
	ikm, err := hkdf.Key(sha256.New, shared, r.auth[:], string(info), 32)
	if err != nil {
		return nil, nil, fmt.Errorf("deriving the input key: %w", err)
	}
	prk, err := hkdf.Extract(sha256.New, ikm, r.salt[:])
	if err != nil {
		return nil, nil, fmt.Errorf("extracting the message key: %w", err)
	}
	if key, err = hkdf.Expand(sha256.New, prk, "Content-Encoding: aes128gcm\x00", 16); err != nil {
		return nil, nil, fmt.Errorf("deriving the content key: %w", err)
	}
	if nonce, err = hkdf.Expand(sha256.New, prk, "Content-Encoding: nonce\x00", 12); err != nil {
		return nil, nil, fmt.Errorf("deriving the nonce: %w", err)
	}
	return key, nonce, nil
}
