package checkedbolt

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Bucket is a bucket of a transaction. A write transaction uses bbolt's bucket; a
// read transaction uses the bucket's row.
type Bucket struct {
	tx    *Tx
	b     *bolt.Bucket // nil for reading
	depth int          // how many buckets it is in

	top      uint64 // the root's page; 0 if the bucket is in small
	small    page
	sequence uint64
}

// Tx returns the bucket's transaction.
func (b *Bucket) Tx() *Tx { return b.tx }

// Fill sets how full pages are when they are split: a share of 1.
func (b *Bucket) Fill(share float64) {
	if b.b != nil {
		b.b.FillPercent = share
	}
}

// way returns the path to a leaf of the committed data. bbolt takes the same
// path: it changes the pages' places only at the commit. It is empty if the
// bucket has no page of its own.
func (b *Bucket) way(to aim, key []byte) []step {
	root := b.top
	if b.b != nil {
		root = uint64(b.b.Root())
	} else if b.small != nil {
		return []step{{b.small, 0}}
	}
	if root == 0 {
		return nil
	}
	return b.tx.down(make([]step, 0, 8), root, top, nil, nil, to, key)
}

// find returns a row of a read transaction.
func (b *Bucket) find(key []byte) (value []byte, bucket, ok bool) {
	way := b.way(toKey, key)
	leaf := way[len(way)-1].page
	i := leaf.search(key)
	if i == leaf.count() {
		return nil, false, false
	}
	k, v, bucket := leaf.row(i)
	return v, bucket, bytes.Equal(k, key)
}

// Get returns a value, or nil. It must not be changed.
func (b *Bucket) Get(key []byte) []byte {
	if b.b != nil {
		b.way(toKey, key)
		return b.b.Get(key)
	}
	if v, bucket, ok := b.find(key); ok && !bucket {
		return v
	}
	return nil
}

// Bucket returns the bucket of that name in this one, or nil.
func (b *Bucket) Bucket(name []byte) *Bucket {
	if b.b != nil {
		b.way(toKey, name)
		if in := b.b.Bucket(name); in != nil {
			return b.inner(in)
		}
		return nil
	}
	v, bucket, ok := b.find(name)
	if !ok || !bucket {
		return nil
	}
	in := b.inner(nil)
	in.top, in.sequence = u64(v), u64(v[8:])
	if in.top == 0 {
		in.small = page(v[bucketSize:])
	}
	return in
}

// inner returns a bucket in this one. A bucket that contains itself would make a
// walk endless.
func (b *Bucket) inner(in *bolt.Bucket) *Bucket {
	if b.depth >= maxNested {
		panic(&DamageError{Page: b.top, Reason: "its buckets are nested too deeply"})
	}
	return &Bucket{tx: b.tx, b: in, depth: b.depth + 1}
}

// Put stores a value, which must not be changed until the transaction ends.
func (b *Bucket) Put(key, value []byte) error {
	if b.b == nil {
		return bolterrors.ErrTxNotWritable
	}
	b.way(toKey, key)
	return b.b.Put(key, value)
}

// Delete removes a row, if it is there.
func (b *Bucket) Delete(key []byte) error {
	if b.b == nil {
		return bolterrors.ErrTxNotWritable
	}
	b.shear(key)
	return b.b.Delete(key)
}

// shear checks the pages that bbolt may merge after the deletion of key.
func (b *Bucket) shear(key []byte) {
	way := b.way(toKey, key)
	if len(way) == 0 {
		return
	}
	b.tx.neighbours(way)
	if b.tx.shorn == nil {
		b.tx.shorn = map[uint64]bool{}
	}
	b.tx.shorn[way[len(way)-1].page.id()] = true
}

// CreateBucket makes a bucket in this one.
func (b *Bucket) CreateBucket(name []byte) (*Bucket, error) {
	if b.b == nil {
		return nil, bolterrors.ErrTxNotWritable
	}
	b.way(toKey, name)
	in, err := b.b.CreateBucket(name)
	if err != nil {
		return nil, err
	}
	return b.inner(in), nil
}

// CreateBucketIfNotExists makes a bucket in this one if it is missing.
func (b *Bucket) CreateBucketIfNotExists(name []byte) (*Bucket, error) {
	if in := b.Bucket(name); in != nil {
		return in, nil
	}
	return b.CreateBucket(name)
}

// DeleteBucket removes a bucket from this one, with all its content.
func (b *Bucket) DeleteBucket(name []byte) error {
	if b.b == nil {
		return bolterrors.ErrTxNotWritable
	}
	b.shear(name)
	if in := b.b.Bucket(name); in != nil && in.Root() != 0 {
		b.tx.whole(uint64(in.Root()), top, nil, nil, 0)
	}
	return b.b.DeleteBucket(name)
}

// MoveBucket moves a bucket of this one into another, under the same name.
func (b *Bucket) MoveBucket(name []byte, to *Bucket) error {
	if b.b == nil || to.b == nil {
		return bolterrors.ErrTxNotWritable
	}
	b.shear(name)
	to.way(toKey, name)
	return b.b.MoveBucket(name, to.b)
}

// Sequence returns the bucket's number.
func (b *Bucket) Sequence() uint64 {
	if b.b != nil {
		return b.b.Sequence()
	}
	return b.sequence
}

// SetSequence sets it.
func (b *Bucket) SetSequence(n uint64) error {
	if b.b == nil {
		return bolterrors.ErrTxNotWritable
	}
	b.enterRoot()
	return b.b.SetSequence(n)
}

// NextSequence raises it by one and returns it.
func (b *Bucket) NextSequence() (uint64, error) {
	if b.b == nil {
		return 0, bolterrors.ErrTxNotWritable
	}
	b.enterRoot()
	return b.b.NextSequence()
}

// enterRoot checks the root, which bbolt reads to write it with the number.
func (b *Bucket) enterRoot() {
	if root := uint64(b.b.Root()); root != 0 {
		b.tx.page(root, top)
	}
}

// Cursor returns a cursor over the bucket's rows, in key order. The value of an
// inner bucket is nil.
func (b *Bucket) Cursor() *Cursor {
	c := &Cursor{b: b}
	if b.b != nil {
		c.c = b.b.Cursor()
	}
	return c
}
