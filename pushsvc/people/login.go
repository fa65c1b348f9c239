package people

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// This file decides whose a device is, by the identities that it claims.
//
//   - A profile is proven or not, as a whole. A proven one has proven identities, and devices with proven
//     logins.
//   - An unproven login can join an unproven profile only. It sees what its own device has reported, and
//     takes nothing away from others.
//   - An identity that a login can't have is kept as a claim, so that erasure finds the profile.

// deviceLife is how long a device may be unseen before its cookie has expired.
const deviceLife = 400 * 24 * time.Hour

// maxClaims is how many claims a profile keeps; later ones are left out.
const maxClaims = 20

// maxOwn bounds Own, in bytes of JSON.
const maxOwn = 4 << 10

// Claim is an identity that a profile claims.
type Claim struct {
	Identity Identity
	Profile  string
}

// loggedIn reports whether the visitor has an identity or claims one.
func (p *Profile) loggedIn() bool { return p.Known() || len(p.Claims) > 0 }

// claim keeps an identity that the profile can't have.
func (p *Profile) claim(i Identity) {
	if !slices.Contains(p.Claims, i) && !slices.Contains(p.Identities, i) && len(p.Claims) < maxClaims {
		p.Claims = append(slices.Clone(p.Claims), i)
	}
}

// claimsOnly reports whether the profile has no claims but these.
func (p *Profile) claimsOnly(identities ...Identity) bool {
	return !slices.ContainsFunc(p.Claims, func(i Identity) bool { return !slices.Contains(identities, i) })
}

// acceptsDevice reports whether an unproven login may add a device to the profile. A device that is still in use is
// never dropped to make room.
func (p *Profile) acceptsDevice(now time.Time) bool {
	dead := func(d Device) bool { return now.Sub(d.Seen) > deviceLife }
	return !p.Proven && (len(p.Devices) < MaxDevices || slices.ContainsFunc(p.Devices, dead))
}

// ErasedBy reports whether erasing the identity removes the profile: a proven one that only claims it stays.
func (p *Profile) ErasedBy(i Identity) bool { return !p.Proven || slices.Contains(p.Identities, i) }

// Unclaimed returns the profile without the claim.
func (p *Profile) Unclaimed(i Identity) *Profile {
	without := *p
	without.Claims = slices.DeleteFunc(slices.Clone(p.Claims), func(have Identity) bool { return have == i })
	return &without
}

// SeenBy returns what the device may see of the profile: all of it if logins are proven or it is the only
// device, else what the device itself has reported.
func (p *Profile) SeenBy(d pushsvc.DeviceID) *Profile {
	if p.Proven || !p.Shared && len(p.Devices) < 2 {
		return p
	}
	seen := *p
	seen.Attributes, seen.Events, seen.Visits = nil, nil, 0
	if i := p.device(d); i >= 0 && p.Devices[i].Own != nil {
		own := p.Devices[i].Own
		seen.Attributes, seen.Events, seen.Visits = own.Attributes, own.Events, own.Visits
	}
	return &seen
}

// Own is what one device has reported of a profile that has several.
type Own struct {
	Attributes map[string]any        `json:"attributes,omitempty"`
	Events     map[string]EventCount `json:"events,omitempty"`
	Visits     int64                 `json:"visits,omitempty"`
}

func ownOf(p *Profile) *Own {
	o := &Own{Attributes: maps.Clone(p.Attributes), Events: maps.Clone(p.Events), Visits: p.Visits}
	o.bound()
	return o
}

func (o *Own) event(e Entry) {
	if o != nil {
		setIn(&o.Events, e.Name, o.Events[e.Name].Add(EventCount{Count: 1, First: e.Time, Last: e.Time}))
	}
}

func (o *Own) visit() {
	if o != nil {
		o.Visits++
	}
}

func (o *Own) set(set map[string]any) {
	if o == nil {
		return
	}
	for key, value := range set {
		if value == nil {
			delete(o.Attributes, key)
		} else {
			setIn(&o.Attributes, key, value)
		}
	}
}

// bound drops attributes that don't fit, then the oldest events, until Own fits into maxOwn.
func (o *Own) bound() {
	if o == nil {
		return
	}
	left := maxOwn
	for _, key := range slices.Sorted(maps.Keys(o.Attributes)) {
		text, err := json.Marshal(o.Attributes[key])
		if n := len(key) + len(text) + 4; err != nil || n > left {
			delete(o.Attributes, key)
		} else {
			left -= n
		}
	}
	latest := func(a, b string) int { return o.Events[b].Last.Compare(o.Events[a].Last) }
	for _, name := range slices.SortedFunc(maps.Keys(o.Events), latest) {
		if n := len(name) + 100; n > left {
			delete(o.Events, name)
		} else {
			left -= n
		}
	}
}

