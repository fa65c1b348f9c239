package delivery

import (
	"context"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// When subscriptions that are said to be gone are not believed to be: at least
// massAnswers from an origin, massShare in 100 of them 404 or 410. A push
// service that loses its mind, or a wrong prefix of ours, must not empty a
// site; who was doubted for doubtPeriod and is said to be gone again, is.
const (
	massAnswers = 20
	massShare   = 50
	doubtPeriod = 24 * time.Hour
)

// few reports whether there are too few answers to say anything, and mass whether so many
// are said to be gone that it is not believed.
func few(a pushsvc.Answers) bool  { return a.Answers < massAnswers }
func mass(a pushsvc.Answers) bool { return !few(a) && a.Gone*100 >= a.Answers*massShare }

// count takes an answer into the campaign's sum and, for what has come since
// the last checkpoint, into the run's own.
func (r *rangeRun) count(j *job) {
	host := hostOf(j.sub.Endpoint)
	r.campaign.mu.Lock()
	addTo(r.campaign.sums.own, host, &j.result)
	r.campaign.mu.Unlock()
	addTo(r.recent, host, &j.result)
}

func addTo(m map[string]pushsvc.Answers, host string, r *webpush.Result) {
	a, known := m[host]
	if r.Status == 0 || !known && len(m) >= maxGates {
		return
	}
	a.Answers++
	if r.Class == webpush.ClassGone {
		a.Gone++
	}
	m[host] = a
}

// sums are the answers to a message, by host: those of our own runs, those of them that
// are in a checkpoint which has at least begun, and those of other engines. What is in
// both the row and started is not counted twice; what started has and the row doesn't
// yet makes others too low until the next row.
type sums struct{ own, started, others map[string]pushsvc.Answers }

func newSums() sums {
	return sums{make(map[string]pushsvc.Answers), make(map[string]pushsvc.Answers), make(map[string]pushsvc.Answers)}
}

// of is what a host has answered to all engines, as far as is known.
func (s *sums) of(host string) pushsvc.Answers { return plus(s.own[host], s.others[host]) }

// begin notes that answers of ours are being written.
func (s *sums) begin(answers map[string]pushsvc.Answers) {
	for host, a := range answers {
		s.started[host] = plus(s.started[host], a)
	}
}

// take learns of other engines' answers from a row of the message.
func (s *sums) take(row map[string]pushsvc.Answers) {
	for host, all := range row {
		ours := s.started[host]
		a := pushsvc.Answers{Answers: all.Answers - ours.Answers, Gone: max(all.Gone-ours.Gone, 0)}
		if a.Answers > s.others[host].Answers {
			s.others[host] = a
		}
	}
}

func plus(a, b pushsvc.Answers) pushsvc.Answers {
	return pushsvc.Answers{Answers: a.Answers + b.Answers, Gone: a.Gone + b.Gone}
}

// mayBeMass reports whether the message has enough recipients for a mass.
func (c *campaign) mayBeMass() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.row.Progress.Audience >= massAnswers
}

// goneOutcome reports what a 404 or 410 means by what is known now: gone or
// quarantined; sure is false while there are too few answers to tell. It looks
// at all answers of the origin to this message, those to other engines included,
// and at ours since the last checkpoint, because a mass may set in late.
func (r *rangeRun) goneOutcome(j *job, now time.Time) (kind pushsvc.OutcomeKind, sure bool) {
	if d := j.sub.Doubted; !d.IsZero() && now.Sub(d) >= doubtPeriod {
		return pushsvc.OutcomeGone, true
	}
	host := hostOf(j.sub.Endpoint)
	r.campaign.mu.Lock()
	defer r.campaign.mu.Unlock()
	all := r.campaign.sums.of(host)
	if mass(all) || mass(r.recent[host]) {
		return pushsvc.OutcomeQuarantined, true
	}
	return pushsvc.OutcomeGone, !few(all)
}

// recordGone records the outcome of those who are said to be gone, as far as
// goneOutcome is sure of it; last: no more answers will come.
func (r *rangeRun) recordGone(now time.Time, last bool) {
	kept := r.saidGone[:0]
	for _, j := range r.saidGone {
		kind, sure := r.goneOutcome(j, now)
		if !sure && !last {
			kept = append(kept, j)
			continue
		}
		o := pushsvc.Outcome{ID: j.sub.ID, Kind: kind, Reason: string(j.result.Reason)}
		if r.moved(j) {
			r.record(r.laterOutcome(o, 0, now))
			continue
		}
		if kind == pushsvc.OutcomeQuarantined {
			o.Reason = pushsvc.ReasonQuarantined
			r.campaign.report(&webpush.Result{
				Verdict: webpush.Verdict{Class: webpush.ClassGone, Reason: pushsvc.ReasonQuarantined},
				Service: j.result.Service, Err: errMass,
			})
		}
		r.record(o)
	}
	clear(r.saidGone[len(kept):])
	r.saidGone = kept
}

// moved says whether the subscription of a push has another endpoint or other
// keys by now: what was said of the old ones is not to be held against it.
func (r *rangeRun) moved(j *job) bool {
	ctx, cancel := context.WithTimeout(context.Background(), r.engine.cfg.Lease)
	defer cancel()
	page, err := r.engine.cfg.Store.SubscriptionPage(ctx, r.rng.Site, j.sub.ID-1, 1)
	if err != nil || len(page) == 0 || page[0].ID != j.sub.ID {
		return false
	}
	return page[0].Endpoint != j.sub.Endpoint || page[0].Auth != j.sub.Auth
}
