package boltstore

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clock func() time.Time) (first, second store.Store) {
		s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
		s.clock = clock
		return s, s
	})
}

// open opens a store that must report no damage.
func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{OnDamage: func(err error) { t.Errorf("damage: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// at sets the store's clock.
func (s *Store) at(now time.Time) *Store {
	s.clock = func() time.Time { return now }
	return s
}
