package boltstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

const costSite = "cost.example.com"

var costDay = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func costID(kind string, n int) people.Identity {
	return people.Identity{Kind: people.IdentityID, Value: fmt.Sprint(kind, n)}
}

// largest returns a person with the largest allowed profile.
func largest(n int) *people.Profile {
	p := &people.Profile{
		ID: people.NewProfileID(costDay), Created: costDay, Seen: costDay, Attributes: map[string]any{},
		Identities: []people.Identity{costID("p", n)}, Events: map[string]people.EventCount{}, Popups: map[string]people.PopupCount{},
	}
	list := make([]any, people.MaxList)
	for i := range list {
		list[i] = []any{}
		for range people.MaxList {
			list[i] = append(list[i].([]any), 1.0)
		}
	}
	p.Attributes["A"] = list
	for i := range 50 {
		p.Attributes[fmt.Sprint("k", i)] = strings.Repeat("v", 180)
	}
	for i := range people.MaxPersonEvents {
		p.Events[fmt.Sprint(strings.Repeat("e", 150), i)] = people.EventCount{Count: 1, First: costDay, Last: costDay}
		p.Popups[fmt.Sprint(strings.Repeat("p", 60), i)] = people.PopupCount{Viewed: 1, Clicked: 1, Closed: 1, Kept: 1, Last: costDay}
	}
	for i := range people.MaxShown {
		p.Shown = append(p.Shown, people.Shown{
			Popup: fmt.Sprint(strings.Repeat("p", 60), i), Variant: strings.Repeat("v", 64), At: costDay, Session: strings.Repeat("s", 22),
			Clicked: costDay, Converted: true, Unseen: true,
		})
	}
	for i := range people.MaxDevices {
		p.Devices = append(p.Devices, people.Device{ID: pushsvc.DeviceID{1, byte(n), byte(i)}, Created: costDay, Seen: costDay, Batches: make([]byte, 8*people.MaxDeviceBatches)})
	}
	return p
}

