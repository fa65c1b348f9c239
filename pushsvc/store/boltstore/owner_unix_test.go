//go:build unix

package boltstore

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRestoreOwner: a store that root restores belongs to the owner of the former
// store, or of its directory.
func TestRestoreOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const caddy, group = 12345, 12346
	for name, prepare := range map[string]func(dir, path string) error{
		"former file": func(_, path string) error { return os.Chown(path, caddy, group) },
		"directory":   func(dir, path string) error { _ = os.Remove(path); return os.Chown(dir, caddy, group) },
	} {
		t.Run(name, func(t *testing.T) {
			backup := filepath.Join(t.TempDir(), "backup.db")
			dir := t.TempDir()
			path := filepath.Join(dir, "webpush.db")
			for _, p := range []string{backup, path} {
				if err := open(t, p).Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := prepare(dir, path); err != nil {
				t.Fatal(err)
			}
			if _, err := Restore(t.Context(), backup, path, false); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if s := info.Sys().(*syscall.Stat_t); s.Uid != caddy || s.Gid != group || info.Mode().Perm() != 0o600 {
				t.Errorf("it belongs to %d:%d, %v", s.Uid, s.Gid, info.Mode())
			}
		})
	}
}
