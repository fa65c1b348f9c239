package pushsvc

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// The rules of a message's ranges, which all stores share.

// RangeRow is a range with what only stores need.
type RangeRow struct {
	Range
	// Last is the digest of the last applied checkpoint.
	Last [8]byte
}

// Retries returns a recipient in a message's LaterRange; false if it is not there. If it can't be read, its
// ID is enough.
type Retries func(SubscriptionID) (Retry, bool)

// Effects are the changes of outcomes to other rows than the message's and the range's.
type Effects struct {
	// Gone and Doubted are the subscriptions to remove, and to Doubt.
	Gone, Doubted []SubscriptionID
	// Dropped are the retries to remove; after that, Later are those to store, each replacing the one with
	// its ID.
	Dropped []SubscriptionID
	Later   []Retry
}

// A message to all subscriptions is planned into ranges of at least leastRange ids, and at most MaxRanges
// ranges besides the LaterRange.
const (
	leastRange = 2500
	MaxRanges  = 256
)

// PlanRanges divides the ids above cursor, up to and including until, into the ranges of the message; the
// LaterRange comes first.
func (m *Message) PlanRanges(cursor, until SubscriptionID) []Range {
	n := min(max((until-cursor)/leastRange, 1), MaxRanges)
	plan := append(make([]Range, 0, n+1), Range{Site: m.Site, MessageID: m.ID, N: LaterRange})
	for i := range n {
		plan = append(plan, Range{
			Site: m.Site, MessageID: m.ID, N: int(i),
			Cursor: cursor + (until-cursor)*i/n, Until: cursor + (until-cursor)*(i+1)/n,
		})
	}
	return plan
}

// Leased reports whether an engine holds the range. A lease has run out at its very end.
func (r *Range) Leased(now time.Time) bool { return r.Lease.After(now) }

// Free reports whether a range of m may be leased, if m itself allows it.
func (r *Range) Free(m *Message, now time.Time) bool {
	if r.N == LaterRange {
		return m.laterDue(now) && !r.Leased(now)
	}
	return !r.Done && !r.Leased(now)
}

// laterDue reports whether a retry of the message is due.
func (m *Message) laterDue(now time.Time) bool {
	return !m.NextTry.IsZero() && !m.NextTry.After(now)
}

// MayBeFree is Free as far as the number and Done show, before the row is read.
func (m *Message) MayBeFree(n int, done bool, now time.Time) bool {
	return n >= 0 && !done || n < 0 && m.laterDue(now)
}

// Claim leases the range to the owner.
func (r *Range) Claim(owner string, now time.Time, lease time.Duration) {
	r.Owner, r.Lease = owner, kept(now.Add(lease), 1)
	r.Epoch++
}

// Engines counts the owners that lease ranges of a message.
type Engines map[string]bool

// Add counts the owner of a range. Ranges without a lease need not be added.
func (e Engines) Add(r *Range, now time.Time) {
	if r.Leased(now) {
		e[r.Owner] = true
	}
}

// Noting returns the error of a Note for the range r: nil or ErrLeaseLost.
func (r *Range) Noting(m *Message, epoch int64) error {
	if epoch != r.Epoch || r.Epoch == 0 || r.Done || m.State.Final() {
		return ErrLeaseLost
	}
	return nil
}

// Accept reports whether to apply a checkpoint, and makes it the last one. It returns false for a repetition
// of the last applied one, and ErrLeaseLost if its epoch is not the range's or there is nothing left to
// write. An invalid checkpoint has another error.
func (r *RangeRow) Accept(m *Message, c *Checkpoint) (bool, error) {
	if err := c.validate(); err != nil {
		return false, err
	}
	if r.Epoch != c.Epoch || r.Epoch == 0 {
		return false, ErrLeaseLost
	}
	sum := c.digest()
	switch {
	case r.Last == sum:
		return false, nil
	case r.Done || m.State.Final():
		return false, ErrLeaseLost
	}
	r.Last = sum
	return true, nil
}

// Apply applies an accepted checkpoint to the message and the range. It returns the other changes, and
// whether it ends the range. The store sets m.NextTry after that.
func (m *Message) Apply(r *Range, c *Checkpoint, now time.Time, retries Retries) (e Effects, ended bool) {
	m.addAnswers(c.Answers)
	return m.Take(r, c.Outcomes, retries), r.move(c, now)
}

// move applies a checkpoint to the range itself, and reports whether that ends it.
func (r *Range) move(c *Checkpoint, now time.Time) (ended bool) {
	r.Lease = time.Time{}
	if c.Lease > 0 {
		r.Lease = kept(now.Add(c.Lease), 1)
	} else {
		r.Owner = ""
	}
	if r.N == LaterRange {
		return false
	}
	r.Cursor = max(r.Cursor, c.Cursor)
	r.Settled = nil
	for _, id := range c.Settled {
		if id > r.Cursor {
			r.Settled = append(r.Settled, id)
		}
	}
	if c.Done {
		r.Owner, r.Lease, r.Settled, r.Done = "", time.Time{}, nil, true
	}
	return c.Done
}

