package memstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Control implements pushsvc.MessageStore.
func (s *Store) Control(ctx context.Context, name, id string, command pushsvc.Command, now time.Time) (pushsvc.Message, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.Message{}, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	m := s.message(name, id)
	if m == nil {
		return pushsvc.Message{}, pushsvc.ErrNotFound
	}
	if err := m.Command(command, now); err != nil {
		return pushsvc.Message{}, err
	}
	s.endCancelled(m, now)
	return m.copy(), nil
}

// endCancelled makes a cancelling message, on which no engine works any more,
// cancelled.
func (s *Store) endCancelled(m *message, now time.Time) {
	if m.State != pushsvc.StateCancelling {
		return
	}
	for _, p := range m.parts {
		if p.Lease.After(now) {
			return
		}
	}
	for _, p := range m.parts {
		s.apply(m, p, p.noted(m), now)
	}
	m.Progress.Cancel()
	m.end(pushsvc.StateCancelled, now)
}

func (m *message) end(state pushsvc.State, now time.Time) {
	m.State, m.Finished, m.NextTry = state, utc(now), time.Time{}
	clear(m.later)
	for _, p := range m.parts {
		p.Owner, p.Lease, p.Settled, p.done = "", time.Time{}, nil, true
		clear(p.notes)
	}
}

// Claim implements pushsvc.MessageStore.
func (s *Store) Claim(ctx context.Context, name, id, owner string, now, until time.Time) (pushsvc.Message, pushsvc.Range, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.Message{}, pushsvc.Range{}, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	m := s.message(name, id)
	if m == nil || m.State.Final() {
		return pushsvc.Message{}, pushsvc.Range{}, pushsvc.ErrNotFound
	}
	s.endCancelled(m, now)
	var p *part
	switch m.State {
	case pushsvc.StateScheduled, pushsvc.StateQueued, pushsvc.StateSending:
		p = m.free(now)
	}
	if p == nil {
		return m.copy(), pushsvc.Range{}, pushsvc.ErrNothingDue
	}
	m.State = pushsvc.StateSending
	if m.Started.IsZero() {
		m.Started = utc(now)
	}
	p.Owner, p.Lease = owner, utc(until)
	p.Epoch++
	out := p.copy()
	out.Noted = p.noted(m)
	return m.copy(), out, nil
}

// free finds a range that can be claimed, or nil.
func (m *message) free(now time.Time) *part {
	if m.SendAt.After(now) {
		return nil
	}
	if p := m.parts[pushsvc.LaterRange]; !p.Lease.After(now) && !m.NextTry.IsZero() && !m.NextTry.After(now) {
		return p
	}
	for _, n := range sortedKeys(m.parts) {
		if p := m.parts[n]; n >= 0 && !p.done && !p.Lease.After(now) {
			return p
		}
	}
	return nil
}

func (p *part) copy() pushsvc.Range {
	out := p.Range
	out.Settled = slices.Clone(out.Settled)
	return out
}

// settled says whether a checkpoint has dealt with the id already.
func (p *part) settled(m *message, id pushsvc.SubscriptionID) bool {
	if p.N == pushsvc.LaterRange {
		return m.later[id].ID == 0
	}
	return id <= p.Cursor || slices.Contains(p.Settled, id)
}

// stale says whether a checkpoint has dealt with what was noted. An id that
// is tried again stays in the later queue.
func (p *part) stale(m *message, o pushsvc.Outcome) bool {
	if p.settled(m, o.ID) {
		return true
	}
	r := m.later[o.ID]
	return p.N == pushsvc.LaterRange && o.Kind == pushsvc.OutcomeLater &&
		(o.Attempt < r.Attempt || o.Attempt == r.Attempt && !o.Due.After(r.Due))
}

// noted is what has been noted and not been settled since.
func (p *part) noted(m *message) []pushsvc.Outcome {
	var out []pushsvc.Outcome
	for _, id := range sortedKeys(p.notes) {
		if o := p.notes[id]; !p.stale(m, o) {
			out = append(out, o)
		}
	}
	return out
}

// RangePage implements pushsvc.MessageStore.
func (s *Store) RangePage(ctx context.Context, r pushsvc.Range, after pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	r.Site = s.current(r.Site)
	return s.page(r.Site, max(after, r.Cursor), r.Until, limit), nil
}

// LaterPage implements pushsvc.MessageStore.
func (s *Store) LaterPage(ctx context.Context, name, id string, now time.Time, limit int) ([]pushsvc.Retry, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	m := s.message(name, id)
	if m == nil {
		return nil, pushsvc.ErrNotFound
	}
	var due []pushsvc.Retry
	for _, r := range m.later {
		if !r.Due.After(now) {
			r.Subscription = s.sites[name].subs[r.ID]
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b pushsvc.Retry) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID)) })
	return due[:min(max(limit, 0), len(due))], nil
}

