package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// formatVersion is the layout of the file. A store refuses newer ones.
const formatVersion = 4

// allocSize is the step in which the file grows: some 2,500 subscriptions.
// bbolt's own 16 MiB would be most of a small site's file.
const allocSize = 1 << 20

// Open opens the store at path, or makes it, with a parent directory (0700) and a
// file (0600) that only our user can read. It returns a clear error, and leaves
// the file unchanged, if another process has the file, if it is newer than this
// program, or if it is damaged. An earlier deadline of ctx ends the wait for the
// lock; ctx does not affect the open store.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("opening push store %s: %w", path, err)
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if deadline, ok := ctx.Deadline(); ok {
		o.Timeout = max(min(o.Timeout, time.Until(deadline)), time.Millisecond)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	s := &Store{
		path: path, clock: o.Clock, onDamage: o.OnDamage, onHeld: o.OnHeld,
		ops: make(chan *op, queueLength), done: make(chan struct{}), closing: make(chan struct{}),
		notes: newNotes(path), recent: newRecent(), history: map[string]uint64{}, health: health{started: time.Now()},
	}
	err := s.open(path, o.Timeout)
	for tries := 0; errors.Is(err, errReplaced) && tries < 10; tries++ {
		err = s.open(path, o.Timeout)
	}
	if err != nil {
		if errors.Is(err, bolterrors.ErrTimeout) {
			return nil, fmt.Errorf("opening push store %s: the file is locked by another process; another Caddy running? use 'caddy reload': %w", path, err)
		}
		return nil, fmt.Errorf("opening push store %s: %w", path, withErrno(err))
	}
	go s.commitLoop()
	return s, nil
}

// errReplaced means that the path now names another file: the process that had
// the store has replaced it.
var errReplaced = errors.New("the file has been replaced")

// inPlace checks, with the lock held, that the path still names this file.
func inPlace(path string, file *os.File) error {
	have, err := file.Stat()
	if err != nil {
		return err
	}
	want, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(have, want) {
		return errReplaced
	}
	return nil
}

func (s *Store) open(path string, timeout time.Duration) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path, timeout); err != nil {
			return err
		}
	case err != nil:
		return err
	case info.Size() > 0:
		if err := inspect(path, timeout, s.report, checkFormat); err != nil {
			return err
		}
	}
	db, file, err := openBolt(path, bolt.Options{Timeout: timeout})
	if err != nil {
		return err
	}
	if err := inPlace(path, file); err != nil {
		return errors.Join(err, db.Close())
	}
	db.AllocSize = allocSize
	err = catch(func() error {
		if err := initialise(db); err != nil {
			return err
		}
		return s.prepare(db)
	})
	if err != nil {
		_ = release(file) // not db.Close: after a panic it may wait for ever
		return err
	}
	s.db, s.file = db, file
	return s.checkSize()
}

// prepare migrates an older format and removes what a crash has left.
func (s *Store) prepare(db *bolt.DB) error {
	if err := migrate(db, s.report); err != nil {
		return err
	}
	if err := s.holdCopied(db); err != nil {
		return err
	}
	wanted, held := map[string]bool{}, 0
	err := db.View(func(tx *bolt.Tx) error {
		s.noteMoves(tx)
		eachUnfinished(tx, "", s.report, func(st site, id string) bool {
			wanted[prefix(st.name, id)] = true
			if p, err := st.progress(id); err == nil && p.State == pushsvc.StateHeld {
				held++
			}
			return true
		})
		return nil
	})
	if err != nil {
		return err
	}
	if held > 0 && s.onHeld != nil {
		s.onHeld(held)
	}
	if err := s.notes.sweep(wanted); err != nil {
		s.report(err) // they do no harm
	}
	if err := sweepCompacting(s.path); err != nil {
		s.report(err)
	}
	return nil
}

// openBolt opens the file with recovery: bbolt panics if the list of free pages
// is damaged. The list is kept in the file, although leaving it out
// (NoFreelistSync) would save a page per commit. bbolt would then read the whole
// file at each start and after each failed commit, in its own goroutine, where a
// damaged page ends the process and we can't recover.
func openBolt(path string, o bolt.Options) (db *bolt.DB, file *os.File, err error) {
	o.FreelistType = bolt.FreelistMapType
	o.NoStatistics = true
	if o.InitialMmapSize == 0 {
		o.InitialMmapSize = mapSize(path)
	}
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, mode)
		file = f
		return f, err
	}
	panicked := true
	err = catch(func() (err error) {
		db, err = bolt.Open(path, 0o600, &o)
		panicked = false
		return err
	})
	if err == nil {
		return db, file, nil
	}
	if panicked && file != nil {
		_ = release(file)
	}
	tooSmall := strings.HasPrefix(err.Error(), "file size too small") // bbolt has no error value for it
	if tooSmall || errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch) {
		err = &DamageError{Where: "file", Err: fmt.Errorf("it is not a database: %w", err)}
	}
	return nil, nil, err
}

