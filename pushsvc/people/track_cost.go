package people

import "time"

// Bounds of what one batch may cost, whatever its size in bytes. The rest of a batch
// that reaches one is left out and counted: no browser that people use comes near.
const (
	// maxBatchPeople is how many profiles a batch may read or begin: each is a
	// row of up to some 200 kB.
	maxBatchPeople = 8
	// maxBatchIdentities is how many identities its logins may name.
	maxBatchIdentities = 200
	// maxBatchHours is how many rows of pop-ups' counters it may change.
	maxBatchHours = 8
)

// hourWork is what a row of a pop-up's counters costs, in the unit of Tracked.Work.
const hourWork = 4 << 10

// cost is what a batch has cost so far.
type cost struct {
	people, identities int
	ops                int // in the unit of Tracked.Work
	hours              map[PopupStat]bool
}

// spent says whether there may be no further entries.
func (a *applier) spent() bool {
	return a.cost.people >= maxBatchPeople || a.cost.identities >= maxBatchIdentities || a.cost.ops > maxOpWork
}

// hour says whether one more counter of the row may be changed.
func (c *cost) hour(s PopupStat) bool {
	row := PopupStat{Popup: s.Popup, Hour: s.Hour}
	if !c.hours[row] && len(c.hours) >= maxBatchHours {
		return false
	}
	setIn(&c.hours, row, true)
	return true
}

// How many reports on pop-ups one browser's count: so many at once, and then one in
// so much time. A visitor who reads is slower; what is more is made up.
const (
	reportsAtOnce = 60
	reportsEvery  = 2 * time.Second
)

// mayReport takes one report of the device's at the time; false where it has made
// too many.
func (d *Device) mayReport(at time.Time) bool {
	next := d.Reports
	if next.Before(at) || next.Sub(at) > reportsAtOnce*reportsEvery { // the latter is of a clock that was wrong
		next = at
	}
	if next = next.Add(reportsEvery); next.Sub(at) > reportsAtOnce*reportsEvery {
		return false
	}
	d.Reports = next
	return true
}

// weight is about how many bytes of JSON the profile is, without writing them.
func (p *Profile) weight() int {
	n := 400 + weigh(p.Attributes) + 130*len(p.Shown) + 120*len(p.Devices) + 40*len(p.History)
	for _, i := range p.Identities {
		n += 40 + len(i.Value)
	}
	for _, alias := range p.Aliases {
		n += len(alias)
	}
	for name := range p.Events {
		n += 90 + len(name)
	}
	for id := range p.Popups {
		n += 90 + len(id)
	}
	for _, s := range p.Shown {
		n += len(s.Popup) + len(s.Variant) + len(s.Session)
	}
	for _, d := range p.Devices {
		n += len(d.Batches) * 4 / 3
		if d.Own != nil {
			n += weigh(d.Own.Attributes) + 130*len(d.Own.Events)
		}
	}
	return n
}

// weigh is about how many bytes of JSON a value is; 4 for a number.
func weigh(v any) int {
	n := 4
	switch v := v.(type) {
	case string:
		n += len(v)
	case []any:
		for _, item := range v {
			n += weigh(item)
		}
	case map[string]any:
		for key, item := range v {
			n += len(key) + weigh(item)
		}
	}
	return n
}
