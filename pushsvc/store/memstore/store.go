// Package memstore keeps everything that package pushsvc knows in memory, for
// tests and trials: what it holds ends with the process. It is the plain
// reading of the contract, against which the durable stores are compared.
package memstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
)

// Store is a store.Store in memory. The zero value is empty and ready.
type Store struct {
	// Clock dates keys that come without a date; nil is time.Now. It must not
	// be changed once the store is in use.
	Clock func() time.Time

	mu     sync.Mutex
	closed bool
	sites  map[string]*site
	people map[string]*peopleRows
	keys   []pushsvc.Key
	secret []byte

	settings map[string]*settings // by site
	popups   map[string]*popups   // by site
	moves    map[string]*move     // by the other name
	// The highest revisions of sites that were removed.
	lastSetting, lastPopup pushsvc.Revision

	changes pushsvc.ChangeLog
}

// site is what belongs to one site.
type site struct {
	lastID   pushsvc.SubscriptionID
	subs     map[pushsvc.SubscriptionID]pushsvc.Subscription
	ids      map[string]pushsvc.SubscriptionID // by endpoint
	messages map[string]*message
	idem     map[string]record
}

type message struct {
	pushsvc.Message
	parts map[int]*part // by number, with the LaterRange
	later map[pushsvc.SubscriptionID]pushsvc.Retry

	receipts map[pushsvc.Receipt]bool
}

// part is one range of a message.
type part struct {
	pushsvc.RangeRow
	notes map[pushsvc.SubscriptionID]pushsvc.Outcome
}

type record struct {
	pushsvc.Idempotency
	message string
}

// New makes an empty store.
func New() *Store { return &Store{} }

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changes.Close()
	return nil
}

// Changes implements pushsvc.ChangeStore.
func (s *Store) Changes(ctx context.Context, since int64) (pushsvc.ChangeKinds, int64, error) {
	return s.changes.Changes(ctx, since)
}

// now is the store's clock.
func (s *Store) now() time.Time {
	if s.Clock != nil {
		return s.Clock()
	}
	return time.Now()
}

// enter begins a transaction; the caller unlocks s.mu where it gives no error.
func (s *Store) enter(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return pushsvc.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		s.mu.Unlock()
		return err
	}
	return nil
}

func (s *Store) makeSite(name string) *site {
	if st := s.sites[name]; st != nil {
		return st
	}
	if s.sites == nil {
		s.sites = map[string]*site{}
	}
	st := &site{
		subs:     map[pushsvc.SubscriptionID]pushsvc.Subscription{},
		ids:      map[string]pushsvc.SubscriptionID{},
		messages: map[string]*message{},
		idem:     map[string]record{},
	}
	s.sites[name] = st
	return st
}

func (st *site) summary(name string) pushsvc.SiteSummary {
	return pushsvc.SiteSummary{Site: name, Subscriptions: int64(len(st.subs)), Messages: int64(len(st.messages))}
}

// Sites implements pushsvc.SubscriptionStore.
func (s *Store) Sites(ctx context.Context) ([]pushsvc.SiteSummary, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var out []pushsvc.SiteSummary
	for name, st := range s.sites {
		if s.current(name) != name {
			continue
		}
		out = append(out, st.summary(name))
	}
	slices.SortFunc(out, func(a, b pushsvc.SiteSummary) int { return cmp.Compare(a.Site, b.Site) })
	return out, nil
}

// Site implements pushsvc.SubscriptionStore.
func (s *Store) Site(ctx context.Context, name string) (pushsvc.SiteSummary, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.SiteSummary{}, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	st := s.sites[name]
	if st == nil {
		return pushsvc.SiteSummary{}, pushsvc.ErrNotFound
	}
	return st.summary(name), nil
}

// sortedKeys gives the keys of a map in rising order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}

// utc drops what no store keeps: the zone and the monotonic clock.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0)
}

// Interface guards.
var _ store.Store = (*Store)(nil)
