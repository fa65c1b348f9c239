package boltstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// PruneMessages implements pushsvc.MessageStore. Damaged messages stay, and
// are told to Options.OnDamage.
func (s *Store) PruneMessages(ctx context.Context, before time.Time, limit int) (int, error) {
	old, err := read(ctx, s, func(tx *bolt.Tx) ([][2]string, error) { return finished(ctx, tx, before, limit, s.report) })
	if err == nil && len(old) > 0 {
		var n int
		n, err = write(ctx, s, func(w *writeTx) (int, error) { return w.prune(old) })
		if err == nil {
			return n, nil
		}
	}
	if err != nil {
		return 0, fmt.Errorf("removing old messages: %w", err)
	}
	return 0, nil
}

// finished gives site and id of messages that finished before the time.
func finished(ctx context.Context, tx *bolt.Tx, before time.Time, limit int, report func(error)) (old [][2]string, err error) {
	for _, st := range allSites(tx, report) {
		b := st.b.Bucket([]byte(siteProgress))
		if b == nil {
			continue
		}
		c := b.Cursor()
		for k, _ := c.First(); k != nil && len(old) < limit; k, _ = c.Next() {
			p, err := st.progress(string(k))
			if err != nil {
				report(err)
			} else if (&pushsvc.Message{State: p.State, Finished: p.Finished}).Prunable(before) {
				old = append(old, [2]string{st.name, string(k)})
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	return old, nil
}

// prune removes messages with all that belongs to them. Their idempotency keys
// run out by themselves; they lead nowhere meanwhile.
func (w *writeTx) prune(old [][2]string) (pruned int, err error) {
	for _, o := range old {
		st, ok := rawIn(w.tx, bucketSites, o[0])
		if !ok {
			continue
		}
		id := o[1]
		if _, err := st.message(id); errors.Is(err, pushsvc.ErrNotFound) {
			continue // somebody else was faster
		}
		n := st.counts(w.s.report)
		n.messages = max(n.messages, 1) - 1
		for _, bucket := range []string{siteRanges, siteLater, siteReceipts} {
			if err := st.shelf(bucket, id).drop(w); err != nil {
				return 0, err
			}
		}
		for _, bucket := range []string{siteMessages, siteProgress} {
			if err := w.delete(st.b.Bucket([]byte(bucket)), []byte(id)); err != nil {
				return 0, err
			}
		}
		if err := st.putCounts(w, n); err != nil {
			return 0, err
		}
		pruned++
	}
	return pruned, nil
}
