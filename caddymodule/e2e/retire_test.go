//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// changingSite is sitePages plus an answer for every other path, which a test can
// change.
type changingSite struct {
	other   atomic.Pointer[http.HandlerFunc]
	looks   atomic.Int64 // requests for /sw.js other than the browser's update check
	reports atomic.Int64 // the worker's reports, which reach the site after webpush is removed
}

func newChangingSite() *changingSite {
	s := new(changingSite)
	s.answer(http.NotFound)
	return s
}

func (s *changingSite) answer(h http.HandlerFunc) { s.other.Store(&h) }

func (s *changingSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if page, ok := sitePages[r.URL.Path]; ok && r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
		return
	}
	if r.URL.Path == "/sw.js" && r.Method == http.MethodGet && r.Header.Get("Service-Worker") == "" {
		s.looks.Add(1)
	}
	if r.URL.Path == "/_webpush/events" {
		s.reports.Add(1)
	}
	(*s.other.Load())(w, r)
}

// unavailable and everyPage are answers of a failing site, and of a site that has
// the same page for every path.
func unavailable(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "later", http.StatusServiceUnavailable)
}

func everyPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, sitePages["/"])
}

// ownWorker serves a site's own service worker.
func ownWorker(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/sw.js" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/javascript")
	_, _ = io.WriteString(w, `self.addEventListener("install", () => self.skipWaiting()); // the site's`)
}

// reconfigure replaces a site's webpush directive, as an operator would: in the
// Caddyfile, and by a reload. absent removes the site.
func (p *product) reconfigure(origin, directive string) {
	p.t.Helper()
	file := filepath.Join(p.dir, "Caddyfile")
	kept := file + ".kept"
	if _, err := os.Stat(kept); err != nil {
		text, err := os.ReadFile(file)
		must(p.t, err)
		must(p.t, os.WriteFile(kept, text, 0o600))
	}
	text, err := os.ReadFile(kept)
	must(p.t, err)
	block := regexp.MustCompile(`(?s)(\n` + regexp.QuoteMeta(origin) + ` \{\n\tencode\n)\twebpush \{.*?\n\t\}\n(\treverse_proxy [^\n]*\n\}\n)`)
	if !block.Match(text) {
		p.t.Fatalf("%s has no webpush in\n%s", origin, text)
	}
	change := "${1}\t" + directive + "\n${2}"
	if directive == absent {
		change = ""
	}
	must(p.t, os.WriteFile(file, block.ReplaceAll(text, []byte(change)), 0o600))
	out, err := p.command("reload", "--force", "--address", p.admin, "--config", p.withDialer(file)).CombinedOutput()
	if err != nil {
		p.t.Fatalf("reloading: %v\n%s", err, out)
	}
}

const absent = "absent"

// browserState is a browser's data of a site.
type browserState struct {
	Workers    int  // registrations
	Subscribed bool // on any of them
	Caches     int
	Kept       string // local and session storage under our name
}

// browserStateAt reads it on a page of the site that does not have our script.
func browserStateAt(ctx context.Context, t *testing.T, b browser.Browser, origin string) browserState {
	t.Helper()
	page, err := b.Open(ctx, origin+"/plain.txt")
	must(t, err)
	defer func() { must(t, page.Close(ctx)) }()
	return browserStateOf(ctx, t, page)
}

// waitBrowserState polls in one page of the site, because browsers delay their update
// check while new pages open.
func waitBrowserState(ctx context.Context, t *testing.T, b browser.Browser, origin, what string, good func(browserState) bool) {
	t.Helper()
	page, err := b.Open(ctx, origin+"/plain.txt")
	must(t, err)
	defer func() { must(t, page.Close(ctx)) }()
	until(ctx, t, what, func() bool { return good(browserStateOf(ctx, t, page)) })
}

func left(s browserState) bool { return s.Workers == 0 && !s.Subscribed && s.Caches == 0 }

