package delivery_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// TestStopAndResume: an engine that is stopped in the middle has written down what it sent; the
// next one skips no recipient and repeats no push.
func TestStopAndResume(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 300)
	gone := f.subscribe(siteA, "gone410", 50)
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	f.push.onPush(func(string) { time.Sleep(2 * time.Millisecond) })
	for i, after := range []int{1, 40, 130, 260} {
		e := f.engine(func(c *delivery.Config) { c.PageSize, c.Concurrency, c.Lease = 50, 8, time.Hour })
		f.eventually("it is in the middle", func() bool { return f.push.count() >= after })
		f.stop(e)
		row := f.state(m)
		if sent := row.Progress.Audience - row.Progress.Pending; sent != int64(f.push.count()) || row.State != pushsvc.StateSending {
			t.Errorf("engine %d: %s, %d pushes, %d written down", i, row.State, f.push.count(), sent)
		}
	}
	f.engine(nil) // which need not wait for the hour of a lease
	row := f.done(m)
	if p := row.Progress; p.Accepted != 300 || p.Gone+p.Failed[pushsvc.ReasonQuarantined] != 50 {
		t.Errorf("%+v", p)
	}
	f.once(all)
	f.once(gone)
}

// TestReplaced: engines replace each other again and again, as reloads do; no recipient is skipped
// or gets a push twice.
func TestReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 1000)
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	f.push.onPush(func(string) { time.Sleep(time.Millisecond) })
	for f.state(m).State != pushsvc.StateDone {
		e := f.engine(func(c *delivery.Config) { c.PageSize, c.Concurrency, c.Lease = 32, 16, time.Hour })
		time.Sleep(rand.N(60 * time.Millisecond))
		f.stop(e)
	}
	if p := f.done(m).Progress; p.Accepted != 1000 {
		t.Errorf("%+v", p)
	}
	f.once(all)
}

// TestStopStartsNothing: once Stop is called, no push is started.
func TestStopStartsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribe(siteA, "ok", 20)
	for range 8 {
		m := f.message(siteA, time.Now(), pushsvc.Content{})
		arrived, goOn := make(chan struct{}, 100), make(chan struct{})
		f.push.onPush(func(string) { arrived <- struct{}{}; <-goOn })
		before := f.push.count()
		e := f.engine(func(c *delivery.Config) { c.Concurrency = 1 })
		<-arrived
		short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := e.Stop(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop with a push under way: %v", err)
		}
		cancel()
		close(goOn)
		f.stop(e)
		if n := f.push.count() - before; n != 1 {
			t.Fatalf("%d pushes, of which %d were started after Stop", n, n-1)
		}
		f.push.onPush(func(string) {})
		finish := f.engine(nil)
		f.done(m)
		f.stop(finish)
	}
}

// TestStopWhileLater: a recipient who waits to be tried again when the engine stops is tried again
// by the next one, which continues the count of attempts.
func TestStopWhileLater(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.subscribeTo(apple, siteA, "ok", 5)
	broken := f.subscribeTo(apple, siteA, "broken", 4) // fewer than break the circuit
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	change := func(c *delivery.Config) {
		c.RetryMin, c.RetryMax, c.Attempts = 200*time.Millisecond, 200*time.Millisecond, 4
	}
	for range 3 {
		e := f.engine(change)
		n := f.push.count()
		f.eventually("they are tried", func() bool { return f.push.count() > n })
		f.stop(e)
	}
	if row := f.state(m); row.Progress.Accepted != 5 || row.Progress.Later != 4 || row.NextTry.IsZero() {
		t.Errorf("after the stop: %+v", row)
	}
	f.engine(change)
	if row := f.done(m); row.Progress.Accepted != 5 || row.Progress.Failed["server_error"] != 4 {
		t.Errorf("%+v", row.Progress)
	}
	f.once(before)
	f.times(broken, 4)
}

// stall is an engine that stops in the middle of everything, like a process that a signal stops or
// that is swapped out: neither its pushes nor its writes return until it continues.
type stall struct {
	delivery.Sender
	on *atomic.Bool
	up chan struct{}
}

func (s stall) wait() {
	if s.on.Load() {
		<-s.up
	}
}

func (s stall) Send(ctx context.Context, r *webpush.Request) webpush.Result {
	s.wait()
	result := s.Sender.Send(ctx, r)
	s.wait()
	return result
}