// Take counts outcomes of recipients of the range in m, except those that a checkpoint has settled, and
// returns the other changes. The store sets m.NextTry after that.
func (m *Message) Take(r *Range, outcomes []Outcome, retries Retries) (e Effects) {
	if r.N == LaterRange {
		return m.takeRetried(outcomes, retries)
	}
	for _, o := range outcomes {
		if r.IsSettled(o.ID) {
			continue
		}
		m.Progress.Count(o, nil)
		e.add(o)
		if o.Kind == OutcomeLater {
			e.Later = append(e.Later, o.retry())
		}
	}
	return e
}

// takeRetried is Take for the LaterRange. An id may occur twice: the first outcome moves it out of the range,
// unless it will be retried.
func (m *Message) takeRetried(outcomes []Outcome, retries Retries) (e Effects) {
	current := map[SubscriptionID]*Retry{} // of those with an outcome; nil if it is out
	for _, o := range outcomes {
		before, known := current[o.ID]
		if !known {
			if r, found := retries(o.ID); found {
				before = &r
			}
		}
		if before == nil {
			continue
		}
		m.Progress.Count(o, before)
		e.add(o)
		current[o.ID] = nil
		if o.Kind == OutcomeLater {
			r := o.retry()
			current[o.ID] = &r
		}
	}
	for id, r := range current {
		if r == nil {
			e.Dropped = append(e.Dropped, id)
		} else {
			e.Later = append(e.Later, *r)
		}
	}
	slices.Sort(e.Dropped)
	slices.SortFunc(e.Later, func(a, b Retry) int { return cmp.Compare(a.ID, b.ID) })
	return e
}

func (e *Effects) add(o Outcome) {
	switch o.Kind {
	case OutcomeGone:
		e.Gone = append(e.Gone, o.ID)
	case OutcomeQuarantined:
		e.Doubted = append(e.Doubted, o.ID)
	}
}

// retry returns the row of an outcome that will be retried.
func (o Outcome) retry() Retry {
	return Retry{ID: o.ID, Attempt: o.Attempt, Reason: o.Reason, Due: kept(o.Due, time.Millisecond)}
}

// IsSettled reports whether a checkpoint has settled an id of the range.
func (r *Range) IsSettled(id SubscriptionID) bool {
	if id <= r.Cursor {
		return true
	}
	_, found := slices.BinarySearch(r.Settled, id)
	return found
}

// Unsettled returns the noted outcomes that no checkpoint has included since.
func (r *Range) Unsettled(noted []Outcome, retries Retries) (out []Outcome) {
	for _, o := range noted {
		if r.N == LaterRange {
			if stored, found := retries(o.ID); found && !o.stale(stored) {
				out = append(out, o)
			}
		} else if !r.IsSettled(o.ID) {
			out = append(out, o)
		}
	}
	return out
}

// stale reports whether a noted retry equals the LaterRange's, or is older.
func (o *Outcome) stale(stored Retry) bool {
	return o.Kind == OutcomeLater && !stored.Due.IsZero() &&
		(o.Attempt < stored.Attempt || o.Attempt == stored.Attempt && !o.Due.After(stored.Due))
}

// digest distinguishes a repeated checkpoint from a new one: their times differ.
func (c *Checkpoint) digest() (sum [8]byte) {
	b := make([]byte, 0, 128+4*len(c.Settled)+24*len(c.Outcomes))
	number := func(n int64) { b = binary.AppendVarint(b, n) }
	number(c.Epoch)
	number(int64(c.Cursor))
	number(int64(c.Lease))
	number(c.At.Unix())
	number(int64(c.At.Nanosecond()))
	if c.Done {
		b = append(b, 1)
	}
	number(int64(len(c.Settled)))
	for _, id := range c.Settled {
		number(int64(id))
	}
	for _, host := range slices.Sorted(maps.Keys(c.Answers)) {
		b = append(append(b, host...), 0)
		number(c.Answers[host].Answers)
		number(c.Answers[host].Gone)
	}
	for _, o := range c.Outcomes {
		number(int64(o.ID))
		number(int64(o.Kind))
		number(int64(o.Attempt))
		number(o.Due.Unix())
		number(int64(o.Due.Nanosecond()))
		number(int64(len(o.Reason)))
		b = append(b, o.Reason...)
	}
	full := sha256.Sum256(b)
	copy(sum[:], full[:])
	return sum
}
