package boltstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// messageRow1 is a message of format 1, where one row held everything and one
// engine worked on a whole message.
type messageRow1 struct {
	Content  pushsvc.Content        `json:"content"`
	State    pushsvc.State          `json:"state"`
	Created  time.Time              `json:"created,omitzero"`
	Started  time.Time              `json:"started,omitzero"`
	Finished time.Time              `json:"finished,omitzero"`
	Until    pushsvc.SubscriptionID `json:"until,omitzero"`
	Cursor   pushsvc.SubscriptionID `json:"cursor,omitzero"`
	Progress pushsvc.Progress       `json:"progress"`
}

// migrate converts the file to the present format in one transaction: if it is
// interrupted, the file is unchanged.
func migrate(db *bolt.DB, report func(error)) error {
	have := uint32(0)
	err := db.View(func(tx *bolt.Tx) error {
		v := tx.Bucket([]byte(bucketMeta)).Get([]byte(metaFormat))
		if len(v) != 4 {
			return &DamageError{Where: `bucket "meta"`, Err: errors.New("the format version is missing")}
		}
		have = binary.BigEndian.Uint32(v)
		return nil
	})
	if err != nil || have == formatVersion {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		w := &writeTx{tx: tx, s: &Store{onDamage: report}}
		// Format 3 adds topics to rows of format 2; rows without topics stay
		// unchanged.
		for _, st := range allSites(tx, report) {
			if have > 1 {
				break
			}
			if err := w.migrateSite(st); err != nil {
				return err
			}
		}
		for _, people := range allPeople(tx, report) {
			if err := w.markSessions(people); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(metaFormat), binary.BigEndian.AppendUint32(nil, formatVersion))
	})
	if err != nil {
		return fmt.Errorf("bringing the file from format %d to %d: %w", have, formatVersion, withErrno(err))
	}
	return nil
}

// markSessions converts profiles to format 4, which stores marks of sessions
// instead of the sessions.
func (w *writeTx) markSessions(rows site) error {
	var after []byte
	for {
		var page []*people.Profile // changing a bucket moves its cursors
		last, n := after, 0
		rows.eachProfile(after, w.s.report, func(p *people.Profile) bool {
			last, n = profileKey(p.ID), n+1
			marked := false
			for i := range p.Shown {
				if s := &p.Shown[i].Session; pushsvc.IsRandomID(*s) {
					*s, marked = pushsvc.SessionMark(*s), true
				}
			}
			if marked {
				page = append(page, p)
			}
			return n < 1000
		})
		for _, p := range page {
			if err := rows.putJSON(w, peopleProfiles, profileKey(p.ID), p); err != nil {
				return err
			}
		}
		if n < 1000 {
			return nil
		}
		after = last
	}
}

func (w *writeTx) migrateSite(st site) error {
	if err := st.putIndexed(w, st.lastID()); err != nil {
		return err
	}
	b := st.b.Bucket([]byte(siteMessages))
	if b == nil {
		return nil
	}
	var ids []string // changing a bucket moves its cursors
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		ids = append(ids, string(k))
	}
	for _, id := range ids {
		payload, err := st.get(siteMessages, []byte(id))
		var row messageRow1
		var data []byte
		if err == nil {
			if data, err = unpackText(payload, &row); err != nil {
				err = st.damage(siteMessages, []byte(id), err)
			}
		}
		if err != nil {
			w.s.report(err) // it stays damaged
			continue
		}
		row.Content.Data = append(json.RawMessage(nil), data...)
		if err := w.migrateMessage(st, id, row); err != nil {
			return err
		}
	}
	return nil
}

// migrateMessage splits a message's row, and plans the rest of it. Its lease was
// held by a process that has ended: we have its lock.
func (w *writeTx) migrateMessage(st site, id string, row messageRow1) error {
	m := message{Message: pushsvc.Message{
		ID: id, Site: st.name, Content: row.Content, State: row.State,
		Created: row.Created, Started: row.Started, Finished: row.Finished, Progress: row.Progress,
	}}
	if !m.State.Final() {
		var err error
		if m.open, err = w.putRanges(st, m.PlanRanges(min(row.Cursor, row.Until), row.Until)); err != nil {
			return err
		}
	}
	return errors.Join(st.putContent(w, m.Message), st.putProgress(w, m))
}
