// Package memstore keeps everything that package pushsvc knows in memory, for
// tests and trials: what it holds ends with the process. It is the plain
// reading of the contract, against which the durable stores are compared.
package memstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
)

// Store is a store.Store in memory. It is empty and ready once it has a Clock. The
// contracts of its methods are those of the interfaces that make up a store.Store.
type Store struct {
	// Clock is the store's clock. It must not be changed once the store is in use.
	Clock func() time.Time

	mu     sync.Mutex
	closed bool
	sites  map[string]*site
	moves  map[string]*move // by the other name
	keys   map[string]pushsvc.Key
	secret []byte

	lastRevision pushsvc.Revision // of any setting or pop-up

	changes pushsvc.ChangeLog
	changed pushsvc.ChangeKinds // in the present transaction
}

// site is what belongs to one site. Rows are copied when they are stored, and
// results when a transaction returns them.
type site struct {
	s    *Store
	name string
	// What it is a site of, which it stays for good.
	hasSubs, hasPeople, hasSettings, hasPopups bool

	lastID   pushsvc.SubscriptionID
	subs     map[pushsvc.SubscriptionID]pushsvc.Subscription
	ids      map[string]pushsvc.SubscriptionID // by endpoint
	messages map[string]*message

	settings map[string]pushsvc.Setting
	popups   map[string]popup.Stored
	uploads  map[string]popup.Upload

	profiles    map[string]*people.Profile
	devices     map[pushsvc.DeviceID]string
	identities  map[people.Identity]string
	history     map[uint64][]people.EventRecord
	lastHistory uint64
	events      map[string]people.EventTotal
	hours       map[people.PopupStat]people.PopupHour // by pop-up and hour
	counts      people.Counts
}

// New makes an empty store with the clock of the machine.
func New() *Store { return &Store{Clock: time.Now} }

func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changes.Close()
	return nil
}

func (s *Store) Changes(ctx context.Context, since int64) (pushsvc.ChangeKinds, int64, error) {
	return s.changes.Changes(ctx, since)
}

// tx runs fn as a transaction, and returns a copy of its result. Sites that have
// nothing are gone after it.
func tx[T any](ctx context.Context, s *Store, fn func() (T, error)) (out T, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return out, pushsvc.ErrClosed
	}
	if err = ctx.Err(); err == nil {
		out, err = fn()
	}
	maps.DeleteFunc(s.sites, func(_ string, st *site) bool { return !st.there() })
	s.changes.Note(s.changed)
	s.changed = 0
	return copyOf(out), err
}

// on runs fn as a transaction on the site that the name means.
func on[T any](ctx context.Context, s *Store, name string, fn func(*site) (T, error)) (T, error) {
	return tx(ctx, s, func() (T, error) { return fn(s.site(s.current(name))) })
}

// do is on for a call without a result.
func (s *Store) do(ctx context.Context, name string, fn func(*site) error) error {
	_, err := on(ctx, s, name, func(st *site) (struct{}, error) { return struct{}{}, fn(st) })
	return err
}

// site is a site by its very name; it is new where it is not there.
func (s *Store) site(name string) *site {
	if s.sites[name] == nil {
		set(&s.sites, name, &site{s: s, name: name})
	}
	return s.sites[name]
}

func (st *site) there() bool { return st.hasSubs || st.hasPeople || st.hasSettings || st.hasPopups }

// list returns what row makes of the sites that have one, by name.
func list[T any](ctx context.Context, s *Store, row func(*site) (T, bool)) ([]T, error) {
	return tx(ctx, s, func() ([]T, error) {
		return rows(s.sites, func(name string, st *site) (T, bool) {
			out, there := row(st)
			return out, there && s.current(name) == name
		}), nil
	})
}

// EnsureKey implements pushsvc.KeyStore. generate must not call the store.
func (s *Store) EnsureKey(ctx context.Context, generate func() (pushsvc.Key, error)) (pushsvc.Key, error) {
	return tx(ctx, s, func() (pushsvc.Key, error) {
		key, err := pushsvc.CurrentKey(rows(s.keys, all), func() bool {
			return slices.ContainsFunc(rows(s.sites, all), func(st *site) bool { return len(st.subs) > 0 })
		})
		if !errors.Is(err, pushsvc.ErrRingEmpty) {
			return key, err
		}
		if key, err = generate(); err != nil {
			return key, fmt.Errorf("making a VAPID key: %w", err)
		}
		return s.addKey(key, true)
	})
}

// addKey puts the key into the ring.
func (s *Store) addKey(key pushsvc.Key, current bool) (pushsvc.Key, error) {
	key, err := pushsvc.AddKey(key, s.keys[key.ID], current, len(s.keys) > 0, s.Clock())
	if err != nil {
		return key, err
	}
	for id, other := range s.keys {
		other.Current = other.Current && !key.Current
		s.keys[id] = other
	}
	set(&s.keys, key.ID, key)
	s.changed |= pushsvc.ChangedKeys
	return key, nil
}

func (s *Store) ImportKey(ctx context.Context, key pushsvc.Key, current bool) (pushsvc.Key, error) {
	return tx(ctx, s, func() (pushsvc.Key, error) { return s.addKey(key, current) })
}

func (s *Store) Keys(ctx context.Context) ([]pushsvc.Key, error) {
	ring, err := tx(ctx, s, func() ([]pushsvc.Key, error) { return rows(s.keys, all), nil })
	pushsvc.SortKeys(ring)
	return ring, err
}

func (s *Store) Secret(ctx context.Context) ([]byte, error) {
	return tx(ctx, s, func() ([]byte, error) {
		if s.secret == nil {
			s.secret = make([]byte, 32)
			_, _ = rand.Read(s.secret) // never fails (crypto/rand, Go 1.24)
		}
		return s.secret, nil
	})
}

// Interface guard.
var _ store.Store = (*Store)(nil)
