package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
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

	// maxBody is what every push service must accept (RFC 8030 §7.2).
	maxBody = 4096
	// recordSize is the size in the header. A message is one record, which may be shorter, since it is the
	// last.
	recordSize = 4096

	// maxPayload is the longest plaintext that fits into maxBody.
	maxPayload = maxBody - headerSize - delimiter - tagSize // 3993
	// maxMozillaPayload leaves room for Firefox for Android, where Mozilla wraps the body, in base64, into
	// JSON of at most 4096 bytes.
	maxMozillaPayload = 2800
)

// PayloadLimit returns the longest payload for a service in bytes before encryption: 3993, and 2800 for
// Mozilla.
func PayloadLimit(s Service) int {
	if s == ServiceMozilla {
		return maxMozillaPayload
	}
	return maxPayload
}

// PayloadError means that a payload is too long for its push service.
type PayloadError struct {
	Size, Limit int // bytes before encryption
}

// Error implements error.
func (e *PayloadError) Error() string {
	return fmt.Sprintf("payload of %d bytes is over the limit of %d", e.Size, e.Limit)
}

// Encrypt appends payload to dst and returns the extended slice. The payload is encrypted for a subscription
// by RFC 8291 (content coding aes128gcm, RFC 8188), in a single record with its own ephemeral key and salt.
// It is padded to a few sizes, at most PayloadLimit(s), so that the length reveals little. dst must not
// overlap payload. The error is a *PayloadError or a *KeyError.
func Encrypt(dst, payload []byte, p256dh [P256DHSize]byte, auth [AuthSize]byte, s Service) ([]byte, error) {
	limit := PayloadLimit(s)
	if len(payload) > limit {
		return dst, &PayloadError{Size: len(payload), Limit: limit}
	}
	receiver, err := ecdh.P256().NewPublicKey(p256dh[:])
	if err != nil {
		return dst, &KeyError{"p256dh", "is not a point on P-256"}
	}
	// RFC 8291 §3.1: a new key pair for each message. With a shared one, one leaked key would open all
	// messages.
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return dst, fmt.Errorf("generating a message's key pair: %w", err)
	}
	var salt [saltSize]byte
	_, _ = rand.Read(salt[:]) // never fails since Go 1.24
	r := record{receiver: receiver, auth: auth, sender: ephemeral, salt: salt, padded: paddedSize(len(payload), limit)}
	return r.seal(dst, payload)
}

// paddedSize returns the smallest bucket that holds size bytes, at most limit. The buckets double from 128
// bytes; the last ones are the two limits.
func paddedSize(size, limit int) int {
	for _, bucket := range [...]int{128, 256, 512, 1024, 2048, maxMozillaPayload, maxPayload} {
		if size <= bucket && bucket <= limit {
			return bucket
		}
	}
	return limit
}

// record has everything that determines an encrypted message besides its payload. It is separate from Encrypt
// so that tests can recompute the RFC's examples.
type record struct {
	receiver *ecdh.PublicKey
	auth     [AuthSize]byte
	sender   *ecdh.PrivateKey
	salt     [saltSize]byte
	padded   int // plaintext size with padding, without the delimiter
}

// seal appends header and record to dst.
func (r *record) seal(dst, payload []byte) ([]byte, error) {
	senderKey := r.sender.PublicKey().Bytes()
	key, nonce, err := r.derive(senderKey)
	if err != nil {
		return dst, err
	}
	block, err := aes.NewCipher(key[:])
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
	dst = append(dst, senderKey...)

	// RFC 8188 §2: 0x02 ends the last record's data, zeros pad it.
	dst = append(dst, payload...)
	dst = append(dst, 2)
	padding := r.padded - len(payload)
	dst = dst[:len(dst)+padding]
	clear(dst[len(dst)-padding:])

	plain := dst[start+headerSize:]
	return gcm.Seal(dst[:start+headerSize], nonce[:], plain, nil), nil
}

// derive returns the content encryption key and the nonce of the first record (RFC 8291 §3.4, RFC 8188 §2.2
// and §2.3).
func (r *record) derive(senderKey []byte) (key [16]byte, nonce [12]byte, err error) {
	shared, err := r.sender.ECDH(r.receiver)
	if err != nil {
		return key, nonce, fmt.Errorf("agreeing on a key: %w", err)
	}
	var info [14 + 2*P256DHSize + 1]byte
	text := append(info[:0], "WebPush: info\x00"...)
	text = append(text, r.receiver.Bytes()...)
	text = append(text, senderKey...)
	text = append(text, 1)
	exchange := hmacSHA256(r.auth[:], shared)
	ikm := hmacSHA256(exchange[:], text)

	prk := hmacSHA256(r.salt[:], ikm[:])
	contentKey := hmacSHA256(prk[:], []byte("Content-Encoding: aes128gcm\x00\x01"))
	contentNonce := hmacSHA256(prk[:], []byte("Content-Encoding: nonce\x00\x01"))
	copy(key[:], contentKey[:])
	copy(nonce[:], contentNonce[:])
	return key, nonce, nil
}

// maxMAC is the longest text that hmacSHA256 accepts.
const maxMAC = 14 + 2*P256DHSize + 1

// hmacSHA256 is RFC 2104 for keys of at most one block. It is also HKDF (RFC 5869 §2) for up to 32 derived
// bytes: extracting is one call with the salt as key, expanding one with 0x01 after the info. crypto/hkdf
// takes 42 allocations per message for it, the third largest cost of one.
func hmacSHA256(key, text []byte) [sha256.Size]byte {
	var inner [sha256.BlockSize + maxMAC]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(inner[:], key)
	copy(outer[:], key)
	for i := range sha256.BlockSize {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	n := copy(inner[sha256.BlockSize:], text)
	sum := sha256.Sum256(inner[:sha256.BlockSize+n])
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}
