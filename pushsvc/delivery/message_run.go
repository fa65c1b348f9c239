package delivery

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// idleTTL is how long a message with a time to live of 0 ("now or never" for
// the push service, RFC 8030 §5.2) may wait in our own queue.
const idleTTL = pushsvc.DefaultTTL * time.Second

// messageRun is a message that this engine works on: what all its runs share.
type messageRun struct {
	engine *Engine
	log    *slog.Logger
	first  pushsvc.Message // the row as it was at the beginning: what never changes
	lane   *lane

	keys    keyRing
	secret  []byte
	topic   string
	contact string // the VAPID "sub"
	// forms are the payload's forms, by push service; "" is the form for all other services.
	forms    map[webpush.Service]form
	deadline time.Time

	halted atomic.Bool // paused, cancelled or waiting for its next turn

	mu    sync.Mutex
	row   pushsvc.Message // as last read
	seen  time.Time
	begun time.Time
	runs  map[*rangeRun]bool
	sums  sums
	*memory
}

// memory is what outlives a messageRun between two of its retries. The lock of messageRun guards it.
type memory struct {
	reported map[string]bool // kinds of failure that have been logged
}

// maxMemories bounds how many messages' memories are kept.
const maxMemories = 1024

// recall returns a message's memory. If there are too many, it forgets others: at most, some lines
// of log are repeated.
func (e *Engine) recall(id string) *memory {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.memories[id]
	if m == nil {
		for old := range e.memories {
			if len(e.memories) < maxMemories {
				break
			}
			delete(e.memories, old)
		}
		m = &memory{make(map[string]bool)}
		e.memories[id] = m
	}
	return m
}

func (e *Engine) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.memories, id)
}

// newMessageRun prepares a claimed message.
func (e *Engine) newMessageRun(ctx context.Context, m pushsvc.Message) (*messageRun, error) {
	c := &messageRun{
		engine: e, log: e.cfg.Logger.With("message", m.ID, "site", m.Site), first: m,
		topic: m.Content.Topic, row: m, seen: e.cfg.Clock(), begun: e.cfg.Clock(),
		runs: make(map[*rangeRun]bool), memory: e.recall(m.ID),
		sums: newSums(),
	}
	ttl := time.Duration(m.Content.TTLSeconds()) * time.Second
	if ttl == 0 {
		ttl = idleTTL
	}
	c.deadline = m.LifeBegins().Add(ttl)
	if c.contact = e.cfg.Contact; c.contact == "" {
		c.contact = webpush.SiteContact(m.Site)
	}
	if c.topic == "" {
		c.topic = defaultTopic(m.ID)
	}
	c.sums.take(m.Answers)
	c.keys.store = e.cfg.Store
	if err := c.keys.read(ctx); err != nil {
		return nil, err
	}
	var err error
	if c.secret, err = e.cfg.Store.Secret(ctx); err != nil {
		return nil, fmt.Errorf("reading the receipt secret: %w", err)
	}
	mark := rand.Text()
	whole := pushsvc.AppendPayload(nil, m.ID, mark, &m.Content)
	c.forms = map[webpush.Service]form{"": newForm(whole, mark)}
	// Mutable, so that the worker, if there is one, can report that the notification was shown. A
	// payload that can't be declarative goes to the worker as it is.
	if declarative, err := webpush.Declarative(whole, "https://"+m.Site+"/", true); err == nil {
		c.forms[webpush.ServiceApple] = newForm(declarative, mark)
	}
	return c, nil
}

// defaultTopic makes a message its own topic: a push that is repeated after a crash replaces the
// first one if that is still undelivered. 22 characters decode as base64url, as Apple requires.
func defaultTopic(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// form is a payload around the receipt token, its only part that differs
// between recipients.
type form struct{ head, tail []byte }

// newForm splits a payload that has mark in place of a token.
func newForm(whole []byte, mark string) form {
	head, tail, _ := bytes.Cut(whole, []byte(mark))
	return form{head, tail}
}

// payload is the plaintext for one recipient.
func (c *messageRun) payload(sub *pushsvc.Subscription) []byte {
	token := pushsvc.ReceiptToken(c.secret, c.first.Site, c.first.ID, sub.ID)
	f, hasOwn := c.forms[webpush.ServiceOf(hostOf(sub.Endpoint))]
	if !hasOwn {
		f = c.forms[""]
	}
	b := make([]byte, 0, len(f.head)+len(token)+len(f.tail))
	b = append(b, f.head...)
	b = append(b, token...)
	return append(b, f.tail...)
}

// expired reports whether the message's time to live has ended at t.
func (c *messageRun) expired(t time.Time) bool { return !t.Before(c.deadline) }

// ttlAt returns the remaining time to live in seconds. It is at least 1 if the message has a
// time to live, and never more than the operator's: the clock may have been set back, and push
// services refuse values above their bound.
func (c *messageRun) ttlAt(now time.Time) int {
	ttl := c.first.Content.TTLSeconds()
	if ttl == 0 {
		return 0
	}
	return min(max(int(c.deadline.Sub(now)/time.Second), 1), ttl)
}

// update stores the message's row as last read.
func (c *messageRun) update(m pushsvc.Message) {
	c.mu.Lock()
	ended := m.State.Final() && !c.row.State.Final()
	c.row, c.seen = m, c.engine.cfg.Clock()
	c.sums.take(m.Answers)
	switch m.State {
	case pushsvc.StatePaused, pushsvc.StateHeld, pushsvc.StateCancelling, pushsvc.StateCancelled:
		c.halted.Store(true)
	}
	c.mu.Unlock()
	if ended {
		c.engine.forget(c.first.ID)
		c.log.Info("message ended", "state", string(m.State), "accepted", m.Progress.Accepted, "gone", m.Progress.Gone,
			"left", m.Progress.Left, "failed", m.Progress.FailedTotal(), "expired", m.Progress.Expired, "cancelled", m.Progress.Cancelled, "reasons", m.Progress.Reasons)
		c.engine.changed(m)
	}
}

// report logs the first failure of each kind: a million subscriptions that fail in the same way
// make one line.
func (c *messageRun) report(r *webpush.Result) {
	if r.Err == nil {
		return
	}
	kind := string(r.Service) + " " + string(r.Reason)
	c.mu.Lock()
	known := c.reported[kind]
	c.reported[kind] = true
	c.mu.Unlock()
	if known {
		return
	}
	text := "pushes fail"
	if r.Class == webpush.ClassOurFault {
		text = "a push service refuses a push: where it refuses all, check the contact, the clock and the VAPID key"
	}
	c.log.Warn(text, "service", string(r.Service), "reason", string(r.Reason), "error", r.Err)
}
