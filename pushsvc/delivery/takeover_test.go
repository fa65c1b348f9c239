package delivery_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// faultyStore is the real store behind a fault.
type faultyStore struct {
	pushsvc.Store
	// checkpoint, where it is set, is asked before and after each one; an
	// error of its takes the place of the store's answer.
	before, after func(pushsvc.Checkpoint) error
}

func (s *faultyStore) Checkpoint(ctx context.Context, c pushsvc.Checkpoint) (pushsvc.Message, error) {
	if s.before != nil {
		if err := s.before(c); err != nil {
			return pushsvc.Message{}, err
		}
	}
	row, err := s.Store.Checkpoint(ctx, c)
	if err == nil && s.after != nil {
		err = s.after(c)
	}
	return row, err
}

var errDisk = errors.New("input/output error")

// TestStopAndResume: an engine that is stopped in the middle has written down
// what it sent; the next one skips nobody and repeats nothing.
func TestStopAndResume(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 300)
	gone := f.subscribe(siteA, "gone410", 50)
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	for i, after := range []int{1, 40, 130, 260} {
		f.push.onPush(func(string) { time.Sleep(2 * time.Millisecond) })
		e := f.engine(func(c *delivery.Config) { c.PageSize, c.Concurrency, c.Lease = 100, 8, time.Hour })
		f.eventually("it is in the middle", func() bool { return f.push.count() >= after })
		f.stop(e)
		row := f.state(m)
		if sent := row.Progress.Audience - row.Progress.Pending; sent != int64(f.push.count()) || row.State != pushsvc.StateSending {
			t.Errorf("engine %d: %s, %d pushes, %d written down", i, row.State, f.push.count(), sent)
		}
		if !row.Lease.IsZero() {
			t.Errorf("engine %d keeps its lease until %v", i, row.Lease)
		}
	}
	f.engine(nil)
	want := pushsvc.Progress{Audience: 350, Accepted: 300, Gone: 50, Failed: map[string]int64{}}
	if diff := cmp.Diff(want, f.done(m).Progress); diff != "" {
		t.Error(diff)
	}
	f.once(all)
	f.once(gone)
}

// TestStopStartsNothing: once Stop is called, no push is started.
func TestStopStartsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribe(siteA, "ok", 20)
	for range 8 {
		m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
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

// TestStopBetweenPages: a stop right after a checkpoint gives the message back
// too, so that the next engine need not wait for the lease.
func TestStopBetweenPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 20)
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	var e atomic.Pointer[delivery.Engine]
	store := &faultyStore{Store: f.store, after: func(c pushsvc.Checkpoint) error {
		expired, cancel := context.WithCancel(context.Background())
		cancel()
		_ = e.Load().Stop(expired)
		return nil
	}}
	ready := make(chan struct{})
	f.push.onPush(func(string) { <-ready })
	e.Store(f.engine(func(c *delivery.Config) { c.Store, c.PageSize, c.Lease = store, 10, time.Hour }))
	close(ready)
	f.eventually("the first page is written", func() bool { return f.state(m).Progress.Accepted > 0 })
	f.stop(e.Load())
	if row := f.state(m); row.Progress.Accepted != 10 || !row.Lease.IsZero() {
		t.Errorf("lease until %v, %+v", row.Lease, row.Progress)
	}
	f.engine(nil)
	if row := f.done(m); row.Progress.Accepted != 20 {
		t.Errorf("%+v", row.Progress)
	}
	f.once(all)
}

// TestStopWhileWaiting: who waits to be tried again when the engine stops is
// tried again by the next one, not written off.
func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.subscribe(siteA, "ok", 5)
	f.subscribe(siteA, "busy", 20)
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	e := f.engine(nil)
	f.eventually("everybody was tried", func() bool { return f.push.count() == 25 })
	f.stop(e)
	if row := f.state(m); row.Progress.Accepted != 5 || row.Progress.Pending != 20 {
		t.Errorf("after the stop: %+v", row.Progress)
	}
	f.engine(nil)
	if row := f.done(m); row.Progress.Accepted != 25 || row.Progress.FailedTotal() != 0 {
		t.Errorf("%+v", row.Progress)
	}
	f.once(before)
}

// dying is a sender that never comes back once its engine is dead.
type dying struct {
	delivery.Sender
	dead *atomic.Bool
	end  chan struct{}
}

func (d dying) Send(ctx context.Context, r *webpush.Request) webpush.Result {
	if d.dead.Load() {
		<-d.end
	}
	return d.Sender.Send(ctx, r)
}

