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

// compactBatch is about how many bytes a transaction of the copy holds.
const compactBatch = 8 << 20

// Compact writes the store anew into another file and puts that in its place,
// while the store is in use: what has been deleted is then nowhere in the file,
// and the file is as small as it goes. It returns its size in bytes before and
// after. Reads go on meanwhile; writes wait, for some seconds per million
// subscriptions. It needs room for the copy. After an error, and after a crash
// at any moment, the store is as it was, or compact.
func (s *Store) Compact(ctx context.Context) (before, after int64, err error) {
	if err := s.enter(); err != nil {
		return 0, 0, fmt.Errorf("compacting the push store: %w", err)
	}
	defer s.gate.RUnlock()
	ctx, cancel := context.WithCancel(ctx) // whoever has given up waiting wants none any more
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

// compact runs in the committer, so that nobody else writes.
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
	// Only what has not become the store.
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

// swap goes over to another file, which has the name of the present one. Those
// who read the present one keep it until they are done.
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

// syncName makes the file's name durable where it is not: a power cut must not
// bring back the file that was there before.
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

// copyTo copies every row in the order of the keys.
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
	step func() // called between parts
	db   *bolt.DB
	tx   *bolt.Tx
	size int
}

// bucket copies one, and those in it. path names it.
func (c *copier) bucket(path [][]byte, from *bolt.Bucket) error {
	to, err := c.at(path)
	if err != nil {
		return err
	}
	if err := to.SetSequence(from.Sequence()); err != nil {
		return err
	}
	var inner [][]byte // after the rows: they may begin a new transaction
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

// next begins another transaction.
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

// at gives the bucket of the path, and makes it where it is missing.
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

// compacting begins the names of files that Compact writes.
func compacting(path string) string { return "." + filepath.Base(path) + ".compact-" }

// sweepCompacting removes what a crash has left of them. We have the store's
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
