package boltstore

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// sweep is how many expired keys are removed when a new one is stored.
const sweep = 16

// record is a stored request: hash (32), expiry in milliseconds (8), message id
// (rest).
type record struct {
	hash    [32]byte
	expires time.Time
	message string
}

func (r record) pack() []byte {
	p := append([]byte(nil), r.hash[:]...)
	p = binary.BigEndian.AppendUint64(p, uint64(r.expires.UnixMilli()))
	return append(p, r.message...)
}

// record reads the record of a key; false without a record.
func (s site) record(key string) (record, bool, error) {
	p, err := s.get(siteIdem, []byte(key))
	if err != nil || p == nil {
		return record{}, false, err
	}
	if len(p) < 40 {
		return record{}, false, s.damage(siteIdem, nil, errors.New("the row is malformed"))
	}
	r := record{expires: time.UnixMilli(int64(binary.BigEndian.Uint64(p[32:]))), message: string(p[40:])}
	copy(r.hash[:], p)
	return r, true, nil
}

// request returns the request that is kept for a key, and its message's id; zeros
// without a request.
func (s site) request(key string) (pushsvc.Idempotency, string, error) {
	r, ok, err := s.record(key)
	if err != nil || !ok {
		return pushsvc.Idempotency{}, "", err
	}
	return pushsvc.Idempotency{Key: key, RequestHash: r.hash, Expires: r.expires}, r.message, nil
}

// remember stores the key of a new message, and removes a few expired ones.
func (s site) remember(w *writeTx, idem pushsvc.Idempotency, m pushsvc.Message) error {
	if idem.Key == "" {
		return nil
	}
	expiry, err := w.bucket(s.b, siteExpiry)
	if err != nil {
		return err
	}
	if old, ok, err := s.record(idem.Key); err == nil && ok {
		if err := w.delete(expiry, expiryKey(old.expires, idem.Key)); err != nil {
			return err
		}
	}
	r := record{hash: idem.RequestHash, expires: idem.Expires, message: m.ID}
	if err := s.put(w, siteIdem, []byte(idem.Key), r.pack()); err != nil {
		return err
	}
	if err := s.forget(w, m.Created, idem.Key); err != nil {
		return err
	}
	return w.put(expiry, expiryKey(idem.Expires, idem.Key), []byte{})
}

// forget removes expired keys, the oldest first, but never the one that is being
// stored.
func (s site) forget(w *writeTx, at time.Time, except string) error {
	expiry, keys := s.b.Bucket([]byte(siteExpiry)), s.b.Bucket([]byte(siteIdem))
	limit := expiryKey(at, "")
	var expired [][]byte
	c := expiry.Cursor()
	for k, _ := c.First(); k != nil && len(expired) < sweep && len(k) > 8 && string(k[:8]) < string(limit); k, _ = c.Next() {
		expired = append(expired, append([]byte(nil), k...)) // deleting moves the cursor
	}
	for _, k := range expired {
		if err := w.delete(expiry, k); err != nil {
			return err
		}
		if string(k[8:]) == except {
			continue
		}
		if err := w.delete(keys, k[8:]); err != nil {
			return err
		}
	}
	return nil
}

// expiryKey orders keys by time; the flipped sign bit puts times before 1970
// first.
func expiryKey(t time.Time, key string) []byte {
	k := binary.BigEndian.AppendUint64(nil, uint64(t.UnixMilli())^1<<63)
	return append(k, key...)
}
