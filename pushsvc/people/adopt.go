package people

import (
	"maps"
	"slices"
)

// Adopt returns what changes when a profile with its history moves here from another site. renamed maps old
// ids of pop-ups to new ones.
//
//   - Profiles with the same identity, both proven or both unproven, are one person.
//   - An identity that only one of two profiles has proven belongs to that one; the other claims it.
//   - An anonymous profile of the same browser is merged into the other.
//   - Of two different values, the one of the profile seen last wins; counts are added.
//
// The site's own counters are not part of the profile and are moved separately.
func Adopt(tx Tx, in *Profile, records []EventRecord, renamed map[string]string) (Change, bool, error) {
	a := &applier{tx: tx, batch: Batch{At: in.Seen}, loaded: map[string]*person{}}
	var err error
	if a.counts, err = tx.Counts(); err != nil {
		return Change{}, false, err
	}
	before := a.counts
	p := &person{Profile: movedProfile(in, renamed), records: slices.Clone(records)}
	a.loaded[p.ID], a.order = p, append(a.order, p)
	keep, err := a.mergeByIdentity(p, in.Identities)
	if err != nil {
		return Change{}, false, err
	}
	if keep, err = a.mergeByDevice(keep, p, in); err != nil {
		return Change{}, false, err
	}
	if err := a.moveIdentities(keep, in); err != nil {
		return Change{}, false, err
	}
	for _, d := range keep.Devices {
		setIn(&a.change.Devices, d.ID, keep.ID)
	}
	for len(keep.Devices) > MaxDevices {
		oldest := slices.MinFunc(keep.Devices, func(a, b Device) int { return a.Seen.Compare(b.Seen) })
		setIn(&a.change.Devices, oldest.ID, "")
		keep.takeDevice(oldest.ID)
	}
	for _, q := range a.order {
		switch {
		case q.dropped && q.stored:
			a.counts.Profiles = max(a.counts.Profiles, 1) - 1
			a.counts.Anonymous = max(a.counts.Anonymous, 1) - 1
			a.change.Drop = append(a.change.Drop, q.ID)
			a.keepClaims(q, nil)
		case !q.dropped:
			if err := a.putProfile(q); err != nil {
				return Change{}, false, err
			}
		}
	}
	a.change.Counts = a.counts.since(before)
	return a.change, keep != p, nil
}

// movedProfile returns the profile without its identities and history, with the new ids of pop-ups.
func movedProfile(in *Profile, renamed map[string]string) *Profile {
	p := *in
	p.Identities, p.History = nil, nil
	p.Claims, p.Devices, p.Shown = slices.Clone(in.Claims), slices.Clone(in.Devices), slices.Clone(in.Shown)
	p.Events, p.Popups = maps.Clone(in.Events), nil
	for id, n := range in.Popups {
		if to := renamed[id]; to != "" {
			id = to
		}
		setIn(&p.Popups, id, n)
	}
	for i := range p.Shown {
		if to := renamed[p.Shown[i].Popup]; to != "" {
			p.Shown[i].Popup = to
		}
	}
	return &p
}

// mergeByIdentity merges the newcomer into the profile that has one of its identities, if both have proven it or neither
// has.
func (a *applier) mergeByIdentity(p *person, identities []Identity) (*person, error) {
	for _, i := range identities {
		holder, err := a.profileBy(i)
		if err != nil {
			return nil, err
		}
		if holder != nil && holder.Proven == p.Proven {
			a.mergeInto(holder, p)
			return holder, nil
		}
	}
	return p, nil
}

