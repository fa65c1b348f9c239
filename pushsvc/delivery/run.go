package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// run takes one claimed message through its pages until it is done, lost to
// another engine, or we are told to stop.
func (e *Engine) run(m pushsvc.Message) {
	log := e.cfg.Logger.With("message", m.ID, "site", m.Site)
	keys, secret, err := e.signing(m)
	if err != nil {
		// The lease runs out by itself, and the next try comes then.
		log.Error("cannot sign messages", "error", err)
		return
	}
	log.Info("sending", "audience", m.Progress.Audience, "from", m.Cursor)
	r := &messageRun{Engine: e, msg: m, keys: keys, secret: secret, reported: make(map[string]bool)}
	for {
		finished, err := r.page()
		switch {
		case errors.Is(err, pushsvc.ErrLeaseLost):
			log.Warn("another engine has taken the message over")
			return
		case err != nil:
			log.Error("sending a page; the message is resumed when its lease has run out", "error", err)
			return
		case finished:
			log.Info("sent", "accepted", r.msg.Progress.Accepted, "gone", r.msg.Progress.Gone,
				"left", r.msg.Progress.Left, "failed", r.msg.Progress.FailedTotal())
			return
		case e.stopping():
			r.giveBack()
			log.Info("stopped before the end; the next start goes on", "pending", r.msg.Progress.Pending)
			return
		}
	}
}

// giveBack ends the lease, where the stop came after the last checkpoint.
func (r *messageRun) giveBack() {
	if r.msg.Lease.IsZero() {
		return
	}
	if err := r.checkpoint(context.Background(), pushsvc.Checkpoint{Cursor: r.msg.Cursor}); err != nil {
		r.cfg.Logger.Warn("giving a message back; the next start waits for its lease", "message", r.msg.ID, "error", err)
	}
}

// signing reads the key ring and the receipt secret.
func (e *Engine) signing(m pushsvc.Message) (map[string]*webpush.KeyPair, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Lease)
	defer cancel()
	ring, err := e.cfg.Store.Keys(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the key ring: %w", err)
	}
	keys := make(map[string]*webpush.KeyPair, len(ring))
	for _, k := range ring {
		pair, err := webpush.ParseKeyPair(k.Public, k.Private.Reveal())
		if err != nil {
			return nil, nil, fmt.Errorf("key %s of the ring: %w", k.ID, err)
		}
		keys[k.ID] = pair
	}
	secret, err := e.cfg.Store.Secret(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the receipt secret: %w", err)
	}
	return keys, secret, nil
}

// messageRun is one message under way. msg is as the last checkpoint left it.
type messageRun struct {
	*Engine
	msg    pushsvc.Message
	keys   map[string]*webpush.KeyPair
	secret []byte
	// reported holds the kinds of failure that have been logged.
	reported map[string]bool
}

// page sends the next page and checkpoints it.
func (r *messageRun) page() (finished bool, err error) {
	ctx := context.Background()
	subs, err := r.cfg.Store.SubscriptionPage(ctx, r.msg.Site, r.msg.Cursor, r.cfg.PageSize)
	if err != nil {
		return false, fmt.Errorf("reading recipients: %w", err)
	}
	for i := range subs {
		if subs[i].ID > r.msg.Until {
			subs = subs[:i]
			break
		}
	}
	if len(subs) == 0 {
		return true, r.checkpoint(ctx, pushsvc.Checkpoint{Cursor: r.msg.Until, Done: true})
	}
	leased, giveUp := r.keepLease(ctx)
	c := r.sendPage(leased, subs)
	giveUp()
	return false, r.checkpoint(ctx, c)
}

// outcome is what became of one recipient; final is false for those who have
// not been sent to, or are to be tried again.
type outcome struct {
	final  bool
	result webpush.Result
}

// sendPage sends to all of subs, or to as many as are started before the
// engine stops, and sums up.
func (r *messageRun) sendPage(ctx context.Context, subs []pushsvc.Subscription) pushsvc.Checkpoint {
	outcomes := make([]outcome, len(subs))
	var wg sync.WaitGroup
send:
	for i := range subs {
		select {
		case <-r.stop:
			break send
		case <-ctx.Done():
			break send
		case r.slots <- struct{}{}:
		}
		outcomes[i] = outcome{final: true, result: failure(reasonInternal)}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-r.slots }()
			r.guard("sending to a subscription", func() {
				outcomes[i].result, outcomes[i].final = r.deliver(ctx, &subs[i])
			})
		}()
	}
	wg.Wait()
	r.report(outcomes)
	return sumUp(r.msg.Cursor, subs, outcomes)
}

