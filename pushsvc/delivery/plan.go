package delivery

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

const (
	// watchEvery is how often the state of a message under way is read, so that a pause takes
	// effect within a second.
	watchEvery = 500 * time.Millisecond
	// listPage and listMost bound how many unfinished messages are read.
	listPage, listMost = 256, 4096
)

// planner decides which ranges of which messages are worked on. Only its own goroutine uses its
// fields.
type planner struct {
	engine *Engine
	// served is the message that got a place last: the next round begins with the one after it.
	served string
	// retryAt is when a message that had nothing to claim is asked again.
	retryAt map[string]time.Time
}

func (p *planner) loop() {
	defer p.engine.work.Done()
	for {
		wait := p.engine.cfg.Poll
		p.engine.guard("looking for messages", func() { wait = p.round() })
		timer := time.NewTimer(wait)
		select {
		case <-p.engine.stop:
			timer.Stop()
			return
		case <-p.engine.wake:
			timer.Stop()
			clear(p.retryAt)
		case <-p.engine.freed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// round claims as many ranges as there is room for and returns when to look again.
func (p *planner) round() time.Duration {
	e := p.engine
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Lease)
	defer cancel()
	now := e.cfg.Clock()
	messages, err := p.list(ctx)
	if err != nil {
		if !errors.Is(err, pushsvc.ErrClosed) {
			e.cfg.Logger.Error("reading unfinished messages", "error", err)
		}
		return e.cfg.Poll
	}
	p.noteOldest(messages, now)
	for id, at := range p.retryAt {
		if !now.Before(at) {
			delete(p.retryAt, id)
		}
	}
	var waiting int
	for pass := 1; pass <= e.cfg.Ranges; pass++ {
		for i := range messages {
			if e.stopping() {
				return 0
			}
			m := &messages[i]
			switch runs, halted := e.runsOf(m.ID); {
			case runs == 0 && allLater(m, now):
			case e.overdue(m.ID, now):
			case halted || runs >= pass && !p.laterDue(m.ID, runs, now) || p.retryAt[m.ID].After(now):
			case runs == 0 && !e.room():
				waiting++
			default:
				p.claim(ctx, m, now)
			}
		}
		if pass == 1 && waiting > 0 {
			e.giveTurns(waiting, now)
		}
	}
	wait := e.cfg.Poll
	if waiting > 0 {
		wait = min(wait, e.cfg.Turn)
	}
	return p.nextLook(messages, wait)
}

// allLater reports whether everything left to do for a message is due later: to ask for a range of
// it would be a write in vain.
func allLater(m *pushsvc.Message, now time.Time) bool {
	return m.State != pushsvc.StateCancelling && m.Progress.Pending == 0 && m.NextTry.After(now)
}

// list returns the unfinished messages, beginning after the one served last.
func (p *planner) list(ctx context.Context) ([]pushsvc.Message, error) {
	var all []pushsvc.Message
	for after := ""; len(all) < listMost; {
		page, err := p.engine.cfg.Store.Unfinished(ctx, after, listPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < listPage {
			break
		}
		after = page[len(page)-1].ID
	}
	i := slices.IndexFunc(all, func(m pushsvc.Message) bool { return m.ID > p.served })
	if i > 0 {
		all = slices.Concat(all[i:], all[:i])
	}
	return all, nil
}

// noteOldest finds since when a recipient has been waiting.
func (p *planner) noteOldest(messages []pushsvc.Message, now time.Time) {
	var oldest time.Time
	for i := range messages {
		m := &messages[i]
		due := m.NextTry
		if m.Progress.Pending > 0 {
			due = m.LifeBegins()
		}
		if !due.IsZero() && !due.After(now) && (oldest.IsZero() || due.Before(oldest)) {
			oldest = due
		}
	}
	p.engine.oldestDue.Store(&oldest)
}

// nextLook returns when there is something to do for which Wake is not called.
func (p *planner) nextLook(messages []pushsvc.Message, wait time.Duration) time.Duration {
	now := p.engine.cfg.Clock()
	for i := range messages {
		m := &messages[i]
		next := p.engine.nextTry(m)
		if at := p.retryAt[m.ID]; at.After(next) {
			next = at
		}
		if next.After(now) {
			wait = min(wait, next.Sub(now))
		}
	}
	return max(wait, 20*time.Millisecond)
}

// laterDue reports whether a message with enough runs may have one more, for recipients who are to
// be tried again.
func (p *planner) laterDue(id string, runs int, now time.Time) bool {
	e := p.engine
	e.mu.Lock()
	c := e.messages[id]
	e.mu.Unlock()
	if c == nil || runs > e.cfg.Ranges {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.runs {
		if r.isLater() {
			return false
		}
	}
	return !c.row.NextTry.IsZero() && !c.row.NextTry.After(now)
}

// claim tries to claim a range of a message and starts its run.
func (p *planner) claim(ctx context.Context, m *pushsvc.Message, now time.Time) {
	e := p.engine
	asked := e.cfg.Clock()
	row, rng, err := e.cfg.Store.Claim(ctx, m.Site, m.ID, e.cfg.Owner, e.cfg.Lease)
	rng.Lease = asked.Add(e.cfg.Lease) // by our own clock, and never later than the store's
	switch {
	case errors.Is(err, pushsvc.ErrNothingDue):
		at := now.Add(e.cfg.Poll)
		if !row.NextTry.IsZero() && row.NextTry.Before(at) {
			at = row.NextTry
		}
		p.retryAt[m.ID] = at
		if row.State.Final() {
			e.changed(row) // it was the last look that a cancelled message needs
		}
		return
	case errors.Is(err, pushsvc.ErrNotFound), errors.Is(err, pushsvc.ErrClosed):
		p.retryAt[m.ID] = now.Add(e.cfg.Poll)
		return
	case err != nil:
		p.retryAt[m.ID] = now.Add(e.cfg.Poll)
		e.cfg.Logger.Error("claiming a message", "message", m.ID, "error", err)
		return
	}
	if runs, _ := e.runsOf(m.ID); runs == 0 {
		p.served = m.ID
	}
	if err := e.begin(ctx, row, rng, now); err != nil {
		// The lease runs out by itself, and the next try comes then.
		e.cfg.Logger.Error("cannot sign messages", "message", m.ID, "site", m.Site, "error", err)
		p.retryAt[m.ID] = now.Add(e.cfg.Lease)
		return
	}
	if m.State != pushsvc.StateSending && m.State != pushsvc.StateCancelling {
		e.cfg.Logger.Info("sending", "message", m.ID, "site", m.Site, "audience", row.Progress.Audience)
		e.changed(row)
		m.State = row.State
	}
}

// begin starts a run of a claimed range. Only the planner calls it.
func (e *Engine) begin(ctx context.Context, m pushsvc.Message, rng pushsvc.Range, now time.Time) error {
	r, err := e.enlist(ctx, m, rng, now)
	if err != nil {
		return err
	}
	c := r.message
	e.work.Add(1)
	go func() {
		defer e.work.Done()
		defer e.roomAgain()
		defer e.end(c, r)
		e.guard("sending message "+m.ID, func() {
			if err := r.run(); err != nil && !errors.Is(err, pushsvc.ErrClosed) {
				c.log.Warn("a range of a message is left for another engine", "range", rng.N, "error", err)
			}
		})
	}()
	return nil
}

// enlist makes the run, and, for the first run of a message, the messageRun.
func (e *Engine) enlist(ctx context.Context, m pushsvc.Message, rng pushsvc.Range, now time.Time) (*rangeRun, error) {
	if r := e.join(nil, rng, now); r != nil {
		return r, nil
	}
	prepared, err := e.newMessageRun(ctx, m)
	if err != nil {
		return nil, err
	}
	return e.join(prepared, rng, now), nil
}

// join makes the run as part of the messageRun under way, or of the prepared one; it returns nil if
// there is neither.
func (e *Engine) join(prepared *messageRun, rng pushsvc.Range, now time.Time) *rangeRun {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.messages[rng.MessageID]
	if c == nil {
		if prepared == nil {
			return nil
		}
		c = prepared
		c.lane = e.sched.newLane(c.first.Rate, rng.Engines)
		e.messages[rng.MessageID] = c
	}
	r := e.newRun(c, rng, now)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[r] = true
	return r
}

// end removes a run from the engine.
func (e *Engine) end(c *messageRun, r *rangeRun) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.runs, r)
	if len(c.runs) == 0 && e.messages[c.first.ID] == c {
		delete(e.messages, c.first.ID)
		e.sched.dropLane(c.lane)
	}
}

// runsOf returns how many runs a message has here, and whether they are ending.
func (e *Engine) runsOf(id string) (runs int, halted bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.messages[id]
	if c == nil {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.runs), c.halted.Load()
}

// overdue reports whether a run of the message has not renewed its lease in time because the store
// stalls. To claim its range would take it from ourselves, with what has been sent and not yet
// written.
func (e *Engine) overdue(id string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.messages[id]
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.runs {
		if now.UnixNano() >= r.startEnd.Load() {
			return true
		}
	}
	return false
}

// room reports whether one more message may be worked on.
func (e *Engine) room() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.messages) < e.cfg.Messages
}

