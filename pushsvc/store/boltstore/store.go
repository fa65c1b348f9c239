package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// DefaultTimeout is how long Open waits for another process to release the file.
const DefaultTimeout = 5 * time.Second

// queueLength limits the writes in the committer's queue; further callers wait
// until there is room, or until their context ends.
const queueLength = 1024

// Options are the settings of a Store; the zero value is valid.
type Options struct {
	// Timeout is how long to wait for the lock on the file; zero is
	// DefaultTimeout.
	Timeout time.Duration
	// Clock dates keys without a date; nil is time.Now.
	Clock func() time.Time
	// OnDamage is called with each damaged row that a list has skipped, as a
	// *DamageError. It may be called by many goroutines and must not call the
	// store. It may be nil.
	OnDamage func(error)
	// OnHeld is called by Open with the number of messages that are held because
	// the store was restored from a backup. It may be nil.
	OnHeld func(messages int)
}

// Store is a store.Store in one bbolt file. Make it with Open.
type Store struct {
	path     string
	clock    func() time.Time
	onDamage func(error)
	onHeld   func(int)

	gate   sync.RWMutex // held for reading by every call, for writing by Close
	closed bool
	// closing is closed when Close is called, for operations that must not delay
	// it.
	closing chan struct{}
	hurry   sync.Once

	begin   sync.Mutex // see beginTx; also guards the two
	db      *bolt.DB
	file    *os.File       // db's own; to watch its size, and to unlock a broken db
	retired sync.WaitGroup // files that Compact has replaced and that are still read

	broken atomic.Pointer[error] // set when bbolt's locks can't be trusted
	size   atomic.Int64          // largest size of the file seen; it never shrinks

	// moving has the names whose rows are being moved, by their destination site.
	moving atomic.Pointer[map[string][]string]

	notes  *notes
	health health

	changes pushsvc.ChangeLog

	historyMu sync.Mutex
	history   map[string]uint64 // the last number used for a row of a site's history

	ops  chan *op
	done chan struct{} // closed when the committer has ended
	// Only the committer uses these.
	expected int           // number of callers that may be about to write
	patience time.Duration // how long to wait for them
	begun    time.Time     // start of the last commit
	shared   bool          // it carried several operations
	unsure   bool          // the last commit failed: its outcome is unknown
	recent   *recent       // the waiting index entries
	onCommit func(bolt.TxStats)
	// renamed means that the file's name may not be durable.
	renamed bool
}

// Close waits for running calls, including writes, cancels a running backup and
// releases the file. Later calls of other methods return pushsvc.ErrClosed;
// another
// Close does nothing. If the disk does not answer, Close returns an error after
// closePatience, and the file is released when the disk answers.
func (s *Store) Close() error {
	s.hurry.Do(func() { close(s.closing); s.changes.Close() })
	ended := make(chan error, 1)
	go func() { ended <- s.shut() }()
	for begun := time.Now(); ; {
		select {
		case err := <-ended:
			return err
		case <-time.After(closePatience):
			if s.health.stalled() >= stalledAfter || time.Since(begun) > 4*closePatience {
				return fmt.Errorf("closing the push store: %w", errCloseStalled)
			}
		}
	}
}

// Changes implements pushsvc.ChangeStore. All writers of the file are in this
// process.
func (s *Store) Changes(ctx context.Context, since int64) (pushsvc.ChangeKinds, int64, error) {
	return s.changes.Changes(ctx, since)
}

func (s *Store) shut() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.ops)
	<-s.done
	s.notes.close()
	s.retired.Wait()
	return closeDB(s.db, s.file, s.broken.Load() != nil)
}

// closeDB closes the database; if a panic may have left bbolt's own locks held
// for ever, it only releases the file.
func closeDB(db *bolt.DB, file *os.File, broken bool) error {
	if broken {
		return release(file)
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("closing the push store: %w", err)
	}
	return nil
}

// read runs fn in a read transaction. The result must not point into the
// transaction's memory.
func read[T any](ctx context.Context, s *Store, fn func(*bolt.Tx) (T, error)) (out T, err error) {
	if err := s.takeGate(); err != nil {
		return out, err
	}
	defer s.gate.RUnlock()
	return readOpen(ctx, s, fn)
}

// takeGate takes the gate for reading. It does not wait for a Close that waits for
// others.
func (s *Store) takeGate() error {
	select {
	case <-s.closing:
		return pushsvc.ErrClosed
	default:
	}
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return pushsvc.ErrClosed
	}
	return nil
}

// readOpen is read for a caller who holds the gate.
func readOpen[T any](ctx context.Context, s *Store, fn func(*bolt.Tx) (T, error)) (out T, err error) {
	if err := ctx.Err(); err != nil {
		return out, err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err := s.beginTx(false)
	if err != nil {
		return out, err
	}
	defer s.rollback(tx)
	err = catch(func() (err error) {
		out, err = fn(tx)
		return err
	})
	return out, err
}

// beginTx starts a transaction. A panic in bbolt's Begin (both meta pages are
// damaged) leaves its locks held, and the next Begin would wait for ever. So
// transactions begin one at a time, and after such a panic no more is tried.
func (s *Store) beginTx(writable bool) (tx *bolt.Tx, err error) {
	s.begin.Lock()
	defer s.begin.Unlock()
	if broken := s.broken.Load(); broken != nil {
		return nil, *broken
	}
	if err := s.checkSize(); err != nil {
		return nil, s.breakWith(err)
	}
	if writable {
		if err := s.checkPlace(); err != nil {
			return nil, err
		}
	}
	panicked := true
	err = catch(func() (err error) {
		tx, err = s.db.Begin(writable)
		panicked = false
		return err
	})
	if panicked {
		return nil, s.breakWith(err)
	}
	if err != nil {
		return nil, fmt.Errorf("beginning a transaction: %w", err)
	}
	return tx, nil
}

// checkPlace detects a file that was removed, moved or replaced: changes to it
// would be lost at the next start. When it is back, writes work again.
func (s *Store) checkPlace() error {
	if err := inPlace(s.path, s.file); err != nil {
		return fmt.Errorf("the push store's file has been moved or removed from %s while it was open; put it back, or restart Caddy to go on with what is there: %w", s.path, err)
	}
	return nil
}

// checkSize detects a file that was truncated by another process, before its
// missing pages are read.
func (s *Store) checkSize() error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("looking at the push store's file: %w", err)
	}
	for {
		old := s.size.Load()
		if info.Size() < old {
			return &DamageError{Where: "file", Err: fmt.Errorf("it has shrunk from %d to %d bytes", old, info.Size())}
		}
		if s.size.CompareAndSwap(old, info.Size()) {
			return nil
		}
	}
}

// breakWith refuses all further transactions with the first error it gets.
func (s *Store) breakWith(err error) error {
	s.broken.CompareAndSwap(nil, &err)
	return *s.broken.Load()
}

// rollback ends a transaction without its changes. It never reads pages, so it
// fails only if bbolt's own memory is inconsistent.
func (s *Store) rollback(tx *bolt.Tx) {
	err := catch(func() error {
		if err := tx.Rollback(); !errors.Is(err, bolterrors.ErrTxClosed) {
			return err
		}
		return nil
	})
	if err != nil {
		s.breakWith(err)
	}
}

// report passes the damage that a list has skipped to Options.OnDamage.
func (s *Store) report(err error) {
	if s.onDamage != nil {
		s.onDamage(err)
	}
}

// Interface guards.
var _ store.Store = (*Store)(nil)
