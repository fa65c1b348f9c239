package boltstore

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

const (
	// stalledAfter is for how long the committer may be at one transaction, or at
	// one step of a compaction, until the disk is taken not to answer.
	stalledAfter = 3 * time.Second
	// stallPatience is for how long callers wait for a disk that does not answer.
	// What they wanted may still be stored when it does.
	stallPatience = 10 * time.Second
	// closePatience is how long Close waits for a disk that does not answer.
	closePatience = 15 * time.Second
	// maxWaiting is how many writes may wait, those in the running transaction
	// included.
	maxWaiting = 2 * queueLength
)

// health is what is known of the disk.
type health struct {
	started time.Time
	// working is when the committer began the step that it is at, in nanoseconds
	// since started; 0 where it rests.
	working atomic.Int64
	waiting atomic.Int64
	failed  atomic.Pointer[error] // of the last commit; nil where it succeeded
}

// step says that the committer begins something that should not take long.
func (h *health) step() { h.working.Store(int64(max(time.Since(h.started), 1))) }

// rest says that the committer has nothing to do.
func (h *health) rest() { h.working.Store(0) }

// stalled is for how long the committer has been at one step.
func (h *health) stalled() time.Duration {
	began := h.working.Load()
	if began == 0 {
		return 0
	}
	return time.Since(h.started) - time.Duration(began)
}

// commitEnded notes how the last commit went.
func (h *health) commitEnded(err error) {
	if err != nil {
		h.failed.Store(&err)
	} else if h.failed.Load() != nil {
		h.failed.Store(nil)
	}
}

// enter lets one more write wait, unless there are as many as may.
func (h *health) enter() bool {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return false
	}
	return true
}

func (h *health) leave() { h.waiting.Add(-1) }

// Health is nil where the store works, as far as can be told without asking the disk:
// else pushsvc.ErrStalled where a write has not ended for seconds, or the error of the
// last write, or what has broken the store.
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

// errCloseStalled says why a store has not been closed.
var errCloseStalled = errors.New("the disk does not answer; the file stays locked until it does, or this process ends")
