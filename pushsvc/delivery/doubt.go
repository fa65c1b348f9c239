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

// tally counts answers of one origin to one message.
type tally struct{ answers, gone int }

func (t *tally) add(r *webpush.Result) {
	if r.Status == 0 {
		return
	}
	t.answers++
	if r.Class == webpush.ClassGone {
		t.gone++
	}
}

func (t *tally) few() bool  { return t == nil || t.answers < massAnswers }
func (t *tally) mass() bool { return !t.few() && t.gone*100 >= t.answers*massShare }

// count takes an answer into the campaign's tally and, for what has come since
// the last checkpoint, into the run's own.
func (r *rangeRun) count(j *job) {
	host := hostOf(j.sub.Endpoint)
	r.campaign.mu.Lock()
	addTo(r.campaign.tallies, host, &j.result)
	r.campaign.mu.Unlock()
	addTo(r.recent, host, &j.result)
}

func addTo(m map[string]*tally, host string, r *webpush.Result) {
	t := m[host]
	if t == nil {
		if len(m) >= maxGates {
			return
		}
		t = new(tally)
		m[host] = t
	}
	t.add(r)
}

// goneOutcome reports what a 404 or 410 means by what is known now: gone or
// quarantined; sure is false while there are too few answers to tell. It looks
// at all answers of the origin to this message, and at those since the last
// checkpoint, because a mass may set in late.
func (r *rangeRun) goneOutcome(j *job, now time.Time) (kind pushsvc.OutcomeKind, sure bool) {
	if d := j.sub.Doubted; !d.IsZero() && now.Sub(d) >= doubtPeriod {
		return pushsvc.OutcomeGone, true
	}
	host := hostOf(j.sub.Endpoint)
	r.campaign.mu.Lock()
	defer r.campaign.mu.Unlock()
	all := r.campaign.tallies[host]
	if all.mass() || r.recent[host].mass() {
		return pushsvc.OutcomeQuarantined, true
	}
	return pushsvc.OutcomeGone, !all.few()
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
