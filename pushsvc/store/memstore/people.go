package memstore

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// A site is a people.Tx. The profiles that it returns are copies, which the rules may
// change.

func (st *site) ProfileOf(d pushsvc.DeviceID) (*people.Profile, error) {
	return copyOf(st.profiles[st.devices[d]]), nil
}

func (st *site) ProfileBy(i people.Identity) (*people.Profile, error) {
	return copyOf(st.profiles[st.identities[i]]), nil
}

func (st *site) CountsEvent(name string) (bool, error) { return st.events[name].Count > 0, nil }

func (st *site) Counts() (people.Counts, error) { return st.counts, nil }

func (st *site) NextHistory() (uint64, error) { st.lastHistory++; return st.lastHistory, nil }

// CountedEvents and Strangers rely on the order of a map, which is chance enough.
func (st *site) CountedEvents(n int) (some []people.CountedEvent, err error) {
	for name, total := range st.events {
		some = append(some, people.CountedEvent{Name: name, EventTotal: total})
	}
	return first(n, some), nil
}

func (st *site) Strangers(n int) (some []*people.Profile, err error) {
	for _, p := range st.profiles {
		if n--; n >= 0 && len(st.linked(p.DeviceIDs()...)) == 0 {
			some = append(some, copyOf(p))
		}
	}
	return some, nil
}

func (st *site) isSubscribed(d pushsvc.DeviceID) bool { return len(st.linked(d)) > 0 }

// change writes what the rules say.
func (st *site) change(c people.Change) {
	st.hasPeople = true
	for _, profile := range c.Put {
		set(&st.profiles, profile.ID, copyOf(profile))
	}
	point(&st.devices, c.Devices)
	point(&st.identities, c.Identities)
	for seq, text := range c.History {
		var records []people.EventRecord
		_ = json.Unmarshal(text, &records) // the rules have just encoded them
		set(&st.history, seq, records)
	}
	drop(st.profiles, c.Drop)
	drop(st.history, c.DropHistory)
	drop(st.events, c.DropEvents)
	for name, n := range c.Events {
		set(&st.events, name, st.events[name].Plus(n, c.Worth[name]))
	}
	for stat, n := range c.Popups {
		key := people.PopupStat{Popup: stat.Popup, Hour: stat.Hour}
		set(&st.hours, key, st.hours[key].Add(stat, n))
	}
	for _, sub := range st.linked(c.Unsubscribe...) {
		st.drop(sub.ID)
	}
	if c.Moved != nil {
		for _, sub := range st.linked(c.Moved[0]) {
			sub.Device = c.Moved[1]
			st.put(sub)
		}
	}
	st.counts = st.counts.Add(c.Counts)
}

// point sets entries, and removes those that are zero.
func point[K, V comparable](m *map[K]V, entries map[K]V) {
	for key, value := range entries {
		if value == *new(V) {
			delete(*m, key)
		} else {
			set(m, key, value)
		}
	}
}

func (s *Store) Track(ctx context.Context, name string, b people.Batch) (people.Tracked, error) {
	if name == "" || len(name) > pushsvc.MaxSiteName {
		return people.Tracked{}, errors.New("storing events: the site's name is empty or too long")
	}
	return on(ctx, s, name, func(st *site) (people.Tracked, error) {
		c, err := people.Apply(st, b)
		if err == nil {
			st.change(c)
		}
		return c.Tracked, err
	})
}

func (s *Store) Facts(ctx context.Context, name string, device pushsvc.DeviceID) (people.Facts, error) {
	all, err := s.FactsOf(ctx, name, []pushsvc.DeviceID{device})
	return append(all, people.Facts{})[0], err
}

func (s *Store) FactsOf(ctx context.Context, name string, devices []pushsvc.DeviceID) ([]people.Facts, error) {
	return on(ctx, s, name, func(st *site) (all []people.Facts, _ error) {
		for _, d := range devices {
			all = append(all, people.Facts{Profile: st.profiles[st.devices[d]], Subscribed: st.isSubscribed(d)})
		}
		return all, nil
	})
}

// records are the events of a profile.
func (st *site) records(p *people.Profile) (all []people.EventRecord) {
	for _, ref := range p.History {
		all = append(all, st.history[ref.Seq]...)
	}
	return all
}

func (s *Store) Person(ctx context.Context, name, id string) (people.Person, error) {
	return on(ctx, s, name, func(st *site) (people.Person, error) {
		p, err := find(st.profiles, id)
		if err != nil {
			return people.Person{}, err
		}
		return people.Person{Profile: *p, History: st.records(p), Subscriptions: st.linked(p.DeviceIDs()...)}, nil
	})
}

func (s *Store) PersonBy(ctx context.Context, name string, i people.Identity) (people.Profile, error) {
	return on(ctx, s, name, func(st *site) (people.Profile, error) {
		for _, id := range append([]string{st.identities[i]}, st.claimants(i)...) {
			if p := st.profiles[id]; p != nil {
				return *p, nil
			}
		}
		return people.Profile{}, pushsvc.ErrNotFound
	})
}

