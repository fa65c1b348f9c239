package delivery_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// scripted is a sender whose answers come from a function.
type scripted func(r *webpush.Request) webpush.Result

func (s scripted) Send(_ context.Context, r *webpush.Request) webpush.Result { return s(r) }

func accepted() webpush.Result {
	return webpush.Result{Verdict: webpush.Verdict{Class: webpush.ClassAccepted, Reason: webpush.ReasonAccepted}, Status: 201}
}

func laterResult(reason webpush.Reason, status int, after time.Duration, pause bool) webpush.Result {
	return webpush.Result{Verdict: webpush.Verdict{
		Class: webpush.ClassLater, Reason: reason, RetryAfter: after, PauseOrigin: pause,
	}, Status: status}
}

// TestFairness: a message to few recipients does not wait for the end of an earlier one to many,
// whether it finds a free place or another message has to release one.
func TestFairness(t *testing.T) {
	t.Parallel()
	for name, places := range map[string]int{"side by side": 4, "by turns": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.subscribe(siteA, "ok", 4000)
			f.subscribe(siteB, "ok", 50)
			f.push.onPush(func(string) { time.Sleep(5 * time.Millisecond) })
			e := f.engine(func(c *delivery.Config) { c.Messages, c.Turn, c.Concurrency = places, 100*time.Millisecond, 8 })
			big := f.message(siteA, time.Now(), pushsvc.Content{})
			f.eventually("the big one has begun", func() bool { return f.push.count() > 200 })
			begun := time.Now()
			small := f.message(siteB, time.Now(), pushsvc.Content{})
			e.Wake()
			f.done(small)
			took := time.Since(begun)
			if row := f.state(big); row.State != pushsvc.StateSending || row.Progress.Accepted > 2500 {
				t.Errorf("the small one took %v, when the big one was %s: %+v", took, row.State, row.Progress)
			}
			if row := f.done(big); row.Progress.Accepted != 4000 {
				t.Errorf("%+v", row.Progress)
			}
		})
	}
}

// TestSlowOrigin: a push service that hangs holds up neither the others nor the message's other
// recipients, although most recipients are its own.
func TestSlowOrigin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	release := make(chan struct{})
	var hanging atomic.Int64
	sender := scripted(func(r *webpush.Request) webpush.Result {
		if !strings.Contains(r.Endpoint, mozilla) {
			return accepted()
		}
		hanging.Add(1)
		select {
		case <-release:
			return accepted()
		case <-time.After(4 * time.Second):
			return webpush.Result{Verdict: webpush.Verdict{Class: webpush.ClassLater, Reason: webpush.ReasonTimeout}}
		}
	})
	f.subscribeTo(mozilla, siteA, "hang", 1500)
	quick := f.subscribeTo(fcm, siteA, "ok", 1000)
	e := f.engine(func(c *delivery.Config) {
		c.Sender, c.PageSize, c.Concurrency = sender, 50, 64
		c.RetryMin, c.RetryMax = 5*time.Second, time.Minute
	})
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	begun := time.Now()
	f.eventually("the quick ones are sent to", func() bool { return f.state(m).Progress.Accepted == int64(len(quick)) })
	t.Logf("the others took %v, %d pushes hung", time.Since(begun), hanging.Load())
	if n := hanging.Load(); n > 48 {
		t.Errorf("%d pushes to the origin that hangs", n)
	}
	close(release)
	f.stop(e)
}

// TestBreaker: an origin that is down gets a few probes one after another, after growing waits; its
// recipients use up no attempts; when it is back, all are sent to.
func TestBreaker(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]webpush.Reason{"no connection": webpush.ReasonNetwork, "server errors": webpush.ReasonServerError} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			var down atomic.Bool
			var tries, probes atomic.Int64
			down.Store(true)
			sender := scripted(func(*webpush.Request) webpush.Result {
				tries.Add(1)
				if down.Load() {
					probes.Add(1)
					status := 0
					if reason == webpush.ReasonServerError {
						status = 500
					}
					return laterResult(reason, status, 0, false)
				}
				return accepted()
			})
			f.subscribeTo(fcm, siteA, "ok", 400)
			f.engine(func(c *delivery.Config) {
				c.Sender, c.Attempts = sender, 8
				c.RetryMin, c.RetryMax = 100*time.Millisecond, 300*time.Millisecond
			})
			m := f.message(siteA, time.Now(), pushsvc.Content{})
			begun := time.Now()
			time.Sleep(2 * time.Second)
			f.eventually("it is probed", func() bool { return probes.Load() >= 18 })
			n := probes.Load()
			if took := time.Since(begun); n > mostProbes(took, 100*time.Millisecond, 300*time.Millisecond) {
				t.Errorf("%d attempts at an origin that is down, in %v", n, took)
			}
			f.eventually("retries have a reason", func() bool {
				p := f.state(m).Progress
				var all int64
				for _, n := range p.Reasons {
					all += n
				}
				return p.Later > 0 && p.Reasons[string(reason)] > 0 && all == p.Later
			})
			down.Store(false)
			if p := f.done(m).Progress; p.Accepted != 400 || len(p.Reasons) != 0 {
				t.Errorf("%+v", p)
			}
			if n := tries.Load(); n != 400+probes.Load() {
				t.Errorf("%d attempts", n)
			}
		})
	}
}

