package caddymodule

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// The events that the app emits, for subscribers of Caddy's events app. Their
// origin is the module webpush.
const (
	// EventMessageStarted: a message has begun to be sent.
	EventMessageStarted = "message_started"
	// EventMessageFinished: a message has been sent to all its recipients, or
	// given up for the rest; its data has the counts.
	EventMessageFinished = "message_finished"
	// EventMessageCancelled: an operator ended a message.
	EventMessageCancelled = "message_cancelled"
	// EventKeyChanged: another VAPID key is the current one.
	EventKeyChanged = "key_changed"
)

// waitingEvents is how many events may wait for their subscribers. More are
// dropped and logged: a hanging hook must not stop the sending.
const waitingEvents = 256

// observer passes the engine's actions to metrics and events. The engine has its
// own log.
type observer struct {
	metrics *metrics
	logger  *slog.Logger
	emit    func(name string, data map[string]any)

	queue chan event
	quit  chan struct{}
	once  sync.Once
	done  sync.WaitGroup
}

type event struct {
	name string
	data map[string]any
}

// newObserver makes an observer that emits through Caddy's events app.
func newObserver(ctx caddy.Context, m *metrics, logger *slog.Logger) (*observer, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, fmt.Errorf("getting the events app: %w", err)
	}
	events := app.(*caddyevents.App)
	return &observer{
		metrics: m, logger: logger,
		emit:  func(name string, data map[string]any) { events.Emit(ctx, name, data) },
		queue: make(chan event, waitingEvents),
		quit:  make(chan struct{}),
	}, nil
}

// start begins to pass events on. It is called once.
func (o *observer) start() {
	o.done.Add(1)
	go func() {
		defer o.done.Done()
		for {
			select {
			case e := <-o.queue:
				o.hand(e)
			case <-o.quit:
				for { // the queued ones
					select {
					case e := <-o.queue:
						o.hand(e)
					default:
						return
					}
				}
			}
		}
	}()
}

// stop passes the queued events on, within the limit, and ends.
func (o *observer) stop(limit time.Duration) {
	o.once.Do(func() { close(o.quit) })
	ended := make(chan struct{})
	go func() {
		o.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(limit):
		o.logger.Warn("subscribers of push events are slow; the app stopped without them")
	}
}

// hand calls the subscribers, which are other modules' code.
func (o *observer) hand(e event) {
	defer func() {
		if r := recover(); r != nil {
			o.logger.Error("a subscriber of a push event panicked", "event", e.name, "panic", fmt.Sprint(r))
		}
	}()
	o.emit(e.name, e.data)
}

func (o *observer) enqueue(name string, data map[string]any) {
	select {
	case o.queue <- event{name, data}:
	default:
		o.logger.Warn("a push event was dropped: its subscribers are too slow", "event", name)
	}
}

// Pushed implements delivery.Observer.
func (o *observer) Pushed(r webpush.Result, took time.Duration) { o.metrics.pushed(&r, took) }

// Changed implements delivery.Observer.
func (o *observer) Changed(m pushsvc.Message) {
	data := map[string]any{"site": m.Site, "message": m.ID, "audience": m.Progress.Audience}
	switch m.State {
	case pushsvc.StateDone, pushsvc.StateCancelled:
		p := m.Progress
		for name, n := range map[string]int64{
			"accepted": p.Accepted, "gone": p.Gone, "left": p.Left, "failed": p.FailedTotal(), "expired": p.Expired, "cancelled": p.Cancelled,
		} {
			data[name] = n
		}
		if len(p.Reasons) > 0 {
			data["reasons"] = p.Reasons
		}
		name := EventMessageFinished
		if m.State == pushsvc.StateCancelled {
			name = EventMessageCancelled
		}
		o.enqueue(name, data)
	default:
		o.enqueue(EventMessageStarted, data)
	}
}

// ended reports a message that was cancelled while no engine worked on it, so
// that the engine did not report it.
func (o *observer) ended(m pushsvc.Message) {
	p := m.Progress
	o.logger.Info("message ended", "message", m.ID, "site", m.Site, "state", string(m.State), "accepted", p.Accepted, "gone", p.Gone,
		"left", p.Left, "failed", p.FailedTotal(), "expired", p.Expired, "cancelled", p.Cancelled, "reasons", p.Reasons)
	o.Changed(m)
}

// keyChanged reports a new current key.
func (o *observer) keyChanged(k pushsvc.Key) {
	o.logger.Info("another VAPID key is the current one", "key", k.ID)
	o.enqueue(EventKeyChanged, map[string]any{"key": k.ID, "public_key": k.Public})
}
