package memstore_test

import (
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/memstore"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, clock func() time.Time) (first, second store.Store) {
		s := &memstore.Store{Clock: clock}
		return s, s
	})
}