// mostProbes returns how many attempts may be made at an origin that is down: 16 before it counts as
// down, and three (leastConfirm) after each wait, if no wait is longer than it must be.
func mostProbes(took, least, most time.Duration) int64 {
	n, wait := int64(16), least
	for at := wait; at <= took; at += wait {
		n += 3
		wait = min(2*wait, most)
	}
	return n
}

// TestPause: a push service that asks for time gets it, and the others don't wait. Short waits are
// spent in memory, long ones are written to the store.
func TestPause(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]time.Duration{"short": time.Second, "long": 8 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			var until atomic.Int64
			var early, refused atomic.Int64
			sender := scripted(func(r *webpush.Request) webpush.Result {
				if !strings.Contains(r.Endpoint, fcm) {
					return accepted()
				}
				now := time.Now()
				end := until.Load()
				if end == 0 && until.CompareAndSwap(0, now.Add(pause).UnixNano()) || now.UnixNano() < until.Load() {
					if refused.Add(1) > 16 {
						early.Add(1)
					}
					return laterResult(webpush.ReasonThrottled, 429, pause, true)
				}
				return accepted()
			})
			f.subscribeTo(fcm, siteA, "ok", 300)
			f.subscribeTo(mozilla, siteA, "ok", 300)
			begun := time.Now()
			f.engine(func(c *delivery.Config) { c.Sender = sender })
			m := f.message(siteA, time.Now(), pushsvc.Content{})
			f.eventually("the others are sent to", func() bool { return f.state(m).Progress.Accepted >= 300 })
			// Those after the others' places in the queue wait for a short one.
			if d := time.Since(begun); d > pause && pause > 2*time.Second || d > pause+time.Second {
				t.Errorf("the others waited %v", d)
			}
			if pause > 2*time.Second {
				f.eventually("the rest is written down", func() bool { return f.state(m).Progress.Later == 300 })
			} else if p := f.state(m).Progress; p.Later != 0 {
				t.Errorf("written down for a second: %+v", p)
			}
			if p := f.done(m).Progress; p.Accepted != 600 || early.Load() != 0 {
				t.Errorf("%d pushes during the pause, %+v", early.Load(), p)
			}
		})
	}
}

// TestRetryAfterHours: a Retry-After of hours is respected, up to the end of the message's life.
func TestRetryAfterHours(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribeTo(apple, siteA, "ok", 2)
	sender := scripted(func(*webpush.Request) webpush.Result {
		return laterResult(webpush.ReasonThrottled, 429, 6*time.Hour, false)
	})
	f.engine(func(c *delivery.Config) { c.Sender = sender })
	long, short := 7*3600, 5*3600
	waits, ends := f.message(siteA, time.Now(), pushsvc.Content{TTL: &long}), f.message(siteA, time.Now(), pushsvc.Content{TTL: &short})
	f.eventually("it is written down", func() bool { return f.state(waits).Progress.Later == 2 })
	if row := f.state(waits); row.NextTry.Before(time.Now().Add(6*time.Hour-time.Minute)) || row.NextTry.After(time.Now().Add(7*time.Hour)) {
		t.Errorf("next try at %v", row.NextTry)
	}
	if p := f.done(ends).Progress; p.Expired != 2 {
		t.Errorf("%+v", p)
	}
}

