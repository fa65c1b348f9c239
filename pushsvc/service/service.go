// Package service has the use cases of the push service: the requests of
// visitors' browsers and of operators, through any front end. It checks input,
// calls the store, and starts the delivery engine; it does not depend on HTTP.
package service

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// Engine sends stored messages.
type Engine interface {
	// Wake makes the engine look for queued messages soon; it never blocks.
	Wake()
}

// Service is the use cases over one store. Its fields are set once, before use;
// its methods may be called by many goroutines.
type Service struct {
	Store  store.Store
	Engine Engine
	// Services is the allow-list for endpoints.
	Services webpush.Services
	// Contact is the VAPID "sub"; empty means each site's own.
	Contact string
	// KeyChanged is called with a key that has become current; it may be nil.
	KeyChanged func(pushsvc.Key)
	// Ended is called with a message that a command has ended while no engine
	// worked on it; it may be nil. The engine reports all others.
	Ended func(pushsvc.Message)
	// Conversions returns a site's conversions; it may be nil.
	Conversions func(ctx context.Context, site string) []people.Conversion
	// PeopleLimits limit each site's data of visitors.
	PeopleLimits people.Limits
	Clock        func() time.Time
	// Logger logs faults that no caller gets; nil means no log.
	Logger *slog.Logger
	// Live has operators' settings, shared by all services of the store; nil
	// means a new one for this service.
	Live *Live
	// Configured is the server's configuration of its sites. The methods on
	// prompts need it.
	Configured ConfiguredSites
	// MaxSites limits the sites that the configuration does not name; 0 means
	// 10,000.
	MaxSites int
	// MaxStoreSize is the size of the store in bytes above which visitors' data
	// is refused; see room. 0 means no limit.
	MaxStoreSize int64

	ownLive  sync.Once
	sites    siteGate
	used     storeRoom
	sweeping atomic.Bool
	replaced replacements
	moving   struct {
		mu   sync.Mutex
		runs map[string]chan struct{}
	}
}
