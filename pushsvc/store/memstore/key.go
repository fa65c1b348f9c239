package memstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

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
	return s.addKey(key, true)
}

// addKey puts the key into the ring.
func (s *Store) addKey(key pushsvc.Key, current bool) (pushsvc.Key, error) {
	known := pushsvc.Key{}
	i := slices.IndexFunc(s.keys, func(k pushsvc.Key) bool { return k.ID == key.ID })
	if i >= 0 {
		known = s.keys[i]
	}
	key, err := pushsvc.AddKey(key, known, current, len(s.keys) > 0, s.now())
	if err != nil {
		return pushsvc.Key{}, err
	}
	if i >= 0 {
		s.keys = slices.Delete(s.keys, i, i+1)
	}
	if key.Current {
		for i := range s.keys {
			s.keys[i].Current = false
		}
	}
	s.keys = append(s.keys, key)
	s.changes.Note(pushsvc.ChangedKeys)
	return key, nil
}

// ImportKey implements pushsvc.KeyStore.
func (s *Store) ImportKey(ctx context.Context, key pushsvc.Key, current bool) (pushsvc.Key, error) {
	if err := pushsvc.CheckKey(key); err != nil {
		return pushsvc.Key{}, fmt.Errorf("importing a VAPID key: %w", err)
	}
	if err := s.enter(ctx); err != nil {
		return pushsvc.Key{}, err
	}
	defer s.mu.Unlock()
	return s.addKey(key, current)
}

// Keys implements pushsvc.KeyStore.
func (s *Store) Keys(ctx context.Context) ([]pushsvc.Key, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	keys := slices.Clone(s.keys)
	pushsvc.SortKeys(keys)
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
