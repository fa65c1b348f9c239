package delivery

import (
	"context"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// jobEnd is how a job comes back from the scheduler; rangeRun.collect makes an
// outcome of it.
type jobEnd byte

const (
	// endAttempted: an attempt was made; result has the answer.
	endAttempted jobEnd = iota
	// endExpired: its turn came too late.
	endExpired
	// endDeferred: its origin may not be sent to before due; why has the reason.
	endDeferred
	// endNotStarted: its run may not start pushes at present.
	endNotStarted
)

// job is one recipient on the way through the scheduler.
type job struct {
	run     *rangeRun
	sub     *pushsvc.Subscription
	gate    *gate
	attempt int // tries so far
	queued  time.Time
	ready   time.Time // not before; zero for at once

	summons *summons  // it was read to be a witness
	witness *breaker  // for which breaker; nil if it is not a witness
	askedAt time.Time // of that breaker

	began  time.Time
	ctx    context.Context
	cancel context.CancelFunc
	landed bool // the push has ended
	late   bool // it hangs
	wasCut bool

	end    jobEnd
	slot   bool // it holds one until it is noted
	result webpush.Result
	due    time.Time
	why    webpush.Reason // of the last try here, or of the pause; "" for none
}

// scheduler decides which push is started next: messages take turns, and so do the origins within
// each. A push starts only if its origin, its message's rate and its run's lease allow it.
type scheduler struct {
	cfg    *Config
	launch func(*job)
	seed   maphash.Seed

	mu            sync.Mutex
	halted        bool
	late          int       // pushes that hang
	shortWaits    []*job    // to be tried again soon
	nextShortWait time.Time // when the first of them is due; zero without one
	free          int       // slots
	unproven      int       // pushes under way to origins that have never answered
	gates         map[gateKey]*gate
	origins       map[string]*origin
	sweepAt       int // how many gates
	lanes         []*lane
	turn          int
	timer         *time.Timer
	armed         time.Time // when the timer fires; zero if it is not set
}

func newScheduler(cfg *Config, launch func(*job)) *scheduler {
	s := &scheduler{
		cfg: cfg, launch: launch, free: cfg.Concurrency, seed: maphash.MakeSeed(),
		gates: make(map[gateKey]*gate), origins: make(map[string]*origin),
	}
	s.timer = time.AfterFunc(time.Hour, s.onTimer)
	s.timer.Stop()
	return s
}

// halt stops the start of pushes.
func (s *scheduler) halt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halted = true
}

func (s *scheduler) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
}

// enqueue takes jobs of one lane; first puts them before those that wait.
func (s *scheduler) enqueue(l *lane, jobs []*job, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock()
	for _, j := range jobs {
		if j.gate == nil {
			j.gate = s.gate(hostOf(j.sub.Endpoint), j.sub.KeyID)
		}
		if j.ready.After(now) {
			s.addShortWait(j)
			continue
		}
		s.admit(l, j, first, now)
	}
	for _, r := range l.rows {
		s.deferSlow(r, now)
	}
	s.pump(now)
}

// admit puts a job into its row.
func (s *scheduler) admit(l *lane, j *job, first bool, now time.Time) {
	j.queued = now
	if j.attempt == 0 && (j.gate.origin.handful || j.gate.key.handful) {
		recipient := s.recipientHash(j)
		j.gate.origin.newcomer(now, recipient)
		j.gate.key.newcomer(now, recipient)
	}
	if w := j.summons; w != nil && w.breaker.askedAt.Equal(w.askedAt) {
		j.testify(w.breaker)
	}
	j.summons = nil
	j.run.waiting.Add(1)
	l.row(j.gate).put(j, first)
	if until, why := j.gate.pause(); until.Sub(now) > shortPause {
		s.deferWaiting(l, j.gate, now, until, why)
	}
}

// recipientHash identifies a job's recipient across sites and messages.
func (s *scheduler) recipientHash(j *job) uint64 { return maphash.String(s.seed, j.sub.Endpoint) }

// gate finds or makes the gate of an origin and a key.
func (s *scheduler) gate(host, keyID string) *gate {
	k := gateKey{host, keyID}
	if g := s.gates[k]; g != nil {
		return g
	}
	if len(s.gates) >= max(s.sweepAt, maxGates) {
		s.sweep(s.cfg.Clock())
		s.sweepAt = 2 * len(s.gates)
	}
	o := s.origins[host]
	if o == nil {
		o = &origin{limit: min(firstLimit, float64(s.cfg.PerOrigin)), threshold: float64(s.cfg.PerOrigin)}
		o.few = leastFew
		s.origins[host] = o
	}
	g := &gate{host: host, keyID: keyID, origin: o}
	g.key.few = stopAfter
	s.gates[k] = g
	return g
}

// sweep forgets gates that have nothing worth remembering.
func (s *scheduler) sweep(now time.Time) {
	used := make(map[string]bool)
	for k, g := range s.gates {
		if g.key.queued == 0 && g.key.idle(now) && g.origin.idle(now) {
			delete(s.gates, k)
		} else {
			used[k.host] = true
		}
	}
	for host := range s.origins {
		if !used[host] {
			delete(s.origins, host)
		}
	}
}

// deferWaiting sends the jobs that wait at a paused gate back to their runs, to be tried again
// after the pause. They have not used an attempt.
func (s *scheduler) deferWaiting(l *lane, g *gate, now, until time.Time, why webpush.Reason) {
	for _, j := range l.row(g).filter(func(*job) bool { return false }) {
		j.end, j.why = endDeferred, why
		// Spread out, so that they don't all come back at once.
		j.due = until.Add(rand.N(time.Second + until.Sub(now)/16))
		j.run.inbox.put(j)
	}
}

