package delivery

import (
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// lane has the waiting jobs of one message.
type lane struct {
	perSecond float64 // of the message
	engines   int     // that share it

	limit *rate.Limiter // nil for none
	ready time.Time     // no token before
	rows  []*row
	turn  int
}

// row has the waiting jobs of one message at one gate.
type row struct {
	gate *gate
	jobs []*job
}

// newLane makes the lane of a message with at most perSecond pushes a second, summed over all
// engines that have ranges of it.
func (s *scheduler) newLane(perSecond float64, engines int) *lane {
	l := &lane{perSecond: perSecond, engines: max(engines, 1)}
	if perSecond > 0 {
		now := s.cfg.Clock()
		limit, burst := l.share()
		l.limit = rate.NewLimiter(limit, burst)
		l.limit.AllowN(now, burst-1)
		if l.engines > 1 {
			l.ready = now.Add(s.cfg.CheckpointEvery) // by then the others know of us
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes = append(s.lanes, l)
	return l
}

// share is one engine's part of the rate, and how much of it may come at once: an eighth of a
// second's worth, because timers are late.
func (l *lane) share() (rate.Limit, int) {
	part := l.perSecond / float64(l.engines)
	return rate.Limit(part), max(int(part/8), 1)
}

// setEngines sets how many engines share the lane's rate.
func (s *scheduler) setEngines(l *lane, engines int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if engines = max(engines, 1); l.limit == nil || engines == l.engines {
		return
	}
	l.engines = engines
	now := s.cfg.Clock()
	limit, burst := l.share()
	l.limit.SetLimitAt(now, limit)
	l.limit.SetBurstAt(now, burst)
	s.pump(now)
}

func (s *scheduler) dropLane(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes = slices.DeleteFunc(s.lanes, func(x *lane) bool { return x == l })
}

func (l *lane) row(g *gate) *row {
	for _, r := range l.rows {
		if r.gate == g {
			return r
		}
	}
	r := &row{gate: g}
	l.rows = append(l.rows, r)
	return r
}

func (r *row) put(j *job, first bool) {
	r.gate.count(1)
	if first {
		r.jobs = slices.Insert(r.jobs, 0, j)
	} else {
		r.jobs = append(r.jobs, j)
	}
}

// next returns the index of the first job that may start, as far as the gate is concerned; -1 if
// no job may.
func (r *row) next(now time.Time) int {
	if r.gate.admits(now, false) {
		return 0
	}
	if !r.gate.origin.waits(now) && !r.gate.key.waits(now) || !r.gate.admits(now, true) {
		return -1
	}
	return slices.IndexFunc(r.jobs, func(j *job) bool { return j.witness != nil })
}

func (r *row) pop(i int) *job {
	j := r.jobs[i]
	if i == 0 {
		r.jobs[0] = nil
		r.jobs = r.jobs[1:]
	} else {
		r.jobs = slices.Delete(r.jobs, i, i+1)
	}
	r.gate.count(-1)
	j.run.waiting.Add(-1)
	return j
}

// filter removes from a row the jobs for which keep is false, and returns them in order.
func (r *row) filter(keep func(*job) bool) (out []*job) {
	r.jobs = slices.DeleteFunc(r.jobs, func(j *job) bool {
		if keep(j) {
			return false
		}
		j.run.waiting.Add(-1)
		j.dismiss()
		out = append(out, j)
		return true
	})
	r.gate.count(-len(out))
	return out
}

func (l *lane) pick(s *scheduler, now time.Time) *job {
	if now.Before(l.ready) {
		return nil
	}
	for i := 0; i < len(l.rows); i++ {
		l.turn++
		r := l.rows[l.turn%len(l.rows)]
		if len(r.jobs) == 0 {
			l.rows = slices.DeleteFunc(l.rows, func(x *row) bool { return len(x.jobs) == 0 })
			i = -1
			continue
		}
		n := r.next(now)
		if n < 0 || r.gate.origin.inFlight >= s.cfg.PerOrigin || !r.gate.origin.proven && s.unproven >= max(s.cfg.Concurrency/2, 1) {
			continue
		}
		if !r.jobs[n].run.mayStart(now) {
			j := r.pop(n)
			j.dismiss()
			j.end = endNotStarted
			j.run.inbox.put(j)
			i = -1
			continue
		}
		if !l.takeToken(now) {
			return nil
		}
		return r.pop(n)
	}
	return nil
}

func (l *lane) takeToken(now time.Time) bool {
	if l.limit == nil || l.limit.AllowN(now, 1) {
		return true
	}
	missing := 1 - l.limit.TokensAt(now)
	l.ready = now.Add(time.Duration(missing / float64(l.limit.Limit()) * float64(time.Second)))
	return false
}
