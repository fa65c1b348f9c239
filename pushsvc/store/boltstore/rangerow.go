package boltstore

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// rangeDone is the flag of a range that has ended. The flags come first in its
// row, so that a search for open ranges need not read further.
const rangeDone = 1

type part = pushsvc.RangeRow

// rangeKey orders ranges by their number, the LaterRange first.
func rangeKey(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n+1)) }

// packRange makes the payload of a range: everything but its key.
func packRange(p part) []byte {
	var flags byte
	if p.Done {
		flags |= rangeDone
	}
	out := make([]byte, 0, 64+len(p.Owner)+3*len(p.Settled))
	out = append(out, flags)
	out = append(out, p.Last[:]...)
	out = appendInstant(out, p.Lease) // rowFlags finds it here
	out = binary.AppendUvarint(out, uint64(p.Epoch))
	out = binary.AppendUvarint(out, uint64(p.Cursor))
	out = binary.AppendUvarint(out, uint64(p.Until))
	out = binary.AppendUvarint(out, uint64(len(p.Owner)))
	out = append(out, p.Owner...)
	out = binary.AppendUvarint(out, uint64(len(p.Settled)))
	before := p.Cursor
	for _, id := range p.Settled {
		out = binary.AppendUvarint(out, uint64(id-before))
		before = id
	}
	return out
}

func unpackRange(payload []byte, p *part) error {
	r := reader{unread: payload}
	p.Done = r.byte()&rangeDone != 0
	copy(p.Last[:], r.take(8))
	p.Lease = r.instant()
	p.Epoch = int64(r.uvarint())
	p.Cursor = pushsvc.SubscriptionID(r.uvarint())
	p.Until = pushsvc.SubscriptionID(r.uvarint())
	p.Owner = string(r.text())
	n := r.uvarint()
	if n > pushsvc.MaxSettled {
		r.bad = true
		n = 0
	}
	before := p.Cursor
	for range n {
		before += pushsvc.SubscriptionID(r.uvarint())
		p.Settled = append(p.Settled, before)
	}
	if r.bad {
		return errors.New("the row is malformed")
	}
	return nil
}

// appendInstant writes a time to the nanosecond.
func appendInstant(p []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(p, 0)
	}
	n := t.UnixNano()
	return binary.AppendUvarint(p, uint64(n<<1)^uint64(n>>63)+1)
}

func (r *reader) instant() time.Time {
	n := r.uvarint()
	if n == 0 {
		return time.Time{}
	}
	n--
	return time.Unix(0, int64(n>>1)^-int64(n&1)).UTC()
}

// part reads a range; pushsvc.ErrNotFound.
func (s site) part(id string, n int) (part, error) {
	if n < pushsvc.LaterRange || n > pushsvc.MaxRanges {
		return part{}, pushsvc.ErrNotFound
	}
	mb, key := s.messageBucket(siteRanges, id), rangeKey(n)
	payload, err := mb.get(key)
	if err != nil {
		return part{}, err
	}
	if payload == nil {
		return part{}, pushsvc.ErrNotFound
	}
	return mb.part(n, payload)
}

// part unpacks a row of a message's bucket of ranges.
func (mb messageBucket) part(n int, payload []byte) (part, error) {
	p := part{Range: pushsvc.Range{Site: mb.st.name, MessageID: mb.id, N: n}}
	if err := unpackRange(payload, &p); err != nil {
		return part{}, mb.damage(err)
	}
	return p, nil
}

func (s site) putPart(w *writeTx, p part) error {
	mb, err := w.makeMessageBucket(s, siteRanges, p.MessageID)
	if err != nil {
		return err
	}
	return mb.put(w, rangeKey(p.N), packRange(p))
}

// rowFlags are the values at fixed places of a range's row, after its checksum.
type rowFlags struct{ done, claimed bool }

// parts calls fn with the ranges of a message that want, which gets number and
// flags, accepts. It reports and skips a damaged one.
func (s site) parts(id string, report func(error), want func(n int, row rowFlags) bool, fn func(part) bool) {
	mb := s.messageBucket(siteRanges, id)
	if mb.b == nil {
		return
	}
	c := mb.b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) != 4 {
			report(mb.damage(errors.New("a range has a malformed key")))
			continue
		}
		n := int(binary.BigEndian.Uint32(k)) - 1
		if len(v) > 14 && !want(n, rowFlags{v[5]&rangeDone != 0, v[14] != 0}) { // skipped unchecked: a later look may be wrong, a row that is used never is
			continue
		}
		payload, err := mb.open(k, v)
		var p part
		if err == nil {
			p, err = mb.part(n, payload)
		}
		if err != nil {
			report(err)
			continue
		}
		if !fn(p) {
			return
		}
	}
}

// putRanges stores the ranges of a new message, and returns how many are not
// done.
func (w *writeTx) putRanges(st site, ranges []pushsvc.Range) (int, error) {
	for _, r := range ranges {
		if err := st.putPart(w, part{Range: r}); err != nil {
			return 0, err
		}
	}
	return len(ranges) - 1, nil // one is the LaterRange
}
