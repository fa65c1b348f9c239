package boltstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// PutSubscription implements pushsvc.SubscriptionStore. A new row replaces a
// damaged one and keeps its id.
func (s *Store) PutSubscription(ctx context.Context, sub pushsvc.Subscription, replaces *pushsvc.Proof) (pushsvc.Subscription, error) {
	if sub.Endpoint == "" {
		return pushsvc.Subscription{}, fmt.Errorf("storing a subscription of %s: it has no endpoint", sub.Site)
	}
	row, err := write(ctx, s, func(w *writeTx) (pushsvc.Subscription, error) {
		return w.putSubscription(sub, replaces)
	})
	if err != nil {
		return pushsvc.Subscription{}, fmt.Errorf("storing a subscription of %s: %w", sub.Site, err)
	}
	return row, nil
}

func (w *writeTx) putSubscription(sub pushsvc.Subscription, replaces *pushsvc.Proof) (pushsvc.Subscription, error) {
	st, err := w.makeSite(sub.Site)
	if err != nil {
		return pushsvc.Subscription{}, err
	}
	sub.Site = st.name
	if err := w.pull(st, sub.Endpoint); err != nil {
		return pushsvc.Subscription{}, err
	}
	if replaces != nil {
		if err := w.pull(st, replaces.Endpoint); err != nil {
			return pushsvc.Subscription{}, err
		}
	}
	old, err := w.find(st, sub.Endpoint)
	if err != nil {
		w.s.report(err)
		err = nil
	}
	var proven pushsvc.Subscription
	if replaces != nil {
		if proven, err = w.proven(st, *replaces); err != nil {
			w.s.report(err)
		}
	}
	row, former, ok := pushsvc.Resubscribe(sub, old, proven)
	if !ok {
		w.anyway = true
		return row, nil
	}
	if row.Device != old.Device {
		if err := w.unlink(st.name, old); err != nil {
			return pushsvc.Subscription{}, err
		}
	}
	if row.Device != former.Device || row.ID != former.ID {
		if err := w.unlink(st.name, former); err != nil {
			return pushsvc.Subscription{}, err
		}
	}
	return w.storeSubscription(st, row, former)
}

// storeSubscription writes the row, with a new id if it has none. It replaces the
// former row if the ids are equal, and otherwise removes it.
func (w *writeTx) storeSubscription(st site, row, former pushsvc.Subscription) (pushsvc.Subscription, error) {
	n := st.counts(w.s.report)
	before := n
	if former.ID != 0 && former.Endpoint != row.Endpoint {
		if err := w.remove(st, former.ID, former.Endpoint); err != nil {
			return pushsvc.Subscription{}, err
		}
		n.subscriptions = max(n.subscriptions, 1) - 1
	}
	switch row.ID {
	case 0:
		var err error
		if row.ID, err = w.newID(st); err != nil {
			return pushsvc.Subscription{}, err
		}
		w.index(st, indexKey(row.Endpoint), row.ID)
		n.subscriptions++
	case former.ID:
		if err := w.indexNow(st, indexKey(row.Endpoint), row.ID); err != nil {
			return pushsvc.Subscription{}, err
		}
		if former.Endpoint != row.Endpoint {
			n.subscriptions++
		}
	}
	payload := packSubscription(&row)
	key := idKey(row.ID)
	if err := st.put(w, siteSubs, key, payload); err != nil {
		return pushsvc.Subscription{}, err
	}
	if n != before {
		if err := st.putCounts(w, n); err != nil {
			return pushsvc.Subscription{}, err
		}
	}
	if err := w.link(row); err != nil {
		return pushsvc.Subscription{}, err
	}
	err := unpackSubscription(payload, &row) // as any later read returns it
	return row, err
}

