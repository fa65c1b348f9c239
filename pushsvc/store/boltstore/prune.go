package boltstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// Prunable implements pushsvc.MessageStore. It skips damaged messages and reports
// them to Options.OnDamage.
func (s *Store) Prunable(ctx context.Context, before time.Time, limit int) ([]pushsvc.MessageName, error) {
	old, err := read(ctx, s, func(tx *bolt.Tx) (old []pushsvc.MessageName, err error) {
		for _, st := range allSites(tx, s.report) {
			b := st.b.Bucket([]byte(siteProgress))
			if b == nil {
				continue
			}
			c := b.Cursor()
			for k, _ := c.First(); k != nil && len(old) < limit; k, _ = c.Next() {
				p, err := st.progress(string(k))
				if err != nil {
					s.report(err)
				} else if p.prunable(before) {
					old = append(old, pushsvc.MessageName{Site: st.name, ID: string(k)})
				}
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
			}
		}
		return old, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing old messages: %w", err)
	}
	return old, nil
}

func (p *progressRow) prunable(before time.Time) bool {
	return (&pushsvc.Message{State: p.State, Finished: p.Finished}).Prunable(before)
}

// PruneMessage implements pushsvc.MessageStore.
func (s *Store) PruneMessage(ctx context.Context, name pushsvc.MessageName, before time.Time) (bool, error) {
	pruned, err := write(ctx, s, func(w *writeTx) (bool, error) { return w.prune(name, before) })
	if err != nil {
		return false, fmt.Errorf("removing old message %q of %s: %w", name.ID, name.Site, err)
	}
	return pruned, nil
}

// prune removes a message with all its rows. Its idempotency key stays until it
// expires and points nowhere meanwhile.
func (w *writeTx) prune(name pushsvc.MessageName, before time.Time) (bool, error) {
	st, ok := rawIn(w.tx, bucketSites, name.Site)
	if !ok {
		return false, nil
	}
	id := name.ID
	if b := st.b.Bucket([]byte(siteProgress)); b == nil || b.Get([]byte(id)) == nil {
		return false, nil // another caller was faster
	}
	p, err := st.progress(id)
	if err != nil || !p.prunable(before) {
		return false, err
	}
	n := st.counts(w.s.report)
	n.messages = max(n.messages, 1) - 1
	for _, bucket := range []string{siteRanges, siteLater, siteReceipts} {
		if err := st.messageBucket(bucket, id).drop(w); err != nil {
			return false, err
		}
	}
	for _, bucket := range []string{siteMessages, siteProgress} {
		if err := w.delete(st.b.Bucket([]byte(bucket)), []byte(id)); err != nil {
			return false, err
		}
	}
	return true, st.putCounts(w, n)
}
