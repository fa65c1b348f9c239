package memstore_test

import (
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/memstore"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return memstore.New() })
}
