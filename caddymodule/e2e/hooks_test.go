//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/fakefcm"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice"
)

// TestRefusedSubscription: what pages see when a push service refuses.
func TestRefusedSubscription(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		s := newSender(t)
		origin, _ := smokeSite(t, s.public)
		page := smokeOpen(ctx, t, b, origin)
		u.refuse()
		got := smokeAccept(ctx, t, b, page, origin)
		if !strings.HasPrefix(got.Failure, "AbortError") {
			t.Errorf("got %+v, want an AbortError", got)
		}
		must(t, page.Close(ctx))
	})
}

// TestForcedAnswers: the browser receives only messages that were answered with
// 201.
func TestForcedAnswers(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		s := newSender(t)
		origin, _ := smokeSite(t, s.public)
		page := smokeOpen(ctx, t, b, origin)
		s.subscription = smokeSubscribe(ctx, t, b, page, origin)
		u.service.ForceNext(pushservice.Answer{Status: http.StatusServiceUnavailable, Token: pushservice.Token(s.subscription.Endpoint)})
		wantStatus(ctx, t, s, "lost", http.StatusServiceUnavailable)
		wantStatus(ctx, t, s, "found", http.StatusCreated)
		_, err := u.desktop.WaitTitle(ctx, u.name, "found")
		must(t, err)
		for _, shown := range u.desktop.Notifications() {
			if shown.App == u.name && shown.Title == "lost" {
				t.Error("a message answered with 503 was delivered")
			}
		}
		if !u.service.Expire(s.subscription.Endpoint) {
			t.Error("there was nothing to expire")
		}
		wantStatus(ctx, t, s, "late", http.StatusGone)
		must(t, page.Close(ctx))
	})
}

// TestRevokedPermission: when a user revokes the permission, the subscription
// ends: at once in Firefox, at the next message in Chromium.
func TestRevokedPermission(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		s := newSender(t)
		origin, _ := smokeSite(t, s.public)
		page := smokeOpen(ctx, t, b, origin)
		s.subscription = smokeSubscribe(ctx, t, b, page, origin)
		must(t, b.SetPermission(ctx, origin, browser.Denied))
		smokeGone(ctx, t, s)
		for _, shown := range u.desktop.Notifications() {
			if shown.Title == "gone "+t.Name() {
				t.Error("shown without permission")
			}
		}
		must(t, page.Close(ctx))
	})
}

// TestSubscriptionChange: when the push service has forgotten Firefox, the worker
// gets an event and may subscribe again.
func TestSubscriptionChange(t *testing.T) {
	u := shared.users[1]
	b := u.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), flowTime)
	defer cancel()
	s := newSender(t)
	origin, _ := smokeSite(t, s.public)
	page := smokeOpen(ctx, t, b, origin)
	s.subscription = smokeSubscribe(ctx, t, b, page, origin)
	must(t, page.Eval(ctx, `void (navigator.serviceWorker.onmessage = (e) => window.changed = e.data)`, nil))
	shared.autopush.ForgetBrowsers()
	wantStatus(ctx, t, s, "late", http.StatusGone)
	must(t, browser.WaitFor(ctx, page, "window.changed"))
	var old string
	must(t, page.Eval(ctx, "window.changed", &old))
	if old != s.subscription.Endpoint {
		t.Errorf("change of %q, want %q", old, s.subscription.Endpoint)
	}
	must(t, page.Close(ctx))
}

// TestNonStableChromium: builds like Debian's have endpoints at another host.
func TestNonStableChromium(t *testing.T) {
	fcm, err := fakefcm.Start(fakefcm.Config{Authority: shared.authority, NonStable: true})
	must(t, err)
	defer fcm.Close()
	u := newUser("Chromium", "jmt17.google.com", shared.users[0].desktop, fcm.Service, nil, browser.FindChromium, browser.StartChromium,
		browser.Options{Flags: fcm.ChromiumFlags()})
	defer func() { must(t, u.close()) }()
	b := u.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), flowTime)
	defer cancel()
	s := newSender(t)
	s.client = pushservice.NewClient(shared.authority, fcm.Hosts())
	defer s.client.CloseIdleConnections()
	origin, _ := smokeSite(t, s.public)
	page := smokeOpen(ctx, t, b, origin)
	s.subscription = smokeSubscribe(ctx, t, b, page, origin)
	if !strings.HasPrefix(s.subscription.Endpoint, "https://"+u.host+"/fcm/send/") {
		t.Skipf("this Chromium is of the stable channel: %s", s.subscription.Endpoint)
	}
	wantStatus(ctx, t, s, "non-stable", http.StatusCreated)
	_, err = u.desktop.WaitTitle(ctx, u.name, "non-stable")
	must(t, err)
	deadline := time.Now().Add(30 * time.Second)
	for fcm.Undelivered() > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if n := fcm.Undelivered(); n != 0 {
		t.Errorf("%d messages are not acknowledged", n)
	}
}

func wantStatus(ctx context.Context, t *testing.T, s *sender, title string, want int) {
	t.Helper()
	got, err := s.send(ctx, title, title)
	must(t, err)
	if got != want {
		t.Fatalf("send %q answered %d, want %d", title, got, want)
	}
}
