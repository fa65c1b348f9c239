package boltstore

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// Buckets of a site in bucket "people". They are not in the site's own bucket,
// whose existence means that the site had a subscription.
const (
	peopleProfiles   = "profiles"   // id16 → JSON
	peopleDevices    = "devices"    // device16 → id16
	peopleIdentities = "identities" // kind, colon, value → id16
	peopleClaims     = "claims"     // kind, colon, value, 0, id16 → nothing
	peopleHistory    = "history"    // number8, rising → JSON
	peopleEvents     = "events"     // name → JSON
	peoplePopups     = "popups"     // pop-up, 0, hour8 → JSON
	peopleLinks      = "links"      // device16 + id8 of a subscription → nothing
)

// peopleNumbers is the row of a site's counts.
const peopleNumbers = "numbers"

// openPeople returns a site's people; false if it never had any.
func openPeople(tx *bolt.Tx, name string) (site, bool) {
	return openIn(tx, bucketPeople, name)
}

// makePeople returns a site's people, and makes the bucket if it is missing.
func (w *writeTx) makePeople(name string) (site, error) { return w.makeIn(bucketPeople, name) }

// profileKey returns a profile's id as a key; nil if it is not an id.
func profileKey(id string) []byte {
	if len(id) != 36 {
		return nil
	}
	key, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(key) != 16 {
		return nil
	}
	return key
}

func profileID(key []byte) string {
	text := hex.EncodeToString(key)
	if len(text) != 32 {
		return ""
	}
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

func identityKey(i people.Identity) []byte { return []byte(string(i.Kind) + ":" + i.Value) }

// getJSON reads a row; false without a row.
func (s site) getJSON(bucket string, key []byte, v any) (bool, error) {
	p, err := s.get(bucket, key)
	if err != nil || p == nil {
		return false, err
	}
	return true, s.openJSON(bucket, key, p, v)
}

func (s site) openJSON(bucket string, key, payload []byte, v any) error {
	if err := json.Unmarshal(payload, v); err != nil {
		return s.damage(bucket, key, errors.New("the row is malformed"))
	}
	return nil
}

func (s site) putJSON(w *writeTx, bucket string, key []byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding a row of bucket %q failed", bucket) // err might quote it
	}
	return s.put(w, bucket, key, text)
}

// removeRow removes a row of a bucket, if both exist.
func (s site) removeRow(w *writeTx, bucket string, key []byte) error {
	b := s.b.Bucket([]byte(bucket))
	if b == nil || b.Get(key) == nil {
		return nil
	}
	return w.delete(b, key)
}

// profile reads a profile; nil if it does not exist.
func (s site) profile(key []byte) (*people.Profile, error) {
	var p people.Profile
	there, err := s.getJSON(peopleProfiles, key, &p)
	if !there || err != nil {
		return nil, err
	}
	p.ID = profileID(key)
	return &p, nil
}

// profileAt reads the profile whose id is in a row of another bucket.
func (s site) profileAt(bucket string, key []byte) (*people.Profile, error) {
	id, err := s.get(bucket, key)
	if err != nil || id == nil {
		return nil, err
	}
	return s.profile(id)
}

// peopleTx is a people.Tx in one transaction.
type peopleTx struct {
	site
	s *Store
}

// ProfileOf returns nil for a damaged row, which it reports: the visitor
// continues as a new one.
func (t peopleTx) ProfileOf(d pushsvc.DeviceID) (*people.Profile, error) {
	return t.healing(t.profileAt(peopleDevices, d[:]))
}

func (t peopleTx) ProfileBy(i people.Identity) (*people.Profile, error) {
	return t.healing(t.profileAt(peopleIdentities, identityKey(i)))
}

func (t peopleTx) healing(p *people.Profile, err error) (*people.Profile, error) {
	var damage *DamageError
	if errors.As(err, &damage) {
		t.s.report(err)
		return nil, nil
	}
	return p, err
}

func (t peopleTx) CountsEvent(name string) (bool, error) {
	b := t.b.Bucket([]byte(peopleEvents))
	return b != nil && b.Get([]byte(name)) != nil, nil
}

func (t peopleTx) Counts() (people.Counts, error) { return t.numbers(t.s.report), nil }

func (t peopleTx) NextHistory() (uint64, error) { return t.s.nextHistory(t.site), nil }

// numbers reads the site's counts; if they are damaged, it counts again.
func (s site) numbers(report func(error)) (n people.Counts) {
	v := s.b.Get([]byte(peopleNumbers))
	if v == nil {
		return n
	}
	p, err := s.open(peopleNumbers, []byte(peopleNumbers), v)
	if err == nil {
		err = s.openJSON(peopleNumbers, nil, p, &n)
	}
	if err == nil {
		return n
	}
	report(err)
	n = people.Counts{EventNames: int64(s.count(peopleEvents))}
	s.eachProfile(nil, report, func(p *people.Profile) bool {
		n.Profiles++
		if !p.Known() {
			n.Anonymous++
		}
		return true
	})
	return n
}

