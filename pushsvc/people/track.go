package people

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Tx is what Apply reads of a site within a store's transaction. Apply may change the profiles that it
// returns.
type Tx interface {
	// ProfileOf returns the profile that the device belongs to, or nil.
	ProfileOf(pushsvc.DeviceID) (*Profile, error)
	// ProfileBy returns the profile that has the identity, or nil.
	ProfileBy(Identity) (*Profile, error)
	// CountsEvent reports whether the site already counts the event.
	CountsEvent(name string) (bool, error)
	// CountedEvents returns at most n of the events that the site counts: all, or a random sample.
	CountedEvents(n int) ([]CountedEvent, error)
	// Strangers returns the profiles of at most n random devices that have no subscription.
	Strangers(n int) ([]*Profile, error)
	// Counts returns the site's. Batches that run at the same time may see the same counts: limits that depend
	// on them are soft, and each of those batches may exceed them by what it adds.
	Counts() (Counts, error)
	// NextHistory returns a number for a row of history; numbers rise.
	NextHistory() (uint64, error)
}

// CountedEvent is one of a site's events.
type CountedEvent struct {
	Name string
	EventTotal
}

// Counts are the numbers that a site keeps about its people.
type Counts struct {
	Profiles   int64 `json:"profiles"`
	Anonymous  int64 `json:"anonymous"`
	EventNames int64 `json:"event_names"`
	// RefusedProfiles, RefusedEvents and RefusedLogins exceeded a limit or were not signed.
	RefusedProfiles int64 `json:"refused_profiles"`
	RefusedEvents   int64 `json:"refused_events"`
	RefusedLogins   int64 `json:"refused_logins"`
	// RefusedEntries could not be read, or exceeded what one batch may cost.
	RefusedEntries int64 `json:"refused_entries"`
	// RefusedReports on pop-ups exceeded what one browser may send.
	RefusedReports int64 `json:"refused_reports,omitempty"`
	// EvictedProfiles and EvictedEvents made room for others.
	EvictedProfiles int64 `json:"evicted_profiles,omitempty"`
	EvictedEvents   int64 `json:"evicted_events,omitempty"`
}

// Add returns the counts with a change of them. None falls below zero.
func (n Counts) Add(change Counts) Counts {
	out, c := reflect.ValueOf(&n).Elem(), reflect.ValueOf(change)
	for i := range out.NumField() {
		out.Field(i).SetInt(max(out.Field(i).Int()+c.Field(i).Int(), 0))
	}
	return n
}

// since returns what has changed since the counts were before.
func (n Counts) since(before Counts) Counts {
	out, b := reflect.ValueOf(&n).Elem(), reflect.ValueOf(before)
	for i := range out.NumField() {
		out.Field(i).SetInt(out.Field(i).Int() - b.Field(i).Int())
	}
	return n
}

// PopupStat names one counter: what was done with a pop-up in one hour.
type PopupStat struct {
	Popup, Variant string
	Act            Act
	Element        string
	// Hour is when the hour begins, in UTC.
	Hour time.Time
}

// Change is what a batch changes. The store writes all of it or nothing.
type Change struct {
	Tracked
	// Put are rows to write, Drop are ids of profiles to remove.
	Put  []*Profile
	Drop []string
	// Devices and Identities map to profile ids; "" removes the entry.
	Devices    map[pushsvc.DeviceID]string
	Identities map[Identity]string
	// Claims are written if true, removed if false.
	Claims map[Claim]bool
	// History are rows to write, JSON of []EventRecord; DropHistory are numbers of rows to remove.
	History     map[uint64]json.RawMessage
	DropHistory []uint64
	// Events and Popups are added to the site's counters.
	Events map[string]EventCount
	Popups map[PopupStat]int64
	// Worth is added to that of the site's events. DropEvents are no longer counted: they are removed before
	// Events are added.
	Worth      map[string]int64
	DropEvents []string
	// Counts are added to the site's; some may be negative.
	Counts Counts
	// Unsubscribe are devices whose subscriptions are removed.
	Unsubscribe []pushsvc.DeviceID
	// Moved, if the batch replaced its device, has the old id and the new one, which takes over the
	// subscriptions.
	Moved *[2]pushsvc.DeviceID
}

