package pushsvc

import (
	"context"
	"math/bits"
	"sync"
)

// ChangeKinds is a set of kinds of rows that operators rarely change and that pages, posts and pushes need
// all the time.
type ChangeKinds uint8

// The kinds of rows that a ChangeStore reports.
const (
	ChangedSettings ChangeKinds = 1 << iota
	ChangedPopups
	ChangedKeys
	// ChangedSites is a site that was removed, or that has another name.
	ChangedSites

	// ChangedAll is the set of all kinds.
	ChangedAll = 1<<iota - 1
)

// ChangeStore reports what operators change, so that one snapshot in memory can follow the store instead of
// one read for each request.
type ChangeStore interface {
	// Changes waits until a row of some kind changes after the revision since. It returns the kinds that
	// changed and the current revision.
	//
	//   - A change is visible to all reads that begin after Changes has reported it.
	//   - For since 0, and for a revision that the store does not know, it returns ChangedAll at once.
	//   - It may report too many kinds, never too few.
	//   - It reports a write by any process within 2 s.
	//   - It returns the context's error if the context ends first, and ErrClosed if the store is closed.
	Changes(ctx context.Context, since int64) (kinds ChangeKinds, next int64, err error)
}

// ChangeLog is a ChangeStore for a store whose writers are all in one process. The zero value is ready.
type ChangeLog struct {
	mu      sync.Mutex
	now     int64
	changed [8]int64 // the revision of each kind's last change
	closed  bool
	wake    chan struct{} // closed at the next change; nil without waiters
}

// Note reports changes that are visible to reads from now on.
func (l *ChangeLog) Note(kinds ChangeKinds) {
	if kinds == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now++
	for left := kinds; left != 0; left &= left - 1 {
		l.changed[bits.TrailingZeros8(uint8(left))] = l.now
	}
	l.wakeAll()
}

// Close ends all waits with ErrClosed.
func (l *ChangeLog) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wakeAll()
}

func (l *ChangeLog) wakeAll() {
	if l.wake != nil {
		close(l.wake)
		l.wake = nil
	}
}

// Changes implements ChangeStore.
func (l *ChangeLog) Changes(ctx context.Context, since int64) (ChangeKinds, int64, error) {
	for {
		kinds, next, wake, err := l.look(since)
		if kinds != 0 || err != nil {
			return kinds, next, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return 0, since, ctx.Err()
		}
	}
}

// look returns the changes, or a channel that is closed at the next change. The first revision is 1, so
// that 0 means unknown.
func (l *ChangeLog) look(since int64) (kinds ChangeKinds, next int64, wake chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next = l.now + 1
	switch {
	case l.closed:
		return 0, since, nil, ErrClosed
	case since < 1 || since > next:
		return ChangedAll, next, nil, nil
	}
	for i, at := range l.changed {
		if at >= since {
			kinds |= 1 << i
		}
	}
	if kinds == 0 {
		if l.wake == nil {
			l.wake = make(chan struct{})
		}
		wake = l.wake
	}
	return kinds, next, wake, nil
}
