package people

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Who a device belongs to, by what it claims. A profile is proven or not, as a
// whole: a proven one has proven identities, and devices whose logins were proven. An
// unproven login joins an unproven profile at most, sees of it what its own device has
// told, and takes nothing away: what it can't have is kept as a claim, by which
// erasure finds it.

// deviceLife is how long a device may be unseen before its cookie is gone.
const deviceLife = 400 * 24 * time.Hour

// maxClaims is how many claims a profile keeps; later ones are left out.
const maxClaims = 20

// maxOwn is how much is kept of what one device has told, in bytes of JSON.
const maxOwn = 4 << 10

// Claim is an identity that a profile claims.
type Claim struct {
	Identity Identity
	Profile  string
}

// somebody reports whether somebody has said who they are.
func (p *Profile) somebody() bool { return p.Known() || len(p.Claims) > 0 }

// claims keeps an identity that the profile can't have.
func (p *Profile) claim(i Identity) {
	if !slices.Contains(p.Claims, i) && !slices.Contains(p.Identities, i) && len(p.Claims) < maxClaims {
		p.Claims = append(slices.Clone(p.Claims), i)
	}
}

// claimsOnly reports whether the profile claims nothing but these.
func (p *Profile) claimsOnly(identities ...Identity) bool {
	return !slices.ContainsFunc(p.Claims, func(i Identity) bool { return !slices.Contains(identities, i) })
}

// admits reports whether an unproven login may bring a device to the profile: none
// that is alive makes room for it.
func (p *Profile) admits(now time.Time) bool {
	dead := func(d Device) bool { return now.Sub(d.Seen) > deviceLife }
	return !p.Proven && (len(p.Devices) < MaxDevices || slices.ContainsFunc(p.Devices, dead))
}

// ErasedBy reports whether the profile goes when the identity is erased: a proven one
// that only claims it does not.
func (p *Profile) ErasedBy(i Identity) bool { return !p.Proven || slices.Contains(p.Identities, i) }

// Unclaimed is the profile without the claim.
func (p *Profile) Unclaimed(i Identity) *Profile {
	without := *p
	without.Claims = slices.DeleteFunc(slices.Clone(p.Claims), func(have Identity) bool { return have == i })
	return &without
}

// SeenBy is what the device may get to see of the profile: all of it where logins are
// proven or nobody else has told of it, else what the device has told itself.
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

// Own is what one device has told of a profile that others tell of as well.
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

// bound lets the oldest events go, and then attributes, until it is small enough.
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

// login finds out whose device this is. What an anonymous visitor did belongs
// to whoever logs in; what another person did stays with that person.
func (a *applier) login(e Entry) error {
	if len(e.Identities) == 0 {
		return nil
	}
	a.cost.identities += len(e.Identities)
	target, err := a.holder(e.Identities)
	if err != nil {
		return err
	}
	was, known, proven := a.now, a.now.Known(), a.now.Proven
	switch {
	case target == nil:
		if !a.b.Trusted && a.counts.Profiles-a.counts.Anonymous+a.made >= a.b.Limits.known() {
			a.counts.RefusedLogins++
			return nil
		}
		a.made++
		a.cost.people++
		if a.now.Known() || !a.now.claimsOnly(e.Identities...) {
			a.leave()
		}
	case target == a.now:
	case !a.b.Trusted && !target.admits(a.b.At):
		return a.refuse(e)
	case a.now.Known() || !a.now.claimsOnly(slices.Concat(e.Identities, target.Identities, target.Claims)...):
		a.join(target, &Own{})
		a.now = target
	default:
		a.join(target, ownOf(a.now.Profile))
		a.merge(target, a.now)
		a.now = target
	}
	if a.b.Trusted {
		a.prove(e.Identities)
	}
	if err := a.grant(e.Identities); err != nil {
		return err
	}
	a.moved = a.moved || a.now != was || !known || a.now.Proven != proven
	a.now.set(e.Set)
	a.device.Own.set(e.Set)
	return nil
}

// holder finds who has one of the identities: the first, or for a proven login the
// first who has it proven.
func (a *applier) holder(identities []Identity) (first *person, err error) {
	for _, i := range identities {
		p, err := a.by(i)
		switch {
		case err != nil:
			return nil, err
		case p == nil:
		case !a.b.Trusted || p.Proven:
			return p, nil
		case first == nil:
			first = p
		}
	}
	return first, nil
}

// leave makes the device a new visitor's.
func (a *applier) leave() {
	a.now, a.moved, a.device.Own = a.fresh(), true, nil
}

// refuse keeps what an unproven login says that it may not have: the profile is
// somebody's who has proven it, or has as many devices as there may be.
func (a *applier) refuse(e Entry) error {
	a.counts.RefusedLogins++
	if a.now.Known() || !a.now.claimsOnly(e.Identities...) {
		a.leave()
	}
	for _, i := range e.Identities {
		a.now.claim(i)
	}
	a.now.set(e.Set)
	return nil
}

// join prepares a profile for one more device, which brings what it has told before.
func (a *applier) join(p *person, own *Own) {
	a.device.Own = nil
	if a.b.Trusted || p.Proven {
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

// prove makes the profile that of who has these identities. Its other devices have
// not proven to be theirs: each goes on as a visitor who claims to be.
func (a *applier) prove(identities []Identity) {
	p := a.now
	if p.Proven {
		return
	}
	p.Proven, p.Shared, a.device.Own = true, false, nil
	for _, d := range p.Devices {
		if d.ID == a.b.Device {
			continue
		}
		q := a.fresh()
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
			a.disown(p, i)
		}
	}
}

// disown makes an identity of the profile's a claim.
func (a *applier) disown(p *person, i Identity) {
	p.Identities = slices.DeleteFunc(slices.Clone(p.Identities), func(have Identity) bool { return have == i })
	setIn(&a.change.Identities, i, "")
	p.claim(i)
}

// grant gives the profile the identities that it may have, and keeps the others as
// claims: nothing that it has makes room.
func (a *applier) grant(identities []Identity) error {
	p := a.now
	for _, i := range identities {
		if slices.Contains(p.Identities, i) {
			continue
		}
		free, err := a.free(i)
		if err != nil {
			return err
		}
		if !free || p.Proven && !a.b.Trusted || len(p.Identities) >= MaxIdentities {
			p.claim(i)
			continue
		}
		p.Identities = append(slices.Clone(p.Identities), i)
		p.Claims = slices.DeleteFunc(slices.Clone(p.Claims), func(have Identity) bool { return have == i })
		setIn(&a.change.Identities, i, p.ID)
	}
	return nil
}

// free reports whether the identity is nobody's. One that somebody has without proof
// goes over to who proves it.
func (a *applier) free(i Identity) (bool, error) {
	if !a.b.Trusted {
		taken, err := a.taken(i)
		return !taken, err
	}
	p, err := a.by(i)
	if err != nil || p == nil {
		return err == nil, err
	}
	if p.Proven {
		return false, nil
	}
	a.disown(p, i)
	return true, nil
}
