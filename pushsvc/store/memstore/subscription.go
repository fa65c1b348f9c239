package memstore

import (
	"context"
	"errors"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// PutSubscription implements pushsvc.SubscriptionStore.
func (s *Store) PutSubscription(ctx context.Context, sub pushsvc.Subscription, replaces *pushsvc.Proof) (pushsvc.Subscription, error) {
	if sub.Endpoint == "" || sub.Site == "" || len(sub.Site) > pushsvc.MaxSiteName {
		return pushsvc.Subscription{}, errors.New("storing a subscription: no endpoint, or no valid site")
	}
	return on(ctx, s, sub.Site, func(st *site) (pushsvc.Subscription, error) {
		st.pull(sub.Endpoint)
		var proven pushsvc.Subscription
		if replaces != nil {
			st.pull(replaces.Endpoint)
			proven = st.proven(*replaces)
		}
		sub.Site = st.name
		row, former, ok := pushsvc.Resubscribe(sub, st.find(sub.Endpoint), proven)
		if ok {
			st.drop(former.ID)
			row = st.put(row)
		}
		return row, nil
	})
}

// ImportSubscriptions implements pushsvc.SubscriptionStore.
func (s *Store) ImportSubscriptions(ctx context.Context, name string, subs []pushsvc.Subscription) (n pushsvc.Imported, err error) {
	if name == "" || len(name) > pushsvc.MaxSiteName || slices.ContainsFunc(subs, func(s pushsvc.Subscription) bool { return s.Endpoint == "" }) {
		return n, errors.New("importing subscriptions: one has no endpoint, or the site is not valid")
	}
	err = s.do(ctx, name, func(st *site) error {
		for _, row := range subs {
			st.pull(row.Endpoint)
			row.Site = st.name
			if row, ok := n.Merge(row, st.find(row.Endpoint)); ok {
				st.put(row)
			}
		}
		return nil
	})
	return n, err
}

// put stores a row, with the next id if it has none.
func (st *site) put(row pushsvc.Subscription) pushsvc.Subscription {
	st.hasSubs = true
	if row.ID == 0 {
		st.lastID++
		row.ID = st.lastID
	}
	set(&st.subs, row.ID, row)
	set(&st.ids, row.Endpoint, row.ID)
	return row
}

func (st *site) find(endpoint string) pushsvc.Subscription { return st.subs[st.ids[endpoint]] }

func (st *site) proven(p pushsvc.Proof) pushsvc.Subscription {
	if sub := st.find(p.Endpoint); p.Proves(sub) {
		return sub
	}
	return pushsvc.Subscription{}
}

// drop removes a subscription, and reports whether it existed.
func (st *site) drop(id pushsvc.SubscriptionID) bool {
	sub, ok := st.subs[id]
	delete(st.subs, id)
	if ok && st.ids[sub.Endpoint] == id {
		delete(st.ids, sub.Endpoint)
	}
	return ok
}

// linked returns the subscriptions of a device.
func (st *site) linked(device pushsvc.DeviceID) (subs []pushsvc.Subscription) {
	for _, id := range sortedKeys(st.subs) {
		if sub := st.subs[id]; sub.Device == device && !device.IsZero() {
			subs = append(subs, sub)
		}
	}
	return subs
}

// DeleteSubscription implements pushsvc.SubscriptionStore.
func (s *Store) DeleteSubscription(ctx context.Context, name string, id pushsvc.SubscriptionID) error {
	return s.do(ctx, name, func(st *site) error {
		if !st.drop(id) {
			return pushsvc.ErrNotFound
		}
		return nil
	})
}

// DeleteProven implements pushsvc.SubscriptionStore.
func (s *Store) DeleteProven(ctx context.Context, name string, proof pushsvc.Proof) (bool, error) {
	return on(ctx, s, name, func(st *site) (bool, error) {
		st.pull(proof.Endpoint)
		return st.drop(st.proven(proof).ID), nil
	})
}

// SubscriptionPage implements pushsvc.SubscriptionStore.
func (s *Store) SubscriptionPage(ctx context.Context, name string, after pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	return s.RangePage(ctx, pushsvc.Range{Site: name, Until: ^pushsvc.SubscriptionID(0)}, after, limit)
}

// RangePage implements pushsvc.MessageStore.
func (s *Store) RangePage(ctx context.Context, r pushsvc.Range, after pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	return on(ctx, s, r.Site, func(st *site) (page []pushsvc.Subscription, _ error) {
		for id := max(after, r.Cursor) + 1; id != 0 && id <= min(r.Until, st.lastID) && len(page) < limit; id++ {
			if sub, ok := st.subs[id]; ok {
				page = append(page, sub)
			}
		}
		return page, nil
	})
}

func (st *site) summary() pushsvc.SiteSummary {
	return pushsvc.SiteSummary{Site: st.name, Subscriptions: int64(len(st.subs)), Messages: int64(len(st.messages))}
}

// Sites implements pushsvc.SubscriptionStore.
func (s *Store) Sites(ctx context.Context) ([]pushsvc.SiteSummary, error) {
	return list(ctx, s, func(st *site) bool { return st.hasSubs }, (*site).summary)
}

// Site implements pushsvc.SubscriptionStore.
func (s *Store) Site(ctx context.Context, name string) (pushsvc.SiteSummary, error) {
	return on(ctx, s, name, func(st *site) (pushsvc.SiteSummary, error) {
		if !st.hasSubs {
			return pushsvc.SiteSummary{}, pushsvc.ErrNotFound
		}
		return st.summary(), nil
	})
}
