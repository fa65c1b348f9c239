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

// peopleRows are a site's rows about its visitors.
type peopleRows struct {
	profiles   map[string][]byte
	devices    map[pushsvc.DeviceID]string
	identities map[people.Identity]string
	claims     map[people.Claim]bool
	history    map[uint64]json.RawMessage
	last       uint64
	events     map[string]people.EventTotal
	hours      map[popupHour]people.PopupHour
	counts     people.Counts
}

type popupHour struct {
	popup string
	hour  time.Time
}

// profile reads a profile; nil if there is none.
func (st *site) profile(id string) (*people.Profile, error) {
	text, ok := st.profiles[id]
	if !ok {
		return nil, nil
	}
	var out people.Profile
	return &out, json.Unmarshal(text, &out)
}

// person is profile for one that must exist.
func (st *site) person(id string) (people.Profile, error) {
	p, err := st.profile(id)
	if err != nil {
		return people.Profile{}, err
	}
	if p == nil {
		return people.Profile{}, pushsvc.ErrNotFound
	}
	return *p, nil
}

// ProfileOf and the following methods make site a people.Tx.
func (st *site) ProfileOf(d pushsvc.DeviceID) (*people.Profile, error) {
	return st.profile(st.devices[d])
}

func (st *site) ProfileBy(i people.Identity) (*people.Profile, error) {
	return st.profile(st.identities[i])
}

func (st *site) CountsEvent(name string) (bool, error) { return st.events[name].Count > 0, nil }

func (st *site) Counts() (people.Counts, error) { return st.counts, nil }

func (st *site) NextHistory() (uint64, error) { st.last++; return st.last, nil }

// CountedEvents implements people.Tx: the order of a map is random enough.
func (st *site) CountedEvents(n int) (out []people.CountedEvent, err error) {
	for name, total := range st.events {
		if len(out) < n {
			out = append(out, people.CountedEvent{Name: name, EventTotal: total})
		}
	}
	return out, nil
}

// Strangers implements people.Tx.
func (st *site) Strangers(n int) (out []*people.Profile, err error) {
	seen := map[string]bool{}
	for _, id := range st.devices {
		if n--; n < 0 {
			break
		}
		p, err := st.profile(id)
		if err != nil {
			return nil, err
		}
		if p != nil && !seen[id] && !slices.ContainsFunc(p.Devices, func(d people.Device) bool { return st.isSubscribed(d.ID) }) {
			out = append(out, p)
		}
		seen[id] = true
	}
	return out, nil
}

func (st *site) isSubscribed(d pushsvc.DeviceID) bool { return len(st.linked(d)) > 0 }

