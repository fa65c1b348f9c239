package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Entries of "endpoints" are random keys: storing each with its subscription
// would write a page for each. So new entries wait in memory and are written to
// the bucket in turns, together with those that begin with the same byte, which
// are neighbours there. siteIndexed is the id up to which all entries are in the
// bucket; after a crash the others are rebuilt from their rows.

// Limits of the entries that wait, per site and altogether. A site's is an
// eighth of its subscriptions, within these.
const (
	leastWaiting = 1 << 10
	mostWaiting  = 1 << 16
	allWaiting   = 1 << 18
)

// hash is the key of an endpoint in the index.
type hash [16]byte

// bins are entries by the first byte of their keys.
type bins [256]map[hash]pushsvc.SubscriptionID

// recent are the waiting entries, by site. Only the committer uses it.
type recent struct {
	sites map[string]*waiting
	count int          // over all sites
	stuck map[bin]bool // their pages are damaged: their entries stay in memory
}

// bin is one of a site's bins.
type bin struct {
	site string
	n    int
}

func newRecent() *recent {
	return &recent{sites: map[string]*waiting{}, stuck: map[bin]bool{}}
}

// waiting are the entries of one site that are not in its bucket.
type waiting struct {
	bins  bins
	count int
	turn  turn
}

// turn is a site's progress in writing its bins to the bucket.
type turn struct {
	next  int                    // the next bin
	since pushsvc.SubscriptionID // the site's last id when the round began
}

// staged is a transaction's changes of a site's entries; 0 removes one.
type staged struct {
	base    *waiting
	new     bool // base is not in recent yet
	changes map[hash]pushsvc.SubscriptionID
	added   int
	flushed []int // bins written to the bucket
	turn    turn
	site    site
}

// staged returns the transaction's changes of a site's entries.
func (w *writeTx) staged(st site) *staged {
	f := w.indexChanges[st.name]
	if f != nil {
		return f
	}
	f = &staged{base: w.s.recent.sites[st.name], changes: map[hash]pushsvc.SubscriptionID{}, site: st}
	if f.base == nil {
		f.base, f.new = st.unindexed(w.s.report), true
	}
	f.turn = f.base.turn
	w.indexChanges[st.name] = f
	return f
}

// unindexed rebuilds the entries that were waiting when the process ended.
func (s site) unindexed(report func(error)) *waiting {
	out := &waiting{}
	subs, index := s.b.Bucket([]byte(siteSubs)), s.b.Bucket([]byte(siteIndex))
	if subs == nil {
		return out
	}
	from := s.indexed(report)
	out.turn.since = s.lastID()
	err := catch(func() error {
		c, seed := subs.Cursor(), newSeed(siteSubs, s.name)
		for k, v := c.Seek(idKey(from + 1)); k != nil; k, v = c.Next() {
			var sub pushsvc.Subscription
			if err := s.decode(seed, k, v, &sub); err != nil {
				report(err)
				continue
			}
			h, there := indexKey(sub.Endpoint), false
			if index != nil { // a damaged page of the index is reported when it is needed
				_ = catch(func() error { there = bytes.Equal(index.Get(h[:]), k); return nil })
			}
			if !there {
				out.put(h, sub.ID)
			}
		}
		return nil
	})
	if err != nil { // rows that are lost need no entries
		report(err)
	}
	return out
}

// indexed returns the id up to which all entries are in the bucket.
func (s site) indexed(report func(error)) pushsvc.SubscriptionID {
	v := s.b.Get([]byte(siteIndexed))
	if v == nil {
		return 0
	}
	p, err := s.open(siteIndexed, []byte(siteIndexed), v)
	if err == nil && len(p) != 8 {
		err = s.damage(siteIndexed, nil, errors.New("it has the wrong length"))
	}
	if err != nil {
		report(err)
		return 0 // all rows are read
	}
	return pushsvc.SubscriptionID(binary.BigEndian.Uint64(p))
}

func (s site) putIndexed(w *writeTx, id pushsvc.SubscriptionID) error {
	return w.put(s.b, []byte(siteIndexed), newSeed(siteIndexed, s.name).seal([]byte(siteIndexed), idKey(id)))
}

func (e *waiting) put(h hash, id pushsvc.SubscriptionID) {
	bin := &e.bins[h[0]]
	if *bin == nil {
		*bin = map[hash]pushsvc.SubscriptionID{}
	}
	if _, there := (*bin)[h]; !there {
		e.count++
	}
	(*bin)[h] = id
}

func (e *waiting) drop(h hash) {
	if _, there := e.bins[h[0]][h]; there {
		delete(e.bins[h[0]], h)
		e.count--
	}
}

// lookup returns the id of an endpoint, or 0.
func (w *writeTx) lookup(st site, h hash) pushsvc.SubscriptionID {
	f := w.staged(st)
	if id, ok := f.changes[h]; ok {
		return id
	}
	if id, ok := f.base.bins[h[0]][h]; ok {
		return id
	}
	if b := st.b.Bucket([]byte(siteIndex)); b != nil {
		if v := b.Get(h[:]); len(v) == 8 {
			return pushsvc.SubscriptionID(binary.BigEndian.Uint64(v))
		}
	}
	return 0
}

// index adds an entry, which waits.
func (w *writeTx) index(st site, h hash, id pushsvc.SubscriptionID) {
	f := w.staged(st)
	f.changes[h] = id
	f.added++
}

