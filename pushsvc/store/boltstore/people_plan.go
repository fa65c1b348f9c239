package boltstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// A batch is planned before it is written. In a read transaction, in parallel
// with others, rows are read and decoded, Apply computes the change, and the new
// rows are encoded. The committer, for which all writes wait, only checks that
// the read rows are unchanged, and stores the new ones. If one has changed, the
// batch is planned again.

// plan is a computed batch that is ready to be written.
type plan struct {
	change people.Change
	read   map[rowName]uint64 // digests of the rows that it depends on
	// counted reports which events the site counts; the numbers do not matter.
	counted map[string]bool
	sealed  map[string][]byte // rows to write, by bucket and key
}

// rowName names one row of a site's people.
type rowName struct{ bucket, key string }

// errStale means that a plan depends on rows that have changed.
var errStale = errors.New("the profile has changed meanwhile")

// Track implements people.Store.
func (s *Store) Track(ctx context.Context, name string, b people.Batch) (people.Tracked, error) {
	out, err := s.track(ctx, name, b)
	if err != nil {
		return people.Tracked{}, fmt.Errorf("storing events of %s: %w", name, err)
	}
	return out, nil
}

func (s *Store) track(ctx context.Context, name string, b people.Batch) (people.Tracked, error) {
	if err := s.pullDevice(ctx, name, b.Device); err != nil {
		return people.Tracked{}, err
	}
	for {
		p, err := s.plan(ctx, name, b)
		if err != nil {
			return people.Tracked{}, err
		}
		out, err := writeWhen(ctx, s, true, func(w *writeTx) (people.Tracked, error) {
			if p == nil {
				return w.begin(name, b)
			}
			return p.change.Tracked, w.carryOut(name, p)
		})
		// Of several callers that need the same row, one succeeds in each round.
		if !errors.Is(err, errStale) {
			return out, err
		}
	}
}

// begin stores the first batch of a site, which has no people and few rows to
// read.
func (w *writeTx) begin(name string, b people.Batch) (people.Tracked, error) {
	if _, there := openPeople(w.tx, name); there {
		return people.Tracked{}, errStale
	}
	st, err := w.makePeople(name)
	if err != nil {
		return people.Tracked{}, err
	}
	c, err := people.Apply(peopleTx{st, w.s}, b)
	if err != nil {
		return people.Tracked{}, err
	}
	return c.Tracked, w.change(st, c)
}

// plan computes a batch's changes; nil if the site has no people yet.
func (s *Store) plan(ctx context.Context, name string, b people.Batch) (*plan, error) {
	return read(ctx, s, func(tx *bolt.Tx) (*plan, error) {
		st, ok := openPeople(tx, name)
		if !ok {
			return nil, nil
		}
		t := &planTx{peopleTx: peopleTx{st, s}, people: map[string]*people.Profile{}}
		t.plan = &plan{read: map[rowName]uint64{}, counted: map[string]bool{}, sealed: map[string][]byte{}}
		c, err := people.Apply(t, b)
		if err != nil {
			return nil, err
		}
		t.change = c
		for _, p := range c.Put {
			if err := t.seal(peopleProfiles, profileKey(p.ID), p); err != nil {
				return nil, err
			}
		}
		for seq, records := range c.History {
			if err := t.seal(peopleHistory, numberKey(seq), records); err != nil {
				return nil, err
			}
		}
		return t.plan, nil
	})
}

// carryOut writes a plan, or returns errStale.
func (w *writeTx) carryOut(name string, p *plan) error {
	st, ok := openPeople(w.tx, name)
	if !ok {
		return errStale
	}
	for row, digest := range p.read {
		if st.digest(row) != digest {
			return errStale
		}
	}
	for event, counted := range p.counted {
		if now, err := (peopleTx{st, w.s}).CountsEvent(event); err != nil || now != counted {
			return errors.Join(err, errStale)
		}
	}
	return w.changeSealed(st, p.change, p.sealed)
}

// digestSeed makes digests differ between processes.
var digestSeed = maphash.MakeSeed()

// digest identifies a row's content; 0 if there is no row.
func (s site) digest(row rowName) uint64 {
	b := s.b.Bucket([]byte(row.bucket))
	if b == nil {
		return 0
	}
	v := b.Get([]byte(row.key))
	if v == nil {
		return 0
	}
	return maphash.Bytes(digestSeed, v) | 1
}

// planTx is a people.Tx that records what it reads.
type planTx struct {
	peopleTx
	*plan
	people map[string]*people.Profile // by the key of the row
}

func (t *planTx) note(bucket string, key []byte) {
	row := rowName{bucket, string(key)}
	t.read[row] = t.digest(row)
}

// profileAt reads the profile whose id is in a row of another bucket, once.
func (t *planTx) profileAt(bucket string, key []byte) (*people.Profile, error) {
	t.note(bucket, key)
	id, err := t.get(bucket, key)
	if err != nil || id == nil {
		return nil, err
	}
	p, known := t.people[string(id)]
	if !known {
		t.note(peopleProfiles, id)
		if p, err = t.profile(id); err != nil {
			return nil, err
		}
		t.people[string(id)] = p
	}
	return p, nil
}

// ProfileOf implements people.Tx.
func (t *planTx) ProfileOf(d pushsvc.DeviceID) (*people.Profile, error) {
	return t.healing(t.profileAt(peopleDevices, d[:]))
}

// ProfileBy implements people.Tx.
func (t *planTx) ProfileBy(i people.Identity) (*people.Profile, error) {
	return t.healing(t.profileAt(peopleIdentities, identityKey(i)))
}

// CountsEvent implements people.Tx.
func (t *planTx) CountsEvent(name string) (bool, error) {
	there, err := t.peopleTx.CountsEvent(name)
	t.counted[name] = there
	return there, err
}

// seal encodes a row for writing.
func (t *planTx) seal(bucket string, key []byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding a row of bucket %q failed", bucket) // err might quote it
	}
	t.sealed[bucket+string(key)] = newSeed(bucket, t.name).seal(key, text)
	return nil
}

// putSealed stores a row that has been sealed, or else v.
func (s site) putSealed(w *writeTx, bucket string, key []byte, sealed map[string][]byte, v any) error {
	row, ok := sealed[bucket+string(key)]
	if !ok {
		return s.putJSON(w, bucket, key, v)
	}
	return s.putRow(w, bucket, key, row)
}

// nextHistory returns an unused number for a row of the site's history; rows that
// wait to be written count as used.
func (s *Store) nextHistory(st site) uint64 {
	s.historyMu.Lock()
	defer s.historyMu.Unlock()
	n := s.history[st.name]
	if b := st.b.Bucket([]byte(peopleHistory)); b != nil {
		n = max(n, b.Sequence())
	}
	s.history[st.name] = n + 1
	return n + 1
}
