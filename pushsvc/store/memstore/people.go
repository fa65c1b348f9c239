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
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// people is what a site knows of its visitors. Profiles are kept as text, so
// that nobody changes what is stored.
type peopleRows struct {
	profiles   map[string][]byte
	devices    map[pushsvc.DeviceID]string
	identities map[people.Identity]string
	claims     map[people.Claim]bool
	history    map[uint64]json.RawMessage
	last       uint64
	events     map[string]people.EventTotal
	popups     map[popupHour]people.PopupHour
	counts     people.Counts
}

func newPeople() *peopleRows {
	return &peopleRows{
		claims: map[people.Claim]bool{}, profiles: map[string][]byte{}, devices: map[pushsvc.DeviceID]string{}, identities: map[people.Identity]string{},
		history: map[uint64]json.RawMessage{}, events: map[string]people.EventTotal{}, popups: map[popupHour]people.PopupHour{},
	}
}

type popupHour struct {
	popup string
	hour  time.Time
}

func (p *peopleRows) profile(id string) (*people.Profile, error) {
	text, ok := p.profiles[id]
	if !ok {
		return nil, nil
	}
	var out people.Profile
	return &out, json.Unmarshal(text, &out)
}

// ProfileOf, and those that follow, make it a people.Tx.
func (p *peopleRows) ProfileOf(d pushsvc.DeviceID) (*people.Profile, error) {
	return p.profile(p.devices[d])
}

func (p *peopleRows) ProfileBy(i people.Identity) (*people.Profile, error) {
	return p.profile(p.identities[i])
}

func (p *peopleRows) CountsEvent(name string) (bool, error) { return p.events[name].Count > 0, nil }

// peopleTx is a people.Tx.
type peopleTx struct {
	*peopleRows
	s    *Store
	name string
}

// CountedEvents implements people.Tx: the order of a map is chance enough.
func (t peopleTx) CountedEvents(n int) (out []people.CountedEvent, err error) {
	for name, total := range t.events {
		if len(out) == n {
			break
		}
		out = append(out, people.CountedEvent{Name: name, EventTotal: total})
	}
	return out, nil
}

// Strangers implements people.Tx.
func (t peopleTx) Strangers(n int) (out []*people.Profile, err error) {
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
		if !slices.ContainsFunc(p.Devices, func(d people.Device) bool { return len(t.s.linked(t.name, d.ID)) > 0 }) {
			out = append(out, p)
		}
	}
	return out, nil
}

func (p *peopleRows) Counts() (people.Counts, error) { return p.counts, nil }

func (p *peopleRows) NextHistory() (uint64, error) { p.last++; return p.last, nil }

func (p *peopleRows) change(c people.Change) error {
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

// Track implements people.Store.
func (s *Store) Track(ctx context.Context, name string, b people.Batch) (people.Tracked, error) {
	if name == "" || len(name) > pushsvc.MaxSiteName {
		return people.Tracked{}, errors.New("storing events: the site's name is empty or too long")
	}
	if err := s.enter(ctx); err != nil {
		return people.Tracked{}, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	if err := s.pullDevice(name, b.Device); err != nil {
		return people.Tracked{}, err
	}
	p := s.people[name]
	if p == nil {
		p = newPeople()
	}
	c, err := people.Apply(peopleTx{p, s, name}, b)
	if err != nil {
		return people.Tracked{}, err
	}
	if s.people == nil {
		s.people = map[string]*peopleRows{}
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

// Facts implements people.Store.
func (s *Store) Facts(ctx context.Context, name string, device pushsvc.DeviceID) (f people.Facts, err error) {
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
func (s *Store) find(name, id string) (*peopleRows, *people.Profile, error) {
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

// Person implements people.Store.
func (s *Store) Person(ctx context.Context, name, id string) (out people.Person, err error) {
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
			var records []people.EventRecord
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

// PersonBy implements people.Store.
func (s *Store) PersonBy(ctx context.Context, name string, i people.Identity) (people.Profile, error) {
	if err := s.enter(ctx); err != nil {
		return people.Profile{}, err
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
		return people.Profile{}, err
	}
	return *profile, nil
}

// ProfilePage implements people.Store.
func (s *Store) ProfilePage(ctx context.Context, name, after string, limit int) (page []people.Profile, err error) {
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

// ErasePerson implements people.Store.
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
func (p *peopleRows) claimants(i people.Identity) (ids []string) {
	for claim := range p.claims {
		if claim.Identity == i {
			ids = append(ids, claim.Profile)
		}
	}
	slices.Sort(ids)
	return ids
}

// EraseIdentity implements people.Store.
func (s *Store) EraseIdentity(ctx context.Context, name string, i people.Identity, limit int) (n int, err error) {
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
			err = p.change(people.Change{Put: []*people.Profile{profile.Unclaimed(i)}})
		}
		if err != nil {
			return n, err
		}
		delete(p.claims, people.Claim{Identity: i, Profile: id})
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
		delete(p.claims, people.Claim{Identity: i, Profile: id})
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

// EventSummary implements people.Store.
func (s *Store) EventSummary(ctx context.Context, name string) (all []people.EventSummary, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	name = s.current(name)
	if p := s.people[name]; p != nil {
		for _, event := range sortedKeys(p.events) {
			all = append(all, people.EventSummary{Name: event, EventCount: p.events[event].EventCount})
		}
	}
	return all, nil
}

// PopupStats implements people.Store.
func (s *Store) PopupStats(ctx context.Context, name, popup string, from, to time.Time) (all []people.PopupCounter, err error) {
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
	slices.SortStableFunc(all, func(a, b people.PopupCounter) int { return a.Hour.Compare(b.Hour) })
	return all, nil
}

// PeopleSites implements people.Store.
func (s *Store) PeopleSites(ctx context.Context) (all []people.Summary, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	for name, p := range s.people {
		if s.current(name) != name {
			continue
		}
		all = append(all, people.Summary{Site: name, Counts: p.counts})
	}
	slices.SortFunc(all, func(a, b people.Summary) int { return cmp.Compare(a.Site, b.Site) })
	return all, nil
}

// PruneHistory implements people.Store.
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
		var records []people.EventRecord
		if err := json.Unmarshal(p.history[seq], &records); err != nil {
			return n, err
		}
		young := slices.ContainsFunc(records, func(r people.EventRecord) bool { return !r.Time.Before(before) })
		if young || n == limit {
			break
		}
		delete(p.history, seq)
		n++
	}
	return n, nil
}

// FoldPopups implements people.Store.
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
		if key.hour.Equal(people.FoldedHour) || !key.hour.Before(before.Truncate(time.Hour)) {
			continue
		}
		total := popupHour{key.popup, people.FoldedHour}
		p.popups[total] = p.popups[total].Fold(hour)
		delete(p.popups, key)
		n++
	}
	return n, nil
}

// PruneAnonymous implements people.Store.
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
		subscribed := slices.ContainsFunc(p.Devices, func(d people.Device) bool { return len(s.linked(name, d.ID)) > 0 })
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
