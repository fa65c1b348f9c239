//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// provider is a push provider that the site used before: the option's name for it,
// and its worker's address and scope.
type provider struct{ name, worker, scope string }

var (
	rootProvider = provider{"onesignal", "/OneSignalSDKWorker.js", "/"}
	// A provider whose scope is not the site's root.
	asideProvider = provider{"firebase", "/firebase-messaging-sw.js", "/firebase-cloud-messaging-push-scope"}
)

// providerWorker shows every push, with its own mark.
const providerWorker = `
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("push", (e) => {
	const message = e.data.json();
	if (message.title) e.waitUntil(self.registration.showNotification("Provider: " + message.title));
});`

// providerSubscriber is a site without webpush whose visitor gets another
// provider's pushes.
type providerSubscriber struct {
	*product
	site     *changingSite
	origin   string
	provider provider
	sender   *sender
}

// subscribeToProvider makes a providerSubscriber and waits for one of the provider's
// pushes.
func subscribeToProvider(ctx context.Context, t *testing.T, u *user, b browser.Browser, v provider) *providerSubscriber {
	t.Helper()
	site := newChangingSite()
	site.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != v.worker {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/javascript")
		w.Header().Set("Service-Worker-Allowed", "/")
		_, _ = io.WriteString(w, providerWorker)
	})
	p := startProductBefore(t, site, "", "")
	s := &providerSubscriber{p, site, p.origins[1], v, newSender(t)}
	s.reconfigure(s.origin, "")
	must(t, b.SetPermission(ctx, s.origin, browser.Granted))
	page, err := b.Open(ctx, s.origin+"/plain.txt")
	must(t, err)
	var made json.RawMessage
	must(t, page.Eval(ctx, fmt.Sprintf(`(async () => {
		const r = await navigator.serviceWorker.register(%q, {scope: %q});
		while (r.active?.state !== "activated") await new Promise((go) => setTimeout(go, 20));
		return (await r.pushManager.subscribe({userVisibleOnly: true, applicationServerKey: %q})).toJSON();
	})()`, v.worker, v.scope, s.sender.public), &made))
	must(t, json.Unmarshal(made, &s.sender.subscription))
	must(t, page.Close(ctx))
	s.providerSends(ctx, t, u, "Before", "Provider: ")
	return s
}

// providerSends sends by the provider and waits for the notification.
func (s *providerSubscriber) providerSends(ctx context.Context, t *testing.T, u *user, what, mark string) {
	t.Helper()
	title := what + " " + t.Name()
	smokeSend(ctx, t, s.sender, what, title)
	_, err := u.desktop.WaitTitle(ctx, u.name, mark+title)
	must(t, err)
}

// weSend sends by our server and waits for the notification.
func (s *providerSubscriber) weSend(ctx context.Context, t *testing.T, u *user, what string) {
	t.Helper()
	title := what + " " + t.Name()
	if m := s.send(s.origin, "--title", title); m.Results.Audience != 1 || m.Results.Accepted != 1 {
		t.Errorf("%s: %+v", what, m.Results)
	}
	_, err := u.desktop.WaitTitle(ctx, u.name, title)
	must(t, err)
}

// workers returns the site's registrations in the browser, script by scope.
func workers(ctx context.Context, t *testing.T, page browser.Page) map[string]string {
	t.Helper()
	var all map[string]string
	must(t, page.Eval(ctx, `navigator.serviceWorker.getRegistrations().then((all) => Object.fromEntries(all.map(
		(r) => [new URL(r.scope).pathname, new URL(r.active?.scriptURL ?? location.href).pathname])))`, &all))
	return all
}

// revisit opens a page of the site with a new SDK and waits for the row.
func (s *providerSubscriber) revisit(ctx context.Context, t *testing.T, b browser.Browser) browser.Page {
	t.Helper()
	page, err := b.Open(ctx, s.origin+"/sale")
	must(t, err)
	until(ctx, t, "the row of who came from elsewhere", func() bool { return s.subscribers(s.origin) == 1 })
	var asked bool
	must(t, page.Eval(ctx, promptShown, &asked))
	if asked {
		t.Error("another provider's subscriber was asked")
	}
	return page
}

