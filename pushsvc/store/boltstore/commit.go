package boltstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

const (
	// maxBatch is the most operations in one transaction.
	maxBatch = 1024
	// maxPatience is the longest that a batch waits for the callers of the
	// last one to come back with their next write.
	maxPatience = 2 * time.Millisecond
	// spacing is how far apart commits of patient operations begin, while
	// there are several in each.
	spacing = 5 * time.Millisecond
)

// writeTx is a write transaction that knows whether it has changed anything.
type writeTx struct {
	tx *bolt.Tx
	s  *Store
	// touched says that the running operation has changed something, so that
	// its failure spoils the transaction; dirty, that any has.
	touched, dirty bool
	// anyway has the transaction committed although nothing may have changed, so that
	// whoever waits can't tell by the time.
	anyway bool
	// fresh are changes of the index that wait in memory.
	fresh map[string]*staged
	// changed is what [Store.Changes] tells of after the commit.
	changed pushsvc.ChangeKinds
}

// put stores a value, which must not be changed afterwards.
func (w *writeTx) put(b *bolt.Bucket, key, value []byte) error {
	w.touched = true
	return b.Put(key, value)
}

func (w *writeTx) delete(b *bolt.Bucket, key []byte) error {
	w.touched = true
	return b.Delete(key)
}

// bucket gives the bucket of that name in b, and makes it where it is missing.
func (w *writeTx) bucket(b *bolt.Bucket, name string) (*bolt.Bucket, error) {
	if sub := b.Bucket([]byte(name)); sub != nil {
		return sub, nil
	}
	w.touched = true
	sub, err := b.CreateBucket([]byte(name))
	if err != nil {
		return nil, fmt.Errorf("making bucket %q: %w", name, err)
	}
	return sub, nil
}

// op is one caller's write. run may be called several times, in transactions
// of which at most the last is committed.
type op struct {
	ctx      context.Context
	run      func(*writeTx) error
	alone    func() error // instead of run: something that the committer does between transactions
	patient  bool         // nobody minds some milliseconds
	err      error
	finished bool // the committer's own
	done     chan struct{}
}

func (o *op) finish(err error) {
	if o.finished {
		return
	}
	o.err, o.finished = err, true
	close(o.done)
}

// write has the committer run fn and waits until it is durable. Where the
// context ends first, the outcome is unknown. fn must do its reading before
// its first change: a refusal then costs the others in its transaction
// nothing.
func write[T any](ctx context.Context, s *Store, fn func(*writeTx) (T, error)) (T, error) {
	return writeWhen(ctx, s, false, fn)
}

// writeWhen is write; patient says that nobody minds some milliseconds more.
func writeWhen[T any](ctx context.Context, s *Store, patient bool, fn func(*writeTx) (T, error)) (T, error) {
	var out, none T
	if err := s.enter(); err != nil {
		return none, err
	}
	defer s.gate.RUnlock()
	if err := ctx.Err(); err != nil {
		return none, err
	}
	o := &op{ctx: ctx, patient: patient, done: make(chan struct{}), run: func(w *writeTx) (err error) {
		out, err = fn(w)
		return err
	}}
	if err := s.await(o); err != nil {
		return none, err
	}
	return out, nil
}

// await hands the committer an operation and waits for its end, but neither beyond
// the context's nor, for long, for a disk that does not answer. The caller holds the
// gate.
func (s *Store) await(o *op) error {
	if !s.health.enter() {
		return pushsvc.ErrBusy
	}
	defer s.health.leave()
	patience := time.NewTimer(stallPatience)
	defer patience.Stop()
	ops := s.ops // nil once it is the committer's
	for {
		select {
		case ops <- o:
			ops = nil
		case <-o.done:
			return o.err
		case <-o.ctx.Done():
			// The committer may be writing to the result right now.
			return o.ctx.Err()
		case <-patience.C:
			left := stallPatience - s.health.stalled()
			if left <= 0 {
				return pushsvc.ErrStalled
			}
			patience.Reset(left)
		}
	}
}

// commitLoop is the only writer. It ends when the store is closed and the
// queue is empty.
func (s *Store) commitLoop() {
	defer close(s.done)
	for first := range s.ops {
		batch := s.gather(first)
		start := time.Now()
		s.health.step()
		// All that is known to panic is caught further in. Should anything
		// else, then the state of the transaction is unknown.
		if err := catch(func() error { s.commitAll(batch); return nil }); err != nil {
			err = s.breakWith(err)
			for _, o := range batch {
				o.finish(err)
			}
		}
		s.health.rest()
		s.begun, s.shared = start, len(batch) > 1
		s.expected = len(batch) + len(s.ops)
		s.patience = min(time.Since(start)/4, maxPatience)
	}
	s.health.step()
	defer s.health.rest()
	var damage *DamageError
	if err := catch(s.settleIndex); errors.As(err, &damage) {
		s.report(err) // of this and other errors the next start makes good
	}
}