// mapSize leaves room in the memory map, so that a long read (a backup) does not
// block a writer that needs a larger map. A map costs only address space, except
// on Windows, where it would grow the file.
func mapSize(path string) int {
	if runtime.GOOS == "windows" || strconv.IntSize < 64 {
		return 0
	}
	const least = 64 << 20
	info, err := os.Stat(path)
	if err != nil || info.Size() < least/2 {
		return least
	}
	return int(2 * info.Size())
}

// inspect checks an existing file read-only: first its structure, then its
// content with look.
func inspect(path string, timeout time.Duration, report func(error), look func(*bolt.Tx) error) error {
	db, file, err := openBolt(path, bolt.Options{Timeout: timeout, ReadOnly: true})
	if err != nil {
		return err
	}
	err = catch(func() error {
		return db.View(func(tx *bolt.Tx) error {
			info, err := file.Stat()
			if err != nil {
				return err
			}
			if info.Size() < tx.Size() {
				return &DamageError{Where: "file", Err: fmt.Errorf("it is cut short: %d of %d bytes", info.Size(), tx.Size())}
			}
			if err := verify(file, db.Info().PageSize, report); err != nil {
				return &DamageError{Where: "file", Err: err}
			}
			return look(tx)
		})
	})
	if err != nil {
		_ = release(file)
		return err
	}
	return db.Close()
}

// checkFormat refuses unknown layouts, and files of other programs.
func checkFormat(tx *bolt.Tx) error {
	meta := tx.Bucket([]byte(bucketMeta))
	if meta == nil {
		if k, _ := tx.Cursor().First(); k != nil {
			return errors.New("the file is a bbolt database of another program")
		}
		return nil // created, but never used
	}
	v := meta.Get([]byte(metaFormat))
	if len(v) != 4 {
		return &DamageError{Where: `bucket "meta"`, Err: errors.New("the format version is missing")}
	}
	if have := binary.BigEndian.Uint32(v); have > formatVersion {
		return fmt.Errorf("the file has format %d, this program knows formats up to %d: use the newer program, or restore a backup made by this one", have, formatVersion)
	}
	return nil
}

// initialise makes the missing top buckets.
func initialise(db *bolt.DB) error {
	ready := false
	err := db.View(func(tx *bolt.Tx) error {
		ready = tx.Bucket([]byte(bucketMeta)) != nil
		return nil
	})
	if err != nil || ready {
		return err
	}
	return db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{bucketMeta, bucketSites, bucketKeys, bucketUnfinished} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return fmt.Errorf("making bucket %q: %w", name, err)
			}
		}
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(metaFormat), binary.BigEndian.AppendUint32(nil, formatVersion))
	})
}

// create makes the file completely or not at all: if bbolt's own first write is
// cut off, it leaves a file that bbolt never opens again. Two processes may run
// this at once; a link never replaces a file, so one of them wins and the other
// opens the winner's file.
func create(path string, timeout time.Duration) error {
	dir := filepath.Dir(path)
	made := missing(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making its directory: %w", err)
	}
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".new-*")
	if err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	defer os.Remove(tmp.Name())
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	db, _, err := openBolt(tmp.Name(), bolt.Options{Timeout: timeout})
	if err != nil {
		return err
	}
	db.AllocSize = allocSize
	err = errors.Join(initialise(db), db.Close())
	if err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	if err := publish(tmp.Name(), path); err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	for _, d := range append(made, dir) {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

func publish(tmp, path string) error {
	err := os.Link(tmp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return os.Rename(tmp, path) // a file system without hard links
}

// missing lists the parents of the directories to be made: a new name is durable
// once its parent has been synced.
func missing(dir string) (parents []string) {
	for {
		if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return parents
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return parents
		}
		parents = append(parents, parent)
		dir = parent
	}
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // it can't sync directories
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing directory %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing directory %s: %w", dir, err)
	}
	return nil
}