// Note implements pushsvc.MessageStore.
func (s *Store) Note(ctx context.Context, r pushsvc.Range, outcomes []pushsvc.Outcome) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	r.Site = s.current(r.Site)
	m := s.message(r.Site, r.MessageID)
	if m == nil {
		return pushsvc.ErrNotFound
	}
	p := m.parts[r.N]
	if p == nil || r.Epoch != p.Epoch || p.Epoch == 0 || p.done || m.State.Final() {
		return pushsvc.ErrLeaseLost
	}
	for _, o := range outcomes {
		o.Due = utc(o.Due.Truncate(time.Millisecond))
		p.notes[o.ID] = o
	}
	return nil
}

// Checkpoint implements pushsvc.MessageStore.
func (s *Store) Checkpoint(ctx context.Context, c pushsvc.Checkpoint) (pushsvc.Message, pushsvc.Range, error) {
	if err := c.Validate(); err != nil {
		return pushsvc.Message{}, pushsvc.Range{}, err
	}
	if err := s.enter(ctx); err != nil {
		return pushsvc.Message{}, pushsvc.Range{}, err
	}
	defer s.mu.Unlock()
	c.Site = s.current(c.Site)
	m := s.message(c.Site, c.MessageID)
	if m == nil || m.parts[c.Range] == nil {
		return pushsvc.Message{}, pushsvc.Range{}, pushsvc.ErrNotFound
	}
	p := m.parts[c.Range]
	switch {
	case p.Epoch != c.Epoch || p.Epoch == 0:
		return pushsvc.Message{}, pushsvc.Range{}, pushsvc.ErrLeaseLost
	case p.last != nil && same(*p.last, c):
		return m.copy(), p.copy(), nil
	case p.done || m.State.Final():
		return pushsvc.Message{}, pushsvc.Range{}, pushsvc.ErrLeaseLost
	}
	s.apply(m, p, c.Outcomes, c.At)
	p.move(c)
	for _, id := range sortedKeys(p.notes) {
		if p.stale(m, p.notes[id]) {
			delete(p.notes, id)
		}
	}
	m.endDone(c.At)
	s.endCancelled(m, c.At)
	return m.copy(), p.copy(), nil
}

func same(a, b pushsvc.Checkpoint) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

// apply counts what became of recipients, unless that has been counted.
func (s *Store) apply(m *message, p *part, outcomes []pushsvc.Outcome, at time.Time) {
	again := p.N == pushsvc.LaterRange
	for _, o := range outcomes {
		if p.settled(m, o.ID) {
			continue
		}
		var from *pushsvc.Retry
		if again {
			retry := m.later[o.ID]
			from = &retry
			delete(m.later, o.ID)
		}
		switch o.Kind {
		case pushsvc.OutcomeGone:
			s.sites[m.Site].drop(o.ID)
		case pushsvc.OutcomeQuarantined:
			s.sites[m.Site].doubt(o.ID, at)
		case pushsvc.OutcomeLater:
			m.later[o.ID] = pushsvc.Retry{ID: o.ID, Attempt: o.Attempt, Reason: o.Reason, Due: utc(o.Due.Truncate(time.Millisecond))}
		}
		m.Progress.Count(o, from)
	}
	m.NextTry = time.Time{}
	for _, r := range m.later {
		if m.NextTry.IsZero() || r.Due.Before(m.NextTry) {
			m.NextTry = r.Due
		}
	}
}

// doubt remembers when a subscription was first said to be gone.
func (st *site) doubt(id pushsvc.SubscriptionID, at time.Time) {
	if sub, ok := st.subs[id]; ok && sub.Doubted.IsZero() {
		sub.Doubted = utc(at.Truncate(time.Second))
		st.subs[id] = sub
	}
}

// move applies what the checkpoint says of the range itself, and keeps it, to
// know it again.
func (p *part) move(c pushsvc.Checkpoint) {
	c.Settled, c.Outcomes = slices.Clone(c.Settled), slices.Clone(c.Outcomes)
	p.last = &c
	p.done = p.Move(c) || p.done
}

// endDone counts as left who has had no turn where all ranges are done, and ends
// the message where nobody is to be tried again either.
func (m *message) endDone(now time.Time) {
	for n, p := range m.parts {
		if n >= 0 && !p.done {
			return
		}
	}
	if m.State == pushsvc.StateCancelling {
		return
	}
	m.Progress.Close()
	if m.Progress.Later == 0 {
		m.end(pushsvc.StateDone, now)
	}
}
