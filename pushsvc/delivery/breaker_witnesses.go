package delivery

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Subscriptions that one person made are next to each other, and so are the pushes to them. Before
// a push service's answer is believed to be meant for all recipients, some from elsewhere in the
// audience are sent to: the witnesses.
const (
	// bringWithin is how long runs have to find witnesses, and answerWithin how long to wait for
	// the answers, which is more than a sender's timeout.
	bringWithin, answerWithin = 500 * time.Millisecond, 15 * time.Second
	// maxAsked is how many runs are asked for witnesses.
	maxAsked = 4
	// sampleSize is how many rows are read in one place.
	sampleSize = 4
	// maxTaken bounds the recipients of a range that are sent to before their turn.
	maxTaken = 512
)

// witnessing is a breaker's progress in asking others.
type witnessing struct {
	askedAt  time.Time
	pending  int  // runs that have not yet handed out theirs
	out      int  // witnesses that have not come back yet
	noOthers bool // there were not enough
}

// waits reports whether only witnesses may be sent to.
func (w *witnessing) waits(now time.Time) bool {
	since := now.Sub(w.askedAt)
	return w.pending > 0 && since < bringWithin || w.out > 0 && since < answerWithin
}

// summons asks a run for recipients of a gate from elsewhere in the audience.
type summons struct {
	gate    *gate
	breaker *breaker
	askedAt time.Time
	most    int
}

// summon asks the runs with recipients at a gate for witnesses.
func (s *scheduler) summon(b *breaker, j *job, now time.Time) {
	b.witnessing = witnessing{askedAt: now}
	runs := []*rangeRun{j.run}
	s.eachRow(j.gate, func(r *row) {
		for _, w := range r.jobs {
			if len(runs) < maxAsked && !slices.Contains(runs, w.run) {
				runs = append(runs, w.run)
			}
		}
	})
	runs = slices.DeleteFunc(runs, (*rangeRun).isLater)
	for _, r := range runs {
		most := (leastWitnesses + len(runs) - 1) / len(runs)
		r.wanted.Store(&summons{gate: j.gate, breaker: b, askedAt: now, most: most})
		b.pending++
		signal(r.inbox.signal)
	}
	if b.pending == 0 {
		s.chooseNear(b, j.gate)
	}
}

// brought notes that a run has handed out the witnesses it has.
func (s *scheduler) brought(w *summons, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := w.breaker
	if !b.askedAt.Equal(w.askedAt) || b.pending == 0 {
		return
	}
	if b.pending--; b.pending == 0 {
		s.chooseNear(b, w.gate)
	}
	w.gate.stopIfBlamed(s.cfg, now)
	s.deferPaused(w.gate, now)
	s.pump(now)
}

// chooseNear makes waiting jobs witnesses if too few have been found further away.
func (s *scheduler) chooseNear(b *breaker, g *gate) {
	var waiting []*job
	s.eachRow(g, func(r *row) {
		for _, j := range r.jobs {
			if j.witness == nil && j.attempt == 0 {
				waiting = append(waiting, j)
			}
		}
	})
	rand.Shuffle(len(waiting), func(i, k int) { waiting[i], waiting[k] = waiting[k], waiting[i] })
	for _, j := range waiting[:min(len(waiting), max(leastWitnesses-b.out, 0))] {
		j.testify(b)
	}
	b.noOthers = b.out < leastWitnesses
}

// eachRow calls f with every row of a gate.
func (s *scheduler) eachRow(g *gate, f func(*row)) {
	for _, l := range s.lanes {
		for _, r := range l.rows {
			if r.gate == g {
				f(r)
			}
		}
	}
}

// overdueWitnesses continues without witnesses that have not been found or have not answered in time.
func (s *scheduler) overdueWitnesses(now time.Time) {
	for _, g := range s.gates {
		for _, b := range []*breaker{&g.origin.breaker, &g.key} {
			if b.pending > 0 && now.Sub(b.askedAt) >= bringWithin {
				b.pending = 0
				s.chooseNear(b, g)
			}
		}
	}
}

// testify makes a job a witness for what b asks at present.
func (j *job) testify(b *breaker) {
	j.witness, j.askedAt = b, b.askedAt
	b.out++
}

// dismiss notes that a witness is back, or will not be sent to.
func (j *job) dismiss() {
	if b := j.witness; b != nil && b.askedAt.Equal(j.askedAt) && b.out > 0 {
		b.out--
	}
	j.witness = nil
}

// readWitnesses looks in random places of the unread part of the range for recipients of a gate.
func (r *rangeRun) readWitnesses(w *summons, rng pushsvc.Range, after pushsvc.SubscriptionID) (p page) {
	ctx, cancel := context.WithTimeout(context.Background(), bringWithin)
	defer cancel()
	p.summons = w
	for range 2 * leastWitnesses {
		left := int64(rng.Until - after)
		if left <= 0 || len(p.subs) >= w.most || ctx.Err() != nil {
			break
		}
		place := after + pushsvc.SubscriptionID(rand.Int64N(left))
		some, err := r.engine.cfg.Store.RangePage(ctx, rng, place, sampleSize)
		if err != nil {
			break // the run's own reading will report it
		}
		for _, i := range rand.Perm(len(some)) {
			if sub := &some[i]; hostOf(sub.Endpoint) == w.gate.host && sub.KeyID == w.gate.keyID &&
				!slices.ContainsFunc(p.subs, func(s pushsvc.Subscription) bool { return s.ID == sub.ID }) {
				p.subs = append(p.subs, *sub)
				break // one of each place
			}
		}
	}
	return p
}

// summoned reports whether the run is asked for witnesses, and begins to look for them.
func (r *rangeRun) summoned() bool {
	w := r.wanted.Swap(nil)
	if w == nil {
		return false
	}
	if r.isLater() || r.ended || r.draining || r.window.taken >= maxTaken {
		r.engine.sched.brought(w, r.engine.cfg.Clock())
		return false
	}
	r.reading = true
	rng, after := r.rng, r.window.read
	go func() {
		p := page{summons: w, err: errors.New("reading recipients ended in a panic")}
		r.engine.guard("reading recipients", func() { p = r.readWitnesses(w, rng, after) })
		r.pages <- p
	}()
	return true
}

// takeWitnesses hands out those that are still to be handled.
func (r *rangeRun) takeWitnesses(p page) {
	now := r.engine.cfg.Clock()
	var jobs []*job
	for i := range p.subs {
		sub := &p.subs[i]
		if !r.draining && r.message.first.IsFor(sub) && !r.message.expired(now) && r.window.take(sub.ID) {
			jobs = append(jobs, &job{run: r, sub: sub, summons: p.summons})
		}
	}
	if len(jobs) > 0 {
		r.handOut(jobs, true)
	}
	r.engine.sched.brought(p.summons, now)
}
