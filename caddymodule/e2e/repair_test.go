//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// until polls good, because no event here tells what the browser does by itself.
func until(ctx context.Context, t *testing.T, what string, good func() bool) {
	t.Helper()
	for !good() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not in time", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestSubscriptionChanged makes the push service forget the browser: the worker
// subscribes again and replaces the old row, with no page open. Only Firefox has
// a way to cause it.
func TestSubscriptionChanged(t *testing.T) {
	u := shared.users[1]
	b := u.startAlone(t)
	ctx, cancel := context.WithTimeout(t.Context(), flowTime)
	defer cancel()
	p := startProduct(t, "")
	origin := p.origins[0]
	page := visit(ctx, t, b, origin)
	accept(ctx, t, b, page, origin)
	must(t, page.Close(ctx))
	before := p.endpoint(origin)

	shared.autopush.ForgetBrowsers()
	until(ctx, t, "a new subscription", func() bool { return p.endpoint(origin) != before })
	if n := p.subscribers(origin); n != 1 {
		t.Errorf("%d subscribers; the new one should have replaced the old", n)
	}
	if m := p.send(origin, "--title", "After the change"); m.Results.Accepted != 1 || m.Results.Audience != 1 {
		t.Errorf("sent: %+v", m.Results)
	}
	if _, err := u.desktop.WaitTitle(ctx, u.name, "After the change"); err != nil {
		t.Errorf("%v; the browser acknowledged %+v", err, shared.autopush.Acks())
	}
}

// endpoint returns the endpoint of the site's first subscriber, or "". A
// subscription that replaces another keeps its id.
func (p *product) endpoint(origin string) string {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+p.admin+"/webpush/sites/"+host(origin)+"/subscriptions", nil)
	must(p.t, err)
	r.Header.Set("Accept", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(r)
	must(p.t, err)
	defer resp.Body.Close()
	var row struct{ Endpoint string }
	if err := json.NewDecoder(resp.Body).Decode(&row); err != nil && !errors.Is(err, io.EOF) {
		p.t.Fatal(err)
	}
	return row.Endpoint
}

// TestKeyImport changes the VAPID key while a visitor is subscribed. The old
// subscription keeps its key; the next visit makes a new one with the new key,
// without a prompt.
func TestKeyImport(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProduct(t, "")
		origin := p.origins[0]
		page := visit(ctx, t, b, origin)
		accept(ctx, t, b, page, origin)
		must(t, page.Close(ctx))
		before := p.endpoint(origin)

		pair, err := webpush.GenerateKeyPair()
		must(t, err)
		private, err := pair.RevealPrivateKey()
		must(t, err)
		file := filepath.Join(t.TempDir(), "private")
		must(t, os.WriteFile(file, []byte(private+"\n"), 0o600))
		p.cli(nil, "keys", "import", "--public", pair.PublicKey(), "--private-file", file)

		if m := p.send(origin, "--title", "Old key "+u.name); m.Results.Accepted != 1 {
			t.Errorf("with the old key: %+v", m.Results)
		}
		_, err = u.desktop.WaitTitle(ctx, u.name, "Old key "+u.name)
		must(t, err)

		page, err = b.Open(ctx, origin+"/")
		must(t, err)
		// The browser may cache the script for a minute.
		must(t, page.Eval(ctx, `fetch("/_webpush/sdk.js", {cache: "reload"}).then((r) => r.text()).then(() => null)`, nil))
		must(t, page.Reload(ctx))
		until(ctx, t, "a subscription with the new key", func() bool {
			id := p.endpoint(origin)
			return id != before && id != ""
		})
		if n := p.subscribers(origin); n != 1 {
			t.Errorf("%d subscribers; the new one should have replaced the old", n)
		}
		var asked bool
		must(t, page.Eval(ctx, promptShown, &asked))
		if asked {
			t.Error("a subscriber was asked again")
		}
		must(t, page.Close(ctx))
		if m := p.send(origin, "--title", "New key "+u.name); m.Results.Accepted != 1 {
			t.Errorf("with the new key: %+v", m.Results)
		}
		_, err = u.desktop.WaitTitle(ctx, u.name, "New key "+u.name)
		must(t, err)
	})
}

// TestForeignSubscription keeps a subscription that another provider made for the
// site: the one line must not take over its subscribers.
func TestForeignSubscription(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProduct(t, "")
		origin := p.origins[0]
		must(t, b.SetPermission(ctx, origin, browser.Granted))
		foreign, err := webpush.GenerateKeyPair()
		must(t, err)
		// A document without our script: webpush adds none to plain text.
		page, err := b.Open(ctx, origin+"/missing")
		must(t, err)
		var before, after string
		must(t, page.Eval(ctx, fmt.Sprintf(`navigator.serviceWorker.register("/sw.js").then(() => navigator.serviceWorker.ready)
			.then((r) => r.pushManager.subscribe({userVisibleOnly: true, applicationServerKey: %q})).then((s) => s.endpoint)`, foreign.PublicKey()), &before))
		synchronised(ctx, t, page, origin)
		must(t, page.Eval(ctx, `navigator.serviceWorker.ready.then((r) => r.pushManager.getSubscription()).then((s) => s.endpoint)`, &after))
		if after != before {
			t.Error("the other provider's subscription was replaced")
		}
		if n := p.subscribers(origin); n != 0 {
			t.Errorf("%d subscribers", n)
		}
		must(t, page.Close(ctx))
	})
}

// synchronised opens a page of the site as a subscribed visitor and waits until
// the SDK has finished its own work. setTopics runs after that work; it is one
// more occasion to touch another provider's subscription.
func synchronised(ctx context.Context, t *testing.T, page browser.Page, origin string) {
	t.Helper()
	must(t, page.Preload(ctx, recordTrace))
	must(t, page.Navigate(ctx, origin+"/"))
	must(t, browser.WaitFor(ctx, page, `traces.includes("visit 1 sync")`))
	must(t, page.Eval(ctx, `webpush.setTopics([])`, nil))
}

// TestLateReports shows a notification while the site answers 503: the view is
// counted later. Chromium wakes the worker again by Background Sync; elsewhere
// the next report includes it.
func TestLateReports(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := newChangingSite()
		p, origin := subscribedSite(ctx, t, b, site)
		site.answer(unavailable)
		p.reconfigure(origin, "")
		first := p.send(origin, "--title", "Unreported "+u.name)
		_, err := u.desktop.WaitTitle(ctx, u.name, "Unreported "+u.name)
		must(t, err)
		page, err := b.Open(ctx, origin+"/plain.txt")
		must(t, err)
		must(t, browser.WaitFor(ctx, page, `caches.match("/webpush-reports").then(Boolean)`))
		syncs := evaluated[bool](ctx, t, page, `"SyncManager" in window`)
		if syncs {
			must(t, browser.WaitFor(ctx, page, `navigator.serviceWorker.ready.then((r) => r.sync.getTags()).then((tags) => tags.includes("webpush"))`))
		}
		if syncs != (u.name == "Chromium") {
			t.Errorf("Background Sync is there: %v", syncs)
		}
		must(t, page.Close(ctx))
		p.reconfigure(origin, "webpush")
		if !syncs {
			second := p.send(origin, "--title", "Reported "+u.name)
			p.waitResults(ctx, origin, second.ID, "the second view", func(m results) bool { return m.Results.Shown == 1 })
		}
		p.waitResults(ctx, origin, first.ID, "the first view", func(m results) bool { return m.Results.Shown == 1 })
	})
}
