package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/operator"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// running is what exists while the store is open.
type running struct {
	store    store.Store
	live     *service.Live
	client   *webpush.Client
	engine   *delivery.Engine
	pruner   *pruner // nil if everything is kept for ever
	pages    *pages
	health   *healthWatch
	service  *service.Service
	public   *httpapi.Public
	operator *operator.Operator
}

// hasKey reports whether browsers can subscribe.
func (r *running) hasKey() bool {
	keys := r.live.Keys()
	return len(keys) > 0 && keys[0].Current
}

func (a *App) assemble(ctx context.Context, store pooledStore) (*running, error) {
	_, err := store.EnsureKey(ctx, func() (pushsvc.Key, error) { return service.NewKey(time.Now()) })
	// The operator has to restore a lost key, with "keys import" on the running server; until then
	// no visitor can subscribe.
	if errors.Is(err, pushsvc.ErrKeyLost) {
		a.logger.Error("no visitor can subscribe, and no message can be sent", "error", err)
	} else if err != nil {
		return nil, fmt.Errorf("reading the VAPID key: %w", err)
	}
	// Sites are served as the config specifies until the settings can be read.
	if err := readInTime(ctx, store.live.Read); err != nil {
		a.logger.Error("operators' settings cannot be read yet; prompts are as configured", "error", err)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("naming the engine: %w", err)
	}
	client := webpush.NewClient(webpush.Config{Services: a.services, Dial: a.dial})
	engine := delivery.New(delivery.Config{
		Store: store.Store, Sender: client, Logger: a.logger, Clock: time.Now,
		Owner: id.String(), Contact: a.contact, Observer: a.observer,
	})
	svc := &service.Service{
		Store: store.Store, Engine: engine, Services: a.services, Contact: a.contact, Clock: time.Now,
		KeyChanged: a.observer.keyChanged, Ended: a.observer.ended,
		Live: store.live, Configured: a, Logger: a.logger, MaxStoreSize: cmp.Or(a.MaxStoreSize, defaultStoreSize),
	}
	svc.ResumeMoves()
	svc.SweepSoon() // removes what a crash has left
	if _, err := store.live.Secret(ctx); err != nil {
		a.logger.Warn("reading the secret of cookies", "error", err) // it is read again when needed
	}
	svc.Conversions = svc.PopupConversions
	failures := httpapi.NewFailures(time.Now(), a.metrics.failed)
	public, admin := a.publicAPI(svc), operator.New(svc, a.logger)
	public.Failures, admin.Failures = failures, failures
	var old *pruner
	if a.KeepMessages > 0 || a.RetainEvents > 0 {
		old = &pruner{
			store: store.Store, logger: a.logger, first: pruneFirst,
			keep: time.Duration(a.KeepMessages), retain: time.Duration(a.RetainEvents),
		}
	}
	return &running{
		pruner: old,
		health: &healthWatch{health: svc.Health, logger: a.logger},
		pages:  newPages(svc, a.logger, a.metrics.dropped.Inc),
		store:  store.Store, live: store.live, client: client, engine: engine, service: svc,
		public: public, operator: admin,
	}, nil
}

// The limits are generous: a whole office may share one address.
const (
	defaultSubscribeLimit = 300
	defaultEventLimit     = 3000
	// newSiteLimit is how many sites that the configuration does not name one client may begin in a
	// minute.
	newSiteLimit = 30
)

// defaultStoreSize is far more than most stores ever need: 30 million subscriptions.
const defaultStoreSize = 16_000_000_000

// publicAPI returns the API that browsers post to.
func (a *App) publicAPI(svc *service.Service) *httpapi.Public {
	p := &httpapi.Public{
		Service: svc, Logger: a.logger, Client: a.clientAddress,
		Limit: clientLimit(a.SubscribeLimit, defaultSubscribeLimit), EventLimit: clientLimit(a.EventLimit, defaultEventLimit),
		SiteLimit: httpapi.NewClientLimit(newSiteLimit),
	}
	var next atomic.Int64 // Unix seconds
	p.Limited = func() {
		now := time.Now().Unix()
		if at := next.Load(); now >= at && next.CompareAndSwap(at, now+60) {
			a.logger.Warn("a client posts more than subscribe_limit or event_limit allows; if it is your proxy, name it in the servers option trusted_proxies, or set trusted_proxies_unix if it connects by a Unix socket")
		}
	}
	return p
}

// clientLimit makes a limit; nil for no limit.
func clientLimit(perMinute, otherwise int) *httpapi.ClientLimit {
	switch {
	case perMinute < 0:
		return nil
	case perMinute == 0:
		perMinute = otherwise
	}
	return httpapi.NewClientLimit(perMinute)
}

// clientAddress returns the address of the client, as Caddy determines it with its trusted proxies.
func (a *App) clientAddress(r *http.Request) netip.Addr {
	a.warnProxy(r)
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, _ := netip.ParseAddr(ip)
	return addr
}
