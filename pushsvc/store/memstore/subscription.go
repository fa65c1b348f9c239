package memstore

import (
	"context"
	"errors"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func (s *Store) PutSubscription(ctx context.Context, sub pushsvc.Subscription, replaces *pushsvc.Proof) (pushsvc.Subscription, error) {
	if sub.Endpoint == "" || sub.Site == "" || len(sub.Site) > pushsvc.MaxSiteName {
		return pushsvc.Subscription{}, errors.New("storing a subscription: no endpoint, or no valid site")
	}
	return on(ctx, s, sub.Site, func(st *site) (pushsvc.Subscription, error) {
		sub.Site = st.name
		row, former, ok := pushsvc.Resubscribe(sub, st.find(sub.Endpoint), st.proven(replaces))
		if ok {
			st.drop(former.ID)
			row = st.put(row)
		}
		return row, nil
	})
}

func (s *Store) ImportSubscriptions(ctx context.Context, name string, subs []pushsvc.Subscription) (pushsvc.Imported, error) {
	if name == "" || len(name) > pushsvc.MaxSiteName || slices.ContainsFunc(subs, func(s pushsvc.Subscription) bool { return s.Endpoint == "" }) {
		return pushsvc.Imported{}, errors.New("importing subscriptions: one has no endpoint, or the site is not valid")
	}
	return on(ctx, s, name, func(st *site) (n pushsvc.Imported, _ error) {
		for _, sub := range copyOf(subs) {
			sub.Site = st.name
			if row, ok := n.Merge(sub, st.find(sub.Endpoint)); ok {
				st.put(row)
			}
		}
		return n, nil
	})
}

// put stores a row, with the next id where it has none.
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

// proven finds the one that the proof holds; the zero value without one.
func (st *site) proven(p *pushsvc.Proof) pushsvc.Subscription {
	if p == nil || !p.Proves(st.find(p.Endpoint)) {
		return pushsvc.Subscription{}
	}
	return st.find(p.Endpoint)
}

// drop removes a subscription, if it is there.
func (st *site) drop(id pushsvc.SubscriptionID) {
	if endpoint := st.subs[id].Endpoint; st.ids[endpoint] == id {
		delete(st.ids, endpoint)
	}
	delete(st.subs, id)
}

// linked are the subscriptions of devices.
func (st *site) linked(devices ...pushsvc.DeviceID) []pushsvc.Subscription {
	return rows(st.subs, func(_ pushsvc.SubscriptionID, sub pushsvc.Subscription) (pushsvc.Subscription, bool) {
		return sub, !sub.Device.IsZero() && slices.Contains(devices, sub.Device)
	})
}

func (s *Store) DeleteSubscription(ctx context.Context, name string, id pushsvc.SubscriptionID) error {
	return s.do(ctx, name, func(st *site) error {
		_, err := find(st.subs, id)
		st.drop(id)
		return err
	})
}

func (s *Store) DeleteProven(ctx context.Context, name string, proof pushsvc.Proof) (bool, error) {
	return on(ctx, s, name, func(st *site) (bool, error) {
		id := st.proven(&proof).ID
		st.drop(id)
		return id != 0, nil
	})
}

func (s *Store) SubscriptionPage(ctx context.Context, name string, after pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	return s.RangePage(ctx, pushsvc.Range{Site: name, Until: ^pushsvc.SubscriptionID(0)}, after, limit)
}

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

func (st *site) summary() (pushsvc.SiteSummary, bool) {
	return pushsvc.SiteSummary{Site: st.name, Subscriptions: int64(len(st.subs)), Messages: int64(len(st.messages))}, st.hasSubs
}

func (s *Store) Sites(ctx context.Context) ([]pushsvc.SiteSummary, error) {
	return list(ctx, s, (*site).summary)
}

func (s *Store) Site(ctx context.Context, name string) (pushsvc.SiteSummary, error) {
	return on(ctx, s, name, func(st *site) (pushsvc.SiteSummary, error) {
		if row, there := st.summary(); there {
			return row, nil
		}
		return pushsvc.SiteSummary{}, pushsvc.ErrNotFound
	})
}
