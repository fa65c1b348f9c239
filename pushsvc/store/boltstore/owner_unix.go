//go:build unix

package boltstore

import (
	"os"
	"syscall"
)

// chownLike sets the owner and group of f to those of like, if its owner is
// another user.
func chownLike(f *os.File, like os.FileInfo) error {
	have, err := f.Stat()
	if err != nil {
		return err
	}
	is, ok := have.Sys().(*syscall.Stat_t)
	want, ok2 := like.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || is.Uid == want.Uid { // with mode 0600 the group does not matter
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}
