package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// compactBatch is the approximate number of bytes per transaction of the copy.
const compactBatch = 8 << 20

// Compact rewrites the store into another file and replaces the old file with it,
// while the store is in use. Deleted data is then nowhere in the file, and the
// file
// is as small as possible. It returns the size in bytes before and after.
//
//   - Reads continue; writes wait, for some seconds per million subscriptions.
//   - It needs room for the copy.
//   - After an error, and after a crash at any moment, the store is unchanged or
//     compacted.
func (s *Store) Compact(ctx context.Context) (before, after int64, err error) {
	if err := s.takeGate(); err != nil {
		return 0, 0, fmt.Errorf("compacting the push store: %w", err)
	}
	defer s.gate.RUnlock()
	ctx, cancel := context.WithCancel(ctx) // cancels the compaction when the caller's context ends
	defer cancel()
	o := &op{ctx: ctx, done: make(chan struct{}), alone: func() (err error) {
		before, after, err = s.compact(ctx)
		return err
	}}
	if err := s.await(o); err != nil {
		return 0, 0, fmt.Errorf("compacting the push store: %w", withErrno(err))
	}
	return before, after, nil
}

// compact runs in the committer, so that no other write runs.
func (s *Store) compact(ctx context.Context) (before, after int64, err error) {
	if err := s.settleIndex(); err != nil {
		return 0, 0, err
	}
	info, err := s.file.Stat()
	if err != nil {
		return 0, 0, err
	}
	before = info.Size()
	tmp, err := os.CreateTemp(filepath.Dir(s.path), compacting(s.path)+"*")
	if err != nil {
		return 0, 0, err
	}
	// Only if it has not become the store.
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	if err := tmp.Close(); err != nil {
		return 0, 0, err
	}
	db, file, err := openBolt(tmp.Name(), bolt.Options{
		Timeout: DefaultTimeout, NoSync: true, NoGrowSync: true, InitialMmapSize: mapSize(s.path),
	})
	if err != nil {
		return 0, 0, err
	}
	if err := errors.Join(s.copyTo(ctx, db), file.Sync()); err != nil {
		return 0, 0, errors.Join(err, db.Close())
	}
	db.NoSync, db.NoGrowSync, db.AllocSize = false, false, allocSize
	if info, err = file.Stat(); err != nil {
		return 0, 0, errors.Join(err, db.Close())
	}
	if err := os.Rename(tmp.Name(), s.path); err != nil {
		return 0, 0, errors.Join(err, db.Close())
	}
	s.swap(db, file)
	return before, info.Size(), s.syncName()
}

// swap switches to another file, which already has the store's name. Readers of
// the old file keep it until they are done.
func (s *Store) swap(db *bolt.DB, file *os.File) {
	s.begin.Lock()
	oldDB, oldFile := s.db, s.file
	s.db, s.file = db, file
	s.size.Store(0)
	s.begin.Unlock()
	s.renamed = true
	s.retired.Go(func() {
		if err := catch(func() error { return closeDB(oldDB, oldFile, s.broken.Load() != nil) }); err != nil {
			s.report(err)
		}
	})
}

// syncName makes the file's name durable if it is not yet: a power cut must not
// bring back the replaced file.
func (s *Store) syncName() error {
	if !s.renamed {
		return nil
	}
	if err := syncDir(filepath.Dir(s.path)); err != nil {
		return err
	}
	s.renamed = false
	return nil
}

// copyTo copies every row in key order.
func (s *Store) copyTo(ctx context.Context, db *bolt.DB) error {
	src, err := s.beginTx(false)
	if err != nil {
		return err
	}
	defer s.rollback(src)
	c := &copier{ctx: ctx, db: db, step: s.health.step}
	if c.tx, err = db.Begin(true); err != nil {
		return err
	}
	defer func() { _ = c.tx.Rollback() }() // does nothing after a commit
	return catch(func() error {
		err := src.ForEach(func(name []byte, b *bolt.Bucket) error {
			if string(name) == bucketRemoved {
				return nil
			}
			return c.bucket([][]byte{name}, b)
		})
		if err != nil {
			return err
		}
		return c.tx.Commit()
	})
}

// copier copies buckets in transactions of a limited size.
type copier struct {
	ctx  context.Context
	step func() // called between pieces of work
	db   *bolt.DB
	tx   *bolt.Tx
	size int
}

// bucket copies a bucket and the buckets in it. path names it.
func (c *copier) bucket(path [][]byte, from *bolt.Bucket) error {
	to, err := c.at(path)
	if err != nil {
		return err
	}
	if err := to.SetSequence(from.Sequence()); err != nil {
		return err
	}
	var inner [][]byte // after the rows, which may begin a new transaction
	cursor := from.Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if v == nil {
			inner = append(inner, bytes.Clone(k))
			continue
		}
		if c.size += len(k) + len(v); c.size > compactBatch {
			if to, err = c.next(path); err != nil {
				return err
			}
		}
		if err := to.Put(k, v); err != nil {
			return err
		}
	}
	for _, name := range inner {
		below := append(append([][]byte(nil), path...), name)
		if err := c.bucket(below, from.Bucket(name)); err != nil {
			return err
		}
	}
	return c.ctx.Err()
}

// next commits and begins another transaction.
func (c *copier) next(path [][]byte) (*bolt.Bucket, error) {
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	c.step()
	if err := c.tx.Commit(); err != nil {
		return nil, err
	}
	c.step()
	tx, err := c.db.Begin(true)
	if err != nil {
		return nil, err
	}
	c.tx, c.size = tx, 0
	return c.at(path)
}

// at returns the bucket of the path, and makes it if it is missing.
func (c *copier) at(path [][]byte) (*bolt.Bucket, error) {
	b, err := c.tx.CreateBucketIfNotExists(path[0])
	for _, name := range path[1:] {
		if err == nil {
			b, err = b.CreateBucketIfNotExists(name)
		}
	}
	if err != nil {
		return nil, err
	}
	b.Fill(fill)
	return b, nil
}

// compacting is the prefix of the names of files that Compact writes.
func compacting(path string) string { return "." + filepath.Base(path) + ".compact-" }

// sweepCompacting removes such files left by a crash. The caller has the store's
// lock: none is in use.
func sweepCompacting(path string) error {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), compacting(path)) {
			continue
		}
		if e := os.Remove(filepath.Join(dir, e.Name())); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return fmt.Errorf("removing what is left of compacting: %w", err)
	}
	return nil
}
