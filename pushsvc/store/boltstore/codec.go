package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// rowVersion is the first byte of each row.
const rowVersion = 1

// maxRow is the largest valid row in bytes: a damaged page may claim gigabytes.
const maxRow = 16 << 20

// castagnoli is the table of CRC-32C; the library computes it once.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seed starts the checksums of a bucket's rows. A checksum covers the row's
// place, so that a row that a damaged page shows under another site or id is
// refused.
type seed uint32

func newSeed(bucket, site string) seed {
	return seed(crc32.Checksum([]byte(bucket+"\x00"+site+"\x00"), castagnoli))
}

func (s seed) checksum(key, payload []byte) uint32 {
	crc := crc32.Update(uint32(s), castagnoli, []byte{rowVersion, byte(len(key))})
	return crc32.Update(crc32.Update(crc, castagnoli, key), castagnoli, payload)
}

// seal frames a payload: version byte, CRC-32C in big-endian order, payload.
func (s seed) seal(key, payload []byte) []byte {
	row := make([]byte, 5, 5+len(payload))
	row[0] = rowVersion
	binary.BigEndian.PutUint32(row[1:], s.checksum(key, payload))
	return append(row, payload...)
}

// unseal checks a row and returns its payload, which shares the row's memory.
func (s seed) unseal(key, row []byte) ([]byte, error) {
	switch {
	case len(row) < 5:
		return nil, errors.New("the row is too short")
	case len(row) > maxRow:
		return nil, errors.New("the row is too long")
	case row[0] != rowVersion:
		return nil, fmt.Errorf("the row has version %d", row[0])
	case binary.BigEndian.Uint32(row[1:]) != s.checksum(key, row[5:]):
		return nil, errors.New("the checksum does not match")
	}
	return row[5:], nil
}

// endpointPrefixes are common prefixes of endpoints. A row refers to one by its
// index, so append new ones at the end and never remove any.
var endpointPrefixes = [...]string{
	"",
	"https://fcm.googleapis.com/fcm/send/",
	"https://fcm.googleapis.com/wp/",
	"https://updates.push.services.mozilla.com/wpush/v2/",
	"https://updates.push.services.mozilla.com/wpush/v1/",
	"https://web.push.apple.com/",
}

// Flags in the byte with the index of the endpoint's prefix.
const (
	doubtedFlag = 0x80 // the time of the doubt follows
	topicsFlag  = 0x40 // after that, the topics follow: their number, and each with its length
	deviceFlag  = 0x20 // after those, the device follows
)

// packSubscription makes the payload of a subscription: everything but site and
// id, which are in the key.
func packSubscription(s *pushsvc.Subscription) []byte {
	prefix := 0
	for i, p := range endpointPrefixes {
		if len(p) > len(endpointPrefixes[prefix]) && strings.HasPrefix(s.Endpoint, p) {
			prefix = i
		}
	}
	p := make([]byte, 0, 128+len(s.Endpoint)+len(s.KeyID)+len(s.Language)+len(s.TimeZone)+len(s.Page))
	p = append(p, s.P256DH[:]...)
	p = append(p, s.Auth[:]...)
	p = appendTime(p, s.Created, time.Second)
	p = appendTime(p, s.Seen, time.Second)
	p = appendTime(p, s.Expiration, time.Millisecond)
	for _, text := range []string{s.KeyID, s.Language, s.TimeZone, s.Page} {
		p = binary.AppendUvarint(p, uint64(len(text)))
		p = append(p, text...)
	}
	flags := len(p)
	p = append(p, byte(prefix))
	if !s.Doubted.IsZero() {
		p[flags] |= doubtedFlag
		p = appendTime(p, s.Doubted, time.Second)
	}
	if s.Topics != nil {
		p[flags] |= topicsFlag
		p = binary.AppendUvarint(p, uint64(len(s.Topics)))
		for _, id := range s.Topics {
			p = binary.AppendUvarint(p, uint64(len(id)))
			p = append(p, id...)
		}
	}
	if !s.Device.IsZero() {
		p[flags] |= deviceFlag
		p = append(p, s.Device[:]...)
	}
	return append(p, s.Endpoint[len(endpointPrefixes[prefix]):]...)
}

