package boltstore

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

const (
	// stalledAfter is how long the committer may spend on one transaction, or one
	// step of a compaction, before the disk counts as not answering.
	stalledAfter = 3 * time.Second
	// stallPatience is how long callers wait for a disk that does not answer.
	// Their change may still be stored when it answers.
	stallPatience = 10 * time.Second
	// closePatience is how long Close waits for a disk that does not answer.
	closePatience = 15 * time.Second
	// maxWaiting is how many writes may wait, including those in the running
	// transaction.
	maxWaiting = 2 * queueLength
)

// health is the known state of the disk.
type health struct {
	started time.Time
	// working is when the committer began its current step, in nanoseconds since
	// started; 0 if it is idle.
	working atomic.Int64
	waiting atomic.Int64
	failed  atomic.Pointer[error] // of the last commit; nil if it succeeded
}

// step records that the committer begins something that should be short.
func (h *health) step() { h.working.Store(int64(max(time.Since(h.started), 1))) }

// idle records that the committer has nothing to do.
func (h *health) idle() { h.working.Store(0) }

// stalled returns how long the committer has been in its current step.
func (h *health) stalled() time.Duration {
	began := h.working.Load()
	if began == 0 {
		return 0
	}
	return time.Since(h.started) - time.Duration(began)
}

// commitEnded records the result of the last commit.
func (h *health) commitEnded(err error) {
	if err != nil {
		h.failed.Store(&err)
	} else if h.failed.Load() != nil {
		h.failed.Store(nil)
	}
}

// admit adds a waiting write, unless maxWaiting is reached.
func (h *health) admit() bool {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return false
	}
	return true
}

func (h *health) leave() { h.waiting.Add(-1) }

// Health returns nil if the store works, without a request to the disk. Otherwise
// it returns:
//
//   - pushsvc.ErrStalled if a write has not ended for seconds,
//   - the error of the last write, or
//   - the error that has broken the store.
func (s *Store) Health() error {
	if broken := s.broken.Load(); broken != nil {
		return *broken
	}
	if took := s.health.stalled(); took >= stalledAfter {
		return fmt.Errorf("%w: a write has not ended for %v", pushsvc.ErrStalled, took.Truncate(time.Second))
	}
	if failed := s.health.failed.Load(); failed != nil {
		return fmt.Errorf("the last write failed: %w", *failed)
	}
	return nil
}

// errCloseStalled explains why a store has not been closed.
var errCloseStalled = errors.New("the disk does not answer; the file stays locked until it does, or this process ends")
