package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// A push that is not answered while others are must not take a place at its origin from them.
const (
	// lateAfter is when a push counts as hanging: after this time, or after lateTimes as long as
	// others take.
	lateAfter, lateTimes = 250 * time.Millisecond, 8
	// cutAfter is how long a push has at least if its slot is needed.
	cutAfter = time.Second
	// silentAfter is when an origin that has not accepted a push yet counts as silent.
	silentAfter = time.Second
	// mostSilent is how many pushes wait for a silent origin before no more are started.
	mostSilent = 2 * leastRun
)

var errCut = errors.New("no answer, while others to the same push service were answered")

// hanging are the pushes that an origin does not answer.
type hanging struct {
	acceptedAt time.Time
	flying     []*job // under way and not late, the oldest first; and some that are back
	hung       []*job // late, the oldest first; and some that are back
	late       int
}

// acceptedSince reports whether a push was accepted after t.
func (h *hanging) acceptedSince(t time.Time) bool { return h.acceptedAt.After(t) }

// started notes that a push has begun.
func (h *hanging) started(j *job) { h.flying = append(h.flying, j) }

// ended notes that a push has ended, and reports whether it was late.
func (h *hanging) ended(j *job) (late bool) {
	j.landed = true
	h.flying, h.hung = dropLanded(h.flying), dropLanded(h.hung)
	if j.late {
		h.late--
		j.gate.late--
	}
	return j.late
}

func dropLanded(jobs []*job) []*job {
	for len(jobs) > 0 && jobs[0].landed {
		jobs[0] = nil
		jobs = jobs[1:]
	}
	return jobs
}

// lateLimit is how long a push may take before it is late.
func (o *origin) lateLimit() time.Duration { return max(lateAfter, lateTimes*o.latency) }

// silent reports whether the origin has accepted no push since the oldest one that still waits for
// its answer: either the origin is slow, or these recipients are all of a kind.
func (o *origin) silent(now time.Time) bool {
	if len(o.flying) == 0 || o.acceptedSince(o.flying[0].began) {
		return false
	}
	most := o.lateLimit()
	if o.acceptedAt.IsZero() {
		most = max(most, silentAfter)
	}
	return now.Sub(o.flying[0].began) >= most
}

// noteLate finds the pushes that hang while others are accepted, and returns how many it has added.
func (o *origin) noteLate(now time.Time) (more int) {
	for o.flying = dropLanded(o.flying); len(o.flying) > 0; o.flying = dropLanded(o.flying[1:]) {
		j := o.flying[0]
		if now.Sub(j.began) < o.lateLimit() || !o.acceptedSince(j.began) {
			break
		}
		j.late = true
		j.gate.late++
		o.hung = append(o.hung, j)
		more++
	}
	o.late += more
	return more
}

// cut ends pushes that hang, the oldest first: n of them, and those whose run cannot read on
// because of them.
func (o *origin) cut(now time.Time, n int) {
	for _, j := range o.hung {
		if now.Sub(j.began) < max(cutAfter, o.lateLimit()) {
			return
		}
		if j.landed {
			continue
		}
		if !j.wasCut && (n > 0 || j.run.full.Load()) {
			j.wasCut = true
			j.cancel()
		}
		n--
	}
}

// noteLate looks for pushes that hang, and ends some if they hold more than half of the slots.
func (s *scheduler) noteLate(o *origin, now time.Time) {
	s.late += o.noteLate(now)
	if o.late > 0 {
		o.cut(now, s.late-max(s.cfg.Concurrency/2, 1))
	}
}

// breakSilence looks for witnesses if an origin is silent and others wait, and for more of them as
// long as those are silent too.
func (s *scheduler) breakSilence(o *origin, now time.Time) {
	o.flying = dropLanded(o.flying)
	if o.queued == 0 || o.probing || now.Before(o.until) || !o.silent(now) ||
		now.Sub(o.askedAt) < silentAfter || o.inFlight-o.late >= max(int(o.limit), mostSilent) {
		return
	}
	s.summon(&o.breaker, o.flying[0], now)
}

// cutShort marks the result of a push that we ended ourselves.
func cutShort(ctx context.Context, r *webpush.Result) {
	if r.Reason == webpush.ReasonCanceled && ctx.Err() != nil {
		r.Verdict = webpush.Verdict{Class: webpush.ClassLater, Reason: webpush.ReasonTimeout}
		r.Err = errCut
	}
}
