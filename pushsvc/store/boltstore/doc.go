// Package boltstore keeps all data of package pushsvc in one file, with
// go.etcd.io/bbolt. It needs no server and suits one node with up to some ten
// million subscriptions.
//
// # Promises
//
// Acknowledged changes survive kill -9 and a power cut: a method returns only when
// its commit has been synced. After an error other than the sentinels of package
// pushsvc, the outcome is unknown: the row may be stored or not, and repeating the
// call is harmless.
//
// If the disk is full or fails, or the file is damaged, methods return errors. The
// process never ends, and calls succeed again as soon as the disk has room. bbolt
// itself panics on damaged pages, and reads of its memory map fault if the file is
// truncated; so each goroutine that reads the map runs with debug.SetPanicOnFault
// and recovers.
//
// Each row has a CRC-32C that also covers its place (site, bucket, key), because
// bbolt detects no bit rot. A damaged row is an error that names its bucket and id,
// never an endpoint; other rows stay readable.
//
// # One writer
//
// bbolt has one write transaction at a time, and each costs two fsyncs. So one
// goroutine runs all waiting writes in a single transaction. If one fails, it is
// removed and the others run again without it, so that no caller gets another
// caller's error.
//
// # Beside the file
//
// The outcomes of pushes since a range's last checkpoint are noted in files in a
// directory next to the database, which survive the death of the process. If they
// are lost, some pushes are sent twice; nothing else is lost.
//
// DESIGN.md in the folder above has the layout of the file and the figures.
package boltstore
