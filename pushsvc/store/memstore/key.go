package memstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// EnsureKey implements pushsvc.KeyStore. generate must not call the store.
func (s *Store) EnsureKey(ctx context.Context, generate func() (pushsvc.Key, error)) (key pushsvc.Key, err error) {
	err = s.tx(ctx, func() error {
		if i := slices.IndexFunc(s.keys, func(k pushsvc.Key) bool { return k.Current }); i >= 0 {
			key = s.keys[i]
			return nil
		}
		for _, st := range s.sites {
			if len(st.subs) > 0 {
				return pushsvc.ErrKeyLost
			}
		}
		made, err := generate()
		if err != nil {
			return fmt.Errorf("making a VAPID key: %w", err)
		}
		key, err = s.addKey(made, true)
		return err
	})
	return key, err
}

// addKey adds the key to the ring.
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
	for i := range s.keys {
		s.keys[i].Current = s.keys[i].Current && !key.Current
	}
	s.keys = append(s.keys, key)
	s.changes.Note(pushsvc.ChangedKeys)
	return key, nil
}

// ImportKey implements pushsvc.KeyStore.
func (s *Store) ImportKey(ctx context.Context, key pushsvc.Key, current bool) (row pushsvc.Key, err error) {
	err = s.tx(ctx, func() (err error) { row, err = s.addKey(key, current); return err })
	return row, err
}

// Keys implements pushsvc.KeyStore.
func (s *Store) Keys(ctx context.Context) (keys []pushsvc.Key, err error) {
	err = s.tx(ctx, func() error { keys = slices.Clone(s.keys); return nil })
	pushsvc.SortKeys(keys)
	return keys, err
}

// Secret implements pushsvc.KeyStore.
func (s *Store) Secret(ctx context.Context) (secret []byte, err error) {
	err = s.tx(ctx, func() error {
		if s.secret == nil {
			s.secret = make([]byte, 32)
			_, _ = rand.Read(s.secret) // never fails (crypto/rand, Go 1.24)
		}
		secret = slices.Clone(s.secret)
		return nil
	})
	return secret, err
}