// fillLargest stores the largest people, and full rows of pop-up counters.
func fillLargest(tb testing.TB, s *Store, persons int) {
	tb.Helper()
	c := people.Change{
		Devices: map[pushsvc.DeviceID]string{}, Identities: map[people.Identity]string{}, Popups: map[people.PopupStat]int64{},
		Counts: people.Counts{Profiles: int64(persons)},
	}
	for n := range persons {
		p := largest(n)
		c.Put = append(c.Put, p)
		for _, d := range p.Devices {
			c.Devices[d.ID] = p.ID
		}
		c.Identities[p.Identities[0]] = p.ID
	}
	for hour := range 24 {
		for n := range 500 {
			c.Popups[people.PopupStat{
				Popup: "sale", Variant: strings.Repeat("v", 64), Act: people.ActSubmitted, Element: fmt.Sprint(strings.Repeat("e", 60), n),
				Hour: costDay.Add(time.Duration(-hour) * time.Hour),
			}] = 1
		}
	}
	_, err := write(context.Background(), s, func(w *writeTx) (struct{}, error) {
		st, err := w.makePeople(costSite)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, w.change(st, c)
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// heaviest returns the costliest allowed batches. Each changes the parts in its
// name.
func heaviest(n int) map[string]people.Batch {
	batches := 0
	batch := func(entries ...people.Entry) people.Batch {
		batches++
		return people.Batch{Device: pushsvc.DeviceID{1, 0, byte(batches)}, ID: fmt.Sprint("batch", n, batches), At: costDay.Add(time.Duration(n) * time.Hour), Entries: entries}
	}
	seen := func(i int) people.Entry {
		name := fmt.Sprint(strings.Repeat("n", 250), i)
		return people.Entry{Kind: people.EntryEvent, Name: name, Time: costDay, Props: map[string]any{"n": float64(n)}}
	}
	var logins, ops, events, clicks, names []people.Entry
	for i := range 200 {
		logins = append(logins, people.Entry{Kind: people.EntryLogin, Time: costDay, Identities: []people.Identity{costID("p", i%20)}}, seen(i%20))
		events = append(events, seen(i))
		clicks = append(clicks, people.Entry{Kind: people.EntryPopup, Time: costDay.Add(time.Duration(-i%20) * time.Hour), Popup: &people.PopupAct{
			Popup: "sale", Variant: strings.Repeat("v", 64), Act: people.ActClicked, Element: fmt.Sprint("new", i),
		}})
		login := people.Entry{Kind: people.EntryLogin, Time: costDay}
		for j := range 10 {
			login.Identities = append(login.Identities, costID("new", n*2000+i*10+j))
		}
		names = append(names, login)
	}
	for range 10 {
		e := people.Entry{Kind: people.EntryProfile, Time: costDay}
		for range 100 {
			e.Ops = append(e.Ops, people.Op{Kind: people.OpAdd, Key: "A", Value: 1.0})
		}
		ops = append(ops, e)
	}
	all := append(append(append(append([]people.Entry{}, ops[:1]...), clicks[:60]...), events[:100]...), logins[:39]...)
	return map[string]people.Batch{
		"ops": batch(ops...), "logins": batch(logins[:200]...), "names": batch(names...), "events": batch(events...), "pop-ups": batch(clicks...), "all": batch(all...),
	}
}

// committing returns how long the committer works on the batch, without the disk.
func committing(tb testing.TB, s *Store, b people.Batch) time.Duration {
	tb.Helper()
	p, err := s.plan(tb.Context(), costSite, b)
	if err != nil || p == nil {
		tb.Fatalf("the plan: %v, %v", p, err)
	}
	var took time.Duration
	o := &op{ctx: tb.Context(), done: make(chan struct{}), alone: func() error {
		s.db.NoSync = true
		defer func() { s.db.NoSync = false }()
		o := &op{ctx: tb.Context(), done: make(chan struct{}), run: func(w *writeTx) error { return w.carryOut(costSite, p) }}
		start := time.Now()
		_, err := s.attempt([]*op{o})
		took = time.Since(start)
		return errors.Join(err, o.err)
	}}
	if err := s.await(o); err != nil {
		tb.Fatal(err)
	}
	return took
}

// worstCommit is how long the committer may work on one batch. With planning
// under the lock it was 90 ms.
var worstCommit = 5 * time.Millisecond

// TestWorstBatch: no caller waits for the costliest batch for more than 5 ms
// beyond the disk's time; a failure reports the batch's cost. Other processes
// share the machine, so the best of several runs counts.
func TestWorstBatch(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
	fillLargest(t, s, 20)
	best := map[string]time.Duration{}
	long := func() bool {
		return len(best) == 0 || slices.Max(slices.Collect(maps.Values(best))) > worstCommit
	}
	for n := 0; n < 8 || n < 60 && long(); n++ {
		for name, b := range heaviest(n) {
			took := committing(t, s, b)
			if best[name] == 0 || took < best[name] {
				best[name] = took
			}
		}
	}
	for name, took := range best {
		t.Logf("%s: %v", name, took)
		if took > worstCommit {
			t.Errorf("the committer works on the batch %q for %v", name, took)
		}
	}
	for _, name := range []string{"ops", "logins", "all"} {
		out, err := s.Track(t.Context(), costSite, heaviest(100)[name])
		if err != nil || out.Work < 300<<10 {
			t.Errorf("the batch %q has the reported work %d, %v", name, out.Work, err)
		}
	}
}

// BenchmarkWorstBatch is TestWorstBatch for the machine that it runs on: the
// committer's time for each of the heaviest batches, and the planning time
// before.
func BenchmarkWorstBatch(b *testing.B) {
	for name := range heaviest(0) {
		b.Run(name, func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "webpush.db"))
			fillLargest(b, s, 20)
			n, best := 0, time.Duration(math.MaxInt64)
			var total time.Duration
			for b.Loop() {
				n++
				took := committing(b, s, heaviest(n)[name])
				total, best = total+took, min(best, took)
			}
			b.ReportMetric(float64(total.Microseconds())/float64(n)/1000, "commit-ms")
			b.ReportMetric(float64(best.Microseconds())/1000, "best-ms")
		})
	}
}

// TestPlansOfOne: many devices of one person send at once. Each batch is applied
// to the result of the others.
func TestPlansOfOne(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
	const devices, batches = 15, 8
	var wg sync.WaitGroup
	for d := range devices {
		wg.Go(func() {
			for n := range batches {
				_, err := s.Track(t.Context(), costSite, people.Batch{Device: pushsvc.DeviceID{2, byte(d)}, ID: fmt.Sprint(d, n), At: costDay, Entries: []people.Entry{
					{Kind: people.EntryLogin, Time: costDay, Identities: []people.Identity{costID("p", 1)}},
					{Kind: people.EntryEvent, Time: costDay, Name: "E"},
					{Kind: people.EntryProfile, Time: costDay, Ops: []people.Op{{Kind: people.OpIncrement, Key: "n", Value: 1.0}}},
				}})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	p, err := s.PersonBy(t.Context(), costSite, costID("p", 1))
	if err != nil || p.Events["E"].Count != devices*batches || p.Attributes["n"] != float64(devices*batches) || len(p.Devices) != devices {
		t.Errorf("%d events, n is %v, %d devices, %v", p.Events["E"].Count, p.Attributes["n"], len(p.Devices), err)
	}
	sites, err := s.PeopleSites(t.Context())
	if err != nil || len(sites) != 1 || sites[0].Profiles != 1 || sites[0].EventNames != 1 {
		t.Errorf("%+v, %v", sites, err)
	}
	person, err := s.Person(t.Context(), costSite, p.ID)
	if err != nil || len(person.History) != devices*batches {
		t.Errorf("%d events of history, %v", len(person.History), err)
	}
}