func browserStateOf(ctx context.Context, t *testing.T, page browser.Page) browserState {
	t.Helper()
	var s browserState
	must(t, page.Eval(ctx, `(async () => {
		const all = await navigator.serviceWorker.getRegistrations();
		const subscriptions = await Promise.all(all.map((r) => r.pushManager.getSubscription()));
		const kept = [...Object.keys(localStorage), ...Object.keys(sessionStorage)].filter((k) => k.startsWith("webpush:"));
		return {Workers: all.length, Subscribed: subscriptions.some((s) => s !== null),
			Caches: (await caches.keys()).length, Kept: kept.sort().join()};
	})()`, &s))
	return s
}

// pushAndAnswer sends a message, and the user clicks on or closes the
// notification.
func pushAndAnswer(ctx context.Context, t *testing.T, u *user, p *product, origin, title string, answer func(uint32) error) {
	t.Helper()
	p.send(origin, "--title", title, "--url", "/sale")
	shown, err := u.desktop.WaitTitle(ctx, u.name, title)
	must(t, err)
	must(t, answer(shown.ID))
}

// forgetLook removes the note that keeps the worker from checking again for
// hours.
func forgetLook(ctx context.Context, t *testing.T, b browser.Browser, origin, note string) {
	t.Helper()
	page, err := b.Open(ctx, origin+"/plain.txt")
	must(t, err)
	must(t, page.Eval(ctx, fmt.Sprintf(`caches.delete("webpush").then(async () => {
		const note = %s;
		if (note) await (await caches.open("webpush")).put("/webpush-note", new Response(JSON.stringify(note)));
	})`, note), nil))
	must(t, page.Close(ctx))
}

// waitForNote waits for the worker's note that it has checked and stays, or could not
// unregister: kept is "note" or "reports", good is a condition on the kept value.
func waitForNote(ctx context.Context, t *testing.T, page browser.Page, kept, good string) {
	t.Helper()
	must(t, browser.WaitFor(ctx, page, fmt.Sprintf(`caches.match("/webpush-%s").then((kept) => kept?.json()).then((kept) => kept && %s)`, kept, good)))
}

// subscribedSite starts a site with a subscriber and no open page, beside a second site
// that keeps webpush (and so the commands) running.
func subscribedSite(ctx context.Context, t *testing.T, b browser.Browser, site http.Handler) (*product, string) {
	t.Helper()
	p := startProductBefore(t, site, "", "")
	origin := p.origins[1]
	page := visit(ctx, t, b, origin)
	accept(ctx, t, b, page, origin)
	must(t, page.Close(ctx))
	return p, origin
}

// TestTakenOut removes webpush from a site whose visitor has our worker. If the
// site fails or can't be reached, the worker stays. If the site answers 404, the
// worker goes at its next wake-up, but not before the last notification has been
// clicked.
func TestTakenOut(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := newChangingSite()
		p, origin := subscribedSite(ctx, t, b, site)

		site.answer(unavailable)
		p.reconfigure(origin, "")
		// One report after the other, so that none comes late: a late one would
		// check again.
		page, err := b.Open(ctx, origin+"/plain.txt")
		must(t, err)
		before := site.looks.Load()
		pushAndAnswer(ctx, t, u, p, origin, "Failing "+u.name, func(id uint32) error {
			until(ctx, t, "a look at the failing site", func() bool { return site.looks.Load() > before })
			waitForNote(ctx, t, page, "note", "kept.at > 0")
			return u.desktop.Dismiss(id)
		})
		waitForNote(ctx, t, page, "reports", `kept.some(({type}) => type === "closed")`)
		if s := browserStateOf(ctx, t, page); s.Workers != 1 || !s.Subscribed {
			t.Fatalf("a site that fails: %+v", s)
		}

		forgetLook(ctx, t, b, origin, "null")
		p.reconfigure(origin, absent)
		pushAndAnswer(ctx, t, u, p, origin, "Offline "+u.name, func(id uint32) error {
			waitForNote(ctx, t, page, "reports", `kept.some(({type}) => type === "shown")`)
			return u.desktop.Dismiss(id)
		})
		waitForNote(ctx, t, page, "reports", `kept.some(({type}) => type === "closed")`)
		time.Sleep(time.Second) // time for a check that no event reports
		must(t, page.Close(ctx))
		p.reconfigure(origin, "")
		if s := browserStateAt(ctx, t, b, origin); s.Workers != 1 || !s.Subscribed {
			t.Fatalf("a site that cannot be reached: %+v", s)
		}

		site.answer(http.NotFound)
		forgetLook(ctx, t, b, origin, "null")
		before = site.looks.Load()
		pushAndAnswer(ctx, t, u, p, origin, "Last "+u.name, func(id uint32) error {
			until(ctx, t, "a look", func() bool { return site.looks.Load() > before })
			page, err := b.Open(ctx, origin+"/plain.txt")
			must(t, err)
			waitForNote(ctx, t, page, "note", "kept.since > 0")
			if s := browserStateOf(ctx, t, page); s.Workers != 1 {
				t.Errorf("before the click: %+v", s)
			}
			must(t, page.Close(ctx))
			return u.desktop.Click(id)
		})
		opened, err := b.WaitPage(ctx, func(url string) bool { return url == origin+"/sale" })
		must(t, err)
		must(t, opened.Close(ctx))
		waitBrowserState(ctx, t, b, origin, "the worker's leave", left)
	})
}

