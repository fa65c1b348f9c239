package checkedbolt

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// Cursor is a place in a bucket. A change of the bucket invalidates it.
type Cursor struct {
	b *Bucket
	c *bolt.Cursor // nil for reading

	way []step // for reading

	// For writing: the key of the place, and the first key of the next leaf (nil
	// after the last leaf), which has been checked.
	key, until []byte
}

// First moves to the first row; its key is nil if the bucket is empty.
func (c *Cursor) First() (key, value []byte) {
	if c.c != nil {
		c.ahead(toFirst, nil, 1)
		return c.at(c.c.First())
	}
	c.way = c.b.way(toFirst, nil)
	return c.forth()
}

// Last moves to the last row.
func (c *Cursor) Last() (key, value []byte) {
	if c.c != nil {
		return c.lastWritten()
	}
	c.way = c.b.way(toLast, nil)
	c.leaf().at = c.leaf().page.count()
	return c.Prev()
}

// lastWritten is Last for a writer. bbolt's own loops for ever if all rows of two
// or more leaves were deleted in the same transaction.
func (c *Cursor) lastWritten() (key, value []byte) {
	c.ahead(toLast, nil, -1)
	way := c.b.way(toLast, nil)
	if len(way) < 2 || !c.b.tx.shorn[way[len(way)-1].page.id()] {
		return c.at(c.c.Last())
	}
	for ok := true; ok; way, ok = c.b.tx.beside(way, -1) {
		var last []byte
		for k, _ := c.Seek(way[len(way)-1].page.key(0)); k != nil; k, _ = c.Next() {
			last = k
		}
		if last != nil {
			return c.Seek(last)
		}
	}
	return c.First() // a row before all others
}

// Seek moves to the first row whose key is not below the given one.
func (c *Cursor) Seek(key []byte) (k, value []byte) {
	if c.c != nil {
		c.ahead(toKey, key, 1)
		return c.at(c.c.Seek(key))
	}
	c.way = c.b.way(toKey, key)
	c.leaf().at = c.leaf().page.search(key)
	return c.forth()
}

// Next moves to the following row. At the last row it stays there and returns a
// nil key.
func (c *Cursor) Next() (key, value []byte) {
	if c.c != nil {
		if c.until != nil && bytes.Compare(c.key, c.until) >= 0 {
			c.ahead(toKey, c.key, 1)
		}
		return c.at(c.c.Next())
	}
	if c.leaf().at < c.leaf().page.count() {
		c.leaf().at++
	}
	return c.forth()
}

// Prev moves to the row before this one.
func (c *Cursor) Prev() (key, value []byte) {
	if c.c != nil {
		if c.key != nil {
			c.ahead(toKey, c.key, -1)
		}
		k, v := c.c.Prev()
		for n := len(c.b.tx.shorn); k == nil && n > 0; n-- { // bbolt stops at an emptied leaf
			k, v = c.c.Prev()
		}
		return c.at(k, v)
	}
	for c.leaf().at == 0 {
		way, ok := c.b.tx.beside(copyOf(c.way), -1)
		if !ok {
			return nil, nil
		}
		c.way = way
		c.leaf().at = c.leaf().page.count()
	}
	c.leaf().at--
	return c.row()
}

// copyOf copies a path, which beside overwrites.
func copyOf(way []step) []step { return append(make([]step, 0, len(way)+1), way...) }

func (c *Cursor) leaf() *step { return &c.way[len(c.way)-1] }

// forth returns the row at or after a reader's place; if this leaf has no more
// rows, from a later one.
func (c *Cursor) forth() (key, value []byte) {
	for c.leaf().at >= c.leaf().page.count() {
		way, ok := c.b.tx.beside(copyOf(c.way), 1)
		if !ok {
			return nil, nil
		}
		c.way = way
	}
	return c.row()
}

func (c *Cursor) row() (key, value []byte) {
	k, v, bucket := c.leaf().page.row(c.leaf().at)
	if bucket {
		return k, nil
	}
	return k, v
}

// at records a writer's place.
func (c *Cursor) at(k, v []byte) (key, value []byte) {
	c.key = k
	return k, v
}

// ahead checks the leaf that a writer moves to, and the next one; it skips leaves
// that may be empty.
func (c *Cursor) ahead(to aim, key []byte, delta int) {
	c.until = nil
	if delta < 0 {
		c.until = []byte{} // Next checks by itself
	}
	way := c.b.way(to, key)
	ok := len(way) > 0
	for first := true; ok; first = false {
		leaf := way[len(way)-1].page
		if !first {
			if c.until == nil {
				c.until = leaf.key(0)
			}
			if !c.b.tx.shorn[leaf.id()] {
				return
			}
		}
		way, ok = c.b.tx.beside(way, delta)
	}
}
