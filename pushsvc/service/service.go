// Package service holds the use cases of the push service: what a visitor's
// browser and an operator can ask for, whatever front it comes through. It
// checks input, asks the store, and starts the delivery engine; it knows no
// HTTP.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// UnknownSiteError says that a site has never had a subscriber, and which
// sites have. Near is the one that was meant, maybe; "" for none. People is whether
// visitors were asked for, who need not subscribe.
type UnknownSiteError struct {
	Site   string
	Known  []string
	Near   string
	People bool
}

func (e *UnknownSiteError) Error() string { return e.text() + pushsvc.DidYouMean("; ", e.Near) }

func (e *UnknownSiteError) text() string {
	switch {
	case e.People:
		return fmt.Sprintf("site %q has no known visitors and no subscribers yet; 'caddy webpush prompt' lists the sites of the configuration", e.Site)
	case len(e.Known) == 0:
		return fmt.Sprintf("site %q has no subscribers yet, nor has any other", e.Site)
	}
	return fmt.Sprintf("site %q has no subscribers; sites that have: %q", e.Site, e.Known)
}

// Unwrap makes the error a pushsvc.ErrNotFound.
func (e *UnknownSiteError) Unwrap() error { return pushsvc.ErrNotFound }

// knownSitesShown keeps the error readable where one server has thousands.
const knownSitesShown = 20

func (s *Service) unknownSite(ctx context.Context, site string) error {
	sites, err := s.Store.Sites(ctx)
	if err != nil {
		return fmt.Errorf("listing sites: %w", err)
	}
	e := &UnknownSiteError{Site: site}
	var all []string
	for _, known := range sites {
		all = append(all, known.Site)
	}
	e.Known = all[:min(len(all), knownSitesShown)]
	if s.Configured != nil {
		all = slices.Concat(all, s.Configured.Names())
	}
	// One of the configuration that has no subscriber yet is spelled right.
	if !slices.Contains(all, site) {
		e.Near = pushsvc.NearestSite(site, all)
	}
	return e
}

// Site gives one site's summary, or an UnknownSiteError.
func (s *Service) Site(ctx context.Context, site string) (pushsvc.SiteSummary, error) {
	name, err := pushsvc.SiteName(site)
	if err != nil {
		return pushsvc.SiteSummary{}, &pushsvc.FieldError{Field: "site", Problem: err.Error()}
	}
	sum, err := s.Store.Site(ctx, name)
	if errors.Is(err, pushsvc.ErrNotFound) {
		return pushsvc.SiteSummary{}, s.unknownSite(ctx, name)
	}
	return sum, err
}
