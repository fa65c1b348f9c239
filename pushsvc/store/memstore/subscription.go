package memstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

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
	old, known := st.find(sub.Endpoint)
	var former pushsvc.Subscription
	if replaces != nil {
		former, _ = st.proven(*replaces)
	}
	refresh := known && old.Auth == sub.Auth
	if known && !refresh && former.ID != old.ID {
		return old, nil
	}
	row := sub
	row.Created, row.Seen = utc(sub.Created.Truncate(time.Second)), utc(sub.Seen.Truncate(time.Second))
	row.Expiration, row.Doubted = utc(sub.Expiration.Truncate(time.Millisecond)), time.Time{}
	if refresh {
		row.Created = old.Created
	}
	if former.ID != 0 {
		st.drop(former.ID)
		if !refresh || former.Created.Before(row.Created) {
			row.Created = former.Created
		}
	}
	for _, d := range []pushsvc.DeviceID{old.Device, former.Device} {
		if row.Device.IsZero() {
			row.Device = d
		}
	}
	if row.ID = cmp.Or(old.ID, former.ID); row.ID == 0 {
		st.lastID++
		row.ID = st.lastID
	}
	row.Topics = chosen(row.Topics, old.Topics, former.Topics)
	st.subs[row.ID], st.ids[row.Endpoint] = row, row.ID
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
		row.Site, row.Created, row.Seen = name, utc(row.Created.Truncate(time.Second)), utc(row.Seen.Truncate(time.Second))
		row.Expiration, row.Doubted = utc(row.Expiration.Truncate(time.Millisecond)), utc(row.Doubted.Truncate(time.Second))
		old, known := st.find(row.Endpoint)
		row.Device = old.Device
		switch {
		case known && old.Auth != row.Auth:
			n.Conflicting++
			continue
		case known && row.Seen.Before(old.Seen):
			n.Known++
			continue
		case known:
			n.Known++
			row.ID, row.Created = old.ID, old.Created
			if !row.Seen.After(old.Seen) {
				row.Doubted = old.Doubted
			}
		default:
			n.Added++
			st.lastID++
			row.ID = st.lastID
		}
		row.Topics = chosen(row.Topics, old.Topics)
		st.subs[row.ID], st.ids[row.Endpoint] = row, row.ID
	}
	return n, nil
}

// chosen copies the first of the choices that is one.
func chosen(choices ...[]string) []string {
	for _, c := range choices {
		if c != nil {
			return append([]string{}, c...)
		}
	}
	return nil
}

func (st *site) find(endpoint string) (pushsvc.Subscription, bool) {
	sub, ok := st.subs[st.ids[endpoint]]
	return sub, ok
}

// drop removes a subscription, where it is there.
func (st *site) drop(id pushsvc.SubscriptionID) {
	if sub, ok := st.subs[id]; ok {
		delete(st.subs, id)
		if st.ids[sub.Endpoint] == id {
			delete(st.ids, sub.Endpoint)
		}
	}
}

func (st *site) proven(p pushsvc.Proof) (pushsvc.Subscription, bool) {
	sub, ok := st.find(p.Endpoint)
	if !ok || sub.Auth != p.Auth {
		return pushsvc.Subscription{}, false
	}
	return sub, true
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
	sub, ok := st.proven(proof)
	st.drop(sub.ID)
	return ok, nil
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