// DeleteSubscription implements pushsvc.SubscriptionStore. It removes damaged
// rows too.
func (s *Store) DeleteSubscription(ctx context.Context, name string, id pushsvc.SubscriptionID) error {
	_, err := write(ctx, s, func(w *writeTx) (struct{}, error) {
		st, ok := openSite(w.tx, name)
		if !ok {
			return struct{}{}, pushsvc.ErrNotFound
		}
		removed, err := w.removeIDs(st, []pushsvc.SubscriptionID{id})
		if err == nil && removed == 0 {
			err = pushsvc.ErrNotFound
		}
		return struct{}{}, err
	})
	if err != nil {
		return fmt.Errorf("deleting subscription %d of %s: %w", id, name, err)
	}
	return nil
}

// removeIDs removes those of the ids that exist and returns their number.
func (w *writeTx) removeIDs(st site, ids []pushsvc.SubscriptionID) (removed int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	n := st.counts(w.s.report)
	for _, id := range ids {
		sub, err := st.subscription(idKey(id))
		var damage *DamageError
		switch {
		case errors.Is(err, pushsvc.ErrNotFound):
			continue
		case errors.As(err, &damage): // its index entry stays and points nowhere
		case err != nil:
			return 0, err
		}
		if err := w.remove(st, id, sub.Endpoint); err != nil {
			return 0, err
		}
		if err := w.unlink(st.name, sub); err != nil {
			return 0, err
		}
		n.subscriptions = max(n.subscriptions, 1) - 1
		removed++
	}
	if removed == 0 {
		return 0, nil
	}
	return removed, st.putCounts(w, n)
}

// DeleteProven implements pushsvc.SubscriptionStore.
func (s *Store) DeleteProven(ctx context.Context, name string, proof pushsvc.Proof) (bool, error) {
	found, err := write(ctx, s, func(w *writeTx) (bool, error) {
		w.anyway = true
		st, ok := openSite(w.tx, name)
		if !ok {
			return false, nil
		}
		if err := w.pull(st, proof.Endpoint); err != nil {
			return false, err
		}
		sub, err := w.proven(st, proof)
		if err != nil || sub.ID == 0 {
			return false, err
		}
		removed, err := w.removeIDs(st, []pushsvc.SubscriptionID{sub.ID})
		return removed == 1, err
	})
	if err != nil {
		return false, fmt.Errorf("deleting a subscription of %s: %w", name, err)
	}
	return found, nil
}

// SubscriptionPage implements pushsvc.SubscriptionStore. It skips damaged rows,
// reports them to Options.OnDamage and does not count them against the limit, so
// that an empty page always means the end.
func (s *Store) SubscriptionPage(ctx context.Context, name string, after pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	page, err := s.subscriptionPage(ctx, name, after, ^pushsvc.SubscriptionID(0), limit)
	if err != nil {
		return nil, fmt.Errorf("reading subscriptions of %s: %w", name, err)
	}
	return page, nil
}

