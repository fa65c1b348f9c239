package checkedbolt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// Options and TxStats are bbolt's.
type (
	Options = bolt.Options
	TxStats = bolt.TxStats
)

// FreelistMapType is bbolt's.
const FreelistMapType = bolt.FreelistMapType

// DB is an open file. Only Begin, View and Update start its transactions.
type DB struct {
	*bolt.DB
	last atomic.Uint64 // the newest transaction seen
}

// Open opens a file like bbolt. Before bbolt loads the list of free pages, Open
// checks it: a size in it may exceed all memory. It panics like a transaction.
func Open(path string, mode os.FileMode, o *Options) (*DB, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 && !o.ReadOnly {
		if err := checkList(path, mode, o); err != nil {
			return nil, err
		}
	}
	db, err := bolt.Open(path, mode, o)
	if err != nil {
		return nil, err
	}
	return &DB{DB: db}, nil
}

// checkList checks the list in a file opened for reading, which does not load it.
func checkList(path string, mode os.FileMode, o *Options) (err error) {
	read := *o
	read.ReadOnly, read.InitialMmapSize = true, 0
	var file *os.File
	read.OpenFile = func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
		f, err = os.OpenFile(name, flag, mode)
		file = f
		return f, err
	}
	var db *bolt.DB
	defer func() {
		switch {
		case db != nil:
			err = errors.Join(err, db.Close())
		case file != nil: // bbolt's Open failed or panicked; closing it again does no harm
			_ = file.Close()
		}
	}()
	if db, err = bolt.Open(path, mode, &read); err != nil {
		return err
	}
	t, err := (&DB{DB: db}).Begin(false)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }()
	t.checkList()
	return nil
}

// Tx is a transaction.
type Tx struct {
	tx       *bolt.Tx
	db       *DB
	writable bool
	data     []byte // all pages, as in bbolt's memory map
	size     int    // of a page
	high     uint64 // the number of pages
	seen     map[uint64]seen
	// shorn are the leaves from which rows were deleted: they may be empty.
	shorn map[uint64]bool
}

// seen is a page that has been checked.
type seen struct {
	parent uint64
	head   [headerSize]byte
	page   page
}

// Begin begins a transaction. It panics if the last commit is gone: if a meta
// page is damaged, bbolt returns to the transaction before and would overwrite
// the last one's pages.
func (db *DB) Begin(writable bool) (*Tx, error) {
	least := db.last.Load() // before: commits may follow meanwhile
	inner, err := db.DB.Begin(writable)
	if err != nil {
		return nil, err
	}
	t := &Tx{tx: inner, db: db, writable: writable, seen: map[uint64]seen{}}
	if id := t.committed(); id < least {
		_ = inner.Rollback()
		panic(&DamageError{Page: least % 2, Reason: fmt.Sprintf("transaction %d was committed, and the newest is %d", least, id)})
	}
	db.raise(t.committed())
	info := db.Info()
	t.size = info.PageSize
	t.high = uint64(inner.Size()) / uint64(t.size)
	// The map does not move during the transaction: for reading bbolt holds a
	// lock, for writing only Commit moves it.
	t.data = unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&info.Data))), inner.Size())
	return t, nil
}

// committed returns the number of the transaction whose data this one sees.
func (t *Tx) committed() uint64 {
	if t.writable {
		return uint64(t.tx.ID()) - 1
	}
	return uint64(t.tx.ID())
}

func (db *DB) raise(id uint64) {
	for {
		old := db.last.Load()
		if id <= old || db.last.CompareAndSwap(old, id) {
			return
		}
	}
}

// View runs fn in a read transaction.
func (db *DB) View(fn func(*Tx) error) error {
	t, err := db.Begin(false)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }()
	return fn(t)
}

// Update runs fn in a write transaction, and commits it unless fn fails.
func (db *DB) Update(fn func(*Tx) error) error {
	t, err := db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // does nothing after a commit
	if err := fn(t); err != nil {
		return err
	}
	return t.Commit()
}

// Commit checks the pages that bbolt is about to free, and commits.
func (t *Tx) Commit() error {
	if t.writable {
		t.recheck()
	}
	id := t.tx.ID()
	if err := t.tx.Commit(); err != nil {
		return err
	}
	t.db.raise(uint64(id))
	return nil
}

// recheck checks again the headers of the pages used, and the list of free pages.
func (t *Tx) recheck() {
	for id, s := range t.seen {
		if !bytes.Equal(s.head[:], s.page[:headerSize]) {
			panic(&DamageError{Page: id, Reason: "its header has changed since it was read"})
		}
	}
	t.checkList()
}

// checkList panics if bbolt could not load the list of free pages.
func (t *Tx) checkList() {
	m := meta(t.data, t.size, t.committed())
	if m == nil {
		panic(&DamageError{Page: t.committed() % 2, Reason: "the meta page has changed since it was read"})
	}
	id := u64(m[32:])
	if id == noFreelist {
		return
	}
	if err := t.raw(id, flagFreelist).freeList(t.size, t.high); err != nil {
		panic(&DamageError{Page: id, Reason: "the list of free pages: " + err.Error()})
	}
}

// Rollback ends the transaction without its changes.
func (t *Tx) Rollback() error { return t.tx.Rollback() }

// Size returns the number of bytes of the file's pages.
func (t *Tx) Size() int64 { return t.tx.Size() }

// DB returns the transaction's database.
func (t *Tx) DB() *DB { return t.db }

// ID returns the transaction's number.
func (t *Tx) ID() int { return t.tx.ID() }

// Stats are bbolt's.
func (t *Tx) Stats() TxStats { return t.tx.Stats() }

// WriteTo writes all pages as they are.
func (t *Tx) WriteTo(w io.Writer) (int64, error) { return t.tx.WriteTo(w) }

// root returns the bucket that contains all others.
func (t *Tx) root() *Bucket {
	b := t.tx.Cursor().Bucket()
	if t.writable {
		return &Bucket{tx: t, b: b}
	}
	return &Bucket{tx: t, top: uint64(b.Root())}
}

// Bucket returns a bucket at the top, or nil.
func (t *Tx) Bucket(name []byte) *Bucket { return t.root().Bucket(name) }

// CreateBucket makes a bucket at the top.
func (t *Tx) CreateBucket(name []byte) (*Bucket, error) { return t.root().CreateBucket(name) }

// CreateBucketIfNotExists makes a bucket at the top where it is missing.
func (t *Tx) CreateBucketIfNotExists(name []byte) (*Bucket, error) {
	return t.root().CreateBucketIfNotExists(name)
}

// DeleteBucket removes a bucket at the top.
func (t *Tx) DeleteBucket(name []byte) error { return t.root().DeleteBucket(name) }

// Cursor returns a cursor over the buckets at the top.
func (t *Tx) Cursor() *Cursor { return t.root().Cursor() }

// ForEach calls fn with each bucket at the top.
func (t *Tx) ForEach(fn func(name []byte, b *Bucket) error) error {
	root := t.root()
	c := root.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if err := fn(k, root.Bucket(k)); err != nil {
			return err
		}
	}
	return nil
}
