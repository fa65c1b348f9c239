// Package service holds the use cases of the push service: what a visitor's
// browser and an operator can ask for, whatever front it comes through. It
// checks input, asks the store, and starts the delivery engine; it knows no
// HTTP.
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

// Engine is told that there is something to send.
type Engine interface {
	// Wake makes the engine look for queued messages soon; it never blocks.
	Wake()
}

// Service is the use cases over one store. Its fields are set once, before
// use; its methods may be called by many goroutines.
type Service struct {
	Store  store.Store
	Engine Engine
	// Services is the allow-list that endpoints are checked against.
	Services webpush.Services
	// Contact is the VAPID "sub"; empty for each site's own.
	Contact string
	// KeyChanged is told of a key that has become current; nil allowed.
	KeyChanged func(pushsvc.Key)
	// Ended is told of a message that a command has ended by itself, because no
	// engine was at work on it; nil allowed. The engine tells of all others.
	Ended func(pushsvc.Message)
	// Conversions gives a site's; nil allowed.
	Conversions func(ctx context.Context, site string) []people.Conversion
	// people.Limits bound what each site keeps of visitors.
	PeopleLimits people.Limits
	Clock        func() time.Time
	// Logger is told of faults that nobody else is told of; nil for nowhere.
	Logger *slog.Logger
	// Live is what operators have set, shared by all services of the store; nil for
	// one of the service's own.
	Live *Live
	// Configured is what the server's configuration says of its sites. The methods on
	// prompts need it.
	Configured ConfiguredSites
	// MaxSites is how many sites there may be that the configuration does not name;
	// 0 is 10,000.
	MaxSites int
	// MaxStoreSize is how many bytes the store may take for visitors to be stored
	// something of; see room. 0 is no bound.
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