// TestTakenOutPages is the same at a site that answers every path with a page.
// That could also be a login or a filter, so it must hold for a day.
func TestTakenOutPages(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := newChangingSite()
		p, origin := subscribedSite(ctx, t, b, site)
		site.answer(everyPage)
		p.reconfigure(origin, "")

		page, err := b.Open(ctx, origin+"/plain.txt")
		must(t, err)
		before := site.looks.Load()
		pushAndAnswer(ctx, t, u, p, origin, "Pages "+u.name, func(id uint32) error {
			until(ctx, t, "a look", func() bool { return site.looks.Load() > before })
			waitForNote(ctx, t, page, "note", "kept.at > 0")
			return u.desktop.Dismiss(id)
		})
		until(ctx, t, "the report of the dismissal", func() bool { return site.reports.Load() > 1 })
		if s := browserStateOf(ctx, t, page); s.Workers != 1 || !s.Subscribed {
			t.Fatalf("on the first day: %+v", s)
		}
		must(t, page.Close(ctx))

		forgetLook(ctx, t, b, origin, "{at: Date.now() - 7 * 3600e3, since: Date.now() - 25 * 3600e3}")
		pushAndAnswer(ctx, t, u, p, origin, "Next day "+u.name, u.desktop.Dismiss)
		waitBrowserState(ctx, t, b, origin, "the worker's leave", left)
	})
}

// TestTakenOutOwnWorker: the site's own registration stays, even if its script is
// gone.
func TestTakenOutOwnWorker(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := newChangingSite()
		site.answer(ownWorker)
		p, origin := subscribedSite(ctx, t, b, site)
		site.answer(http.NotFound)
		p.reconfigure(origin, "")
		pushAndAnswer(ctx, t, u, p, origin, "Own "+u.name, u.desktop.Click)
		opened, err := b.WaitPage(ctx, func(url string) bool { return url == origin+"/sale" })
		must(t, err)
		must(t, opened.Close(ctx))
		until(ctx, t, "reports that the site refuses", func() bool { return site.reports.Load() > 1 })
		time.Sleep(time.Second) // for an unwanted effect
		if s := browserStateAt(ctx, t, b, origin); s.Workers != 1 || !s.Subscribed {
			t.Errorf("%+v", s)
		}
	})
}

// TestRetire ends push in the orderly way: visitors who return are unsubscribed
// at both ends and keep nothing of ours.
func TestRetire(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p, origin := subscribedSite(ctx, t, b, newChangingSite())
		p.reconfigure(origin, "webpush {\n\t\tretire\n\t}")
		page, err := b.Open(ctx, origin+"/sale")
		must(t, err)
		// The browser may cache the script for a minute.
		must(t, page.Eval(ctx, `fetch("/_webpush/sdk.js", {cache: "reload"}).then((r) => r.text()).then(() => null)`, nil))
		said := len(page.Console()) // by an older script
		must(t, page.Reload(ctx))
		must(t, browser.WaitFor(ctx, page, "window.webpush"))
		var call struct{ Supported, Manifest bool }
		var outcome string
		must(t, page.Eval(ctx, `webpush.state().then((s) => ({...s, manifest: !!document.querySelector("link[rel=manifest]")}))`, &call))
		must(t, page.Eval(ctx, `webpush.prompt({force: true})`, &outcome))
		if call.Supported || call.Manifest || outcome != "unsupported" {
			t.Errorf("in the page: %+v, prompt %q", call, outcome)
		}
		until(ctx, t, "the removal of the row", func() bool { return p.subscribers(origin) == 0 })
		waitBrowserState(ctx, t, b, origin, "the worker's leave", func(s browserState) bool { return s == browserState{} })
		for _, line := range page.Console()[said:] {
			// The older script may have posted once more, and the console may
			// report it late.
			if strings.Contains(line.Text, "webpush") && !strings.Contains(line.Text, "410 (Gone)") {
				t.Errorf("the console says %+v", line)
			}
		}
		must(t, page.Close(ctx))
	})
}