// TestTakeover: an engine stalls in the middle, at any place; another takes over when the lease has
// ended, skips no recipient, and repeats at most what was under way. When the first comes back, it
// sends nothing and changes nothing.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]int{"at the beginning": 5, "in the middle": 95, "near the end": 235} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			all := append(f.subscribe(siteA, "ok", 200), f.subscribe(siteA, "gone404", 40)...)
			m := f.message(siteA, time.Now(), pushsvc.Content{})
			const slots, lease = 16, time.Hour
			s := stall{f.push.client, new(atomic.Bool), make(chan struct{})}
			f.push.onPush(func(string) {
				if f.push.count() >= at {
					s.on.Store(true)
				}
			})
			mine := &checkedStore{
				Store: f.store, tb: t,
				before: func(pushsvc.Checkpoint) error { s.wait(); return nil },
				note:   func([]pushsvc.Outcome) error { s.wait(); return nil },
				claim:  func() error { s.wait(); return nil },
			}
			first := f.engine(func(c *delivery.Config) {
				c.Store, c.Sender, c.PageSize, c.Lease, c.Concurrency = mine, s, 50, lease, slots
			})
			f.eventually("it stalls", s.on.Load)
			tooEarly := f.engine(func(c *delivery.Config) { c.Lease = lease })
			time.Sleep(100 * time.Millisecond)
			f.stop(tooEarly)
			if row := f.state(m); row.State != pushsvc.StateSending {
				t.Fatalf("taken over before the lease had run out: %s", row.State)
			}
			f.ahead.Store(int64(lease + time.Minute))
			f.engine(nil)
			row := f.done(m)
			if p := row.Progress; p.Accepted != 200 || p.Gone+p.Failed[pushsvc.ReasonQuarantined] != 40 {
				t.Errorf("%+v", p)
			}
			f.repeated(all, slots)
			total := f.push.count()
			close(s.up) // the first comes back and must not change a thing
			f.stop(first)
			if again := f.state(m); cmp.Diff(row, again) != "" || f.push.count() > total+slots {
				t.Errorf("%d pushes after the end; the first engine wrote: %s", f.push.count()-total, cmp.Diff(row, again))
			}
		})
	}
}

// repeated fails if a recipient was skipped, or more than most were sent to twice.
func (f *fixture) repeated(all []subscriber, most int) {
	f.Helper()
	n := 0
	for _, s := range all {
		got := len(f.push.pushesTo(s.name))
		if got == 0 {
			f.Errorf("%s was skipped", s.name)
		}
		n += max(got-1, 0)
	}
	if n > most {
		f.Errorf("%d pushes were repeated, more than %d", n, most)
	}
}

// TestSideBySide: two engines share one message, and its retries, without
// sending anything twice.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 6000) // more than one range
	busy := f.subscribeTo(apple, siteA, "busy", 50)
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	w := []*watcher{new(watcher), new(watcher)}
	for i := range w {
		f.engine(func(c *delivery.Config) { c.Observer, c.Ranges = w[i], 1 })
	}
	if p := f.done(m).Progress; p.Accepted != 6050 {
		t.Errorf("%+v", p)
	}
	f.once(all)
	f.times(busy, 2)
	for i := range w {
		w[i].mu.Lock()
		if n := w[i].pushed["accepted"]; n < 100 {
			t.Errorf("engine %d has sent %d", i, n)
		}
		w[i].mu.Unlock()
	}
}

// TestUncertainCheckpoint: the store writes a checkpoint and reports that it failed (as bbolt does
// when a sync fails); the engine tries again, and no recipient is counted twice.
func TestUncertainCheckpoint(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := append(f.subscribe(siteA, "ok", 30), f.subscribe(siteA, "gone410", 10)...)
	f.subscribe(siteA, "bad", 10)
	f.subscribeTo(apple, siteA, "busy", 5)
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	var n atomic.Int64
	f.store.after = func(pushsvc.Checkpoint) error {
		if n.Add(1)%2 == 1 {
			return errDisk
		}
		return nil
	}
	f.engine(func(c *delivery.Config) { c.PageSize = 20 })
	want := pushsvc.Progress{Audience: 55, Accepted: 35, Gone: 10, Failed: map[string]int64{"bad_request": 10}}
	if diff := cmp.Diff(want, f.done(m).Progress); diff != "" {
		t.Error(diff)
	}
	f.once(all)
}

