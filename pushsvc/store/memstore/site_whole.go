package memstore

import (
	"context"
	"maps"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// RemoveSite implements pushsvc.SiteStore.
func (s *Store) RemoveSite(ctx context.Context, names ...string) error {
	return s.tx(ctx, func() error {
		for _, name := range names {
			for _, m := range s.moves {
				if m.Running && (m.From == name || m.Into == name) {
					return pushsvc.ErrSiteMoving
				}
			}
		}
		err := pushsvc.ErrNotFound
		for _, name := range names {
			alias := s.moves[name] != nil
			if alias {
				s.changes.Note(pushsvc.ChangedSites)
			}
			maps.DeleteFunc(s.moves, func(from string, m *move) bool { return from == name || m.Into == name })
			if s.remove(name) || alias {
				err = nil
			}
		}
		return err
	})
}

// remove removes a site by its literal name, and reports whether it existed.
func (s *Store) remove(name string) bool {
	st := s.sites[name]
	if st == nil || !st.there() {
		return false
	}
	s.lastSetting, s.lastPopup = max(s.lastSetting, st.lastSetting), max(s.lastPopup, st.lastPopup)
	delete(s.sites, name)
	s.changes.Note(pushsvc.ChangedAll &^ pushsvc.ChangedKeys)
	return true
}

// Sweep implements pushsvc.SiteStore: RemoveSite has done it.
func (s *Store) Sweep(ctx context.Context, _ int) (int, error) {
	return 0, s.tx(ctx, func() error { return nil })
}

// Used implements pushsvc.SiteStore, roughly.
func (s *Store) Used(ctx context.Context) (n int64, err error) {
	const row = 100 // what a map and fixed fields take
	texts := func(m map[string][]byte) {
		for _, text := range m {
			n += row + int64(len(text))
		}
	}
	err = s.tx(ctx, func() error {
		for _, st := range s.sites {
			for _, sub := range st.subs {
				n += row + int64(len(sub.Endpoint)+len(sub.Page)+len(sub.Language)+len(sub.TimeZone))
			}
			for _, m := range st.messages {
				n += row + int64(len(m.receipts))*row
			}
			texts(st.profiles)
			texts(st.popups)
			for _, text := range st.history {
				n += row + int64(len(text))
			}
			for _, u := range st.uploads {
				n += row + int64(len(u.Data))
			}
		}
		return nil
	})
	return n, err
}