// TestOurFault: a push service that refuses us is paused, but only if it refuses all recipients:
// one endpoint that answers 403 must not stop a site. Another key's subscriptions at the same
// origin are not affected.
func TestOurFault(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	second, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.ImportKey(t.Context(), second, true); err != nil {
		t.Fatal(err)
	}
	var refused atomic.Int64
	f.push.respondWith(func(w http.ResponseWriter, r *http.Request, name string, _ int) {
		if strings.Contains(r.Header.Get("Authorization"), second.Public) || strings.HasPrefix(name, "denied-") {
			refused.Add(1)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	fine := f.subscribeTo(fcm, siteA, "ok", 300)
	f.subscribeTo(fcm, siteA, "denied", 1)
	for range 300 {
		f.subscribeAt(siteA, "second", second.ID, fcm)
	}
	f.engine(nil)
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	f.eventually("all had a turn", func() bool {
		p := f.state(m).Progress
		return p.Accepted == 300 && p.Pending == 0
	})
	time.Sleep(300 * time.Millisecond)
	p := f.state(m).Progress
	if p.Failed["unauthorized"] > 4 || p.Later < 295 || refused.Load() > 60 {
		t.Errorf("%d refused, %+v", refused.Load(), p)
	}
	f.once(fine)
	if n := len(f.subscriptions(siteA)); n != 601 {
		t.Errorf("%d subscriptions", n)
	}
	if log := f.log.String(); strings.Count(log, "refuses us") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

// sendsAt measures the pushes of two seconds, and reports an error if they are not within
// a tenth of the rate per second. A busy machine may fall behind for a while, so slow
// measurements are repeated, tries in all; it never runs ahead.
func (f *fixture) sendsAt(rate float64, tries int, what string) {
	f.Helper()
	var got float64
	for range tries {
		before, begun := f.push.count(), time.Now()
		time.Sleep(2 * time.Second)
		got = float64(f.push.count()-before) / time.Since(begun).Seconds()
		if got >= rate*0.9 {
			break
		}
	}
	f.Logf("%s: %.0f/s", what, got)
	if got < rate*0.9 || got > rate*1.1 {
		f.Errorf("%s: %.1f pushes a second, not %.0f", what, got, rate)
	}
}

// TestRate: the throttle holds within a tenth, over all ranges of a message
// and across a pause. It runs alone, as it measures.
func TestRate(t *testing.T) {
	for _, rate := range []float64{50, 400} {
		f := newFixture(t)
		f.subscribe(siteA, "ok", 5200) // two ranges
		f.engine(nil)
		m := f.create(pushsvc.Message{Site: siteA, Rate: rate})
		f.eventually("it has begun", func() bool { return f.push.count() > 0 })
		f.sendsAt(rate, 4, "at first")
		f.control(m, pushsvc.CommandPause)
		f.eventually("it pauses", func() bool {
			n := f.push.count()
			time.Sleep(150 * time.Millisecond)
			return f.push.count() == n
		})
		f.control(m, pushsvc.CommandResume)
		n := f.push.count()
		f.eventually("it goes on", func() bool { return f.push.count() > n })
		f.sendsAt(rate, 4, "after the pause")
		f.control(m, pushsvc.CommandCancel)
	}
}

// TestControl: a message is paused and continues, or is cancelled, within about a second, and pushes
// under way are counted as usual.
func TestControl(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := f.subscribe(siteA, "ok", 1000)
	f.push.onPush(func(string) { time.Sleep(4 * time.Millisecond) })
	w := new(watcher)
	f.engine(func(c *delivery.Config) { c.Concurrency, c.Observer = 4, w })
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	for i := range 3 {
		f.eventually("it is on the way", func() bool { return f.push.count() >= 100*(i+1) })
		f.control(m, pushsvc.CommandPause)
		time.Sleep(1200 * time.Millisecond)
		n := f.push.count()
		time.Sleep(200 * time.Millisecond)
		row := f.state(m)
		if f.push.count() != n || row.Progress.Accepted != int64(n) || row.State != pushsvc.StatePaused {
			t.Errorf("%d pushes, then %d, while %s: %+v", n, f.push.count(), row.State, row.Progress)
		}
		f.control(m, pushsvc.CommandResume)
	}
	n := f.push.count()
	f.eventually("it goes on", func() bool { return f.push.count() > n+20 })
	f.control(m, pushsvc.CommandCancel)
	time.Sleep(1200 * time.Millisecond)
	row := f.state(m)
	if p := row.Progress; row.State != pushsvc.StateCancelled || p.Accepted != int64(f.push.count()) || p.Cancelled != 1000-p.Accepted || p.Cancelled == 0 {
		t.Errorf("%d pushes, %s: %+v", f.push.count(), row.State, p)
	}
	f.atMostOnce(all)
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.states); n < 2 || w.states[0] != pushsvc.StateSending || w.states[n-1] != pushsvc.StateCancelled {
		t.Errorf("told %v", w.states)
	}
}

func (f *fixture) atMostOnce(all []subscriber) {
	f.Helper()
	for _, s := range all {
		if n := len(f.push.pushesTo(s.name)); n > 1 {
			f.Errorf("%s got %d pushes", s.name, n)
		}
	}
}

// TestCancelWhileLater: recipients with a retry are cancelled too.
func TestCancelWhileLater(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribeTo(apple, siteA, "broken", 3)
	f.engine(func(c *delivery.Config) { c.RetryMin, c.RetryMax = time.Hour, time.Hour })
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	f.eventually("they have retries", func() bool { return f.state(m).Progress.Later == 3 })
	f.control(m, pushsvc.CommandCancel)
	f.eventually("it is cancelled", func() bool { return f.state(m).State == pushsvc.StateCancelled })
	if p := f.state(m).Progress; p.Cancelled != 3 {
		t.Errorf("%+v", p)
	}
}

// TestScheduled: a message waits for its time.
func TestScheduled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribe(siteA, "ok", 3)
	f.engine(nil)
	at := time.Now().Add(700 * time.Millisecond)
	m := f.create(pushsvc.Message{Site: siteA, SendAt: at})
	f.push.onPush(func(string) {
		if time.Now().Before(at) {
			t.Error("sent before its time")
		}
	})
	f.done(m)
}

// TestQuarantine: masses of 404 and 410 remove no subscription, until the push service reports them
// again a day later; a few are believed, and so is each in a message to few.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                          string
		ok, gone                      int
		doubted                       time.Duration // since when
		wantGone, atMost, wantDoubted int
	}{
		{"few of many", 200, 20, 0, 20, 20, 0},
		{"a message to few", 2, 8, 0, 8, 8, 0},
		{"all of many", 0, 300, 0, 0, 0, 300},
		{"most of many", 100, 300, 0, 0, 0, 300},
		{"doubted an hour ago", 10, 100, time.Hour, 0, 0, 100},
		{"doubted two days ago", 10, 100, 48 * time.Hour, 100, 100, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			for i := range tt.ok + tt.gone {
				kind := "ok"
				if i*tt.gone/(tt.ok+tt.gone) != (i+1)*tt.gone/(tt.ok+tt.gone) {
					kind = "gone410"
				}
				f.subscribeTo(fcm, siteA, kind, 1)
			}
			if tt.doubted > 0 {
				f.doubt(t, time.Now().Add(-tt.doubted))
			}
			f.engine(func(c *delivery.Config) { c.PageSize = 32 })
			p := f.done(f.message(siteA, time.Now(), pushsvc.Content{})).Progress
			left := 0
			for _, s := range f.subscriptions(siteA) {
				if !s.Doubted.IsZero() {
					left++
				}
			}
			if p.Gone != int64(tt.wantGone) || p.Failed[pushsvc.ReasonQuarantined] != int64(tt.gone-tt.wantGone) || left != tt.wantDoubted || p.Accepted != int64(tt.ok) {
				t.Errorf("%d doubted, %+v", left, p)
			}
			if n := len(f.subscriptions(siteA)); n != tt.ok+tt.gone-tt.wantGone {
				t.Errorf("%d subscriptions remain", n)
			}
		})
	}
}

