package boltstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// TestRestoredIsHeld: messages that had not ended in a backup wait for an
// operator, however the backup replaces a store; the backed-up store continues.
func TestRestoredIsHeld(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	first, backup := filepath.Join(dir, "first.db"), filepath.Join(dir, "backup.db")
	s := open(t, first)
	fillStore(t, s, 20)
	site, states := realistic(1).Site, map[string]pushsvc.State{
		"01-queued": pushsvc.StateHeld, "02-scheduled": pushsvc.StateHeld, "03-sending": pushsvc.StateHeld,
		"04-paused": pushsvc.StateHeld, "05-cancelling": pushsvc.StateCancelling, "06-cancelled": pushsvc.StateCancelled,
	}
	for id := range states {
		m := pushsvc.Message{ID: id, Site: site, Content: pushsvc.Content{Title: id}, Created: now}
		if id == "02-scheduled" {
			m.SendAt = now.Add(time.Hour)
		}
		_, _, err := s.CreateMessage(t.Context(), m, pushsvc.Idempotency{})
		switch id {
		case "03-sending", "05-cancelling":
			_, _, err2 := s.at(now).Claim(t.Context(), site, id, "engine", time.Minute)
			err = errors.Join(err, err2)
		case "04-paused":
			_, err = s.Control(t.Context(), site, id, pushsvc.CommandPause, now)
		}
		if id == "05-cancelling" || id == "06-cancelled" {
			_, err2 := s.Control(t.Context(), site, id, pushsvc.CommandCancel, now)
			err = errors.Join(err, err2)
		}
		if err != nil {
			t.Fatal(id, err)
		}
	}
	var copied bytes.Buffer
	if _, err := s.Backup(t.Context(), &copied); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), os.WriteFile(backup, copied.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	cold := readFile(t, first)
	restored, put := filepath.Join(dir, "restored.db"), filepath.Join(dir, "put.db")
	c, err := Restore(t.Context(), backup, restored, false)
	if err != nil || len(c.Held) != 4 {
		t.Errorf("%d messages to be held, %v", len(c.Held), err)
	}
	old := filepath.Join(dir, "old.db") // restored from a file without the mark
	if _, err := Restore(t.Context(), writeFile(t, cold), old, false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(put, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	later := now.Add(2 * time.Hour)
	for _, path := range []string{restored, put, old} {
		states["03-sending"] = pushsvc.StateHeld
		for start, told := range []int{4, 4, 3} {
			if start == 2 { // the message has been released
				states["03-sending"] = pushsvc.StateSending
			}
			held := 0
			s, err := Open(t.Context(), path, Options{OnHeld: func(n int) { held = n }})
			if err != nil {
				t.Fatal(err)
			}
			if held != told {
				t.Errorf("%s: reported %d held messages, not %d", path, held, told)
			}
			for id, want := range states {
				if m, err := s.Message(t.Context(), site, id); err != nil || m.State != want {
					t.Errorf("%s: %s is %s, %v; want %s", path, id, m.State, err, want)
				}
			}
			if page, err := s.at(later).Unfinished(t.Context(), "", 10); err != nil || len(page) != 1+4-told {
				t.Errorf("%s: to be sent are %v, %v", path, page, err)
			}
			if start == 1 {
				if _, err := s.Control(t.Context(), site, "03-sending", pushsvc.CommandResume, now); err != nil {
					t.Error(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s = open(t, first)
	if m, err := s.Message(t.Context(), site, "02-scheduled"); err != nil || m.State != pushsvc.StateScheduled {
		t.Errorf("the copied store has the state %s, %v", m.State, err)
	}
}

// TestRestoreDamagedHolds: the readable messages of a damaged backup are held,
// and unreadable ones are not sent.
func TestRestoreDamagedHolds(t *testing.T) {
	dir := t.TempDir()
	first, path := filepath.Join(dir, "first.db"), filepath.Join(dir, "restored.db")
	s := open(t, first)
	fillStore(t, s, 20)
	site := realistic(1).Site
	for _, id := range []string{"01-good", "02-damaged"} {
		m := pushsvc.Message{ID: id, Site: site, Content: pushsvc.Content{Title: "the title of " + id}, Created: time.Now()}
		if _, _, err := s.CreateMessage(t.Context(), m, pushsvc.Idempotency{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	broken := bytes.ReplaceAll(readFile(t, first), []byte("the title of 02"), []byte("the title is 02"))
	c, err := Restore(t.Context(), writeFile(t, broken), path, true)
	if err != nil || len(c.Held) != 1 || c.Damaged != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	held := 0
	s, err = Open(t.Context(), path, Options{OnHeld: func(n int) { held = n }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if held != 1 {
		t.Errorf("reported %d held messages", held)
	}
	if m, err := s.Message(t.Context(), site, "01-good"); err != nil || m.State != pushsvc.StateHeld {
		t.Errorf("%s, %v", m.State, err)
	}
	if page, err := s.Unfinished(t.Context(), "", 10); err != nil || len(page) > 0 {
		t.Errorf("to be sent are %v, %v", page, err)
	}
}

// TestRestoredMidMove: messages of a site that was being moved to another name
// when the backup was made are held too.
func TestRestoredMidMove(t *testing.T) {
	dir := t.TempDir()
	first, path := filepath.Join(dir, "first.db"), filepath.Join(dir, "restored.db")
	s := open(t, first)
	fillMove(t, s, 20)
	if _, err := s.BeginMove(t.Context(), moveFrom, moveInto, costDay); err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	if _, err := s.Backup(t.Context(), &copied); err != nil {
		t.Fatal(err)
	}
	c, err := Restore(t.Context(), writeFile(t, copied.Bytes()), path, false)
	if err != nil || len(c.Held) != 4 || c.Damaged > 0 {
		t.Fatalf("%d held, %+v, %v", len(c.Held), c.Damage, err)
	}
	s = open(t, path)
	for m := (pushsvc.SiteMove{Running: true}); m.Running; {
		if m, err = s.MoveRows(t.Context(), moveFrom, 100); err != nil {
			t.Fatal(err)
		}
	}
	page, err := s.MessagePage(t.Context(), moveInto, "", 100)
	if err != nil || len(page) != 4 {
		t.Fatalf("%d messages, %v", len(page), err)
	}
	for _, m := range page {
		if m.State != pushsvc.StateHeld {
			t.Errorf("%s is %s", m.ID, m.State)
		}
	}
}
