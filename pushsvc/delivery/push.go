package delivery

import (
	"context"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// Reasons of our own, beside webpush's.
const (
	reasonKeyMissing webpush.Reason = "key_missing" // the ring lacks the subscription's VAPID key
	reasonInternal   webpush.Reason = "internal"    // a fault of ours; the log has it
	reasonSlow       webpush.Reason = "slow_origin" // no place became free in time; nothing was sent
)

func failure(reason webpush.Reason) webpush.Result {
	return webpush.Result{Verdict: webpush.Verdict{Class: webpush.ClassFailed, Reason: reason}}
}

// hostOf returns the host of an endpoint. The sender checks it; here it only has to tell origins
// apart.
func hostOf(endpoint string) string {
	host := strings.TrimPrefix(endpoint, "https://")
	if i := strings.IndexByte(host, '/'); i >= 0 {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ":443")
}

// launch makes one attempt in the background. The scheduler calls it with its
// lock held.
func (e *Engine) launch(j *job) {
	e.inFlight.Add(1)
	e.work.Add(1)
	go e.push(j)
}

// push makes one attempt and hands the job back.
func (e *Engine) push(j *job) {
	defer e.work.Done()
	defer e.inFlight.Add(-1)
	begun := e.cfg.Clock()
	j.end, j.result = endAttempted, failure(reasonInternal)
	if j.run.message.expired(begun) {
		j.end = endExpired
	} else {
		e.guard("sending to a subscription", func() { j.result = j.run.message.send(j.ctx, j.sub, begun) })
		cutShort(j.ctx, &j.result)
	}
	j.cancel()
	took := e.cfg.Clock().Sub(begun)
	if j.end == endAttempted && e.cfg.Observer != nil {
		e.guard("telling of a push", func() { e.cfg.Observer.Pushed(j.result, took) })
	}
	e.guard("learning from a push", func() { e.sched.answered(j) })
	e.guard("handing a push back", func() { j.run.inbox.put(j) })
}

// send makes one attempt to reach one recipient. Only two things end it early: the sender's own
// timeout, because the push may have arrived, and ctx, if the push hangs and its slot is needed.
func (c *messageRun) send(ctx context.Context, sub *pushsvc.Subscription, now time.Time) webpush.Result {
	key, err := c.keys.pair(ctx, sub.KeyID)
	if err != nil {
		c.log.Error("a push waits for its VAPID key", "key", sub.KeyID, "error", err)
		return webpush.Result{Verdict: webpush.Verdict{Class: webpush.ClassLater, Reason: reasonInternal}}
	}
	if key == nil {
		return failure(reasonKeyMissing)
	}
	content := &c.first.Content
	return c.engine.cfg.Sender.Send(ctx, &webpush.Request{
		Endpoint: sub.Endpoint, P256DH: sub.P256DH, Auth: sub.Auth,
		Key: key, Contact: c.contact,
		Urgency: webpush.Urgency(content.Urgency), Topic: c.topic, TTL: c.ttlAt(now),
		Payload: c.payload(sub),
	})
}

// outcomeOf makes the recipient's outcome from an attempt's result; again is true if the recipient
// is tried once more without a write to the store. A 404 or 410 is gone here; takeResult then asks
// goneOutcome (gone.go) whether it is believed.
func (r *rangeRun) outcomeOf(j *job, now time.Time) (o pushsvc.Outcome, again bool) {
	o = pushsvc.Outcome{ID: j.sub.ID, Reason: string(j.result.Reason)}
	j.attempt++
	most := r.engine.cfg.Attempts
	switch j.result.Class {
	case webpush.ClassAccepted:
		o.Kind, o.Reason = pushsvc.OutcomeAccepted, ""
		return o, false
	case webpush.ClassGone:
		o.Kind = pushsvc.OutcomeGone
		return o, false
	case webpush.ClassOurFault:
		most = min(most, stopAfter)
	case webpush.ClassLater:
	default: // failed, wrong key
		o.Kind = pushsvc.OutcomeFailed
		return o, false
	}
	if j.attempt >= most {
		o.Kind = pushsvc.OutcomeFailed
		return o, false
	}
	wait := backoff(r.engine.cfg.RetryMin, r.engine.cfg.RetryMax, j.attempt)
	if after := j.result.RetryAfter; after > 0 {
		// A recipient that is refused again waits longer than the service asks, so that the
		// attempts last.
		after += backoff(after/16+1, after, 1)
		if wait = max(after, wait/2); j.attempt == 1 {
			wait = after
		}
		if wait <= shortPause && !r.draining && r.engine.sched.hasRoomForShortWait() {
			j.ready, j.why = now.Add(wait), j.result.Reason
			return o, true
		}
	}
	return r.laterOutcome(o, j.attempt, now.Add(wait)), false
}

// deferredOutcome makes the retry of a recipient that had no attempt.
func (r *rangeRun) deferredOutcome(j *job, now time.Time) pushsvc.Outcome {
	due := j.due
	if left := r.message.deadline.Sub(now); j.why == reasonSlow && due.Sub(now) > left*3/4 {
		// The time of their place is an estimate: they may get another one before the message's
		// time to live ends.
		due = now.Add(left * 3 / 4)
	}
	return r.laterOutcome(pushsvc.Outcome{ID: j.sub.ID, Reason: string(j.why)}, j.attempt, due)
}

// laterOutcome makes o a retry at due, or expired if due is after the end of the message's time to
// live.
func (r *rangeRun) laterOutcome(o pushsvc.Outcome, attempt int, due time.Time) pushsvc.Outcome {
	if r.message.expired(due) {
		return pushsvc.Outcome{ID: o.ID, Kind: pushsvc.OutcomeExpired, Reason: o.Reason}
	}
	o.Kind, o.Attempt, o.Due = pushsvc.OutcomeLater, attempt, due
	return o
}
