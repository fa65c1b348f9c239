package caddymodule

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/memstore"
)

// TestPruner removes only old messages, over several batches.
func TestPruner(t *testing.T) {
	store := memstore.New()
	if _, err := store.PutSubscription(t.Context(), pushsvc.Subscription{Site: "a.example", Endpoint: "https://fcm.googleapis.com/fcm/send/1", Created: time.Now(), Seen: time.Now()}, nil); err != nil {
		t.Fatal(err)
	}
	put := func(id string, age time.Duration, ended bool) {
		t.Helper()
		at := time.Now().Add(-age)
		if _, _, err := store.CreateMessage(t.Context(), pushsvc.Message{ID: id, Site: "a.example", Content: pushsvc.Content{Title: "x"}, Created: at}, pushsvc.Idempotency{}); err != nil {
			t.Fatal(err)
		}
		if !ended {
			return
		}
		if m, err := store.Control(t.Context(), "a.example", id, pushsvc.CommandCancel, at); err != nil || !m.State.Final() {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	const day = 24 * time.Hour
	for i := range 2*pruneBatch + 1 {
		put(fmt.Sprintf("0190a000-0000-7000-8000-%012d", i), 100*day, true)
	}
	put("0190b000-0000-7000-8000-000000000000", 100*day, false)
	put("0190c000-0000-7000-8000-000000000000", 80*day, true)
	p := &pruner{store: store, logger: slog.New(slog.DiscardHandler), keep: 90 * day}
	p.start()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		rows, err := store.MessagePage(t.Context(), "a.example", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 2 {
			break
		}
		if len(rows) < 2 || time.Now().After(deadline) {
			t.Fatalf("%d messages left", len(rows))
		}
	}
	p.stop()
	// A pruner that was never started can be stopped.
	new(pruner).stop()
}

// TestPrunePeople removes visitors' old events, however long messages are kept,
// and profiles of visitors who have not returned.
func TestPrunePeople(t *testing.T) {
	store := memstore.New()
	const day = 24 * time.Hour
	now := time.Now()
	track := func(n byte, age time.Duration, identity string) {
		t.Helper()
		at := now.Add(-age)
		b := people.Batch{Device: pushsvc.DeviceID{n}, At: at, Entries: []people.Entry{
			{Kind: people.EntryEvent, Name: "E", Time: at},
			{Kind: people.EntryPopup, Time: at, Popup: &people.PopupAct{Popup: "sale", Act: people.ActViewed}},
		}}
		if identity != "" {
			b.Entries = append(b.Entries, people.Entry{Kind: people.EntryLogin, Time: at, Identities: []people.Identity{{Kind: people.IdentityID, Value: identity}}})
		}
		if _, err := store.Track(t.Context(), "a.example", b); err != nil {
			t.Fatal(err)
		}
	}
	track(1, 100*day, "")
	track(2, 100*day, "ann")
	track(3, 80*day, "")
	p := &pruner{store: store, logger: slog.New(slog.DiscardHandler), keep: -1, retain: 90 * day}
	p.prune(t.Context())
	views := map[bool]int64{}
	counters, err := store.PopupStats(t.Context(), "a.example", "sale", time.Time{}, time.Time{})
	for _, c := range counters {
		views[c.Hour.Equal(people.FoldedHour)] += c.Count
	}
	if err != nil || views[true] != 2 || views[false] != 1 {
		t.Errorf("old views and young ones: %v, %v", views, err)
	}
	page, err := store.ProfilePage(t.Context(), "a.example", "", 10)
	if err != nil || len(page) != 2 {
		t.Fatalf("%d profiles are left, %v", len(page), err)
	}
	for _, profile := range page {
		person, err := store.Person(t.Context(), "a.example", profile.ID)
		if old := profile.Known(); err != nil || old != (len(person.History) == 0) || person.Profile.Events["E"].Count != 1 {
			t.Errorf("%+v, %v", person, err)
		}
	}
}
