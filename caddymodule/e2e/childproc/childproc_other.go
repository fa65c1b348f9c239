//go:build unix && !linux

package childproc

import "syscall"

// Only Linux can tie a child's life to its parent's; elsewhere only Stop ends it.
func dieWithParent(*syscall.SysProcAttr) {}
