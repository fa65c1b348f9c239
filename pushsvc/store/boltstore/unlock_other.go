//go:build windows || plan9 || solaris || aix || js || wasip1

package boltstore

import "os"

// release releases the file of a database that can't be closed any more.
func release(f *os.File) error { return f.Close() }
