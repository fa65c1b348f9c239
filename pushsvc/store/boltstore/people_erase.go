package boltstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// ErasePerson implements people.Store. After Compact the bytes are gone from the
// file.
func (s *Store) ErasePerson(ctx context.Context, name, id string) error {
	_, err := write(ctx, s, func(w *writeTx) (struct{}, error) {
		if err := w.unmoved(name); err != nil {
			return struct{}{}, err
		}
		people, p, err := findPerson(w.tx, name, id)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, w.erase(people, p)
	})
	if err != nil {
		return fmt.Errorf("erasing a profile of %s: %w", name, err)
	}
	return nil
}

func (w *writeTx) erase(rows site, p *people.Profile) error {
	return w.change(rows, p.Erase(rows.counted(w.s.report)))
}

// counted finds what the site counts of an event, for the rules; a damaged row is reported.
func (s site) counted(report func(error)) people.Counted {
	return func(name string) (have people.EventCount, ok bool) {
		ok, err := s.getJSON(peopleEvents, []byte(name), &have)
		if err != nil {
			report(err)
		}
		return have, ok && err == nil
	}
}

// unsubscribe removes the subscriptions of devices.
func (w *writeTx) unsubscribe(rows site, devices []pushsvc.DeviceID) error {
	st, ok := openSite(w.tx, rows.name)
	if !ok {
		return nil
	}
	for _, d := range devices {
		var ids []pushsvc.SubscriptionID
		for _, sub := range linked(rows, st, d, w.s.report) {
			ids = append(ids, sub.ID)
		}
		if _, err := w.removeIDs(st, ids); err != nil {
			return err
		}
	}
	return nil
}

// PruneHistory implements people.Store. It reads first, so that writers wait only
// for the deletions.
func (s *Store) PruneHistory(ctx context.Context, name string, before time.Time, limit int) (int, error) {
	old, err := read(ctx, s, func(tx *bolt.Tx) (old []uint64, err error) {
		people, ok := openPeople(tx, name)
		if !ok {
			return nil, nil
		}
		return people.oldHistory(before, limit, s.report), nil
	})
	if err == nil && len(old) > 0 {
		_, err = write(ctx, s, func(w *writeTx) (struct{}, error) {
			rows, ok := openPeople(w.tx, name)
			if !ok {
				return struct{}{}, nil
			}
			return struct{}{}, w.change(rows, people.Change{DropHistory: old})
		})
	}
	if err != nil {
		return 0, fmt.Errorf("removing old events of %s: %w", name, err)
	}
	return len(old), nil
}

// oldHistory returns rows whose events are all older. Rows are in the order of
// arrival; a damaged one counts as old as its neighbours.
func (s site) oldHistory(before time.Time, limit int, report func(error)) (old []uint64) {
	b := s.b.Bucket([]byte(peopleHistory))
	if b == nil {
		return nil
	}
	var damaged []uint64
	c := b.Cursor()
	for k, _ := c.First(); len(k) == 8 && len(old) < limit; k, _ = c.Next() {
		var records []people.EventRecord
		if _, err := s.getJSON(peopleHistory, k, &records); err != nil {
			report(err)
			damaged = append(damaged, seqOf(k))
			continue
		}
		if !people.AllBefore(records, before) {
			return old
		}
		old = append(append(old, damaged...), seqOf(k))
		damaged = nil
	}
	return old
}

func seqOf(key []byte) (n uint64) {
	for _, b := range key {
		n = n<<8 | uint64(b)
	}
	return n
}

// eraseBatch is how many profiles are erased in one transaction, since each may
// have some 200 kB and other writes wait meanwhile.
const eraseBatch = 8

// PruneAnonymous implements people.Store.
func (s *Store) PruneAnonymous(ctx context.Context, name, after string, before time.Time, limit int) (next string, removed int, err error) {
	type seen struct {
		next string
		old  []string
	}
	page, err := read(ctx, s, func(tx *bolt.Tx) (out seen, err error) {
		rows, ok := openPeople(tx, name)
		if !ok || limit <= 0 {
			return out, nil
		}
		n := 0
		rows.eachProfile(profileKey(after), s.report, func(p *people.Profile) bool {
			n++
			if !p.Known() && p.Seen.Before(before) {
				out.old = append(out.old, p.ID)
			}
			if n == limit {
				out.next = p.ID
			}
			return n < limit
		})
		return out, nil
	})
	for ids := range slices.Chunk(page.old, eraseBatch) {
		if err != nil {
			break
		}
		var n int
		n, err = write(ctx, s, func(w *writeTx) (int, error) { return w.pruneAnonymous(name, ids, before) })
		removed += n
	}
	if err != nil {
		return "", 0, fmt.Errorf("removing old profiles of %s: %w", name, err)
	}
	return page.next, removed, nil
}

func (w *writeTx) pruneAnonymous(name string, ids []string, before time.Time) (removed int, err error) {
	st, _ := openSite(w.tx, name)
	for _, id := range ids {
		rows, p, err := findPerson(w.tx, name, id)
		switch {
		case errors.Is(err, pushsvc.ErrNotFound):
			continue
		case err != nil:
			return removed, err
		case !p.Prunable(before, func(d pushsvc.DeviceID) bool { return isSubscribed(rows, st, d, w.s.report) }):
			continue
		}
		if err := w.erase(rows, p); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