// Apply returns what the batch changes. It is the same for every store, and the only place that knows what
// entries mean.
func Apply(tx Tx, b Batch) (Change, error) {
	a := &applier{tx: tx, batch: b, loaded: map[string]*person{}}
	if err := a.start(); err != nil || a.change.Repeated {
		return a.change, err
	}
	entries := afterOptOut(b.Entries)
	for i, e := range entries {
		if a.overBudget() {
			a.counts.RefusedEntries += int64(len(entries) - i)
			break
		}
		if err := a.apply(e); err != nil {
			return Change{}, err
		}
	}
	return a.finish()
}

// afterOptOut drops entries from before an opt-out. The device then leads to no profile, so a repeated batch
// would count them twice.
func afterOptOut(entries []Entry) []Entry {
	for i, e := range slices.Backward(entries) {
		if e.Kind == EntryOptOut && e.OptOut {
			return entries[i:]
		}
	}
	return entries
}

// person is a profile that takes part in the batch.
type person struct {
	*Profile
	stored   bool // it is in the store
	dropped  bool
	wasKnown bool
	claimed  []Identity // Claims in the store
	records  []EventRecord
	before   map[string]any // attributes before the first change
	altered  bool           // attributes
}

type applier struct {
	tx           Tx
	batch        Batch
	change       Change
	counts       Counts
	countsBefore Counts
	current      *person
	device       Device
	sessionMark  string // of the session
	moved        bool   // the device belongs to another profile now
	newKnown     int64  // new known people
	loaded       map[string]*person
	order        []*person
	cost         cost
	// sampled are events that may be dropped to make room, the least worth first; nil until needed.
	sampled []CountedEvent
}

func (a *applier) start() (err error) {
	if a.counts, err = a.tx.Counts(); err != nil {
		return err
	}
	a.countsBefore = a.counts
	a.sessionMark = pushsvc.SessionMark(a.batch.Session)
	if done, err := a.replaced(); err != nil || done {
		a.change = Change{Tracked: Tracked{Repeated: true, Replaced: true}}
		return err
	}
	p, err := a.tx.ProfileOf(a.batch.Device)
	if err != nil {
		return err
	}
	if p == nil {
		a.current = a.newAnonymous()
		a.device = Device{ID: a.batch.Device, Created: milli(a.batch.At)}
		return nil
	}
	a.current = a.load(p)
	a.device, _ = p.takeDevice(a.batch.Device)
	if a.device.ID.IsZero() { // a damaged row was replaced by a new one
		a.device = Device{ID: a.batch.Device, Created: milli(a.batch.At)}
	}
	if a.batch.ID != "" && a.device.hasApplied(a.batch.ID) {
		a.change = Change{Tracked: Tracked{Repeated: true, Work: a.change.Work}}
	}
	return nil
}

// replaced reports whether the batch has been applied and has replaced its device: the browser missed the
// answer, and posts again with the old cookie.
func (a *applier) replaced() (bool, error) {
	if a.batch.Next.IsZero() || a.batch.ID == "" {
		return false, nil
	}
	p, err := a.tx.ProfileOf(a.batch.Next)
	if err != nil || p == nil {
		return false, err
	}
	i := p.device(a.batch.Next)
	return i >= 0 && p.Devices[i].hasApplied(a.batch.ID), nil
}

