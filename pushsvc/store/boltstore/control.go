package boltstore

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Control implements pushsvc.MessageStore.
func (s *Store) Control(ctx context.Context, name, id string, command pushsvc.Command, at time.Time) (pushsvc.Message, error) {
	m, err := write(ctx, s, func(w *writeTx) (message, error) {
		st, ok := openSite(w.tx, name)
		if !ok {
			return message{}, pushsvc.ErrNotFound
		}
		m, err := st.message(id)
		if err != nil {
			return message{}, err
		}
		return m, w.control(st, &m, command, at)
	})
	if err != nil {
		return pushsvc.Message{}, fmt.Errorf("%s message %q of %s: %w", command, id, name, err)
	}
	if m.State.Final() {
		s.notes.forget(m.Site, id)
	}
	return m.Message, nil
}

func (w *writeTx) control(st site, m *message, command pushsvc.Command, at time.Time) error {
	now := w.s.clock()
	before := m.State
	if err := m.Command(command, now); err != nil {
		return err
	}
	if err := w.endCancelled(st, m, now, at); err != nil {
		return err
	}
	if m.State == before {
		return nil
	}
	return st.putProgress(w, *m)
}

// endCancelled ends a cancelling message that no engine works on. First it counts
// the notes of engines that died.
func (w *writeTx) endCancelled(st site, m *message, now, at time.Time) error {
	if m.State != pushsvc.StateCancelling || st.leased(m.ID, now, w.s.report) {
		return nil
	}
	var parts []part
	st.parts(m.ID, w.s.report, func(_ int, r rowFlags) bool { return !r.done }, func(p part) bool {
		parts = append(parts, p)
		return true
	})
	for _, p := range parts {
		if noted := w.s.notes.ofRange(p.Range); len(noted) > 0 {
			retries := st.retries(m.ID, w.s.report)
			e := m.Take(&p.Range, p.Unsettled(noted, retries), retries)
			if err := w.carryOutcomes(st, m, e, at); err != nil {
				return err
			}
		}
	}
	m.EndCancelled(at)
	if err := w.ended(st, m); err != nil {
		return err
	}
	return st.putProgress(w, *m)
}
