package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// maxID is the longest message id in bytes: its length is one byte in
// "unfinished".
const maxID = 255

// messageRow is a message as it lies in the file, apart from Content.Data,
// whose bytes follow the JSON as they are, because encoding/json rewrites raw
// JSON. Fields may be added; none may change its meaning.
type messageRow struct {
	Content  pushsvc.Content        `json:"content"`
	State    pushsvc.State          `json:"state"`
	Created  time.Time              `json:"created,omitzero"`
	Started  time.Time              `json:"started,omitzero"`
	Finished time.Time              `json:"finished,omitzero"`
	Until    pushsvc.SubscriptionID `json:"until,omitzero"`
	Cursor   pushsvc.SubscriptionID `json:"cursor,omitzero"`
	Owner    string                 `json:"owner,omitzero"`
	Epoch    int64                  `json:"epoch,omitzero"`
	Lease    time.Time              `json:"lease,omitzero"`
	Progress pushsvc.Progress       `json:"progress"`
	// Last is the digest of the checkpoint that was applied last.
	Last string `json:"last,omitzero"`
}

// message is a message with what only the store needs to know of it.
type message struct {
	pushsvc.Message
	last string
}

// message reads one; pushsvc.ErrNotFound.
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
	m, err := unpackMessage(payload)
	if err != nil {
		return message{}, s.damage(siteMessages, []byte(id), err)
	}
	m.ID, m.Site = id, s.name
	return m, nil
}

func (s site) putMessage(w *writeTx, m message) error {
	payload, err := packMessage(m)
	if err != nil {
		return err
	}
	return s.put(w, siteMessages, []byte(m.ID), payload)
}

func packMessage(m message) ([]byte, error) {
	data := m.Content.Data
	m.Content.Data = nil
	text, err := json.Marshal(messageRow{
		Content: m.Content, State: m.State,
		Created: m.Created.UTC(), Started: m.Started.UTC(), Finished: m.Finished.UTC(),
		Until: m.Until, Cursor: m.Cursor,
		Owner: m.Owner, Epoch: m.Epoch, Lease: m.Lease.UTC(),
		Progress: m.Progress, Last: m.last,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding message %s: %w", m.ID, err)
	}
	p := binary.AppendUvarint(make([]byte, 0, len(text)+len(data)+4), uint64(len(text)))
	return append(append(p, text...), data...), nil
}

func unpackMessage(payload []byte) (message, error) {
	n, size := binary.Uvarint(payload)
	if size <= 0 || n > uint64(len(payload)-size) {
		return message{}, errors.New("the row is malformed")
	}
	text, data := payload[size:size+int(n)], payload[size+int(n):]
	var r messageRow
	if err := json.Unmarshal(text, &r); err != nil {
		return message{}, errors.New("the row is malformed")
	}
	if len(data) > 0 {
		r.Content.Data = append(json.RawMessage(nil), data...)
	}
	if r.Progress.Failed == nil {
		r.Progress.Failed = map[string]int64{}
	}
	return message{
		Message: pushsvc.Message{
			Content: r.Content, State: r.State,
			Created: r.Created, Started: r.Started, Finished: r.Finished,
			Until: r.Until, Cursor: r.Cursor,
			Owner: r.Owner, Epoch: r.Epoch, Lease: r.Lease, Progress: r.Progress,
		},
		last: r.Last,
	}, nil
}

// apply moves the message on. Whoever is counted twice over (a damaged count
// at the start) raises the audience: the sum always balances, and a refusal
// would only make the engine send the page again.
func (m *message) apply(c pushsvc.Checkpoint) {
	p := &m.Progress
	p.Failed = maps.Clone(p.Failed)
	p.Accepted += c.Accepted
	p.Gone += int64(len(c.Gone))
	for reason, n := range c.Failed {
		p.Failed[reason] += n
	}
	rest := p.Audience - p.Accepted - p.Gone - p.Left - p.FailedTotal()
	if rest < 0 {
		p.Audience -= rest
		rest = 0
	}
	p.Pending = rest
	m.Cursor = max(m.Cursor, c.Cursor)
	m.Lease = c.Lease
	if c.Lease.IsZero() {
		m.Owner = ""
	}
	if c.Done {
		p.Left += p.Pending
		p.Pending = 0
		m.State, m.Finished, m.Lease, m.Owner = pushsvc.StateDone, c.At, time.Time{}, ""
	}
	m.last = digest(c)
}

// digest tells a repeated checkpoint from a new one: their times differ.
func digest(c pushsvc.Checkpoint) string {
	text, err := json.Marshal(c) // maps in the order of their keys
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// unfinishedKey orders messages of all sites by their ids, which rise with
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

// unfinished reads at most limit messages; damaged ones are reported and
// passed over.
func unfinished(tx *bolt.Tx, limit int, report func(error)) (out []pushsvc.Message) {
	c := tx.Bucket([]byte(bucketUnfinished)).Cursor()
	for k, v := c.First(); k != nil && len(out) < limit; k, v = c.Next() {
		if len(v) != 1 || int(v[0]) > len(k) {
			report(&DamageError{Where: fmt.Sprintf("bucket %q, one row", bucketUnfinished), Err: errors.New("it is malformed")})
			continue
		}
		id, name := string(k[:v[0]]), string(k[v[0]:])
		st, ok := openSite(tx, name)
		if !ok {
			report(&DamageError{Where: fmt.Sprintf("bucket %q, one row", bucketUnfinished), Err: errors.New("its site is missing")})
			continue
		}
		m, err := st.message(id)
		if errors.Is(err, pushsvc.ErrNotFound) {
			err = st.damage(bucketUnfinished, nil, errors.New("its message is missing"))
		}
		if err != nil {
			report(err)
			continue
		}
		if m.State != pushsvc.StateDone {
			out = append(out, m.Message)
		}
	}
	return out
}
