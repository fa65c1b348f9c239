package delivery_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// TestManyMessages: more messages than run side by side, two engines, and each
// subscriber gets each message once.
func TestManyMessages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 30)
	var messages []pushsvc.Message
	for range 12 {
		messages = append(messages, f.message(siteA, time.Now(), pushsvc.Content{}))
	}
	for range 2 {
		f.engine(func(c *delivery.Config) { c.Messages, c.PageSize = 2, 8 })
	}
	for _, m := range messages {
		if row := f.done(m); row.Progress.Accepted != 30 {
			t.Errorf("%+v", row.Progress)
		}
	}
	for _, s := range all {
		seen := make(map[string]int)
		for _, p := range f.push.pushesTo(s.name) {
			got, _ := s.read(t, p, f.secret)
			seen[got.ID]++
		}
		if len(seen) != 12 || len(f.push.pushesTo(s.name)) != 12 {
			t.Errorf("%s got %v", s.name, seen)
		}
	}
}

// TestWake: Wake starts a sleeping engine at once.
func TestWake(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribe(siteA, "ok", 1)
	e := f.engine(func(c *delivery.Config) { c.Poll = time.Hour })
	for range 3 {
		time.Sleep(100 * time.Millisecond) // until it sleeps
		m := f.message(siteA, time.Now(), pushsvc.Content{})
		time.Sleep(20 * time.Millisecond)
		if row := f.state(m); row.State != pushsvc.StateQueued {
			t.Fatalf("state %s before the engine is told", row.State)
		}
		e.Wake()
		f.done(m)
	}
}

// watcher records what an engine reports.
type watcher struct {
	mu     sync.Mutex
	pushed map[webpush.Reason]int
	states []pushsvc.State
}

func (w *watcher) Pushed(r webpush.Result, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pushed == nil {
		w.pushed = make(map[webpush.Reason]int)
	}
	if took > 0 {
		w.pushed[r.Reason]++
	}
}

func (w *watcher) Changed(m pushsvc.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states = append(w.states, m.State)
}

// TestObserver: each attempt is reported, and a message's beginning and end.
func TestObserver(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribe(siteA, "ok", 25)
	f.subscribe(siteA, "bad", 5)
	w := new(watcher)
	e := f.engine(func(c *delivery.Config) { c.Observer = w })
	created := time.Now().Add(-time.Minute)
	f.push.onPush(func(string) { time.Sleep(20 * time.Millisecond) })
	m := f.message(siteA, created, pushsvc.Content{})
	f.eventually("somebody is waiting", func() bool {
		s := e.Stats()
		return s.OldestDue.Equal(created.UTC().Round(0)) && s.InFlight > 0 && s.Running == 1
	})
	f.done(m)
	f.stop(e)
	if diff := cmp.Diff(map[webpush.Reason]int{"accepted": 25, "bad_request": 5}, w.pushed); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]pushsvc.State{pushsvc.StateSending, pushsvc.StateDone}, w.states); diff != "" {
		t.Error(diff)
	}
}
