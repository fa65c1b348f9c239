package memstore

import (
	"context"
	"maps"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// move is a site's other name. Rows that have been moved no longer exist in the old site.
type move struct {
	pushsvc.SiteMove
	messages map[string]string // new ids
}

// current returns the name that a site has now.
func (s *Store) current(name string) string {
	if m := s.moves[name]; m != nil {
		return m.Into
	}
	return name
}

// coming returns the moves whose rows are still being moved to the site.
func (st *site) coming() (all []*move) {
	for _, from := range sortedKeys(st.s.moves) {
		if m := st.s.moves[from]; m.Into == st.name && m.Running {
			all = append(all, m)
		}
	}
	return all
}

// Moves implements pushsvc.SiteStore.
func (s *Store) Moves(ctx context.Context) (all []pushsvc.SiteMove, err error) {
	err = s.tx(ctx, func() error { all = s.allMoves(); return nil })
	return all, err
}

func (s *Store) allMoves() (all []pushsvc.SiteMove) {
	for _, from := range sortedKeys(s.moves) {
		all = append(all, s.moves[from].copy())
	}
	return all
}

func (m *move) copy() pushsvc.SiteMove {
	out := m.SiteMove
	out.Popups = maps.Clone(m.Popups)
	return out
}

// BeginMove implements pushsvc.SiteStore.
func (s *Store) BeginMove(ctx context.Context, from, into string, at time.Time) (out pushsvc.SiteMove, err error) {
	err = s.tx(ctx, func() error {
		there, err := pushsvc.BeginMove(s.allMoves(), from, into)
		if there != nil {
			out = *there
		}
		if err != nil || there != nil {
			return err
		}
		out, err = s.beginMove(from, into, at)
		return err
	})
	return out, err
}

func (s *Store) beginMove(from, into string, at time.Time) (none pushsvc.SiteMove, err error) {
	st, to := s.raw(from), s.raw(into)
	defer func() {
		for _, one := range []*site{st, to} {
			if !one.there() {
				delete(s.sites, one.name)
			}
		}
	}()
	var unfinished []pushsvc.Message
	for _, one := range []*site{st, to} {
		for _, id := range sortedKeys(one.messages) {
			if row := one.messages[id]; !row.State.Final() {
				unfinished = append(unfinished, row.Message)
			}
		}
	}
	m := &move{messages: map[string]string{}}
	if m.SiteMove, err = pushsvc.NewMove(from, into, at, st.there(), unfinished); err != nil {
		return none, err
	}
	put, err := st.joinPopups(m, to)
	if err != nil {
		return none, err
	}
	delete(s.moves, into)
	for _, other := range s.moves {
		if other.Into == from {
			other.Into = into
		}
	}
	if err := st.moveSettings(m, to, put); err != nil {
		return none, err
	}
	to.hasSubs = to.hasSubs || st.hasSubs
	m.Base = to.lastID
	to.lastID += st.lastID
	set(&s.moves, from, m)
	s.changes.Note(pushsvc.ChangedAll &^ pushsvc.ChangedKeys)
	return m.copy(), nil
}

// joinPopups decides which pop-ups are moved, and checks that there is room.
func (st *site) joinPopups(m *move, to *site) (put []popup.Stored, err error) {
	if err := popup.JoinUploads(sortedKeys(to.uploads), sortedKeys(st.uploads)); err != nil {
		return nil, err
	}
	have, err := to.allPopups()
	if err != nil {
		return nil, err
	}
	come, err := st.allPopups()
	if err != nil {
		return nil, err
	}
	put, m.Popups, err = popup.Join(have, come)
	m.Moved.Popups = int64(len(put))
	return put, err
}

// moveSettings moves settings, pop-ups and images.
func (st *site) moveSettings(m *move, to *site, put []popup.Stored) error {
	for _, name := range sortedKeys(st.settings) {
		if _, there := to.settings[name]; !there {
			to.putSetting(st.settings[name])
			m.Moved.Settings++
		}
	}
	for _, p := range put {
		if err := to.putPopup(p); err != nil {
			return err
		}
	}
	for name, u := range st.uploads {
		if _, there := to.uploads[name]; !there {
			u.Site, to.hasPopups = to.name, true
			set(&to.uploads, name, u)
			m.Moved.Uploads++
		}
	}
	return nil
}

// MoveRows implements pushsvc.SiteStore.
func (s *Store) MoveRows(ctx context.Context, from string, limit int) (out pushsvc.SiteMove, err error) {
	err = s.tx(ctx, func() error {
		m := s.moves[from]
		if m == nil {
			return pushsvc.ErrNotFound
		}
		if m.Running {
			err = s.raw(from).moveRows(m, limit)
		}
		out = m.copy()
		return err
	})
	return out, err
}

func (st *site) moveRows(m *move, limit int) error {
	to := st.s.raw(m.Into)
	for _, id := range sortedKeys(st.subs) {
		if limit--; limit < 0 {
			return nil
		}
		st.moveSub(m, id)
	}
	for _, id := range sortedKeys(st.messages) {
		if limit--; limit < 0 {
			return nil
		}
		st.moveMessage(m, id)
	}
	for _, id := range sortedKeys(st.profiles) {
		if limit--; limit < 0 {
			return nil
		}
		if err := st.moveProfile(m, id); err != nil {
			return err
		}
	}
	for key, r := range st.idem {
		if _, there := to.idem[key]; !there {
			if id := m.messages[r.message]; id != "" {
				r.message = id
			}
			set(&to.idem, key, r)
		}
	}
	st.moveCounters(m, to)
	m.Running = false
	st.s.remove(st.name)
	return nil
}

func (st *site) moveSub(m *move, id pushsvc.SubscriptionID) {
	to, sub := st.s.raw(m.Into), st.subs[id]
	st.drop(id)
	known := to.find(sub.Endpoint)
	row := m.Adopt(sub, known)
	if row.ID != known.ID {
		to.drop(known.ID)
	}
	to.put(row)
}

// pull moves at once what a call asks for before its turn.
func (st *site) pull(endpoint string) {
	for _, m := range st.coming() {
		from := st.s.raw(m.From)
		if sub := from.find(endpoint); sub.ID != 0 {
			from.moveSub(m, sub.ID)
		}
	}
}

func (st *site) moveMessage(m *move, id string) {
	to, row := st.s.raw(m.Into), st.messages[id]
	delete(st.messages, id)
	row.Message = m.AdoptMessage(row.Message, func(id string) bool { return to.messages[id] != nil })
	if row.ID != id {
		m.messages[id] = row.ID
		clear(row.receipts)
	}
	for _, p := range row.parts {
		p.Range = p.Shift(m.Into, row.ID, m.Base)
	}
	set(&to.messages, row.ID, row)
}

func (st *site) pullMessage(id string) {
	for _, m := range st.coming() {
		if from := st.s.raw(m.From); from.messages[id] != nil {
			from.moveMessage(m, id)
		}
	}
}

func (st *site) moveProfile(m *move, id string) error {
	profile, err := st.person(id)
	if err != nil {
		return err
	}
	records, err := st.records(&profile)
	if err != nil {
		return err
	}
	delete(st.profiles, id)
	to := st.s.raw(m.Into)
	c, joined, err := people.Adopt(to, &profile, records, m.Popups)
	if err != nil {
		return err
	}
	m.AdoptedProfile(joined)
	return to.change(c)
}

func (st *site) pullDevice(d pushsvc.DeviceID) error {
	for _, m := range st.coming() {
		from := st.s.raw(m.From)
		if from.profiles[from.devices[d]] == nil {
			continue
		}
		if err := from.moveProfile(m, from.devices[d]); err != nil {
			return err
		}
	}
	return nil
}

// moveCounters moves the site's counters.
func (st *site) moveCounters(m *move, to *site) {
	to.hasPeople = to.hasPeople || st.hasPeople
	for name, total := range st.events {
		if _, there := to.events[name]; !there {
			to.counts.EventNames++
		}
		set(&to.events, name, to.events[name].Join(total))
	}
	for key, hour := range st.hours {
		key.popup = m.PopupID(key.popup)
		set(&to.hours, key, to.hours[key].Fold(hour))
	}
	to.counts = to.counts.Plus(st.counts)
}
