package memstore

import (
	"context"
	"maps"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// RemoveSite implements pushsvc.SiteStore.
func (s *Store) RemoveSite(ctx context.Context, names ...string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	err := pushsvc.ErrNotFound
	for _, name := range names {
		for _, m := range s.moves {
			if m.Running && (m.From == name || m.Into == name) {
				return pushsvc.ErrSiteMoving
			}
		}
	}
	for _, name := range names {
		alias := s.moves[name] != nil
		if alias {
			s.changes.Note(pushsvc.ChangedSites)
		}
		maps.DeleteFunc(s.moves, func(from string, m *move) bool { return from == name || m.Into == name })
		if alias || s.removeSite(name) {
			err = nil
		}
	}
	return err
}

func (s *Store) removeSite(name string) bool {
	set, popups := s.settings[name], s.popups[name]
	if s.sites[name] == nil && s.people[name] == nil && set == nil && popups == nil {
		return false
	}
	if set != nil {
		s.lastSetting = max(s.lastSetting, set.last)
	}
	if popups != nil {
		s.lastPopup = max(s.lastPopup, popups.last)
	}
	delete(s.sites, name)
	delete(s.people, name)
	delete(s.settings, name)
	delete(s.popups, name)
	s.changes.Note(pushsvc.ChangedAll &^ pushsvc.ChangedKeys)
	return true
}

// Sweep implements pushsvc.SiteStore: RemoveSite has done it.
func (s *Store) Sweep(ctx context.Context, _ int) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	s.mu.Unlock()
	return 0, nil
}

// Used implements pushsvc.SiteStore, roughly.
func (s *Store) Used(ctx context.Context) (n int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	const row = 100 // what a map and fixed fields take
	for _, st := range s.sites {
		for _, sub := range st.subs {
			n += row + int64(len(sub.Endpoint)+len(sub.Page)+len(sub.Language)+len(sub.TimeZone))
		}
		for _, m := range st.messages {
			n += row + int64(len(m.receipts))*row
		}
	}
	for _, p := range s.people {
		for _, text := range p.profiles {
			n += row + int64(len(text))
		}
		for _, text := range p.history {
			n += row + int64(len(text))
		}
	}
	for _, p := range s.popups {
		for _, text := range p.rows {
			n += row + int64(len(text))
		}
		for _, u := range p.uploads {
			n += row + int64(len(u.Data))
		}
	}
	return n, nil
}

// ErasePeople implements pushsvc.SiteStore.
func (s *Store) ErasePeople(ctx context.Context, name string, people []pushsvc.PersonSeen) (n int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	if len(s.coming(name)) > 0 {
		return 0, pushsvc.ErrSiteMoving
	}
	for _, one := range people {
		if _, p, err := s.find(name, one.ID); err != nil || !p.Seen.Equal(one.Seen) {
			continue
		}
		if err := s.erase(name, one.ID); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
