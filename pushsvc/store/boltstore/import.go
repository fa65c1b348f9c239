package boltstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// ImportSubscriptions implements pushsvc.SubscriptionStore. A stored row that
// is damaged is replaced by the imported one under its old id. Some thousands
// at a time go fastest.
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

// alive gives the error that any call would.
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
		known, added, err := w.importOne(st, subs[i], hashes[i])
		switch {
		case err != nil:
			return n, err
		case added:
			n.Added++
			c.subscriptions++
		case known:
			n.Known++
		default:
			n.Conflicting++
		}
	}
	if n.Added == 0 {
		return n, nil
	}
	return n, st.putCounts(w, c)
}

// importOne says whether the subscription was known with these keys, or is
// new; neither where it has other keys.
func (w *writeTx) importOne(st site, row pushsvc.Subscription, h hash) (known, added bool, err error) {
	var old pushsvc.Subscription
	if old, err = w.findHash(st, h, row.Endpoint); err != nil {
		w.s.report(err)
	}
	known = old.Endpoint != "" // a damaged row has an id only
	row.Created = row.Created.Truncate(time.Second)
	row.Seen = row.Seen.Truncate(time.Second)
	row.Expiration = row.Expiration.Truncate(time.Millisecond)
	row.Doubted = row.Doubted.Truncate(time.Second)
	switch {
	case known && !equal(old.Auth, row.Auth):
		return false, false, nil
	case known && row.Seen.Before(old.Seen):
		return true, false, nil
	case known:
		row.Created = old.Created
		if row.Topics == nil {
			row.Topics = old.Topics
		}
		if !row.Seen.After(old.Seen) {
			row.Doubted = old.Doubted
		}
	}
	row.ID, row.Device = old.ID, old.Device // files tell of no browser
	if row.ID == 0 {
		if row.ID, err = w.newID(st); err != nil {
			return false, false, err
		}
		w.index(st, h, row.ID)
		added = true
	}
	return known || !added, added, st.put(w, siteSubs, idKey(row.ID), packSubscription(&row))
}
