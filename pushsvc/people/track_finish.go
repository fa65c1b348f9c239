package people

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// finish bounds everybody and numbers the history.
func (a *applier) finish() (Change, error) {
	before := *a.change.Counts
	a.change.Work += a.cost.ops + hourWork*len(a.cost.hours)
	a.counts.RefusedLogins += a.b.Rejected
	a.counts.RefusedEntries += a.b.Malformed
	if err := a.makeRoom(); err != nil {
		return Change{}, err
	}
	refused := a.settle()
	for _, p := range a.order {
		switch {
		case p == a.now && refused, p.dropped && !p.stored:
			continue
		case p.dropped:
			a.counts.Profiles = max(a.counts.Profiles, 1) - 1
			a.counts.Anonymous = max(a.counts.Anonymous, 1) - 1
			a.change.Drop = append(a.change.Drop, p.ID)
			a.keepClaims(p, nil)
			continue
		}
		if !p.stored && p != a.now && !p.Known() && len(p.Devices) == 0 {
			continue // left behind within the batch: nobody's
		}
		if err := a.keep(p); err != nil {
			return Change{}, err
		}
	}
	a.change.Counts = nil
	if a.counts != before {
		a.change.Counts = &a.counts
	}
	return a.change, nil
}

// settle puts the device where it belongs now, and says whether that is
// nowhere because the site is full.
func (a *applier) settle() (refused bool) {
	if a.now == nil {
		setIn(&a.change.Devices, a.b.Device, "")
		a.dropDevice()
		return false
	}
	if !a.now.stored && !a.now.Known() && a.counts.Anonymous >= a.b.Limits.anonymous() {
		a.change.Refused = true
		a.dropDevice()
		setIn(&a.change.Devices, a.b.Device, "")
		if len(a.order) == 1 { // all of it was this device's
			a.counts.EventNames = a.change.Counts.EventNames
			a.counts.EvictedEvents = a.change.Counts.EvictedEvents
			a.change.Events, a.change.Popups, a.change.Worth, a.change.DropEvents = nil, nil, nil, nil
		}
		a.counts.RefusedProfiles++
		return true
	}
	a.device.Seen = milli(a.b.At)
	a.device.remember(a.b.ID)
	a.dropDevice()
	if a.moved && !a.b.Next.IsZero() {
		setIn(&a.change.Devices, a.b.Device, "")
		a.device.ID = a.b.Next
		a.change.Replaced, a.change.Moved = true, &[2]pushsvc.DeviceID{a.b.Device, a.b.Next}
	}
	a.device.Own.bound()
	a.now.Devices = append(slices.Clone(a.now.Devices), a.device)
	setIn(&a.change.Devices, a.device.ID, a.now.ID)
	if a.now.Seen.Before(a.device.Seen) {
		a.now.Seen = a.device.Seen
	}
	for len(a.now.Devices) > MaxDevices { // proven, or one of them is dead: see admits
		oldest := a.now.Devices[0]
		for _, d := range a.now.Devices {
			if d.Seen.Before(oldest.Seen) {
				oldest = d
			}
		}
		setIn(&a.change.Devices, oldest.ID, "")
		a.now.takeDevice(oldest.ID)
	}
	return false
}

// dropDevice takes the batch's device from everybody.
func (a *applier) dropDevice() {
	for _, p := range a.order {
		p.takeDevice(a.b.Device)
	}
}

// keep bounds a profile and has it written.
func (a *applier) keep(p *person) error {
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
	p.bound(a.b)
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

// keepClaims has the claims of a profile written that are new, and those removed that
// are not among them any more.
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

// bound lets the oldest go.
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

// size is how many bytes of JSON a value is.
func size(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		return 1 << 30 // not of JSON: never kept
	}
	return len(text)
}
