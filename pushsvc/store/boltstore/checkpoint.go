package boltstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Checkpoint implements pushsvc.MessageStore.
func (s *Store) Checkpoint(ctx context.Context, c pushsvc.Checkpoint) (pushsvc.Message, pushsvc.Range, error) {
	out, err := write(ctx, s, func(w *writeTx) (moved, error) { return w.checkpoint(c) })
	if err != nil {
		return pushsvc.Message{}, pushsvc.Range{}, fmt.Errorf("checkpoint of message %q of %s: %w", c.MessageID, c.Site, err)
	}
	if out.m.State.Final() {
		s.notes.forget(c.Site, c.MessageID)
	} else {
		s.notes.settled(out.p, c.Outcomes)
	}
	return out.m.Message, out.p.Range, nil
}

func (w *writeTx) checkpoint(c pushsvc.Checkpoint) (moved, error) {
	st, ok := openSite(w.tx, c.Site)
	if !ok {
		return moved{}, pushsvc.ErrNotFound
	}
	m, err := st.message(c.MessageID)
	if err != nil {
		return moved{}, err
	}
	p, err := st.part(c.MessageID, c.Range)
	if err != nil {
		return moved{}, err
	}
	apply, err := p.Accept(&m.Message, &c)
	if err != nil || !apply {
		p.Engines = st.engines(m.ID, w.s.clock(), w.s.report)
		return moved{m: m, p: p}, err
	}
	now := w.s.clock()
	e, ended := m.Apply(&p.Range, &c, now, st.retries(m.ID, w.s.report))
	if err := w.carryOutcomes(st, &m, e, c.At); err != nil {
		return moved{}, err
	}
	if ended {
		m.open--
	}
	if err := st.putPart(w, p); err != nil {
		return moved{}, err
	}
	p.Engines = st.engines(m.ID, now, w.s.report)
	if m.EndDone(m.open, c.At) {
		err = w.ended(st, &m)
	} else {
		err = w.endCancelled(st, &m, now, c.At)
	}
	if err == nil {
		err = st.putProgress(w, m)
	}
	return moved{m: m, p: p}, err
}

// carryOutcomes writes the effects of outcomes.
func (w *writeTx) carryOutcomes(st site, m *message, e pushsvc.Effects, at time.Time) error {
	later := st.messageBucket(siteLater, m.ID)
	for _, id := range e.Dropped {
		if _, _, err := later.dropRetry(w, id); err != nil {
			return err
		}
	}
	if len(e.Later) > 0 {
		var err error
		if later, err = w.makeMessageBucket(st, siteLater, m.ID); err != nil {
			return err
		}
	}
	for _, r := range e.Later {
		if _, _, err := later.dropRetry(w, r.ID); err != nil {
			return err
		}
		if err := later.putRetry(w, r); err != nil {
			return err
		}
	}
	m.NextTry = later.nextTry()
	if _, err := w.removeIDs(st, e.Gone); err != nil {
		return err
	}
	return w.doubt(st, e.Doubted, at)
}

// doubt stores when subscriptions were first reported as gone.
func (w *writeTx) doubt(st site, ids []pushsvc.SubscriptionID, at time.Time) error {
	for _, id := range ids {
		sub, err := st.subscription(idKey(id))
		if err != nil || !sub.Doubt(at) {
			continue // gone, damaged, or doubted before
		}
		if err := st.put(w, siteSubs, idKey(id), packSubscription(&sub)); err != nil {
			return err
		}
	}
	return nil
}

// ended writes the effects of a message's final state. Its ranges stay, so that a
// repeated checkpoint is recognised.
func (w *writeTx) ended(st site, m *message) error {
	if err := st.messageBucket(siteLater, m.ID).drop(w); err != nil {
		return err
	}
	return w.deleteUnfinished(m.ID, m.Site)
}
