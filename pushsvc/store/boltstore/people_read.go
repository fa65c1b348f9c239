package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// Facts implements people.Store.
func (s *Store) Facts(ctx context.Context, name string, device pushsvc.DeviceID) (people.Facts, error) {
	all, err := s.FactsOf(ctx, name, []pushsvc.DeviceID{device})
	if err != nil {
		return people.Facts{}, err
	}
	return all[0], nil
}

// FactsOf implements people.Store. A damaged profile is reported to
// Options.OnDamage, and its person counts as unknown.
func (s *Store) FactsOf(ctx context.Context, name string, devices []pushsvc.DeviceID) ([]people.Facts, error) {
	all, err := read(ctx, s, func(tx *bolt.Tx) ([]people.Facts, error) {
		all := make([]people.Facts, len(devices))
		rows, ok := openPeople(tx, name)
		if !ok {
			return all, nil
		}
		st, _ := openSite(tx, name)
		for i, device := range devices {
			var err error
			var damage *DamageError
			if all[i].Profile, err = rows.profileAt(peopleDevices, device[:]); errors.As(err, &damage) {
				s.report(err)
			} else if err != nil {
				return nil, err
			}
			all[i].Subscribed = isSubscribed(rows, st, device, s.report)
		}
		return all, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading what is known of visitors of %s: %w", name, err)
	}
	return all, nil
}

// Person implements people.Store.
func (s *Store) Person(ctx context.Context, name, id string) (people.Person, error) {
	out, err := read(ctx, s, func(tx *bolt.Tx) (out people.Person, err error) {
		rows, p, err := findPerson(tx, name, id)
		if err != nil {
			return out, err
		}
		out.Profile = *p
		for _, ref := range p.History {
			var records []people.EventRecord
			if _, err := rows.getJSON(peopleHistory, numberKey(ref.Seq), &records); err != nil {
				s.report(err)
			}
			out.History = append(out.History, records...)
		}
		st, _ := openSite(tx, name)
		for _, d := range p.Devices {
			out.Subscriptions = append(out.Subscriptions, linked(rows, st, d.ID, s.report)...)
		}
		return out, nil
	})
	if err != nil {
		return people.Person{}, fmt.Errorf("reading a profile of %s: %w", name, err)
	}
	return out, nil
}

func findPerson(tx *bolt.Tx, name, id string) (site, *people.Profile, error) {
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

// PersonBy implements people.Store.
func (s *Store) PersonBy(ctx context.Context, name string, i people.Identity) (people.Profile, error) {
	p, err := read(ctx, s, func(tx *bolt.Tx) (people.Profile, error) {
		rows, ok := openPeople(tx, name)
		if !ok {
			return people.Profile{}, pushsvc.ErrNotFound
		}
		p, err := rows.profileAt(peopleIdentities, identityKey(i))
		if ids := rows.claimants(i, 1); err == nil && p == nil && len(ids) > 0 {
			p, err = rows.profile(ids[0])
		}
		if err != nil || p == nil {
			return people.Profile{}, errors.Join(err, pushsvc.ErrNotFound)
		}
		return *p, nil
	})
	if err != nil {
		return people.Profile{}, fmt.Errorf("finding a profile of %s: %w", name, err)
	}
	return p, nil
}

// ProfilePage implements people.Store.
func (s *Store) ProfilePage(ctx context.Context, name, after string, limit int) ([]people.Profile, error) {
	page, err := read(ctx, s, func(tx *bolt.Tx) (page []people.Profile, err error) {
		rows, ok := openPeople(tx, name)
		if !ok || limit <= 0 {
			return nil, nil
		}
		rows.eachProfile(profileKey(after), s.report, func(p *people.Profile) bool {
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

// EventSummary implements people.Store.
func (s *Store) EventSummary(ctx context.Context, name string) ([]people.EventSummary, error) {
	all, err := read(ctx, s, func(tx *bolt.Tx) (all []people.EventSummary, err error) {
		rows, ok := openPeople(tx, name)
		if !ok {
			return nil, nil
		}
		rows.each(peopleEvents, func(k []byte) {
			e := people.EventSummary{Name: string(k)}
			if _, err := rows.getJSON(peopleEvents, k, &e.EventCount); err != nil {
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

// PopupStats implements people.Store.
func (s *Store) PopupStats(ctx context.Context, name, popup string, from, to time.Time) ([]people.PopupCounter, error) {
	all, err := read(ctx, s, func(tx *bolt.Tx) (all []people.PopupCounter, err error) {
		rows, ok := openPeople(tx, name)
		if !ok {
			return nil, nil
		}
		b := rows.b.Bucket([]byte(peoplePopups))
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
			var hour people.PopupHour
			if _, err := rows.getJSON(peoplePopups, k, &hour); err != nil {
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

// PeopleSites implements people.Store.
func (s *Store) PeopleSites(ctx context.Context) ([]people.Summary, error) {
	all, err := read(ctx, s, func(tx *bolt.Tx) (all []people.Summary, err error) {
		for _, rows := range allPeople(tx, s.report) {
			if current(tx, rows.name) != rows.name {
				continue
			}
			all = append(all, people.Summary{Site: rows.name, Counts: rows.numbers(s.report)})
		}
		return all, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing sites with people: %w", err)
	}
	return all, nil
}

// allPeople returns each site's people. It reports and skips a site whose name
// fails the check.
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