// TestMigrate moves a site from another provider: its worker becomes ours by the
// browser's own update check, its subscriber by the next visit, and its pushes
// stop.
func TestMigrate(t *testing.T) {
	for _, v := range []provider{rootProvider, asideProvider} {
		t.Run(v.name, func(t *testing.T) {
			forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
				s := subscribeToProvider(ctx, t, u, b, v)
				s.reconfigure(s.origin, "webpush {\n\t\tmigrate_from "+v.name+"\n\t}")

				// Browsers check by themselves within a day, at visits and at
				// pushes.
				page, err := b.Open(ctx, s.origin+"/plain.txt")
				must(t, err)
				must(t, page.Eval(ctx, fmt.Sprintf(`(async () => {
					const r = await navigator.serviceWorker.getRegistration(%q);
					await r.update();
					while (r.installing || r.waiting) await new Promise((go) => setTimeout(go, 20));
				})()`, v.scope), nil))
				must(t, page.Close(ctx))
				s.providerSends(ctx, t, u, "Still theirs", "")

				page = s.revisit(ctx, t, b)
				until(ctx, t, "the end of the provider's worker", func() bool {
					all := workers(ctx, t, page)
					return len(all) == 1 && all["/"] == "/sw.js"
				})
				must(t, page.Close(ctx))
				s.weSend(ctx, t, u, "Ours")
				smokeGone(ctx, t, s.sender)
				if n := s.subscribers(s.origin); n != 1 {
					t.Errorf("%d subscribers", n)
				}
			})
		})
	}
}

// TestNoMigration: without migrate_from, the one line leaves another provider's
// worker, subscriber and pushes unchanged.
func TestNoMigration(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		s := subscribeToProvider(ctx, t, u, b, rootProvider)
		s.reconfigure(s.origin, "webpush {\n\t\tmigrate_from clevertap\n\t}")
		page, err := b.Open(ctx, "about:blank")
		must(t, err)
		synchronised(ctx, t, page, s.origin)
		if all := workers(ctx, t, page); len(all) != 1 || all["/"] != rootProvider.worker {
			t.Errorf("the workers are %v", all)
		}
		must(t, page.Close(ctx))
		if n := s.subscribers(s.origin); n != 0 {
			t.Errorf("%d subscribers", n)
		}
		s.providerSends(ctx, t, u, "After", "Provider: ")
	})
}

// TestDualRun runs both providers side by side, and then ours alone.
func TestDualRun(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		s := subscribeToProvider(ctx, t, u, b, rootProvider)
		s.reconfigure(s.origin, "webpush {\n\t\tmigrate_from onesignal\n\t\tdual_run\n\t}")
		page := s.revisit(ctx, t, b)
		all := workers(ctx, t, page)
		if len(all) != 2 || all["/"] != rootProvider.worker || all["/_webpush/"] != "/_webpush/sw.js" {
			t.Errorf("the workers are %v", all)
		}
		must(t, page.Close(ctx))
		s.weSend(ctx, t, u, "Ours beside")
		s.providerSends(ctx, t, u, "Theirs beside", "Provider: ")

		before := s.endpoint(s.origin)
		s.reconfigure(s.origin, "webpush {\n\t\tmigrate_from onesignal\n\t}")
		page, err := b.Open(ctx, s.origin+"/")
		must(t, err)
		// The browser may cache the script for a minute.
		must(t, page.Eval(ctx, `fetch("/_webpush/sdk.js", {cache: "reload"}).then((r) => r.text()).then(() => null)`, nil))
		must(t, page.Reload(ctx))
		until(ctx, t, "one worker", func() bool {
			all := workers(ctx, t, page)
			return len(all) == 1 && all["/"] == "/sw.js"
		})
		until(ctx, t, "a row in the place of the old one", func() bool {
			return s.endpoint(s.origin) != before && s.subscribers(s.origin) == 1
		})
		must(t, page.Close(ctx))
		s.weSend(ctx, t, u, "Ours alone")
		smokeGone(ctx, t, s.sender)
	})
}