// TestRetireByUpdate: where no page has our script, the browser's own update
// check brings the worker that unregisters itself.
func TestRetireByUpdate(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p, origin := subscribedSite(ctx, t, b, newChangingSite())
		p.reconfigure(origin, "webpush {\n\t\tretire\n\t}")
		waitBrowserState(ctx, t, b, origin, "the worker's leave", left)
		until(ctx, t, "the removal of the row", func() bool { return p.subscribers(origin) == 0 })
	})
}

// TestRetireOwnWorker: the site's worker loses our part and stays.
func TestRetireOwnWorker(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := newChangingSite()
		site.answer(ownWorker)
		p, origin := subscribedSite(ctx, t, b, site)
		p.reconfigure(origin, "webpush {\n\t\tretire\n\t}")
		page, err := b.Open(ctx, origin+"/sale")
		must(t, err)
		must(t, page.Eval(ctx, `fetch("/_webpush/sdk.js", {cache: "reload"}).then((r) => r.text()).then(() => null)`, nil))
		must(t, page.Reload(ctx))
		until(ctx, t, "the removal of the row", func() bool { return p.subscribers(origin) == 0 })
		waitBrowserState(ctx, t, b, origin, "the end of the subscription", func(s browserState) bool { return !s.Subscribed && s.Kept == "" })
		var script string
		must(t, page.Eval(ctx, `fetch("/sw.js").then((r) => r.text())`, &script))
		if !strings.HasSuffix(script, "// the site's") {
			t.Errorf("the worker is %q", script)
		}
		if s := browserStateAt(ctx, t, b, origin); s.Workers != 1 {
			t.Errorf("%+v", s)
		}
		must(t, page.Close(ctx))
	})
}

// TestRetireForeign: a subscription that another provider has made on our
// worker's registration is not ended.
func TestRetireForeign(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, newChangingSite(), "", "")
		origin := p.origins[1]
		must(t, b.SetPermission(ctx, origin, browser.Granted))
		foreign, err := webpush.GenerateKeyPair()
		must(t, err)
		page, err := b.Open(ctx, origin+"/plain.txt")
		must(t, err)
		must(t, page.Eval(ctx, fmt.Sprintf(`navigator.serviceWorker.register("/sw.js").then(() => navigator.serviceWorker.ready)
			.then((r) => r.pushManager.subscribe({userVisibleOnly: true, applicationServerKey: %q})).then(() => null)`, foreign.PublicKey()), nil))
		must(t, page.Eval(ctx, `navigator.serviceWorker.ready.then((r) => void (r.onupdatefound = () => {
			const worker = r.installing;
			worker.onstatechange = () => { window.became = worker.state };
		}))`, nil))
		p.reconfigure(origin, "webpush {\n\t\tretire\n\t}")
		visited, err := b.Open(ctx, origin+"/")
		must(t, err)
		must(t, browser.WaitFor(ctx, visited, "!!window.webpush"))
		// It is activated when it has finished its own work.
		must(t, browser.WaitFor(ctx, page, `["activated", "redundant"].includes(window.became)`))
		if s := browserStateOf(ctx, t, page); s.Workers != 1 || !s.Subscribed {
			t.Errorf("%+v", s)
		}
		must(t, visited.Close(ctx))
		must(t, page.Close(ctx))
	})
}