// unpackSubscription reads into s what packSubscription made. s shares no memory
// with the payload; all of its texts are parts of one string.
func unpackSubscription(payload []byte, s *pushsvc.Subscription) error {
	r := reader{unread: payload}
	copy(s.P256DH[:], r.take(pushsvc.P256DHSize))
	copy(s.Auth[:], r.take(pushsvc.AuthSize))
	s.Created = r.time(time.Second)
	s.Seen = r.time(time.Second)
	s.Expiration = r.time(time.Millisecond)
	keyID, language, zone, page := r.text(), r.text(), r.text(), r.text()
	flags := r.byte()
	s.Doubted = time.Time{}
	if flags&doubtedFlag != 0 {
		s.Doubted = r.time(time.Second)
	}
	s.Topics = nil
	if flags&topicsFlag != 0 {
		s.Topics = r.texts()
	}
	s.Device = pushsvc.DeviceID{}
	if flags&deviceFlag != 0 {
		copy(s.Device[:], r.take(uint64(len(s.Device))))
	}
	prefix := flags &^ (doubtedFlag | topicsFlag | deviceFlag)
	if r.bad || int(prefix) >= len(endpointPrefixes) {
		return errors.New("the row is malformed")
	}
	var all strings.Builder
	all.Grow(len(endpointPrefixes[prefix]) + len(r.unread) + len(keyID) + len(language) + len(zone) + len(page))
	all.WriteString(endpointPrefixes[prefix])
	for _, text := range [...][]byte{r.unread, keyID, language, zone, page} {
		all.Write(text)
	}
	texts := all.String()
	s.Endpoint, texts = cut(texts, len(endpointPrefixes[prefix])+len(r.unread))
	s.KeyID, texts = cut(texts, len(keyID))
	s.Language, texts = cut(texts, len(language))
	s.TimeZone, s.Page = cut(texts, len(zone))
	return nil
}

func cut(s string, n int) (head, tail string) { return s[:n], s[n:] }

// appendTime writes a time in whole units since 1970; zero has its own code.
func appendTime(p []byte, t time.Time, unit time.Duration) []byte {
	if t.IsZero() {
		return append(p, 0)
	}
	n := t.Unix()
	if unit == time.Millisecond {
		n = t.UnixMilli()
	}
	zigzag := uint64(n<<1) ^ uint64(n>>63)
	return binary.AppendUvarint(p, zigzag+1)
}

// reader parses a payload; after a fault it returns zeros and is bad.
type reader struct {
	unread []byte
	bad    bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.unread)) {
		r.unread, r.bad = nil, true
		return nil
	}
	p := r.unread[:n]
	r.unread = r.unread[n:]
	return p
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

// texts returns an empty list, not nil, if the number is 0.
func (r *reader) texts() []string {
	n := r.uvarint()
	if n > uint64(len(r.unread)) { // each has at least one byte for its length
		r.unread, r.bad = nil, true
		return nil
	}
	all := make([]string, n)
	for i := range all {
		all[i] = string(r.text())
	}
	return all
}

func (r *reader) text() []byte { return r.take(r.uvarint()) }

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.unread)
	if size <= 0 {
		r.unread, r.bad = nil, true
		return 0
	}
	r.unread = r.unread[size:]
	return n
}

func (r *reader) time(unit time.Duration) time.Time {
	n := r.uvarint()
	if n == 0 {
		return time.Time{}
	}
	n--
	v := int64(n>>1) ^ -int64(n&1)
	if unit == time.Millisecond {
		return time.UnixMilli(v).UTC()
	}
	return time.Unix(v, 0).UTC()
}