func (s site) putNumbers(w *writeTx, n people.Counts) error {
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encoding counts: %w", err)
	}
	return w.put(s.b, []byte(peopleNumbers), newSeed(peopleNumbers, s.name).seal([]byte(peopleNumbers), text))
}

// eachProfile calls fn with profiles above the key, until it returns false.
func (s site) eachProfile(after []byte, report func(error), fn func(*people.Profile) bool) {
	b := s.b.Bucket([]byte(peopleProfiles))
	if b == nil {
		return
	}
	c := b.Cursor()
	k, v := c.First()
	if after != nil {
		if k, v = c.Seek(after); bytes.Equal(k, after) {
			k, v = c.Next()
		}
	}
	for ; k != nil; k, v = c.Next() {
		p := people.Profile{}
		payload, err := s.open(peopleProfiles, k, v)
		if err == nil {
			err = s.openJSON(peopleProfiles, k, payload, &p)
		}
		if err != nil {
			report(err)
			continue
		}
		p.ID = profileID(k)
		if !fn(&p) {
			return
		}
	}
}

// change writes a change computed by Apply.
func (w *writeTx) change(st site, c people.Change) error { return w.changeSealed(st, c, nil) }

// changeSealed is change with already encoded and sealed profiles and history, by
// rowName.
func (w *writeTx) changeSealed(st site, c people.Change, sealed map[string][]byte) error {
	var numbers people.Counts
	counts := c.Counts != people.Counts{}
	if counts {
		numbers = st.numbers(w.s.report) // damaged ones are counted now, before rows change
	}
	for seq, records := range c.History {
		if err := st.putSealed(w, peopleHistory, numberKey(seq), sealed, records); err != nil {
			return err
		}
		if b := st.b.Bucket([]byte(peopleHistory)); b.Sequence() < seq {
			if err := b.SetSequence(seq); err != nil {
				return err
			}
		}
	}
	for _, seq := range c.DropHistory {
		if err := st.removeRow(w, peopleHistory, numberKey(seq)); err != nil {
			return err
		}
	}
	for _, id := range c.Drop {
		if err := st.removeRow(w, peopleProfiles, profileKey(id)); err != nil {
			return err
		}
	}
	for _, p := range c.Put {
		if err := st.putSealed(w, peopleProfiles, profileKey(p.ID), sealed, p); err != nil {
			return err
		}
	}
	for d, id := range c.Devices {
		if err := w.putReference(st, peopleDevices, d[:], id); err != nil {
			return err
		}
	}
	for i, id := range c.Identities {
		if err := w.putReference(st, peopleIdentities, identityKey(i), id); err != nil {
			return err
		}
	}
	for claim, is := range c.Claims {
		if err := w.putClaim(st, claim, is); err != nil {
			return err
		}
	}
	if c.Moved != nil {
		if err := w.moveLinks(st, c.Moved[0], c.Moved[1]); err != nil {
			return err
		}
	}
	if err := w.changeCounters(st, c); err != nil {
		return err
	}
	if err := w.unsubscribe(st, c.Unsubscribe); err != nil || !counts {
		return err
	}
	return st.putNumbers(w, numbers.Add(c.Counts))
}

func (w *writeTx) changeCounters(st site, c people.Change) error {
	for _, name := range c.DropEvents {
		if err := st.removeRow(w, peopleEvents, []byte(name)); err != nil {
			return err
		}
	}
	for name, add := range c.Events {
		var have people.EventTotal
		if _, err := st.getJSON(peopleEvents, []byte(name), &have); err != nil {
			w.s.report(err) // the event starts again at zero
			have = people.EventTotal{}
		}
		if err := st.putJSON(w, peopleEvents, []byte(name), have.Plus(add, c.Worth[name])); err != nil {
			return err
		}
	}
	hours := map[string]map[people.PopupStat]int64{}
	for stat, n := range c.Popups {
		key := string(popupKey(stat.Popup, stat.Hour.Unix()/3600))
		if hours[key] == nil {
			hours[key] = map[people.PopupStat]int64{}
		}
		hours[key][stat] = n
	}
	for key, stats := range hours {
		text, err := st.get(peoplePopups, []byte(key))
		if err == nil {
			text, err = people.AddPopupText(text, stats)
		}
		if err != nil {
			w.s.report(err) // the counter starts again at zero
			if text, err = people.AddPopupText(nil, stats); err != nil {
				return err
			}
		}
		if err := st.put(w, peoplePopups, []byte(key), text); err != nil {
			return err
		}
	}
	return nil
}

// putReference points a row to a profile, or removes it. It skips unchanged rows:
// each would dirty a random page.
func (w *writeTx) putReference(st site, bucket string, key []byte, id string) error {
	if id == "" {
		return st.removeRow(w, bucket, key)
	}
	want := profileKey(id)
	if have, err := st.get(bucket, key); err == nil && bytes.Equal(have, want) {
		return nil
	}
	return st.put(w, bucket, bytes.Clone(key), want)
}

func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func popupKey(popup string, hour int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(popup+"\x00"), uint64(hour))
}
