package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// moved is the result of a call that advances a message.
type moved struct {
	m pushsvc.Message
	r pushsvc.Range
}

// Control implements pushsvc.MessageStore.
func (s *Store) Control(ctx context.Context, name, id string, command pushsvc.Command, at time.Time) (pushsvc.Message, error) {
	return onMessage(ctx, s, name, id, func(st *site, m *message) (pushsvc.Message, error) {
		now := s.now()
		if err := m.Command(command, now); err != nil {
			return pushsvc.Message{}, err
		}
		st.endCancelled(m, now, at)
		return m.copy(), nil
	})
}

// endCancelled makes a cancelling message cancelled if no engine works on it any more.
func (st *site) endCancelled(m *message, now, at time.Time) {
	if m.State != pushsvc.StateCancelling {
		return
	}
	for _, p := range m.parts {
		if p.Leased(now) {
			return
		}
	}
	for _, p := range m.parts {
		st.carryOut(m, m.Take(&p.Range, p.noted(m), m.retry), at)
	}
	m.EndCancelled(at)
	m.ended()
}

// ended removes what is stored only until a message is final.
func (m *message) ended() {
	clear(m.later)
	for _, p := range m.parts {
		clear(p.notes)
	}
}

// retry returns a retry, for the rules.
func (m *message) retry(id pushsvc.SubscriptionID) (pushsvc.Retry, bool) {
	r, there := m.later[id]
	return r, there
}

// Claim implements pushsvc.MessageStore.
func (s *Store) Claim(ctx context.Context, name, id, owner string, lease time.Duration) (pushsvc.Message, pushsvc.Range, error) {
	out, err := onMessage(ctx, s, name, id, func(st *site, m *message) (moved, error) {
		now := s.now()
		if err := m.MayClaim(now); err != nil {
			st.endCancelled(m, now, now)
			return moved{m: m.copy()}, err
		}
		for _, n := range sortedKeys(m.parts) {
			if p := m.parts[n]; p.Free(&m.Message, now) {
				p.Claim(owner, now, lease)
				m.Begin(now)
				out := moved{m.copy(), m.rangeOf(p, now)}
				out.r.Noted = p.noted(m)
				return out, nil
			}
		}
		return moved{m: m.copy()}, pushsvc.ErrNothingDue
	})
	return out.m, out.r, err
}

// rangeOf returns a range in the form of Claim and Checkpoint.
func (m *message) rangeOf(p *part, now time.Time) pushsvc.Range {
	engines := pushsvc.Engines{}
	for _, other := range m.parts {
		engines.Add(&other.Range, now)
	}
	out := p.Range
	out.Settled, out.Engines = slices.Clone(out.Settled), len(engines)
	return out
}

// noted returns the outcomes that have been noted and not settled since.
func (p *part) noted(m *message) []pushsvc.Outcome {
	var all []pushsvc.Outcome
	for _, id := range sortedKeys(p.notes) {
		all = append(all, p.notes[id])
	}
	return p.Unsettled(all, m.retry)
}

// LaterPage implements pushsvc.MessageStore.
func (s *Store) LaterPage(ctx context.Context, name, id string, limit int) ([]pushsvc.Retry, error) {
	return onMessage(ctx, s, name, id, func(st *site, m *message) (due []pushsvc.Retry, _ error) {
		for _, r := range m.later {
			if !r.Due.After(s.now()) {
				r.Subscription = st.subs[r.ID]
				due = append(due, r)
			}
		}
		slices.SortFunc(due, func(a, b pushsvc.Retry) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID)) })
		return due[:min(max(limit, 0), len(due))], nil
	})
}

// Note implements pushsvc.MessageStore.
func (s *Store) Note(ctx context.Context, r pushsvc.Range, outcomes []pushsvc.Outcome) error {
	_, err := onMessage(ctx, s, r.Site, r.MessageID, func(_ *site, m *message) (struct{}, error) {
		p := m.parts[r.N]
		if p == nil {
			return struct{}{}, pushsvc.ErrLeaseLost
		}
		if err := p.Noting(&m.Message, r.Epoch); err != nil {
			return struct{}{}, err
		}
		for _, o := range outcomes {
			o.Due = o.Due.UTC().Truncate(time.Millisecond)
			set(&p.notes, o.ID, o)
		}
		return struct{}{}, nil
	})
	return err
}

// Checkpoint implements pushsvc.MessageStore.
func (s *Store) Checkpoint(ctx context.Context, c pushsvc.Checkpoint) (pushsvc.Message, pushsvc.Range, error) {
	out, err := onMessage(ctx, s, c.Site, c.MessageID, func(st *site, m *message) (moved, error) {
		p, now := m.parts[c.Range], s.now()
		if p == nil {
			return moved{}, pushsvc.ErrNotFound
		}
		apply, err := p.Accept(&m.Message, &c)
		if apply {
			st.checkpoint(m, p, c, now)
		}
		return moved{m.copy(), m.rangeOf(p, now)}, err
	})
	return out.m, out.r, err
}

func (st *site) checkpoint(m *message, p *part, c pushsvc.Checkpoint, now time.Time) {
	e, _ := m.Apply(&p.Range, &c, now, m.retry)
	st.carryOut(m, e, c.At)
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
	st.endCancelled(m, now, c.At)
}

// carryOut stores the effects of outcomes.
func (st *site) carryOut(m *message, e pushsvc.Effects, at time.Time) {
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
		set(&m.later, r.ID, r)
	}
	m.NextTry = time.Time{}
	for _, r := range m.later {
		if m.NextTry.IsZero() || r.Due.Before(m.NextTry) {
			m.NextTry = r.Due
		}
	}
}
