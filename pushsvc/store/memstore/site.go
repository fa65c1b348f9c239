package memstore

import (
	"context"
	"maps"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// move is a site's other name. BeginMove brings over all rows, since nothing takes
// long here; but the move runs until MoveRows has been called for as many, so that
// callers meet what they meet with other stores.
type move struct {
	pushsvc.SiteMove
	left int
}

// current is the name that a site has now.
func (s *Store) current(name string) string {
	if m := s.moves[name]; m != nil {
		return m.Into
	}
	return name
}

func (st *site) unmoved() error { return pushsvc.Unmoved(st.s.allMoves(), st.name) }

func (s *Store) Moves(ctx context.Context) ([]pushsvc.SiteMove, error) {
	return tx(ctx, s, func() ([]pushsvc.SiteMove, error) { return s.allMoves(), nil })
}

func (s *Store) allMoves() []pushsvc.SiteMove {
	return rows(s.moves, func(_ string, m *move) (pushsvc.SiteMove, bool) { return m.SiteMove, true })
}

func (s *Store) MoveRows(ctx context.Context, from string, limit int) (pushsvc.SiteMove, error) {
	return tx(ctx, s, func() (pushsvc.SiteMove, error) {
		m, err := find(s.moves, from)
		if err != nil {
			return pushsvc.SiteMove{}, err
		}
		m.left -= limit
		m.Running = m.Running && m.left > 0
		return m.SiteMove, nil
	})
}

func (s *Store) BeginMove(ctx context.Context, from, into string, at time.Time) (pushsvc.SiteMove, error) {
	return tx(ctx, s, func() (pushsvc.SiteMove, error) {
		st, to := s.site(from), s.site(into)
		unfinished := s.messages(func(m *message) bool { return !m.State.Final() && (m.Site == from || m.Site == into) })
		row, begun, err := pushsvc.NewMove(s.allMoves(), from, into, at, st.there(), unfinished)
		if err != nil || begun {
			return row, err
		}
		m := &move{SiteMove: row, left: len(st.subs) + len(st.messages) + len(st.profiles)}
		if err := st.moveDocuments(m, to); err != nil {
			return pushsvc.SiteMove{}, err
		}
		maps.DeleteFunc(s.moves, func(_ string, other *move) bool { return !m.Redirect(&other.SiteMove) })
		st.moveMessages(m, to)
		if err := st.movePeople(m, to); err != nil {
			return pushsvc.SiteMove{}, err
		}
		s.remove(from)
		set(&s.moves, from, m)
		return m.SiteMove, nil
	})
}

// moveDocuments brings over settings, pop-ups and images, if there is room.
func (st *site) moveDocuments(m *move, to *site) error {
	popups, renamed, err := popup.Join(rows(to.popups, all), rows(st.popups, all))
	if err != nil {
		return err
	}
	images, err := popup.JoinUploads(keys(to.uploads), keys(st.uploads))
	if err != nil {
		return err
	}
	settings := pushsvc.JoinSettings(rows(to.settings, all), rows(st.settings, all))
	for _, row := range popups {
		to.putPopup(row)
	}
	for _, name := range images {
		to.putUpload(st.uploads[name])
	}
	for _, row := range settings {
		to.putSetting(row)
	}
	m.Popups, m.Moved.Popups, m.Moved.Uploads, m.Moved.Settings = renamed, int64(len(popups)), int64(len(images)), int64(len(settings))
	return nil
}

// moveMessages brings over subscriptions, messages and requests.
func (st *site) moveMessages(m *move, to *site) {
	m.Base = to.lastID
	for _, sub := range st.subs {
		known := to.find(sub.Endpoint)
		row := m.Adopt(sub, known)
		to.drop(known.ID)
		to.put(row)
	}
	to.lastID, to.hasSubs = m.Base+st.lastID, to.hasSubs || st.hasSubs
	for id, row := range st.messages {
		row.Message = m.AdoptMessage(row.Message, func(id string) bool { return to.messages[id] != nil })
		if row.ID != id {
			row.receipts = nil // they are told with the old id
		}
		if _, taken, _ := to.request(row.request.Key); taken != "" {
			row.request = pushsvc.Idempotency{}
		}
		for _, p := range row.parts {
			p.Range = p.Shift(m.Into, row.ID, m.Base)
		}
		set(&to.messages, row.ID, row)
	}
}

// movePeople brings over profiles and what the site counts.
func (st *site) movePeople(m *move, to *site) error {
	for _, p := range rows(st.profiles, all) {
		c, joined, err := people.Adopt(to, p, st.records(p), m.Popups)
		if err != nil {
			return err
		}
		m.AdoptedProfile(joined)
		to.change(c)
	}
	for name, total := range st.events {
		set(&to.events, name, to.events[name].Join(total))
	}
	for key, hour := range st.hours {
		key.Popup = m.PopupID(key.Popup)
		set(&to.hours, key, to.hours[key].Fold(hour))
	}
	to.counts.EventNames = int64(len(to.events))
	to.counts, to.hasPeople = to.counts.Plus(st.counts), to.hasPeople || st.hasPeople
	return nil
}

func (s *Store) RemoveSite(ctx context.Context, names ...string) error {
	_, err := tx(ctx, s, func() (none struct{}, err error) {
		gone, err := pushsvc.ForgetMoves(s.allMoves(), names)
		if err != nil {
			return none, err
		}
		err = pushsvc.ErrNotFound
		for _, name := range names {
			if s.moves[name] != nil || s.remove(name) {
				err = nil
			}
		}
		for _, m := range gone {
			delete(s.moves, m.From)
			s.changed |= pushsvc.ChangedSites
		}
		return none, err
	})
	return err
}

// remove removes a site by its very name, and reports whether it was there.
func (s *Store) remove(name string) bool {
	st := s.site(name)
	delete(s.sites, name)
	if st.there() {
		s.changed |= pushsvc.ChangedAll &^ pushsvc.ChangedKeys
	}
	return st.there()
}

// Sweep implements pushsvc.SiteStore: RemoveSite has done it.
func (s *Store) Sweep(ctx context.Context, _ int) (int, error) {
	return tx(ctx, s, func() (int, error) { return 0, nil })
}

// Used implements pushsvc.SiteStore, roughly.
func (s *Store) Used(ctx context.Context) (int64, error) {
	const row = 500 // about what a row of most kinds takes
	return tx(ctx, s, func() (n int64, _ error) {
		for _, st := range s.sites {
			n += row * int64(len(st.subs)+len(st.messages)+len(st.popups)+len(st.profiles)+len(st.history))
			for _, m := range st.messages {
				n += row * int64(len(m.receipts))
			}
			for _, u := range st.uploads {
				n += int64(len(u.Data))
			}
		}
		return n, nil
	})
}
