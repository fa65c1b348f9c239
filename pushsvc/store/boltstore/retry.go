package boltstore

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// The first byte of a key in a message's bucket of "later".
const (
	laterByID  = 0 // + id8 → retry
	laterByDue = 1 // + time8 + id8 → nothing
)

func laterKey(id pushsvc.SubscriptionID) []byte {
	return binary.BigEndian.AppendUint64([]byte{laterByID}, uint64(id))
}

// dueKey orders by time; the flipped sign bit puts times before 1970 first.
func dueKey(due time.Time, id pushsvc.SubscriptionID) []byte {
	k := binary.BigEndian.AppendUint64([]byte{laterByDue}, uint64(due.UnixMilli())^1<<63)
	return binary.BigEndian.AppendUint64(k, uint64(id))
}

// openDueKey parses such a key.
func openDueKey(k []byte) (due time.Time, id pushsvc.SubscriptionID, ok bool) {
	if len(k) != 17 || k[0] != laterByDue {
		return due, 0, false
	}
	ms := int64(binary.BigEndian.Uint64(k[1:]) ^ 1<<63)
	return time.UnixMilli(ms).UTC(), pushsvc.SubscriptionID(binary.BigEndian.Uint64(k[9:])), true
}

func packRetry(r pushsvc.Retry) []byte {
	p := binary.AppendUvarint(nil, uint64(max(r.Attempt, 0)))
	p = appendTime(p, r.Due, time.Millisecond)
	return append(p, r.Reason...)
}

func unpackRetry(payload []byte, r *pushsvc.Retry) error {
	rd := reader{unread: payload}
	r.Attempt = int(rd.uvarint())
	r.Due = rd.time(time.Millisecond)
	r.Reason = string(rd.unread)
	if rd.bad {
		return errors.New("the row is malformed")
	}
	return nil
}

// retry reads a retry; false if the recipient has no retry. For a damaged one it returns true,
// the id alone, and the error.
func (mb messageBucket) retry(id pushsvc.SubscriptionID) (r pushsvc.Retry, there bool, err error) {
	r.ID = id
	payload, err := mb.get(laterKey(id))
	if err != nil || payload == nil {
		return r, err != nil, err
	}
	if err := unpackRetry(payload, &r); err != nil {
		return pushsvc.Retry{ID: id}, true, mb.damage(err)
	}
	return r, true, nil
}

// retries reads a message's retries for the rules; it reports a damaged one.
func (s site) retries(id string, report func(error)) pushsvc.Retries {
	later := s.messageBucket(siteLater, id)
	return func(id pushsvc.SubscriptionID) (pushsvc.Retry, bool) {
		r, there, err := later.retry(id)
		if err != nil {
			report(err)
		}
		return r, there
	}
}

// putRetry stores a retry under both of its keys.
func (mb messageBucket) putRetry(w *writeTx, r pushsvc.Retry) error {
	if err := mb.put(w, laterKey(r.ID), packRetry(r)); err != nil {
		return err
	}
	return w.put(mb.b, dueKey(r.Due, r.ID), []byte{})
}

// dropRetry removes a retry and returns it; false if the recipient has no retry. If its row is
// damaged, its time must be searched for, and its reason is unknown.
func (mb messageBucket) dropRetry(w *writeTx, id pushsvc.SubscriptionID) (pushsvc.Retry, bool, error) {
	r, there, err := mb.retry(id)
	if !there {
		return r, false, nil
	}
	if err != nil {
		w.s.report(err)
		c := mb.b.Cursor()
		for k, _ := c.Seek([]byte{laterByDue}); k != nil; k, _ = c.Next() {
			if due, other, ok := openDueKey(k); ok && other == id {
				r.Due = due
				break
			}
		}
	}
	if err := w.delete(mb.b, dueKey(r.Due, id)); err != nil {
		return r, false, err
	}
	return r, true, w.delete(mb.b, laterKey(id))
}

// nextTry returns when the first retry is due; zero without retries.
func (mb messageBucket) nextTry() time.Time {
	if mb.b == nil {
		return time.Time{}
	}
	k, _ := mb.b.Cursor().Seek([]byte{laterByDue})
	due, _, _ := openDueKey(k)
	return due
}

// duePage returns at most limit due retries, the earliest first. A damaged one is
// built from its key.
func (mb messageBucket) duePage(now time.Time, limit int, report func(error)) (page []pushsvc.Retry) {
	if mb.b == nil {
		return nil
	}
	c := mb.b.Cursor()
	for k, _ := c.Seek([]byte{laterByDue}); k != nil && len(page) < limit; k, _ = c.Next() {
		due, id, ok := openDueKey(k)
		if !ok {
			report(mb.damage(errors.New("a retry has a malformed key")))
			continue
		}
		if due.After(now) {
			break
		}
		r, there, err := mb.retry(id)
		switch {
		case err != nil:
			report(err)
			r.Due, r.Attempt = due, 1
		case !there || !r.Due.Equal(due):
			report(mb.damage(errors.New("a retry's time leads nowhere")))
			continue
		}
		sub, err := mb.st.subscription(idKey(id))
		if err == nil {
			r.Subscription = sub
		} else if !errors.Is(err, pushsvc.ErrNotFound) {
			report(err) // its key has no valid id
		}
		page = append(page, r)
	}
	return page
}
