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

// TestRestoredIsHeld: what had not ended in a backup waits for an operator, however the
// backup gets into a store's place; the store that it was made of goes on.
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
			_, _, err2 := s.Claim(t.Context(), site, id, "engine", now, now.Add(time.Minute))
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
			if start == 2 { // it has been released
				states["03-sending"] = pushsvc.StateSending
			}
			held := 0
			s, err := Open(t.Context(), path, Options{OnHeld: func(n int) { held = n }})
			if err != nil {
				t.Fatal(err)
			}
			if held != told {
				t.Errorf("%s: told of %d held messages, not %d", path, held, told)
			}
			for id, want := range states {
				if m, err := s.Message(t.Context(), site, id); err != nil || m.State != want {
					t.Errorf("%s: %s is %s, %v; want %s", path, id, m.State, err, want)
				}
			}
			if page, err := s.Unfinished(t.Context(), later, "", 10); err != nil || len(page) != 1+4-told {
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
		t.Errorf("the store that was copied has it %s, %v", m.State, err)
	}
}
