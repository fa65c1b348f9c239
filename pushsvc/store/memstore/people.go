package memstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// people is what a site knows of its visitors. Profiles are kept as text, so
// that nobody changes what is stored.
type people struct {
	profiles   map[string][]byte
	devices    map[pushsvc.DeviceID]string
	identities map[pushsvc.Identity]string
	claims     map[pushsvc.Claim]bool
	history    map[uint64]json.RawMessage
	last       uint64
	events     map[string]pushsvc.EventTotal
	popups     map[popupHour]pushsvc.PopupHour
	counts     pushsvc.PeopleCounts
}

func newPeople() *people {
	return &people{
		claims: map[pushsvc.Claim]bool{}, profiles: map[string][]byte{}, devices: map[pushsvc.DeviceID]string{}, identities: map[pushsvc.Identity]string{},
		history: map[uint64]json.RawMessage{}, events: map[string]pushsvc.EventTotal{}, popups: map[popupHour]pushsvc.PopupHour{},
	}
}

type popupHour struct {
	popup string
	hour  time.Time
}

func (p *people) profile(id string) (*pushsvc.Profile, error) {
	text, ok := p.profiles[id]
	if !ok {
		return nil, nil
	}
	var out pushsvc.Profile
	return &out, json.Unmarshal(text, &out)
}

// ProfileOf, and those that follow, make it a pushsvc.PeopleTx.
func (p *people) ProfileOf(d pushsvc.DeviceID) (*pushsvc.Profile, error) {
	return p.profile(p.devices[d])
}

func (p *people) ProfileBy(i pushsvc.Identity) (*pushsvc.Profile, error) {
	return p.profile(p.identities[i])
}

func (p *people) CountsEvent(name string) (bool, error) { return p.events[name].Count > 0, nil }

// peopleTx is a pushsvc.PeopleTx.
type peopleTx struct {
	*people
	s    *Store
	name string
}

// CountedEvents implements pushsvc.PeopleTx: the order of a map is chance enough.
func (t peopleTx) CountedEvents(n int) (out []pushsvc.CountedEvent, err error) {
	for name, total := range t.events {
		if len(out) == n {
			break
		}
		out = append(out, pushsvc.CountedEvent{Name: name, EventTotal: total})
	}
	return out, nil
}

// Strangers implements pushsvc.PeopleTx.
func (t peopleTx) Strangers(n int) (out []*pushsvc.Profile, err error) {
	seen := map[string]bool{}
	for _, id := range t.devices {
		if n--; n < 0 {
			break
		}
		p, err := t.profile(id)
		if err != nil {
			return nil, err
		}
		if p == nil || seen[id] {
			continue
		}
		seen[id] = true
		if !slices.ContainsFunc(p.Devices, func(d pushsvc.Device) bool { return len(t.s.linked(t.name, d.ID)) > 0 }) {
			out = append(out, p)
		}
	}
	return out, nil
}

func (p *people) Counts() (pushsvc.PeopleCounts, error) { return p.counts, nil }

func (p *people) NextHistory() (uint64, error) { p.last++; return p.last, nil }

func (p *people) change(c pushsvc.Change) error {
	for _, profile := range c.Put {
		text, err := json.Marshal(profile)
		if err != nil {
			return err
		}
		p.profiles[profile.ID] = text
	}
	for _, id := range c.Drop {
		delete(p.profiles, id)
	}
	for d, id := range c.Devices {
		lead(p.devices, d, id)
	}
	for i, id := range c.Identities {
		lead(p.identities, i, id)
	}
	for claim, is := range c.Claims {
		if is {
			p.claims[claim] = true
		} else {
			delete(p.claims, claim)
		}
	}
	maps.Copy(p.history, c.History)
	for _, seq := range c.DropHistory {
		delete(p.history, seq)
	}
	for _, name := range c.DropEvents {
		delete(p.events, name)
	}
	for name, n := range c.Events {
		p.events[name] = p.events[name].Plus(n, c.Worth[name])
	}
	for stat, n := range c.Popups {
		key := popupHour{stat.Popup, stat.Hour}
		p.popups[key] = p.popups[key].Add(stat, n)
	}
	if c.Counts != nil {
		p.counts = *c.Counts
	}
	return nil
}

func lead[K comparable](m map[K]string, key K, id string) {
	if id == "" {
		delete(m, key)
	} else {
		m[key] = id
	}
}

