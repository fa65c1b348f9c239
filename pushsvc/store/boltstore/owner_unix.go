//go:build unix

package boltstore

import (
	"os"
	"syscall"
)

// chownLike makes f belong to the owner and group of like, where that is
// another user.
func chownLike(f *os.File, like os.FileInfo) error {
	have, err := f.Stat()
	if err != nil {
		return err
	}
	is, ok := have.Sys().(*syscall.Stat_t)
	want, ok2 := like.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || is.Uid == want.Uid { // the group has no say in a file of 0600
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}
