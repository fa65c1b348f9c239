package delivery_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
)

// TestRestoredMidMessage: from a store that was restored from a backup made in the middle of a
// message, no push is sent until the message is released. Then all who were pending in the backup
// get it, even those who have had it since. A scheduled message, due meanwhile, waits too, and one
// whose time to live is over is never sent.
func TestRestoredMidMessage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bolt := func(name string, clock func() time.Time) *boltstore.Store {
		s, err := boltstore.Open(context.Background(), filepath.Join(dir, name), boltstore.Options{Clock: clock, OnDamage: func(err error) { t.Errorf("damage: %v", err) }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := bolt("first.db", nil)
	f := newFixtureOn(t, first)
	all := f.subscribe(siteA, "ok", 600)
	f.push.onPush(func(string) { time.Sleep(2 * time.Millisecond) })
	engine := f.engine(func(c *delivery.Config) { c.Concurrency = 4 })
	sent := f.message(siteA, time.Now(), pushsvc.Content{})
	due := f.create(pushsvc.Message{Site: siteA, SendAt: time.Now().Add(time.Hour)})
	ttl := 1
	short := f.create(pushsvc.Message{Site: siteA, SendAt: time.Now().Add(-2 * time.Second), Created: time.Now().Add(-time.Hour), Content: pushsvc.Content{Title: "x", TTL: &ttl}})
	f.control(short, pushsvc.CommandPause)
	f.eventually("it is on the way", func() bool { return f.state(sent).Progress.Accepted >= 100 })

	file, err := os.Create(filepath.Join(dir, "backup.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = first.Backup(t.Context(), file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	f.done(sent)
	f.stop(engine)
	f.once(all)
	if _, err := boltstore.Restore(t.Context(), file.Name(), filepath.Join(dir, "restored.db"), false); err != nil {
		t.Fatal(err)
	}
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	second := bolt("restored.db", later)
	t.Cleanup(func() { _ = second.Close() })
	f.store = &checkedStore{Store: second, tb: t}
	before := f.state(sent)
	if p := before.Progress; before.State != pushsvc.StateHeld || p.Accepted < 100 || p.Pending == 0 {
		t.Fatalf("restored: %s, %+v", before.State, p)
	}
	// It is two hours later: the scheduled message is due.
	f.engine(func(c *delivery.Config) { c.Clock = later })
	time.Sleep(time.Second)
	f.once(all)
	f.control(sent, pushsvc.CommandResume)
	after := f.done(sent)
	if p := after.Progress; p.Accepted != 600 {
		t.Errorf("released: %+v", p)
	}
	twice := 0
	for _, s := range all {
		twice += len(f.push.pushesTo(s.name)) - 1
	}
	if int64(twice) != before.Progress.Pending {
		t.Errorf("%d got it again, %d were pending in the backup", twice, before.Progress.Pending)
	}
	f.control(short, pushsvc.CommandResume)
	if p := f.done(short).Progress; p.Expired != 600 {
		t.Errorf("its time to live is over: %+v", p)
	}
	if m := f.state(due); m.State != pushsvc.StateHeld || f.control(due, pushsvc.CommandCancel).State != pushsvc.StateCancelled {
		t.Errorf("scheduled: %s, then %s", m.State, f.state(due).State)
	}
}