// mergeByDevice decides whose the newcomer's browsers are, where this site knows them too.
func (a *applier) mergeByDevice(keep, p *person, in *Profile) (*person, error) {
	for _, d := range in.Devices {
		found, err := a.tx.ProfileOf(d.ID)
		if err != nil {
			return nil, err
		}
		if found == nil {
			continue
		}
		other := a.load(found)
		known := keep != p || in.loggedIn()
		switch {
		case other == keep || other.dropped:
		case !other.loggedIn():
			a.mergeInto(keep, other)
		case !known:
			a.mergeInto(other, keep)
			keep = other
		default: // two people share the browser: the last user keeps it
			if i := other.device(d.ID); i >= 0 && other.Devices[i].Seen.Before(d.Seen) {
				other.takeDevice(d.ID)
			} else {
				keep.takeDevice(d.ID)
			}
		}
	}
	return keep, nil
}

// moveIdentities adds the newcomer's identities that are free here. It keeps the others as claims.
func (a *applier) moveIdentities(keep *person, in *Profile) error {
	for _, i := range in.Identities {
		holder, err := a.profileBy(i)
		switch {
		case err != nil:
			return err
		case holder == keep || slices.Contains(keep.Identities, i):
			continue
		case holder != nil && in.Proven && !holder.Proven:
			a.turnIntoClaim(holder, i)
		case holder != nil, keep.Proven && !in.Proven:
			keep.claim(i)
			continue
		}
		if len(keep.Identities) >= MaxIdentities {
			keep.claim(i)
			continue
		}
		keep.Identities = append(slices.Clone(keep.Identities), i)
		keep.Claims = slices.DeleteFunc(slices.Clone(keep.Claims), func(have Identity) bool { return have == i })
		setIn(&a.change.Identities, i, keep.ID)
	}
	return nil
}

// mergeInto merges the profile from into the profile into.
func (a *applier) mergeInto(into, from *person) {
	same := len(from.Devices) == 1 && len(into.Devices) == 1 && from.Devices[0].ID == into.Devices[0].ID
	if !into.Proven && !same && len(into.Devices) > 0 && len(from.Devices) > 0 {
		for _, p := range []*person{into, from} {
			p.Devices = slices.Clone(p.Devices)
			for i := range p.Devices {
				if !p.Shared {
					p.Devices[i].Own = ownOf(p.Profile)
				}
			}
		}
		into.Shared = true
	}
	newer := from.Seen.After(into.Seen)
	into.touch()
	into.absorb(from.Profile)
	if newer {
		into.Seen = from.Seen
		for name, value := range from.Attributes {
			setIn(&into.Attributes, name, value)
		}
	}
	into.records = append(into.records, from.records...)
	slices.SortStableFunc(into.records, func(x, y EventRecord) int { return x.Time.Compare(y.Time) })
	into.Devices = slices.Clone(into.Devices)
	for _, d := range from.Devices {
		if i := into.device(d.ID); i >= 0 {
			into.Devices[i] = into.Devices[i].merge(d)
		} else {
			into.Devices = append(into.Devices, d)
		}
	}
	for _, i := range from.Claims {
		into.claim(i)
	}
	from.dropped, from.records = true, nil
}

// join merges two sites' records of one device.
func (d Device) merge(o Device) Device {
	if o.Created.Before(d.Created) {
		d.Created = o.Created
	}
	d.Seen, d.Reports = latest(d.Seen, o.Seen), latest(d.Reports, o.Reports)
	const mark = 8 // see batchMark
	d.Batches = append(slices.Clone(o.Batches), d.Batches...)
	d.Batches = d.Batches[max(len(d.Batches)-mark*MaxDeviceBatches, 0):]
	return d
}

// Plus adds the counts, except those of rows, which the store counts.
func (n Counts) Plus(o Counts) Counts {
	n.RefusedProfiles += o.RefusedProfiles
	n.RefusedEvents += o.RefusedEvents
	n.RefusedLogins += o.RefusedLogins
	n.RefusedEntries += o.RefusedEntries
	n.RefusedReports += o.RefusedReports
	n.EvictedProfiles += o.EvictedProfiles
	n.EvictedEvents += o.EvictedEvents
	return n
}

// Join adds two totals.
func (t EventTotal) Join(o EventTotal) EventTotal { return t.Plus(o.EventCount, o.Value()) }
