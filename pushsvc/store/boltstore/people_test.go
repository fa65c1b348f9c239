package boltstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

func init() { jobs["track"] = trackForever }

const peopleSite = "shop.example.com"

var peopleEpoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func visitor(n int) (d pushsvc.DeviceID) {
	sum := sha256.Sum256([]byte(fmt.Sprint("visitor", n)))
	copy(d[:], sum[:])
	return d
}

// visitorBatch is what a page of a shop sends: so many events with a few
// properties each.
func visitorBatch(device, number, events int) people.Batch {
	sum := sha256.Sum256([]byte(fmt.Sprint("batch", number)))
	b := people.Batch{Device: visitor(device), ID: base64.RawURLEncoding.EncodeToString(sum[:16]), At: peopleEpoch}
	for n := range events {
		b.Entries = append(b.Entries, people.Entry{
			Kind: people.EntryEvent, Name: [...]string{"Product Viewed", "Added To Cart", "Searched"}[n%3], Time: peopleEpoch,
			Props: map[string]any{"Product": "Trail running shoe", "Price": 129.9, "Category": "Shoes", "SKU": strconv.Itoa(number)},
		})
	}
	return b
}

// killedVisitors is the number of devices in the killed processes, one per
// goroutine.
const killedVisitors = 8

// trackForever stores batches from that number on, each device in sequence, and
// prints the acknowledged ones.
func trackForever(path, first string) error {
	from, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	fmt.Println("ready")
	for g := range killedVisitors {
		wg.Go(func() {
			for n := from; ; n++ {
				b := killedBatch(g, n)
				if _, err := s.Track(context.Background(), peopleSite, b); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
				mu.Lock()
				fmt.Printf("%d %d.\n", g, n)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

// killedBatch is the n-th batch of a device: one event, one view.
func killedBatch(g, n int) people.Batch {
	b := visitorBatch(g, n*killedVisitors+g, 1)
	b.Entries[0].Name = "E"
	// A browser's reports count one in two seconds, so each has its own time.
	// Each round begins at another million; no visitor reaches the 600th batch in
	// it.
	b.At = peopleEpoch.Add(time.Duration(n/1_000_000*600+n%1_000_000) * 2 * time.Second)
	b.Entries = append(b.Entries, people.Entry{Kind: people.EntryPopup, Time: b.At, Popup: &people.PopupAct{Popup: "sale", Act: people.ActViewed}})
	return b
}

// TestTrackKilled kills a process while it stores events. Browsers then repeat
// all unacknowledged batches and some acknowledged ones: nothing acknowledged may
// be lost, and nothing may count twice.
func TestTrackKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	want := [killedVisitors]int64{} // events that each device knows to be stored
	next, total := 0, 0
	// A busy machine kills sooner than it stores.
	for round := 0; round < moments(t, 20) || total < 100 && round < 500; round++ {
		acked := [killedVisitors]int{}
		for g := range acked {
			acked[g] = next - 1
		}
		for _, line := range killed(t, child(t, "track", path, strconv.Itoa(next)), time.Duration(rand.IntN(60_000))*time.Microsecond) {
			var g, n int
			if c, err := fmt.Sscanf(line, "%d %d.", &g, &n); err == nil && c == 2 && line[len(line)-1] == '.' {
				acked[g] = n
			}
		}
		s := open(t, path)
		for g, last := range acked {
			want[g] += int64(last - next + 1)
			total += last - next + 1
			f, err := s.Facts(t.Context(), peopleSite, visitor(g))
			if err != nil {
				t.Fatal(err)
			}
			// One batch may have been stored without its acknowledgement.
			if have := events(f); have != want[g] && have != want[g]+1 {
				t.Errorf("device %d has %d events, %d were acknowledged", g, have, want[g])
			}
			for n := max(next, last-3); n <= last+1; n++ {
				if _, err := s.Track(t.Context(), peopleSite, killedBatch(g, n)); err != nil {
					t.Fatal(err)
				}
			}
			want[g]++ // the unacknowledged one
		}
		checkKilled(t, s, want)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		next += 1_000_000
	}
	if total < 100 {
		t.Errorf("only %d batches were acknowledged in all rounds: the test tests nothing", total)
	}
	t.Logf("%d acknowledged, none lost, none counted twice", total)
}

func events(f people.Facts) int64 {
	if f.Profile == nil {
		return 0
	}
	return f.Profile.Events["E"].Count
}

// checkKilled compares all counters with the devices' numbers.
func checkKilled(t *testing.T, s *Store, want [killedVisitors]int64) {
	t.Helper()
	all := int64(0)
	for g, n := range want {
		all += n
		f, err := s.Facts(t.Context(), peopleSite, visitor(g))
		if err != nil || events(f) != n || f.Profile.Popups["sale"].Viewed != n {
			t.Errorf("device %d has %d events, %v; want %d", g, events(f), err, n)
		}
	}
	sum, err := s.EventSummary(t.Context(), peopleSite)
	if err != nil || len(sum) != 1 || sum[0].Count != all {
		t.Errorf("the site counts %+v, %v; want %d", sum, err, all)
	}
	stats, err := s.PopupStats(t.Context(), peopleSite, "sale", time.Time{}, time.Time{})
	viewed := int64(0)
	for _, hour := range stats {
		viewed += hour.Count
	}
	if err != nil || viewed != all {
		t.Errorf("the pop-up counts %+v, %v; want %d", stats, err, all)
	}
}

// TestPeopleOnDemand opens a file without people, as from older programs, stores
// some, and finds them again, also after Compact.
func TestPeopleOnDemand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	if _, err := s.PutSubscription(t.Context(), realistic(1), nil); err != nil {
		t.Fatal(err)
	}
	has := func() (there bool) {
		_ = s.db.View(func(tx *bolt.Tx) error { there = tx.Bucket([]byte(bucketPeople)) != nil; return nil })
		return there
	}
	if f, err := s.Facts(t.Context(), peopleSite, visitor(1)); err != nil || f.Profile != nil || has() {
		t.Fatalf("facts: %+v, %v; the bucket is there: %v", f, err, has())
	}
	if _, err := s.Track(t.Context(), peopleSite, visitorBatch(1, 1, 3)); err != nil || !has() {
		t.Fatal(err)
	}
	if _, _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if f, err := s.Facts(t.Context(), peopleSite, visitor(1)); err != nil || f.Profile == nil || f.Profile.Events["Searched"].Count != 1 {
		t.Errorf("after it was opened again: %+v, %v", f, err)
	}
}

// TestPeopleDamaged damages a profile's row: its person continues as a new one,
// all others are unchanged.
func TestPeopleDamaged(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "webpush.db"))
	var damage atomic.Int64
	s.onDamage = func(error) { damage.Add(1) }
	for n := range 2 {
		if _, err := s.Track(t.Context(), peopleSite, visitorBatch(n, n, 3)); err != nil {
			t.Fatal(err)
		}
	}
	err := s.db.Update(func(tx *bolt.Tx) error {
		people, _ := openPeople(tx, peopleSite)
		b := people.b.Bucket([]byte(peopleProfiles))
		k, v := b.Cursor().First()
		bad := append([]byte(nil), v...)
		bad[len(bad)/2] ^= 1
		return b.Put(k, bad)
	})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for n := range 2 {
		f, err := s.Facts(t.Context(), peopleSite, visitor(n))
		if err != nil {
			t.Fatal(err)
		}
		if f.Profile == nil {
			lost++
		}
		if _, err := s.Track(t.Context(), peopleSite, visitorBatch(n, 10+n, 3)); err != nil {
			t.Errorf("visitor %d can't go on: %v", n, err)
		}
		if f, err = s.Facts(t.Context(), peopleSite, visitor(n)); err != nil || f.Profile == nil {
			t.Errorf("visitor %d is no longer stored: %v", n, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := CheckFile(t.Context(), s.path); err != nil || c.Profiles != 2 || c.Damaged != 1 {
		t.Errorf("the check finds %+v, %v; want 2 profiles and 1 damaged row", c, err)
	}
	if lost != 1 || damage.Load() == 0 {
		t.Errorf("%d profiles are lost, %d times told", lost, damage.Load())
	}
}

// TestPeopleErased searches the bytes of the file for a person's data after
// erasure and compaction.
func TestPeopleErased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	const marker = "marker-of-the-person"
	b := visitorBatch(1, 1, 3)
	b.Entries[0].Props = map[string]any{"x": marker}
	b.Entries = append(b.Entries,
		people.Entry{Kind: people.EntryLogin, Time: peopleEpoch, Identities: []people.Identity{{Kind: people.IdentityID, Value: marker}}, Set: map[string]any{"Name": marker}})
	sub := realistic(1)
	sub.Device, sub.Page = visitor(1), "/"+marker
	if _, err := s.PutSubscription(t.Context(), sub, nil); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		b.ID = visitorBatch(0, n, 0).ID
		if _, err := s.Track(t.Context(), peopleSite, b); err != nil {
			t.Fatal(err)
		}
	}
	find := func() int {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		device := visitor(1)
		return bytes.Count(raw, []byte(marker)) + bytes.Count(raw, device[:])
	}
	if find() < 4 {
		t.Fatal("the marker is not in the file: the test tests nothing")
	}
	p, err := s.PersonBy(t.Context(), peopleSite, people.Identity{Kind: people.IdentityID, Value: marker})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ErasePerson(t.Context(), peopleSite, p.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := find(); n != 0 {
		t.Errorf("the person is in the file %d times", n)
	}
}

// BenchmarkTrack64 stores batches of 64 callers at a time, of returning visitors
// in random order.
func BenchmarkTrack64(b *testing.B) {
	for _, events := range []int{1, 10, 50} {
		for _, visitors := range []int{1_000, 100_000} {
			b.Run(fmt.Sprintf("events=%d/visitors=%d", events, visitors), func(b *testing.B) { benchmarkTrack(b, events, visitors) })
		}
	}
}

func benchmarkTrack(b *testing.B, events, visitors int) {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "webpush.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var next atomic.Int64
	batches := func(total int64, device func(n int64) int) {
		next.Store(0)
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for n := next.Add(1); n <= total; n = next.Add(1) {
					if _, err := s.Track(context.Background(), peopleSite, visitorBatch(device(n), rand.IntN(1<<40), events)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	batches(int64(visitors), func(n int64) int { return int(n) })
	b.ResetTimer()
	const each = 2000
	for range b.N {
		batches(each, func(int64) int { return rand.IntN(visitors) })
	}
	b.ReportMetric(float64(b.N*each*events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(b.N*each)/b.Elapsed().Seconds(), "batches/s")
	b.ReportMetric(0, "ns/op")
}