// subscriptionPage reads rows with ids above after and up to until.
func (s *Store) subscriptionPage(ctx context.Context, name string, after, until pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	return read(ctx, s, func(tx *bolt.Tx) ([]pushsvc.Subscription, error) {
		st, ok := openSite(tx, name)
		if !ok || limit <= 0 || after+1 == 0 {
			return nil, nil
		}
		b := st.b.Bucket([]byte(siteSubs))
		if b == nil {
			return nil, nil
		}
		page := make([]pushsvc.Subscription, 0, min(limit, 4096))
		c, seed, last := b.Cursor(), newSeed(siteSubs, st.name), idKey(until)
		for k, v := c.Seek(idKey(after + 1)); k != nil && len(page) < limit && bytes.Compare(k, last) <= 0; k, v = c.Next() {
			page = append(page, pushsvc.Subscription{})
			if err := st.decode(seed, k, v, &page[len(page)-1]); err != nil {
				s.report(err)
				page = page[:len(page)-1]
				continue
			}
			if len(page)%1024 == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		return page, nil
	})
}

// Sites implements pushsvc.SubscriptionStore.
func (s *Store) Sites(ctx context.Context) ([]pushsvc.SiteSummary, error) {
	sites, err := read(ctx, s, func(tx *bolt.Tx) ([]pushsvc.SiteSummary, error) {
		var out []pushsvc.SiteSummary
		for _, st := range allSites(tx, s.report) {
			if current(tx, st.name) == st.name {
				out = append(out, st.summary(s.report))
			}
		}
		return out, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing sites: %w", err)
	}
	return sites, nil
}

// Site implements pushsvc.SubscriptionStore.
func (s *Store) Site(ctx context.Context, name string) (pushsvc.SiteSummary, error) {
	sum, err := read(ctx, s, func(tx *bolt.Tx) (pushsvc.SiteSummary, error) {
		st, ok := openSite(tx, name)
		if !ok {
			return pushsvc.SiteSummary{}, pushsvc.ErrNotFound
		}
		return st.summary(s.report), nil
	})
	if err != nil {
		return pushsvc.SiteSummary{}, fmt.Errorf("reading site %s: %w", name, err)
	}
	return sum, nil
}

// subscription reads one row.
func (s site) subscription(key []byte) (sub pushsvc.Subscription, err error) {
	b := s.b.Bucket([]byte(siteSubs))
	if b == nil {
		return sub, pushsvc.ErrNotFound
	}
	v := b.Get(key)
	if v == nil {
		return sub, pushsvc.ErrNotFound
	}
	if err := s.decode(newSeed(siteSubs, s.name), key, v, &sub); err != nil {
		return pushsvc.Subscription{}, err
	}
	return sub, nil
}

// decode checks a row and unpacks it; after an error sub is invalid.
func (s site) decode(seed seed, key, value []byte, sub *pushsvc.Subscription) error {
	if len(key) != 8 {
		return s.damage(siteSubs, key, errors.New("the key has the wrong length"))
	}
	payload, err := seed.unseal(key, value)
	if err == nil {
		err = unpackSubscription(payload, sub)
	}
	if err != nil {
		return s.damage(siteSubs, key, err)
	}
	sub.Site, sub.ID = s.name, pushsvc.SubscriptionID(binary.BigEndian.Uint64(key))
	return nil
}

// newID returns the site's next id.
func (w *writeTx) newID(st site) (pushsvc.SubscriptionID, error) {
	subs, err := w.bucket(st.b, siteSubs)
	if err != nil {
		return 0, err
	}
	w.touched = true
	id, err := subs.NextSequence()
	if err != nil {
		return 0, fmt.Errorf("making an id: %w", err)
	}
	return pushsvc.SubscriptionID(id), nil
}

// find returns the subscription with the endpoint, or the zero value. For a
// damaged row it returns the id alone, and the error.
func (w *writeTx) find(st site, endpoint string) (pushsvc.Subscription, error) {
	return w.findHash(st, indexKey(endpoint), endpoint)
}

func (w *writeTx) findHash(st site, h hash, endpoint string) (pushsvc.Subscription, error) {
	id := w.lookup(st, h)
	if id == 0 {
		return pushsvc.Subscription{}, nil
	}
	sub, err := st.subscription(idKey(id))
	switch {
	case errors.Is(err, pushsvc.ErrNotFound):
		return pushsvc.Subscription{}, nil
	case err != nil:
		return pushsvc.Subscription{ID: id}, err
	case sub.Endpoint != endpoint: // the index has no checksum; the row decides
		return pushsvc.Subscription{}, st.damage(siteIndex, nil, errors.New("an entry leads to another endpoint"))
	}
	return sub, nil
}

// proven returns the subscription that the proof is for, or the zero value.
func (w *writeTx) proven(st site, p pushsvc.Proof) (pushsvc.Subscription, error) {
	sub, err := w.find(st, p.Endpoint)
	if err != nil || !p.Proves(sub) {
		return pushsvc.Subscription{}, err
	}
	return sub, nil
}

// remove deletes a row and its index entry.
func (w *writeTx) remove(st site, id pushsvc.SubscriptionID, endpoint string) error {
	if endpoint != "" {
		if h := indexKey(endpoint); w.lookup(st, h) == id {
			if err := w.unindex(st, h); err != nil {
				return err
			}
		}
	}
	return w.delete(st.b.Bucket([]byte(siteSubs)), idKey(id))
}

func indexKey(endpoint string) (h hash) {
	sum := sha256.Sum256([]byte(endpoint))
	copy(h[:], sum[:])
	return h
}
