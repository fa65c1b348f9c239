package memstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// move is a site's other name. Rows that have come over are gone from where they were.
type move struct {
	pushsvc.SiteMove
	messages map[string]string // new ids
}

// current is the name that a site has now.
func (s *Store) current(name string) string {
	if m := s.moves[name]; m != nil {
		return m.Into
	}
	return name
}

// coming are the moves whose rows are on their way to the site.
func (s *Store) coming(into string) (all []*move) {
	for _, from := range sortedKeys(s.moves) {
		if m := s.moves[from]; m.Into == into && m.Running {
			all = append(all, m)
		}
	}
	return all
}

// Moves implements pushsvc.SiteStore.
func (s *Store) Moves(ctx context.Context) (all []pushsvc.SiteMove, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.allMoves(), nil
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
func (s *Store) BeginMove(ctx context.Context, from, into string, at time.Time) (pushsvc.SiteMove, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.SiteMove{}, err
	}
	defer s.mu.Unlock()
	there, err := pushsvc.BeginMove(s.allMoves(), from, into)
	if err != nil {
		return pushsvc.SiteMove{}, err
	}
	if there != nil {
		return *there, nil
	}
	if from == into || into == "" || len(into) > pushsvc.MaxSiteName {
		return pushsvc.SiteMove{}, &pushsvc.SiteNameError{Problem: "the new name of a site must be another one, and not empty"}
	}
	m := &move{SiteMove: pushsvc.SiteMove{From: from, Into: into, Begun: utc(at).Truncate(time.Millisecond), Running: true}, messages: map[string]string{}}
	put, err := s.mayMove(m)
	if err != nil {
		return pushsvc.SiteMove{}, err
	}
	delete(s.moves, into)
	for _, other := range s.moves {
		if other.Into == from {
			other.Into = into
		}
	}
	if err := s.moveSettings(m, put); err != nil {
		return pushsvc.SiteMove{}, err
	}
	if st := s.sites[from]; st != nil {
		to := s.makeSite(into)
		m.Base = to.lastID
		to.lastID += st.lastID
	}
	if s.moves == nil {
		s.moves = map[string]*move{}
	}
	s.moves[from] = m
	s.changes.Note(pushsvc.ChangedAll &^ pushsvc.ChangedKeys)
	return m.copy(), nil
}

// mayMove makes sure that the site can go, and says which pop-ups come of it.
func (s *Store) mayMove(m *move) (put []popup.Stored, err error) {
	if s.sites[m.From] == nil && s.people[m.From] == nil && s.settings[m.From] == nil && s.popups[m.From] == nil {
		return nil, pushsvc.ErrNotFound
	}
	var busy []string
	waits, intoWaits := false, false
	if st := s.sites[m.From]; st != nil {
		for _, id := range sortedKeys(st.messages) {
			if row := st.messages[id]; !row.Movable() {
				busy = append(busy, id)
			} else if !row.State.Final() {
				waits = true
			}
		}
	}
	if st := s.sites[m.Into]; st != nil {
		for _, row := range st.messages {
			intoWaits = intoWaits || !row.State.Final()
		}
	}
	if len(busy) > 0 {
		return nil, &pushsvc.SiteBusyError{Site: m.From, Messages: busy}
	}
	m.KeepFrom = waits && !intoWaits
	have, come := s.popupsOf(m.Into, false), s.popupsOf(m.From, false)
	uploads := maps.Clone(have.uploads)
	maps.Copy(uploads, come.uploads)
	if len(uploads) > popup.MaxUploads {
		return nil, fmt.Errorf("together they have %d images: %w", len(uploads), popup.ErrFull)
	}
	var rows [2][]popup.Stored
	for i, p := range []*popups{have, come} {
		for _, id := range sortedKeys(p.rows) {
			row, err := p.row(id)
			if err != nil {
				return nil, err
			}
			rows[i] = append(rows[i], row)
		}
	}
	put, m.Popups, err = popup.Join(rows[0], rows[1])
	m.Moved.Popups = int64(len(put))
	return put, err
}

// moveSettings brings over settings, pop-ups and images.
func (s *Store) moveSettings(m *move, put []popup.Stored) error {
	if come := s.settings[m.From]; come != nil {
		to := s.settings[m.Into]
		if to == nil {
			to = &settings{last: s.lastSetting, rows: map[string]pushsvc.Setting{}}
			s.settings[m.Into] = to
		}
		for _, name := range sortedKeys(come.rows) {
			if _, there := to.rows[name]; there {
				continue
			}
			row := come.rows[name]
			to.last++
			row.Site, row.Revision = m.Into, to.last
			to.rows[name] = row
			m.Moved.Settings++
		}
	}
	come := s.popups[m.From]
	if come == nil {
		return nil
	}
	to := s.popupsOf(m.Into, true)
	for _, p := range put {
		to.last++
		p.Site, p.Revision = m.Into, to.last
		text, err := json.Marshal(p)
		if err != nil {
			return err
		}
		to.rows[p.Popup.ID] = text
	}
	for name, u := range come.uploads {
		if _, there := to.uploads[name]; !there {
			u.Site = m.Into
			to.uploads[name] = u
			m.Moved.Uploads++
		}
	}
	return nil
}

