package boltstore

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// format1Day is when testdata/format1.db.gz was made, by the last program that
// wrote format 1. It has subscriptions 1 to 40 of two sites, without 7 (gone) and
// 30 (unsubscribed) of a.example; there message 1, done, and 2, sent up to id 20;
// at b.example message 3, queued.
var format1Day = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func format1(t *testing.T) string {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "format1.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, data)
}

func format1Message(n int) string { return fmt.Sprintf("01935a00-%04d-7000-8000-000000000000", n) }

// format1Sub returns one as it was stored then.
func format1Sub(site string, n int) pushsvc.Subscription {
	s := pushsvc.Subscription{
		ID: pushsvc.SubscriptionID(n), Site: site, Endpoint: fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%032d", n),
		KeyID: "key", Language: "de-DE", TimeZone: "Europe/Berlin", Page: "/",
		Created: format1Day, Seen: format1Day.Add(time.Duration(n) * time.Second),
	}
	copy(s.P256DH[:], fmt.Sprintf("public key %d", n))
	copy(s.Auth[:], fmt.Sprintf("auth %d", n))
	return s
}

// TestMigrateFormat2: rows of format 2 are read unchanged, and a program that
// knows no topics refuses the file afterwards.
func TestMigrateFormat2(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	without := format1Sub("a.example", 1)
	if _, err := s.PutSubscription(t.Context(), without, nil); err != nil {
		t.Fatal(err)
	}
	m := pushsvc.Message{ID: "m", Site: "a.example", Created: format1Day}
	if _, _, err := s.CreateMessage(t.Context(), m, pushsvc.Idempotency{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(metaFormat), binary.BigEndian.AppendUint32(nil, 2))
	})
	s = open(t, path)
	with := without
	with.Topics = []string{"news"}
	rows, err := s.SubscriptionPage(t.Context(), "a.example", 0, 10)
	if err != nil || !cmp.Equal(rows, []pushsvc.Subscription{without}) {
		t.Errorf("%+v, %v", rows, err)
	}
	if got, err := s.PutSubscription(t.Context(), with, nil); err != nil || !cmp.Equal(got, with) {
		t.Errorf("%+v, %v", got, err)
	}
	if row, err := s.Message(t.Context(), "a.example", "m"); err != nil || row.Progress.Pending != 1 || row.Topics != nil {
		t.Errorf("%+v, %v", row, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := CheckFile(t.Context(), path); err != nil || c.Format != formatVersion || c.Damaged != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestMigrate(t *testing.T) {
	path := format1(t)
	for round := range 2 { // the second finds the new format
		s := open(t, path)
		for site, gone := range map[string]map[int]bool{"a.example": {7: true, 30: true}, "b.example": nil} {
			var want []pushsvc.Subscription
			for n := 1; n <= 40; n++ {
				if !gone[n] {
					want = append(want, format1Sub(site, n))
				}
			}
			got, err := s.SubscriptionPage(t.Context(), site, 0, 100)
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("round %d, %s: %v (-want +got):\n%s", round, site, err, d)
			}
		}
		checkFormat1Rest(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, path)
	again := format1Sub("a.example", 9)
	if row, err := s.PutSubscription(t.Context(), again, nil); err != nil || row.ID != 9 {
		t.Errorf("a known endpoint has id %d, %v", row.ID, err)
	}
	goOn(t, s)
}

// checkFormat1Rest checks everything but subscriptions.
func checkFormat1Rest(t *testing.T, s *Store) {
	t.Helper()
	content := pushsvc.Content{Title: "Message 1", Data: []byte(`{ "a" : 1 }`)}
	done, err := s.Message(t.Context(), "a.example", format1Message(1))
	want := pushsvc.Message{
		ID: format1Message(1), Site: "a.example", Content: content, State: pushsvc.StateDone,
		Created: format1Day, Started: format1Day, Finished: format1Day.Add(time.Second),
		Progress: pushsvc.Progress{Audience: 40, Accepted: 38, Gone: 1, Failed: map[string]int64{"timeout": 1}, Shown: 1},
	}
	if d := cmp.Diff(want, done); d != "" || err != nil {
		t.Errorf("the message that was done: %v (-want +got):\n%s", err, d)
	}
	page, err := s.at(format1Day).Unfinished(t.Context(), "", 10)
	if err != nil || len(page) != 2 || page[0].ID != format1Message(2) || page[1].ID != format1Message(3) {
		t.Errorf("%d unfinished, %v", len(page), err)
	}
	again := pushsvc.Message{ID: "new", Site: "a.example", Created: format1Day}
	row, created, err := s.CreateMessage(t.Context(), again, pushsvc.Idempotency{Key: "idem 2", RequestHash: [32]byte{2}})
	if err != nil || created || row.ID != format1Message(2) {
		t.Errorf("its idempotency key returns %q, created %v, %v", row.ID, created, err)
	}
	receipt := []pushsvc.Receipt{{Subscription: 1, Kind: pushsvc.ReceiptShown}}
	if n, err := s.AddReceipts(t.Context(), "a.example", format1Message(1), receipt); n != 0 || err != nil {
		t.Errorf("a receipt that was there: %d new, %v", n, err)
	}
	if key, err := s.EnsureKey(t.Context(), nil); err != nil || key.ID != "key" || key.Private != "private" {
		t.Errorf("key %q, %v", key.ID, err)
	}
	if sites, err := s.Sites(t.Context()); err != nil || len(sites) != 2 || sites[0].Messages != 2 || sites[0].Subscriptions != 38 {
		t.Errorf("sites %+v, %v", sites, err)
	}
}

// goOn sends the rest of the interrupted message.
func goOn(t *testing.T, s *Store) {
	t.Helper()
	before, err := s.Message(t.Context(), "a.example", format1Message(2))
	if p := before.Progress; err != nil || before.State != pushsvc.StateSending || p.Accepted != 17 || p.FailedTotal() != 2 || p.Pending != 20 || p.Clicked != 1 {
		t.Errorf("in the middle: %+v, %v", before, err)
	}
	_, r, err := s.at(format1Day).Claim(t.Context(), "a.example", format1Message(2), "engine", time.Minute)
	if err != nil || r.Cursor != 20 || r.Until != 40 {
		t.Fatalf("range %+v, %v", r, err)
	}
	rows, err := s.RangePage(t.Context(), r, r.Cursor, 100)
	if err != nil || len(rows) != 19 {
		t.Fatalf("%d are left to send to, %v", len(rows), err)
	}
	c := pushsvc.Checkpoint{Site: r.Site, MessageID: r.MessageID, Epoch: r.Epoch, Cursor: r.Until, Done: true, At: format1Day}
	for _, row := range rows {
		c.Outcomes = append(c.Outcomes, pushsvc.Outcome{ID: row.ID, Kind: pushsvc.OutcomeAccepted})
	}
	m, _, err := s.Checkpoint(t.Context(), c)
	if p := m.Progress; err != nil || m.State != pushsvc.StateDone || p.Accepted != 36 || p.Left != 1 || p.Audience != 39 {
		t.Errorf("at the end: %+v, %v", m, err)
	}
}

// TestMigrateCutOff interrupts a migration by a panic in the report of a damaged
// row.
func TestMigrateCutOff(t *testing.T) {
	path := format1(t)
	edit(t, path, func(tx *bolt.Tx) error {
		st, _ := openSite(tx, "b.example")
		b := st.b.Bucket([]byte(siteMessages))
		row := bytes.Clone(b.Get([]byte(format1Message(3))))
		row[30] ^= 1
		return b.Put([]byte(format1Message(3)), row)
	})
	_, err := Open(t.Context(), path, Options{OnDamage: func(error) { panic("power cut") }})
	if err == nil || !strings.Contains(err.Error(), "power cut") {
		t.Fatalf("opened, with %v", err)
	}
	edit(t, path, func(tx *bolt.Tx) error {
		st, _ := openSite(tx, "a.example")
		format := tx.Bucket([]byte(bucketMeta)).Get([]byte(metaFormat))
		if format[3] != 1 || st.b.Bucket([]byte(siteProgress)) != nil || st.b.Get([]byte(siteIndexed)) != nil {
			t.Error("half of the migration is in the file")
		}
		return nil
	})
	var reported []error
	s, err := Open(t.Context(), path, Options{OnDamage: func(err error) { reported = append(reported, err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	goOn(t, s)
	var damage *DamageError
	if _, err := s.Message(t.Context(), "b.example", format1Message(3)); !errors.As(err, &damage) {
		t.Errorf("the damaged message: %v", err)
	}
	if len(reported) == 0 || !errors.As(reported[0], &damage) || !strings.Contains(reported[0].Error(), format1Message(3)) {
		t.Errorf("reported: %v", reported)
	}
}

// TestMigrateSessions: format 4 stores marks of sessions; earlier formats stored
// the sessions.
func TestMigrateSessions(t *testing.T) {
	const session = "SSSSSSSSSSSSSSSSSSSSSA"
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	for n := range 3 {
		b := people.Batch{Device: pushsvc.DeviceID{byte(n), 1}, At: format1Day, Session: session, Entries: []people.Entry{
			{Kind: people.EntryPopup, Time: format1Day, Popup: &people.PopupAct{Popup: "sale", Act: people.ActViewed}},
		}}
		if _, err := s.Track(t.Context(), "a.example", b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bolt.Tx) error {
		rows, _ := openPeople(tx, "a.example")
		w := &writeTx{tx: tx, s: s}
		var all []*people.Profile
		rows.eachProfile(nil, s.report, func(p *people.Profile) bool { all = append(all, p); return true })
		for _, p := range all {
			if p.Shown[0].Session != pushsvc.SessionMark(session) {
				t.Errorf("the store has the session %q", p.Shown[0].Session)
			}
			p.Shown[0].Session = session // as in formats up to 3
			if err := rows.putJSON(w, peopleProfiles, profileKey(p.ID), p); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(metaFormat), binary.BigEndian.AppendUint32(nil, 3))
	})
	s = open(t, path)
	page, err := s.ProfilePage(t.Context(), "a.example", "", 10)
	if err != nil || len(page) != 3 {
		t.Fatalf("%d profiles, %v", len(page), err)
	}
	for _, p := range page {
		if p.Shown[0].Session != pushsvc.SessionMark(session) || p.ViewsIn(session, "sale") != 1 {
			t.Errorf("after the migration: %+v", p.Shown)
		}
	}
}
