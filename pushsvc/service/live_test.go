package service_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/memstore"
)

// within fails the test if the condition does not become true within the time in
// which every process sees another's changes.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second { // the promise is 2 s; the machine may be busy
			t.Errorf("not in time: %s", what)
			return
		}
	}
}

// eachStore runs a test on both stores.
func eachStore(t *testing.T, test func(t *testing.T, store store.Store)) {
	t.Run("memstore", func(t *testing.T) { test(t, memstore.New()) })
	t.Run("boltstore", func(t *testing.T) {
		store, err := boltstore.Open(t.Context(), filepath.Join(t.TempDir(), "webpush.db"), boltstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		test(t, store)
	})
}

// TestTwoServices: another service on the same store, with its own Live like
// another process, soon sees a change.
func TestTwoServices(t *testing.T) {
	eachStore(t, func(t *testing.T, store store.Store) {
		make := func() *fixture {
			f := newFixture(t)
			f.Service = &service.Service{Store: store, Engine: f, Services: f.Services, Clock: f.now, MaxSites: 2}
			f.withPrompts(t)
			return f
		}
		a, b := make(), make()
		key := a.withKey(t)
		if b.PopupsConfig(t.Context(), site) != nil || len(b.Live.Prompt(site).Settings.Said()) > 0 {
			t.Fatal("the second service knows something already")
		}

		if _, err := a.SetPrompt(t.Context(), site, prompt.Settings{Kind: ptr("bell")}, 0); err != nil {
			t.Fatal(err)
		}
		within(t, "the prompt", func() bool { return b.Live.Prompt(site).Settings.Kind != nil })
		if err := a.ResetPrompt(t.Context(), site, pushsvc.AnyRevision); err != nil {
			t.Fatal(err)
		}
		within(t, "the prompt is removed", func() bool { return b.Live.Prompt(site).Settings.Kind == nil })

		p := popup.Popup{ID: "p", State: popup.Running, Kind: popup.Box, Content: popup.Content{Title: "x"}}
		if _, err := a.PutPopup(t.Context(), site, p, pushsvc.AnyRevision); err != nil {
			t.Fatal(err)
		}
		within(t, "the pop-up", func() bool { return b.PopupsConfig(t.Context(), site) != nil })
		if _, err := a.SetPopupSettings(t.Context(), site, popup.Settings{PerSession: 7}, 0); err != nil {
			t.Fatal(err)
		}
		within(t, "the settings of pop-ups", func() bool { return b.PopupsConfig(t.Context(), site).PerSession == 7 })
		if err := a.DeletePopup(t.Context(), site, "p", pushsvc.AnyRevision); err != nil {
			t.Fatal(err)
		}
		within(t, "the pop-up is removed", func() bool { return b.PopupsConfig(t.Context(), site) == nil })

		rotated, err := a.RotateKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// A page of the first service already has the key.
		r := request(1)
		r.ApplicationServerKey = rotated.Public
		if _, err := b.Subscribe(t.Context(), site, r); err != nil {
			t.Errorf("subscribing at once with the other's new key: %v", err)
		}
		within(t, "the key", func() bool {
			keys := b.Live.Keys()
			return len(keys) == 2 && keys[0].ID == rotated.ID && slices.ContainsFunc(keys, func(k pushsvc.Key) bool { return k.ID == key.ID })
		})
	})
}

// TestTwoServicesSites: a site that one service removes is a new one for the
// other, and does not count towards the limit.
func TestTwoServicesSites(t *testing.T) {
	eachStore(t, func(t *testing.T, store store.Store) {
		make := func() *fixture {
			f := newFixture(t)
			f.Service = &service.Service{Store: store, Engine: f, Services: f.Services, Clock: f.now, MaxSites: 2}
			return f
		}
		a, b := make(), make()
		a.withKey(t)
		for n, name := range []string{"one.example", "two.example"} {
			if _, err := a.Subscribe(t.Context(), name, request(n)); err != nil {
				t.Fatal(err)
			}
			a.advance(time.Second)
		}
		if has, err := b.HasSite(t.Context(), "one.example"); !has || err != nil {
			t.Fatalf("%t, %v", has, err)
		}
		if _, err := a.RemoveSite(t.Context(), "one.example", true); err != nil {
			t.Fatal(err)
		}
		within(t, "the site is removed", func() bool {
			has, err := b.HasSite(t.Context(), "one.example")
			return !has && err == nil
		})
		if _, err := b.Subscribe(t.Context(), "three.example", request(3)); err != nil {
			t.Errorf("in the place of the one that was removed: %v", err)
		}
	})
}

// TestReload: an ending and a new configuration share operators' settings. The
// new one sees a change by the old one, even after it has read everything.
func TestReload(t *testing.T) {
	before := newFixture(t)
	before.Live = service.NewLive(before.Store, before.now, func(err error) { t.Error(err) })
	after := &service.Service{Store: before.Store, Clock: before.now, Live: before.Live}
	if after.PopupsConfig(t.Context(), site) != nil {
		t.Fatal("there is a pop-up already")
	}
	p := popup.Popup{ID: "p", State: popup.Running, Kind: popup.Box, Content: popup.Content{Title: "x"}}
	if _, err := before.PutPopup(t.Context(), site, p, pushsvc.AnyRevision); err != nil {
		t.Fatal(err)
	}
	if after.PopupsConfig(t.Context(), site) == nil {
		t.Error("the pop-up that was put through the old configuration is not shown")
	}
}

// flaky is a store whose settings sometimes can't be read.
type flaky struct {
	store.Store
	down chan bool // holds one value
}

func (s flaky) Settings(ctx context.Context, name string) ([]pushsvc.Setting, error) {
	down := <-s.down
	s.down <- down
	if down {
		return nil, errFailing
	}
	return s.Store.Settings(ctx, name)
}

// TestLiveRecovers: rows that could not be read are read again, without another
// change.
func TestLiveRecovers(t *testing.T) {
	f := newFixture(t)
	store := flaky{f.Store, make(chan bool, 1)}
	store.down <- false
	faults := make(chan error, 100)
	live := service.NewLive(store, f.now, func(err error) { faults <- err })
	if err := live.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-store.down
	store.down <- true
	if _, err := store.PutSetting(t.Context(), pushsvc.Setting{Site: site, Name: "prompt", Document: []byte(`{"kind":"bell"}`)}, 0); err != nil {
		t.Fatal(err)
	}
	if err := <-faults; !errors.Is(err, errFailing) {
		t.Errorf("the fault is %v", err)
	}
	if live.Prompt(site).Revision != 0 {
		t.Error("it was read nevertheless")
	}
	<-store.down
	store.down <- false
	within(t, "the prompt", func() bool { return live.Prompt(site).Revision > 0 })
}
