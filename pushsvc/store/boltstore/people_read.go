package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// Facts implements pushsvc.PeopleStore. A damaged profile is told to
// Options.OnDamage, and its person a stranger.
func (s *Store) Facts(ctx context.Context, name string, device pushsvc.DeviceID) (pushsvc.Facts, error) {
	f, err := read(ctx, s, func(tx *bolt.Tx) (f pushsvc.Facts, err error) {
		people, ok := openPeople(tx, name)
		if !ok {
			return f, nil
		}
		var damage *DamageError
		if f.Profile, err = people.led(peopleDevices, device[:]); errors.As(err, &damage) {
			s.report(err)
			err = nil
		}
		st, _ := openSite(tx, name)
		f.Subscribed = isSubscribed(people, st, device, s.report)
		return f, err
	})
	if err != nil {
		return pushsvc.Facts{}, fmt.Errorf("reading what is known of a visitor of %s: %w", name, err)
	}
	return f, nil
}

// Person implements pushsvc.PeopleStore.
func (s *Store) Person(ctx context.Context, name, id string) (pushsvc.Person, error) {
	out, err := read(ctx, s, func(tx *bolt.Tx) (out pushsvc.Person, err error) {
		people, p, err := findPerson(tx, name, id)
		if err != nil {
			return out, err
		}
		out.Profile = *p
		for _, ref := range p.History {
			var records []pushsvc.EventRecord
			if _, err := people.getJSON(peopleHistory, numberKey(ref.Seq), &records); err != nil {
				s.report(err)
			}
			out.History = append(out.History, records...)
		}
		st, _ := openSite(tx, name)
		for _, d := range p.Devices {
			out.Subscriptions = append(out.Subscriptions, linked(people, st, d.ID, s.report)...)
		}
		return out, nil
	})
	if err != nil {
		return pushsvc.Person{}, fmt.Errorf("reading a profile of %s: %w", name, err)
	}
	return out, nil
}

func findPerson(tx *bolt.Tx, name, id string) (site, *pushsvc.Profile, error) {
	people, ok := openPeople(tx, name)
	key := profileKey(id)
	if !ok || key == nil {
		return people, nil, pushsvc.ErrNotFound
	}
	p, err := people.profile(key)
	if err == nil && p == nil {
		err = pushsvc.ErrNotFound
	}
	return people, p, err
}

// PersonBy implements pushsvc.PeopleStore.
func (s *Store) PersonBy(ctx context.Context, name string, i pushsvc.Identity) (pushsvc.Profile, error) {
	p, err := read(ctx, s, func(tx *bolt.Tx) (pushsvc.Profile, error) {
		people, ok := openPeople(tx, name)
		if !ok {
			return pushsvc.Profile{}, pushsvc.ErrNotFound
		}
		p, err := people.led(peopleIdentities, identityKey(i))
		if ids := people.claimants(i, 1); err == nil && p == nil && len(ids) > 0 {
			p, err = people.profile(ids[0])
		}
		if err != nil || p == nil {
			return pushsvc.Profile{}, errors.Join(err, pushsvc.ErrNotFound)
		}
		return *p, nil
	})
	if err != nil {
		return pushsvc.Profile{}, fmt.Errorf("finding a profile of %s: %w", name, err)
	}
	return p, nil
}

// ProfilePage implements pushsvc.PeopleStore.
func (s *Store) ProfilePage(ctx context.Context, name, after string, limit int) ([]pushsvc.Profile, error) {
	page, err := read(ctx, s, func(tx *bolt.Tx) (page []pushsvc.Profile, err error) {
		people, ok := openPeople(tx, name)
		if !ok || limit <= 0 {
			return nil, nil
		}
		people.eachProfile(profileKey(after), s.report, func(p *pushsvc.Profile) bool {
			page = append(page, *p)
			return len(page) < limit
		})
		return page, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading profiles of %s: %w", name, err)
	}
	return page, nil
}

// EventSummary implements pushsvc.PeopleStore.
func (s *Store) EventSummary(ctx context.Context, name string) ([]pushsvc.EventSummary, error) {
	all, err := read(ctx, s, func(tx *bolt.Tx) (all []pushsvc.EventSummary, err error) {
		people, ok := openPeople(tx, name)
		if !ok {
			return nil, nil
		}
		people.each(peopleEvents, func(k []byte) {
			e := pushsvc.EventSummary{Name: string(k)}
			if _, err := people.getJSON(peopleEvents, k, &e.EventCount); err != nil {
				s.report(err)
				return
			}
			all = append(all, e)
		})
		return all, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the events of %s: %w", name, err)
	}
	return all, nil
}

// PopupStats implements pushsvc.PeopleStore.
func (s *Store) PopupStats(ctx context.Context, name, popup string, from, to time.Time) ([]pushsvc.PopupCounter, error) {
	all, err := read(ctx, s, func(tx *bolt.Tx) (all []pushsvc.PopupCounter, err error) {
		people, ok := openPeople(tx, name)
		if !ok {
			return nil, nil
		}
		b := people.b.Bucket([]byte(peoplePopups))
		if b == nil {
			return nil, nil
		}
		first, last := int64(0), int64(math.MaxInt64)
		if !from.IsZero() {
			first = max((from.Unix()+3599)/3600, 0)
		}
		if !to.IsZero() {
			last = (to.Unix() + 3599) / 3600
		}
		prefix := popup + "\x00"
		c := b.Cursor()
		for k, _ := c.Seek(popupKey(popup, first)); len(k) == len(prefix)+8 && string(k[:len(prefix)]) == prefix; k, _ = c.Next() {
			n := int64(binary.BigEndian.Uint64(k[len(prefix):]))
			if n >= last {
				break
			}
			var hour pushsvc.PopupHour
			if _, err := people.getJSON(peoplePopups, k, &hour); err != nil {
				s.report(err)
				continue
			}
			all = append(all, hour.Counters(popup, time.Unix(n*3600, 0).UTC())...)
		}
		return all, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the counters of pop-up %q of %s: %w", popup, name, err)
	}
	return all, nil
}

// PeopleSites implements pushsvc.PeopleStore.
func (s *Store) PeopleSites(ctx context.Context) ([]pushsvc.PeopleSummary, error) {
	all, err := read(ctx, s, func(tx *bolt.Tx) (all []pushsvc.PeopleSummary, err error) {
		for _, people := range allPeople(tx, s.report) {
			if current(tx, people.name) != people.name {
				continue
			}
			all = append(all, pushsvc.PeopleSummary{Site: people.name, PeopleCounts: people.numbers(s.report)})
		}
		return all, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing sites with people: %w", err)
	}
	return all, nil
}

// allPeople gives what each site has of people. One whose name is none is told
// and passed over.
func allPeople(tx *bolt.Tx, report func(error)) (sites []site) {
	all := tx.Bucket([]byte(bucketPeople))
	if all == nil {
		return nil
	}
	c := all.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		people := site{name: string(k[:min(len(k), pushsvc.MaxSiteName+1)])}
		clean, err := pushsvc.SiteName(people.name)
		if v != nil || err != nil || clean != people.name {
			report(people.damage(bucketPeople, nil, errors.New("it is no site's bucket")))
			continue
		}
		if people.b = all.Bucket(k); people.b != nil {
			sites = append(sites, people)
		}
	}
	return sites
}