// login finds out whose the device is now. What an anonymous visitor did belongs to the person who logs in;
// what another person did stays with that person.
func (a *applier) login(e Entry) error {
	if len(e.Identities) == 0 {
		return nil
	}
	a.cost.identities += len(e.Identities)
	target, err := a.holder(e.Identities)
	if err != nil {
		return err
	}
	was, known, proven := a.current, a.current.Known(), a.current.Proven
	switch {
	case target == nil:
		if !a.batch.Trusted && a.counts.Profiles-a.counts.Anonymous+a.newKnown >= a.batch.Limits.known() {
			a.counts.RefusedLogins++
			return nil
		}
		a.newKnown++
		a.cost.people++
		if a.current.Known() || !a.current.claimsOnly(e.Identities...) {
			a.becomeNewVisitor()
		}
	case target == a.current:
	case !a.batch.Trusted && !target.acceptsDevice(a.batch.At):
		return a.refuseLogin(e)
	case a.current.Known() || !a.current.claimsOnly(slices.Concat(e.Identities, target.Identities, target.Claims)...):
		a.addDevice(target, &Own{})
		a.current = target
	default:
		a.addDevice(target, ownOf(a.current.Profile))
		a.mergeAnonymous(target, a.current)
		a.current = target
	}
	if a.batch.Trusted {
		a.prove(e.Identities)
	}
	if err := a.grantIdentities(e.Identities); err != nil {
		return err
	}
	a.moved = a.moved || a.current != was || !known || a.current.Proven != proven
	a.current.set(e.Set)
	a.device.Own.set(e.Set)
	return nil
}

// holder returns the first profile that has one of the identities. A proven login prefers a proven profile.
func (a *applier) holder(identities []Identity) (first *person, err error) {
	for _, i := range identities {
		p, err := a.profileBy(i)
		switch {
		case err != nil:
			return nil, err
		case p == nil:
		case !a.batch.Trusted || p.Proven:
			return p, nil
		case first == nil:
			first = p
		}
	}
	return first, nil
}

// becomeNewVisitor assigns the device to a new visitor.
func (a *applier) becomeNewVisitor() {
	a.current, a.moved, a.device.Own = a.newAnonymous(), true, nil
}

// refuseLogin keeps the identities of an unproven login as claims: the profile is proven, or has the maximum
// number of devices.
func (a *applier) refuseLogin(e Entry) error {
	a.counts.RefusedLogins++
	if a.current.Known() || !a.current.claimsOnly(e.Identities...) {
		a.becomeNewVisitor()
	}
	for _, i := range e.Identities {
		a.current.claim(i)
	}
	a.current.set(e.Set)
	return nil
}

// addDevice prepares a profile for one more device; own is what the device has reported before.
func (a *applier) addDevice(p *person, own *Own) {
	a.device.Own = nil
	if a.batch.Trusted || p.Proven {
		return
	}
	if !p.Shared {
		p.Shared, p.Devices = true, slices.Clone(p.Devices)
		for i := range p.Devices {
			p.Devices[i].Own = ownOf(p.Profile)
		}
	}
	a.device.Own = own
}

// prove makes the profile proven. Its other devices have not proven these identities: each becomes a visitor
// who claims them.
func (a *applier) prove(identities []Identity) {
	p := a.current
	if p.Proven {
		return
	}
	p.Proven, p.Shared, a.device.Own = true, false, nil
	for _, d := range p.Devices {
		if d.ID == a.batch.Device {
			continue
		}
		q := a.newAnonymous()
		q.Seen, q.Claims = d.Seen, slices.Clone(p.Identities)
		if d.Own != nil {
			q.Attributes, q.Events, q.Visits = d.Own.Attributes, d.Own.Events, d.Own.Visits
		}
		d.Own = nil
		q.Devices = []Device{d}
		setIn(&a.change.Devices, d.ID, q.ID)
	}
	p.Devices = nil
	for _, i := range slices.Clone(p.Identities) {
		if !slices.Contains(identities, i) {
			a.turnIntoClaim(p, i)
		}
	}
}

// turnIntoClaim turns an identity of the profile into a claim.
func (a *applier) turnIntoClaim(p *person, i Identity) {
	p.Identities = slices.DeleteFunc(slices.Clone(p.Identities), func(have Identity) bool { return have == i })
	setIn(&a.change.Identities, i, "")
	p.claim(i)
}

// grantIdentities adds the identities that the profile may have, and keeps the others as claims. It never drops one
// to make room.
func (a *applier) grantIdentities(identities []Identity) error {
	p := a.current
	for _, i := range identities {
		if slices.Contains(p.Identities, i) {
			continue
		}
		free, err := a.free(i)
		if err != nil {
			return err
		}
		if !free || p.Proven && !a.batch.Trusted || len(p.Identities) >= MaxIdentities {
			p.claim(i)
			continue
		}
		p.Identities = append(slices.Clone(p.Identities), i)
		p.Claims = slices.DeleteFunc(slices.Clone(p.Claims), func(have Identity) bool { return have == i })
		setIn(&a.change.Identities, i, p.ID)
	}
	return nil
}

// free reports whether no profile has the identity. An unproven holder loses it to a login that proves it.
func (a *applier) free(i Identity) (bool, error) {
	if !a.batch.Trusted {
		taken, err := a.isTaken(i)
		return !taken, err
	}
	p, err := a.profileBy(i)
	if err != nil || p == nil {
		return err == nil, err
	}
	if p.Proven {
		return false, nil
	}
	a.turnIntoClaim(p, i)
	return true, nil
}
