package memstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// message is a message with everything that belongs to it.
type message struct {
	pushsvc.Message
	parts    map[int]*part // by number, with the LaterRange
	later    map[pushsvc.SubscriptionID]pushsvc.Retry
	receipts map[pushsvc.Receipt]bool
}

// part is one range of a message.
type part struct {
	pushsvc.RangeRow
	notes map[pushsvc.SubscriptionID]pushsvc.Outcome
}

// record is the message that a request with an idempotency key made.
type record struct {
	pushsvc.Idempotency
	message string
}

// created is what CreateMessage returns.
type created struct {
	row pushsvc.Message
	new bool
}

// CreateMessage implements pushsvc.MessageStore.
func (s *Store) CreateMessage(ctx context.Context, m pushsvc.Message, idem pushsvc.Idempotency) (pushsvc.Message, bool, error) {
	if err := pushsvc.CheckMessage(m, idem); err != nil {
		return pushsvc.Message{}, false, fmt.Errorf("storing a message of %s: %w", m.Site, err)
	}
	c, err := on(ctx, s, m.Site, func(st *site) (created, error) { return st.create(m, idem) })
	return c.row, c.new, err
}

func (st *site) create(m pushsvc.Message, idem pushsvc.Idempotency) (created, error) {
	stored := st.idem[idem.Key]
	if repeats, err := idem.Repeats(stored.Idempotency, m.Created); err != nil {
		return created{}, err
	} else if old := st.messages[stored.message]; repeats && old != nil {
		return created{row: old.copy()}, nil
	}
	if old := st.messages[m.ID]; old != nil {
		return created{row: old.copy()}, nil
	}
	if _, there := st.subs[m.Only]; m.Only != 0 && !there {
		return created{}, pushsvc.ErrNotFound
	}
	if len(st.coming()) > 0 {
		return created{}, pushsvc.ErrSiteMoving
	}
	m.Site = st.name
	last := pushsvc.SubscriptionID(0)
	for id := range st.subs {
		last = max(last, id)
	}
	row, ranges := m.Plan(int64(len(st.subs)), last)
	kept := &message{Message: row, parts: map[int]*part{}}
	kept.Message = kept.copy() // the content is the caller's
	for _, r := range ranges {
		kept.parts[r.N] = &part{RangeRow: pushsvc.RangeRow{Range: r}}
	}
	st.hasSubs = true // the site has its row from now on
	set(&st.messages, m.ID, kept)
	if idem.Key != "" {
		set(&st.idem, idem.Key, record{idem, m.ID})
	}
	return created{row: kept.copy(), new: true}, nil
}

// copy returns a copy that shares nothing with the row that either side may change.
func (m *message) copy() pushsvc.Message {
	out := m.Message
	out.Progress.Failed, out.Progress.Reasons = maps.Clone(m.Progress.Failed), maps.Clone(m.Progress.Reasons)
	out.Topics, out.Answers = slices.Clone(m.Topics), maps.Clone(m.Answers)
	c := &out.Content
	c.Actions, c.Vibrate, c.Data = slices.Clone(c.Actions), slices.Clone(c.Vibrate), slices.Clone(c.Data)
	if c.TTL != nil {
		ttl := *c.TTL
		c.TTL = &ttl
	}
	return out
}

// onMessage is on for a message that must exist.
func onMessage[T any](ctx context.Context, s *Store, name, id string, fn func(*site, *message) (T, error)) (T, error) {
	return on(ctx, s, name, func(st *site) (out T, err error) {
		if m := st.messages[id]; m != nil {
			return fn(st, m)
		}
		return out, pushsvc.ErrNotFound
	})
}

// Message implements pushsvc.MessageStore.
func (s *Store) Message(ctx context.Context, name, id string) (pushsvc.Message, error) {
	return onMessage(ctx, s, name, id, func(_ *site, m *message) (pushsvc.Message, error) { return m.copy(), nil })
}

// MessagePage implements pushsvc.MessageStore.
func (s *Store) MessagePage(ctx context.Context, name, before string, limit int) ([]pushsvc.Message, error) {
	return on(ctx, s, name, func(st *site) (page []pushsvc.Message, _ error) {
		for _, id := range slices.Backward(sortedKeys(st.messages)) {
			if (before == "" || id < before) && len(page) < limit {
				page = append(page, st.messages[id].copy())
			}
		}
		return page, nil
	})
}

// Unfinished implements pushsvc.MessageStore.
func (s *Store) Unfinished(ctx context.Context, after string, limit int) (page []pushsvc.Message, err error) {
	err = s.tx(ctx, func() error {
		for name, st := range s.sites {
			for id, m := range st.messages {
				if id > after && !m.Idle(s.now()) && s.current(name) == name {
					page = append(page, m.copy())
				}
			}
		}
		return nil
	})
	slices.SortFunc(page, func(a, b pushsvc.Message) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Site, b.Site)) })
	return page[:min(max(limit, 0), len(page))], err
}

// Prunable implements pushsvc.MessageStore.
func (s *Store) Prunable(ctx context.Context, before time.Time, limit int) (old []pushsvc.MessageName, err error) {
	err = s.tx(ctx, func() error {
		for _, name := range sortedKeys(s.sites) {
			for _, id := range sortedKeys(s.sites[name].messages) {
				if len(old) < limit && s.sites[name].messages[id].Prunable(before) {
					old = append(old, pushsvc.MessageName{Site: name, ID: id})
				}
			}
		}
		return nil
	})
	return old, err
}

// PruneMessage implements pushsvc.MessageStore.
func (s *Store) PruneMessage(ctx context.Context, name pushsvc.MessageName, before time.Time) (pruned bool, err error) {
	err = s.tx(ctx, func() error {
		st := s.raw(name.Site)
		if m := st.messages[name.ID]; m != nil && m.Prunable(before) {
			delete(st.messages, name.ID)
			maps.DeleteFunc(st.idem, func(_ string, r record) bool { return r.message == name.ID })
			pruned = true
		}
		return nil
	})
	return pruned, err
}

// AddReceipts implements pushsvc.MessageStore.
func (s *Store) AddReceipts(ctx context.Context, name, id string, receipts []pushsvc.Receipt) (int, error) {
	return on(ctx, s, name, func(st *site) (added int, _ error) {
		st.pullMessage(id)
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
