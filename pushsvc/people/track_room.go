package people

import (
	"cmp"
	"slices"
)

// If a site is full, what is worth the least makes room for what is new. A sample decides which that is: to
// look at all would cost as much as the site has, for each new visitor.
const (
	eventSample   = 16
	maxEventsOut  = 8 // in one batch
	peopleSample  = 8
	peopleSamples = 4
	maxPeopleOut  = 2 // in one batch
)

// EventTotal is what a site keeps of an event.
type EventTotal struct {
	EventCount
	// Worth is how many people had the event for the first time after they had come back, or were vouched
	// for. Old rows have none.
	Worth *int64 `json:"worth,omitempty"`
}

// Value returns the worth, or the count of an old row.
func (t EventTotal) Value() int64 {
	if t.Worth != nil {
		return *t.Worth
	}
	return t.Count
}

// Plus adds to the row.
func (t EventTotal) Plus(c EventCount, worth int64) EventTotal {
	worth += t.Value()
	return EventTotal{EventCount: t.EventCount.Add(c), Worth: &worth}
}

// worth returns what an event of the current person adds to the worth of its name. Strangers may be made up,
// so they add nothing.
func (a *applier) worth(name string) int64 {
	p := a.current
	if p.Events[name].Count > 0 || !(p.stored && CameBack(p.Created, a.batch.At) || a.batch.Trusted && p.Known()) {
		return 0
	}
	return 1
}

// siteCounts reports whether the site counts the event, or has room for it.
func (a *applier) siteCounts(name string, worth int64) (bool, error) {
	if _, counted := a.change.Events[name]; counted {
		return true, nil
	}
	if !slices.Contains(a.change.DropEvents, name) {
		if known, err := a.tx.CountsEvent(name); err != nil || known {
			return known, err
		}
	}
	if a.counts.EventNames >= a.batch.Limits.eventNames() {
		named := slices.Contains(a.batch.Names, name)
		out, err := a.dropEvent(worth, named)
		if err != nil {
			return false, err
		}
		if !out && !named {
			a.counts.RefusedEvents++
			return false, nil
		}
	}
	a.counts.EventNames++
	return true, nil
}

// dropEvent drops the name that is worth the least, unless the new one is worth even less.
func (a *applier) dropEvent(worth int64, named bool) (bool, error) {
	if a.sampled == nil {
		sample, err := a.tx.CountedEvents(eventSample)
		if err != nil {
			return false, err
		}
		a.sampled = slices.DeleteFunc(sample, func(e CountedEvent) bool { return slices.Contains(a.batch.Names, e.Name) })
		slices.SortFunc(a.sampled, func(x, y CountedEvent) int {
			return cmp.Or(cmp.Compare(x.Value(), y.Value()), cmp.Compare(x.Count, y.Count), x.Last.Compare(y.Last))
		})
	}
	for len(a.sampled) > 0 && len(a.change.DropEvents) < maxEventsOut {
		least := a.sampled[0]
		if least.Value() > worth && !named {
			return false, nil
		}
		a.sampled = a.sampled[1:]
		if _, counted := a.change.Events[least.Name]; counted {
			continue
		}
		// Asked again, so that the store knows what the change depends on.
		if exists, err := a.tx.CountsEvent(least.Name); err != nil || !exists {
			return false, err
		}
		a.change.DropEvents = append(a.change.DropEvents, least.Name)
		a.counts.EventNames--
		a.counts.EvictedEvents++
		return true, nil
	}
	return false, nil
}

// makeRoom drops anonymous profiles if the site has the maximum and the batch adds one: first those that
// never came back, then those seen longest ago. A profile with a subscription or an identity stays.
func (a *applier) makeRoom() error {
	if a.current == nil || a.current.stored || a.current.Known() {
		return nil
	}
	for range maxPeopleOut {
		if a.counts.Anonymous < a.batch.Limits.anonymous() {
			return nil
		}
		if out, err := a.dropStranger(); err != nil || !out {
			return err
		}
	}
	return nil
}

func (a *applier) dropStranger() (bool, error) {
	for range peopleSamples {
		sample, err := a.tx.Strangers(peopleSample)
		if err != nil {
			return false, err
		}
		sample = slices.DeleteFunc(sample, func(p *Profile) bool {
			return p.Known() || len(p.Devices) == 0 || a.loaded[p.ID] != nil || slices.Contains(a.change.Drop, p.ID)
		})
		if len(sample) == 0 {
			continue
		}
		least := slices.MinFunc(sample, func(x, y *Profile) int {
			return cmp.Or(cmp.Compare(cameBack(x), cameBack(y)), x.Seen.Compare(y.Seen))
		})
		// Read again, so that the store knows what the change depends on.
		p, err := a.tx.ProfileOf(least.Devices[0].ID)
		if err != nil {
			return false, err
		}
		if p == nil || p.ID != least.ID {
			continue
		}
		a.evict(p)
		return true, nil
	}
	return false, nil
}

func cameBack(p *Profile) int {
	if CameBack(p.Created, p.Seen) {
		return 1
	}
	return 0
}

// evict removes a stored anonymous profile that takes no part in the batch.
func (a *applier) evict(p *Profile) {
	for _, d := range p.Devices {
		setIn(&a.change.Devices, d.ID, "")
	}
	for _, h := range p.History {
		a.change.DropHistory = append(a.change.DropHistory, h.Seq)
	}
	for _, i := range p.Claims {
		setIn(&a.change.Claims, Claim{i, p.ID}, false)
	}
	a.change.Drop = append(a.change.Drop, p.ID)
	a.change.Work += p.weight()
	a.counts.Profiles = max(a.counts.Profiles, 1) - 1
	a.counts.Anonymous = max(a.counts.Anonymous, 1) - 1
	a.counts.EvictedProfiles++
}
