//go:build e2e

package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// workerPathSite has two pages that name a worker: one exists; for the other, the
// site answers with a page, as single-page sites do.
func workerPathSite(w http.ResponseWriter, r *http.Request) {
	kind, body := "text/html; charset=utf-8", `<!DOCTYPE html><html lang="en"><head><title>x</title></head><body>No page</body></html>`
	page := func(path string) string {
		return strings.Replace(embed, "SCRIPT", `clevertap.notifications.push({skipDialog: true, serviceWorkerPath: "`+path+`", subscriptionCallback: on("subscribed")});`, 1)
	}
	switch r.URL.Path {
	case "/":
		body = page("/push/my-worker.js")
	case "/missing":
		body = page("/no-worker.js")
	case "/plain":
		body = strings.Replace(embed, "SCRIPT", "", 1)
	case "/push/my-worker.js":
		kind, body = "text/javascript", `self.addEventListener("message", (event) => event.ports[0]?.postMessage("the site's own"));`
	}
	w.Header().Set("Content-Type", kind)
	_, _ = io.WriteString(w, body)
}

// registered lists each registration's worker and scope.
const registered = `navigator.serviceWorker.getRegistrations().then((all) => all.map((r) => new URL(r.active?.scriptURL ?? "about:blank").pathname + " " + new URL(r.scope).pathname).join())`

// TestClevertapWorkerPath: serviceWorkerPath registers the site's own worker,
// which keeps its functions and shows our notifications. If that worker does not
// exist, the site's setting holds, and the console reports it.
func TestClevertapWorkerPath(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(workerPathSite), "compat clevertap\n\t\t"+byHand, "compat clevertap\n\t\t"+byHand)
		origin := p.origins[0]
		page := openAs(ctx, t, b, origin, "/", browser.Granted)
		must(t, browser.WaitFor(ctx, page, `called.includes("subscribed")`))
		if got := evaluated[string](ctx, t, page, registered); got != "/push/my-worker.js /push/" {
			t.Errorf("registered are %q", got)
		}
		own := evaluated[string](ctx, t, page, `new Promise(async (answer) => {
			const registration = await navigator.serviceWorker.getRegistration("/push/");
			const { port1, port2 } = new MessageChannel();
			port1.onmessage = (event) => answer(event.data);
			registration.active.postMessage("?", [port2]);
		})`)
		if own != "the site's own" {
			t.Errorf("the worker answers %q", own)
		}
		title := t.Name()
		if m := p.send(origin, "--title", title); m.Results.Accepted != 1 {
			t.Fatalf("sent: %+v", m.Results)
		}
		_, err := u.desktop.WaitTitle(ctx, u.name, title)
		must(t, err)
		// A page without the option keeps the worker.
		must(t, page.Navigate(ctx, origin+"/plain"))
		must(t, browser.WaitFor(ctx, page, `clevertap.getAccountID()`))
		must(t, browser.WaitFor(ctx, page, `webpush.state().then((state) => state.subscribed)`))
		if got := evaluated[string](ctx, t, page, registered); got != "/push/my-worker.js /push/" || p.subscribers(origin) != 1 {
			t.Errorf("on another page are registered %q, %d subscribers", got, p.subscribers(origin))
		}
		must(t, page.Close(ctx))

		origin = p.origins[1]
		page = openAs(ctx, t, b, origin, "/missing", browser.Granted)
		must(t, browser.WaitFor(ctx, page, `called.includes("subscribed")`))
		if got := evaluated[string](ctx, t, page, registered); got != "/sw.js /" {
			t.Errorf("without a worker there are registered %q", got)
		}
		logged := false
		for _, line := range page.Console() {
			logged = logged || strings.Contains(line.Text, "/no-worker.js is not a service worker; /sw.js is used instead")
		}
		if !logged {
			t.Errorf("the console has %v", page.Console())
		}
		must(t, page.Close(ctx))
	})
}
