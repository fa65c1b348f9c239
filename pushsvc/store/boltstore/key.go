package boltstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// secretSize is the length of the secret that signs receipt tokens, in bytes.
const secretSize = 32

// keyRow is a stored key pair.
type keyRow struct {
	Public  string    `json:"public"`
	Private string    `json:"private"`
	Created time.Time `json:"created"`
}

// EnsureKey implements pushsvc.KeyStore. It may call generate without using the
// key, if another caller is faster.
func (s *Store) EnsureKey(ctx context.Context, generate func() (pushsvc.Key, error)) (pushsvc.Key, error) {
	key, err := read(ctx, s, func(tx *bolt.Tx) (pushsvc.Key, error) { return s.ensureKey(tx) })
	switch {
	case err == nil:
		return key, nil
	case !errors.Is(err, pushsvc.ErrRingEmpty):
		return pushsvc.Key{}, fmt.Errorf("reading the VAPID key: %w", err)
	}
	key, err = generate()
	if err != nil {
		return pushsvc.Key{}, fmt.Errorf("making a VAPID key: %w", err)
	}
	key, err = write(ctx, s, func(w *writeTx) (pushsvc.Key, error) {
		there, err := s.ensureKey(w.tx)
		if !errors.Is(err, pushsvc.ErrRingEmpty) {
			return there, err
		}
		return w.putKey(key, true)
	})
	if err != nil {
		return pushsvc.Key{}, fmt.Errorf("storing a VAPID key: %w", err)
	}
	return key, nil
}

// ensureKey returns the current key, or an error of pushsvc.CurrentKey.
func (s *Store) ensureKey(tx *bolt.Tx) (pushsvc.Key, error) {
	id, err := metaGet(tx, metaCurrent)
	if err != nil {
		return pushsvc.Key{}, err
	}
	var ring []pushsvc.Key
	if id != nil {
		key, err := readKey(tx, string(id))
		switch {
		case err == nil:
			key.Current = true
			ring = []pushsvc.Key{key}
		case !errors.Is(err, pushsvc.ErrNotFound):
			return pushsvc.Key{}, err
		}
	}
	return pushsvc.CurrentKey(ring, func() bool { return subscribed(tx, s.report) })
}

// subscribed reports whether any site has a subscription.
func subscribed(tx *bolt.Tx, report func(error)) bool {
	for _, st := range allSites(tx, report) {
		if st.counts(report).subscriptions > 0 || st.lastID() != 0 {
			return true
		}
	}
	return false
}

// ImportKey implements pushsvc.KeyStore.
func (s *Store) ImportKey(ctx context.Context, key pushsvc.Key, current bool) (pushsvc.Key, error) {
	row, err := write(ctx, s, func(w *writeTx) (pushsvc.Key, error) { return w.putKey(key, current) })
	if err != nil {
		return pushsvc.Key{}, fmt.Errorf("importing VAPID key %q: %w", key.ID, err)
	}
	return row, nil
}

