package boltstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// moveFrom and moveInto are the sites of these tests.
const moveFrom, moveInto = "old.example", "new.example"

// moveJob moves rows slowly, and prints the number of pieces; its argument is the
// number of rows in one.
func moveJob(path, argument string) error {
	limit, err := strconv.Atoi(argument)
	if err != nil {
		return err
	}
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for m := (pushsvc.SiteMove{Running: true}); m.Running; {
		if m, err = s.MoveRows(context.Background(), moveFrom, limit); err != nil {
			return err
		}
		fmt.Println("piece")
	}
	return s.Close()
}

// fillMove adds n rows of every kind to both sites; every third endpoint and every
// third identity is at both.
func fillMove(tb testing.TB, s *Store, n int) {
	tb.Helper()
	fill := func(name string, from int) {
		for i := from; i < from+n; i++ {
			sub := realistic(i)
			sub.Site, sub.Device = name, pushsvc.DeviceID{byte(i), byte(i >> 8), name[0]}
			if i%3 == 0 {
				sub.Endpoint = fmt.Sprintf("https://fcm.googleapis.com/fcm/send/shared-%d", i%n)
			}
			if _, err := s.PutSubscription(tb.Context(), sub, nil); err != nil {
				tb.Fatal(err)
			}
			entries := []people.Entry{{Kind: people.EntryEvent, Name: "E", Time: costDay}}
			if i%3 == 0 {
				entries = append(entries, people.Entry{Kind: people.EntryLogin, Time: costDay, Identities: []people.Identity{costID("p", i%n)}})
			}
			if _, err := s.Track(tb.Context(), name, people.Batch{Device: sub.Device, At: costDay, Entries: entries}); err != nil {
				tb.Fatal(err)
			}
		}
		for i := range n / 10 {
			m := pushsvc.Message{ID: fmt.Sprintf("%s-%04d", name[:3], i), Site: name, Content: pushsvc.Content{Title: "x"}, Created: costDay, SendAt: costDay.Add(time.Hour)}
			if _, _, err := s.CreateMessage(tb.Context(), m, pushsvc.Idempotency{Key: m.ID, Expires: costDay.Add(time.Hour)}); err != nil {
				tb.Fatal(err)
			}
		}
	}
	fill(moveFrom, 0)
	fill(moveInto, n)
}

// TestMoveKilled kills the process while it moves rows, again and again: the next
// one continues, and at the end each row exists once.
func TestMoveKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	const n = 120
	fillMove(t, s, n)
	if _, err := s.BeginMove(t.Context(), moveFrom, moveInto, costDay); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	kills, pieces := 0, 0
	for running := true; running; {
		pieces += len(killed(t, child(t, "move", path, "6"), time.Duration(rand.IntN(60_000))*time.Microsecond))
		s := open(t, path)
		all, err := s.Moves(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		if running = all[0].Running; running {
			kills++
		}
		// A subscription that is stored during the move exists once too.
		sub := realistic(kills % n)
		if sub.Site = moveFrom; kills%n%3 > 0 {
			if _, err := s.PutSubscription(t.Context(), sub, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if c, err := CheckFile(t.Context(), path); err != nil || c.Damaged > 0 {
			t.Fatalf("after %d kills: %+v, %v", kills, c.Damage, err)
		}
	}
	if kills < 3 {
		t.Errorf("only %d kills", kills)
	}
	t.Logf("%d kills, %d pieces", kills, pieces)
	checkMoved(t, path, n)
}

func checkMoved(t *testing.T, path string, n int) {
	t.Helper()
	s := open(t, path)
	rows, err := s.SubscriptionPage(t.Context(), moveInto, 0, 10*n)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.Endpoint] {
			t.Errorf("%s is there twice", row.Endpoint)
		}
		seen[row.Endpoint] = true
	}
	shared := n / 3
	if sum, err := s.Site(t.Context(), moveInto); err != nil || len(rows) != 2*n-shared || sum.Subscriptions != int64(len(rows)) || sum.Messages != int64(2*(n/10)) {
		t.Errorf("%d rows, %+v, %v; want %d", len(rows), sum, err, 2*n-shared)
	}
	people, err := s.PeopleSites(t.Context())
	if err != nil || len(people) != 1 || people[0].Profiles != int64(2*n-shared) || people[0].Anonymous != int64(2*(n-shared)) {
		t.Errorf("people %+v, %v", people, err)
	}
	events, err := s.EventSummary(t.Context(), moveInto)
	if err != nil || len(events) != 1 || events[0].Count != int64(2*n) {
		t.Errorf("events %v, %v", events, err)
	}
	open, err := s.at(costDay.Add(2*time.Hour)).Unfinished(t.Context(), "", 10*n)
	if err != nil || len(open) != 2*(n/10) || slices.ContainsFunc(open, func(m pushsvc.Message) bool { return m.Site != moveInto }) {
		t.Errorf("%d messages wait, %v", len(open), err)
	}
	for remaining := 1; remaining > 0; {
		if remaining, err = s.Sweep(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
	}
	before := len(rows)
	if _, _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	sub := realistic(1)
	sub.Site = moveFrom
	if _, err := s.PutSubscription(t.Context(), sub, nil); err != nil {
		t.Fatal(err)
	}
	if rows, err = s.SubscriptionPage(t.Context(), moveFrom, 0, 10*n); err != nil || len(rows) != before {
		t.Errorf("after compacting, by the old name: %d rows, %v", len(rows), err)
	}
}

// TestMoveCost: during a move, the committer, for which all writes wait, works on
// a piece no longer than on two of the costliest batches of visitors (on one of
// the largest possible profile: six), without the disk's time. Other processes
// share the machine, so the best of several runs counts, for each kind of rows
// with several pieces.
func TestMoveCost(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
	fillMove(t, s, 1000)
	fillLargest(t, s, 20)
	judged := 0
	for from, most := range map[string]time.Duration{moveFrom: 2 * worstCommit, costSite: 6 * worstCommit} {
		if _, err := s.BeginMove(t.Context(), from, moveInto, costDay); err != nil {
			t.Fatal(err)
		}
		took := map[movePhase][]time.Duration{}
		for running := true; running; {
			phase, piece := moving(t, s, from)
			took[phase] = append(took[phase], piece)
			running = phase < moveEnded
		}
		if _, err := s.MoveRows(t.Context(), from, 1); err != nil { // the end
			t.Fatal(err)
		}
		for phase, all := range took {
			best := slices.Min(all)
			t.Logf("%s, phase %d: %d pieces, %v", from, phase, len(all), best)
			if len(all) < 5 {
				continue
			}
			if judged++; best > most {
				t.Errorf("%s: the committer works on a piece of phase %d for %v", from, phase, best)
			}
		}
	}
	if judged < 4 {
		t.Errorf("only %d kinds of rows had several pieces", judged)
	}
}

// moving moves one piece, and returns its phase and the time without the disk.
func moving(t *testing.T, s *Store, from string) (phase movePhase, took time.Duration) {
	t.Helper()
	err := s.await(&op{ctx: t.Context(), done: make(chan struct{}), alone: func() error {
		s.db.NoSync = true
		defer func() { s.db.NoSync = false }()
		o := &op{ctx: t.Context(), done: make(chan struct{}), run: func(w *writeTx) error {
			m, err := w.moveRows(from, 128)
			phase = m.Phase
			return err
		}}
		start := time.Now()
		_, err := s.attempt([]*op{o})
		took = time.Since(start)
		return errors.Join(err, o.err)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return phase, took
}
