package pushsvc

import (
	"context"
	"math/bits"
	"sync"
)

// ChangeKinds is a set of kinds of rows that operators change seldom and that pages,
// posts and pushes need all the time.
type ChangeKinds uint8

// The kinds of rows that a ChangeStore tells of.
const (
	ChangedSettings ChangeKinds = 1 << iota
	ChangedPopups
	ChangedKeys
	// ChangedSites is a site that was removed, or that has another name.
	ChangedSites

	// ChangedAll is all of them.
	ChangedAll = 1<<iota - 1
)

// ChangeStore tells what operators have changed, so that one snapshot in memory can
// follow the store instead of one read for each request.
type ChangeStore interface {
	// Changes waits until a row of some kind has been changed after the revision
	// since, and returns the kinds that were, and the present revision.
	//
	//   - A change is visible to all reads that begin after Changes tells of it.
	//   - For since 0, and for a revision that the store does not know, it returns
	//     ChangedAll at once.
	//   - It may tell of a kind too many, never of one too few.
	//   - It tells of a write by any process within 2 s.
	//   - It returns the context's error where that ends first, and ErrClosed where
	//     the store is closed.
	Changes(ctx context.Context, since int64) (kinds ChangeKinds, next int64, err error)
}

// ChangeLog is a ChangeStore for a store that all writers share in one process. The
// zero value is ready.
type ChangeLog struct {
	mu      sync.Mutex
	now     int64
	changed [8]int64 // the revision of each kind's last change
	closed  bool
	wake    chan struct{} // closed at the next change; nil where nobody waits
}

// Note tells of changes that are visible to reads from now on.
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

// Close ends all waits, with ErrClosed.
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

// look returns what has changed, or what is closed when something changes. The first
// revision is 1: 0 knows nothing.
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