// Keys implements pushsvc.KeyStore. It skips a damaged key and reports it to
// Options.OnDamage.
func (s *Store) Keys(ctx context.Context) ([]pushsvc.Key, error) {
	keys, err := read(ctx, s, func(tx *bolt.Tx) (keys []pushsvc.Key, err error) {
		current, err := metaGet(tx, metaCurrent)
		if err != nil {
			return nil, err
		}
		c := tx.Bucket([]byte(bucketKeys)).Cursor()
		for id, _ := c.First(); id != nil; id, _ = c.Next() {
			key, err := readKey(tx, string(id))
			if err != nil {
				s.report(err)
				continue
			}
			key.Current = bytes.Equal(id, current)
			keys = append(keys, key)
		}
		return keys, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the VAPID keys: %w", err)
	}
	pushsvc.SortKeys(keys)
	return keys, nil
}

// Secret implements pushsvc.KeyStore.
func (s *Store) Secret(ctx context.Context) ([]byte, error) {
	secret, err := s.readSecret(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the secret of receipts: %w", err)
	}
	return secret, nil
}

// readSecret reads the secret, or makes it.
func (s *Store) readSecret(ctx context.Context) ([]byte, error) {
	get := func(tx *bolt.Tx) ([]byte, error) {
		v, err := metaGet(tx, metaSecret)
		return bytes.Clone(v), err
	}
	secret, err := read(ctx, s, get)
	if err == nil && secret == nil {
		generated := make([]byte, secretSize)
		_, _ = rand.Read(generated) // never fails (crypto/rand, Go 1.24)
		secret, err = write(ctx, s, func(w *writeTx) ([]byte, error) {
			if there, err := get(w.tx); err != nil || there != nil {
				return there, err
			}
			return generated, w.metaPut(metaSecret, generated)
		})
	}
	return secret, err
}

// putKey adds the pair to the ring. It replaces a damaged row with the same id.
func (w *writeTx) putKey(key pushsvc.Key, current bool) (pushsvc.Key, error) {
	known, err := readKey(w.tx, key.ID)
	var damage *DamageError
	if err != nil && !errors.Is(err, pushsvc.ErrNotFound) && !errors.As(err, &damage) {
		return pushsvc.Key{}, err
	}
	id, err := metaGet(w.tx, metaCurrent)
	if err != nil && !current {
		return pushsvc.Key{}, err
	}
	haveCurrent := false
	if id != nil {
		_, err := readKey(w.tx, string(id)) // a damaged or lost key can't be used for subscribing
		haveCurrent, known.Current = err == nil, known.ID != "" && known.ID == string(id)
	}
	if key, err = pushsvc.AddKey(key, known, current, haveCurrent, w.s.clock()); err != nil {
		return pushsvc.Key{}, err
	}
	text, err := json.Marshal(keyRow{key.Public, key.Private.Reveal(), key.Created})
	if err != nil {
		return pushsvc.Key{}, errors.New("encoding the key failed") // err might quote it
	}
	row := newSeed(bucketKeys, "").seal([]byte(key.ID), text)
	w.changed |= pushsvc.ChangedKeys
	if err := w.put(w.tx.Bucket([]byte(bucketKeys)), []byte(key.ID), row); err != nil {
		return pushsvc.Key{}, err
	}
	if key.Current {
		if err := w.metaPut(metaCurrent, []byte(key.ID)); err != nil {
			return pushsvc.Key{}, err
		}
	}
	return key, nil
}

func readKey(tx *bolt.Tx, id string) (pushsvc.Key, error) {
	v := tx.Bucket([]byte(bucketKeys)).Get([]byte(id))
	if v == nil {
		return pushsvc.Key{}, pushsvc.ErrNotFound
	}
	where := fmt.Sprintf("bucket %q, id %s", bucketKeys, printable([]byte(id)))
	text, err := newSeed(bucketKeys, "").unseal([]byte(id), v)
	if err != nil {
		return pushsvc.Key{}, &DamageError{Where: where, Err: err}
	}
	var row keyRow
	if err := json.Unmarshal(text, &row); err != nil {
		return pushsvc.Key{}, &DamageError{Where: where, Err: errors.New("the row is malformed")}
	}
	return pushsvc.Key{ID: id, Public: row.Public, Private: pushsvc.Secret(row.Private), Created: row.Created}, nil
}

// metaGet reads a row of bucket "meta"; nil without a row.
func metaGet(tx *bolt.Tx, name string) ([]byte, error) {
	v := tx.Bucket([]byte(bucketMeta)).Get([]byte(name))
	if v == nil {
		return nil, nil
	}
	p, err := newSeed(bucketMeta, "").unseal([]byte(name), v)
	if err != nil {
		return nil, &DamageError{Where: fmt.Sprintf("bucket %q, row %q", bucketMeta, name), Err: err}
	}
	return p, nil
}

func (w *writeTx) metaPut(name string, value []byte) error {
	return w.put(w.tx.Bucket([]byte(bucketMeta)), []byte(name), newSeed(bucketMeta, "").seal([]byte(name), value))
}
