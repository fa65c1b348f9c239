package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// created is the result of CreateMessage.
type created struct {
	row pushsvc.Message
	new bool
}

// CreateMessage implements pushsvc.MessageStore. If the message's id is known, it
// returns the stored message and created false.
func (s *Store) CreateMessage(ctx context.Context, m pushsvc.Message, idem pushsvc.Idempotency) (pushsvc.Message, bool, error) {
	if err := pushsvc.CheckMessage(m, idem); err != nil {
		return pushsvc.Message{}, false, fmt.Errorf("storing a message of %s: %w", m.Site, err)
	}
	out, err := write(ctx, s, func(w *writeTx) (created, error) { return w.createMessage(m, idem) })
	if err != nil {
		return pushsvc.Message{}, false, fmt.Errorf("storing message %s of %s: %w", m.ID, m.Site, err)
	}
	return out.row, out.new, nil
}

func (w *writeTx) createMessage(m pushsvc.Message, idem pushsvc.Idempotency) (created, error) {
	if _, ok := openSite(w.tx, m.Site); !ok && m.Only != 0 {
		return created{}, pushsvc.ErrNotFound
	}
	st, err := w.makeSite(m.Site)
	if err != nil {
		return created{}, err
	}
	m.Site = st.name
	n := st.counts(w.s.report)
	var row message
	var ranges []pushsvc.Range
	row.Message, ranges, err = m.Create(idem, pushsvc.Creation{
		Request: st.request,
		Message: func(id string) (pushsvc.Message, error) {
			row, err := st.message(id)
			return row.Message, err
		},
		Unmoved:      func() error { return w.unmoved(st.name) },
		Subscription: func(id pushsvc.SubscriptionID) (pushsvc.Subscription, error) { return st.subscription(idKey(id)) },
		Audience:     func() (int64, pushsvc.SubscriptionID) { return int64(n.subscriptions), st.lastID() },
	})
	if err != nil || len(ranges) == 0 {
		return created{row: row.Message}, err
	}
	n.messages++
	if row.open, err = w.putRanges(st, ranges); err != nil {
		return created{}, err
	}
	if err := errors.Join(
		st.putContent(w, row.Message),
		st.putProgress(w, row),
		st.putCounts(w, n),
		w.putUnfinished(m.ID, m.Site),
		st.remember(w, idem, m),
	); err != nil {
		return created{}, err
	}
	row, err = st.message(m.ID) // as any later read returns it
	return created{row: row.Message, new: true}, err
}

// lastID returns the highest subscription id of the site.
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

// MessagePage implements pushsvc.MessageStore. It skips damaged rows and reports
// them to Options.OnDamage.
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

// Unfinished implements pushsvc.MessageStore. It skips damaged rows and reports
// them to Options.OnDamage.
func (s *Store) Unfinished(ctx context.Context, after string, limit int) ([]pushsvc.Message, error) {
	page, err := read(ctx, s, func(tx *bolt.Tx) ([]pushsvc.Message, error) {
		return unfinished(tx, s.clock(), after, limit, s.report), nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing unfinished messages: %w", err)
	}
	return page, nil
}
