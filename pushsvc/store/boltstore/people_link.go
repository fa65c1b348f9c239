package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// A subscription's row has its device, a link leads from the device to the row.
// The row decides: a link to another device's row is ignored.

func linkKey(d pushsvc.DeviceID, id pushsvc.SubscriptionID) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(d[:]), uint64(id))
}

// link stores the link from a subscription's device to it.
func (w *writeTx) link(sub pushsvc.Subscription) error {
	if sub.Device.IsZero() {
		return nil
	}
	people, err := w.makePeople(sub.Site)
	if err != nil {
		return err
	}
	b, err := w.bucket(people.b, peopleLinks)
	key := linkKey(sub.Device, sub.ID)
	if err != nil || b.Get(key) != nil {
		return err
	}
	return w.put(b, key, []byte{})
}

func (w *writeTx) unlink(name string, sub pushsvc.Subscription) error {
	people, ok := openPeople(w.tx, name)
	if sub.Device.IsZero() || !ok {
		return nil
	}
	return people.removeRow(w, peopleLinks, linkKey(sub.Device, sub.ID))
}

// linked returns the subscriptions of a device. people and st are the same
// site's.
func linked(people, st site, d pushsvc.DeviceID, report func(error)) (subs []pushsvc.Subscription) {
	eachLinked(people, st, d, report, func(sub pushsvc.Subscription) bool {
		subs = append(subs, sub)
		return true
	})
	return subs
}

// isSubscribed reports whether a device has a subscription. It stops at the
// first: an attacker can give a device any number.
func isSubscribed(people, st site, d pushsvc.DeviceID, report func(error)) (there bool) {
	eachLinked(people, st, d, report, func(pushsvc.Subscription) bool {
		there = true
		return false
	})
	return there
}

// eachLinked calls fn with the subscriptions of a device, until it returns false.
func eachLinked(people, st site, d pushsvc.DeviceID, report func(error), fn func(pushsvc.Subscription) bool) {
	b := people.b.Bucket([]byte(peopleLinks))
	if b == nil || st.b == nil {
		return
	}
	c := b.Cursor()
	for k, _ := c.Seek(d[:]); len(k) == 24 && bytes.HasPrefix(k, d[:]); k, _ = c.Next() {
		sub, err := st.subscription(k[16:])
		switch {
		case errors.Is(err, pushsvc.ErrNotFound):
		case err != nil:
			report(err)
		case sub.Device == d && !fn(sub):
			return
		}
	}
}

// moveLinks moves the links of a device to the one that replaces it.
func (w *writeTx) moveLinks(people site, from, to pushsvc.DeviceID) error {
	st, ok := openSite(w.tx, people.name)
	if !ok {
		return nil
	}
	for _, sub := range linked(people, st, from, w.s.report) {
		if err := w.unlink(people.name, sub); err != nil {
			return err
		}
		sub.Device = to
		if err := st.put(w, siteSubs, idKey(sub.ID), packSubscription(&sub)); err != nil {
			return err
		}
		if err := w.link(sub); err != nil {
			return err
		}
	}
	return nil
}
