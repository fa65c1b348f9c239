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

// Tx is what Apply reads of a site within a store's transaction. Profiles
// that it gives are Apply's to change.
type Tx interface {
	// ProfileOf gives the profile that the device belongs to, or nil.
	ProfileOf(pushsvc.DeviceID) (*Profile, error)
	// ProfileBy gives the profile that has the identity, or nil.
	ProfileBy(Identity) (*Profile, error)
	// CountsEvent says whether the site counts the event already.
	CountsEvent(name string) (bool, error)
	// CountedEvents gives at most n of the events that the site counts: all, or some
	// that chance picks.
	CountedEvents(n int) ([]CountedEvent, error)
	// Strangers gives profiles of at most n devices that chance picks and that have no
	// subscription.
	Strangers(n int) ([]*Profile, error)
	// Counts are the site's.
	Counts() (Counts, error)
	// NextHistory gives a number for a row of history; numbers rise.
	NextHistory() (uint64, error)
}

// CountedEvent is one of a site's events.
type CountedEvent struct {
	Name string
	EventTotal
}

// Counts are the numbers that a site keeps of its people.
type Counts struct {
	Profiles   int64 `json:"profiles"`
	Anonymous  int64 `json:"anonymous"`
	EventNames int64 `json:"event_names"`
	// RefusedProfiles, RefusedEvents and RefusedLogins were beyond a bound, or
	// not signed.
	RefusedProfiles int64 `json:"refused_profiles"`
	RefusedEvents   int64 `json:"refused_events"`
	RefusedLogins   int64 `json:"refused_logins"`
	// RefusedEntries could not be read, or were more than one batch may cost.
	RefusedEntries int64 `json:"refused_entries"`
	// RefusedReports on pop-ups were more than one browser may make.
	RefusedReports int64 `json:"refused_reports,omitempty"`
	// EvictedProfiles and EvictedEvents made room for others.
	EvictedProfiles int64 `json:"evicted_profiles,omitempty"`
	EvictedEvents   int64 `json:"evicted_events,omitempty"`
}

// Moved is n with what has become of from in to: the counts of a batch that was worked
// out beside others.
func (n Counts) Moved(from, to Counts) Counts {
	out, f, t := reflect.ValueOf(&n).Elem(), reflect.ValueOf(from), reflect.ValueOf(to)
	for i := range out.NumField() {
		out.Field(i).SetInt(max(out.Field(i).Int()+t.Field(i).Int()-f.Field(i).Int(), 0))
	}
	return n
}

// PopupStat names one counter: what was done with a pop-up in one hour.
type PopupStat struct {
	Popup, Variant string
	Act            Act
	Element        string
	// Hour begins it, UTC.
	Hour time.Time
}

// Change is what a batch changes: the store writes it, whole.
type Change struct {
	Tracked
	// Put are rows to write, Drop ids of profiles to remove.
	Put  []*Profile
	Drop []string
	// Devices and Identities lead to profiles; "" removes the entry.
	Devices    map[pushsvc.DeviceID]string
	Identities map[Identity]string
	// Claims are to be written, or removed where they are false.
	Claims map[Claim]bool
	// History are rows to write, JSON of []EventRecord; DropHistory numbers of
	// rows to remove.
	History     map[uint64]json.RawMessage
	DropHistory []uint64
	// Events and Popups are to be added to the site's counters.
	Events map[string]EventCount
	Popups map[PopupStat]int64
	// Worth is to be added to that of the site's events. DropEvents are no longer
	// counted: they go before Events are added.
	Worth      map[string]int64
	DropEvents []string
	// Counts are the site's new ones, where they are not nil.
	Counts *Counts
	// Moved, where the batch has replaced its device, are that and the one which
	// takes over its subscriptions.
	Moved *[2]pushsvc.DeviceID
}

// Apply works out what the batch changes. It is the same for every store, and
// the only place that knows what entries mean.
func Apply(tx Tx, b Batch) (Change, error) {
	a := &applier{tx: tx, b: b, loaded: map[string]*person{}}
	if err := a.start(); err != nil || a.change.Repeated {
		return a.change, err
	}
	entries := afterOptOut(b.Entries)
	for i, e := range entries {
		if a.spent() {
			a.counts.RefusedEntries += int64(len(entries) - i)
			break
		}
		if err := a.apply(e); err != nil {
			return Change{}, err
		}
	}
	return a.finish()
}

