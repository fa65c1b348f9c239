package memstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// EnsureKey implements pushsvc.KeyStore. generate must not call the store.
func (s *Store) EnsureKey(ctx context.Context, generate func() (pushsvc.Key, error)) (pushsvc.Key, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.Key{}, err
	}
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.Current {
			return k, nil
		}
	}
	for _, st := range s.sites {
		if len(st.subs) > 0 {
			return pushsvc.Key{}, pushsvc.ErrKeyLost
		}
	}
	key, err := generate()
	if err != nil {
		return pushsvc.Key{}, fmt.Errorf("making a VAPID key: %w", err)
	}
	return s.add(key, true), nil
}

// add puts the key into the ring, as the current one where that is asked for
// or where there is none.
func (s *Store) add(key pushsvc.Key, current bool) pushsvc.Key {
	if key.Created.IsZero() {
		now := time.Now
		if s.Clock != nil {
			now = s.Clock
		}
		key.Created = now()
	}
	isCurrent := func(k pushsvc.Key) bool { return k.Current }
	key.Created, key.Current = utc(key.Created), current || !slices.ContainsFunc(s.keys, isCurrent)
	for i := range s.keys {
		s.keys[i].Current = s.keys[i].Current && !key.Current
	}
	s.keys = append(s.keys, key)
	s.changes.Note(pushsvc.ChangedKeys)
	return key
}

// ImportKey implements pushsvc.KeyStore.
func (s *Store) ImportKey(ctx context.Context, key pushsvc.Key, current bool) (pushsvc.Key, error) {
	if key.ID == "" || len(key.ID) > 255 {
		return pushsvc.Key{}, errors.New("importing a VAPID key: no valid id")
	}
	if err := s.enter(ctx); err != nil {
		return pushsvc.Key{}, err
	}
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.keys, func(k pushsvc.Key) bool { return k.ID == key.ID })
	if i < 0 {
		return s.add(key, current), nil
	}
	there := s.keys[i]
	if there.Public != key.Public || there.Private != key.Private {
		return pushsvc.Key{}, errors.New("importing a VAPID key: the ring has another key pair with this id")
	}
	s.keys = slices.Delete(s.keys, i, i+1)
	return s.add(there, current || there.Current), nil
}

// Keys implements pushsvc.KeyStore.
func (s *Store) Keys(ctx context.Context) ([]pushsvc.Key, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	keys := slices.Clone(s.keys)
	slices.SortStableFunc(keys, func(a, b pushsvc.Key) int {
		switch {
		case a.Current:
			return -1
		case b.Current:
			return 1
		}
		return a.Created.Compare(b.Created)
	})
	return keys, nil
}

// Secret implements pushsvc.KeyStore.
func (s *Store) Secret(ctx context.Context) ([]byte, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if s.secret == nil {
		s.secret = make([]byte, 32)
		_, _ = rand.Read(s.secret) // never fails (crypto/rand, Go 1.24)
	}
	return slices.Clone(s.secret), nil
}