// TestStoreOutage: the store takes no writes for longer than a lease while pushes are under way.
// Sending stops, no recipient is counted as failed for it, and none is skipped.
func TestStoreOutage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 400)
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	const slots, lease = 8, 600 * time.Millisecond
	var down atomic.Bool
	f.store.before = func(pushsvc.Checkpoint) error {
		if down.Load() {
			return errDisk
		}
		return nil
	}
	f.store.note = func([]pushsvc.Outcome) error { return f.store.before(pushsvc.Checkpoint{}) }
	f.store.claim = func() error { return f.store.before(pushsvc.Checkpoint{}) }
	f.push.onPush(func(string) {
		if f.push.count() == 100 {
			down.Store(true)
		}
	})
	f.engine(func(c *delivery.Config) {
		c.Concurrency, c.Lease, c.CheckpointEvery = slots, lease, 20*time.Millisecond
	})
	f.eventually("it is in the middle", func() bool { return f.push.count() >= 100 })
	time.Sleep(2 * lease)
	if n := f.push.count(); n > 100+2*slots {
		t.Errorf("%d pushes while nothing could be written", n-100)
	}
	down.Store(false)
	want := pushsvc.Progress{Audience: 400, Accepted: 400, Failed: map[string]int64{}}
	if diff := cmp.Diff(want, f.done(m).Progress); diff != "" {
		t.Error(diff)
	}
	f.repeated(all, slots)
}

// TestStalledCheckpoint: a write takes longer than the lease lasts. The engine does not take its
// own range from itself meanwhile: recipients sent to during the wait are written afterwards, and
// no recipient is sent to twice.
func TestStalledCheckpoint(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 400)
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	const slots, lease = 16, 500 * time.Millisecond
	var stalled atomic.Bool
	f.store.before = func(pushsvc.Checkpoint) error {
		if f.push.count() >= 100 && stalled.CompareAndSwap(false, true) {
			time.Sleep(3 * lease)
		}
		return nil
	}
	f.push.onPush(func(string) { time.Sleep(2 * time.Millisecond) })
	f.engine(func(c *delivery.Config) {
		c.Concurrency, c.Lease, c.CheckpointEvery, c.PageSize = slots, lease, 20*time.Millisecond, 200
	})
	want := pushsvc.Progress{Audience: 400, Accepted: 400, Failed: map[string]int64{}}
	if diff := cmp.Diff(want, f.done(m).Progress); diff != "" || !stalled.Load() {
		t.Errorf("stalled: %v\n%s", stalled.Load(), diff)
	}
	f.once(all)
}

// TestNoNotes: if outcomes cannot be noted, checkpoints take their place, and nothing stalls.
func TestNoNotes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 300)
	f.store.note = func([]pushsvc.Outcome) error { return errDisk }
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	f.engine(func(c *delivery.Config) { c.Concurrency, c.CheckpointEvery = 8, time.Minute })
	f.done(m)
	f.once(all)
}

// TestLeaseIsKept: a range on which pushes take longer than the lease stays
// with its engine.
func TestLeaseIsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 30)
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	f.push.onPush(func(string) { time.Sleep(150 * time.Millisecond) })
	for range 2 {
		f.engine(func(c *delivery.Config) { c.Concurrency, c.Lease = 2, 600*time.Millisecond })
	}
	if row := f.done(m); row.Progress.Accepted != 30 {
		t.Errorf("%+v", row.Progress)
	}
	f.once(all)
}

// TestStoreClosed: an engine whose store is closed under it ends quietly.
func TestStoreClosed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribe(siteA, "ok", 30)
	f.message(siteA, time.Now(), pushsvc.Content{})
	reached := make(chan struct{}, 100)
	f.push.onPush(func(string) { reached <- struct{}{}; time.Sleep(5 * time.Millisecond) })
	e := f.engine(func(c *delivery.Config) { c.PageSize, c.Concurrency = 4, 2 })
	<-reached
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	f.stop(e)
}

// TestPanickingStore: a store that panics costs a lease, not the message and
// not the process.
func TestPanickingStore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 200)
	var n atomic.Int64
	f.store.note = func([]pushsvc.Outcome) error {
		if n.Add(1) == 3 {
			panic("a damaged page")
		}
		return nil
	}
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	f.engine(func(c *delivery.Config) { c.Lease, c.Concurrency = 500*time.Millisecond, 8 })
	if p := f.done(m).Progress; p.Accepted != 200 {
		t.Errorf("%+v", p)
	}
	f.repeated(all, 8)
}
