package boltstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Checkpoint implements pushsvc.MessageStore.
func (s *Store) Checkpoint(ctx context.Context, c pushsvc.Checkpoint) (pushsvc.Message, pushsvc.Range, error) {
	if err := validate(c); err != nil {
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

func validate(c pushsvc.Checkpoint) error {
	switch {
	case len(c.Settled) > pushsvc.MaxSettled:
		return fmt.Errorf("checkpoint: %d settled ids, the most are %d", len(c.Settled), pushsvc.MaxSettled)
	case !slices.IsSorted(c.Settled):
		return errors.New("checkpoint: the settled ids don't rise")
	case c.Range == pushsvc.LaterRange && len(c.Settled) > 0:
		return errors.New("checkpoint: the range of retries has no settled ids")
	}
	for _, o := range c.Outcomes {
		if o.Kind < pushsvc.OutcomeAccepted || o.Kind > pushsvc.OutcomeQuarantined {
			return fmt.Errorf("checkpoint: an outcome of the unknown kind %d", o.Kind)
		}
	}
	return nil
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
	if p.move(c) {
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
		m.Progress.Left, m.Progress.Pending = m.Progress.Left+m.Progress.Pending, 0
		if m.Progress.Later <= 0 {
			err = w.end(st, &m, pushsvc.StateDone, c.At)
		}
	}
	if err == nil {
		err = st.putProgress(w, m)
	}
	return moved{m: m, p: p}, err
}

// move applies what the checkpoint says of the range itself, and says whether
// that ends it.
func (p *part) move(c pushsvc.Checkpoint) (ended bool) {
	p.Lease = time.Time{}
	if !c.Lease.IsZero() {
		p.Lease = c.Lease.UTC().Round(0)
	} else {
		p.Owner = ""
	}
	if p.N == pushsvc.LaterRange {
		return false
	}
	p.Cursor = max(p.Cursor, c.Cursor)
	p.Settled = nil
	for _, id := range c.Settled {
		if id > p.Cursor {
			p.Settled = append(p.Settled, id)
		}
	}
	if c.Done {
		p.done, p.Owner, p.Lease, p.Settled = true, "", time.Time{}, nil
	}
	return c.Done
}

// apply counts what became of recipients, unless that has been counted. What
// is more than there are (a damaged count at the start) raises the audience:
// the sum always balances, and a refusal would only make the engine send
// again.
func (w *writeTx) apply(st site, m *message, p part, outcomes []pushsvc.Outcome, at time.Time) error {
	later := st.shelf(siteLater, m.ID)
	settled := p.settled(later)
	var gone, doubted []pushsvc.SubscriptionID
	n := &m.Progress
	for _, o := range outcomes {
		if settled(o.ID) {
			continue
		}
		switch {
		case p.N == pushsvc.LaterRange:
			if _, err := later.dropRetry(w, o.ID); err != nil {
				return err
			}
			n.Later = max(n.Later, 1) - 1
		case n.Pending > 0:
			n.Pending--
		default:
			n.Audience++
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
		count(n, o)
	}
	m.NextTry = later.nextTry()
	if _, err := w.removeIDs(st, gone); err != nil {
		return err
	}
	return w.doubt(st, doubted, at)
}

func count(n *pushsvc.Progress, o pushsvc.Outcome) {
	switch o.Kind {
	case pushsvc.OutcomeAccepted:
		n.Accepted++
	case pushsvc.OutcomeGone:
		n.Gone++
	case pushsvc.OutcomeFailed:
		n.Failed[o.Reason]++
	case pushsvc.OutcomeQuarantined:
		n.Failed[pushsvc.ReasonQuarantined]++
	case pushsvc.OutcomeLater:
		n.Later++
	case pushsvc.OutcomeExpired:
		n.Expired++
	case pushsvc.OutcomeLeft:
		n.Left++
	}
}

func (w *writeTx) putLater(st site, id string, o pushsvc.Outcome) (shelf, error) {
	later, err := w.makeShelf(st, siteLater, id)
	if err != nil {
		return later, err
	}
	due := o.Due.UTC().Truncate(time.Millisecond)
	if _, err := later.dropRetry(w, o.ID); err != nil { // one that is there twice
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
