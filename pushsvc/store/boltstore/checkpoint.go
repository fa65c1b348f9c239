package boltstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Checkpoint implements pushsvc.MessageStore.
func (s *Store) Checkpoint(ctx context.Context, c pushsvc.Checkpoint) (pushsvc.Message, pushsvc.Range, error) {
	if err := c.Validate(); err != nil {
		return pushsvc.Message{}, pushsvc.Range{}, err
	}
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
	sum := digest(c)
	switch {
	case p.Epoch != c.Epoch || p.Epoch == 0:
		return moved{}, pushsvc.ErrLeaseLost
	case p.last == sum:
		return moved{m: m, p: p}, nil // repeated by a caller who didn't see it succeed
	case p.done || m.State.Final():
		return moved{}, pushsvc.ErrLeaseLost
	}
	if err := w.apply(st, &m, p, c.Outcomes, c.At); err != nil {
		return moved{}, err
	}
	if p.Move(c) {
		p.done = true
		m.open--
	}
	p.last = sum
	if err := st.putPart(w, p); err != nil {
		return moved{}, err
	}
	switch {
	case m.State == pushsvc.StateCancelling:
		err = w.endCancelled(st, &m, c.At)
	case m.open <= 0:
		m.Progress.Close()
		if m.Progress.Later <= 0 {
			err = w.end(st, &m, pushsvc.StateDone, c.At)
		}
	}
	if err == nil {
		err = st.putProgress(w, m)
	}
	return moved{m: m, p: p}, err
}

// apply counts what became of recipients, unless that has been counted.
func (w *writeTx) apply(st site, m *message, p part, outcomes []pushsvc.Outcome, at time.Time) error {
	later := st.shelf(siteLater, m.ID)
	settled := p.settled(later)
	var gone, doubted []pushsvc.SubscriptionID
	for _, o := range outcomes {
		if settled(o.ID) {
			continue
		}
		var from *pushsvc.Retry
		if p.N == pushsvc.LaterRange {
			retry, _, err := later.dropRetry(w, o.ID)
			if err != nil {
				return err
			}
			from = &retry
		}
		switch o.Kind {
		case pushsvc.OutcomeGone:
			gone = append(gone, o.ID)
		case pushsvc.OutcomeQuarantined:
			doubted = append(doubted, o.ID)
		case pushsvc.OutcomeLater:
			var err error
			if later, err = w.putLater(st, m.ID, o); err != nil {
				return err
			}
		}
		m.Progress.Count(o, from)
	}
	m.NextTry = later.nextTry()
	if _, err := w.removeIDs(st, gone); err != nil {
		return err
	}
	return w.doubt(st, doubted, at)
}

func (w *writeTx) putLater(st site, id string, o pushsvc.Outcome) (shelf, error) {
	later, err := w.makeShelf(st, siteLater, id)
	if err != nil {
		return later, err
	}
	due := o.Due.UTC().Truncate(time.Millisecond)
	if _, _, err := later.dropRetry(w, o.ID); err != nil { // one that is there twice
		return later, err
	}
	return later, later.putRetry(w, pushsvc.Retry{ID: o.ID, Attempt: o.Attempt, Due: due, Reason: o.Reason})
}

// doubt remembers when subscriptions were first said to be gone.
func (w *writeTx) doubt(st site, ids []pushsvc.SubscriptionID, at time.Time) error {
	for _, id := range ids {
		sub, err := st.subscription(idKey(id))
		if err != nil || !sub.Doubted.IsZero() {
			continue // gone, or damaged, or doubted already
		}
		sub.Doubted = at.Truncate(time.Second)
		if err := st.put(w, siteSubs, idKey(id), packSubscription(&sub)); err != nil {
			return err
		}
	}
	return nil
}

// end makes a message final. Its ranges stay, so that a repeated checkpoint is
// known as one.
func (w *writeTx) end(st site, m *message, state pushsvc.State, at time.Time) error {
	m.State, m.Finished, m.NextTry = state, at.UTC().Round(0), time.Time{}
	if err := st.shelf(siteLater, m.ID).drop(w); err != nil {
		return err
	}
	return w.deleteUnfinished(m.ID, m.Site)
}

// digest tells a repeated checkpoint from a new one: their times differ.
func digest(c pushsvc.Checkpoint) (sum [8]byte) {
	p := make([]byte, 0, 128+4*len(c.Settled)+16*len(c.Outcomes))
	p = binary.AppendUvarint(p, uint64(c.Epoch))
	p = binary.AppendUvarint(p, uint64(c.Cursor))
	p = appendInstant(appendInstant(p, c.Lease), c.At)
	if c.Done {
		p = append(p, 1)
	}
	p = binary.AppendUvarint(p, uint64(len(c.Settled)))
	for _, id := range c.Settled {
		p = binary.AppendUvarint(p, uint64(id))
	}
	full := sha256.Sum256(packOutcomes(p, c.Outcomes))
	copy(sum[:], full[:])
	return sum
}
