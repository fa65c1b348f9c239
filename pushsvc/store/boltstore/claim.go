package boltstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// moved is what a call gives back that moves a message on.
type moved struct {
	m message
	p part
	// due says that p has been claimed.
	due bool
}

// Claim implements pushsvc.MessageStore. A damaged range is passed over and
// told to Options.OnDamage: it keeps the message from being done, not the
// other ranges from being sent.
func (s *Store) Claim(ctx context.Context, name, id, owner string, now, until time.Time) (pushsvc.Message, pushsvc.Range, error) {
	out, err := write(ctx, s, func(w *writeTx) (moved, error) { return w.claim(name, id, owner, now, until) })
	if err != nil {
		return pushsvc.Message{}, pushsvc.Range{}, fmt.Errorf("claiming message %q of %s: %w", id, name, err)
	}
	if out.m.State.Final() {
		s.notes.forget(out.m.Site, id)
	}
	if !out.due {
		return out.m.Message, pushsvc.Range{}, fmt.Errorf("claiming message %q of %s: %w", id, name, pushsvc.ErrNothingDue)
	}
	// What an engine of an older epoch notes before this line is in the
	// range's notes, and afterwards it is refused.
	noted := s.notes.claimed(out.p)
	if len(noted) > 0 {
		out.p.Noted, err = read(ctx, s, func(tx *bolt.Tx) ([]pushsvc.Outcome, error) {
			st, _ := openSite(tx, name)
			return st.fresh(out.p, noted), nil
		})
		if err != nil {
			return pushsvc.Message{}, pushsvc.Range{}, fmt.Errorf("claiming message %q of %s: %w", id, name, err)
		}
	}
	return out.m.Message, out.p.Range, nil
}

func (w *writeTx) claim(name, id, owner string, now, until time.Time) (moved, error) {
	st, ok := openSite(w.tx, name)
	if !ok {
		return moved{}, pushsvc.ErrNotFound
	}
	m, err := st.message(id)
	switch {
	case err != nil:
		return moved{}, err
	case m.State.Final():
		return moved{}, pushsvc.ErrNotFound
	case m.State == pushsvc.StateCancelling:
		err := w.endCancelled(st, &m, now)
		return moved{m: m}, err
	case m.State.Rests(), m.SendAt.After(now):
		return moved{m: m}, nil
	}
	p, ok := st.free(m, now, w.s.report)
	if !ok {
		return moved{m: m}, nil
	}
	p.Owner, p.Lease = owner, until.UTC().Round(0)
	p.Epoch++
	if err := st.putPart(w, p); err != nil {
		return moved{}, err
	}
	if m.State != pushsvc.StateSending {
		m.State = pushsvc.StateSending
		if m.Started.IsZero() {
			m.Started = now.UTC().Round(0)
		}
		if err := st.putProgress(w, m); err != nil {
			return moved{}, err
		}
	}
	return moved{m: m, p: p, due: true}, nil
}

// free finds a range that can be claimed.
func (s site) free(m message, now time.Time, report func(error)) (found part, ok bool) {
	due := !m.NextTry.IsZero() && !m.NextTry.After(now)
	s.parts(m.ID, report, func(n int, done bool) bool { return n >= 0 && !done || n < 0 && due }, func(p part) bool {
		if !p.done && !p.Lease.After(now) {
			found, ok = p, true
		}
		return !ok
	})
	return found, ok
}

// leased says whether an engine has a range of the message.
func (s site) leased(id string, now time.Time, report func(error)) (leased bool) {
	s.parts(id, report, func(_ int, done bool) bool { return !done }, func(p part) bool {
		leased = p.Lease.After(now)
		return !leased
	})
	return leased
}

// fresh gives those of the noted outcomes that no checkpoint has settled.
func (s site) fresh(p part, noted []pushsvc.Outcome) (out []pushsvc.Outcome) {
	settled := p.settled(s.shelf(siteLater, p.MessageID))
	for _, o := range noted {
		if !settled(o.ID) && !s.retried(p, o) {
			out = append(out, o)
		}
	}
	return out
}

// settled makes a test for ids that a checkpoint has dealt with.
func (p part) settled(later shelf) func(pushsvc.SubscriptionID) bool {
	if p.N == pushsvc.LaterRange {
		return func(id pushsvc.SubscriptionID) bool { return later.b == nil || later.b.Get(laterKey(id)) == nil }
	}
	above := make(map[pushsvc.SubscriptionID]bool, len(p.Settled))
	for _, id := range p.Settled {
		above[id] = true
	}
	return func(id pushsvc.SubscriptionID) bool { return id <= p.Cursor || above[id] }
}

// retried says whether a retry that was noted is in the queue already.
func (s site) retried(p part, o pushsvc.Outcome) bool {
	if p.N != pushsvc.LaterRange || o.Kind != pushsvc.OutcomeLater {
		return false
	}
	r, there, err := s.shelf(siteLater, p.MessageID).retry(o.ID)
	return there && err == nil && (o.Attempt < r.Attempt || o.Attempt == r.Attempt && !o.Due.After(r.Due))
}

// RangePage implements pushsvc.MessageStore. Damaged rows are passed over and
// told to Options.OnDamage.
func (s *Store) RangePage(ctx context.Context, r pushsvc.Range, after pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	page, err := s.subscriptionPage(ctx, r.Site, max(after, r.Cursor), r.Until, limit)
	if err != nil {
		return nil, fmt.Errorf("reading range %d of message %q of %s: %w", r.N, r.MessageID, r.Site, err)
	}
	return page, nil
}

// LaterPage implements pushsvc.MessageStore. Of a damaged retry the time and
// id are given, with one attempt.
func (s *Store) LaterPage(ctx context.Context, name, id string, now time.Time, limit int) ([]pushsvc.Retry, error) {
	page, err := read(ctx, s, func(tx *bolt.Tx) ([]pushsvc.Retry, error) {
		st, ok := openSite(tx, name)
		if !ok || id == "" {
			return nil, pushsvc.ErrNotFound
		}
		if b := st.b.Bucket([]byte(siteMessages)); b == nil || b.Get([]byte(id)) == nil {
			return nil, pushsvc.ErrNotFound
		}
		return st.shelf(siteLater, id).duePage(now, limit, s.report), nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading retries of message %q of %s: %w", id, name, err)
	}
	return page, nil
}

// Note implements pushsvc.MessageStore: the outcomes are appended to a file
// next to the database.
func (s *Store) Note(ctx context.Context, r pushsvc.Range, outcomes []pushsvc.Outcome) error {
	epoch := func() (int64, error) { return s.epoch(ctx, r) }
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return pushsvc.ErrClosed
	}
	if err := s.notes.add(r, outcomes, epoch); err != nil {
		return fmt.Errorf("noting outcomes of message %q of %s: %w", r.MessageID, r.Site, err)
	}
	return nil
}

// epoch reads the epoch of a range on which somebody may be working; 0 where
// nobody may.
func (s *Store) epoch(ctx context.Context, r pushsvc.Range) (int64, error) {
	return readOpen(ctx, s, func(tx *bolt.Tx) (int64, error) {
		st, ok := openSite(tx, r.Site)
		if !ok {
			return 0, pushsvc.ErrNotFound
		}
		p, err := st.part(r.MessageID, r.N)
		if errors.Is(err, pushsvc.ErrNotFound) {
			return 0, err
		}
		state, err2 := st.progress(r.MessageID)
		if err := errors.Join(err, err2); err != nil {
			return 0, err
		}
		if p.done || state.State.Final() {
			return 0, nil
		}
		return p.Epoch, nil
	})
}
