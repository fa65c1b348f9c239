package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App is what the sites of one Caddy share: the store with its subscriptions
// and VAPID keys, and the engine that sends. It needs no configuration; a bare
// webpush directive makes one with defaults.
type App struct {
	// Where subscriptions, messages and keys are kept. Default: bbolt.
	StorageRaw json.RawMessage `json:"storage,omitempty" caddy:"namespace=webpush.storage inline_key=module"`

	// The contact for push services with questions about your messages: a mailto: or https: URL,
	// the VAPID "sub" claim. Default: the address of the site that sends, if it is a public host
	// name; Apple's push service refuses messages with any other.
	Contact string `json:"contact,omitempty"`

	// The push services that subscriptions may belong to: host names, or "*." and a suffix;
	// "default" means the built-in list, the services of the browsers in use. Pushes are sent only
	// to these. Default: ["default"].
	PushServices []string `json:"push_services,omitempty"`

	// How connections to push services are opened. The default connects
	// directly and refuses addresses that are not public.
	DialerRaw json.RawMessage `json:"dialer,omitempty" caddy:"namespace=webpush.dialer inline_key=module"`

	// How long messages are kept, with their receipts, after they have been sent or cancelled;
	// negative for ever. Default: 90d.
	KeepMessages caddy.Duration `json:"keep_messages,omitempty"`

	// How many subscriptions one client may post in a minute, by Caddy's
	// client_ip; an IPv6 network of 64 bits is one client. Negative for no
	// limit. Default: 300.
	SubscribeLimit int `json:"subscribe_limit,omitempty"`

	// In the same way, how many batches of events one client may post in a minute; a large one
	// counts once for each 4 kB. Default: 3000.
	EventLimit int `json:"event_limit,omitempty"`

	// How many bytes the store may take. From seven eighths of it on, it refuses unknown visitors,
	// then known ones, and subscribers last; it never refuses operators. Negative for no bound.
	// Default: 16 GB.
	MaxStoreSize int64 `json:"max_store_size,omitempty"`

	// How long the single events of visitors are kept, and anonymous profiles of visitors who don't
	// come back; negative for ever. Counts stay as long as the profile. Default: 90d.
	RetainEvents caddy.Duration `json:"retain_events,omitempty"`

	ctx      caddy.Context
	logger   *slog.Logger
	metrics  *metrics
	observer *observer
	storage  StoreProvider
	services webpush.Services
	dial     webpush.DialFunc
	contact  string

	run        atomic.Pointer[running] // nil while push is off
	fault      atomic.Pointer[error]   // why, once Start has been tried
	stop       context.CancelFunc      // ends the opening in the background
	opened     chan struct{}           // closed when the opening has ended; nil before Start
	publishing sync.Mutex              // held while run starts
	// proxies has the few servers that warnProxy has reported.
	proxies sync.Map
}

// Dialer is a module of the namespace webpush.dialer. A dialer other than the
// default one also decides which addresses may be reached.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webpush",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision loads guest modules and reads the settings. It opens nothing.
func (a *App) Provision(ctx caddy.Context) (err error) {
	a.ctx = ctx
	a.logger = ctx.Slogger()
	if a.metrics, err = newMetrics(ctx, a.run.Load); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	if a.observer, err = newObserver(ctx, a.metrics, a.logger); err != nil {
		return err
	}
	if a.storage, err = loadStorage(ctx, a); err != nil {
		return err
	}
	if a.KeepMessages == 0 {
		a.KeepMessages = defaultKeep
	}
	if a.RetainEvents == 0 {
		a.RetainEvents = defaultKeep
	}
	if err := a.checkKeep(); err != nil {
		return err
	}
	if a.contact, err = replaced("contact", a.Contact); err != nil {
		return err
	}
	if err := webpush.CheckContact(a.contact); err != nil {
		return err
	}
	if a.services, err = parseServices(a.PushServices); err != nil {
		return err
	}
	if a.DialerRaw != nil {
		mod, err := ctx.LoadModule(a, "DialerRaw")
		if err != nil {
			return fmt.Errorf("loading the webpush dialer: %w", err)
		}
		d, ok := mod.(Dialer)
		if !ok {
			return fmt.Errorf("dialer module %T is not a webpush.dialer", mod)
		}
		a.dial = d.DialContext
	}
	return nil
}

// defaultKeep is how long messages and events are kept.
const defaultKeep = caddy.Duration(90 * 24 * time.Hour)

// errKeepShort: the least time ensures that a message that was paused or viewed yesterday still
// exists today.
var errKeepShort = errors.New(`keep_messages must be a day or more, such as "90d", or "forever"`)

// errRetainShort: the least time is a day because caps of pop-ups count over a day.
var errRetainShort = errors.New(`retain_events must be a day or more, such as "90d", or "forever"`)

func (a *App) checkKeep() error {
	if a.KeepMessages > 0 && a.KeepMessages < caddy.Duration(24*time.Hour) {
		return errKeepShort
	}
	if a.RetainEvents > 0 && a.RetainEvents < caddy.Duration(24*time.Hour) {
		return errRetainShort
	}
	return nil
}

// parseServices makes the allow-list of push services.
func parseServices(patterns []string) (webpush.Services, error) {
	if len(patterns) == 0 {
		return webpush.DefaultServices(), nil
	}
	named := slices.DeleteFunc(slices.Clone(patterns), func(p string) bool { return p == "default" })
	services, err := webpush.ParseServices(named)
	if err != nil {
		return webpush.Services{}, err
	}
	if len(named) < len(patterns) {
		services = services.With(webpush.DefaultServices())
	}
	return services, nil
}

