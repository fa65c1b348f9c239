package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// created is what CreateMessage gives back.
type created struct {
	row pushsvc.Message
	new bool
}

// CreateMessage implements pushsvc.MessageStore. A message whose id is known
// already is given back as it is, created false.
func (s *Store) CreateMessage(ctx context.Context, m pushsvc.Message, idem pushsvc.Idempotency) (pushsvc.Message, bool, error) {
	if m.ID == "" || len(m.ID) > maxID {
		return pushsvc.Message{}, false, fmt.Errorf("storing a message: its id has %d bytes, not 1 to %d", len(m.ID), maxID)
	}
	if len(idem.Key) > maxIdempotencyKey {
		return pushsvc.Message{}, false, fmt.Errorf("storing message %s: the idempotency key has more than %d bytes", m.ID, maxIdempotencyKey)
	}
	out, err := write(ctx, s, func(w *writeTx) (created, error) { return w.createMessage(m, idem) })
	if err != nil {
		return pushsvc.Message{}, false, fmt.Errorf("storing message %s of %s: %w", m.ID, m.Site, err)
	}
	return out.row, out.new, nil
}

func (w *writeTx) createMessage(m pushsvc.Message, idem pushsvc.Idempotency) (created, error) {
	st, ok := openSite(w.tx, m.Site)
	if !ok {
		return created{}, pushsvc.ErrNotFound
	}
	if id, err := st.seen(idem, m.Created); err != nil {
		return created{}, err
	} else if id != "" {
		row, err := st.message(id)
		return created{row: row.Message}, err
	}
	if row, err := st.message(m.ID); !errors.Is(err, pushsvc.ErrNotFound) {
		return created{row: row.Message}, err
	}

	n := st.counts(w.s.report)
	audience := int64(n.subscriptions)
	row := message{Message: pushsvc.Message{
		ID: m.ID, Site: m.Site, Content: m.Content,
		State: pushsvc.StateQueued, Created: m.Created.UTC(), Until: st.lastID(),
		Progress: pushsvc.Progress{Audience: audience, Pending: audience},
	}}
	n.messages++
	if err := errors.Join(
		st.putMessage(w, row),
		st.putCounts(w, n),
		w.putUnfinished(m.ID, m.Site),
		st.remember(w, idem, m),
	); err != nil {
		return created{}, err
	}
	row, err := st.message(m.ID) // as any later read will give it
	return created{row: row.Message, new: true}, err
}

// lastID is the highest subscription id of the site.
func (s site) lastID() pushsvc.SubscriptionID {
	b := s.b.Bucket([]byte(siteSubs))
	if b == nil {
		return 0
	}
	k, _ := b.Cursor().Last()
	if len(k) != 8 {
		return 0
	}
	return pushsvc.SubscriptionID(binary.BigEndian.Uint64(k))
}

// Message implements pushsvc.MessageStore.
func (s *Store) Message(ctx context.Context, name, id string) (pushsvc.Message, error) {
	m, err := read(ctx, s, func(tx *bolt.Tx) (message, error) {
		st, ok := openSite(tx, name)
		if !ok {
			return message{}, pushsvc.ErrNotFound
		}
		return st.message(id)
	})
	if err != nil {
		return pushsvc.Message{}, fmt.Errorf("reading message %q of %s: %w", id, name, err)
	}
	return m.Message, nil
}

