package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// movePhase is the kind of rows that are being moved.
type movePhase int

// The phases. They are stored: their numbers must not change.
const (
	moveUploads movePhase = iota
	moveSubscriptions
	moveMessages
	moveKeys // of idempotency
	moveProfiles
	moveEvents
	moveStats
	moveEnded
)

// moveBytes is the approximate size of the rows that one transaction moves.
const moveBytes = 64 << 10

// MoveRows implements pushsvc.SiteStore.
func (s *Store) MoveRows(ctx context.Context, from string, limit int) (pushsvc.SiteMove, error) {
	m, err := write(ctx, s, func(w *writeTx) (moveRow, error) { return w.moveRows(from, max(limit, 1)) })
	if err == nil && m.Running && m.Phase == moveEnded {
		err = s.between(ctx, func(w *writeTx) error {
			row, there, err := readMove(w.tx, from)
			if err != nil || !there || !row.Running {
				return err
			}
			m = row
			return w.endMove(&m)
		})
		if err == nil {
			err = s.forgetIndex(ctx, from)
		}
	}
	if err != nil {
		return pushsvc.SiteMove{}, fmt.Errorf("bringing over rows of site %s: %w", from, err)
	}
	return m.SiteMove, nil
}

// forgetIndex drops the waiting index entries of a removed site.
func (s *Store) forgetIndex(ctx context.Context, name string) error {
	_, err := write(ctx, s, func(w *writeTx) (struct{}, error) {
		w.s.recent.forget(name)
		return struct{}{}, nil
	})
	return err
}

func (w *writeTx) moveRows(from string, limit int) (m moveRow, err error) {
	m, there, err := readMove(w.tx, from)
	switch {
	case err != nil:
		return m, err
	case !there:
		return m, pushsvc.ErrNotFound
	case !m.Running || m.Phase == moveEnded:
		return m, nil
	}
	for m.Phase < moveEnded {
		n, err := w.movePart(&m, limit)
		if err != nil {
			return m, err
		}
		if n > 0 {
			break
		}
		m.Phase, m.After = m.Phase+1, nil
	}
	return m, w.putMove(m)
}

// movePart moves some rows of the phase and returns their number; 0 means that
// the phase has ended.
func (w *writeTx) movePart(m *moveRow, limit int) (int, error) {
	switch m.Phase {
	case moveUploads:
		return w.moveEach(m, bucketPopups, popupUploads, 1, w.moveUpload)
	case moveSubscriptions:
		return w.moveEach(m, bucketSites, siteSubs, limit, w.moveSub)
	case moveMessages:
		return w.moveEach(m, bucketSites, siteMessages, max(limit/16, 1), w.moveMessage)
	case moveKeys:
		return w.moveEach(m, bucketSites, siteIdem, limit, w.moveKey)
	case moveProfiles:
		return w.moveEach(m, bucketPeople, peopleProfiles, max(limit/8, 1), w.moveProfile)
	case moveEvents:
		return w.moveEach(m, bucketPeople, peopleEvents, limit, w.moveEvent)
	case moveStats:
		n, err := w.moveEach(m, bucketPeople, peoplePopups, limit, w.moveHour)
		if err == nil && n == 0 {
			err = w.moveNumbers(m)
		}
		return n, err
	}
	return 0, nil
}

// keyed is a stored row.
type keyed struct{ key, value []byte }

// moveEach calls fn with at most limit rows of a bucket that are not yet moved.
// It reports a damaged row and leaves it.
func (w *writeTx) moveEach(m *moveRow, top, bucket string, limit int, fn func(*moveRow, site, keyed) error) (int, error) {
	from, ok := rawIn(w.tx, top, m.From)
	if !ok {
		return 0, nil
	}
	b := from.b.Bucket([]byte(bucket))
	if b == nil {
		return 0, nil
	}
	// Keys and values are valid only until the transaction changes something.
	var rows []keyed
	size, c := 0, b.Cursor()
	k, v := c.First()
	if m.After != nil {
		if k, v = c.Seek(m.After); bytes.Equal(k, m.After) {
			k, v = c.Next()
		}
	}
	for ; k != nil && len(rows) < limit && size < moveBytes; k, v = c.Next() {
		rows = append(rows, keyed{bytes.Clone(k), bytes.Clone(v)})
		size += len(k) + len(v)
	}
	for _, row := range rows {
		var damage *DamageError
		err := fn(m, from, row)
		if errors.As(err, &damage) {
			w.s.report(err)
			err = nil
		}
		if err != nil {
			return 0, err
		}
		m.After = row.key
	}
	return len(rows), nil
}

func (w *writeTx) moveUpload(m *moveRow, from site, row keyed) error {
	p, err := from.open(popupUploads, row.key, row.value)
	if err != nil {
		return err
	}
	into, err := w.makePopups(m.Into)
	if err != nil {
		return err
	}
	if _, err := into.upload(string(row.key), false); !errors.Is(err, pushsvc.ErrNotFound) {
		return nil
	}
	m.Moved.Uploads++
	return into.put(w, popupUploads, row.key, p)
}

