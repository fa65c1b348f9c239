package checkedbolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"sort"
)

// bbolt's page format (its internal/common/page.go, meta.go, bucket.go). Numbers
// are in the byte order of the machine.
const (
	headerSize  = 16 // id 8, flags 2, count 2, overflow 4
	elementSize = 16 // branch: offset 4, key 4, child 8; leaf: flags 4, offset 4, key 4, value 4
	bucketSize  = 16 // root 8, sequence 8
	metaSize    = 64 // magic 4, version 4, page size 4, flags 4, root 8, sequence 8, freelist 8, pages 8, txid 8, checksum 8

	flagBranch   = 1
	flagLeaf     = 2
	flagFreelist = 16

	leafIsBucket = 1
	noFreelist   = ^uint64(0)

	// manyFree is the count of a list of free pages whose real count follows.
	manyFree = 0xffff
)

// DamageError names a damaged page and the fault.
type DamageError struct {
	Page   uint64
	Reason string
}

func (e *DamageError) Error() string { return fmt.Sprintf("page %d: %s", e.Page, e.Reason) }

// page is a branch or leaf with its overflow pages, or a small bucket's page
// within a row.
type page []byte

func u16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }
func u32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
func u64(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

func (p page) id() uint64       { return u64(p) }
func (p page) flags() uint16    { return u16(p[8:]) }
func (p page) count() int       { return int(u16(p[10:])) }
func (p page) overflow() uint64 { return uint64(u32(p[12:])) }
func (p page) isLeaf() bool     { return p.flags() == flagLeaf }

// element returns the bytes from the i-th element on, from which its offset
// counts.
func (p page) element(i int) []byte { return p[headerSize+i*elementSize:] }

// key returns the i-th key.
func (p page) key(i int) []byte {
	e := p.element(i)
	at, n := uint64(u32(e)), uint64(u32(e[4:]))
	if p.isLeaf() {
		at, n = uint64(u32(e[4:])), uint64(u32(e[8:]))
	}
	return e[at : at+n : at+n]
}

// row returns the i-th row of a leaf.
func (p page) row(i int) (key, value []byte, bucket bool) {
	e := p.element(i)
	at, k, v := uint64(u32(e[4:])), uint64(u32(e[8:])), uint64(u32(e[12:]))
	return e[at : at+k : at+k], e[at+k : at+k+v : at+k+v], u32(e)&leafIsBucket != 0
}

// child returns the number of a branch's i-th child.
func (p page) child(i int) uint64 { return u64(p.element(i)[8:]) }

// search returns the index of the first key that is not below the wanted one.
func (p page) search(key []byte) int {
	return sort.Search(p.count(), func(i int) bool { return bytes.Compare(p.key(i), key) >= 0 })
}

// childFor returns the index of the child that may have the key.
func (p page) childFor(key []byte) int {
	i := p.search(key)
	if i > 0 && (i == p.count() || !bytes.Equal(p.key(i), key)) {
		i--
	}
	return i
}

var (
	errGap     = errors.New("its rows don't lie one beside the other")
	errKind    = errors.New("a row is of an unknown kind")
	errBucket  = errors.New("a row is no bucket, but says so")
	errNoChild = errors.New("it is a branch without a child")
	errOrder   = errors.New("its keys are not in order")
)

// layout checks that a page's elements lie as bbolt writes them: the first
// directly after the table, each other directly after the one before. It returns
// where they end. A wrong count, offset or size makes a gap; only a wrong last
// size may match by chance.
func (p page) layout() (end int, err error) {
	n, leaf := p.count(), p.isLeaf()
	end = headerSize + n*elementSize
	if end > len(p) {
		return 0, errGap
	}
	if n == 0 && !leaf {
		return 0, errNoChild
	}
	for i := range n {
		start := headerSize + i*elementSize
		e := p[start : start+elementSize]
		at, k, v := uint64(u32(e)), uint64(u32(e[4:])), uint64(0)
		if leaf {
			at, k, v = uint64(u32(e[4:])), uint64(u32(e[8:])), uint64(u32(e[12:]))
		}
		if uint64(start)+at != uint64(end) || k == 0 || uint64(end)+k+v > uint64(len(p)) {
			return 0, errGap
		}
		if leaf {
			if flags := u32(e); flags > leafIsBucket {
				return 0, errKind
			} else if flags == leafIsBucket {
				if err := smallBucket(p[uint64(end)+k:][:v]); err != nil {
					return 0, err
				}
			}
		}
		end += int(k + v)
	}
	return end, nil
}

// smallBucket checks a bucket's row, which contains the bucket if it is small.
func smallBucket(value []byte) error {
	if len(value) < bucketSize {
		return errBucket
	}
	inner := page(value[bucketSize:])
	if u64(value) != 0 { // a root
		if len(inner) != 0 {
			return errBucket
		}
		return nil
	}
	if len(inner) < headerSize || !inner.isLeaf() {
		return errBucket
	}
	for i := range inner.count() { // before layout, which would recurse
		if e := headerSize + i*elementSize; e+elementSize > len(inner) || u32(inner[e:])&leafIsBucket != 0 {
			return errBucket // bbolt puts no bucket into a bucket that is stored in a row
		}
	}
	end, err := inner.layout()
	if err == nil && end != len(inner) {
		err = errGap
	}
	return err
}

// rising checks that the keys rise.
func (p page) rising() error {
	for i := 1; i < p.count(); i++ {
		if bytes.Compare(p.key(i-1), p.key(i)) >= 0 {
			return errOrder
		}
	}
	return nil
}

// fits reports whether so many bytes need exactly so many pages.
func fits(end, pageSize int, pages uint64) bool {
	return pages == uint64((end+pageSize-1)/pageSize) || pages == uint64(end/pageSize+1)
}

// freeList checks the list of free pages; high is the number of the file's pages.
func (p page) freeList(pageSize int, high uint64) error {
	count, ids := uint64(p.count()), p[headerSize:]
	if count == manyFree {
		count, ids = u64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return errors.New("it has more entries than room")
	}
	// bbolt sizes the list before its own pages are taken from it.
	pages, least := uint64(len(p)/pageSize), func(n uint64) uint64 {
		if n >= manyFree {
			n++
		}
		return (headerSize+8*n)/uint64(pageSize) + 1
	}
	if pages != least(count) && pages != least(count+pages) {
		return fmt.Errorf("it claims to be %d pages long for %d entries", pages, count)
	}
	last := uint64(1)
	for i := range count {
		id := u64(ids[8*i:])
		if id <= last || id >= high {
			return fmt.Errorf("entry %d is out of order", i)
		}
		last = id
	}
	return nil
}

// meta returns the meta page of a transaction; nil if neither is.
func meta(data []byte, pageSize int, txid uint64) []byte {
	for i := range 2 {
		m := data[i*pageSize+headerSize:][:metaSize]
		if u64(m[48:]) != txid {
			continue
		}
		sum := fnv.New64a()
		_, _ = sum.Write(m[:56])
		if u64(m[56:]) == sum.Sum64() {
			return m
		}
	}
	return nil
}
