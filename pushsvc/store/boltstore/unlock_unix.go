//go:build !windows && !plan9 && !solaris && !aix && !js && !wasip1

package boltstore

import (
	"os"
	"syscall"
)

// release releases the file of a database that can't be closed any more. Closing
// the file is not enough: its memory map, which stays, keeps the lock.
func release(f *os.File) error {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	return f.Close()
}