// nextTry returns when the message is due, as last read.
func (e *Engine) nextTry(m *pushsvc.Message) time.Time {
	e.mu.Lock()
	c := e.messages[m.ID]
	e.mu.Unlock()
	if c == nil {
		return m.NextTry
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.runs {
		if r.isLater() {
			return time.Time{} // its end wakes us
		}
	}
	return c.row.NextTry
}

// giveTurns makes messages that have had their turn make room for n others.
func (e *Engine) giveTurns(n int, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var served []*messageRun
	for _, c := range e.messages {
		if c.halted.Load() {
			n-- // its place comes free already
		} else if now.Sub(c.begun) >= e.cfg.Turn {
			served = append(served, c)
		}
	}
	slices.SortFunc(served, func(a, b *messageRun) int {
		return cmp.Or(a.begun.Compare(b.begun), cmp.Compare(a.first.ID, b.first.ID))
	})
	for _, c := range served[:max(min(n, len(served)), 0)] {
		c.halted.Store(true)
	}
}

// watch reads the messages in progress again, to see operators' changes.
func (e *Engine) watch() {
	defer e.work.Done()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		}
		e.guard("watching messages", e.look)
	}
}

func (e *Engine) look() {
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Lease)
	defer cancel()
	e.mu.Lock()
	var all []*messageRun
	for _, c := range e.messages {
		all = append(all, c)
	}
	e.mu.Unlock()
	now := e.cfg.Clock()
	for _, c := range all {
		c.mu.Lock()
		seenLately := now.Sub(c.seen) < watchEvery/2
		c.mu.Unlock()
		if seenLately || c.halted.Load() {
			continue
		}
		m, err := e.cfg.Store.Message(ctx, c.first.Site, c.first.ID)
		switch {
		case err == nil:
			c.update(m)
		case errors.Is(err, pushsvc.ErrNotFound):
			c.halted.Store(true) // a checkpoint will report the same
		}
	}
}