// MoveRows implements pushsvc.SiteStore.
func (s *Store) MoveRows(ctx context.Context, from string, limit int) (pushsvc.SiteMove, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.SiteMove{}, err
	}
	defer s.mu.Unlock()
	m := s.moves[from]
	if m == nil {
		return pushsvc.SiteMove{}, pushsvc.ErrNotFound
	}
	if !m.Running {
		return m.copy(), nil
	}
	n := 0
	if st := s.sites[from]; st != nil {
		for _, id := range sortedKeys(st.subs) {
			if n++; n > limit {
				return m.copy(), nil
			}
			s.moveSub(m, id)
		}
		for _, id := range sortedKeys(st.messages) {
			if n++; n > limit {
				return m.copy(), nil
			}
			s.moveMessage(m, id)
		}
		to := s.makeSite(m.Into)
		for key, r := range st.idem {
			if _, there := to.idem[key]; !there {
				if id := m.messages[r.message]; id != "" {
					r.message = id
				}
				to.idem[key] = r
			}
		}
	}
	if p := s.people[from]; p != nil {
		for _, id := range sortedKeys(p.profiles) {
			if n++; n > limit {
				return m.copy(), nil
			}
			if err := s.moveProfile(m, id); err != nil {
				return pushsvc.SiteMove{}, err
			}
		}
		s.moveCounters(m)
	}
	m.Running = false
	s.removeSite(from)
	return m.copy(), nil
}

func (s *Store) moveSub(m *move, id pushsvc.SubscriptionID) {
	st, to := s.sites[m.From], s.makeSite(m.Into)
	sub := st.subs[id]
	st.drop(id)
	sub.ID, sub.Site = id+m.Base, m.Into
	row := sub
	if old := to.find(sub.Endpoint); old.ID != 0 {
		m.Moved.Joined++
		row = old.Join(sub)
		if m.KeepFrom {
			to.drop(old.ID)
			row.ID = sub.ID
		}
	} else {
		m.Moved.Subscriptions++
	}
	to.subs[row.ID], to.ids[row.Endpoint] = row, row.ID
}

// pull brings over what somebody asks for before its turn.
func (s *Store) pull(into, endpoint string) {
	for _, m := range s.coming(into) {
		if st := s.sites[m.From]; st != nil {
			if sub := st.find(endpoint); sub.ID != 0 {
				s.moveSub(m, sub.ID)
			}
		}
	}
}

func (s *Store) moveMessage(m *move, id string) {
	st, to := s.sites[m.From], s.makeSite(m.Into)
	row := st.messages[id]
	delete(st.messages, id)
	row.ID = pushsvc.FreeMessageID(id, func(id string) bool { return to.messages[id] != nil })
	row.Site = m.Into
	if row.Only != 0 {
		row.Only += m.Base
	}
	if row.ID != id {
		m.messages[id] = row.ID
		clear(row.receipts)
	}
	for _, p := range row.parts {
		p.Range = p.Shift(m.Into, row.ID, m.Base)
	}
	to.messages[row.ID] = row
	m.Moved.Messages++
}

func (s *Store) pullMessage(into, id string) {
	for _, m := range s.coming(into) {
		if s.message(m.From, id) != nil {
			s.moveMessage(m, id)
		}
	}
}

func (s *Store) moveProfile(m *move, id string) error {
	p := s.people[m.From]
	profile, err := p.profile(id)
	if err != nil {
		return err
	}
	delete(p.profiles, id)
	var records []people.EventRecord
	for _, ref := range profile.History {
		var some []people.EventRecord
		if text := p.history[ref.Seq]; text != nil {
			if err := json.Unmarshal(text, &some); err != nil {
				return err
			}
		}
		records = append(records, some...)
	}
	to := s.peopleOf(m.Into)
	c, joined, err := people.Adopt(peopleTx{to, s, m.Into}, profile, records, m.Popups)
	if err != nil {
		return err
	}
	if m.Moved.Profiles++; joined {
		m.Moved.Profiles--
		m.Moved.JoinedProfiles++
	}
	return to.change(c)
}

func (s *Store) pullDevice(into string, d pushsvc.DeviceID) error {
	for _, m := range s.coming(into) {
		p := s.people[m.From]
		if p == nil || p.profiles[p.devices[d]] == nil {
			continue
		}
		if err := s.moveProfile(m, p.devices[d]); err != nil {
			return err
		}
	}
	return nil
}

// moveCounters brings over what the site counts.
func (s *Store) moveCounters(m *move) {
	p, to := s.people[m.From], s.peopleOf(m.Into)
	for name, total := range p.events {
		if _, there := to.events[name]; !there {
			to.counts.EventNames++
		}
		to.events[name] = to.events[name].Join(total)
	}
	for key, hour := range p.popups {
		if id := m.Popups[key.popup]; id != "" {
			key.popup = id
		}
		to.popups[key] = to.popups[key].Fold(hour)
	}
	to.counts = to.counts.Plus(p.counts)
}

// peopleOf gives what a site knows of its visitors, and makes it where it is missing.
func (s *Store) peopleOf(name string) *peopleRows {
	if s.people == nil {
		s.people = map[string]*peopleRows{}
	}
	if s.people[name] == nil {
		s.people[name] = newPeople()
	}
	return s.people[name]
}