// indexNow adds an entry of an id that is not new. It must not wait: after a
// crash only entries of the newest ids are rebuilt.
func (w *writeTx) indexNow(st site, h hash, id pushsvc.SubscriptionID) error {
	w.index(st, h, id)
	if w.s.recent.stuck[bin{st.name, int(h[0])}] {
		return nil
	}
	return w.putIndex(st, map[hash]pushsvc.SubscriptionID{h: id})
}

// unindex removes an entry, wherever it is.
func (w *writeTx) unindex(st site, h hash) error {
	w.touched = true
	w.staged(st).changes[h] = 0
	if b := st.b.Bucket([]byte(siteIndex)); b != nil && b.Get(h[:]) != nil {
		return w.delete(b, h[:])
	}
	return nil
}

// flushIndex writes entries to the buckets of sites with too many waiting ones.
// After an error it returns the bin that could not be stored.
func (w *writeTx) flushIndex() (failed bin, err error) {
	for name, f := range w.indexChanges {
		if f.added == 0 {
			continue
		}
		limit := int(min(max(f.site.counts(w.s.report).subscriptions/8, leastWaiting), mostWaiting))
		if w.s.recent.count > allWaiting {
			limit /= 16
		}
		waits := f.base.count + f.added
		for n := 0; n < len(f.base.bins) && waits > limit; n++ {
			failed = bin{name, f.turn.next}
			done := 0
			if err := catch(func() (err error) { done, err = w.flushBin(f); return err }); err != nil {
				return failed, err
			}
			waits -= done
		}
	}
	return failed, nil
}

// flushBin writes the next bin to the bucket and returns its number of entries.
func (w *writeTx) flushBin(f *staged) (int, error) {
	n := f.turn.next
	all := map[hash]pushsvc.SubscriptionID{}
	if stuck := w.s.recent.stuck; stuck[bin{f.site.name, n}] {
		f.turn.since = 0 // not all bins of this round are in the bucket
	} else {
		f.flushed = append(f.flushed, n)
		for h, id := range f.base.bins[n] {
			all[h] = id
		}
		for h, id := range f.changes {
			switch {
			case int(h[0]) != n:
			case id == 0:
				delete(all, h)
			default:
				all[h] = id
			}
		}
	}
	if err := w.putIndex(f.site, all); err != nil {
		return 0, err
	}
	f.turn.next = (n + 1) % len(f.base.bins)
	if f.turn.next > 0 {
		return len(all), nil
	}
	// All entries from before the round are written.
	if f.turn.since > 0 {
		if err := f.site.putIndexed(w, f.turn.since); err != nil {
			return 0, err
		}
	}
	f.turn.since = f.site.lastID()
	return len(all), nil
}

// putIndex stores entries in the bucket's order.
func (w *writeTx) putIndex(st site, entries map[hash]pushsvc.SubscriptionID) error {
	if len(entries) == 0 {
		return nil
	}
	b, err := w.bucket(st.b, siteIndex)
	if err != nil {
		return err
	}
	keys := make([]hash, 0, len(entries))
	for h := range entries {
		keys = append(keys, h)
	}
	slices.SortFunc(keys, func(a, b hash) int { return bytes.Compare(a[:], b[:]) })
	for _, h := range keys {
		if err := w.put(b, slices.Clone(h[:]), idKey(entries[h])); err != nil {
			return err
		}
	}
	return nil
}

// adopt applies committed changes.
func (r *recent) adopt(changes map[string]*staged) {
	for name, f := range changes {
		e := f.base
		if f.new {
			r.sites[name] = e
		} else {
			r.count -= e.count
		}
		flushed := [len(e.bins)]bool{}
		for _, n := range f.flushed {
			flushed[n] = true
			e.count -= len(e.bins[n])
			e.bins[n] = nil
		}
		for h, id := range f.changes {
			switch {
			case id == 0:
				e.drop(h)
			case !flushed[h[0]]:
				e.put(h, id)
			}
		}
		e.turn = f.turn
		r.count += e.count
	}
}

// settledBins is how many bins are written at a time: pages that a transaction
// changes stay in memory until it ends, and those of all bins are most of the
// index.
const settledBins = 16

// settleIndex writes all waiting entries to the buckets, so that the next start
// has nothing to rebuild. If it fails halfway, the written entries are harmless:
// they are written once more.
func (s *Store) settleIndex() error {
	if s.recent.count == 0 || s.broken.Load() != nil {
		return nil
	}
	for name, e := range s.recent.sites {
		if e.count == 0 {
			continue
		}
		for n := 0; n < len(e.bins); n += settledBins {
			last := n+settledBins >= len(e.bins)
			if err := s.settleBins(name, e.bins[n:min(n+settledBins, len(e.bins))], last); err != nil {
				return err
			}
		}
	}
	s.recent = newRecent()
	return nil
}

// settleBins writes some of a site's bins to the bucket, and after the last ones
// records that none is missing.
func (s *Store) settleBins(name string, bins []map[hash]pushsvc.SubscriptionID, last bool) error {
	tx, err := s.beginTx(true)
	if err != nil {
		return err
	}
	defer s.rollback(tx)
	st, ok := rawIn(tx, bucketSites, name) // entries that wait under a former name belong to that site
	if !ok {
		return nil
	}
	w := &writeTx{tx: tx, s: s}
	for _, entries := range bins {
		if err := w.putIndex(st, entries); err != nil {
			return err
		}
	}
	if last {
		if err := st.putIndexed(w, st.lastID()); err != nil {
			return err
		}
	}
	if !w.touched {
		return nil
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", withErrno(err))
	}
	return nil
}