// gather takes what is waiting, and waits for more until the moment that rest
// says.
func (s *Store) gather(first *op) []*op {
	batch, began := []*op{first}, time.Now()
	patient := first.patient
	var timer *time.Timer
	for len(batch) < maxBatch {
		select {
		case o, ok := <-s.ops:
			if !ok {
				return batch
			}
			batch, patient = append(batch, o), patient && o.patient
			continue
		default:
		}
		wait := time.Until(s.rest(began, len(batch), patient))
		if wait <= 0 {
			return batch
		}
		if timer == nil {
			timer = time.NewTimer(wait)
			defer timer.Stop()
		} else {
			timer.Reset(wait)
		}
		select {
		case o, ok := <-s.ops:
			if !ok {
				return batch
			}
			batch, patient = append(batch, o), patient && o.patient
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// rest says until when a batch of so many operations, gathered since began, waits
// for more. Callers that the last commit has set free are about to come back
// with their next write; without giving them a moment, every other transaction
// would carry the first of them alone. And where patient ones come faster than
// commits need be, each commit less is work that somebody else's request does
// not wait behind.
func (s *Store) rest(began time.Time, operations int, patient bool) (until time.Time) {
	if operations < s.expected {
		until = began.Add(s.patience)
	}
	if next := s.begun.Add(spacing); patient && s.shared && next.After(until) {
		until = next
	}
	return until
}

// commitAll brings every operation of the batch to its end. Those whose caller
// has gone are not started.
func (s *Store) commitAll(batch []*op) {
	live := make([]*op, 0, len(batch))
	for _, o := range batch {
		if err := o.ctx.Err(); err != nil {
			o.finish(err)
			continue
		}
		if o.alone != nil {
			o.finish(catch(o.alone))
			continue
		}
		live = append(live, o)
	}
	for len(live) > 0 {
		spoiler, err := s.attempt(live)
		if spoiler >= 0 {
			live[spoiler].finish(live[spoiler].err)
			live = append(live[:spoiler], live[spoiler+1:]...)
			continue
		}
		var damage *DamageError
		if errors.As(err, &damage) && len(live) > 1 {
			// A damaged page is somebody's; find out whose.
			for _, o := range live {
				s.commitAll([]*op{o})
			}
			return
		}
		for _, o := range live {
			if err != nil {
				o.err = err
			}
			o.finish(o.err)
		}
		return
	}
}

// attempt runs all operations in one transaction and commits it. Each has its
// own error afterwards. spoiler is the index of one that failed after it had
// changed something, in which case nothing was committed, or negative.
func (s *Store) attempt(ops []*op) (spoiler int, err error) {
	tx, err := s.beginTx(true)
	if err != nil {
		return -1, err
	}
	defer s.rollback(tx) // does nothing after a commit
	w := &writeTx{tx: tx, s: s, fresh: map[string]*staged{}}
	for i, o := range ops {
		w.touched = false
		o.err = catch(func() error { return o.run(w) })
		if o.err != nil && w.touched {
			return i, nil
		}
		w.dirty = w.dirty || w.touched
	}
	if !w.dirty && !w.anyway && !s.unsure {
		return -1, nil
	}
	if failed, err := w.flushIndex(); err != nil {
		s.report(err)
		s.recent.stuck[failed] = true
		s.rollback(tx)
		return s.attempt(ops)
	}
	// After a failed commit, what we see may not be on the disk, although it
	// can be read: the next transaction is committed even if it is empty.
	s.unsure = true
	s.health.step()
	err = catch(tx.Commit)
	s.health.commitEnded(err)
	s.changes.Note(w.changed) // after a failure too: the outcome is unknown
	if err != nil {
		return -1, fmt.Errorf("committing: %w", withErrno(err))
	}
	if err := errors.Join(s.syncName(), s.checkPlace()); err != nil {
		return -1, err
	}
	s.unsure = false
	if s.onCommit != nil {
		s.onCommit(tx.Stats())
	}
	s.recent.adopt(w.fresh)
	return -1, nil
}
