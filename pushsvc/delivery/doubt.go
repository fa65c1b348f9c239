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

// sentence is what a 404 or 410 means by what is known now: gone, quarantined,
// or undecided (false) where there are too few answers to say. Two are looked
// at: all the answers of the origin to this message, and those since the last
// checkpoint, as the masses may set in late.
func (r *rangeRun) sentence(j *job, now time.Time) (pushsvc.OutcomeKind, bool) {
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

// decide passes sentence on who is said to be gone, as far as it can be; last
// says that no more answers will come.
func (r *rangeRun) decide(now time.Time, last bool) {
	kept := r.gone[:0]
	for _, j := range r.gone {
		kind, sure := r.sentence(j, now)
		if !sure && !last {
			kept = append(kept, j)
			continue
		}
		o := pushsvc.Outcome{ID: j.sub.ID, Kind: kind, Reason: string(j.result.Reason)}
		if r.moved(j) {
			r.settle(r.later(o, 0, now))
			continue
		}
		if kind == pushsvc.OutcomeQuarantined {
			o.Reason = pushsvc.ReasonQuarantined
			r.campaign.report(&webpush.Result{
				Verdict: webpush.Verdict{Class: webpush.ClassGone, Reason: pushsvc.ReasonQuarantined},
				Service: j.result.Service, Err: errMass,
			})
		}
		r.settle(o)
	}
	clear(r.gone[len(kept):])
	r.gone = kept
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