// report logs the first failure of each kind: a million subscriptions that fail
// alike are one line.
func (r *messageRun) report(outcomes []outcome) {
	for _, o := range outcomes {
		kind := string(o.result.Service) + " " + string(o.result.Reason)
		if o.result.Err == nil || r.reported[kind] {
			continue
		}
		r.reported[kind] = true
		r.cfg.Logger.Warn("pushes fail", "message", r.msg.ID, "site", r.msg.Site,
			"service", string(o.result.Service), "reason", string(o.result.Reason), "error", o.result.Err)
	}
}

// sumUp counts up to the first recipient who is not done with. Those behind are
// sent to again by the next engine, so that nobody is left out.
func sumUp(cursor pushsvc.SubscriptionID, subs []pushsvc.Subscription, outcomes []outcome) pushsvc.Checkpoint {
	c := pushsvc.Checkpoint{Cursor: cursor, Failed: make(map[string]int64)}
	for i, o := range outcomes {
		if !o.final {
			break
		}
		c.Cursor = subs[i].ID
		switch o.result.Class {
		case webpush.ClassAccepted:
			c.Accepted++
		case webpush.ClassGone:
			c.Gone = append(c.Gone, subs[i].ID)
		default:
			c.Failed[string(o.result.Reason)]++
		}
	}
	return c
}

// checkpoint writes c, and tries again for as long as the lease lasts: the
// pushes have been sent, so that giving up early would repeat them. Each try is
// the same, down to its times, because one that failed may have been written
// all the same, and the store knows it again by that.
func (r *messageRun) checkpoint(ctx context.Context, c pushsvc.Checkpoint) error {
	c.Site, c.MessageID, c.Epoch = r.msg.Site, r.msg.ID, r.msg.Epoch
	c.At = r.cfg.Clock()
	deadline := c.At.Add(r.cfg.Lease)
	if !c.Done && !r.stopping() {
		c.Lease = deadline
	}
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		row, err := r.cfg.Store.Checkpoint(ctx, c)
		if err == nil {
			r.msg = row
			return nil
		}
		if errors.Is(err, pushsvc.ErrLeaseLost) || errors.Is(err, pushsvc.ErrClosed) || r.cfg.Clock().Add(wait).After(deadline) {
			return fmt.Errorf("writing the checkpoint: %w", err)
		}
		time.Sleep(wait)
	}
}

// keepLease renews the lease while a page is under way. The context it returns
// ends where that fails for good, because another engine may be sending the
// page by then: no push is started any more, and what is under way comes to its
// end, so that what is written of it is true if the lease was ours after all.
// giveUp ends the renewals and waits for the last one.
func (r *messageRun) keepLease(parent context.Context) (ctx context.Context, giveUp func()) {
	ctx, cancel := context.WithCancel(parent)
	beat := pushsvc.Checkpoint{Site: r.msg.Site, MessageID: r.msg.ID, Epoch: r.msg.Epoch, Cursor: r.msg.Cursor}
	valid := r.msg.Lease
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.guard("keeping a lease", func() { r.beat(ctx, cancel, beat, valid) })
	}()
	return ctx, func() {
		cancel()
		<-ended
	}
}

func (r *messageRun) beat(ctx context.Context, cancel context.CancelFunc, c pushsvc.Checkpoint, valid time.Time) {
	tick := time.NewTicker(r.cfg.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.At = r.cfg.Clock()
		c.Lease = c.At.Add(r.cfg.Lease)
		// Not ctx: a renewal cut off half way might still be written after
		// the page's own checkpoint.
		_, err := r.cfg.Store.Checkpoint(context.WithoutCancel(ctx), c)
		if err == nil {
			valid = c.Lease
		} else if errors.Is(err, pushsvc.ErrLeaseLost) || r.cfg.Clock().After(valid) {
			cancel()
			return
		}
	}
}
