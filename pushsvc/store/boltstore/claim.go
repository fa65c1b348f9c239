package boltstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// moved is the result of a call that advances a message.
type moved struct {
	m message
	p part
	// due means that p has been claimed.
	due bool
}

// Claim implements pushsvc.MessageStore. It skips a damaged range and reports it
// to Options.OnDamage: the message then never becomes done, but its other ranges
// are sent.
func (s *Store) Claim(ctx context.Context, name, id, owner string, lease time.Duration) (pushsvc.Message, pushsvc.Range, error) {
	out, err := write(ctx, s, func(w *writeTx) (moved, error) { return w.claim(name, id, owner, lease) })
	if err != nil {
		return pushsvc.Message{}, pushsvc.Range{}, fmt.Errorf("claiming message %q of %s: %w", id, name, err)
	}
	if out.m.State.Final() {
		s.notes.forget(out.m.Site, id)
	}
	if !out.due {
		return out.m.Message, pushsvc.Range{}, fmt.Errorf("claiming message %q of %s: %w", id, name, pushsvc.ErrNothingDue)
	}
	// Notes of an engine with an older epoch are read here if they come earlier,
	// and refused if they come later.
	noted := s.notes.claimed(out.p)
	if len(noted) > 0 {
		out.p.Noted, err = read(ctx, s, func(tx *bolt.Tx) ([]pushsvc.Outcome, error) {
			st, _ := openSite(tx, name)
			return out.p.Unsettled(noted, st.retries(out.p.MessageID, s.report)), nil
		})
		if err != nil {
			return pushsvc.Message{}, pushsvc.Range{}, fmt.Errorf("claiming message %q of %s: %w", id, name, err)
		}
	}
	return out.m.Message, out.p.Range, nil
}

func (w *writeTx) claim(name, id, owner string, lease time.Duration) (moved, error) {
	now := w.s.clock()
	st, ok := openSite(w.tx, name)
	if !ok {
		return moved{}, pushsvc.ErrNotFound
	}
	m, err := st.message(id)
	if err != nil {
		return moved{}, err
	}
	switch err := m.MayClaim(now); {
	case errors.Is(err, pushsvc.ErrNothingDue):
		err := w.endCancelled(st, &m, now, now)
		return moved{m: m}, err
	case err != nil:
		return moved{}, err
	}
	p, ok := st.free(m, now, w.s.report)
	if !ok {
		return moved{m: m}, nil
	}
	p.Claim(owner, now, lease)
	if err := st.putPart(w, p); err != nil {
		return moved{}, err
	}
	if m.Begin(now) {
		if err := st.putProgress(w, m); err != nil {
			return moved{}, err
		}
	}
	p.Engines = st.engines(id, now, w.s.report)
	return moved{m: m, p: p, due: true}, nil
}

// free returns a range that can be claimed.
func (s site) free(m message, now time.Time, report func(error)) (found part, ok bool) {
	mayBe := func(n int, r rowFlags) bool { return m.MayBeFree(n, r.done, now) }
	s.parts(m.ID, report, mayBe, func(p part) bool {
		if p.Free(&m.Message, now) {
			found, ok = p, true
		}
		return !ok
	})
	return found, ok
}

// engines counts the owners that have leases on ranges of the message.
func (s site) engines(id string, now time.Time, report func(error)) int {
	owners := pushsvc.Engines{}
	s.parts(id, report, func(_ int, r rowFlags) bool { return r.claimed && !r.done }, func(p part) bool {
		owners.Add(&p.Range, now)
		return true
	})
	return len(owners)
}

// leased reports whether an engine has a lease on a range of the message.
func (s site) leased(id string, now time.Time, report func(error)) (leased bool) {
	s.parts(id, report, func(_ int, r rowFlags) bool { return r.claimed && !r.done }, func(p part) bool {
		leased = p.Leased(now)
		return !leased
	})
	return leased
}

// RangePage implements pushsvc.MessageStore. It skips damaged rows and reports
// them to Options.OnDamage.
func (s *Store) RangePage(ctx context.Context, r pushsvc.Range, after pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	page, err := s.subscriptionPage(ctx, r.Site, max(after, r.Cursor), r.Until, limit)
	if err != nil {
		return nil, fmt.Errorf("reading range %d of message %q of %s: %w", r.N, r.MessageID, r.Site, err)
	}
	return page, nil
}

// LaterPage implements pushsvc.MessageStore. For a damaged retry it returns the
// time and id, with one attempt.
func (s *Store) LaterPage(ctx context.Context, name, id string, limit int) ([]pushsvc.Retry, error) {
	page, err := read(ctx, s, func(tx *bolt.Tx) ([]pushsvc.Retry, error) {
		st, ok := openSite(tx, name)
		if !ok || id == "" {
			return nil, pushsvc.ErrNotFound
		}
		if b := st.b.Bucket([]byte(siteMessages)); b == nil || b.Get([]byte(id)) == nil {
			return nil, pushsvc.ErrNotFound
		}
		return st.messageBucket(siteLater, id).duePage(s.clock(), limit, s.report), nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading retries of message %q of %s: %w", id, name, err)
	}
	return page, nil
}

// Note implements pushsvc.MessageStore: it appends the outcomes to a file next to
// the database.
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

// epoch reads the epoch of a range; 0 if no engine may work on it.
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
		if p.Noting(&pushsvc.Message{State: state.State}, p.Epoch) != nil {
			return 0, nil
		}
		return p.Epoch, nil
	})
}
