package checkedbolt

import (
	"bytes"
	"fmt"
)

// maxDepth is the largest number of pages from a bucket's root to a leaf: four
// billion rows have a depth of ten. maxNested is the largest number of nested
// buckets.
const (
	maxDepth  = 48
	maxNested = 24
)

// manySeen is how many checked pages a reader remembers: a reader of the whole
// file would remember all.
const manySeen = 4096

// top is the parent of a bucket's root.
const top = 0

// raw returns a page of the wanted kinds whose length is within the file.
func (t *Tx) raw(id uint64, kinds uint16) page {
	if id < 2 || id >= t.high {
		panic(&DamageError{Page: id, Reason: fmt.Sprintf("it is referred to, and the last is %d", t.high-1)})
	}
	p := page(t.data[id*uint64(t.size):])
	if p.id() != id {
		panic(&DamageError{Page: id, Reason: fmt.Sprintf("it has the number of page %d", p.id())})
	}
	if f := p.flags(); f&kinds != f || f == 0 || f&(f-1) != 0 {
		panic(&DamageError{Page: id, Reason: fmt.Sprintf("it is of kind %#x", f)})
	}
	n := p.overflow()
	if n >= t.high-id {
		panic(&DamageError{Page: id, Reason: fmt.Sprintf("it claims to be %d pages long", n+1)})
	}
	end := (n + 1) * uint64(t.size)
	return p[:end:end]
}

// page returns a branch or leaf after checking it.
func (t *Tx) page(id, parent uint64) page {
	if s, ok := t.seen[id]; ok {
		if s.parent != parent {
			panic(&DamageError{Page: id, Reason: fmt.Sprintf("it is a child of page %d and of page %d", s.parent, parent)})
		}
		return s.page
	}
	p := t.raw(id, flagBranch|flagLeaf)
	end, err := p.layout()
	if err == nil && !fits(end, t.size, uint64(len(p)/t.size)) {
		err = fmt.Errorf("it claims to be %d pages long for %d bytes", len(p)/t.size, end)
	}
	// A leaf with a damaged key may still be read: its other rows are valid.
	if err == nil && (t.writable || !p.isLeaf()) {
		err = p.rising()
	}
	if err != nil {
		panic(&DamageError{Page: id, Reason: err.Error()})
	}
	if t.writable {
		if info, err := t.tx.Page(int(id)); err == nil && info != nil && info.Type == "free" {
			panic(&DamageError{Page: id, Reason: "it is in use and free"})
		}
	}
	if !t.writable && len(t.seen) >= manySeen {
		clear(t.seen)
	}
	t.seen[id] = seen{parent, [headerSize]byte(p[:headerSize]), p}
	return p
}

// step is a page on the path from a root to a leaf; at is the index of the child
// on the path, or of the leaf's row.
type step struct {
	page page
	at   int
}

// aim selects the leaf at the end of a path.
type aim int

const (
	toKey aim = iota
	toFirst
	toLast
)

// down extends the path from a page to a leaf. from and until are the bounds of
// its keys, nil for none; from is its first key. The leaf's own index stays 0.
func (t *Tx) down(way []step, id, parent uint64, from, until []byte, to aim, key []byte) []step {
	for {
		if len(way) >= maxDepth {
			panic(&DamageError{Page: id, Reason: "it is nested too deeply"})
		}
		p := t.page(id, parent)
		t.within(p, from, until)
		if p.isLeaf() {
			return append(way, step{p, 0})
		}
		at := 0
		switch to {
		case toLast:
			at = p.count() - 1
		case toKey:
			at = p.childFor(key)
		}
		way = append(way, step{p, at})
		from = p.key(at)
		if at+1 < p.count() {
			until = p.key(at + 1)
		}
		id, parent = p.child(at), id
	}
}

// within checks that a page's keys are within its parent's bounds.
func (t *Tx) within(p page, from, until []byte) {
	n := p.count()
	if p.isLeaf() && !t.writable || n == 0 && from == nil {
		return
	}
	if n == 0 || from != nil && !bytes.Equal(p.key(0), from) || until != nil && bytes.Compare(p.key(n-1), until) >= 0 {
		panic(&DamageError{Page: p.id(), Reason: "its keys are not those of its place"})
	}
}

// beside moves from a leaf to the next or the previous one; ok is false if there is no such leaf.
// way is overwritten in either case.
func (t *Tx) beside(way []step, delta int) (_ []step, ok bool) {
	for i := len(way) - 2; i >= 0; i-- {
		at := way[i].at + delta
		if at < 0 || at >= way[i].page.count() {
			continue
		}
		way = way[:i+1]
		way[i].at = at
		to := toFirst
		if delta < 0 {
			to = toLast
		}
		return t.child(way, at, to), true
	}
	return nil, false
}

// child extends the path from the last step's child to a leaf.
func (t *Tx) child(way []step, at int, to aim) []step {
	last := way[len(way)-1].page
	until := []byte(nil)
	for i := len(way) - 1; i >= 0 && until == nil; i-- {
		next := way[i].at + 1
		if i == len(way)-1 {
			next = at + 1
		}
		if next < way[i].page.count() {
			until = way[i].page.key(next)
		}
	}
	return t.down(way, last.child(at), last.id(), last.key(at), until, to, nil)
}

// neighbours checks the pages beside those of a path, which bbolt may merge with
// them. By induction that is enough for more deletions: a neighbour that is
// emptied too has been checked with its own neighbours.
func (t *Tx) neighbours(way []step) {
	for i := range len(way) - 1 {
		p := way[i].page
		for _, at := range []int{way[i].at - 1, way[i].at + 1} {
			if at < 0 || at >= p.count() {
				continue
			}
			n := t.page(p.child(at), p.id())
			until := []byte(nil)
			if at+1 < p.count() {
				until = p.key(at + 1)
			}
			t.within(n, p.key(at), until)
		}
	}
}

// whole checks all pages under a page, with its inner buckets. from and until are
// the bounds of its keys.
func (t *Tx) whole(id, parent uint64, from, until []byte, depth int) {
	if depth >= maxDepth {
		panic(&DamageError{Page: id, Reason: "it is nested too deeply"})
	}
	p := t.page(id, parent)
	t.within(p, from, until)
	for i := range p.count() {
		if p.isLeaf() {
			if _, v, bucket := p.row(i); bucket && u64(v) != 0 {
				t.whole(u64(v), top, nil, nil, depth+1)
			}
			continue
		}
		last := until
		if i+1 < p.count() {
			last = p.key(i + 1)
		}
		t.whole(p.child(i), id, p.key(i), last, depth+1)
	}
}
