package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// claimKey is the key of a claim's row: identities have no zero byte.
func claimKey(i people.Identity, profile []byte) []byte {
	return append(append(identityKey(i), 0), profile...)
}

// putClaim stores a claim, or removes it.
func (w *writeTx) putClaim(people site, claim people.Claim, is bool) error {
	key := claimKey(claim.Identity, profileKey(claim.Profile))
	if !is {
		return people.removeRow(w, peopleClaims, key)
	}
	b, err := w.bucket(people.b, peopleClaims)
	if err != nil || b.Get(key) != nil {
		return err
	}
	return w.put(b, key, []byte{})
}

// claimants returns the keys of at most limit profiles that claim the identity.
func (s site) claimants(i people.Identity, limit int) (keys [][]byte) {
	b := s.b.Bucket([]byte(peopleClaims))
	if b == nil {
		return nil
	}
	prefix := claimKey(i, nil)
	c := b.Cursor()
	for k, _ := c.Seek(prefix); len(k) == len(prefix)+16 && bytes.HasPrefix(k, prefix) && len(keys) < limit; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k[len(prefix):]))
	}
	return keys
}

// EraseIdentity implements people.Store.
func (s *Store) EraseIdentity(ctx context.Context, name string, i people.Identity, limit int) (int, error) {
	n, err := write(ctx, s, func(w *writeTx) (int, error) {
		if err := w.unmoved(name); err != nil {
			return 0, err
		}
		people, ok := openPeople(w.tx, name)
		if !ok {
			return 0, nil
		}
		keys := people.claimants(i, limit)
		holder, err := people.get(peopleIdentities, identityKey(i))
		if err == nil && holder != nil {
			keys = append(keys, slices.Clone(holder))
		}
		if err != nil {
			s.report(err) // its claimants are erased all the same
		}
		for _, key := range keys {
			if err := w.eraseBy(people, i, key); err != nil {
				return 0, err
			}
		}
		return len(keys), nil
	})
	if err != nil {
		return 0, fmt.Errorf("erasing an identity of %s: %w", name, err)
	}
	return n, nil
}

// eraseBy erases the profile, or only its claim, and the rows that point to it.
func (w *writeTx) eraseBy(rows site, i people.Identity, key []byte) error {
	p, err := rows.profile(key)
	if err != nil {
		w.s.report(err)
		p = nil
	}
	return w.change(rows, people.EraseIdentity(p, profileID(key), i, rows.counted(w.s.report)))
}
