package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func init() { jobs["note"] = noteForever }

// noteDay is the time of these tests.
var noteDay = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const noteSite = "shop.example.com"

// storeMessage stores n subscriptions and a message to them.
func storeMessage(s *Store, id string, n int) error {
	subs := make([]pushsvc.Subscription, n)
	for i := range subs {
		subs[i] = realistic(i)
	}
	_, err := s.ImportSubscriptions(context.Background(), noteSite, subs)
	if err == nil {
		_, _, err = s.CreateMessage(context.Background(), pushsvc.Message{ID: id, Site: noteSite, Created: noteDay}, pushsvc.Idempotency{})
	}
	return err
}

func claimAt(t *testing.T, s *Store, id string, at time.Time) pushsvc.Range {
	t.Helper()
	_, r, err := s.at(at).Claim(t.Context(), noteSite, id, "engine", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func accepted(from, to int) (out []pushsvc.Outcome) {
	for id := from; id <= to; id++ {
		out = append(out, pushsvc.Outcome{ID: pushsvc.SubscriptionID(id), Kind: pushsvc.OutcomeAccepted})
	}
	return out
}

func noteFiles(t *testing.T, path string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(path+".notes", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// noteForever notes one recipient after another and prints their ids.
func noteForever(path, _ string) error {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	_, r, err := s.at(noteDay).Claim(context.Background(), noteSite, "m", "child", time.Minute)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for id := 1; ; id++ {
		if err := s.Note(context.Background(), r, accepted(id, id)); err != nil {
			return err
		}
		fmt.Println(id, "noted")
	}
}

// TestNotesKilled: notes survive kill -9.
func TestNotesKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	if err := storeMessage(s, "m", 10); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, line := range killed(t, child(t, "note", path, "-"), 30*time.Millisecond) {
		var id int
		if n, _ := fmt.Sscanf(line, "%d noted", &id); n == 1 {
			last = max(last, id)
		}
	}
	s = open(t, path)
	r := claimAt(t, s, "m", noteDay.Add(time.Hour))
	if last == 0 || len(r.Noted) < last {
		t.Errorf("%d of %d are there", len(r.Noted), last)
	}
}

// TestNotesDamaged: torn or damaged records and all after them are dropped, and
// never misread; noting continues.
func TestNotesDamaged(t *testing.T) {
	for name, damage := range map[string]struct {
		do   func(data []byte) []byte
		want int // of 30
	}{
		"none":       {func(d []byte) []byte { return d }, 30},
		"torn":       {func(d []byte) []byte { return d[:len(d)-3] }, 20},
		"garbage":    {func(d []byte) []byte { return append(d, 0, 0, 0, 9, 1, 2, 3) }, 30},
		"zeros":      {func(d []byte) []byte { return append(d, make([]byte, 100)...) }, 30},
		"bit":        {func(d []byte) []byte { d[len(d)/2] ^= 1; return d }, 10},
		"huge":       {func(d []byte) []byte { d[0] = 0xff; return d }, 0},
		"empty":      {func([]byte) []byte { return nil }, 0},
		"other file": {func([]byte) []byte { return []byte("\x00\x00\x00\x05\x01\x02\x03\x04\x01\x01\x00\x00\x00") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "webpush.db")
			s := open(t, path)
			if err := storeMessage(s, "m", 50); err != nil {
				t.Fatal(err)
			}
			r := claimAt(t, s, "m", noteDay)
			for n := range 3 {
				if err := s.Note(t.Context(), r, accepted(10*n+1, 10*n+10)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			files := noteFiles(t, path)
			data, err := os.ReadFile(files[0])
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			if err := os.WriteFile(files[0], damage.do(data), 0o600); err != nil {
				t.Fatal(err)
			}
			s = open(t, path)
			r = claimAt(t, s, "m", noteDay.Add(time.Hour))
			if len(r.Noted) != damage.want || len(r.Noted) > 0 && !cmp.Equal(r.Noted, accepted(1, damage.want)) {
				t.Errorf("%d are there, want %d", len(r.Noted), damage.want)
			}
			if err := s.Note(t.Context(), r, accepted(41, 42)); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, path)
			if r = claimAt(t, s, "m", noteDay.Add(2*time.Hour)); len(r.Noted) != damage.want+2 {
				t.Errorf("%d are there after more were noted, want %d", len(r.Noted), damage.want+2)
			}
		})
	}
}

// TestNotesSwapped: the notes of one range are refused for another.
func TestNotesSwapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	if err := errors.Join(storeMessage(s, "m1", 5), storeMessage(s, "m2", 5)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"m1", "m2"} {
		if err := s.Note(t.Context(), claimAt(t, s, id, noteDay), accepted(1, 3)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := noteFiles(t, path)
	if err := os.Rename(files[0], files[1]); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	for _, id := range []string{"m1", "m2"} {
		if r := claimAt(t, s, id, noteDay.Add(time.Hour)); len(r.Noted) != 0 {
			t.Errorf("%s has notes that are another's", id)
		}
	}
}

// TestNotesRemoved: files are removed with their ranges and messages; the next
// start removes what a crash has left.
func TestNotesRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	if err := errors.Join(storeMessage(s, "m1", 6000), storeMessage(s, "m2", 10)); err != nil {
		t.Fatal(err)
	}
	first, second, other := claimAt(t, s, "m1", noteDay), claimAt(t, s, "m1", noteDay), claimAt(t, s, "m2", noteDay)
	for _, r := range []pushsvc.Range{first, second, other} {
		if err := s.Note(t.Context(), r, accepted(int(r.Cursor)+1, int(r.Cursor)+5)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(noteFiles(t, path)); n != 3 {
		t.Errorf("%d files for 3 ranges", n)
	}
	done := pushsvc.Checkpoint{Site: noteSite, MessageID: "m1", Range: first.N, Epoch: 1, Cursor: first.Until, Done: true, At: noteDay}
	if _, _, err := s.Checkpoint(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	if n := len(noteFiles(t, path)); n != 2 {
		t.Errorf("%d files after a range has ended, want 2", n)
	}
	left := filepath.Join(path+".notes", prefix(noteSite, "gone")+"0")
	if err := os.WriteFile(left, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if n := len(noteFiles(t, path)); n != 2 {
		t.Errorf("%d files after a start, want the 2 of messages on their way", n)
	}
	for _, id := range []string{"m1", "m2"} {
		m, err := s.at(noteDay.Add(time.Hour)).Control(t.Context(), noteSite, id, pushsvc.CommandCancel, noteDay.Add(time.Hour))
		if err != nil || m.State != pushsvc.StateCancelled || m.Progress.Accepted != 5 {
			t.Errorf("%s: %+v, %v", id, m, err)
		}
	}
	if files := noteFiles(t, path); len(files) != 0 {
		t.Errorf("files at the end: %v", files)
	}
}

// TestNotesShrink: a file doesn't grow with the audience.
func TestNotesShrink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	if err := storeMessage(s, "m", 1); err != nil {
		t.Fatal(err)
	}
	r := claimAt(t, s, "m", noteDay)
	largest := int64(0)
	const page, ahead = 500, 5
	for n := range 400 {
		first := n*page + 1
		if err := s.Note(t.Context(), r, accepted(first, first+page-1)); err != nil {
			t.Fatal(err)
		}
		c := pushsvc.Checkpoint{
			Site: noteSite, MessageID: "m", Epoch: 1, Cursor: pushsvc.SubscriptionID(first + page - 1 - ahead),
			Lease: time.Hour, At: noteDay.Add(time.Duration(n) * time.Millisecond),
		}
		if _, _, err := s.Checkpoint(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for _, f := range noteFiles(t, path) {
			if info, err := os.Stat(f); err == nil {
				largest = max(largest, info.Size())
			}
		}
	}
	if largest > rewriteNotes+page*16 || largest < rewriteNotes/2 {
		t.Errorf("the file was %d bytes large", largest)
	}
	r = claimAt(t, s, "m", noteDay.Add(2*time.Hour))
	if !cmp.Equal(r.Noted, accepted(400*page-ahead+1, 400*page)) {
		t.Errorf("%d are noted, want the last %d", len(r.Noted), ahead)
	}
}

// TestNotesOfTheNext: an engine that has released a range, and is late to forget
// its notes, keeps those of the next owner.
func TestNotesOfTheNext(t *testing.T) {
	n := newNotes(filepath.Join(t.TempDir(), "db"))
	defer n.close()
	later := pushsvc.Range{Site: noteSite, MessageID: "m", N: pushsvc.LaterRange, Epoch: 1}
	n.claimed(part{Range: later})
	before := pushsvc.Outcome{ID: 7, Kind: pushsvc.OutcomeLater, Attempt: 1, Due: noteDay}
	if err := n.add(later, []pushsvc.Outcome{before}, nil); err != nil {
		t.Fatal(err)
	}
	next := later
	next.Epoch = 2
	n.claimed(part{Range: next})
	after := pushsvc.Outcome{ID: 7, Kind: pushsvc.OutcomeAccepted, Due: noteDay}
	if err := n.add(next, []pushsvc.Outcome{after}, nil); err != nil {
		t.Fatal(err)
	}
	n.settled(part{Range: later}, []pushsvc.Outcome{before})
	if diff := cmp.Diff([]pushsvc.Outcome{after}, n.ofRange(next)); diff != "" {
		t.Errorf("the next owner's notes: %s", diff)
	}
}
