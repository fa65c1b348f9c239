package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt's page format (its internal/common/page.go and meta.go). Numbers are in
// the byte order of the machine.
const (
	pageHeader  = 16 // id 8, flags 2, count 2, overflow 4
	pageElement = 16

	flagBranch   = 1
	flagLeaf     = 2
	flagMeta     = 4
	flagFreelist = 16

	metaSize     = 64 // magic 4, version 4, page size 4, flags 4, root 8, sequence 8, freelist 8, pages 8, txid 8, checksum 8
	noFreelist   = ^uint64(0)
	maxDepth     = 64 // of buckets and branches together
	leafIsBucket = 1
)

// verifier checks the pages of a file before bbolt uses it. bbolt trusts the
// header of a page. One flipped bit can have these effects, from which no
// recovery
// is possible:
//
//   - in a page's length: the next commit frees four billion pages, one by one,
//     until memory runs out;
//   - in a child's number: recursion until the stack overflows;
//   - in the list of free pages: live pages are overwritten.
//
// An invalid page is left to bbolt, which panics when it reads it; that is
// caught,
// and the rest of the file stays usable.
type verifier struct {
	file   io.ReaderAt
	size   uint64 // of a page
	pages  uint64 // in the file
	seen   []uint64
	damage func(error)
}

// verify checks the file's structure as of its last commit. It reports what it
// skips.
func verify(file io.ReaderAt, pageSize int, report func(error)) error {
	v := &verifier{file: file, size: uint64(pageSize), damage: report}
	meta, err := v.meta()
	if err != nil {
		return err
	}
	v.pages = binary.NativeEndian.Uint64(meta[40:])
	if v.pages > 1<<40 {
		return errors.New("it claims too many pages")
	}
	v.seen = make([]uint64, v.pages/64+1)
	if err := v.tree(binary.NativeEndian.Uint64(meta[16:]), 0); err != nil {
		return err
	}
	if id := binary.NativeEndian.Uint64(meta[32:]); id != noFreelist {
		return v.freelist(id)
	}
	return nil
}

// meta returns the newer of the two meta pages that is valid.
func (v *verifier) meta() (newest []byte, err error) {
	for i := range int64(2) {
		p := make([]byte, metaSize)
		if _, err := v.file.ReadAt(p, i*int64(v.size)+pageHeader); err != nil {
			return nil, fmt.Errorf("reading a meta page: %w", err)
		}
		sum := fnv.New64a()
		_, _ = sum.Write(p[:56])
		if binary.NativeEndian.Uint64(p[56:]) != sum.Sum64() {
			continue
		}
		if newest == nil || binary.NativeEndian.Uint64(p[48:]) > binary.NativeEndian.Uint64(newest[48:]) {
			newest = p
		}
	}
	if newest == nil {
		return nil, errors.New("both meta pages are damaged")
	}
	return newest, nil
}

// claim reads a page of the wanted kinds, with its overflow pages, and marks its
// place as used. ok is false for an invalid page.
func (v *verifier) claim(id uint64, kinds uint16) (page []byte, ok bool, err error) {
	if id < 2 || id >= v.pages {
		return nil, false, fmt.Errorf("page %d is referred to, and the last is %d", id, v.pages-1)
	}
	page = make([]byte, v.size)
	if _, err := v.file.ReadAt(page, int64(id*v.size)); err != nil {
		return nil, false, fmt.Errorf("reading page %d: %w", id, err)
	}
	flags, overflow := binary.NativeEndian.Uint16(page[8:]), uint64(binary.NativeEndian.Uint32(page[12:]))
	known := flags == flagBranch || flags == flagLeaf || flags == flagMeta || flags == flagFreelist
	if binary.NativeEndian.Uint64(page) != id || !known {
		v.damage(&DamageError{Where: fmt.Sprintf("page %d", id), Err: errors.New("it is not a page")})
		return nil, false, v.mark(id)
	}
	if flags&kinds == 0 {
		return nil, false, fmt.Errorf("page %d is of another kind than its place", id)
	}
	if overflow >= v.pages-id {
		return nil, false, fmt.Errorf("page %d claims to be %d pages long", id, overflow+1)
	}
	for i := range overflow + 1 {
		if err := v.mark(id + i); err != nil {
			return nil, false, err
		}
	}
	if overflow > 0 {
		page = make([]byte, (overflow+1)*v.size)
		if _, err := v.file.ReadAt(page, int64(id*v.size)); err != nil {
			return nil, false, fmt.Errorf("reading page %d: %w", id, err)
		}
	}
	return page, true, nil
}

