package boltstore

import (
	"bytes"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// TestDamagedRange: the other ranges are sent, and the message can be cancelled.
func TestDamagedRange(t *testing.T) {
	s, reported := damaged(t, 6000, nil, func(tx *bolt.Tx) error {
		st, _ := openSite(tx, noteSite)
		return flip(st.messageBucket(siteRanges, "m").b, rangeKey(0))
	})
	r := claimAt(t, s, "m", noteDay)
	if r.N != 1 {
		t.Fatalf("range %d", r.N)
	}
	c := pushsvc.Checkpoint{Site: noteSite, MessageID: "m", Range: 1, Epoch: 1, Cursor: r.Until, Outcomes: accepted(3001, 6000), Done: true, At: noteDay}
	if m, _, err := s.Checkpoint(t.Context(), c); err != nil || m.State != pushsvc.StateSending || m.Progress.Accepted != 3000 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, _, err := s.Claim(t.Context(), noteSite, "m", "engine", time.Minute); !errors.Is(err, pushsvc.ErrNothingDue) {
		t.Errorf("another claim: %v", err)
	}
	var damage *DamageError
	if _, _, err := s.Checkpoint(t.Context(), pushsvc.Checkpoint{Site: noteSite, MessageID: "m", Epoch: 1}); !errors.As(err, &damage) {
		t.Errorf("a checkpoint of it: %v", err)
	}
	m, err := s.Control(t.Context(), noteSite, "m", pushsvc.CommandCancel, noteDay)
	if p := m.Progress; err != nil || m.State != pushsvc.StateCancelled || p.Accepted != 3000 || p.Cancelled != 3000 {
		t.Errorf("cancelled: %+v, %v", m, err)
	}
	if n := reported(); n == 0 {
		t.Error("the damage was not reported")
	}
}

// TestDamagedRetry: a recipient in the queue is tried again as at the first time.
func TestDamagedRetry(t *testing.T) {
	s, reported := damaged(t, 3, func(s *Store) {
		r := claimAt(t, s, "m", noteDay)
		c := pushsvc.Checkpoint{Site: noteSite, MessageID: "m", Epoch: 1, Cursor: r.Until, Done: true, At: noteDay}
		for _, o := range accepted(1, 3) {
			o.Kind, o.Attempt, o.Due = pushsvc.OutcomeLater, 3, noteDay.Add(time.Minute)
			c.Outcomes = append(c.Outcomes, o)
		}
		if _, _, err := s.Checkpoint(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}, func(tx *bolt.Tx) error {
		st, _ := openSite(tx, noteSite)
		return flip(st.messageBucket(siteLater, "m").b, laterKey(2))
	})
	at := noteDay.Add(time.Hour)
	page, err := s.at(at).LaterPage(t.Context(), noteSite, "m", 10)
	if err != nil || len(page) != 3 || page[0].Attempt != 3 || page[1].ID != 2 || page[1].Attempt != 1 || page[1].Subscription.ID != 2 {
		t.Fatalf("%+v, %v", page, err)
	}
	r := claimAt(t, s, "m", at)
	c := pushsvc.Checkpoint{Site: noteSite, MessageID: "m", Range: r.N, Epoch: r.Epoch, Outcomes: accepted(1, 3), At: at}
	m, _, err := s.Checkpoint(t.Context(), c)
	if err != nil || m.State != pushsvc.StateDone || m.Progress.Accepted != 3 {
		t.Errorf("%+v, %v", m, err)
	}
	if n := reported(); n == 0 {
		t.Error("the damage was not reported")
	}
}

// damaged makes a store with a message to n recipients, calls use and then
// damage, and opens it again. reported returns the number of damage reports.
func damaged(t *testing.T, n int, use func(*Store), damage func(*bolt.Tx) error) (s *Store, reported func() int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "webpush.db")
	s = open(t, path)
	if err := storeMessage(s, "m", n); err != nil {
		t.Fatal(err)
	}
	if use != nil {
		use(s)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, path, damage)
	var mu sync.Mutex
	count := 0
	s, err := Open(t.Context(), path, Options{OnDamage: func(error) { mu.Lock(); defer mu.Unlock(); count++ }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, func() int { mu.Lock(); defer mu.Unlock(); return count }
}

// flip changes a bit of a row.
func flip(b *bolt.Bucket, key []byte) error {
	v := bytes.Clone(b.Get(key))
	v[len(v)-1] ^= 1
	return b.Put(key, v)
}
