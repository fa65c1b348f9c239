// Package delivery is the engine that takes stored messages to their
// audience: it claims a message, reads its recipients page by page, sends to
// each, and checkpoints what became of them, so that a crash repeats at most
// the page that was under way.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// Sender sends one message to one endpoint.
type Sender interface {
	Send(ctx context.Context, req *webpush.Request) webpush.Result
}

// Config is what an engine needs. All fields but those with a default must be
// set.
type Config struct {
	Store  pushsvc.Store
	Sender Sender
	Logger *slog.Logger
	Clock  func() time.Time
	// Owner names this engine in leases; it must differ between engines.
	Owner string
	// Contact is the VAPID "sub"; empty for that of the message's site.
	Contact string

	// PageSize is how many recipients are read, and checkpointed, together.
	// Default: 500.
	PageSize int
	// Concurrency is how many pushes may be under way at once. Default: 64.
	Concurrency int
	// Messages is how many messages are worked on side by side. Default: 4.
	Messages int
	// Lease is how long a message stays ours without a sign of life.
	// Default: 15s.
	Lease time.Duration
	// Poll is how often the store is asked for work that nobody woke us for:
	// messages of engines that died. Default: 5s.
	Poll time.Duration
}

func (c *Config) setDefaults() {
	defaultTo(&c.PageSize, 500)
	defaultTo(&c.Concurrency, 64)
	defaultTo(&c.Messages, 4)
	defaultTo(&c.Lease, 15*time.Second)
	defaultTo(&c.Poll, 5*time.Second)
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Engine sends messages until it is stopped.
type Engine struct {
	cfg  Config
	wake chan struct{}
	stop chan struct{}
	done chan struct{}
	once sync.Once

	slots   chan struct{} // one per push under way
	mu      sync.Mutex
	running map[string]bool // by message id
	work    sync.WaitGroup
}

// New makes an engine; Start sets it going.
func New(cfg Config) *Engine {
	cfg.setDefaults()
	return &Engine{
		cfg:     cfg,
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		slots:   make(chan struct{}, cfg.Concurrency),
		running: make(map[string]bool),
	}
}

// Start begins to work in the background.
func (e *Engine) Start() { go e.loop() }

// Wake makes the engine look for queued messages soon. It never blocks.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Stop ends the work gracefully: no push is started any more, those under way
// are waited for, and what became of them is written down. It returns the
// context's error where they took longer; what was not written is sent again
// by the next engine.
func (e *Engine) Stop(ctx context.Context) error {
	e.once.Do(func() { close(e.stop) })
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for pushes under way: %w", ctx.Err())
	}
}

func (e *Engine) loop() {
	defer close(e.done)
	defer e.work.Wait()
	poll := time.NewTicker(e.cfg.Poll)
	defer poll.Stop()
	for {
		e.guard("looking for messages", e.startMessages)
		select {
		case <-e.stop:
			return
		case <-e.wake:
		case <-poll.C:
		}
	}
}

// guard runs f and turns a panic into a log line: nothing in here may take
// the proxy down.
func (e *Engine) guard(doing string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			e.cfg.Logger.Error("delivery failed unexpectedly; it will be tried again",
				"doing", doing, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// startMessages claims what is unfinished and not yet ours, as far as there
// is room.
func (e *Engine) startMessages() {
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Lease)
	defer cancel()
	// More than there is room for, because the first ones may be others'.
	messages, err := e.cfg.Store.Unfinished(ctx, 16*e.cfg.Messages)
	if err != nil {
		if !errors.Is(err, pushsvc.ErrClosed) {
			e.cfg.Logger.Error("reading unfinished messages", "error", err)
		}
		return
	}
	for _, m := range messages {
		if e.stopping() || !e.reserve(m.ID) {
			continue
		}
		now := e.cfg.Clock()
		claimed, err := e.cfg.Store.Claim(ctx, m.Site, m.ID, e.cfg.Owner, now, now.Add(e.cfg.Lease))
		if err != nil {
			e.release(m.ID)
			if !errors.Is(err, pushsvc.ErrLeaseHeld) && !errors.Is(err, pushsvc.ErrNotFound) {
				e.cfg.Logger.Error("claiming a message", "message", m.ID, "error", err)
			}
			continue
		}
		e.work.Add(1)
		go func() {
			defer e.work.Done()
			defer e.Wake() // there is room again
			defer e.release(m.ID)
			e.guard("sending message "+m.ID, func() { e.run(claimed) })
		}()
	}
}

// reserve says whether the message may be started: it is not running here,
// and there is room.
func (e *Engine) reserve(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[id] || len(e.running) >= e.cfg.Messages {
		return false
	}
	e.running[id] = true
	return true
}

func (e *Engine) release(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, id)
}

func (e *Engine) stopping() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}
