package people

import (
	"maps"
	"slices"
)

// Adopt works out what changes where a profile of another site comes to this one, with
// its history. Who has the same identity, proven both or neither, is the same person;
// an identity that only one of two has proven is that one's, and the other claims it.
// An anonymous profile of the same browser becomes part of the other. What was seen
// last counts where both say something else; counts are added. renamed are new ids of
// pop-ups. The site's own counters are not the profile's, and come by themselves.
func Adopt(tx Tx, in *Profile, records []EventRecord, renamed map[string]string) (Change, bool, error) {
	a := &applier{tx: tx, b: Batch{At: in.Seen}, loaded: map[string]*person{}}
	var err error
	if a.counts, err = tx.Counts(); err != nil {
		return Change{}, false, err
	}
	before := a.counts
	p := &person{Profile: newcomer(in, renamed), records: slices.Clone(records)}
	a.loaded[p.ID], a.order = p, append(a.order, p)
	keep, err := a.meet(p, in.Identities)
	if err != nil {
		return Change{}, false, err
	}
	if keep, err = a.meetDevices(keep, p, in); err != nil {
		return Change{}, false, err
	}
	if err := a.bring(keep, in); err != nil {
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
			if err := a.keep(q); err != nil {
				return Change{}, false, err
			}
		}
	}
	if a.counts != before {
		a.change.Counts = &a.counts
	}
	return a.change, keep != p, nil
}

// newcomer is the profile without what it has yet to get here.
func newcomer(in *Profile, renamed map[string]string) *Profile {
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

// meet makes the newcomer one with who has an identity of theirs, as far as both have
// proven it, or neither has.
func (a *applier) meet(p *person, identities []Identity) (*person, error) {
	for _, i := range identities {
		holder, err := a.by(i)
		if err != nil {
			return nil, err
		}
		if holder != nil && holder.Proven == p.Proven {
			a.unite(holder, p)
			return holder, nil
		}
	}
	return p, nil
}

// meetDevices settles whose the newcomer's browsers are that are known here.
func (a *applier) meetDevices(keep, p *person, in *Profile) (*person, error) {
	for _, d := range in.Devices {
		found, err := a.tx.ProfileOf(d.ID)
		if err != nil {
			return nil, err
		}
		if found == nil {
			continue
		}
		other := a.load(found)
		known := keep != p || in.somebody()
		switch {
		case other == keep || other.dropped:
		case !other.somebody():
			a.unite(keep, other)
		case !known:
			a.unite(other, keep)
			keep = other
		default: // two people share the browser: who used it last has it
			if i := other.device(d.ID); i >= 0 && other.Devices[i].Seen.Before(d.Seen) {
				other.takeDevice(d.ID)
			} else {
				keep.takeDevice(d.ID)
			}
		}
	}
	return keep, nil
}

// bring gives the newcomer the identities that are theirs here, and claims of the
// others.
func (a *applier) bring(keep *person, in *Profile) error {
	for _, i := range in.Identities {
		holder, err := a.by(i)
		switch {
		case err != nil:
			return err
		case holder == keep || slices.Contains(keep.Identities, i):
			continue
		case holder != nil && in.Proven && !holder.Proven:
			a.disown(holder, i)
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

// unite makes two profiles the first one.
func (a *applier) unite(into, from *person) {
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
			into.Devices[i] = into.Devices[i].join(d)
		} else {
			into.Devices = append(into.Devices, d)
		}
	}
	for _, i := range from.Claims {
		into.claim(i)
	}
	from.dropped, from.records = true, nil
}

// join is one device of what two sites know of the same.
func (d Device) join(o Device) Device {
	if o.Created.Before(d.Created) {
		d.Created = o.Created
	}
	d.Seen, d.Reports = latest(d.Seen, o.Seen), latest(d.Reports, o.Reports)
	const mark = 8 // see batchMark
	d.Batches = append(slices.Clone(o.Batches), d.Batches...)
	d.Batches = d.Batches[max(len(d.Batches)-mark*MaxDeviceBatches, 0):]
	return d
}

// Plus are both counts in one, but for those of rows, which are the store's to count.
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

// Join are both totals in one.
func (t EventTotal) Join(o EventTotal) EventTotal { return t.Plus(o.EventCount, o.Value()) }
