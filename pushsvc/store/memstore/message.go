package memstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// message is a message with all that belongs to it.
type message struct {
	pushsvc.Message
	request  pushsvc.Idempotency
	parts    map[int]*part // by number, with the LaterRange
	later    map[pushsvc.SubscriptionID]pushsvc.Retry
	receipts map[pushsvc.Receipt]bool
}

// part is one range of a message.
type part struct {
	pushsvc.RangeRow
	notes map[pushsvc.SubscriptionID]pushsvc.Outcome
}

func (s *Store) CreateMessage(ctx context.Context, m pushsvc.Message, idem pushsvc.Idempotency) (row pushsvc.Message, created bool, err error) {
	row, err = on(ctx, s, m.Site, func(st *site) (pushsvc.Message, error) {
		m := copyOf(m)
		m.Site = st.name
		row, ranges, err := m.Create(idem, pushsvc.Creation{
			Request: st.request,
			Message: func(id string) (row pushsvc.Message, err error) {
				m, err := find(st.messages, id)
				if err == nil {
					row = m.Message
				}
				return row, err
			},
			Unmoved:      st.unmoved,
			Subscription: func(id pushsvc.SubscriptionID) (pushsvc.Subscription, error) { return find(st.subs, id) },
			Audience:     func() (int64, pushsvc.SubscriptionID) { return int64(len(st.subs)), st.lastID },
		})
		if created = err == nil && len(ranges) > 0; created {
			stored := &message{Message: row, request: idem, parts: map[int]*part{}}
			for _, r := range ranges {
				stored.parts[r.N] = &part{RangeRow: pushsvc.RangeRow{Range: r}}
			}
			set(&st.messages, m.ID, stored)
			st.hasSubs = true // the site has its row from now on
		}
		return row, err
	})
	return row, created, err
}

// request finds the latest request with a key of idempotency, and its message.
func (st *site) request(key string) (idem pushsvc.Idempotency, id string, _ error) {
	for _, m := range rows(st.messages, all) {
		if m.request.Key == key {
			idem, id = m.request, m.ID
		}
	}
	return idem, id, nil
}

// onMessage is on for a message that must be there.
func onMessage[T any](ctx context.Context, s *Store, name, id string, fn func(*site, *message) (T, error)) (T, error) {
	return on(ctx, s, name, func(st *site) (out T, err error) {
		m, err := find(st.messages, id)
		if err != nil {
			return out, err
		}
		return fn(st, m)
	})
}

func (s *Store) Message(ctx context.Context, name, id string) (pushsvc.Message, error) {
	return onMessage(ctx, s, name, id, func(_ *site, m *message) (pushsvc.Message, error) { return m.Message, nil })
}

// messages returns those of all sites that keep returns true for, by site and id.
func (s *Store) messages(keep func(*message) bool) (all []pushsvc.Message) {
	for _, name := range keys(s.sites) {
		all = append(all, rows(s.sites[name].messages, func(_ string, m *message) (pushsvc.Message, bool) { return m.Message, keep(m) })...)
	}
	return all
}

func (s *Store) MessagePage(ctx context.Context, name, before string, limit int) ([]pushsvc.Message, error) {
	return on(ctx, s, name, func(st *site) ([]pushsvc.Message, error) {
		page := s.messages(func(m *message) bool { return m.Site == st.name && (before == "" || m.ID < before) })
		slices.Reverse(page)
		return first(limit, page), nil
	})
}

func (s *Store) Unfinished(ctx context.Context, after string, limit int) ([]pushsvc.Message, error) {
	return tx(ctx, s, func() ([]pushsvc.Message, error) {
		page := s.messages(func(m *message) bool { return m.ID > after && !m.Idle(s.Clock()) && s.current(m.Site) == m.Site })
		slices.SortStableFunc(page, func(a, b pushsvc.Message) int { return cmp.Compare(a.ID, b.ID) })
		return first(limit, page), nil
	})
}

func (s *Store) Prunable(ctx context.Context, before time.Time, limit int) ([]pushsvc.MessageName, error) {
	return tx(ctx, s, func() (old []pushsvc.MessageName, _ error) {
		for _, m := range first(limit, s.messages(func(m *message) bool { return m.Prunable(before) })) {
			old = append(old, pushsvc.MessageName{Site: m.Site, ID: m.ID})
		}
		return old, nil
	})
}

func (s *Store) PruneMessage(ctx context.Context, name pushsvc.MessageName, before time.Time) (bool, error) {
	return tx(ctx, s, func() (bool, error) {
		st := s.site(name.Site)
		m := st.messages[name.ID]
		if m == nil || !m.Prunable(before) {
			return false, nil
		}
		delete(st.messages, name.ID)
		return true, nil
	})
}

func (s *Store) AddReceipts(ctx context.Context, name, id string, receipts []pushsvc.Receipt) (int, error) {
	return on(ctx, s, name, func(st *site) (added int, _ error) {
		m := st.messages[id]
		for _, r := range receipts {
			if m != nil && !m.receipts[r] && m.Progress.Receive(r.Kind) {
				set(&m.receipts, r, true)
				added++
			}
		}
		return added, nil
	})
}

