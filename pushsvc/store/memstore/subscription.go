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
	if err := s.enter(ctx); err != nil {
		return pushsvc.Subscription{}, err
	}
	defer s.mu.Unlock()
	sub.Site = s.current(sub.Site)
	s.pull(sub.Site, sub.Endpoint)
	if replaces != nil {
		s.pull(sub.Site, replaces.Endpoint)
	}
	st := s.makeSite(sub.Site)
	var proven pushsvc.Subscription
	if replaces != nil {
		proven = st.proven(*replaces)
	}
	row, former, ok := pushsvc.Resubscribe(sub, st.find(sub.Endpoint), proven)
	if ok {
		st.drop(former.ID)
		row = st.put(row)
	}
	return row, nil
}

// ImportSubscriptions implements pushsvc.SubscriptionStore.
func (s *Store) ImportSubscriptions(ctx context.Context, name string, subs []pushsvc.Subscription) (pushsvc.Imported, error) {
	if name == "" || len(name) > pushsvc.MaxSiteName || slices.ContainsFunc(subs, func(s pushsvc.Subscription) bool { return s.Endpoint == "" }) {
		return pushsvc.Imported{}, errors.New("importing subscriptions: one has no endpoint, or the site is not valid")
	}
	if err := s.enter(ctx); err != nil {
		return pushsvc.Imported{}, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	var n pushsvc.Imported
	for _, row := range subs {
		s.pull(name, row.Endpoint)
		st := s.makeSite(name)
		row.Site = name
		if row, ok := n.Merge(row, st.find(row.Endpoint)); ok {
			st.put(row)
		}
	}
	return n, nil
}

// put stores a row, with the next id where it has none.
func (st *site) put(row pushsvc.Subscription) pushsvc.Subscription {
	if row.ID == 0 {
		st.lastID++
		row.ID = st.lastID
	}
	st.subs[row.ID], st.ids[row.Endpoint] = row, row.ID
	return row
}

func (st *site) find(endpoint string) pushsvc.Subscription { return st.subs[st.ids[endpoint]] }

// drop removes a subscription, where it is there.
func (st *site) drop(id pushsvc.SubscriptionID) {
	if sub, ok := st.subs[id]; ok {
		delete(st.subs, id)
		if st.ids[sub.Endpoint] == id {
			delete(st.ids, sub.Endpoint)
		}
	}
}

func (st *site) proven(p pushsvc.Proof) pushsvc.Subscription {
	if sub := st.find(p.Endpoint); p.Proves(sub) {
		return sub
	}
	return pushsvc.Subscription{}
}

// DeleteSubscription implements pushsvc.SubscriptionStore.
func (s *Store) DeleteSubscription(ctx context.Context, name string, id pushsvc.SubscriptionID) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	st := s.sites[name]
	if st == nil || st.subs[id].ID == 0 {
		return pushsvc.ErrNotFound
	}
	st.drop(id)
	return nil
}

// DeleteProven implements pushsvc.SubscriptionStore.
func (s *Store) DeleteProven(ctx context.Context, name string, proof pushsvc.Proof) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	st := s.sites[name]
	if st == nil {
		return false, nil
	}
	s.pull(name, proof.Endpoint)
	sub := st.proven(proof)
	st.drop(sub.ID)
	return sub.ID != 0, nil
}

// SubscriptionPage implements pushsvc.SubscriptionStore.
func (s *Store) SubscriptionPage(ctx context.Context, name string, after pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	return s.page(name, after, ^pushsvc.SubscriptionID(0), limit), nil
}

// page gives rows with ids above after, up to and with until.
func (s *Store) page(name string, after, until pushsvc.SubscriptionID, limit int) []pushsvc.Subscription {
	st := s.sites[name]
	if st == nil {
		return nil
	}
	var page []pushsvc.Subscription
	for id := after + 1; id <= min(until, st.lastID) && id != 0 && len(page) < limit; id++ {
		if sub, ok := st.subs[id]; ok {
			page = append(page, sub)
		}
	}
	return page
}
