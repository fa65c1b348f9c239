// Package delivery is the engine that sends stored messages to their audience. It claims ranges of
// a message, reads their recipients page by page, sends to each, and writes their outcomes, so that
// a crash repeats at most the pushes that were under way. DESIGN.md has the states and the figures.
package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// Sender sends one message to one endpoint.
type Sender interface {
	Send(ctx context.Context, req *webpush.Request) webpush.Result
}

// Observer receives events of the engine. Its methods are called from many goroutines and delay the work:
// they must be quick.
type Observer interface {
	// Pushed reports one attempt and how long it took.
	Pushed(r webpush.Result, took time.Duration)
	// Changed reports a message that this engine works on and that has begun to be sent or has
	// ended (done or cancelled).
	Changed(m pushsvc.Message)
}

// Stats describes the present work of the engine.
type Stats struct {
	// InFlight is how many pushes are under way.
	InFlight int
	// Running is how many messages are being worked on.
	Running int
	// OldestDue is since when a recipient who could be sent to has been waiting; zero if none is.
	// It is as of the last read of the store.
	OldestDue time.Time
}

// Config configures an engine. All fields must be set, except Observer and those with a default.
type Config struct {
	Store  store.Store
	Sender Sender
	Logger *slog.Logger
	Clock  func() time.Time
	// Owner names this engine in leases; it must differ between engines.
	Owner string
	// Contact is the VAPID "sub"; if empty, the contact of the message's site is used.
	Contact string
	// Observer may be nil.
	Observer Observer

	// Concurrency is how many pushes may be under way at once, and so the most that a crash
	// repeats. Default: 512.
	Concurrency int
	// PerOrigin is how many of them may go to one host. Default: three
	// quarters of Concurrency.
	PerOrigin int
	// Messages is how many messages are worked on at the same time, and Ranges how many ranges of
	// each. Default: 16 and 4.
	Messages, Ranges int
	// Turn is how long a message may keep others waiting that have no place among Messages.
	// Default: 5s.
	Turn time.Duration
	// PageSize is how many recipients are read together. Default: 256.
	PageSize int
	// CheckpointEvery and CheckpointSize are when the outcomes of recipients are written: after
	// this time or this number. Default: 1s and 500.
	CheckpointEvery time.Duration
	CheckpointSize  int
	// Lease is how long a range stays ours without a renewal. Default: 15s.
	Lease time.Duration
	// Poll is how often the store is asked for work for which Wake is not called: the work of
	// engines that died. Default: 5s.
	Poll time.Duration
	// Attempts is how often one recipient is tried before it counts as failed. Default: 12, about
	// four hours if the push service names no time of its own.
	Attempts int
	// RetryMin and RetryMax bound the wait between two attempts, which
	// doubles from one to the next. A push service may ask for more.
	// Default: 5s and 1h.
	RetryMin, RetryMax time.Duration
}

func (c *Config) setDefaults() {
	defaultTo(&c.Concurrency, 512)
	defaultTo(&c.PerOrigin, max(c.Concurrency*3/4, 1))
	defaultTo(&c.Messages, 16)
	defaultTo(&c.Ranges, 4)
	defaultTo(&c.Turn, 5*time.Second)
	defaultTo(&c.PageSize, 256)
	defaultTo(&c.CheckpointEvery, time.Second)
	defaultTo(&c.CheckpointSize, 500)
	defaultTo(&c.Lease, 15*time.Second)
	defaultTo(&c.Poll, 5*time.Second)
	defaultTo(&c.Attempts, 12)
	defaultTo(&c.RetryMin, 5*time.Second)
	defaultTo(&c.RetryMax, time.Hour)
	// More would not fit into a range's row.
	c.PageSize = min(c.PageSize, maxWindow/2)
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Engine sends messages until it is stopped.
type Engine struct {
	cfg   Config
	sched *scheduler
	wake  chan struct{}
	freed chan struct{} // a run has ended
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
	work  sync.WaitGroup // runs and pushes

	inFlight  atomic.Int64
	oldestDue atomic.Pointer[time.Time]

	mu       sync.Mutex
	messages map[string]*messageRun // those with a run, by message id
	memories map[string]*memory     // of messages not yet ended
	plan     planner
}

// New makes an engine; Start sets it going.
func New(cfg Config) *Engine {
	cfg.setDefaults()
	e := &Engine{
		cfg:      cfg,
		wake:     make(chan struct{}, 1),
		freed:    make(chan struct{}, 1),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		messages: make(map[string]*messageRun),
		memories: make(map[string]*memory),
	}
	e.plan = planner{engine: e, retryAt: make(map[string]time.Time)}
	e.sched = newScheduler(&e.cfg, e.launch)
	return e
}

// Start begins to work in the background.
func (e *Engine) Start() {
	e.work.Add(2)
	go e.plan.loop()
	go e.watch()
	go func() {
		e.work.Wait()
		e.sched.close()
		close(e.done)
	}()
}

// Wake makes the engine soon look for messages to send, and read again those under way. It never
// blocks.
func (e *Engine) Wake() { signal(e.wake) }

func (e *Engine) roomAgain() { signal(e.freed) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Stop ends the work gracefully: it starts no more pushes, waits for those under way, and writes
// their outcomes. It returns the context's error if they took longer; what was not written is sent
// again by the next engine.
func (e *Engine) Stop(ctx context.Context) error {
	e.once.Do(func() {
		close(e.stop)
		e.sched.halt()
	})
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for pushes under way: %w", ctx.Err())
	}
}

// Stats returns the present work of the engine.
func (e *Engine) Stats() Stats {
	s := Stats{InFlight: int(e.inFlight.Load())}
	if due := e.oldestDue.Load(); due != nil {
		s.OldestDue = *due
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Running = len(e.messages)
	return s
}

func (e *Engine) stopping() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}

// guard runs f and turns a panic into a log line: no fault in here may take the proxy down.
func (e *Engine) guard(doing string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			e.cfg.Logger.Error("delivery failed unexpectedly; it will be tried again",
				"doing", doing, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// changed notifies the observer.
func (e *Engine) changed(m pushsvc.Message) {
	if e.cfg.Observer != nil {
		e.guard("telling of a message", func() { e.cfg.Observer.Changed(m) })
	}
}
