package boltstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// messageRow is the stored constant part of a message, except for Content.Data.
// Its bytes follow the JSON unchanged, because encoding/json rewrites raw JSON.
// Fields may be added; no field may change its meaning.
type messageRow struct {
	Content pushsvc.Content        `json:"content"`
	SendAt  time.Time              `json:"sendAt,omitzero"`
	Rate    float64                `json:"rate,omitzero"`
	Only    pushsvc.SubscriptionID `json:"only,omitzero"`
	Topics  []string               `json:"topics,omitempty"`
	Created time.Time              `json:"created,omitzero"`
}

// progressRow is the part that changes with each checkpoint: a separate row, so
// that a checkpoint doesn't write the content again.
type progressRow struct {
	State pushsvc.State `json:"state"`
	// Held marks a paused message as held: older programs, which don't know that
	// state, do not send a paused one.
	Held     bool             `json:"held,omitempty"`
	Started  time.Time        `json:"started,omitzero"`
	Finished time.Time        `json:"finished,omitzero"`
	NextTry  time.Time        `json:"nextTry,omitzero"`
	Progress pushsvc.Progress `json:"progress"`
	// Waits is the time until which a scheduled message needs no look.
	Waits   time.Time                  `json:"waits,omitzero"`
	Answers map[string]pushsvc.Answers `json:"answers,omitempty"`
	// Open is the number of ranges that are not done.
	Open int `json:"open,omitzero"`
}

// message is a message with the store's own data about it.
type message struct {
	pushsvc.Message
	open int
}

// message reads a message; pushsvc.ErrNotFound.
func (s site) message(id string) (message, error) {
	if id == "" {
		return message{}, pushsvc.ErrNotFound
	}
	payload, err := s.get(siteMessages, []byte(id))
	if err != nil {
		return message{}, err
	}
	if payload == nil {
		return message{}, pushsvc.ErrNotFound
	}
	m := message{Message: pushsvc.Message{ID: id, Site: s.name}}
	if err := unpackMessage(payload, &m.Message); err != nil {
		return message{}, s.damage(siteMessages, []byte(id), err)
	}
	p, err := s.progress(id)
	if err != nil {
		return message{}, err
	}
	m.State, m.Started, m.Finished, m.NextTry = p.State, p.Started, p.Finished, p.NextTry
	m.Progress, m.Answers, m.open = p.Progress, p.Answers, p.Open
	return m, nil
}

// progress reads the changing part of an existing message.
func (s site) progress(id string) (progressRow, error) {
	payload, err := s.get(siteProgress, []byte(id))
	if err != nil {
		return progressRow{}, err
	}
	var p progressRow
	if payload == nil {
		return p, s.damage(siteProgress, []byte(id), errors.New("it is missing"))
	}
	if json.Unmarshal(payload, &p) != nil {
		return p, s.damage(siteProgress, []byte(id), errors.New("the row is malformed"))
	}
	if p.Held && p.State == pushsvc.StatePaused {
		p.State = pushsvc.StateHeld
	}
	if p.Progress.Failed == nil {
		p.Progress.Failed = map[string]int64{}
	}
	return p, nil
}

// putContent stores the constant part.
func (s site) putContent(w *writeTx, m pushsvc.Message) error {
	payload, err := packMessage(m)
	if err != nil {
		return err
	}
	return s.put(w, siteMessages, []byte(m.ID), payload)
}

// putProgress stores the changing part.
func (s site) putProgress(w *writeTx, m message) error {
	p := progressRow{
		State: m.State, Started: m.Started.UTC(), Finished: m.Finished.UTC(), NextTry: m.NextTry.UTC(),
		Progress: m.Progress, Answers: m.Answers, Open: m.open,
	}
	switch m.State {
	case pushsvc.StateScheduled:
		p.Waits = m.SendAt.UTC()
	case pushsvc.StateHeld:
		p.State, p.Held = pushsvc.StatePaused, true
	}
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding the progress of message %s: %w", m.ID, err)
	}
	return s.put(w, siteProgress, []byte(m.ID), text)
}

func packMessage(m pushsvc.Message) ([]byte, error) {
	data := m.Content.Data
	m.Content.Data = nil
	text, err := json.Marshal(messageRow{
		Content: m.Content, SendAt: m.SendAt.UTC(), Rate: m.Rate, Only: m.Only, Topics: m.Topics, Created: m.Created.UTC(),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding message %s: %w", m.ID, err)
	}
	p := binary.AppendUvarint(make([]byte, 0, len(text)+len(data)+4), uint64(len(text)))
	return append(append(p, text...), data...), nil
}

// unpackText splits a payload that begins with the length of its JSON.
func unpackText(payload []byte, into any) (tail []byte, err error) {
	r := reader{unread: payload}
	text := r.text()
	if r.bad || json.Unmarshal(text, into) != nil {
		return nil, errors.New("the row is malformed")
	}
	return r.unread, nil
}

func unpackMessage(payload []byte, m *pushsvc.Message) error {
	var r messageRow
	data, err := unpackText(payload, &r)
	if err != nil {
		return err
	}
	if len(data) > 0 {
		r.Content.Data = append(json.RawMessage(nil), data...)
	}
	m.Content, m.SendAt, m.Rate, m.Only, m.Topics, m.Created = r.Content, r.SendAt, r.Rate, r.Only, r.Topics, r.Created
	return nil
}

// unfinishedKey orders the messages of all sites by their ids, which rise with
// time.
func unfinishedKey(id, site string) []byte {
	return append([]byte(id), site...)
}

func (w *writeTx) putUnfinished(id, site string) error {
	return w.put(w.tx.Bucket([]byte(bucketUnfinished)), unfinishedKey(id, site), []byte{byte(len(id))})
}

func (w *writeTx) deleteUnfinished(id, site string) error {
	return w.delete(w.tx.Bucket([]byte(bucketUnfinished)), unfinishedKey(id, site))
}

// eachUnfinished calls fn with the site and id of messages that are not final, by
// rising id after the given one, until fn returns false. It reports and skips
// damaged rows.
func eachUnfinished(tx *bolt.Tx, after string, report func(error), fn func(st site, id string) bool) {
	bad := func(what string) {
		report(&DamageError{Where: fmt.Sprintf("bucket %q, one row", bucketUnfinished), Err: errors.New(what)})
	}
	c := tx.Bucket([]byte(bucketUnfinished)).Cursor()
	for k, v := c.Seek([]byte(after)); k != nil; k, v = c.Next() {
		if len(v) != 1 || int(v[0]) > len(k) {
			bad("it is malformed")
			continue
		}
		id, name := string(k[:v[0]]), string(k[v[0]:])
		if id <= after && after != "" {
			continue
		}
		st, ok := openSite(tx, name)
		if !ok {
			bad("its site is missing")
			continue
		}
		if !fn(st, id) {
			return
		}
	}
}

// unfinished reads at most limit messages that need work.
func unfinished(tx *bolt.Tx, now time.Time, after string, limit int, report func(error)) (out []pushsvc.Message) {
	eachUnfinished(tx, after, report, func(st site, id string) bool {
		if len(out) >= limit {
			return false
		}
		p, err := st.progress(id)
		if err == nil && (&pushsvc.Message{State: p.State, SendAt: p.Waits}).Idle(now) {
			return true
		}
		m, err := st.message(id)
		if errors.Is(err, pushsvc.ErrNotFound) {
			err = st.damage(bucketUnfinished, nil, errors.New("its message is missing"))
		}
		if err != nil {
			report(err)
			return true
		}
		out = append(out, m.Message)
		return true
	})
	return out
}