// answered learns from an attempt's result before its run does. The slot stays
// taken until the run has noted the outcome.
func (s *scheduler) answered(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, g := s.cfg.Clock(), j.gate
	o := g.origin
	if !o.proven {
		s.unproven--
	}
	if o.ended(j) {
		s.late--
	}
	a := answer{Result: &j.result, began: j.began, retry: j.attempt > 0, late: j.late, witness: j.witness != nil}
	if means := meaningOf(&j.result); means != meansGood || len(o.ownTrouble)+len(g.key.ownTrouble) > 0 {
		a.recipient = s.recipientHash(j)
	}
	j.dismiss()
	before := o.proven
	g.answered(s.cfg, now, a)
	if !before && o.proven {
		s.unproven -= o.inFlight // they are proven now
	}
	for _, b := range []*breaker{&o.breaker, &g.key} {
		if b.pending == 0 && b.out == 0 && b.blame(now) == blameUnclear {
			s.summon(b, j, now)
			g.stopIfBlamed(s.cfg, now)
		}
	}
	s.deferPaused(g, now)
	s.noteLate(o, now)
	s.pump(now)
}

// deferPaused calls deferWaiting for each row of a gate with a long pause.
func (s *scheduler) deferPaused(g *gate, now time.Time) {
	until, why := g.pause()
	if until.Sub(now) <= shortPause {
		return
	}
	for _, l := range s.lanes {
		for _, r := range l.rows {
			if r.gate.origin == g.origin && (r.gate == g || g.origin.until.Equal(until)) {
				s.deferWaiting(l, r.gate, now, until, why)
			}
		}
	}
}

// release frees n slots.
func (s *scheduler) release(n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
	s.pump(s.cfg.Clock())
}

// withdraw removes and returns the waiting jobs of a run.
func (s *scheduler) withdraw(run *rangeRun) (out []*job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range run.message.lane.rows {
		out = append(out, r.filter(func(j *job) bool { return j.run != run })...)
	}
	s.shortWaits = slices.DeleteFunc(s.shortWaits, func(j *job) bool {
		if j.run != run {
			return false
		}
		out = append(out, j)
		return true
	})
	return out
}

// pump starts the jobs that may start.
func (s *scheduler) pump(now time.Time) {
	for s.free > 0 && !s.halted {
		j := s.pick(now)
		if j == nil {
			break
		}
		s.free--
		j.slot = true
		if !j.gate.origin.proven {
			s.unproven++
		}
		j.gate.origin.inFlight++
		j.gate.key.inFlight++
		j.began, j.landed, j.late, j.wasCut = now, false, false, false
		j.ctx, j.cancel = context.WithCancel(context.Background())
		j.gate.origin.started(j)
		s.launch(j)
	}
	s.arm(now)
}

// pick finds the next job to start: the first of the next message in turn.
func (s *scheduler) pick(now time.Time) *job {
	for range s.lanes {
		s.turn++
		if j := s.lanes[s.turn%len(s.lanes)].pick(s, now); j != nil {
			return j
		}
	}
	return nil
}

// arm sets the timer for the first moment at which a job may start, or has waited too long for a
// place, without any other event.
func (s *scheduler) arm(now time.Time) {
	var at time.Time
	sooner := func(t time.Time) {
		if t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, l := range s.lanes {
		for _, r := range l.rows {
			if len(r.jobs) == 0 {
				continue
			}
			sooner(now.Add(maxPlaceWait / 4))
			sooner(l.ready)
			until, _ := r.gate.pause()
			sooner(until)
			if o := r.gate.origin; len(o.flying) > 0 {
				sooner(o.flying[0].began.Add(o.lateLimit()))
			}
		}
	}
	sooner(s.nextShortWait)
	if at.IsZero() || s.halted || !s.armed.IsZero() && !at.Before(s.armed) {
		return
	}
	s.armed = at
	s.timer.Reset(max(at.Sub(now), time.Millisecond))
}

// onTimer starts jobs that had to wait for their time. The timer calls it.
func (s *scheduler) onTimer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock()
	s.armed = time.Time{}
	if !s.nextShortWait.IsZero() && !s.nextShortWait.After(now) {
		s.endShortWaits(now)
	}
	s.overdueWitnesses(now)
	for _, o := range s.origins {
		s.noteLate(o, now)
		s.breakSilence(o, now)
	}
	for _, l := range s.lanes {
		for _, r := range l.rows {
			s.deferSlow(r, now)
		}
	}
	s.pump(now)
}

// deferSlow sends jobs back to their runs, to be tried again later, if their origin is slow or
// down, their run cannot read on because of them, and they have waited too long or are more than
// can soon have a place.
func (s *scheduler) deferSlow(r *row, now time.Time) {
	g := r.gate
	if !g.mayHoldUp(now) {
		return
	}
	n, most := 0, int(g.origin.limit)+firstLimit
	if g.origin.latency < slowAnswer && g.origin.streak <= 1 {
		most = len(r.jobs) // it may be over soon
	}
	for _, j := range r.filter(func(j *job) bool {
		n++
		return !j.run.crowded() || n <= most && now.Sub(j.queued) < maxPlaceWait
	}) {
		j.end, j.why = endDeferred, reasonSlow
		j.due = g.origin.reserve(now, s.cfg.RetryMin, s.cfg.RetryMax)
		j.run.inbox.put(j)
	}
}