func (s *Store) Control(ctx context.Context, name, id string, command pushsvc.Command, at time.Time) (pushsvc.Message, error) {
	return onMessage(ctx, s, name, id, func(st *site, m *message) (pushsvc.Message, error) {
		now := s.Clock()
		if err := m.Command(command, now); err != nil {
			return pushsvc.Message{}, err
		}
		st.endCancelled(m, now, at)
		return m.Message, nil
	})
}

// endCancelled makes a cancelling message, on which no engine works any more,
// cancelled.
func (st *site) endCancelled(m *message, now, at time.Time) {
	if m.State != pushsvc.StateCancelling || m.engines(now) > 0 {
		return
	}
	for _, p := range rows(m.parts, all) {
		st.carryOut(m, m.Take(&p.Range, m.noted(p), m.retry), at)
	}
	m.EndCancelled(at)
}

// retry finds one for the rules.
func (m *message) retry(id pushsvc.SubscriptionID) (pushsvc.Retry, bool) {
	r, there := m.later[id]
	return r, there
}

func (s *Store) Claim(ctx context.Context, name, id, owner string, lease time.Duration) (m pushsvc.Message, r pushsvc.Range, err error) {
	m, err = onMessage(ctx, s, name, id, func(st *site, m *message) (pushsvc.Message, error) {
		now := s.Clock()
		if err := m.MayClaim(now); err != nil {
			st.endCancelled(m, now, now)
			return m.Message, err
		}
		for _, p := range rows(m.parts, all) {
			if p.Free(&m.Message, now) {
				p.Claim(owner, now, lease)
				m.Begin(now)
				r = copyOf(p.Range)
				r.Engines, r.Noted = m.engines(now), m.noted(p)
				return m.Message, nil
			}
		}
		return m.Message, pushsvc.ErrNothingDue
	})
	return m, r, err
}

// engines is how many lease ranges of the message.
func (m *message) engines(now time.Time) int {
	engines := pushsvc.Engines{}
	for _, p := range m.parts {
		engines.Add(&p.Range, now)
	}
	return len(engines)
}

// noted is what has been noted of a range and not been settled since.
func (m *message) noted(p *part) []pushsvc.Outcome { return p.Unsettled(rows(p.notes, all), m.retry) }

func byDue(a, b pushsvc.Retry) int { return a.Due.Compare(b.Due) }

func (s *Store) LaterPage(ctx context.Context, name, id string, limit int) ([]pushsvc.Retry, error) {
	return onMessage(ctx, s, name, id, func(st *site, m *message) ([]pushsvc.Retry, error) {
		due := rows(m.later, func(id pushsvc.SubscriptionID, r pushsvc.Retry) (pushsvc.Retry, bool) {
			r.Subscription = st.subs[id]
			return r, !m.State.Final() && !r.Due.After(s.Clock())
		})
		slices.SortStableFunc(due, byDue)
		return first(limit, due), nil
	})
}

func (s *Store) Note(ctx context.Context, r pushsvc.Range, outcomes []pushsvc.Outcome) error {
	_, err := onMessage(ctx, s, r.Site, r.MessageID, func(_ *site, m *message) (none struct{}, err error) {
		p, err := find(m.parts, r.N)
		if err != nil || p.Noting(&m.Message, r.Epoch) != nil {
			return none, pushsvc.ErrLeaseLost
		}
		for _, o := range outcomes {
			o.Due = o.Due.UTC().Truncate(time.Millisecond)
			set(&p.notes, o.ID, o)
		}
		return none, nil
	})
	return err
}

func (s *Store) Checkpoint(ctx context.Context, c pushsvc.Checkpoint) (m pushsvc.Message, r pushsvc.Range, err error) {
	m, err = onMessage(ctx, s, c.Site, c.MessageID, func(st *site, m *message) (row pushsvc.Message, err error) {
		p, err := find(m.parts, c.Range)
		if err != nil {
			return row, err
		}
		apply, err := p.Accept(&m.Message, &c)
		if apply {
			st.checkpoint(m, p, c)
		}
		r = copyOf(p.Range)
		r.Engines = m.engines(s.Clock())
		return m.Message, err
	})
	return m, r, err
}

func (st *site) checkpoint(m *message, p *part, c pushsvc.Checkpoint) {
	now := st.s.Clock()
	e, _ := m.Apply(&p.Range, &c, now, m.retry)
	st.carryOut(m, e, c.At)
	maps.DeleteFunc(p.notes, func(_ pushsvc.SubscriptionID, o pushsvc.Outcome) bool {
		return len(p.Unsettled([]pushsvc.Outcome{o}, m.retry)) == 0
	})
	open := rows(m.parts, func(n int, p *part) (int, bool) { return n, n >= 0 && !p.Done })
	m.EndDone(len(open), c.At)
	st.endCancelled(m, now, c.At)
}

// carryOut stores what outcomes change.
func (st *site) carryOut(m *message, e pushsvc.Effects, at time.Time) {
	for _, id := range e.Gone {
		st.drop(id)
	}
	for _, id := range e.Doubted {
		if sub, ok := st.subs[id]; ok && sub.Doubt(at) {
			st.subs[id] = sub
		}
	}
	drop(m.later, e.Dropped)
	for _, r := range e.Later {
		set(&m.later, r.ID, r)
	}
	m.NextTry = time.Time{}
	if later := slices.Collect(maps.Values(m.later)); len(later) > 0 {
		m.NextTry = slices.MinFunc(later, byDue).Due
	}
}
