package people

import (
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Counted returns what the site counts of an event; false if it does not count it, or the row can't be read.
type Counted func(event string) (EventCount, bool)

// Erase returns what changes when the profile is erased with all that belongs to it. Events that only this
// person has had are no longer counted: their names may reveal who it was.
func (p *Profile) Erase(counted Counted) Change {
	c := Change{Drop: []string{p.ID}, Counts: Counts{Profiles: -1}}
	if !p.Known() {
		c.Counts.Anonymous = -1
	}
	for _, d := range p.Devices {
		setIn(&c.Devices, d.ID, "")
		c.Unsubscribe = append(c.Unsubscribe, d.ID)
	}
	for _, i := range p.Identities {
		setIn(&c.Identities, i, "")
	}
	for _, i := range p.Claims {
		setIn(&c.Claims, Claim{i, p.ID}, false)
	}
	for _, h := range p.History {
		c.DropHistory = append(c.DropHistory, h.Seq)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Events)) {
		if all, ok := counted(name); ok && all.Count <= p.Events[name].Count {
			c.DropEvents = append(c.DropEvents, name)
			c.Counts.EventNames--
		}
	}
	return c
}

// EraseIdentity returns what changes when the identity is erased, for the profile with the id that has or claims
// it; p is nil if that profile does not exist or can't be read. A profile that ErasedBy keeps loses the claim.
func EraseIdentity(p *Profile, id string, i Identity, counted Counted) Change {
	if p == nil {
		return Change{Claims: map[Claim]bool{{i, id}: false}, Identities: map[Identity]string{i: ""}}
	}
	if p.ErasedBy(i) {
		return p.Erase(counted)
	}
	return Change{Put: []*Profile{p.Unclaimed(i)}, Claims: map[Claim]bool{{i, id}: false}}
}

// Prunable reports whether PruneAnonymous removes the profile.
func (p *Profile) Prunable(before time.Time, subscribed func(pushsvc.DeviceID) bool) bool {
	return !p.Known() && p.Seen.Before(before) &&
		!slices.ContainsFunc(p.Devices, func(d Device) bool { return subscribed(d.ID) })
}

// AllBefore reports whether all events of a row of history happened before the time.
func AllBefore(records []EventRecord, before time.Time) bool {
	return !slices.ContainsFunc(records, func(r EventRecord) bool { return !r.Time.Before(before) })
}

// Foldable reports whether FoldPopups adds an hour's counters to those of FoldedHour.
func Foldable(hour, before time.Time) bool {
	return !hour.Equal(FoldedHour) && hour.Before(before.Truncate(time.Hour))
}