func milli(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// load returns the one copy of a profile within the batch.
func (a *applier) load(p *Profile) *person {
	if have := a.loaded[p.ID]; have != nil {
		return have
	}
	have := &person{Profile: p, stored: true, wasKnown: p.Known(), claimed: slices.Clone(p.Claims)}
	p.Events, p.Popups = maps.Clone(p.Events), maps.Clone(p.Popups)
	a.loaded[p.ID] = have
	a.order = append(a.order, have)
	a.cost.people++
	a.change.Work += p.weight()
	return have
}

// newAnonymous returns a new anonymous profile.
func (a *applier) newAnonymous() *person {
	p := &person{Profile: &Profile{ID: NewProfileID(a.batch.At), Group: a.batch.line(), Created: milli(a.batch.At), Seen: milli(a.batch.At)}}
	a.loaded[p.ID] = p
	a.order = append(a.order, p)
	return p
}

func (a *applier) apply(e Entry) error {
	e.Time = milli(e.Time)
	if a.change.Forgotten && !(e.Kind == EntryOptOut && !e.OptOut) {
		return nil
	}
	p := a.current
	switch e.Kind {
	case EntryEvent:
		a.device.Own.event(e)
		return a.event(e)
	case EntryProfile:
		p.set(e.Set)
		a.device.Own.set(e.Set)
		for _, op := range e.Ops {
			if a.cost.ops > maxOpWork {
				a.counts.RefusedEntries++
				break
			}
			p.touch()
			p.Attributes = applyOp(p.Attributes, op, &a.cost.ops)
			if o := a.device.Own; o != nil {
				o.Attributes = applyOp(o.Attributes, op, &a.cost.ops)
			}
		}
	case EntryLogin:
		return a.login(e)
	case EntryLogout:
		if p.loggedIn() {
			a.becomeNewVisitor()
		}
	case EntryVisit:
		p.visit(e)
		a.device.Own.visit()
	case EntryOptOut:
		a.optOut(e.OptOut)
	case EntryAdopt:
		if e.Alias != "" {
			p.Aliases = appendNew(p.Aliases, []string{e.Alias}, MaxIdentities)
		}
	case EntryPopup:
		if !a.device.mayReport(milli(a.batch.At)) {
			a.counts.RefusedReports++
			return nil
		}
		a.popup(e)
	default:
		return fmt.Errorf("an entry of the unknown kind %q", e.Kind)
	}
	return nil
}

func (a *applier) event(e Entry) error {
	single := EventCount{Count: 1, First: e.Time, Last: e.Time}
	worth := a.worth(e.Name)
	counts, err := a.siteCounts(e.Name, worth)
	if err != nil {
		return err
	}
	if counts {
		if worth > 0 {
			setIn(&a.change.Worth, e.Name, a.change.Worth[e.Name]+worth)
		}
		setIn(&a.change.Events, e.Name, a.change.Events[e.Name].Add(single))
	}
	// The person counts the event even if the site's names are used up.
	a.current.count(e.Name, single)
	a.current.records = append(a.current.records, EventRecord{Name: e.Name, Time: e.Time, Props: e.Props})
	a.convert(e)
	return nil
}

func (a *applier) optOut(out bool) {
	if out == a.change.Forgotten {
		return
	}
	a.change.Forgotten = out
	a.device.Own = nil
	if !out {
		a.current = a.newAnonymous()
		return
	}
	// A known person has other devices; an anonymous one has only this device.
	if !a.current.Known() {
		a.drop(a.current)
	}
	a.current = nil
}

// drop removes a profile and its history.
func (a *applier) drop(p *person) {
	p.dropped = true
	for _, h := range p.History {
		a.change.DropHistory = append(a.change.DropHistory, h.Seq)
	}
	p.History, p.records = nil, nil
}

func (a *applier) profileBy(i Identity) (*person, error) {
	if id, changed := a.change.Identities[i]; changed {
		return a.loaded[id], nil
	}
	p, err := a.tx.ProfileBy(i)
	if err != nil || p == nil {
		return nil, err
	}
	return a.load(p), nil
}

// isTaken reports whether a profile has the identity, without loading that profile into the batch.
func (a *applier) isTaken(i Identity) (bool, error) {
	if id, changed := a.change.Identities[i]; changed {
		return id != "", nil
	}
	p, err := a.tx.ProfileBy(i)
	return p != nil, err
}

// mergeAnonymous moves all that the anonymous profile has to the known one.
func (a *applier) mergeAnonymous(known, anonymous *person) {
	known.touch()
	known.absorb(anonymous.Profile)
	known.records = append(known.records, anonymous.records...)
	for _, d := range anonymous.Devices {
		known.Devices = append(slices.Clone(known.Devices), d)
		setIn(&a.change.Devices, d.ID, known.ID)
	}
	anonymous.dropped, anonymous.records = true, nil
}

// visit counts the visit. A late batch does not move the last visit back.
func (p *person) visit(e Entry) {
	p.Visits++
	if e.Time.After(p.LastVisit) {
		p.PreviousVisit, p.LastVisit = p.LastVisit, e.Time
	}
	if e.Visit != nil {
		p.LastSource = e.Visit
		if p.FirstSource == nil {
			p.FirstSource = e.Visit
		}
	}
}

// touch saves the attributes from before the batch.
func (p *person) touch() {
	if !p.altered {
		p.altered, p.before = true, p.Attributes
		p.Attributes = maps.Clone(p.Attributes)
	}
}

func (p *person) set(set map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		p.touch()
		value := set[key]
		_, exists := p.Attributes[key]
		switch {
		case value == nil:
			delete(p.Attributes, key)
		case exists || len(p.Attributes) < MaxAttributes:
			setIn(&p.Attributes, key, value)
		}
	}
}
