package boltstore

import (
	"path/filepath"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, filepath.Join(t.TempDir(), "webpush.db"))
	})
}

// open opens a store in which nothing may be damaged.
func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{OnDamage: func(err error) { t.Errorf("damage: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
