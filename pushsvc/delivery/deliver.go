package delivery

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// A push that may go through later is tried this often, in place, before it
// counts as failed.
const (
	attempts   = 3
	firstDelay = time.Second
	// maxDelay bounds what a push service's Retry-After may hold up: the page
	// waits for its slowest recipient.
	maxDelay = 10 * time.Second
)

// Reasons of our own, beside webpush's.
const (
	reasonExpired    webpush.Reason = "expired"     // the TTL ran out in our queue
	reasonKeyMissing webpush.Reason = "key_missing" // the ring lacks the subscription's VAPID key
	reasonInternal   webpush.Reason = "internal"    // a fault of ours; the log has it
)

func failure(reason webpush.Reason) webpush.Result {
	return webpush.Result{Verdict: webpush.Verdict{Class: webpush.ClassFailed, Reason: reason}}
}

// deliver sends to one recipient and says what became of it, and whether that
// is the last word: it is not where the engine stops, or loses its lease, while
// the recipient waits to be tried again. The end of ctx means no further try; it
// does not cut one short, which may have arrived.
func (r *messageRun) deliver(ctx context.Context, sub *pushsvc.Subscription) (result webpush.Result, final bool) {
	key := r.keys[sub.KeyID]
	if key == nil {
		return failure(reasonKeyMissing), true
	}
	req := webpush.Request{
		Endpoint: sub.Endpoint, P256DH: sub.P256DH, Auth: sub.Auth,
		Key: key, Contact: cmp.Or(r.cfg.Contact, webpush.SiteContact(r.msg.Site)),
		Urgency: webpush.Urgency(r.msg.Content.Urgency), Topic: r.msg.Content.Topic,
		Payload: pushsvc.AppendPayload(nil, r.msg.ID,
			pushsvc.ReceiptToken(r.secret, r.msg.Site, r.msg.ID, sub.ID), &r.msg.Content),
	}
	delay := firstDelay
	for attempt := 1; ; attempt++ {
		ttl, alive := r.remainingTTL()
		if !alive {
			return failure(reasonExpired), true
		}
		req.TTL = ttl
		result = r.cfg.Sender.Send(context.WithoutCancel(ctx), &req)
		wait := max(jitter(delay), result.RetryAfter)
		if result.Class != webpush.ClassLater || attempt == attempts || wait > maxDelay {
			return result, true
		}
		if !r.pause(ctx, wait) {
			return result, false
		}
		delay *= 4
	}
}

// remainingTTL is the message's time to live in seconds less its age, and
// whether it is still worth sending. A TTL of 0 asks for delivery now or never
// (RFC 8030 §5.2), which says nothing about how long the queue may take.
func (r *messageRun) remainingTTL() (int, bool) {
	ttl := r.msg.Content.TTLSeconds()
	if ttl == 0 {
		return 0, true
	}
	// Not below 0, where the clock was set back: push services refuse a TTL
	// beyond their bound.
	age := max(r.cfg.Clock().Sub(r.msg.Created), 0)
	ttl -= int(age / time.Second)
	return ttl, ttl > 0
}

// pause waits, and says false where it was cut short.
func (r *messageRun) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.stop:
		return false
	case <-ctx.Done():
		return false
	}
}

// jitter spreads retries over half to the whole of d.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}
