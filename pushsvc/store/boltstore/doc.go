// Package boltstore keeps everything that package pushsvc knows in one file,
// by way of go.etcd.io/bbolt. It needs no server and suits one node with up to
// some ten million subscriptions.
//
// # Promises
//
// What a method has acknowledged is found again after kill -9 and after a
// power cut: the result is handed out only when the commit has been synced.
// An error, other than the sentinels of package pushsvc, says that the outcome
// is unknown: the row may be there or not, and a repeated call is harmless.
//
// A full disk, a failing disk or a damaged file makes methods return errors;
// it never ends the process, and calls go through again as soon as the disk
// has room. bbolt itself panics on damaged pages, and a file that somebody
// truncates makes reads of its memory map fault; each goroutine that touches
// the map therefore runs with debug.SetPanicOnFault and recovers.
//
// Each row carries a CRC-32C that covers where it belongs (site, bucket, key),
// because bbolt notices no bit rot. A damaged row is an error that names its
// bucket and id, never an endpoint; the rows around it stay readable.
//
// # One writer
//
// bbolt has one write transaction at a time, and each costs two fsyncs. Writes
// are therefore handed to one goroutine that runs all that are waiting in a
// single transaction. One that fails is taken out and the others are run again
// without it, so that nobody's mistake is somebody else's error.
//
// # Beside the file
//
// What was sent to whom since the last checkpoint of a range is noted in files
// in a directory next to the database, which survive the death of the process.
// Losing them costs pushes that are sent twice, nothing else.
//
// DESIGN.md in the folder above has the layout of the file and the figures.
package boltstore