func (w *writeTx) moveSub(m *moveRow, from site, row keyed) error {
	var sub pushsvc.Subscription
	if err := from.decode(newSeed(siteSubs, from.name), row.key, row.value, &sub); err != nil {
		return err
	}
	into, err := w.makeSite(m.Into)
	if err != nil {
		return err
	}
	return w.adoptSub(m, into, sub)
}

// adoptSub stores a subscription at its new site.
func (w *writeTx) adoptSub(m *moveRow, into site, sub pushsvc.Subscription) error {
	old, err := w.find(into, sub.Endpoint)
	if err != nil {
		w.s.report(err)
	}
	row, n := m.Adopt(sub, old), into.counts(w.s.report)
	before := n
	switch {
	case old.Endpoint != "" && row.ID != old.ID:
		if err := errors.Join(w.unlink(into.name, old), w.remove(into, old.ID, old.Endpoint)); err != nil {
			return err
		}
		n.subscriptions = max(n.subscriptions, 1) - 1
	case row.Device != old.Device:
		if err := w.unlink(into.name, old); err != nil {
			return err
		}
	}
	if row.ID != old.ID {
		n.subscriptions++
		if err := w.indexNow(into, indexKey(row.Endpoint), row.ID); err != nil {
			return err
		}
	}
	if err := into.put(w, siteSubs, idKey(row.ID), packSubscription(&row)); err != nil {
		return err
	}
	if n != before {
		if err := into.putCounts(w, n); err != nil {
			return err
		}
	}
	return w.link(row)
}

// pull moves the subscription of an endpoint ahead of time, so that a caller that
// asks for it finds it.
func (w *writeTx) pull(into site, endpoint string) error {
	for _, m := range w.movesAt(into) {
		from, ok := rawIn(w.tx, bucketSites, m.From)
		if !ok || m.Phase > moveSubscriptions {
			continue
		}
		sub, err := w.find(from, endpoint)
		if err != nil {
			w.s.report(err)
		}
		if sub.Endpoint == "" || m.Phase == moveSubscriptions && m.After != nil && bytes.Compare(idKey(sub.ID), m.After) <= 0 {
			continue
		}
		n := from.counts(w.s.report)
		n.subscriptions = max(n.subscriptions, 1) - 1
		if err := errors.Join(w.adoptSub(m, into, sub), w.remove(from, sub.ID, endpoint), from.putCounts(w, n), w.putMove(*m)); err != nil {
			return err
		}
	}
	return nil
}

// moveMessage moves a message with its results. Receipts keep their old ids,
// since workers that report late have those too.
func (w *writeTx) moveMessage(m *moveRow, from site, row keyed) error {
	id := string(row.key)
	msg, err := from.message(id)
	if err != nil {
		return err
	}
	into, err := w.makeSite(m.Into)
	if err != nil {
		return err
	}
	msg.Message = m.AdoptMessage(msg.Message, func(id string) bool {
		b := into.b.Bucket([]byte(siteMessages))
		return b != nil && b.Get([]byte(id)) != nil
	})
	if msg.ID != id {
		if m.Messages == nil {
			m.Messages = map[string]string{}
		}
		m.Messages[id] = msg.ID
	} else if err := w.moveReceipts(from, into, id); err != nil {
		return err
	}
	if !msg.State.Final() {
		if m.Held {
			if err := msg.Command(pushsvc.CommandHold, m.Begun); err != nil {
				return err
			}
		}
		var parts []part
		from.parts(id, w.s.report, func(int, rowFlags) bool { return true }, func(p part) bool { parts = append(parts, p); return true })
		for _, p := range parts {
			p.Range = p.Shift(into.name, msg.ID, m.Base)
			if err := into.putPart(w, p); err != nil {
				return err
			}
		}
		if err := w.putUnfinished(msg.ID, into.name); err != nil {
			return err
		}
	}
	n := into.counts(w.s.report)
	n.messages++
	return errors.Join(into.putContent(w, msg.Message), into.putProgress(w, msg), into.putCounts(w, n))
}

func (w *writeTx) moveReceipts(from, into site, id string) error {
	all := from.b.Bucket([]byte(siteReceipts))
	if all == nil || all.Bucket([]byte(id)) == nil {
		return nil
	}
	to, err := w.bucket(into.b, siteReceipts)
	if err != nil {
		return err
	}
	w.touched = true
	return all.MoveBucket([]byte(id), to)
}

