package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// siteTops are the buckets at the top of the file that have a bucket for each
// site. They hold all data of a site, except for its rows of bucket "unfinished",
// the notes of its messages, and the index entries that wait in memory.
var siteTops = []string{bucketSites, bucketPeople, bucketSettings, bucketPopups}

// bucketRemoved has removed sites that are not yet swept: number8 → top → site
// name → the site's bucket, unchanged. Older files have none; older programs
// ignore it.
const bucketRemoved = "removed"

// tops calls fn with each of a site's buckets.
func tops(tx *bolt.Tx, name string, fn func(top string, st site) error) error {
	for _, top := range siteTops {
		if st, ok := rawIn(tx, top, name); ok {
			if err := fn(top, st); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachRow calls fn with each row of a bucket and of the buckets in it, and with
// each inner bucket after its rows, with v nil. path names the buckets around it,
// from the outside in. It ends when fn returns false.
func eachRow(b *bolt.Bucket, path [][]byte, fn func(path [][]byte, k, v []byte) bool) bool {
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if v == nil && !eachRow(b.Bucket(k), append(path[:len(path):len(path)], k), fn) {
			return false
		}
		if !fn(path, k, v) {
			return false
		}
	}
	return true
}

// RemoveSite implements pushsvc.SiteStore. It moves the sites' buckets, which
// takes the same time for a million rows as for one.
func (s *Store) RemoveSite(ctx context.Context, names ...string) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return fmt.Errorf("removing sites %q: %w", names, pushsvc.ErrClosed)
	}
	o := &op{ctx: ctx, done: make(chan struct{}), alone: func() error { return s.removeSites(names) }}
	if err := s.await(o); err != nil {
		return fmt.Errorf("removing sites %q: %w", names, err)
	}
	return nil
}

// removeSites runs in the committer, in its own transaction: a bucket that has
// been changed in the same transaction would lose the changes.
func (s *Store) removeSites(names []string) error {
	var unfinished map[string][]string // by site
	o := &op{ctx: context.Background(), done: make(chan struct{}), run: func(w *writeTx) (err error) {
		unfinished, err = w.removeSites(names)
		return err
	}}
	if _, err := s.attempt([]*op{o}); err != nil {
		return err
	}
	if o.err != nil {
		return o.err
	}
	for _, name := range names {
		s.recent.forget(name)
		for _, id := range unfinished[name] {
			s.notes.forget(name, id)
		}
	}
	return nil
}

func (w *writeTx) removeSites(names []string) (unfinished map[string][]string, err error) {
	aliases, err := w.forgetMoves(names)
	if err != nil {
		return nil, err
	}
	going := map[string]bool{}
	for _, name := range names {
		_ = tops(w.tx, name, func(string, site) error { going[name] = true; return nil })
	}
	switch known := slices.ContainsFunc(names, func(name string) bool { return aliases[name] }); {
	case len(going) == 0 && known:
		return nil, nil
	case len(going) == 0:
		return nil, pushsvc.ErrNotFound
	}
	unfinished = map[string][]string{}
	eachUnfinished(w.tx, "", w.s.report, func(st site, id string) bool {
		if going[st.name] {
			unfinished[st.name] = append(unfinished[st.name], id)
		}
		return true
	})
	w.changed = pushsvc.ChangedAll &^ pushsvc.ChangedKeys
	mine, err := w.removal()
	if err != nil {
		return nil, err
	}
	for name := range going {
		err = errors.Join(err, tops(w.tx, name, func(top string, st site) error { return w.moveOut(mine, top, st) }))
		for _, id := range unfinished[name] {
			err = errors.Join(err, w.delete(w.tx.Bucket([]byte(bucketUnfinished)), unfinishedKey(id, name)))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("moving a site's rows: %w", err)
	}
	return unfinished, nil
}

// removal makes a bucket for one removal.
func (w *writeTx) removal() (*bolt.Bucket, error) {
	w.touched = true
	removed, err := w.tx.CreateBucketIfNotExists([]byte(bucketRemoved))
	if err != nil {
		return nil, fmt.Errorf("making bucket %q: %w", bucketRemoved, err)
	}
	number, err := removed.NextSequence()
	if err != nil {
		return nil, fmt.Errorf("numbering what is removed: %w", err)
	}
	mine, err := removed.CreateBucket(numberKey(number))
	if err != nil {
		return nil, fmt.Errorf("making bucket %q: %w", bucketRemoved, err)
	}
	return mine, nil
}

// moveOut moves a site's bucket of one top.
func (w *writeTx) moveOut(mine *bolt.Bucket, top string, st site) error {
	all := w.tx.Bucket([]byte(top))
	// Revisions are never reused: makeIn starts at the highest removed one.
	if err := all.SetSequence(max(all.Sequence(), st.b.Sequence())); err != nil {
		return err
	}
	to, err := w.bucket(mine, top)
	if err != nil {
		return err
	}
	return all.MoveBucket([]byte(st.name), to)
}

// forget drops the waiting index entries of a removed site.
func (r *recent) forget(name string) {
	if there := r.sites[name]; there != nil {
		r.count -= there.count
		delete(r.sites, name)
	}
	for b := range r.stuck {
		if b.site == name {
			delete(r.stuck, b)
		}
	}
}

// Sweep implements pushsvc.SiteStore.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	some, err := read(ctx, s, func(tx *bolt.Tx) (bool, error) {
		b := tx.Bucket([]byte(bucketRemoved))
		if b == nil {
			return false, nil
		}
		k, _ := b.Cursor().First()
		return k != nil, nil
	})
	n := 0
	if err == nil && some {
		n, err = write(ctx, s, func(w *writeTx) (int, error) { return w.sweep(limit) })
	}
	if err != nil {
		return 0, fmt.Errorf("giving back the room of removed sites: %w", err)
	}
	return n, nil
}

