package people

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// finish bounds the profiles and numbers the history.
func (a *applier) finish() (Change, error) {
	a.change.Work += a.cost.ops + hourWork*len(a.cost.hours)
	a.counts.RefusedLogins += a.batch.Rejected
	a.counts.RefusedEntries += a.batch.Malformed
	if err := a.makeRoom(); err != nil {
		return Change{}, err
	}
	refused := a.storeDevice()
	for _, p := range a.order {
		switch {
		case p == a.current && refused, p.dropped && !p.stored:
			continue
		case p.dropped:
			a.counts.Profiles = max(a.counts.Profiles, 1) - 1
			a.counts.Anonymous = max(a.counts.Anonymous, 1) - 1
			a.change.Drop = append(a.change.Drop, p.ID)
			a.keepClaims(p, nil)
			continue
		}
		if !p.stored && p != a.current && !p.Known() && len(p.Devices) == 0 {
			continue // abandoned within the batch: belongs to no visitor
		}
		if err := a.putProfile(p); err != nil {
			return Change{}, err
		}
	}
	a.change.Counts = a.counts.since(a.countsBefore)
	return a.change, nil
}

// storeDevice stores the device with its profile. It returns true if the profile is refused because the site is
// full.
func (a *applier) storeDevice() (refused bool) {
	if a.current == nil {
		setIn(&a.change.Devices, a.batch.Device, "")
		a.dropDevice()
		return false
	}
	if !a.current.stored && !a.current.Known() && a.counts.Anonymous >= a.batch.Limits.anonymous() {
		a.change.Refused = true
		a.dropDevice()
		setIn(&a.change.Devices, a.batch.Device, "")
		if len(a.order) == 1 { // all of the batch was this device's
			a.counts.EventNames = a.countsBefore.EventNames
			a.counts.EvictedEvents = a.countsBefore.EvictedEvents
			a.change.Events, a.change.Popups, a.change.Worth, a.change.DropEvents = nil, nil, nil, nil
		}
		a.counts.RefusedProfiles++
		return true
	}
	a.device.Seen = milli(a.batch.At)
	a.device.remember(a.batch.ID)
	a.dropDevice()
	if a.moved && !a.batch.Next.IsZero() {
		setIn(&a.change.Devices, a.batch.Device, "")
		a.device.ID = a.batch.Next
		a.change.Replaced, a.change.Moved = true, &[2]pushsvc.DeviceID{a.batch.Device, a.batch.Next}
	}
	a.device.Own.bound()
	a.current.Devices = append(slices.Clone(a.current.Devices), a.device)
	setIn(&a.change.Devices, a.device.ID, a.current.ID)
	if a.current.Seen.Before(a.device.Seen) {
		a.current.Seen = a.device.Seen
	}
	for len(a.current.Devices) > MaxDevices { // proven, or one of them has expired: see acceptsDevice
		oldest := a.current.Devices[0]
		for _, d := range a.current.Devices {
			if d.Seen.Before(oldest.Seen) {
				oldest = d
			}
		}
		setIn(&a.change.Devices, oldest.ID, "")
		a.current.takeDevice(oldest.ID)
	}
	return false
}

// dropDevice removes the batch's device from all profiles.
func (a *applier) dropDevice() {
	for _, p := range a.order {
		p.takeDevice(a.batch.Device)
	}
}

// putProfile bounds a profile and adds it to the rows to write.
func (a *applier) putProfile(p *person) error {
	switch {
	case !p.stored:
		a.counts.Profiles++
		if !p.Known() {
			a.counts.Anonymous++
		}
	case p.Known() && !p.wasKnown:
		a.counts.Anonymous = max(a.counts.Anonymous, 1) - 1
	case !p.Known() && p.wasKnown:
		a.counts.Anonymous++
	}
	a.keepClaims(p, p.Claims)
	if p.altered && size(p.Attributes) > max(MaxAttributesSize, size(p.before)) {
		p.Attributes = p.before
	}
	p.bound(a.batch)
	if len(p.records) > 0 {
		seq, err := a.tx.NextHistory()
		if err != nil {
			return err
		}
		text, err := json.Marshal(p.records)
		if err != nil {
			return errors.New("encoding events failed") // err might quote them
		}
		setIn(&a.change.History, seq, json.RawMessage(text))
		p.History = append(slices.Clone(p.History), HistoryRef{Seq: seq, N: len(p.records), Size: len(text)})
	}
	events, bytes, keep := 0, 0, len(p.History)
	for ; keep > 0; keep-- {
		h := p.History[keep-1]
		if events, bytes = events+h.N, bytes+h.Size; (events > MaxHistory || bytes > MaxHistorySize) && keep < len(p.History) {
			break
		}
	}
	for _, h := range p.History[:keep] {
		a.change.DropHistory = append(a.change.DropHistory, h.Seq)
	}
	p.History = p.History[keep:]
	a.change.Work += p.weight()
	a.change.Put = append(a.change.Put, p.Profile)
	return nil
}

// keepClaims adds new claims of a profile to the change, and removes those that it no longer has.
func (a *applier) keepClaims(p *person, claims []Identity) {
	for _, i := range p.claimed {
		if !slices.Contains(claims, i) {
			setIn(&a.change.Claims, Claim{i, p.ID}, false)
		}
	}
	for _, i := range claims {
		if !slices.Contains(p.claimed, i) {
			setIn(&a.change.Claims, Claim{i, p.ID}, true)
		}
	}
}

// bound drops the oldest.
func (p *person) bound(b Batch) {
	p.Shown = slices.DeleteFunc(p.Shown, func(s Shown) bool {
		keep := shownFor
		for _, c := range b.Conversions {
			if c.Popup == s.Popup {
				keep = max(keep, c.Within)
			}
		}
		return b.At.Sub(s.last()) > keep
	})
	p.Shown = p.Shown[max(len(p.Shown)-MaxShown, 0):]
	dropOldest(p.Events, MaxPersonEvents, func(c EventCount) time.Time { return c.Last })
	size := 0
	for name := range p.Events {
		size += len(name)
	}
	if size > MaxPersonEventNames {
		size = 0
		for _, name := range slices.SortedFunc(maps.Keys(p.Events), func(a, b string) int { return p.Events[b].Last.Compare(p.Events[a].Last) }) {
			if size += len(name); size > MaxPersonEventNames {
				delete(p.Events, name)
			}
		}
	}
	dropOldest(p.Popups, MaxPersonPopups, func(c PopupCount) time.Time { return c.Last })
}

func dropOldest[V any](m map[string]V, most int, when func(V) time.Time) {
	if len(m) <= most {
		return
	}
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return when(m[a]).Compare(when(m[b])) })
	for _, k := range keys[:len(m)-most] {
		delete(m, k)
	}
}

// size returns the length of a value's JSON in bytes.
func size(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		return 1 << 30 // not a JSON value: never kept
	}
	return len(text)
}
