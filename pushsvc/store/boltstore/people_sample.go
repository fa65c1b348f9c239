package boltstore

import (
	"crypto/rand"
	mathrand "math/rand/v2"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// CountedEvents implements people.Tx: consecutive names from a random one on,
// starting again at the first. A damaged one is worth nothing.
func (t peopleTx) CountedEvents(n int) (out []people.CountedEvent, err error) {
	b := t.b.Bucket([]byte(peopleEvents))
	if b == nil {
		return nil, nil
	}
	var names [][]byte
	t.each(peopleEvents, func(k []byte) { names = append(names, k) })
	if len(names) == 0 {
		return nil, nil
	}
	first := mathrand.IntN(len(names))
	for i := range min(n, len(names)) {
		k := names[(first+i)%len(names)]
		e := people.CountedEvent{Name: string(k)}
		if _, err := t.getJSON(peopleEvents, k, &e.EventTotal); err != nil {
			t.s.report(err)
			e.EventTotal = people.EventTotal{}
		}
		out = append(out, e)
	}
	return out, nil
}

// Strangers implements people.Tx. Devices are digests, so that those after a
// random one are a fair sample of all.
func (t peopleTx) Strangers(n int) (out []*people.Profile, err error) {
	b := t.b.Bucket([]byte(peopleDevices))
	if b == nil {
		return nil, nil
	}
	st, _ := openSite(t.b.Tx(), t.name)
	var from pushsvc.DeviceID
	_, _ = rand.Read(from[:]) // never fails (crypto/rand, Go 1.24)
	c, seen := b.Cursor(), map[string]bool{}
	k, _ := c.Seek(from[:])
	for range n {
		if k == nil {
			if k, _ = c.First(); k == nil {
				return out, nil
			}
		}
		p, err := t.healing(t.profileAt(peopleDevices, k))
		if err != nil {
			return nil, err
		}
		if p != nil && !seen[p.ID] && !t.subscribes(st, p) {
			out = append(out, p)
		}
		if p != nil {
			seen[p.ID] = true
		}
		k, _ = c.Next()
	}
	return out, nil
}

// subscribes reports whether any of a profile's devices has a subscription.
func (t peopleTx) subscribes(st site, p *people.Profile) bool {
	for _, d := range p.Devices {
		if isSubscribed(t.site, st, d.ID, t.s.report) {
			return true
		}
	}
	return false
}
