//go:build unix && !linux

package childproc

import "syscall"

// Only Linux can tie a child's life to its parent's; elsewhere Stop must do.
func dieWithParent(*syscall.SysProcAttr) {}