// afterOptOut leaves out what was before the visitor's wish not to be known. The
// device is nobody's then, so that a repeated batch would count it twice.
func afterOptOut(entries []Entry) []Entry {
	for i, e := range slices.Backward(entries) {
		if e.Kind == EntryOptOut && e.OptOut {
			return entries[i:]
		}
	}
	return entries
}

// person is a profile that the batch has to do with.
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
	tx     Tx
	b      Batch
	change Change
	counts Counts
	now    *person
	device Device
	mark   string // of the session
	moved  bool   // the device changed hands
	made   int64  // people that became known
	loaded map[string]*person
	order  []*person
	cost   cost
	// sampled are events that may make room, the least first; nil until they are needed.
	sampled []CountedEvent
}

func (a *applier) start() (err error) {
	if a.counts, err = a.tx.Counts(); err != nil {
		return err
	}
	before := a.counts
	a.change.Counts = &before
	a.mark = pushsvc.SessionMark(a.b.Session)
	if done, err := a.replaced(); err != nil || done {
		a.change = Change{Tracked: Tracked{Repeated: true, Replaced: true}}
		return err
	}
	p, err := a.tx.ProfileOf(a.b.Device)
	if err != nil {
		return err
	}
	if p == nil {
		a.now = a.fresh()
		a.device = Device{ID: a.b.Device, Created: milli(a.b.At)}
		return nil
	}
	a.now = a.load(p)
	a.device, _ = p.takeDevice(a.b.Device)
	if a.device.ID.IsZero() { // the row was damaged and has been made anew
		a.device = Device{ID: a.b.Device, Created: milli(a.b.At)}
	}
	if a.b.ID != "" && a.device.knows(a.b.ID) {
		a.change = Change{Tracked: Tracked{Repeated: true, Work: a.change.Work}}
	}
	return nil
}

// replaced says whether the batch has been applied and has replaced its device:
// the browser has not heard the answer, and posts it with the cookie from before.
func (a *applier) replaced() (bool, error) {
	if a.b.Next.IsZero() || a.b.ID == "" {
		return false, nil
	}
	p, err := a.tx.ProfileOf(a.b.Next)
	if err != nil || p == nil {
		return false, err
	}
	i := p.device(a.b.Next)
	return i >= 0 && p.Devices[i].knows(a.b.ID), nil
}

