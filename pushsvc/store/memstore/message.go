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

// CreateMessage implements pushsvc.MessageStore.
func (s *Store) CreateMessage(ctx context.Context, m pushsvc.Message, idem pushsvc.Idempotency) (pushsvc.Message, bool, error) {
	if err := pushsvc.CheckMessage(m, idem); err != nil {
		return pushsvc.Message{}, false, fmt.Errorf("storing a message of %s: %w", m.Site, err)
	}
	if err := s.enter(ctx); err != nil {
		return pushsvc.Message{}, false, err
	}
	defer s.mu.Unlock()
	m.Site = s.current(m.Site)
	st := s.sites[m.Site]
	if st == nil {
		return pushsvc.Message{}, false, pushsvc.ErrNotFound
	}
	stored := st.idem[idem.Key]
	if repeats, err := idem.Repeats(stored.Idempotency, m.Created); err != nil {
		return pushsvc.Message{}, false, err
	} else if old := st.messages[stored.message]; repeats && old != nil {
		return old.copy(), false, nil
	}
	if old := st.messages[m.ID]; old != nil {
		return old.copy(), false, nil
	}
	if _, there := st.subs[m.Only]; m.Only != 0 && !there {
		return pushsvc.Message{}, false, pushsvc.ErrNotFound
	}
	if len(s.coming(m.Site)) > 0 {
		return pushsvc.Message{}, false, pushsvc.ErrSiteMoving
	}
	row := st.plan(m)
	st.messages[m.ID] = row
	if idem.Key != "" {
		st.idem[idem.Key] = record{idem, m.ID}
	}
	return row.copy(), true, nil
}

// plan makes the row of a new message with its ranges.
func (st *site) plan(m pushsvc.Message) *message {
	last := pushsvc.SubscriptionID(0)
	for id := range st.subs {
		last = max(last, id)
	}
	row := &message{parts: map[int]*part{}, later: map[pushsvc.SubscriptionID]pushsvc.Retry{}, receipts: map[pushsvc.Receipt]bool{}}
	var ranges []pushsvc.Range
	row.Message, ranges = m.Plan(int64(len(st.subs)), last)
	row.Message = row.copy() // the content is the caller's
	for _, r := range ranges {
		row.parts[r.N] = &part{RangeRow: pushsvc.RangeRow{Range: r}, notes: map[pushsvc.SubscriptionID]pushsvc.Outcome{}}
	}
	return row
}

// copy shares nothing with the row that either side may change.
func (m *message) copy() pushsvc.Message {
	out := m.Message
	out.Progress.Failed, out.Progress.Reasons = maps.Clone(m.Progress.Failed), maps.Clone(m.Progress.Reasons)
	out.Topics, out.Answers = slices.Clone(m.Topics), maps.Clone(m.Answers)
	c := &out.Content
	c.Actions = slices.Clone(c.Actions)
	c.Vibrate = slices.Clone(c.Vibrate)
	c.Data = slices.Clone(c.Data)
	if c.TTL != nil {
		ttl := *c.TTL
		c.TTL = &ttl
	}
	return out
}

// Message implements pushsvc.MessageStore.
func (s *Store) Message(ctx context.Context, name, id string) (pushsvc.Message, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.Message{}, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	m := s.message(name, id)
	if m == nil {
		return pushsvc.Message{}, pushsvc.ErrNotFound
	}
	return m.copy(), nil
}

// message finds one, or nil.
func (s *Store) message(name, id string) *message {
	if st := s.sites[name]; st != nil {
		return st.messages[id]
	}
	return nil
}

// MessagePage implements pushsvc.MessageStore.
func (s *Store) MessagePage(ctx context.Context, name, before string, limit int) ([]pushsvc.Message, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	st := s.sites[name]
	if st == nil {
		return nil, nil
	}
	var page []pushsvc.Message
	for _, id := range slices.Backward(sortedKeys(st.messages)) {
		if (before == "" || id < before) && len(page) < limit {
			page = append(page, st.messages[id].copy())
		}
	}
	return page, nil
}

// Unfinished implements pushsvc.MessageStore.
func (s *Store) Unfinished(ctx context.Context, after string, limit int) ([]pushsvc.Message, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var open []*message
	for name, st := range s.sites {
		if s.current(name) != name {
			continue
		}
		for id, m := range st.messages {
			if id > after && !m.Idle(s.now()) {
				open = append(open, m)
			}
		}
	}
	slices.SortFunc(open, func(a, b *message) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Site, b.Site)) })
	var page []pushsvc.Message
	for _, m := range open[:min(max(limit, 0), len(open))] {
		page = append(page, m.copy())
	}
	return page, nil
}

// Prunable implements pushsvc.MessageStore.
func (s *Store) Prunable(ctx context.Context, before time.Time, limit int) (old []pushsvc.MessageName, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	for _, name := range sortedKeys(s.sites) {
		for _, id := range sortedKeys(s.sites[name].messages) {
			if len(old) < limit && s.sites[name].messages[id].Prunable(before) {
				old = append(old, pushsvc.MessageName{Site: name, ID: id})
			}
		}
	}
	return old, nil
}

// PruneMessage implements pushsvc.MessageStore.
func (s *Store) PruneMessage(ctx context.Context, name pushsvc.MessageName, before time.Time) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.mu.Unlock()
	st, m := s.sites[name.Site], s.message(name.Site, name.ID)
	if m == nil || !m.Prunable(before) {
		return false, nil
	}
	delete(st.messages, name.ID)
	maps.DeleteFunc(st.idem, func(_ string, r record) bool { return r.message == name.ID })
	return true, nil
}

// AddReceipts implements pushsvc.MessageStore.
func (s *Store) AddReceipts(ctx context.Context, name, id string, receipts []pushsvc.Receipt) (added int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	s.pullMessage(name, id)
	m := s.message(name, id)
	if m == nil {
		return 0, nil
	}
	for _, r := range receipts {
		if !m.receipts[r] && m.Progress.Receive(r.Kind) {
			m.receipts[r] = true
			added++
		}
	}
	return added, nil
}