// doubt makes every subscription of the site doubted since a time, as a message at that time would
// have.
func (f *fixture) doubt(t *testing.T, since time.Time) {
	t.Helper()
	m := f.message(siteA, since, pushsvc.Content{})
	_, rng, err := f.store.Claim(t.Context(), m.Site, m.ID, "test", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c := pushsvc.Checkpoint{Site: m.Site, MessageID: m.ID, Range: rng.N, Epoch: rng.Epoch, Cursor: rng.Until, Done: true, At: since}
	for name, s := range f.subscriptions(siteA) {
		o := pushsvc.Outcome{ID: s.ID, Kind: pushsvc.OutcomeAccepted}
		if strings.HasPrefix(name, "gone") {
			o = pushsvc.Outcome{ID: s.ID, Kind: pushsvc.OutcomeQuarantined, Reason: pushsvc.ReasonQuarantined}
		}
		c.Outcomes = append(c.Outcomes, o)
	}
	if _, _, err := f.store.Checkpoint(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// TestLateQuarantine: masses that begin late, after many were accepted, are seen too.
func TestLateQuarantine(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribeTo(fcm, siteA, "ok", 2000)
	f.subscribeTo(fcm, siteA, "gone404", 1000)
	f.engine(nil)
	p := f.done(f.message(siteA, time.Now(), pushsvc.Content{})).Progress
	if p.Gone > 200 || p.Failed[pushsvc.ReasonQuarantined] < 800 {
		t.Errorf("%+v", p)
	}
}
