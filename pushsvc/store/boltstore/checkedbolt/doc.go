// Package checkedbolt is go.etcd.io/bbolt for a file that may be damaged while
// it is open. It has the types and methods of bbolt that package boltstore uses,
// under the same names.
//
// bbolt trusts the content of a page. One flipped bit can have these effects:
//
//   - in a page's length: a commit frees four billion pages, one by one, until
//     memory runs out;
//   - in a child's number: an endless loop;
//   - in the size of a row: a copy of four gigabytes.
//
// A program can recover neither from an endless loop nor from a lack of memory. So:
//
//   - Read transactions read the memory map themselves, within the bounds of each
//     page. bbolt only begins and ends them.
//   - Write transactions check each page before bbolt reads it: the pages on the path
//     to the key; for a deletion also their neighbours; for the removal of a bucket
//     all of its pages. Commit checks again the pages that it is about to free, and
//     the list of free pages.
//
// A page is checked once per transaction: its number, kind and length, that its rows
// have no gaps, that its keys are within its parent's bounds, and for writing that it
// isn't free. Damage panics with a *DamageError, as bbolt itself panics.
//
// Not detected: damage between the check and bbolt's own reading of the same bytes;
// in a commit, these are some microseconds to milliseconds.
package checkedbolt
