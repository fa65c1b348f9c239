package boltstore

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// TestTruncatedLive truncates the file in the middle of a transaction, after the
// check of its size: the memory map faults.
func TestTruncatedLive(t *testing.T) {
	good, _ := sample(t)
	for _, c := range []struct {
		name  string
		write bool
		size  int64
	}{{"read", false, 3 * 4096}, {"write", true, 3 * 4096}, {"read, all of it", false, 0}, {"write, all of it", true, 0}} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, good)
			s, err := Open(t.Context(), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			cutAndRead := func(tx *bolt.Tx) (int, error) {
				if err := os.Truncate(path, c.size); err != nil {
					return 0, err
				}
				st, _ := openSite(tx, "shop.example.com")
				return int(st.count(siteSubs)), nil
			}
			if c.write {
				_, err = write(t.Context(), s, func(w *writeTx) (int, error) {
					n, err := cutAndRead(w.tx)
					w.touched = true
					return n, err
				})
			} else {
				_, err = read(t.Context(), s, cutAndRead)
			}
			var damage *DamageError
			if !errors.As(err, &damage) {
				t.Errorf("the fault gave %v", err)
			}
			for range 3 {
				if _, err := s.PutSubscription(t.Context(), realistic(9999), nil); !errors.As(err, &damage) || !strings.Contains(err.Error(), "shrunk") {
					t.Errorf("a later write: %v", err)
				}
				if _, err := s.SubscriptionPage(t.Context(), "shop.example.com", 0, 1000); !errors.As(err, &damage) {
					t.Errorf("a later read: %v", err)
				}
			}
			if err := s.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
			if err := os.WriteFile(path, good, 0o600); err != nil { // the backup
				t.Fatal(err)
			}
			open(t, path)
		})
	}
}

// TestMovedLive: a store whose file is not the one that the next start opens
// acknowledges nothing, and works again when the file is back.
func TestMovedLive(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file can't be moved")
	}
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	away := path + ".away"
	put := func(n int) error { _, err := s.PutSubscription(t.Context(), realistic(n), nil); return err }
	for n, c := range []struct {
		name     string
		do, undo func() error
	}{
		{"moved", func() error { return os.Rename(path, away) }, func() error { return os.Rename(away, path) }},
		{"replaced", func() error {
			return errors.Join(os.Rename(path, away), os.WriteFile(path, nil, 0o600))
		}, func() error { return os.Rename(away, path) }},
		{"removed", func() error { return errors.Join(os.Link(path, away), os.Remove(path)) }, func() error { return os.Rename(away, path) }},
	} {
		if err := put(2 * n); err != nil {
			t.Fatalf("before it is %s: %v", c.name, err)
		}
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		if err := put(2*n + 1); err == nil || !strings.Contains(err.Error(), "moved or removed from "+path) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := s.SubscriptionPage(t.Context(), realistic(0).Site, 0, 10); err != nil {
			t.Errorf("reading what is %s: %v", c.name, err)
		}
		if err := c.undo(); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(10); err != nil {
		t.Errorf("the file is back: %v", err)
	}
}
