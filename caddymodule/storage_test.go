package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestStoreKey: one file has one key, however it is spelled and whether or not it
// exists.
func TestStoreKey(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(dir, "real")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"dir": real, "file.db": "real/webpush.db", "absolute.db": filepath.Join(real, "webpush.db")} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("WEBPUSH_TEST_DIR", real)
	t.Chdir(dir)
	want := "bbolt:" + filepath.Join(real, "webpush.db")
	for range 2 { // before the file exists, and after
		for _, path := range []string{
			"real/webpush.db", "./real/../real/webpush.db", "dir/webpush.db", "file.db", "absolute.db", "{env.WEBPUSH_TEST_DIR}/webpush.db",
		} {
			b := &BoltStorage{Path: path}
			if err := b.Provision(caddy.Context{}); err != nil {
				t.Errorf("%s: %v", path, err)
			} else if got := b.StoreKey(); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		}
		if err := os.WriteFile(filepath.Join(real, "webpush.db"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStorePathRefused: an error of the disk does not refuse a config; it is
// returned when the store is opened, in the background.
func TestStorePathRefused(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"circle": "other", "other": "circle", "self": "self/webpush.db"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{
		filepath.Join(dir, "circle"), filepath.Join(dir, "circle", "webpush.db"), filepath.Join(dir, "self"),
		filepath.Join(dir, "file", "webpush.db"), filepath.Join(dir, strings.Repeat("x", 300), "webpush.db"),
	}
	for _, path := range paths {
		if err := (&BoltStorage{Path: path}).Provision(caddy.Context{}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
