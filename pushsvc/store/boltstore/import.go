package boltstore

import (
	"context"
	"fmt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// ImportSubscriptions implements pushsvc.SubscriptionStore. An imported row
// replaces a damaged one and keeps its id. Some thousands at a time are fastest.
func (s *Store) ImportSubscriptions(ctx context.Context, name string, subs []pushsvc.Subscription) (pushsvc.Imported, error) {
	if name == "" || len(name) > pushsvc.MaxSiteName {
		return pushsvc.Imported{}, fmt.Errorf("importing subscriptions: the site's name has %d bytes, not 1 to %d", len(name), pushsvc.MaxSiteName)
	}
	hashes := make([]hash, len(subs)) // not in the committer, which others wait for
	for i := range subs {
		if subs[i].Endpoint == "" {
			return pushsvc.Imported{}, fmt.Errorf("importing subscriptions of %s: number %d has no endpoint", name, i+1)
		}
		hashes[i] = indexKey(subs[i].Endpoint)
	}
	if len(subs) == 0 {
		return pushsvc.Imported{}, s.alive(ctx)
	}
	n, err := write(ctx, s, func(w *writeTx) (pushsvc.Imported, error) { return w.importAll(name, subs, hashes) })
	if err != nil {
		return pushsvc.Imported{}, fmt.Errorf("importing subscriptions of %s: %w", name, err)
	}
	return n, nil
}

// alive returns the error that any call would return.
func (s *Store) alive(ctx context.Context) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return pushsvc.ErrClosed
	}
	return ctx.Err()
}

func (w *writeTx) importAll(name string, subs []pushsvc.Subscription, hashes []hash) (pushsvc.Imported, error) {
	var n pushsvc.Imported
	st, err := w.makeSite(name)
	if err != nil {
		return n, err
	}
	if len(w.s.coming(st.name)) > 0 {
		for i := range subs {
			if err := w.pull(st, subs[i].Endpoint); err != nil {
				return n, err
			}
		}
	}
	c := st.counts(w.s.report)
	for i := range subs {
		if err := w.importOne(st, &n, subs[i], hashes[i]); err != nil {
			return n, err
		}
	}
	c.subscriptions += uint64(n.Added)
	if n.Added == 0 {
		return n, nil
	}
	return n, st.putCounts(w, c)
}

// importOne stores one subscription, and counts the result.
func (w *writeTx) importOne(st site, n *pushsvc.Imported, sub pushsvc.Subscription, h hash) error {
	known, err := w.findHash(st, h, sub.Endpoint)
	if err != nil {
		w.s.report(err)
	}
	row, ok := n.Merge(sub, known)
	if !ok {
		return nil
	}
	if row.ID == 0 {
		if row.ID, err = w.newID(st); err != nil {
			return err
		}
		w.index(st, h, row.ID)
	}
	return st.put(w, siteSubs, idKey(row.ID), packSubscription(&row))
}
