package people

import (
	"cmp"
	"slices"
)

// Where a site is full, what is worth the least makes room for what is new. Which that
// is, a sample tells: to look at all would cost each newcomer as much as the site has.
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
	// Worth is how many people had it for the first time after they had come back, or
	// were vouched for. Rows from before have none.
	Worth *int64 `json:"worth,omitempty"`
}

// Value is the worth, or, of a row from before, the count.
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

// worth is what an event of the present person's makes its name worth: strangers, who
// may be made up, make it nothing.
func (a *applier) worth(name string) int64 {
	p := a.now
	if p.Events[name].Count > 0 || !(p.stored && CameBack(p.Created, a.b.At) || a.b.Trusted && p.Known()) {
		return 0
	}
	return 1
}

// siteCounts says whether the site counts the event, or has room to begin.
func (a *applier) siteCounts(name string, worth int64) (bool, error) {
	if _, counted := a.change.Events[name]; counted {
		return true, nil
	}
	if !slices.Contains(a.change.DropEvents, name) {
		if known, err := a.tx.CountsEvent(name); err != nil || known {
			return known, err
		}
	}
	if a.counts.EventNames >= a.b.Limits.eventNames() {
		named := slices.Contains(a.b.Names, name)
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

// dropEvent lets the name go that is worth the least, unless a new one is worth even
// less.
func (a *applier) dropEvent(worth int64, named bool) (bool, error) {
	if a.sampled == nil {
		sample, err := a.tx.CountedEvents(eventSample)
		if err != nil {
			return false, err
		}
		a.sampled = slices.DeleteFunc(sample, func(e CountedEvent) bool { return slices.Contains(a.b.Names, e.Name) })
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
		// Asked again, so that the store knows what hangs on it.
		if there, err := a.tx.CountsEvent(least.Name); err != nil || !there {
			return false, err
		}
		a.change.DropEvents = append(a.change.DropEvents, least.Name)
		a.counts.EventNames--
		a.counts.EvictedEvents++
		return true, nil
	}
	return false, nil
}

// makeRoom lets anonymous profiles go where the site has as many as it may and the
// batch brings one more: first those that nobody came back to, then those that were
// seen longest ago. Whoever has a subscription or an identity stays.
func (a *applier) makeRoom() error {
	if a.now == nil || a.now.stored || a.now.Known() {
		return nil
	}
	for range maxPeopleOut {
		if a.counts.Anonymous < a.b.Limits.anonymous() {
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
		// Read again, so that the store knows what hangs on it.
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

// evict removes a stored anonymous profile that has nothing to do with the batch.
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