func (s *Store) ProfilePage(ctx context.Context, name, after string, limit int) ([]people.Profile, error) {
	return on(ctx, s, name, func(st *site) ([]people.Profile, error) { return st.profilePage(after, limit), nil })
}

func (st *site) profilePage(after string, limit int) []people.Profile {
	return first(limit, rows(st.profiles, func(id string, p *people.Profile) (people.Profile, bool) { return *p, id > after }))
}

// counted finds what the site counts of an event, for the rules.
func (st *site) counted(event string) (people.EventCount, bool) {
	total, ok := st.events[event]
	return total.EventCount, ok
}

func (s *Store) ErasePerson(ctx context.Context, name, id string) error {
	return s.do(ctx, name, func(st *site) error {
		if err := st.unmoved(); err != nil {
			return err
		}
		p, err := find(st.profiles, id)
		if err == nil {
			st.change(p.Erase(st.counted))
		}
		return err
	})
}

// claimants are those who claim the identity.
func (st *site) claimants(i people.Identity) []string {
	return rows(st.profiles, func(id string, p *people.Profile) (string, bool) { return id, slices.Contains(p.Claims, i) })
}

func (s *Store) EraseIdentity(ctx context.Context, name string, i people.Identity, limit int) (int, error) {
	return on(ctx, s, name, func(st *site) (int, error) {
		if err := st.unmoved(); err != nil {
			return 0, err
		}
		ids := first(limit, st.claimants(i))
		if id := st.identities[i]; id != "" {
			ids = append(ids, id)
		}
		for _, id := range ids {
			st.change(people.EraseIdentity(st.profiles[id], id, i, st.counted))
		}
		return len(ids), nil
	})
}

func (s *Store) ErasePeople(ctx context.Context, name string, seen []pushsvc.PersonSeen) (int, error) {
	return on(ctx, s, name, func(st *site) (n int, _ error) {
		if err := st.unmoved(); err != nil {
			return 0, err
		}
		for _, one := range seen {
			if p := st.profiles[one.ID]; p != nil && p.Seen.Equal(one.Seen) {
				st.change(p.Erase(st.counted))
				n++
			}
		}
		return n, nil
	})
}

func (s *Store) EventSummary(ctx context.Context, name string) ([]people.EventSummary, error) {
	return on(ctx, s, name, func(st *site) ([]people.EventSummary, error) {
		return rows(st.events, func(event string, total people.EventTotal) (people.EventSummary, bool) {
			return people.EventSummary{Name: event, EventCount: total.EventCount}, true
		}), nil
	})
}

func (s *Store) PopupStats(ctx context.Context, name, popup string, from, to time.Time) ([]people.PopupCounter, error) {
	return on(ctx, s, name, func(st *site) (all []people.PopupCounter, _ error) {
		for key, hour := range st.hours {
			if key.Popup == popup && !key.Hour.Before(from) && (to.IsZero() || key.Hour.Before(to)) {
				all = append(all, hour.Counters(popup, key.Hour)...)
			}
		}
		slices.SortStableFunc(all, func(a, b people.PopupCounter) int { return a.Hour.Compare(b.Hour) })
		return all, nil
	})
}

func (s *Store) PeopleSites(ctx context.Context) ([]people.Summary, error) {
	return list(ctx, s, func(st *site) (people.Summary, bool) {
		return people.Summary{Site: st.name, Counts: st.counts}, st.hasPeople
	})
}

func (s *Store) PruneHistory(ctx context.Context, name string, before time.Time, limit int) (int, error) {
	return on(ctx, s, name, func(st *site) (int, error) {
		old := first(limit, keys(st.history)) // in the order of arrival
		if i := slices.IndexFunc(old, func(seq uint64) bool { return !people.AllBefore(st.history[seq], before) }); i >= 0 {
			old = old[:i]
		}
		drop(st.history, old)
		return len(old), nil
	})
}

func (s *Store) FoldPopups(ctx context.Context, name string, before time.Time, limit int) (int, error) {
	return on(ctx, s, name, func(st *site) (n int, _ error) {
		for key, hour := range maps.Clone(st.hours) {
			if n < limit && people.Foldable(key.Hour, before) {
				total := people.PopupStat{Popup: key.Popup, Hour: people.FoldedHour}
				st.hours[total] = st.hours[total].Fold(hour)
				delete(st.hours, key)
				n++
			}
		}
		return n, nil
	})
}

func (s *Store) PruneAnonymous(ctx context.Context, name, after string, before time.Time, limit int) (next string, removed int, err error) {
	err = s.do(ctx, name, func(st *site) error {
		page := st.profilePage(after, limit)
		for i := range page {
			if p := &page[i]; p.Prunable(before, st.isSubscribed) {
				st.change(p.Erase(st.counted))
				removed++
			}
		}
		if len(page) == limit && limit > 0 {
			next = page[limit-1].ID
		}
		return nil
	})
	return next, removed, err
}