// change writes what the rules have decided.
func (st *site) change(c people.Change) error {
	st.hasPeople = true
	for _, profile := range c.Put {
		text, err := json.Marshal(profile)
		if err != nil {
			return err
		}
		set(&st.profiles, profile.ID, text)
	}
	for _, id := range c.Drop {
		delete(st.profiles, id)
	}
	point(&st.devices, c.Devices)
	point(&st.identities, c.Identities)
	point(&st.claims, c.Claims)
	for seq, records := range c.History {
		set(&st.history, seq, records)
	}
	for _, seq := range c.DropHistory {
		delete(st.history, seq)
	}
	for _, name := range c.DropEvents {
		delete(st.events, name)
	}
	for name, n := range c.Events {
		set(&st.events, name, st.events[name].Plus(n, c.Worth[name]))
	}
	for stat, n := range c.Popups {
		key := popupHour{stat.Popup, stat.Hour}
		set(&st.hours, key, st.hours[key].Add(stat, n))
	}
	for _, d := range c.Unsubscribe {
		for _, sub := range st.linked(d) {
			st.drop(sub.ID)
		}
	}
	if c.Moved != nil {
		for _, sub := range st.linked(c.Moved[0]) {
			sub.Device = c.Moved[1]
			st.subs[sub.ID] = sub
		}
	}
	st.counts = st.counts.Add(c.Counts)
	return nil
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

// Track implements people.Store.
func (s *Store) Track(ctx context.Context, name string, b people.Batch) (people.Tracked, error) {
	if name == "" || len(name) > pushsvc.MaxSiteName {
		return people.Tracked{}, errors.New("storing events: the site's name is empty or too long")
	}
	return on(ctx, s, name, func(st *site) (people.Tracked, error) {
		if err := st.pullDevice(b.Device); err != nil {
			return people.Tracked{}, err
		}
		c, err := people.Apply(st, b)
		if err != nil {
			return people.Tracked{}, err
		}
		return c.Tracked, st.change(c)
	})
}

// Facts implements people.Store.
func (s *Store) Facts(ctx context.Context, name string, device pushsvc.DeviceID) (people.Facts, error) {
	return on(ctx, s, name, func(st *site) (people.Facts, error) { return st.facts(device) })
}

func (st *site) facts(device pushsvc.DeviceID) (people.Facts, error) {
	p, err := st.ProfileOf(device)
	return people.Facts{Profile: p, Subscribed: st.isSubscribed(device)}, err
}

// FactsOf implements people.Store.
func (s *Store) FactsOf(ctx context.Context, name string, devices []pushsvc.DeviceID) ([]people.Facts, error) {
	return on(ctx, s, name, func(st *site) (all []people.Facts, _ error) {
		for _, d := range devices {
			f, err := st.facts(d)
			if err != nil {
				return nil, err
			}
			all = append(all, f)
		}
		return all, nil
	})
}

// records returns the events of a profile.
func (st *site) records(p *people.Profile) (all []people.EventRecord, err error) {
	for _, ref := range p.History {
		var records []people.EventRecord
		if text := st.history[ref.Seq]; text != nil {
			if err := json.Unmarshal(text, &records); err != nil {
				return nil, err
			}
		}
		all = append(all, records...)
	}
	return all, nil
}

// Person implements people.Store.
func (s *Store) Person(ctx context.Context, name, id string) (people.Person, error) {
	return on(ctx, s, name, func(st *site) (out people.Person, err error) {
		if out.Profile, err = st.person(id); err != nil {
			return out, err
		}
		for _, d := range out.Profile.Devices {
			out.Subscriptions = append(out.Subscriptions, st.linked(d.ID)...)
		}
		out.History, err = st.records(&out.Profile)
		return out, err
	})
}

// PersonBy implements people.Store.
func (s *Store) PersonBy(ctx context.Context, name string, i people.Identity) (people.Profile, error) {
	return on(ctx, s, name, func(st *site) (people.Profile, error) {
		id := st.identities[i]
		if id == "" {
			id = append(st.claimants(i), "")[0]
		}
		return st.person(id)
	})
}

// ProfilePage implements people.Store.
func (s *Store) ProfilePage(ctx context.Context, name, after string, limit int) ([]people.Profile, error) {
	return on(ctx, s, name, func(st *site) ([]people.Profile, error) { return st.profilePage(after, limit) })
}

func (st *site) profilePage(after string, limit int) (page []people.Profile, err error) {
	for _, id := range sortedKeys(st.profiles) {
		if id > after && len(page) < limit {
			p, err := st.person(id)
			if err != nil {
				return nil, err
			}
			page = append(page, p)
		}
	}
	return page, nil
}

// counted returns the site's count of an event, for the rules.
func (st *site) counted(event string) (people.EventCount, bool) {
	total, ok := st.events[event]
	return total.EventCount, ok
}

// unmoved returns an error while rows are being moved to the site.
func (st *site) unmoved() error {
	if len(st.coming()) > 0 {
		return pushsvc.ErrSiteMoving
	}
	return nil
}

// ErasePerson implements people.Store.
func (s *Store) ErasePerson(ctx context.Context, name, id string) error {
	return s.do(ctx, name, func(st *site) error {
		if err := st.unmoved(); err != nil {
			return err
		}
		p, err := st.person(id)
		if err != nil {
			return err
		}
		return st.change(p.Erase(st.counted))
	})
}

// claimants returns the profiles that claim the identity, by id.
func (st *site) claimants(i people.Identity) (ids []string) {
	for claim := range st.claims {
		if claim.Identity == i {
			ids = append(ids, claim.Profile)
		}
	}
	slices.Sort(ids)
	return ids
}

// EraseIdentity implements people.Store.
func (s *Store) EraseIdentity(ctx context.Context, name string, i people.Identity, limit int) (int, error) {
	return on(ctx, s, name, func(st *site) (n int, _ error) {
		if err := st.unmoved(); err != nil {
			return 0, err
		}
		ids := st.claimants(i)
		ids = ids[:min(len(ids), limit)]
		if id := st.identities[i]; id != "" {
			ids = append(ids, id)
		}
		for _, id := range ids {
			p, err := st.profile(id)
			if err == nil {
				err = st.change(people.EraseIdentity(p, id, i, st.counted))
			}
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	})
}

// ErasePeople implements pushsvc.SiteStore.
func (s *Store) ErasePeople(ctx context.Context, name string, seen []pushsvc.PersonSeen) (int, error) {
	return on(ctx, s, name, func(st *site) (n int, _ error) {
		if err := st.unmoved(); err != nil {
			return 0, err
		}
		for _, one := range seen {
			p, err := st.profile(one.ID)
			if err == nil && p != nil && p.Seen.Equal(one.Seen) {
				n++
				err = st.change(p.Erase(st.counted))
			}
			if err != nil {
				return n, err
			}
		}
		return n, nil
	})
}

// EventSummary implements people.Store.
func (s *Store) EventSummary(ctx context.Context, name string) ([]people.EventSummary, error) {
	return on(ctx, s, name, func(st *site) (all []people.EventSummary, _ error) {
		for _, event := range sortedKeys(st.events) {
			all = append(all, people.EventSummary{Name: event, EventCount: st.events[event].EventCount})
		}
		return all, nil
	})
}

// PopupStats implements people.Store.
func (s *Store) PopupStats(ctx context.Context, name, popup string, from, to time.Time) ([]people.PopupCounter, error) {
	return on(ctx, s, name, func(st *site) (all []people.PopupCounter, _ error) {
		for key, hour := range st.hours {
			if key.popup == popup && !key.hour.Before(from) && (to.IsZero() || key.hour.Before(to)) {
				all = append(all, hour.Counters(popup, key.hour)...)
			}
		}
		slices.SortStableFunc(all, func(a, b people.PopupCounter) int { return a.Hour.Compare(b.Hour) })
		return all, nil
	})
}

// PeopleSites implements people.Store.
func (s *Store) PeopleSites(ctx context.Context) ([]people.Summary, error) {
	row := func(st *site) people.Summary { return people.Summary{Site: st.name, Counts: st.counts} }
	return list(ctx, s, func(st *site) bool { return st.hasPeople }, row)
}

// PruneHistory implements people.Store.
func (s *Store) PruneHistory(ctx context.Context, name string, before time.Time, limit int) (int, error) {
	return on(ctx, s, name, func(st *site) (n int, _ error) {
		for _, seq := range sortedKeys(st.history) {
			var records []people.EventRecord
			if err := json.Unmarshal(st.history[seq], &records); err != nil {
				return n, err
			}
			if n == limit || !people.AllBefore(records, before) {
				break
			}
			delete(st.history, seq)
			n++
		}
		return n, nil
	})
}

// FoldPopups implements people.Store.
func (s *Store) FoldPopups(ctx context.Context, name string, before time.Time, limit int) (int, error) {
	return on(ctx, s, name, func(st *site) (n int, _ error) {
		for key, hour := range maps.Clone(st.hours) {
			if n < limit && people.Foldable(key.hour, before) {
				total := popupHour{key.popup, people.FoldedHour}
				st.hours[total] = st.hours[total].Fold(hour)
				delete(st.hours, key)
				n++
			}
		}
		return n, nil
	})
}

// PruneAnonymous implements people.Store.
func (s *Store) PruneAnonymous(ctx context.Context, name, after string, before time.Time, limit int) (next string, removed int, err error) {
	err = s.do(ctx, name, func(st *site) error {
		page, err := st.profilePage(after, limit)
		for i := range page {
			if p := &page[i]; err == nil && p.Prunable(before, st.isSubscribed) {
				removed++
				err = st.change(p.Erase(st.counted))
			}
		}
		if len(page) == limit && limit > 0 {
			next = page[limit-1].ID
		}
		return err
	})
	return next, removed, err
}
