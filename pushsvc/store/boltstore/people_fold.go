package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// FoldPopups implements people.Store. It reads first, so that writers wait only
// for the changes.
func (s *Store) FoldPopups(ctx context.Context, name string, before time.Time, limit int) (int, error) {
	old, err := read(ctx, s, func(tx *bolt.Tx) ([][]byte, error) {
		people, ok := openPeople(tx, name)
		if !ok {
			return nil, nil
		}
		return people.oldHours(before.Unix()/3600, limit), nil
	})
	if err == nil && len(old) > 0 {
		_, err = write(ctx, s, func(w *writeTx) (struct{}, error) {
			people, ok := openPeople(w.tx, name)
			if !ok {
				return struct{}{}, nil
			}
			return struct{}{}, w.foldHours(people, old)
		})
	}
	if err != nil {
		return 0, fmt.Errorf("folding old counters of pop-ups of %s: %w", name, err)
	}
	return len(old), nil
}

// popupOf splits a key of peoplePopups; false if it is invalid.
func popupOf(key []byte) (popup string, hour int64, ok bool) {
	end := len(key) - 9
	if end < 0 || key[end] != 0 {
		return "", 0, false
	}
	return string(key[:end]), int64(binary.BigEndian.Uint64(key[end+1:])), true
}

// oldHours returns the keys of hours before the given one.
func (s site) oldHours(before int64, limit int) (old [][]byte) {
	b := s.b.Bucket([]byte(peoplePopups))
	if b == nil {
		return nil
	}
	c := b.Cursor()
	for k, _ := c.First(); k != nil && len(old) < limit; {
		popup, hour, ok := popupOf(k)
		switch {
		case ok && hour > 0 && hour < before:
			old = append(old, bytes.Clone(k))
			k, _ = c.Next()
		case ok && hour >= before: // all following ones too, up to the next pop-up
			k, _ = c.Seek([]byte(popup + "\x01"))
		default:
			k, _ = c.Next()
		}
	}
	return old
}

// foldHours adds rows to their pop-ups' people.FoldedHour. A damaged row counts
// as zero, as it does when it is read.
func (w *writeTx) foldHours(st site, keys [][]byte) error {
	total, current := people.PopupHour(nil), ""
	load := func(key []byte) (hour people.PopupHour) {
		if _, err := st.getJSON(peoplePopups, key, &hour); err != nil {
			w.s.report(err)
			return nil
		}
		return hour
	}
	for i, key := range keys {
		popup, _, _ := popupOf(key)
		if i == 0 || popup != current {
			total, current = load(popupKey(popup, 0)), popup
		}
		total = total.Fold(load(key))
		if err := st.removeRow(w, peoplePopups, key); err != nil {
			return err
		}
		next := ""
		if i+1 < len(keys) {
			next, _, _ = popupOf(keys[i+1])
		}
		if next == popup || len(total) == 0 {
			continue
		}
		if err := st.putJSON(w, peoplePopups, popupKey(popup, 0), total); err != nil {
			return err
		}
	}
	return nil
}
