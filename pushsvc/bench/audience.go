//go:build linux

package main

import (
	"bufio"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// site is the site of all subscribers.
const site = "news.example"

// Endpoints look like Chrome's: 188 characters. The first 11 after the path are the subscriber's number, so
// that the push service can tell who got what.
const (
	pushHost     = "fcm.googleapis.com"
	pushPath     = "/fcm/send/"
	tokenStart   = ":APA91b"
	numberLength = 11
	tokenBytes   = 100
)

// spread maps numbers to numbers all over 64 bits, like a push service's tokens; gather maps them back. The
// factors are inverse to each other modulo 2^64.
func spread(i uint64) uint64 { return i * spreadFactor }

func gather(v uint64) uint64 { return v * gatherFactor }

const (
	spreadFactor = 0x9E3779B97F4A7C15
	gatherFactor = 0xF1DE83E19937733D
)

// subscriberOf returns the number in a request's path, or false.
func subscriberOf(path string) (uint64, bool) {
	number, ok := strings.CutPrefix(path, pushPath)
	if !ok || len(number) < numberLength+len(tokenStart) || number[numberLength:numberLength+len(tokenStart)] != tokenStart {
		return 0, false
	}
	var raw [8]byte
	if n, err := base64.RawURLEncoding.Decode(raw[:], []byte(number[:numberLength])); err != nil || n != len(raw) {
		return 0, false
	}
	return gather(binary.BigEndian.Uint64(raw[:])), true
}

// browsers is the number of different key pairs: making a million would take longer than importing them, and
// each is used as if it were the only one.
const browsers = 1000

// writeSubscribers writes n subscriptions, one per line, as browsers report them.
func writeSubscribers(w io.Writer, n int) error {
	keys := make([]string, min(n, browsers))
	for i := range keys {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("making a subscriber's key: %w", err)
		}
		keys[i] = base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes())
	}
	var seed [32]byte
	_, _ = rand.Read(seed[:])
	random := mathrand.NewChaCha8(seed)
	out := bufio.NewWriterSize(w, 256<<10)
	var line, endpoint []byte
	var token [tokenBytes]byte
	var auth [16]byte
	for i := range n {
		_, _ = random.Read(token[:])
		_, _ = random.Read(auth[:])
		endpoint = appendEndpoint(endpoint[:0], uint64(i), token[:])
		line = transfer.AppendRecord(line[:0], transfer.Record{
			Endpoint: string(endpoint), P256DH: keys[i%len(keys)], Auth: base64.RawURLEncoding.EncodeToString(auth[:]),
			Language: "en-US", TimeZone: "Europe/Berlin", Page: "/",
		})
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("writing subscriptions: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing subscriptions: %w", err)
	}
	return nil
}

func appendEndpoint(b []byte, number uint64, token []byte) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], spread(number))
	b = append(b, "https://"+pushHost+pushPath...)
	b = base64.RawURLEncoding.AppendEncode(b, raw[:])
	b = append(b, tokenStart...)
	return base64.RawURLEncoding.AppendEncode(b, token)
}
