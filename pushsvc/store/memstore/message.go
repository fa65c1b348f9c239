package memstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// CreateMessage implements pushsvc.MessageStore.
func (s *Store) CreateMessage(ctx context.Context, m pushsvc.Message, idem pushsvc.Idempotency) (pushsvc.Message, bool, error) {
	if m.ID == "" || len(m.ID) > 255 || len(idem.Key) > 255 {
		return pushsvc.Message{}, false, errors.New("storing a message: no valid id, or the idempotency key is too long")
	}
	if err := s.enter(ctx); err != nil {
		return pushsvc.Message{}, false, err
	}
	defer s.mu.Unlock()
	st := s.sites[m.Site]
	if st == nil {
		return pushsvc.Message{}, false, pushsvc.ErrNotFound
	}
	if r, ok := st.idem[idem.Key]; ok && idem.Key != "" && m.Created.Before(r.Expires) {
		if r.RequestHash != idem.RequestHash {
			return pushsvc.Message{}, false, pushsvc.ErrIdempotencyConflict
		}
		return st.messages[r.message].copy(), false, nil
	}
	if old := st.messages[m.ID]; old != nil {
		return old.copy(), false, nil
	}
	n := int64(len(st.subs))
	row := &message{Message: pushsvc.Message{
		ID: m.ID, Site: m.Site, Content: m.Content, State: pushsvc.StateQueued, Created: utc(m.Created),
		Progress: pushsvc.Progress{Audience: n, Pending: n, Failed: map[string]int64{}},
	}}
	for id := range st.subs {
		row.Until = max(row.Until, id)
	}
	row.Message = row.copy() // the content is the caller's
	st.messages[m.ID] = row
	if idem.Key != "" {
		st.idem[idem.Key] = record{idem, m.ID}
	}
	return row.copy(), true, nil
}

// copy shares nothing with the row that either side may change.
func (m *message) copy() pushsvc.Message {
	out := m.Message
	out.Progress.Failed = maps.Clone(m.Progress.Failed)
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
func (s *Store) Unfinished(ctx context.Context, limit int) ([]pushsvc.Message, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	open := map[string]*message{} // by id and site
	for name, st := range s.sites {
		for id, m := range st.messages {
			if m.State != pushsvc.StateDone {
				open[id+"\x00"+name] = m
			}
		}
	}
	var page []pushsvc.Message
	for _, k := range sortedKeys(open) {
		if len(page) < limit {
			page = append(page, open[k].copy())
		}
	}
	return page, nil
}

// Claim implements pushsvc.MessageStore.
func (s *Store) Claim(ctx context.Context, name, id, owner string, now, until time.Time) (pushsvc.Message, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.Message{}, err
	}
	defer s.mu.Unlock()
	m := s.message(name, id)
	switch {
	case m == nil || m.State == pushsvc.StateDone:
		return pushsvc.Message{}, pushsvc.ErrNotFound
	case m.Lease.After(now):
		return pushsvc.Message{}, pushsvc.ErrLeaseHeld
	}
	m.State, m.Owner, m.Lease = pushsvc.StateSending, owner, utc(until)
	m.Epoch++
	if m.Started.IsZero() {
		m.Started = utc(now)
	}
	return m.copy(), nil
}

// Checkpoint implements pushsvc.MessageStore.
func (s *Store) Checkpoint(ctx context.Context, c pushsvc.Checkpoint) (pushsvc.Message, error) {
	for reason, n := range c.Failed {
		if n < 0 {
			return pushsvc.Message{}, fmt.Errorf("checkpoint: failed[%q] is negative", reason)
		}
	}
	if c.Accepted < 0 {
		return pushsvc.Message{}, errors.New("checkpoint: accepted is negative")
	}
	if err := s.enter(ctx); err != nil {
		return pushsvc.Message{}, err
	}
	defer s.mu.Unlock()
	m := s.message(c.Site, c.MessageID)
	switch {
	case m == nil:
		return pushsvc.Message{}, pushsvc.ErrNotFound
	case m.Epoch != c.Epoch:
		return pushsvc.Message{}, pushsvc.ErrLeaseLost
	case m.last != nil && same(*m.last, c):
		return m.copy(), nil
	case m.State == pushsvc.StateDone:
		return pushsvc.Message{}, pushsvc.ErrLeaseLost
	}
	for _, id := range c.Gone {
		s.sites[c.Site].drop(id)
	}
	m.apply(c)
	return m.copy(), nil
}

func same(a, b pushsvc.Checkpoint) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

func (m *message) apply(c pushsvc.Checkpoint) {
	p := &m.Progress
	p.Accepted += c.Accepted
	p.Gone += int64(len(c.Gone))
	for reason, n := range c.Failed {
		p.Failed[reason] += n
	}
	p.Pending = p.Audience - p.Accepted - p.Gone - p.Left - p.FailedTotal()
	if p.Pending < 0 {
		p.Audience -= p.Pending
		p.Pending = 0
	}
	m.Cursor, m.Lease = max(m.Cursor, c.Cursor), utc(c.Lease)
	if c.Lease.IsZero() {
		m.Owner = ""
	}
	if c.Done {
		p.Left, p.Pending = p.Left+p.Pending, 0
		m.State, m.Finished, m.Lease, m.Owner = pushsvc.StateDone, utc(c.At), time.Time{}, ""
	}
	c.Gone, c.Failed = slices.Clone(c.Gone), maps.Clone(c.Failed)
	m.last = &c
}

// AddReceipts implements pushsvc.MessageStore.
func (s *Store) AddReceipts(ctx context.Context, name string, receipts []pushsvc.Receipt) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	added := 0
	for _, r := range receipts {
		m := s.message(name, r.MessageID)
		if m == nil || s.sites[name].receipts[r] {
			continue
		}
		switch r.Kind {
		case pushsvc.ReceiptShown:
			m.Progress.Shown++
		case pushsvc.ReceiptClicked:
			m.Progress.Clicked++
		case pushsvc.ReceiptClosed:
			m.Progress.Closed++
		default:
			continue
		}
		s.sites[name].receipts[r] = true
		added++
	}
	return added, nil
}
