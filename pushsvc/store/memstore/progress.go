package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Control implements pushsvc.MessageStore.
func (s *Store) Control(ctx context.Context, name, id string, command pushsvc.Command, at time.Time) (pushsvc.Message, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.Message{}, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	m := s.message(name, id)
	if m == nil {
		return pushsvc.Message{}, pushsvc.ErrNotFound
	}
	now := s.now()
	if err := m.Command(command, now); err != nil {
		return pushsvc.Message{}, err
	}
	s.endCancelled(m, now, at)
	return m.copy(), nil
}

// endCancelled makes a cancelling message, on which no engine works any more,
// cancelled.
func (s *Store) endCancelled(m *message, now, at time.Time) {
	if m.State != pushsvc.StateCancelling {
		return
	}
	for _, p := range m.parts {
		if p.Leased(now) {
			return
		}
	}
	for _, p := range m.parts {
		s.carryOut(m, m.Take(&p.Range, p.noted(m), m.retry), at)
	}
	m.EndCancelled(at)
	m.ended()
}

// ended removes what ends with a message that is final.
func (m *message) ended() {
	clear(m.later)
	for _, p := range m.parts {
		clear(p.notes)
	}
}

// retry finds one for the rules.
func (m *message) retry(id pushsvc.SubscriptionID) (pushsvc.Retry, bool) {
	r, there := m.later[id]
	return r, there
}

// Claim implements pushsvc.MessageStore.
func (s *Store) Claim(ctx context.Context, name, id, owner string, lease time.Duration) (pushsvc.Message, pushsvc.Range, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.Message{}, pushsvc.Range{}, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	m := s.message(name, id)
	if m == nil {
		return pushsvc.Message{}, pushsvc.Range{}, pushsvc.ErrNotFound
	}
	now := s.now()
	if err := m.MayClaim(now); err != nil {
		s.endCancelled(m, now, now)
		return m.copy(), pushsvc.Range{}, err
	}
	for _, n := range sortedKeys(m.parts) {
		if p := m.parts[n]; p.Free(&m.Message, now) {
			p.Claim(owner, now, lease)
			m.Begin(now)
			out := m.rangeOf(p, now)
			out.Noted = p.noted(m)
			return m.copy(), out, nil
		}
	}
	return m.copy(), pushsvc.Range{}, pushsvc.ErrNothingDue
}

// rangeOf is what Claim and Checkpoint return of a range.
func (m *message) rangeOf(p *part, now time.Time) pushsvc.Range {
	engines := pushsvc.Engines{}
	for _, other := range m.parts {
		engines.Add(&other.Range, now)
	}
	out := p.Range
	out.Settled, out.Engines = slices.Clone(out.Settled), len(engines)
	return out
}

// noted is what has been noted and not been settled since.
func (p *part) noted(m *message) []pushsvc.Outcome {
	var all []pushsvc.Outcome
	for _, id := range sortedKeys(p.notes) {
		all = append(all, p.notes[id])
	}
	return p.Unsettled(all, m.retry)
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
func (s *Store) LaterPage(ctx context.Context, name, id string, limit int) ([]pushsvc.Retry, error) {
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
		if !r.Due.After(s.now()) {
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
	if p == nil {
		return pushsvc.ErrLeaseLost
	}
	if err := p.Noting(&m.Message, r.Epoch); err != nil {
		return err
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
	now := s.now()
	apply, err := p.Accept(&m.Message, &c)
	if err != nil || !apply {
		return m.copy(), m.rangeOf(p, now), err
	}
	e, _ := m.Apply(&p.Range, &c, now, m.retry)
	s.carryOut(m, e, c.At)
	left := p.noted(m)
	clear(p.notes)
	for _, o := range left {
		p.notes[o.ID] = o
	}
	open := 0
	for n, p := range m.parts {
		if n >= 0 && !p.Done {
			open++
		}
	}
	if m.EndDone(open, c.At) {
		m.ended()
	}
	s.endCancelled(m, now, c.At)
	return m.copy(), m.rangeOf(p, now), nil
}

// carryOut stores what outcomes change.
func (s *Store) carryOut(m *message, e pushsvc.Effects, at time.Time) {
	st := s.sites[m.Site]
	for _, id := range e.Gone {
		st.drop(id)
	}
	for _, id := range e.Doubted {
		if sub, ok := st.subs[id]; ok && sub.Doubt(at) {
			st.subs[id] = sub
		}
	}
	for _, id := range e.Dropped {
		delete(m.later, id)
	}
	for _, r := range e.Later {
		m.later[r.ID] = r
	}
	m.NextTry = time.Time{}
	for _, r := range m.later {
		if m.NextTry.IsZero() || r.Due.Before(m.NextTry) {
			m.NextTry = r.Due
		}
	}
}