// TestTakeover: an engine vanishes in the middle, at any place; another takes
// over when the lease has run out, skips nobody, and repeats at most the page
// that was under way.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]int{"in the first page": 5, "in the middle": 95, "in the last page": 235} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			all := append(f.subscribe(siteA, "ok", 200), f.subscribe(siteA, "gone404", 40)...)
			m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
			const page, lease = 50, time.Hour
			var dead atomic.Bool
			end := make(chan struct{})
			f.push.onPush(func(string) {
				if f.push.count() >= at {
					dead.Store(true)
				}
			})
			store := &faultyStore{Store: f.store, before: func(pushsvc.Checkpoint) error {
				if dead.Load() {
					<-end
				}
				return nil
			}}
			first := f.engine(func(c *delivery.Config) {
				c.Store, c.Sender, c.PageSize, c.Lease = store, dying{c.Sender, &dead, end}, page, lease
			})
			f.eventually("the engine is dead", dead.Load)
			f.push.onPush(func(string) {})

			tooEarly := f.engine(func(c *delivery.Config) { c.Lease = lease })
			time.Sleep(100 * time.Millisecond)
			f.stop(tooEarly)
			if row := f.state(m); row.Epoch != 1 || row.State != pushsvc.StateSending {
				t.Fatalf("taken over before the lease had run out: epoch %d, %s", row.Epoch, row.State)
			}
			f.engine(func(c *delivery.Config) {
				c.Clock = func() time.Time { return time.Now().Add(lease + time.Minute) }
			})
			row := f.done(m)
			want := pushsvc.Progress{Audience: 240, Accepted: 200, Gone: 40, Failed: map[string]int64{}}
			if diff := cmp.Diff(want, row.Progress); diff != "" || row.Epoch != 2 {
				t.Errorf("epoch %d, %s", row.Epoch, diff)
			}
			repeated := 0
			for _, s := range all {
				if n := len(f.push.of(s.name)); n == 0 || n > 2 {
					t.Errorf("%s got %d pushes", s.name, n)
				} else {
					repeated += n - 1
				}
			}
			if repeated > page {
				t.Errorf("%d repeated, more than a page of %d", repeated, page)
			}
			close(end) // the dead one comes back and must not change a thing
			f.stop(first)
			if again := f.state(m); cmp.Diff(row, again) != "" {
				t.Errorf("the dead engine wrote: %s", cmp.Diff(row, again))
			}
		})
	}
}

// TestUncertainCheckpoint: the store writes a checkpoint and says that it
// failed (as bbolt does when a sync fails); the engine asks again, and nobody
// is counted twice.
func TestUncertainCheckpoint(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := append(f.subscribe(siteA, "ok", 30), f.subscribe(siteA, "gone410", 10)...)
	f.subscribe(siteA, "bad", 10)
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	var n atomic.Int64
	store := &faultyStore{Store: f.store, after: func(pushsvc.Checkpoint) error {
		if n.Add(1)%2 == 1 {
			return errDisk
		}
		return nil
	}}
	f.engine(func(c *delivery.Config) { c.Store, c.PageSize = store, 20 })
	want := pushsvc.Progress{Audience: 50, Accepted: 30, Gone: 10, Failed: map[string]int64{"bad_request": 10}}
	if diff := cmp.Diff(want, f.done(m).Progress); diff != "" {
		t.Error(diff)
	}
	f.once(all)
}

// TestStoreOutage: the store fails for longer than a lease while pushes are
// under way. Nobody is counted as failed for it, and nobody is skipped.
func TestStoreOutage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 40)
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	const lease = 300 * time.Millisecond
	begun := time.Now()
	down := func() bool { return time.Since(begun) < 2*lease }
	store := &faultyStore{Store: f.store, before: func(pushsvc.Checkpoint) error {
		if down() {
			return errDisk
		}
		return nil
	}}
	f.push.onPush(func(string) {
		for down() {
			time.Sleep(10 * time.Millisecond)
		}
	})
	f.engine(func(c *delivery.Config) { c.Store, c.PageSize, c.Concurrency, c.Lease = store, 20, 8, lease })
	want := pushsvc.Progress{Audience: 40, Accepted: 40, Failed: map[string]int64{}}
	if diff := cmp.Diff(want, f.done(m).Progress); diff != "" {
		t.Error(diff)
	}
	repeated := 0
	for _, s := range all {
		n := len(f.push.of(s.name))
		if n == 0 {
			t.Errorf("%s was skipped", s.name)
		}
		repeated += n - 1
	}
	if repeated > 8 {
		t.Errorf("%d repeated, more than were under way", repeated)
	}
}

// TestLeaseIsKept: a page that takes longer than the lease stays with its
// engine.
func TestLeaseIsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 30)
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	f.push.onPush(func(string) { time.Sleep(100 * time.Millisecond) })
	for range 2 {
		f.engine(func(c *delivery.Config) { c.Concurrency, c.Lease = 2, 500*time.Millisecond })
	}
	if row := f.done(m); row.Epoch != 1 || row.Progress.Accepted != 30 {
		t.Errorf("epoch %d, %+v", row.Epoch, row.Progress)
	}
	f.once(all)
}

// TestStoreClosed: an engine whose store is closed under it ends quietly.
func TestStoreClosed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribe(siteA, "ok", 30)
	f.message(siteA, time.Now(), pushsvc.Content{Title: "x"})
	reached := make(chan struct{}, 100)
	f.push.onPush(func(string) { reached <- struct{}{}; time.Sleep(5 * time.Millisecond) })
	e := f.engine(func(c *delivery.Config) { c.PageSize, c.Concurrency = 4, 2 })
	<-reached
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	f.stop(e)
}
