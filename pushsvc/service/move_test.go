package service_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// woken is an engine that does nothing when it is woken.
type woken struct{}

func (woken) Wake() {}

// TestMoveResumed: an interrupted move continues by itself. Until it ends, no
// message can be created that would miss moving subscribers.
func TestMoveResumed(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	for n := range 20 {
		if _, err := f.Subscribe(t.Context(), "old.example", request(n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Store.BeginMove(t.Context(), "old.example", "new.example", f.now()); err != nil {
		t.Fatal(err)
	}
	next := &service.Service{Store: f.Store, Engine: woken{}, Services: f.Services, Contact: f.Contact, Clock: f.Clock}
	within(t, "the other name", func() bool { return next.CurrentSite("old.example") == "new.example" })
	if _, err := next.Subscribe(t.Context(), "old.example", request(3)); err != nil {
		t.Fatal(err)
	}
	_, err := next.Send(t.Context(), service.SendRequest{Site: "new.example", Content: pushsvc.Content{Title: "x"}})
	if !errors.Is(err, pushsvc.ErrSiteMoving) {
		t.Errorf("sending meanwhile: %v", err)
	}
	next.ResumeMoves()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		all, err := f.Store.Moves(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", all, err)
		}
		if !all[0].Running {
			break
		}
	}
	sum, err := next.Site(t.Context(), "new.example")
	if err != nil || sum.Subscriptions != 20 {
		t.Errorf("%+v, %v", sum, err)
	}
	sent, err := next.Send(t.Context(), service.SendRequest{Site: "new.example", Content: pushsvc.Content{Title: "x"}})
	if err != nil || sent.Message.Progress.Audience != 20 {
		t.Errorf("%+v, %v", sent.Message.Progress, err)
	}
	if err := next.Unsubscribe(t.Context(), "old.example", proofOf(request(5))); err != nil {
		t.Error(err)
	}
	if sum, err = next.Site(t.Context(), "new.example"); err != nil || sum.Subscriptions != 19 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// TestStaleSites: sites whose visitors now belong to another site.
func TestStaleSites(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	f.Configured = sites{site: {}, "shop.example:8443": {}, "xn--mnchen-3ya.example": {}}
	for n, name := range []string{
		site, "moved.example", "www.a.example", "a.example:8080", "shop.example:8080", "www.xn--mnchen-3ya.example", "stranger.example",
	} {
		if _, err := f.Subscribe(t.Context(), name, request(n)); err != nil {
			t.Fatal(err)
		}
	}
	stale, err := f.StaleSites(t.Context())
	want := []service.StaleSite{
		{Site: "a.example:8080", Now: site, Subscriptions: 1},
		{Site: "moved.example", Now: site, Subscriptions: 1},
		{Site: "shop.example:8080", Now: "shop.example:8443", Subscriptions: 1},
		{Site: "www.a.example", Now: site, Subscriptions: 1},
		{Site: "www.xn--mnchen-3ya.example", Now: "xn--mnchen-3ya.example", Subscriptions: 1},
	}
	if err != nil || !slices.Equal(stale, want) {
		t.Errorf("%+v, %v", stale, err)
	}
}