func (v *verifier) mark(id uint64) error {
	if v.seen[id/64]&(1<<(id%64)) != 0 {
		return fmt.Errorf("page %d is used twice", id)
	}
	v.seen[id/64] |= 1 << (id % 64)
	return nil
}

// tree checks the pages under a root.
func (v *verifier) tree(id uint64, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("page %d is nested too deeply", id)
	}
	page, ok, err := v.claim(id, flagBranch|flagLeaf)
	if err != nil || !ok {
		return err
	}
	err = v.elements(page, func(element, fromElement []byte) error {
		if binary.NativeEndian.Uint16(page[8:]) == flagBranch {
			pos, key := uint64(binary.NativeEndian.Uint32(element)), uint64(binary.NativeEndian.Uint32(element[4:]))
			if pos+key > uint64(len(fromElement)) {
				return errOutside
			}
			return v.tree(binary.NativeEndian.Uint64(element[8:]), depth+1)
		}
		return v.leaf(element, fromElement, depth)
	})
	if errors.Is(err, errOutside) {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return err
}

// errOutside means that a page refers to a place outside of it.
var errOutside = errors.New("an element lies outside")

// elements calls fn with each element of a page and the bytes from its start,
// from which its offset counts.
func (v *verifier) elements(page []byte, fn func(element, fromElement []byte) error) error {
	count := int(binary.NativeEndian.Uint16(page[10:]))
	if pageHeader+count*pageElement > len(page) {
		return errOutside
	}
	for i := range count {
		fromElement := page[pageHeader+i*pageElement:]
		if err := fn(fromElement[:pageElement], fromElement); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks one row, and its bucket if it is one.
func (v *verifier) leaf(element, fromElement []byte, depth int) error {
	flags := binary.NativeEndian.Uint32(element)
	pos := uint64(binary.NativeEndian.Uint32(element[4:]))
	key, value := uint64(binary.NativeEndian.Uint32(element[8:])), uint64(binary.NativeEndian.Uint32(element[12:]))
	if pos+key+value > uint64(len(fromElement)) {
		return errOutside
	}
	if flags&leafIsBucket == 0 {
		return nil
	}
	bucket := fromElement[pos+key:][:value]
	if len(bucket) < 16 { // root 8, sequence 8
		return errOutside
	}
	if root := binary.NativeEndian.Uint64(bucket); root != 0 {
		return v.tree(root, depth+1)
	}
	inline := bucket[16:]
	if len(inline) < pageHeader || binary.NativeEndian.Uint16(inline[8:]) != flagLeaf {
		return errOutside
	}
	return v.elements(inline, func(element, fromElement []byte) error {
		if binary.NativeEndian.Uint32(element)&leafIsBucket != 0 {
			return errOutside // bbolt puts no bucket into a bucket that is stored in a row
		}
		return v.leaf(element, fromElement, depth+1)
	})
}

// freelist checks that no page is both free and in use.
func (v *verifier) freelist(id uint64) error {
	page, ok, err := v.claim(id, flagFreelist)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the list of free pages is missing")
	}
	ids := page[pageHeader:]
	count := uint64(binary.NativeEndian.Uint16(page[10:]))
	if count == 0xffff { // the real count follows
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return errors.New("the list of free pages is cut short")
	}
	for i := range count {
		free := binary.NativeEndian.Uint64(ids[8*i:])
		if free < 2 || free >= v.pages {
			return fmt.Errorf("page %d is free, and the last is %d", free, v.pages-1)
		}
		if err := v.mark(free); err != nil {
			return err
		}
	}
	return nil
}