// Track implements pushsvc.PeopleStore.
func (s *Store) Track(ctx context.Context, name string, b pushsvc.Batch) (pushsvc.Tracked, error) {
	if name == "" || len(name) > pushsvc.MaxSiteName {
		return pushsvc.Tracked{}, errors.New("storing events: the site's name is empty or too long")
	}
	if err := s.enter(ctx); err != nil {
		return pushsvc.Tracked{}, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	if err := s.pullDevice(name, b.Device); err != nil {
		return pushsvc.Tracked{}, err
	}
	p := s.people[name]
	if p == nil {
		p = newPeople()
	}
	c, err := pushsvc.Apply(peopleTx{p, s, name}, b)
	if err != nil {
		return pushsvc.Tracked{}, err
	}
	if s.people == nil {
		s.people = map[string]*people{}
	}
	s.people[name] = p
	if c.Moved != nil {
		for _, sub := range s.linked(name, c.Moved[0]) {
			sub.Device = c.Moved[1]
			s.sites[name].subs[sub.ID] = sub
		}
	}
	return c.Tracked, p.change(c)
}

// Facts implements pushsvc.PeopleStore.
func (s *Store) Facts(ctx context.Context, name string, device pushsvc.DeviceID) (f pushsvc.Facts, err error) {
	if err := s.enter(ctx); err != nil {
		return f, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	f.Subscribed = len(s.linked(name, device)) > 0
	if p := s.people[name]; p != nil {
		f.Profile, err = p.ProfileOf(device)
	}
	return f, err
}

// linked gives the subscriptions of a device.
func (s *Store) linked(name string, device pushsvc.DeviceID) (subs []pushsvc.Subscription) {
	st := s.sites[name]
	if st == nil {
		return nil
	}
	for _, id := range sortedKeys(st.subs) {
		if sub := st.subs[id]; sub.Device == device && !device.IsZero() {
			subs = append(subs, sub)
		}
	}
	return subs
}

// find gives a site's people and one profile, or pushsvc.ErrNotFound.
func (s *Store) find(name, id string) (*people, *pushsvc.Profile, error) {
	p := s.people[name]
	if p == nil {
		return nil, nil, pushsvc.ErrNotFound
	}
	profile, err := p.profile(id)
	if err == nil && profile == nil {
		err = pushsvc.ErrNotFound
	}
	return p, profile, err
}

// Person implements pushsvc.PeopleStore.
func (s *Store) Person(ctx context.Context, name, id string) (out pushsvc.Person, err error) {
	if err := s.enter(ctx); err != nil {
		return out, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	p, profile, err := s.find(name, id)
	if err != nil {
		return out, err
	}
	out.Profile = *profile
	for _, ref := range profile.History {
		if text := p.history[ref.Seq]; text != nil {
			var records []pushsvc.EventRecord
			if err := json.Unmarshal(text, &records); err != nil {
				return out, err
			}
			out.History = append(out.History, records...)
		}
	}
	for _, d := range profile.Devices {
		out.Subscriptions = append(out.Subscriptions, s.linked(name, d.ID)...)
	}
	return out, nil
}

// PersonBy implements pushsvc.PeopleStore.
func (s *Store) PersonBy(ctx context.Context, name string, i pushsvc.Identity) (pushsvc.Profile, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.Profile{}, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	id := ""
	if p := s.people[name]; p != nil {
		if id = p.identities[i]; id == "" {
			id = append(p.claimants(i), "")[0]
		}
	}
	_, profile, err := s.find(name, id)
	if err != nil {
		return pushsvc.Profile{}, err
	}
	return *profile, nil
}

// ProfilePage implements pushsvc.PeopleStore.
func (s *Store) ProfilePage(ctx context.Context, name, after string, limit int) (page []pushsvc.Profile, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	p := s.people[name]
	if p == nil {
		return nil, nil
	}
	for _, id := range sortedKeys(p.profiles) {
		if id > after && len(page) < limit {
			profile, err := p.profile(id)
			if err != nil {
				return nil, err
			}
			page = append(page, *profile)
		}
	}
	return page, nil
}

// ErasePerson implements pushsvc.PeopleStore.
func (s *Store) ErasePerson(ctx context.Context, name, id string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	if len(s.coming(name)) > 0 {
		return pushsvc.ErrSiteMoving
	}
	return s.erase(name, id)
}

// claimants are those who claim the identity, by id.
func (p *people) claimants(i pushsvc.Identity) (ids []string) {
	for claim := range p.claims {
		if claim.Identity == i {
			ids = append(ids, claim.Profile)
		}
	}
	slices.Sort(ids)
	return ids
}

// EraseIdentity implements pushsvc.PeopleStore.
func (s *Store) EraseIdentity(ctx context.Context, name string, i pushsvc.Identity, limit int) (n int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	if len(s.coming(name)) > 0 {
		return 0, pushsvc.ErrSiteMoving
	}
	p := s.people[name]
	if p == nil {
		return 0, nil
	}
	ids := p.claimants(i)
	ids = ids[:min(len(ids), limit)]
	if id := p.identities[i]; id != "" {
		ids = append(ids, id)
	}
	for _, id := range ids {
		profile, err := p.profile(id)
		switch {
		case err != nil:
			return n, err
		case profile != nil && profile.ErasedBy(i):
			err = s.erase(name, id)
		case profile != nil:
			err = p.change(pushsvc.Change{Put: []*pushsvc.Profile{profile.Unclaimed(i)}})
		}
		if err != nil {
			return n, err
		}
		delete(p.claims, pushsvc.Claim{Identity: i, Profile: id})
		n++
	}
	return n, nil
}

func (s *Store) erase(name, id string) error {
	p, profile, err := s.find(name, id)
	if err != nil {
		return err
	}
	for _, d := range profile.Devices {
		for _, sub := range s.linked(name, d.ID) {
			s.sites[name].drop(sub.ID)
		}
		delete(p.devices, d.ID)
	}
	for _, i := range profile.Identities {
		delete(p.identities, i)
	}
	for _, i := range profile.Claims {
		delete(p.claims, pushsvc.Claim{Identity: i, Profile: id})
	}
	for _, h := range profile.History {
		delete(p.history, h.Seq)
	}
	for event, c := range profile.Events {
		if have, counted := p.events[event]; counted && have.Count <= c.Count {
			delete(p.events, event)
			p.counts.EventNames--
		}
	}
	delete(p.profiles, id)
	p.counts.Profiles--
	if !profile.Known() {
		p.counts.Anonymous--
	}
	return nil
}

// EventSummary implements pushsvc.PeopleStore.
func (s *Store) EventSummary(ctx context.Context, name string) (all []pushsvc.EventSummary, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	if p := s.people[name]; p != nil {
		for _, event := range sortedKeys(p.events) {
			all = append(all, pushsvc.EventSummary{Name: event, EventCount: p.events[event].EventCount})
		}
	}
	return all, nil
}

// PopupStats implements pushsvc.PeopleStore.
func (s *Store) PopupStats(ctx context.Context, name, popup string, from, to time.Time) (all []pushsvc.PopupCounter, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	p := s.people[name]
	if p == nil {
		return nil, nil
	}
	for key, hour := range p.popups {
		if key.popup == popup && !key.hour.Before(from) && (to.IsZero() || key.hour.Before(to)) {
			all = append(all, hour.Counters(popup, key.hour)...)
		}
	}
	slices.SortStableFunc(all, func(a, b pushsvc.PopupCounter) int { return a.Hour.Compare(b.Hour) })
	return all, nil
}

// PeopleSites implements pushsvc.PeopleStore.
func (s *Store) PeopleSites(ctx context.Context) (all []pushsvc.PeopleSummary, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	for name, p := range s.people {
		if s.current(name) != name {
			continue
		}
		all = append(all, pushsvc.PeopleSummary{Site: name, PeopleCounts: p.counts})
	}
	slices.SortFunc(all, func(a, b pushsvc.PeopleSummary) int { return cmp.Compare(a.Site, b.Site) })
	return all, nil
}

// PruneHistory implements pushsvc.PeopleStore.
func (s *Store) PruneHistory(ctx context.Context, name string, before time.Time, limit int) (n int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	p := s.people[name]
	if p == nil {
		return 0, nil
	}
	for _, seq := range sortedKeys(p.history) {
		var records []pushsvc.EventRecord
		if err := json.Unmarshal(p.history[seq], &records); err != nil {
			return n, err
		}
		young := slices.ContainsFunc(records, func(r pushsvc.EventRecord) bool { return !r.Time.Before(before) })
		if young || n == limit {
			break
		}
		delete(p.history, seq)
		n++
	}
	return n, nil
}

// FoldPopups implements pushsvc.PeopleStore.
func (s *Store) FoldPopups(ctx context.Context, name string, before time.Time, limit int) (n int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	p := s.people[name]
	if p == nil {
		return 0, nil
	}
	for key, hour := range p.popups {
		if n == limit {
			break
		}
		if key.hour.Equal(pushsvc.FoldedHour) || !key.hour.Before(before.Truncate(time.Hour)) {
			continue
		}
		total := popupHour{key.popup, pushsvc.FoldedHour}
		p.popups[total] = p.popups[total].Fold(hour)
		delete(p.popups, key)
		n++
	}
	return n, nil
}

// PruneAnonymous implements pushsvc.PeopleStore.
func (s *Store) PruneAnonymous(ctx context.Context, name, after string, before time.Time, limit int) (next string, removed int, err error) {
	page, err := s.ProfilePage(ctx, name, after, limit)
	if err != nil {
		return "", 0, err
	}
	if err := s.enter(ctx); err != nil {
		return "", 0, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	for _, p := range page {
		subscribed := slices.ContainsFunc(p.Devices, func(d pushsvc.Device) bool { return len(s.linked(name, d.ID)) > 0 })
		if p.Known() || subscribed || !p.Seen.Before(before) {
			continue
		}
		if err := s.erase(name, p.ID); err != nil {
			return "", removed, err
		}
		removed++
	}
	if len(page) == limit && limit > 0 {
		next = page[limit-1].ID
	}
	return next, removed, nil
}
