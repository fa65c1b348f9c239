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
	// maxPatience is the longest time for which a batch waits for the last
	// batch's callers to come back with their next write.
	maxPatience = 2 * time.Millisecond
	// spacing is the time between commits of patient operations, while each
	// commit has several.
	spacing = 5 * time.Millisecond
)

// writeTx is a write transaction that knows whether it has changed anything.
type writeTx struct {
	tx *bolt.Tx
	s  *Store
	// touched means that the running operation has changed something, so that its
	// failure spoils the transaction; dirty, that any operation has.
	touched, dirty bool
	// anyway forces a commit even without changes, so that callers can't tell by
	// the time.
	anyway bool
	// indexChanges are index changes that stay in memory.
	indexChanges map[string]*staged
	// changed is the set of kinds that [Store.Changes] reports after the commit.
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

// bucket returns the bucket of that name in b, and makes it if it is missing.
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

// op is one caller's write. run may be called several times, each in another
// transaction; at most the last one is committed.
type op struct {
	ctx      context.Context
	run      func(*writeTx) error
	alone    func() error // instead of run: an action between transactions
	patient  bool         // a delay of some milliseconds is allowed
	err      error
	finished bool // for the committer only
	done     chan struct{}
}

func (o *op) finish(err error) {
	if o.finished {
		return
	}
	o.err, o.finished = err, true
	close(o.done)
}

// write runs fn in the committer and waits until its changes are durable. If the
// context ends first, the outcome is unknown. fn must read before its first
// change:
// a refusal then costs the other operations of its transaction nothing.
func write[T any](ctx context.Context, s *Store, fn func(*writeTx) (T, error)) (T, error) {
	return writeWhen(ctx, s, false, fn)
}

// writeWhen is write; patient allows a delay of some milliseconds.
func writeWhen[T any](ctx context.Context, s *Store, patient bool, fn func(*writeTx) (T, error)) (T, error) {
	var out, none T
	if err := s.takeGate(); err != nil {
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

// await passes an operation to the committer and waits for its end, the end of
// the context, or a limit if the disk does not answer. The caller holds the gate.
func (s *Store) await(o *op) error {
	if !s.health.admit() {
		return pushsvc.ErrBusy
	}
	defer s.health.leave()
	patience := time.NewTimer(stallPatience)
	defer patience.Stop()
	ops := s.ops // nil once the committer has the operation
	for {
		select {
		case ops <- o:
			ops = nil
		case <-o.done:
			return o.err
		case <-o.ctx.Done():
			// The committer may be writing to the result now.
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

// commitLoop is the only writer. It ends when the store is closed and the queue
// is empty.
func (s *Store) commitLoop() {
	defer close(s.done)
	for first := range s.ops {
		batch := s.gather(first)
		start := time.Now()
		s.health.step()
		// All known panics are caught further in. After any other panic the state
		// of the transaction is unknown.
		if err := catch(func() error { s.commitAll(batch); return nil }); err != nil {
			err = s.breakWith(err)
			for _, o := range batch {
				o.finish(err)
			}
		}
		s.health.idle()
		s.begun, s.shared = start, len(batch) > 1
		s.expected = len(batch) + len(s.ops)
		s.patience = min(time.Since(start)/4, maxPatience)
	}
	s.health.step()
	defer s.health.idle()
	var damage *DamageError
	if err := catch(s.settleIndex); errors.As(err, &damage) {
		s.report(err) // the next start repairs the effects of this and other errors
	}
}

// gather takes the waiting operations, and waits for more until the time from
// gatherUntil.
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
		wait := time.Until(s.gatherUntil(began, len(batch), patient))
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

// gatherUntil returns until when a batch of so many operations, gathered since
// began, waits for more. Callers of the last commit are about to come back with
// their next write; without this wait, every other transaction would carry only
// the first of them. If patient operations come faster than spacing, fewer
// commits leave more time for other requests.
func (s *Store) gatherUntil(began time.Time, operations int, patient bool) (until time.Time) {
	if operations < s.expected {
		until = began.Add(s.patience)
	}
	if next := s.begun.Add(spacing); patient && s.shared && next.After(until) {
		until = next
	}
	return until
}

// commitAll completes every operation of the batch. It does not start an
// operation whose caller has gone.
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
			// A damaged page spoils one operation; find out which.
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

// attempt runs all operations in one transaction, sets each one's error, and
// commits. spoiler is the index of an operation that failed after it had changed
// something; then nothing was committed. Otherwise it is negative.
func (s *Store) attempt(ops []*op) (spoiler int, err error) {
	tx, err := s.beginTx(true)
	if err != nil {
		return -1, err
	}
	defer s.rollback(tx) // does nothing after a commit
	w := &writeTx{tx: tx, s: s, indexChanges: map[string]*staged{}}
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
	// After a failed commit, readable data may not be on the disk: the next
	// transaction is committed even if it is empty.
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
	s.recent.adopt(w.indexChanges)
	return -1, nil
}
