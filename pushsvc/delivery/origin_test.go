package delivery

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// TestBackoff: it doubles from the least to the most, and jitters.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for n, base := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 11: time.Hour, 1000: time.Hour} {
		seen := make(map[time.Duration]bool)
		for range 200 {
			d := backoff(5*time.Second, time.Hour, n)
			if d < base || d > base+base/2 || d > time.Hour+time.Hour/8 {
				t.Fatalf("attempt %d: %v", n, d)
			}
			seen[d] = true
		}
		if len(seen) < 20 {
			t.Errorf("attempt %d: %d different waits of 200", n, len(seen))
		}
	}
}

// at is a gate with a clock of its own, for tests of what it learns.
type at struct {
	*gate
	cfg *Config
	now time.Time
	who uint64
}

func newAt() *at {
	cfg := &Config{Concurrency: 400, Logger: slog.New(slog.DiscardHandler)}
	cfg.setDefaults()
	a := &at{cfg: cfg, now: time.Now()}
	cfg.Clock = func() time.Time { return a.now }
	a.gate = newScheduler(cfg, nil).gate("a.example", "k")
	return a
}

// answer lets n different recipients get an answer, after a millisecond each.
func (a *at) answer(n int, r webpush.Result, witness bool) {
	for range n {
		began := a.now
		a.now = a.now.Add(time.Millisecond)
		a.who++
		a.origin.inFlight++
		a.key.inFlight++
		a.answered(a.cfg, a.now, answer{Result: &r, recipient: a.who, began: began, witness: witness})
	}
}

func gets(status int, c webpush.Class, reason webpush.Reason, after time.Duration) webpush.Result {
	return webpush.Result{Verdict: webpush.Verdict{Class: c, Reason: reason, RetryAfter: after, PauseOrigin: true}, Status: status}
}

var fine = gets(201, webpush.ClassAccepted, webpush.ReasonAccepted, 0)

func busy(after time.Duration) webpush.Result {
	return gets(429, webpush.ClassLater, webpush.ReasonThrottled, after)
}

// TestLimit: an origin may have more pushes at once as it answers, up to the bound, and begins
// small after a pause.
func TestLimit(t *testing.T) {
	t.Parallel()
	a := newAt()
	a.answer(1000, fine, false)
	if a.origin.limit != 300 {
		t.Errorf("limit %v after 1,000 answers", a.origin.limit)
	}
	a.answer(15, busy(time.Minute), false)
	if !a.admits(a.now, true) || a.origin.limit != 300 {
		t.Errorf("15 in a row are believed: limit %v", a.origin.limit)
	}
	a.answer(leastWitnesses, busy(time.Minute), true)
	a.answer(50, busy(time.Minute), false) // from the same round trip
	began := a.now.Add(-50 * time.Millisecond)
	if a.origin.limit != firstLimit || a.origin.threshold != 150 || a.origin.streak != 1 {
		t.Errorf("limit %v, threshold %v, streak %d", a.origin.limit, a.origin.threshold, a.origin.streak)
	}
	if a.admits(began.Add(59*time.Second), false) || !a.admits(began.Add(61*time.Second), false) {
		t.Errorf("paused until %v, from %v", a.origin.until, began)
	}
	a.now = began.Add(61 * time.Second)
	a.origin.inFlight++
	if a.admits(a.now, false) {
		t.Error("two probes at once")
	}
	a.origin.inFlight--
	a.answer(1, fine, false)
	if a.origin.inFlight = firstLimit; a.origin.limit != firstLimit+1 || !a.admits(a.now, false) {
		t.Errorf("limit %v after a good probe", a.origin.limit)
	}
}

// TestManyOrigins: host names that visitors made up don't accumulate.
func TestManyOrigins(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cfg := &Config{Clock: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}
	cfg.setDefaults()
	s := newScheduler(cfg, nil)
	down := webpush.Result{Verdict: webpush.Verdict{Class: webpush.ClassLater, Reason: webpush.ReasonDNS}}
	for i := range 100_000 {
		g := s.gate(fmt.Sprintf("wns2-%d.notify.windows.com", i), "k")
		g.origin.inFlight++
		g.key.inFlight++
		g.answered(cfg, now, answer{Result: &down, recipient: uint64(i), began: now})
		now = now.Add(time.Second)
	}
	if len(s.gates) > 2*maxGates || len(s.origins) > 2*maxGates {
		t.Errorf("%d gates of %d origins", len(s.gates), len(s.origins))
	}
}