// sweep removes rows, and then empty buckets, from the inside out.
func (w *writeTx) sweep(limit int) (int, error) {
	type row struct {
		path   [][]byte
		key    []byte
		bucket bool
	}
	var rows []row
	removed := w.tx.Bucket([]byte(bucketRemoved))
	if removed == nil || limit <= 0 {
		return 0, nil
	}
	eachRow(removed, nil, func(path [][]byte, k, v []byte) bool {
		// Keys are valid only until the transaction changes something.
		copied := make([][]byte, len(path))
		for i := range path {
			copied[i] = append([]byte{}, path[i]...)
		}
		rows = append(rows, row{copied, append([]byte{}, k...), v == nil})
		return len(rows) < limit
	})
	for _, r := range rows {
		b := removed
		for _, name := range r.path {
			b = b.Bucket(name)
		}
		w.touched = true
		err := error(nil)
		if r.bucket {
			err = b.DeleteBucket(r.key)
		} else {
			err = b.Delete(r.key)
		}
		if err != nil {
			return 0, fmt.Errorf("removing from bucket %q: %w", bucketRemoved, err)
		}
	}
	return len(rows), nil
}

// Used implements pushsvc.SiteStore: the pages of the file that are not free.
// Pages that only running transactions still need count as free.
func (s *Store) Used(ctx context.Context) (int64, error) {
	used, err := read(ctx, s, func(tx *bolt.Tx) (int64, error) {
		size := int64(tx.DB().Info().PageSize)
		v := &verifier{file: s.file, size: uint64(size)}
		meta, err := v.meta()
		if err != nil {
			return 0, err
		}
		pages, list := int64(binary.NativeEndian.Uint64(meta[40:])), binary.NativeEndian.Uint64(meta[32:])
		if list == noFreelist {
			return pages * size, nil
		}
		// A page's count is in its header, or, if it doesn't fit, in the first
		// element.
		head := make([]byte, pageHeader+8)
		if _, err := s.file.ReadAt(head, int64(list)*size); err != nil {
			return 0, fmt.Errorf("reading the list of free pages: %w", err)
		}
		free := int64(binary.NativeEndian.Uint16(head[10:]))
		if free == 0xffff {
			free = int64(binary.NativeEndian.Uint64(head[pageHeader:]))
		}
		return max(pages-free, 0) * size, nil
	})
	if err != nil {
		return 0, fmt.Errorf("measuring the push store: %w", err)
	}
	return used, nil
}

// ErasePeople implements pushsvc.SiteStore.
func (s *Store) ErasePeople(ctx context.Context, name string, people []pushsvc.PersonSeen) (int, error) {
	n, err := write(ctx, s, func(w *writeTx) (n int, err error) {
		if err := w.unmoved(name); err != nil {
			return 0, err
		}
		for _, one := range people {
			st, p, err := findPerson(w.tx, name, one.ID)
			switch {
			case errors.Is(err, pushsvc.ErrNotFound):
				continue
			case err != nil:
				return n, err
			case !p.Seen.Equal(one.Seen):
				continue
			}
			if err := w.erase(st, p); err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	})
	if err != nil {
		return 0, fmt.Errorf("erasing profiles of %s: %w", name, err)
	}
	return n, nil
}
