package delivery

import (
	"math/rand/v2"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// How origins are treated.
const (
	// firstLimit is how many pushes go to an origin at once before it has
	// answered any; it grows from there as TCP's window does.
	firstLimit, leastLimit = 16, 4
	// breakAfter is how many attempts in a row must fail for want of an
	// answer, or with a server's error, for an origin to count as down.
	breakAfter = 5
	// stopAfter is how many times in a row our token or contact must be
	// refused for the origin to be left alone. It is not once, because anybody
	// can subscribe with an endpoint that answers 403.
	stopAfter = 3
	// stopFor is how long, at first. An operator mends it, not time.
	stopFor = 5 * time.Minute
	// shortPause is how long a pause may be for its recipients to wait for
	// its end in memory.
	shortPause = 2 * time.Second
	// slow is the time to answer from which an origin may not hold up
	// others, and patience how long a recipient of it waits for a place.
	slow, patience = 2 * time.Second, 2 * time.Second
	// From maxGates on, origins are forgotten that are not in use, and have
	// not answered for memoryOfDown where they are down: their names are in
	// part visitors' choices.
	maxGates     = 1024
	memoryOfDown = 10 * time.Minute
)

// breaker lets everything pass, or nothing until a time and then one push at a
// time until one goes through.
type breaker struct {
	failures int       // in a row
	streak   int       // pauses in a row
	until    time.Time // no push before
	probing  bool
	inFlight int
	last     time.Time      // of the attempts
	why      webpush.Reason // of the pause
}

func (b *breaker) admits(now time.Time) bool {
	return !now.Before(b.until) && (!b.probing || b.inFlight == 0)
}

// trip closes the way for d and says whether it was open: what comes back from
// before a pause must not make the next one longer.
func (b *breaker) trip(now time.Time, d time.Duration, why webpush.Reason) bool {
	fresh := !now.Before(b.until)
	if fresh {
		b.streak++
	}
	if end := now.Add(d); end.After(b.until) {
		b.until = end
	}
	b.probing, b.why = true, why
	return fresh
}

func (b *breaker) reset() { b.failures, b.streak, b.probing = 0, 0, false }

// idle says whether forgetting b loses nothing, or little.
func (b *breaker) idle(now time.Time) bool {
	clean := b.failures == 0 && !b.probing
	return b.inFlight == 0 && !now.Before(b.until) && (clean || now.Sub(b.last) > memoryOfDown)
}

// origin is one push service's host: what it can take, and whether it is up.
type origin struct {
	breaker
	// limit is how many pushes may be under way; it doubles per round trip
	// up to threshold and then rises by one.
	limit, threshold float64
	proven           bool          // has answered
	latency          time.Duration // moving average
	// backlog is when the next recipient who is sent back to the queue could
	// have a turn, by the pace of the origin.
	backlog time.Time
}

// gate is an origin as seen with one VAPID key: the service may refuse the key
// alone.
type gate struct {
	origin *origin
	key    breaker
	queued int
}

type gateKey struct{ host, keyID string }

func (g *gate) admits(now time.Time) bool {
	return g.origin.admits(now) && g.key.admits(now) && g.origin.inFlight < int(g.origin.limit)
}

// pause is the one that holds up the gate for longest; until is in the past
// where none does.
func (g *gate) pause() (until time.Time, why webpush.Reason) {
	if g.key.until.After(g.origin.until) {
		return g.key.until, g.key.why
	}
	return g.origin.until, g.origin.why
}

// answered learns from the outcome of one attempt.
func (g *gate) answered(cfg *Config, now time.Time, r *webpush.Result, took time.Duration) {
	o := g.origin
	o.inFlight--
	g.key.inFlight--
	o.last, g.key.last = now, now
	if r.Status == 0 && r.Class == webpush.ClassFailed || r.Reason == webpush.ReasonCanceled {
		return // nothing was sent
	}
	o.latency += (took - o.latency) / 8
	switch {
	case r.Class == webpush.ClassLater && r.PauseOrigin && (r.RetryAfter > 0 || r.Reason == webpush.ReasonThrottled):
		o.proven = true
		d := r.RetryAfter
		if d == 0 {
			d = backoff(cfg.RetryMin, cfg.RetryMax, o.streak+1)
		}
		if o.trip(now, d, r.Reason) {
			o.threshold = max(o.limit/2, leastLimit)
			o.limit = o.threshold
		}
	case r.Class == webpush.ClassLater && (r.Reason != webpush.ReasonThrottled):
		o.failures++
		if now.Before(o.until) || o.failures < breakAfter && !o.probing {
			return
		}
		o.limit, o.threshold = firstLimit, max(o.limit/2, firstLimit)
		o.trip(now, backoff(cfg.RetryMin, cfg.RetryMax, o.streak+1), r.Reason)
	case r.Class == webpush.ClassOurFault:
		g.refused(cfg, now, r.Reason)
	default:
		g.succeeded(cfg)
	}
}

// succeeded takes an answer, of whatever kind, that shows the origin at work.
func (g *gate) succeeded(cfg *Config) {
	o := g.origin
	o.reset()
	g.key.reset()
	o.proven = true
	if o.limit < o.threshold {
		o.limit++
	} else {
		o.limit += 1 / o.limit
	}
	o.limit = min(o.limit, float64(cfg.PerOrigin))
}

// refused takes an answer that refuses us.
func (g *gate) refused(cfg *Config, now time.Time, why webpush.Reason) {
	if why != webpush.ReasonVAPID {
		g.origin.reset()
		g.origin.proven = true
	}
	g.key.failures++
	if g.key.failures < stopAfter || now.Before(g.key.until) {
		return
	}
	g.key.trip(now, backoff(stopFor, max(cfg.RetryMax, stopFor), g.key.streak+1), why)
}

// isSlow says whether recipients of the gate may be holding up others.
func (g *gate) isSlow(now time.Time) bool {
	return g.origin.latency >= slow || g.origin.probing || g.key.probing || now.Before(g.origin.until)
}

// reserve gives the time at which a recipient who is sent back to the queue
// may hope for a place, at the pace at which the origin answers.
func (o *origin) reserve(now time.Time, least, most time.Duration) time.Time {
	if o.backlog.Before(now.Add(least)) || o.backlog.After(now.Add(most)) {
		o.backlog = now.Add(least)
	}
	pace := max(o.latency, time.Millisecond) / time.Duration(max(o.limit, 1))
	o.backlog = o.backlog.Add(pace)
	return o.backlog
}

// backoff is the wait before the n-th further attempt, from 1: least, doubled
// each time, up to most, and up to half of that more, so that not all come
// back at once.
func backoff(least, most time.Duration, n int) time.Duration {
	d := least
	for ; n > 1 && d < most; n-- {
		d *= 2
	}
	d = min(d, most)
	return min(d+rand.N(d/2+1), most+most/8)
}