// MessagePage implements pushsvc.MessageStore. Damaged rows are passed over
// and told to Options.OnDamage.
func (s *Store) MessagePage(ctx context.Context, name, before string, limit int) ([]pushsvc.Message, error) {
	page, err := read(ctx, s, func(tx *bolt.Tx) (page []pushsvc.Message, err error) {
		st, ok := openSite(tx, name)
		if !ok {
			return nil, nil
		}
		b := st.b.Bucket([]byte(siteMessages))
		if b == nil {
			return nil, nil
		}
		c := b.Cursor()
		k, _ := c.Last()
		if before != "" {
			if at, _ := c.Seek([]byte(before)); at != nil {
				k, _ = c.Prev()
			} else {
				k, _ = c.Last()
			}
		}
		for ; k != nil && len(page) < limit; k, _ = c.Prev() {
			m, err := st.message(string(k))
			if err != nil {
				s.report(err)
				continue
			}
			page = append(page, m.Message)
		}
		return page, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing messages of %s: %w", name, err)
	}
	return page, nil
}

// Unfinished implements pushsvc.MessageStore. Damaged rows are passed over and
// told to Options.OnDamage.
func (s *Store) Unfinished(ctx context.Context, limit int) ([]pushsvc.Message, error) {
	page, err := read(ctx, s, func(tx *bolt.Tx) ([]pushsvc.Message, error) {
		return unfinished(tx, limit, s.report), nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing unfinished messages: %w", err)
	}
	return page, nil
}

// Claim implements pushsvc.MessageStore.
func (s *Store) Claim(ctx context.Context, name, id, owner string, now, until time.Time) (pushsvc.Message, error) {
	m, err := write(ctx, s, func(w *writeTx) (message, error) {
		st, ok := openSite(w.tx, name)
		if !ok {
			return message{}, pushsvc.ErrNotFound
		}
		m, err := st.message(id)
		switch {
		case err != nil:
			return message{}, err
		case m.State == pushsvc.StateDone:
			return message{}, pushsvc.ErrNotFound
		case m.Lease.After(now):
			return message{}, pushsvc.ErrLeaseHeld
		}
		m.Owner, m.Lease, m.State = owner, until.UTC(), pushsvc.StateSending
		m.Epoch++
		if m.Started.IsZero() {
			m.Started = now.UTC()
		}
		if err := st.putMessage(w, m); err != nil {
			return message{}, err
		}
		return st.message(id)
	})
	if err != nil {
		return pushsvc.Message{}, fmt.Errorf("claiming message %q of %s: %w", id, name, err)
	}
	return m.Message, nil
}

// Checkpoint implements pushsvc.MessageStore.
func (s *Store) Checkpoint(ctx context.Context, c pushsvc.Checkpoint) (pushsvc.Message, error) {
	if err := validate(c); err != nil {
		return pushsvc.Message{}, err
	}
	m, err := write(ctx, s, func(w *writeTx) (message, error) { return w.checkpoint(c) })
	if err != nil {
		return pushsvc.Message{}, fmt.Errorf("checkpoint of message %q of %s: %w", c.MessageID, c.Site, err)
	}
	return m.Message, nil
}

func validate(c pushsvc.Checkpoint) error {
	if c.Accepted < 0 {
		return errors.New("checkpoint: accepted is negative")
	}
	for reason, n := range c.Failed {
		if n < 0 {
			return fmt.Errorf("checkpoint: failed[%q] is negative", reason)
		}
	}
	return nil
}

func (w *writeTx) checkpoint(c pushsvc.Checkpoint) (message, error) {
	st, ok := openSite(w.tx, c.Site)
	if !ok {
		return message{}, pushsvc.ErrNotFound
	}
	m, err := st.message(c.MessageID)
	switch {
	case err != nil:
		return message{}, err
	case m.Epoch != c.Epoch:
		return message{}, pushsvc.ErrLeaseLost
	case m.last != "" && m.last == digest(c):
		return m, nil // repeated by a caller who didn't see it succeed
	case m.State == pushsvc.StateDone:
		return message{}, pushsvc.ErrLeaseLost
	}
	if _, err := w.removeIDs(st, c.Gone); err != nil {
		return message{}, err
	}
	m.apply(c)
	if err := st.putMessage(w, m); err != nil {
		return message{}, err
	}
	if c.Done {
		if err := w.deleteUnfinished(m.ID, m.Site); err != nil {
			return message{}, err
		}
	}
	return st.message(c.MessageID)
}
