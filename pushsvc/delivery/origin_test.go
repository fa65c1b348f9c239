package delivery

import (
	"fmt"
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

// TestLimit: an origin may have more at once as it answers, up to the bound,
// and half of it when it asks for less.
func TestLimit(t *testing.T) {
	t.Parallel()
	cfg := &Config{Concurrency: 400}
	cfg.setDefaults()
	s := newScheduler(cfg, nil)
	cfg.Clock = time.Now
	g, now := s.gate("a.example", "k"), time.Now()
	answer := func(r webpush.Result) {
		g.origin.inFlight++
		g.key.inFlight++
		g.answered(cfg, now, &r, time.Millisecond)
	}
	fine := webpush.Result{Verdict: webpush.Verdict{Class: webpush.ClassAccepted}, Status: 201}
	for range 1000 {
		answer(fine)
	}
	if g.origin.limit != 300 {
		t.Errorf("limit %v after 1,000 answers", g.origin.limit)
	}
	busy := webpush.Result{Verdict: webpush.Verdict{Class: webpush.ClassLater, Reason: webpush.ReasonThrottled, RetryAfter: time.Minute, PauseOrigin: true}, Status: 429}
	for range 5 { // from one round trip: they count once
		answer(busy)
	}
	if g.origin.limit != 150 || g.origin.streak != 1 || g.admits(now) || g.admits(now.Add(59*time.Second)) {
		t.Errorf("limit %v, streak %d", g.origin.limit, g.origin.streak)
	}
	now = now.Add(61 * time.Second)
	if !g.admits(now) {
		t.Error("no probe after the pause")
	}
	g.origin.inFlight++
	if g.admits(now) {
		t.Error("two probes at once")
	}
	g.origin.inFlight--
	answer(fine)
	if g.origin.inFlight = 100; !g.admits(now) {
		t.Error("not open after a good probe")
	}
}

// TestManyOrigins: names that visitors made up don't pile up.
func TestManyOrigins(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cfg := &Config{Clock: func() time.Time { return now }}
	cfg.setDefaults()
	s := newScheduler(cfg, nil)
	down := webpush.Result{Verdict: webpush.Verdict{Class: webpush.ClassLater, Reason: webpush.ReasonDNS}}
	for i := range 100_000 {
		g := s.gate(fmt.Sprintf("wns2-%d.notify.windows.com", i), "k")
		g.origin.inFlight++
		g.key.inFlight++
		g.answered(cfg, now, &down, time.Second)
		now = now.Add(time.Second)
	}
	if len(s.gates) > 2*maxGates || len(s.origins) > 2*maxGates {
		t.Errorf("%d gates of %d origins", len(s.gates), len(s.origins))
	}
}
