package people

import "time"

// Bounds of what one batch may cost, whatever its size in bytes. The rest of a batch that reaches one is left
// out and counted. Real browsers stay far below.
const (
	// maxBatchPeople is how many profiles a batch may read or create: each is a row of up to about 200 kB.
	maxBatchPeople = 8
	// maxBatchIdentities is how many identities its logins may name.
	maxBatchIdentities = 200
	// maxBatchHours is how many rows of pop-ups' counters it may change.
	maxBatchHours = 8
)

// hourWork is the cost of a row of a pop-up's counters, in the unit of Tracked.Work.
const hourWork = 4 << 10

// cost is what a batch has cost so far.
type cost struct {
	people, identities int
	ops                int // in the unit of Tracked.Work
	hours              map[PopupStat]bool
}

// overBudget reports whether the batch has used up its bounds.
func (a *applier) overBudget() bool {
	return a.cost.people >= maxBatchPeople || a.cost.identities >= maxBatchIdentities || a.cost.ops > maxOpWork
}

// addHour reports whether one more counter of the row may be changed.
func (c *cost) addHour(s PopupStat) bool {
	row := PopupStat{Popup: s.Popup, Hour: s.Hour}
	if !c.hours[row] && len(c.hours) >= maxBatchHours {
		return false
	}
	setIn(&c.hours, row, true)
	return true
}

// Rate limit of one browser's reports on pop-ups: a burst, then one per interval. A visitor who reads is
// slower.
const (
	reportsAtOnce = 60
	reportsEvery  = 2 * time.Second
)

// mayReport takes one report of the device from its rate limit; false if it has made too many.
func (d *Device) mayReport(at time.Time) bool {
	next := d.Reports
	if next.Before(at) || next.Sub(at) > reportsAtOnce*reportsEvery { // the latter means that a clock was wrong
		next = at
	}
	if next = next.Add(reportsEvery); next.Sub(at) > reportsAtOnce*reportsEvery {
		return false
	}
	d.Reports = next
	return true
}

// weight estimates the profile's bytes of JSON without encoding it.
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

// weigh estimates a value's bytes of JSON; 4 for a number.
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