func milli(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// load makes sure that there is one copy of each profile.
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

// fresh is a new anonymous profile.
func (a *applier) fresh() *person {
	p := &person{Profile: &Profile{ID: NewProfileID(a.b.At), Group: a.b.line(), Created: milli(a.b.At), Seen: milli(a.b.At)}}
	a.loaded[p.ID] = p
	a.order = append(a.order, p)
	return p
}

func (a *applier) apply(e Entry) error {
	e.Time = milli(e.Time)
	if a.change.Forgotten && !(e.Kind == EntryOptOut && !e.OptOut) {
		return nil
	}
	p := a.now
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
		if p.somebody() {
			a.leave()
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
		if !a.device.mayReport(milli(a.b.At)) {
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
	one := EventCount{Count: 1, First: e.Time, Last: e.Time}
	worth := a.worth(e.Name)
	counts, err := a.siteCounts(e.Name, worth)
	if err != nil {
		return err
	}
	if counts {
		if worth > 0 {
			setIn(&a.change.Worth, e.Name, a.change.Worth[e.Name]+worth)
		}
		setIn(&a.change.Events, e.Name, a.change.Events[e.Name].Add(one))
	}
	// Names that strangers have used up are still the person's.
	a.now.count(e.Name, one)
	a.now.records = append(a.now.records, EventRecord{Name: e.Name, Time: e.Time, Props: e.Props})
	a.convert(e)
	return nil
}

// convert counts the event for the last view of each pop-up that it is the
// success of, once. Time runs from the view and, anew, from the last click.
func (a *applier) convert(e Entry) {
	for _, c := range a.b.Conversions {
		if c.Event != e.Name {
			continue
		}
		after := func(t time.Time) bool { return !t.IsZero() && !e.Time.Before(t) && e.Time.Sub(t) <= c.Within }
		shown := a.now.Shown
		for i := len(shown) - 1; i >= 0; i-- {
			s := shown[i]
			if s.Popup != c.Popup || !after(s.At) && !after(s.Clicked) {
				continue
			}
			if !s.Converted {
				a.now.Shown = slices.Clone(shown)
				a.now.Shown[i].Converted = true
				variant := s.Variant
				if s.Control {
					variant = string(ActControl)
				}
				a.stat(PopupAct{Popup: s.Popup, Variant: variant, Act: ActConverted}, e.Time)
			}
			break
		}
	}
}

func (a *applier) popup(e Entry) {
	act := e.Popup
	a.stat(*act, e.Time)
	c := a.now.Popups[act.Popup]
	switch act.Act {
	case ActControl:
		a.shown(Shown{At: e.Time, Control: true}, act)
		c.Kept++
		c.Last = latest(c.Last, e.Time)
	case ActViewed:
		a.viewed(e)
		c.Viewed++
		c.Last = latest(c.Last, e.Time)
	case ActClicked:
		a.clicked(e)
		c.Clicked++
	case ActSubmitted:
		a.clicked(e)
		return
	case ActClosed:
		c.Closed++
	default:
		return
	}
	setIn(&a.now.Popups, act.Popup, c)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// shown adds one.
func (a *applier) shown(s Shown, act *PopupAct) {
	s.Popup, s.Variant, s.Session = act.Popup, act.Variant, a.mark
	a.now.Shown = append(slices.Clone(a.now.Shown), s)
}

// lastShown is the index of the pop-up's last one in Shown, negative for none.
func (a *applier) lastShown(popup string) int {
	for i, s := range slices.Backward(a.now.Shown) {
		if s.Popup == popup && !s.Control {
			return i
		}
	}
	return -1
}

// viewed notes a view, or that what was clicked has been seen.
func (a *applier) viewed(e Entry) {
	if i := a.lastShown(e.Popup.Popup); i >= 0 && a.now.Shown[i].Unseen && a.now.Shown[i].Session == a.mark {
		a.now.Shown = slices.Clone(a.now.Shown)
		a.now.Shown[i].Unseen = false
		return
	}
	a.shown(Shown{At: e.Time}, e.Popup)
}

// clicked notes a click on what was seen last.
func (a *applier) clicked(e Entry) {
	i := a.lastShown(e.Popup.Popup)
	if i < 0 {
		a.shown(Shown{At: e.Time, Clicked: e.Time, Unseen: true}, e.Popup)
		return
	}
	if e.Time.After(a.now.Shown[i].Clicked) {
		a.now.Shown = slices.Clone(a.now.Shown)
		a.now.Shown[i].Clicked = e.Time
	}
}

func (a *applier) stat(act PopupAct, at time.Time) {
	key := PopupStat{Popup: act.Popup, Variant: act.Variant, Act: act.Act, Element: act.Element, Hour: at.Truncate(time.Hour)}
	if !a.cost.hour(key) {
		a.counts.RefusedReports++
		return
	}
	setIn(&a.change.Popups, key, a.change.Popups[key]+1)
}

func (a *applier) optOut(out bool) {
	if out == a.change.Forgotten {
		return
	}
	a.change.Forgotten = out
	a.device.Own = nil
	if !out {
		a.now = a.fresh()
		return
	}
	// A known person has other devices; an anonymous one is this device.
	if !a.now.Known() {
		a.drop(a.now)
	}
	a.now = nil
}

// drop removes a profile, its history with it.
func (a *applier) drop(p *person) {
	p.dropped = true
	for _, h := range p.History {
		a.change.DropHistory = append(a.change.DropHistory, h.Seq)
	}
	p.History, p.records = nil, nil
}

func (a *applier) by(i Identity) (*person, error) {
	if id, changed := a.change.Identities[i]; changed {
		return a.loaded[id], nil
	}
	p, err := a.tx.ProfileBy(i)
	if err != nil || p == nil {
		return nil, err
	}
	return a.load(p), nil
}

// taken says whether somebody has the identity, without making that person part of
// the batch.
func (a *applier) taken(i Identity) (bool, error) {
	if id, changed := a.change.Identities[i]; changed {
		return id != "", nil
	}
	p, err := a.tx.ProfileBy(i)
	return p != nil, err
}

// merge moves all that the anonymous one has to the known one.
func (a *applier) merge(known, anonymous *person) {
	known.touch()
	known.absorb(anonymous.Profile)
	known.records = append(known.records, anonymous.records...)
	for _, d := range anonymous.Devices {
		known.Devices = append(slices.Clone(known.Devices), d)
		setIn(&a.change.Devices, d.ID, known.ID)
	}
	anonymous.dropped, anonymous.records = true, nil
}

// visit counts the visit; visits of batches that came late don't go back.
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

// touch keeps the attributes as they were before the batch.
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
		_, there := p.Attributes[key]
		switch {
		case value == nil:
			delete(p.Attributes, key)
		case there || len(p.Attributes) < MaxAttributes:
			setIn(&p.Attributes, key, value)
		}
	}
}