// pullMessage moves a message ahead of time because it has a new receipt.
func (w *writeTx) pullMessage(into site, id string) error {
	for _, m := range w.movesAt(into) {
		from, ok := rawIn(w.tx, bucketSites, m.From)
		if !ok || m.Phase > moveMessages {
			continue
		}
		key := []byte(id)
		b := from.b.Bucket([]byte(siteMessages))
		if b == nil || len(key) == 0 || b.Get(key) == nil || m.Phase == moveMessages && bytes.Compare(key, m.After) <= 0 {
			continue
		}
		n := from.counts(w.s.report)
		n.messages = max(n.messages, 1) - 1
		err := w.moveMessage(m, from, keyed{key: key})
		if err = errors.Join(err, w.delete(b, key), from.putCounts(w, n), w.putMove(*m)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writeTx) moveKey(m *moveRow, from site, row keyed) error {
	key := string(row.key)
	r, there, err := from.record(key)
	if err != nil || !there {
		return err
	}
	into, err := w.makeSite(m.Into)
	if err != nil {
		return err
	}
	if _, there, err := into.record(key); there || err != nil {
		return err
	}
	if id := m.Messages[r.message]; id != "" {
		r.message = id
	}
	expiry, err := w.bucket(into.b, siteExpiry)
	if err != nil {
		return err
	}
	return errors.Join(into.put(w, siteIdem, row.key, r.pack()), w.put(expiry, expiryKey(r.expires, key), []byte{}))
}

func (w *writeTx) moveProfile(m *moveRow, from site, row keyed) error {
	var p people.Profile
	payload, err := from.open(peopleProfiles, row.key, row.value)
	if err == nil {
		err = from.openJSON(peopleProfiles, row.key, payload, &p)
	}
	if err != nil {
		return err
	}
	p.ID = profileID(row.key)
	return w.adoptProfile(m, from, &p)
}

func (w *writeTx) adoptProfile(m *moveRow, from site, p *people.Profile) error {
	var records []people.EventRecord
	for _, ref := range p.History {
		var some []people.EventRecord
		if _, err := from.getJSON(peopleHistory, numberKey(ref.Seq), &some); err != nil {
			w.s.report(err)
			continue
		}
		records = append(records, some...)
	}
	into, err := w.makePeople(m.Into)
	if err != nil {
		return err
	}
	c, joined, err := people.Adopt(peopleTx{into, w.s}, p, records, m.Popups)
	if err != nil {
		return err
	}
	m.AdoptedProfile(joined)
	return w.change(into, c)
}

// pullDevice moves the profile of a browser ahead of time.
func (s *Store) pullDevice(ctx context.Context, name string, d pushsvc.DeviceID) error {
	into, err := read(ctx, s, func(tx *bolt.Tx) (string, error) { return current(tx, name), nil })
	if err != nil || len(s.coming(into)) == 0 {
		return err
	}
	_, err = write(ctx, s, func(w *writeTx) (struct{}, error) {
		for _, m := range w.movesAt(site{name: into}) {
			from, ok := rawIn(w.tx, bucketPeople, m.From)
			if !ok || m.Phase > moveProfiles {
				continue
			}
			p, err := from.profileAt(peopleDevices, d[:])
			if err != nil {
				w.s.report(err)
			}
			if p == nil || m.Phase == moveProfiles && m.After != nil && bytes.Compare(profileKey(p.ID), m.After) <= 0 {
				continue
			}
			if err := errors.Join(w.adoptProfile(m, from, p), from.removeRow(w, peopleProfiles, profileKey(p.ID)), w.putMove(*m)); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

func (w *writeTx) moveEvent(m *moveRow, from site, row keyed) error {
	var come, have people.EventTotal
	payload, err := from.open(peopleEvents, row.key, row.value)
	if err == nil {
		err = from.openJSON(peopleEvents, row.key, payload, &come)
	}
	if err != nil {
		return err
	}
	into, err := w.makePeople(m.Into)
	if err != nil {
		return err
	}
	there, err := into.getJSON(peopleEvents, row.key, &have)
	if err != nil {
		w.s.report(err)
	}
	if !there {
		n := into.numbers(w.s.report)
		n.EventNames++
		if err := into.putNumbers(w, n); err != nil {
			return err
		}
	}
	return into.putJSON(w, peopleEvents, row.key, have.Join(come))
}

func (w *writeTx) moveHour(m *moveRow, from site, row keyed) error {
	var come, have people.PopupHour
	payload, err := from.open(peoplePopups, row.key, row.value)
	if err == nil {
		err = from.openJSON(peoplePopups, row.key, payload, &come)
	}
	if err != nil {
		return err
	}
	popup, hour, ok := popupOf(row.key)
	if !ok {
		return from.damage(peoplePopups, nil, errors.New("the key is malformed"))
	}
	popup = m.PopupID(popup)
	into, err := w.makePeople(m.Into)
	if err != nil {
		return err
	}
	key := popupKey(popup, hour)
	if _, err := into.getJSON(peoplePopups, key, &have); err != nil {
		w.s.report(err)
	}
	return into.putJSON(w, peoplePopups, key, have.Fold(come))
}

// moveNumbers adds the numbers of refused and evicted rows; the rows have been
// counted.
func (w *writeTx) moveNumbers(m *moveRow) error {
	from, ok := rawIn(w.tx, bucketPeople, m.From)
	if !ok {
		return nil
	}
	into, err := w.makePeople(m.Into)
	if err != nil {
		return err
	}
	return into.putNumbers(w, into.numbers(w.s.report).Plus(from.numbers(w.s.report)))
}
