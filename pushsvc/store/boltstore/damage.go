package boltstore

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"syscall"

	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// DamageError means that a part of the file can't be read. Its text names
// buckets, sites and ids, never an endpoint or a key.
type DamageError struct {
	// Where is the place, for example `bucket "subscriptions" of site
	// "a.example", id 7`.
	Where string
	// Err is the fault.
	Err error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("database is damaged: %s: %v; restore a backup", e.Where, e.Err)
}

// Unwrap returns the fault.
func (e *DamageError) Unwrap() error { return e.Err }

// catch runs fn and turns a panic or a memory fault into a *DamageError: bbolt
// panics on some damaged pages, and on others reads outside of the memory map.
func catch(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if d, ok := p.(*bolt.DamageError); ok {
				err = &DamageError{Where: fmt.Sprintf("page %d", d.Page), Err: errors.New(d.Reason)}
				return
			}
			err = &DamageError{Where: "file", Err: fmt.Errorf("reading it failed: %v", p)}
		}
	}()
	return fn()
}

// withErrno restores the errno that bbolt has flattened to text ("file resize
// error: %s"), so that callers can detect a full disk.
func withErrno(err error) error {
	if err == nil {
		return nil
	}
	for _, errno := range []syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EFBIG, syscall.EROFS, syscall.ENOMEM,
	} {
		if strings.HasSuffix(err.Error(), errno.Error()) && !errors.Is(err, errno) {
			return fmt.Errorf("%w (%w)", err, errno)
		}
	}
	return err
}
