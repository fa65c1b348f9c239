package delivery

import (
	"context"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// When a 404 or 410 is not believed: an origin has given at least massAnswers answers, and
// massShare in 100 of them are 404 or 410. A faulty push service, or a wrong prefix of ours, must
// not empty a site. A subscription that has been doubted for doubtPeriod and is reported gone again
// is removed.
const (
	massAnswers = 20
	massShare   = 50
	doubtPeriod = 24 * time.Hour
)

// few reports whether there are too few answers to decide, and mass whether so many report the
// subscription gone that they are not believed.
func few(a pushsvc.Answers) bool  { return a.Answers < massAnswers }
func mass(a pushsvc.Answers) bool { return !few(a) && a.Gone*100 >= a.Answers*massShare }

// count adds an answer to the message's sum and to the run's own sum since the last checkpoint.
func (r *rangeRun) count(j *job) {
	host := hostOf(j.sub.Endpoint)
	r.message.mu.Lock()
	addTo(r.message.sums.own, host, &j.result)
	r.message.mu.Unlock()
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

// sums are the answers to a message, by host: those of our own runs, those of them in a checkpoint
// that has at least begun, and those of other engines. An answer that is both in the row and in
// started is counted once. While started has an answer that the row lacks, others is too low, until
// the next row.
type sums struct{ own, started, others map[string]pushsvc.Answers }

func newSums() sums {
	return sums{make(map[string]pushsvc.Answers), make(map[string]pushsvc.Answers), make(map[string]pushsvc.Answers)}
}

// answers returns a host's answers to all engines, as far as is known.
func (s *sums) answers(host string) pushsvc.Answers { return plus(s.own[host], s.others[host]) }

// begin notes that some of our answers are being written.
func (s *sums) begin(answers map[string]pushsvc.Answers) {
	for host, a := range answers {
		s.started[host] = plus(s.started[host], a)
	}
}

// take updates the other engines' answers from a row of the message.
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
func (c *messageRun) mayBeMass() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.row.Progress.Audience >= massAnswers
}

// goneOutcome returns the meaning of a 404 or 410 by the present evidence: gone or quarantined; sure is
// false while there are too few answers to decide. It counts all answers of the origin to this
// message, those to other engines included, and separately ours since the last checkpoint, because
// a mass may begin late.
func (r *rangeRun) goneOutcome(j *job, now time.Time) (kind pushsvc.OutcomeKind, sure bool) {
	if d := j.sub.Doubted; !d.IsZero() && now.Sub(d) >= doubtPeriod {
		return pushsvc.OutcomeGone, true
	}
	host := hostOf(j.sub.Endpoint)
	r.message.mu.Lock()
	defer r.message.mu.Unlock()
	all := r.message.sums.answers(host)
	if mass(all) || mass(r.recent[host]) {
		return pushsvc.OutcomeQuarantined, true
	}
	return pushsvc.OutcomeGone, !few(all)
}

// recordGone records the outcome of recipients who are reported gone, as far as goneOutcome is sure
// of it; last means that no more answers will come.
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
			r.message.report(&webpush.Result{
				Verdict: webpush.Verdict{Class: webpush.ClassGone, Reason: pushsvc.ReasonQuarantined},
				Service: j.result.Service, Err: errMass,
			})
		}
		r.record(o)
	}
	clear(r.saidGone[len(kept):])
	r.saidGone = kept
}

// moved reports whether the subscription of a push has another endpoint or other keys by now:
// answers about the old ones must not count against it.
func (r *rangeRun) moved(j *job) bool {
	ctx, cancel := context.WithTimeout(context.Background(), r.engine.cfg.Lease)
	defer cancel()
	page, err := r.engine.cfg.Store.SubscriptionPage(ctx, r.rng.Site, j.sub.ID-1, 1)
	if err != nil || len(page) == 0 || page[0].ID != j.sub.ID {
		return false
	}
	return page[0].Endpoint != j.sub.Endpoint || page[0].Auth != j.sub.Auth
}
