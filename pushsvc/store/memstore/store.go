// Package memstore keeps all data of package pushsvc in memory, for tests and trials: it is lost
// when the process ends. It is the simplest implementation of the contract, with which the durable
// stores are compared.
package memstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
)

// Store is a store.Store in memory. The zero value is empty and ready.
type Store struct {
	// Clock is the store's clock; nil is time.Now. It must not be changed once
	// the store is in use.
	Clock func() time.Time

	mu     sync.Mutex
	closed bool
	sites  map[string]*site
	moves  map[string]*move // by the other name
	keys   []pushsvc.Key
	secret []byte
	// The highest revisions of removed sites.
	lastSetting, lastPopup pushsvc.Revision

	changes pushsvc.ChangeLog
}

// site is everything that belongs to one site. Rows are texts, or are copied, so that no caller
// changes what is stored.
type site struct {
	s    *Store
	name string
	// The kinds of data that the site has ever had: a flag is never cleared.
	hasSubs, hasPeople, hasSettings, hasPopups bool

	lastID   pushsvc.SubscriptionID
	subs     map[pushsvc.SubscriptionID]pushsvc.Subscription
	ids      map[string]pushsvc.SubscriptionID // by endpoint
	messages map[string]*message
	idem     map[string]record // by the client's key

	settings    map[string]pushsvc.Setting
	lastSetting pushsvc.Revision
	popups      map[string][]byte
	uploads     map[string]popup.Upload
	lastPopup   pushsvc.Revision

	peopleRows
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

// now returns the time of the store's clock.
func (s *Store) now() time.Time {
	if s.Clock != nil {
		return s.Clock()
	}
	return time.Now()
}

// tx runs fn as a transaction.
func (s *Store) tx(ctx context.Context, fn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return pushsvc.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return fn()
}

// on runs fn as a transaction on the site that the name refers to.
func on[T any](ctx context.Context, s *Store, name string, fn func(*site) (T, error)) (out T, err error) {
	err = s.tx(ctx, func() (err error) {
		st := s.raw(s.current(name))
		out, err = fn(st)
		if !st.there() {
			delete(s.sites, st.name)
		}
		return err
	})
	return out, err
}

// do is on for a call without a result.
func (s *Store) do(ctx context.Context, name string, fn func(*site) error) error {
	_, err := on(ctx, s, name, func(st *site) (struct{}, error) { return struct{}{}, fn(st) })
	return err
}

// raw returns a site by its literal name; it is made if it does not exist.
func (s *Store) raw(name string) *site {
	if st := s.sites[name]; st != nil {
		return st
	}
	st := &site{s: s, name: name, lastSetting: s.lastSetting, lastPopup: s.lastPopup}
	set(&s.sites, name, st)
	return st
}

func (st *site) there() bool { return st.hasSubs || st.hasPeople || st.hasSettings || st.hasPopups }

// list returns a row for each site that has something, by name.
func list[T any](ctx context.Context, s *Store, has func(*site) bool, row func(*site) T) (all []T, err error) {
	err = s.tx(ctx, func() error {
		for _, name := range sortedKeys(s.sites) {
			if st := s.sites[name]; has(st) && s.current(name) == name {
				all = append(all, row(st))
			}
		}
		return nil
	})
	return all, err
}

// set is m[key] = value for a map that may be nil.
func set[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}

// sortedKeys returns the keys of a map in rising order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Interface guards.
var _ store.Store = (*Store)(nil)
