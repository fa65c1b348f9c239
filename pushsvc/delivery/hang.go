package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// A push that is not answered while others are takes no place at its origin
// from them.
const (
	// lateAfter is when a push counts as hanging: after so long, or so many
	// times what others take.
	lateAfter, lateTimes = 250 * time.Millisecond, 8
	// cutAfter is how long it has at least where its slot is wanted.
	cutAfter = time.Second
	// silentAfter is when an origin that has accepted nobody yet is silent.
	silentAfter = time.Second
	// mostSilent is how many wait for a silent one before no more are asked.
	mostSilent = 2 * leastRun
)

var errCut = errors.New("no answer, while others to the same push service were answered")

// hanging is what an origin does not answer.
type hanging struct {
	acceptedAt time.Time
	flying     []*job // under way and not late, the first first; and some that are back
	hung       []*job // late, the first first; and some that are back
	late       int
}

// acceptedSince reports whether somebody was accepted after t.
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

// silent reports whether the origin has accepted nobody since the first of
// those who still wait for its answer: either it is slow, or they are all of a
// kind.
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

// noteLate finds the pushes that hang while others are accepted, and says how
// many more they are now.
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

// cut ends pushes that hang, the first first: n of them, and those whose run
// cannot read on because of them.
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

// noteLate looks for pushes that hang, and ends some where they hold more than
// half of the slots.
func (s *scheduler) noteLate(o *origin, now time.Time) {
	s.late += o.noteLate(now)
	if o.late > 0 {
		o.cut(now, s.late-max(s.cfg.Concurrency/2, 1))
	}
}

// breakSilence looks for witnesses where an origin is silent and others wait,
// and for more of them as long as those are silent too.
func (s *scheduler) breakSilence(o *origin, now time.Time) {
	o.flying = dropLanded(o.flying)
	if o.queued == 0 || o.probing || now.Before(o.until) || !o.silent(now) ||
		now.Sub(o.askedAt) < silentAfter || o.inFlight-o.late >= max(int(o.limit), mostSilent) {
		return
	}
	s.summon(&o.breaker, o.flying[0], now)
}

// cutShort makes of a push that we ended ourselves what it is.
func cutShort(ctx context.Context, r *webpush.Result) {
	if r.Reason == webpush.ReasonCanceled && ctx.Err() != nil {
		r.Verdict = webpush.Verdict{Class: webpush.ClassLater, Reason: webpush.ReasonTimeout}
		r.Err = errCut
	}
}
