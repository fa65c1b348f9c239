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

// A batch is planned before its turn to write: rows are read and decoded, Apply
// works out what changes, and the new rows are encoded, all in a read transaction
// and beside others. The committer, for which everybody waits, makes sure that the
// rows are what they were, and puts the new ones there. Where one has changed
// meanwhile, the batch is planned again.

// plan is a batch that waits for its turn.
type plan struct {
	change people.Change
	before people.Counts      // which change.Counts started from
	read   map[rowName]uint64 // digests of the rows that it hangs on
	// counted says of events whether the site counts them; how often does not matter.
	counted map[string]bool
	sealed  map[string][]byte // rows to write, by bucket and key
}

// rowName is one row of what a site has of people.
type rowName struct{ bucket, key string }

// errStale says that a plan hangs on rows that have changed.
var errStale = errors.New("somebody else has changed the profile")

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
		// Of those who want the same row, one gets on with each round.
		if !errors.Is(err, errStale) {
			return out, err
		}
	}
}

// begin stores the first batch of a site. There is nobody yet, and little to read.
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

// plan works out what a batch changes; nil where the site has no people yet.
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

// carryOut writes what has been planned, or gives errStale.
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
	c := p.change
	if c.Counts != nil {
		counts := st.numbers(w.s.report).Moved(p.before, *c.Counts)
		c.Counts = &counts
	}
	return w.changeSealed(st, c, p.sealed)
}

// digestSeed makes digests differ from one process to the next.
var digestSeed = maphash.MakeSeed()

// digest tells a row from what it was; 0 for none.
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

// planTx is a people.Tx that remembers what it was asked.
type planTx struct {
	peopleTx
	*plan
	people map[string]*people.Profile // by the key of the row
}

func (t *planTx) note(bucket string, key []byte) {
	row := rowName{bucket, string(key)}
	t.read[row] = t.digest(row)
}

// led reads the profile that a row of another bucket leads to, once.
func (t *planTx) led(bucket string, key []byte) (*people.Profile, error) {
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
	return t.healing(t.led(peopleDevices, d[:]))
}

// ProfileBy implements people.Tx.
func (t *planTx) ProfileBy(i people.Identity) (*people.Profile, error) {
	return t.healing(t.led(peopleIdentities, identityKey(i)))
}

// CountsEvent implements people.Tx.
func (t *planTx) CountsEvent(name string) (bool, error) {
	there, err := t.peopleTx.CountsEvent(name)
	t.counted[name] = there
	return there, err
}

// Counts implements people.Tx. They are everybody's: what the batch adds is
// added to those of the moment when it is written.
func (t *planTx) Counts() (people.Counts, error) {
	t.before = t.numbers(t.s.report)
	return t.before, nil
}

// seal encodes a row that is to be written.
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

// nextHistory gives a number that no row of the site's history has or had, also of
// those that wait to be written.
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
