// Package checkedbolt is go.etcd.io/bbolt for a file that may be damaged while
// it is open. It has those of bbolt's types and methods that package boltstore
// uses, under the same names.
//
// bbolt believes what stands in a page. One flipped bit in its length makes a
// commit free four billion pages, one by one, until memory has run out; in a
// child's number, go round in a circle; in the size of a row, copy four
// gigabytes. Neither a loop nor a lack of memory can be recovered from. So:
//
//   - Read transactions read the memory map themselves, within the bounds of
//     each page. bbolt only begins and ends them.
//   - Write transactions check each page that bbolt is about to enter: those on
//     the way to the key, with a deletion their neighbours too, with a bucket's
//     removal all of it. Commit looks once more at what it is about to free,
//     and at the list of free pages.
//
// A page is checked once in a transaction: number, kind, length, that its rows
// lie without gaps in it, that its keys are those that its parent says, and for
// writing that it isn't free. Damage panics with a *DamageError, as bbolt itself
// panics.
//
// Not held: damage that comes between the check and bbolt's own look at the
// same bytes: in a commit, some microseconds to milliseconds.
package checkedbolt
