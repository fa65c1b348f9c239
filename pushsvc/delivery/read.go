package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// How often, and with what pause, reading is tried before the range is released.
const (
	readTries = 5
	readWait  = 500 * time.Millisecond
)

// page is one page of recipients; retries come from the later range.
type page struct {
	subs    []pushsvc.Subscription
	retries []pushsvc.Retry
	summons *summons // the reason for reading, if the page is one of witnesses
	err     error
}

// read asks for the next page if there is room for it, in the background, so that sending continues
// meanwhile.
func (r *rangeRun) read() {
	cfg := &r.engine.cfg
	if !r.reading && r.summoned() {
		return
	}
	if r.reading || r.ended || r.draining || len(r.idle) > 0 || r.crowded() {
		return
	}
	limit := cfg.PageSize
	if r.isLater() {
		// Those in known are among the due ones until they are written.
		limit += len(r.known)
	}
	full := limit > maxWindow || !r.isLater() && !r.window.room(limit)
	r.full.Store(full)
	if full || cfg.Clock().Before(r.readAt) {
		return
	}
	r.reading = true
	after, rng := r.window.read, r.rng
	go func() {
		p := page{err: errors.New("reading recipients ended in a panic")}
		r.engine.guard("reading recipients", func() { p = r.readPage(rng, after, limit) })
		r.pages <- p // there is room for one
	}()
}

func (r *rangeRun) readPage(rng pushsvc.Range, after pushsvc.SubscriptionID, limit int) (p page) {
	cfg := &r.engine.cfg
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Lease)
	defer cancel()
	if r.isLater() {
		p.retries, p.err = cfg.Store.LaterPage(ctx, rng.Site, rng.MessageID, limit)
	} else {
		p.subs, p.err = cfg.Store.RangePage(ctx, rng, after, limit)
	}
	return p
}

// take handles a page.
func (r *rangeRun) take(p page) error {
	r.reading = false
	if p.summons != nil {
		r.takeWitnesses(p)
		return nil
	}
	now := r.engine.cfg.Clock()
	if p.err != nil {
		r.faults++
		r.readAt = now.Add(readWait)
		if lost(p.err) || r.faults >= readTries {
			return fmt.Errorf("reading recipients: %w", p.err)
		}
		return nil
	}
	r.faults = 0
	if r.draining {
		return nil
	}
	jobs := make([]*job, 0, max(len(p.subs), len(p.retries)))
	added := 0
	add := func(sub *pushsvc.Subscription, id pushsvc.SubscriptionID, attempt int) {
		added++
		switch {
		case sub.ID == 0:
			r.record(pushsvc.Outcome{ID: id, Kind: pushsvc.OutcomeLeft})
		case !r.message.first.IsFor(sub):
			r.record(pushsvc.Outcome{ID: id, Kind: pushsvc.OutcomePassed})
		case r.message.expired(now):
			r.record(pushsvc.Outcome{ID: id, Kind: pushsvc.OutcomeExpired})
		default:
			jobs = append(jobs, &job{run: r, sub: sub, attempt: attempt})
		}
	}
	for i := range p.subs {
		if r.window.add(p.subs[i].ID) {
			add(&p.subs[i], p.subs[i].ID, 0)
		}
	}
	for i := range p.retries {
		if t := &p.retries[i]; !r.known[t.ID] {
			r.known[t.ID] = true
			add(&t.Subscription, t.ID, t.Attempt)
		}
	}
	r.ended = len(p.subs) == 0 && added == 0
	r.forgetWritten()
	if len(jobs) > 0 {
		r.handOut(jobs, false)
	}
	return nil
}