// reopenAfter is how long to wait before trying again to open a store.
const reopenAfter = 2 * time.Second

// openPatience is how long Start waits for the store, and how long a configuration that ends waits
// for the opening: the disk may not answer.
const openPatience = 5 * time.Second

// Start opens the store and starts the engine. If the store cannot be opened, or its disk does not
// answer, Start logs it and keeps trying in the background: sites are served without push
// meanwhile.
func (a *App) Start() error {
	a.warnPlaces()
	ctx, cancel := context.WithCancel(context.Background())
	a.stop, a.opened = cancel, make(chan struct{})
	first := make(chan error, 1)
	go func() {
		defer close(a.opened)
		err := a.openSafely(ctx)
		first <- err
		for err != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(reopenAfter):
			}
			if err = a.openSafely(ctx); err == nil {
				a.logger.Info("the store is open now; push is on")
			}
		}
	}()
	var err error
	select {
	case err = <-first:
	case <-time.After(openPatience):
		err = pushsvc.ErrStalled
		a.fault.CompareAndSwap(nil, &err)
	}
	if err != nil {
		a.logger.Error("push is off until the store can be opened; sites are served without it", "error", err)
	}
	return nil
}

// openSafely calls open in a goroutine: a panic is an error.
func (a *App) openSafely(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("opening the store: %v", r)
		}
	}()
	return a.open(ctx)
}

// open takes the store, ensures that it has a key, and starts the engine.
func (a *App) open(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			a.fault.Store(&err)
		}
	}()
	store, err := acquireStore(ctx, a.storage)
	if err != nil {
		return err
	}
	run, err := a.assemble(ctx, store)
	if err != nil {
		return errors.Join(err, releaseStore(a.storage))
	}
	if !a.publish(ctx, run) {
		run.pages.stop()
		run.client.Close()
		return errors.Join(ctx.Err(), releaseStore(a.storage))
	}
	current, _ := run.publicKeys()
	a.logger.Info("push is on", "storage", a.storage.StoreKey(), "key", service.KeyID(current))
	return nil
}

// publish starts what open has made, unless the configuration has ended.
func (a *App) publish(ctx context.Context, run *running) bool {
	a.publishing.Lock()
	defer a.publishing.Unlock()
	if ctx.Err() != nil {
		return false
	}
	a.run.Store(run)
	a.observer.start()
	run.engine.Start()
	if run.pruner != nil {
		run.pruner.start()
	}
	run.health.start()
	go a.warnStale(run.service)
	return true
}

// staleTold is the maximum number of stale sites in the log.
const staleTold = 5

// warnStale logs sites whose visitors the configuration sends to another one: their subscribers do
// not get what is sent there.
func (a *App) warnStale(svc *service.Service) {
	stale, err := svc.StaleSites(context.Background())
	if err != nil {
		if !errors.Is(err, pushsvc.ErrClosed) {
			a.logger.Error("looking for renamed sites", "error", err)
		}
		return
	}
	for _, site := range stale[:min(len(stale), staleTold)] {
		a.logger.Warn("subscribers are stored under a name that visitors no longer use: messages to the new name do not reach them; merge the sites",
			"site", site.Site, "now", site.Now, "subscribers", site.Subscriptions, "cure", "caddy webpush sites merge "+site.Site+" "+site.Now)
	}
}

// current returns the running parts, or nil and the reason.
func (a *App) current() (*running, error) {
	if run := a.run.Load(); run != nil {
		return run, nil
	}
	if fault := a.fault.Load(); fault != nil {
		return nil, *fault
	}
	return nil, errors.New("push has not started yet")
}

// stopTimeout is how long pushes under way may take to end: longer than one attempt.
const stopTimeout = 12 * time.Second

// Stop ends the sending: pushes under way are finished and written. Requests are answered until
// Cleanup, because they arrive until then.
func (a *App) Stop() error {
	a.endOpening()
	run, _ := a.current()
	if run == nil {
		return nil
	}
	return a.stopWork(run)
}

// eventsTimeout is how long subscribers of events may take at the end.
const eventsTimeout = 2 * time.Second

// stopWork ends the work in the background. It may be called again.
func (a *App) stopWork(run *running) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if run.pruner != nil {
		run.pruner.stop()
	}
	run.health.stop()
	err := run.engine.Stop(ctx)
	a.observer.stop(eventsTimeout)
	return err
}

// endOpening ends the opening in the background. One that hangs ends by itself when the disk
// answers, and releases what it has taken.
func (a *App) endOpening() {
	if a.stop == nil {
		return
	}
	a.publishing.Lock()
	a.stop()
	a.publishing.Unlock()
	select {
	case <-a.opened:
	case <-time.After(openPatience):
		a.logger.Error("opening the store has not ended", "error", pushsvc.ErrStalled)
	}
}

// Cleanup releases the store. It also runs after Start or Provision has failed, and then has
// nothing to release.
func (a *App) Cleanup() error {
	a.endOpening()
	ended := errors.New("this configuration has ended")
	a.fault.Store(&ended)
	run := a.run.Swap(nil)
	if run == nil {
		return nil
	}
	// Stop was not called if another app failed to start.
	err := a.stopWork(run)
	run.pages.stop() // requests go on until now
	run.client.Close()
	return errors.Join(err, releaseStore(a.storage))
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
