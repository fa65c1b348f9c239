//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// onPageScript is the shop's own script: it has a function for pop-ups to call,
// and records their events.
const onPageScript = arrivals + `window.told = []; window.called = []; window.messages = [];
window.shop = {greet: (kv) => called.push(JSON.stringify(kv))};
document.addEventListener("securitypolicyviolation", (e) => told.push("violation " + e.effectiveDirective + " " + e.blockedURI));
addEventListener("load", () => {
	webpush.on("popup", () => window.first ??= performance.now());
	webpush.on("popup", (d) => told.push([d.act, d.id, d.element, d.value].filter((part) => part).join(" ")));
	if (location.pathname === "/k/custom") webpush.notificationCallback = (message) => messages.push(message);
});`

// onPageCleverTap is the same for a shop that uses only CleverTap's API. Its
// query sets the value of spam.
const onPageCleverTap = `var clevertap = {event: [], profile: [], account: [], onUserLogin: [], notifications: [], privacy: []};
clevertap.account.push({id: "TEST-ACCOUNT"});
clevertap.dismissSpamControl = !location.search.includes("spam=false");
if (location.pathname === "/own") clevertap.notificationCallback = (message) => messages.push(message);`

// onPageSite has the strictest policy under which a site can use pop-ups of all
// kinds. It enforces Trusted Types where browsers support them.
func onPageSite(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", trustedPolicy)
	switch r.URL.Path {
	case "/shop.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, onPageScript)
		return
	case "/clevertap.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, onPageCleverTap)
		return
	case "/lighthouse.svg":
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = io.WriteString(w, lighthouse)
		return
	}
	script, banner := "", ""
	if r.URL.Path == "/spam" || r.URL.Path == "/own" || r.URL.Path == "/box" {
		script = `<script src="/clevertap.js"></script>`
	}
	if r.URL.Path == "/busy" {
		banner = `<div id="onetrust-banner-sdk">Cookies?</div>`
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><head><title>Shop</title><script src="/shop.js"></script>%s</head>
<body><h1>Shop</h1><button id="buy" type="button">Buy</button>%s<svg width="9" height="3000"></svg></body></html>`, script, banner)
}

// onPageWatch records when the SDK last read the server's data about pop-ups. It
// counts failures, and how often a due pop-up checks whether it may appear.
const onPageWatch = `{ const original = window.fetch; window.answered = window.failed = window.looks = 0;
window.fetch = (...args) => original(...args).then((response) => {
	const read = () => Response.prototype.json.call(response);
	if (String(args[0]).endsWith("/messages")) response.json = () => read().then((popups) => { answered = performance.now(); return popups; });
	return response;
}, (error) => { failed++; throw error; });
const later = window.setTimeout;
window.setTimeout = (run, ms, ...more) => { if (ms === 500) looks++; return later(run, ms, ...more); }; }`

// onPage is a visitor's tab at one of the sites.
type onPage struct {
	tracker
	all  *product // its Caddy stops when all sites' tests have ended
	page browser.Page
	site string
	line *line
}

// onPageOptions are the sites of TestPopupsOnSite.
var onPageOptions = []struct {
	name, options string
	run           func(x *onPage)
}{
	{"kinds", byHand, (*onPage).kinds},
	{"caps", byHand, (*onPage).caps},
	{"enough", byHand, (*onPage).enough},
	{"CleverTap", "compat clevertap\n\t\t" + byHand, (*onPage).cleverTap},
	{"cut", byHand, (*onPage).cut},
}

// TestPopupsOnSite runs one Caddy before a shop with strict policies. Pop-ups of
// all kinds appear at their triggers, act on clicks, and are counted. Caps and
// groups hold across restarts, devices and cleared storage. Events from the time
// of a network cut are counted once.
func TestPopupsOnSite(t *testing.T) {
	forBoth(t, func(t *testing.T, u *user) {
		b := u.start(t)
		p, line := startOnPage(t)
		for i, c := range onPageOptions {
			t.Run(c.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*flowTime)
				defer cancel()
				mine := *p
				mine.t = t
				x := &onPage{tracker{t, ctx, &mine, b, p.origins[i]}, p, nil, "sites/" + host(p.origins[i]), line}
				must(t, b.SetPermission(ctx, x.origin, browser.Default))
				x.page = x.tab()
				c.run(x)
				must(t, x.page.Close(ctx))
			})
		}
	})
}

// startOnPage starts Caddy. The line leads to the last site.
func startOnPage(t *testing.T) (*product, *line) {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(onPageSite))
	t.Cleanup(upstream.Close)
	var between *line
	var origins, blocks []string
	for i := range onPageOptions {
		address, bind := freeAddress(t), ""
		if i == len(onPageOptions)-1 {
			bind = "bind 127.0.0.2\n\t"
			between = startLine(t, address, strings.Replace(address, "127.0.0.1", "127.0.0.2", 1))
		}
		origins = append(origins, "http://"+address)
		blocks = append(blocks, fmt.Sprintf("%s {\n\t%sencode\n\twebpush {\n\t\t%s\n\t}\n\treverse_proxy %s\n}\n",
			origins[i], bind, onPageOptions[i].options, strings.TrimPrefix(upstream.URL, "http://")))
	}
	return startProductWith(t, origins, strings.Join(blocks, "\n")), between
}

func (x *onPage) tab() browser.Page {
	x.Helper()
	page, err := x.b.Open(x.ctx, "about:blank")
	must(x.T, err)
	must(x.T, page.Preload(x.ctx, onPageWatch))
	must(x.T, page.Preload(x.ctx, lingering()))
	return page
}

// put stores pop-ups by the CLI, each from a file, and publishes them.
func (x *onPage) put(popups ...m) {
	x.Helper()
	args := []string{"popups", "put", "--run", "--site", host(x.origin)}
	folder := x.TempDir()
	for _, popup := range popups {
		raw, err := json.Marshal(popup)
		must(x.T, err)
		file := filepath.Join(folder, popup["id"].(string)+".json")
		must(x.T, os.WriteFile(file, raw, 0o600))
		args = append(args, file)
	}
	x.p.cli(nil, args...)
	// Browsers cache the script, which has the pop-ups' rules, for a minute.
	must(x.T, x.page.Eval(x.ctx, `location.origin === `+js(x.origin)+` && fetch("/_webpush/sdk.js", {cache: "reload"}).then((answer) => answer.text()).then(() => true)`, nil))
}

// everyTime removes the site's limit of pop-ups.
func (x *onPage) everyTime() {
	x.Helper()
	if status := x.p.api(x.ctx, http.MethodPut, x.site+"/popup-settings", m{"popupsPerSession": 0}, nil); status >= 300 {
		x.Fatalf("settings: %d", status)
	}
}

func (x *onPage) wait(what, expression string) {
	x.Helper()
	if err := within(x.ctx, x.page, expression); err != nil {
		x.Fatalf("%s: %v; told %q, console %v", what, err, x.pageLog(), x.page.Console())
	}
}

func (x *onPage) pageLog() []string {
	x.Helper()
	return evaluated[[]string](x.ctx, x.T, x.page, "window.told ?? []")
}

func (x *onPage) click(selector string) {
	x.Helper()
	must(x.T, x.page.Click(x.ctx, selector))
}

// waitTold waits until the page has got an event.
func (x *onPage) waitTold(line string) {
	x.Helper()
	x.wait(line, "told.includes("+js(line)+")")
}

// visit opens a page.
func (x *onPage) visit(path string) {
	x.Helper()
	must(x.T, visitPage(x.ctx, x.page, x.origin, path))
}

// shows opens a page and returns the first pop-up that appears there.
func (x *onPage) shows(path string) string {
	x.Helper()
	x.visit(path)
	x.wait("a pop-up on "+path, `told.some((line) => line.startsWith("shown "))`)
	return evaluated[string](x.ctx, x.T, x.page, `told.find((line) => line.startsWith("shown ")).slice(6)`)
}

// sees is shows for a counted pop-up: it waits until the API counts the view.
func (x *onPage) sees(path, id string) {
	x.Helper()
	if got := x.shows(path); got != id {
		x.Fatalf("%s shows %s, want %s", path, got, id)
	}
	x.waitTold("viewed " + id)
	x.counted(id, map[string]int64{"viewed": 1})
}

// wants opens a page and checks which pop-up appears there.
func (x *onPage) wants(path, id, why string) {
	x.Helper()
	if got := x.shows(path); got != id {
		x.Errorf("%s: %s shows %s, want %s", why, path, got, id)
	}
}

// paths limits a pop-up to some pages.
func paths(in ...string) m { return m{"paths": m{"in": in}} }

// onPageKinds are all kinds, each with another trigger and another click.
var onPageKinds = []struct {
	popup   m
	trigger func(x *onPage)
	answer  func(x *onPage)
	counts  map[string]int64
}{
	{
		m{"id": "box", "kind": "box", "when": m{"seconds": 1}, "content": m{"title": "T", "buttons": []m{
			{"id": "no", "text": "N", "action": m{"do": "none"}}, {"id": "off", "text": "C", "action": m{"do": "close"}},
		}}},
		nil,
		func(x *onPage) {
			x.late()
			x.click("#button-1")
			x.waitTold("clicked box no")
			x.click("#button-2")
			x.waitTold("closed box action")
			x.wait("gone", "!"+onPageOpen)
		},
		map[string]int64{"viewed": 1, "clicked": 2, "closed": 1},
	},
	{
		m{
			"id": "top", "kind": "banner", "position": "top", "when": m{"scroll": 50}, "click": m{"do": "call", "function": "shop.greet"},
			"content": m{"title": "T", "kv": m{"coupon": "X"}},
		},
		func(x *onPage) { x.run(x.page, "scrollTo(0, document.body.scrollHeight)") },
		func(x *onPage) {
			x.click("#whole")
			x.wait("the call", `called[0] === '{"coupon":"X"}'`)
		},
		map[string]int64{"viewed": 1, "clicked": 1},
	},
	{
		m{"id": "bottom", "kind": "banner", "when": m{"idle": 1}, "click": m{"do": "open", "url": "/elsewhere?tab", "newTab": true}, "content": m{"title": "T"}},
		nil,
		func(x *onPage) {
			x.late()
			x.click("#whole")
			opened, err := x.b.WaitPage(x.ctx, func(url string) bool { return url == x.origin+"/elsewhere?tab" })
			must(x.T, err)
			must(x.T, opened.Close(x.ctx))
			must(x.T, x.page.Front(x.ctx))
		},
		map[string]int64{"viewed": 1, "clicked": 1},
	},
	{
		m{"id": "full", "kind": "interstitial", "when": m{"event": "go"}, "content": m{"title": "T", "buttons": []m{
			{"id": "yes", "text": "Y", "action": m{"do": "open", "url": "/elsewhere"}},
		}}},
		func(x *onPage) { x.run(x.page, `webpush.event("go")`) },
		func(x *onPage) {
			x.click("#button-1")
			x.wait("the other page", `location.pathname === "/elsewhere"`)
		},
		map[string]int64{"viewed": 1, "clicked": 1},
	},
	{
		m{"id": "corner", "kind": "corner", "when": m{"exit": true}, "content": m{"title": "T", "buttons": []m{
			{"id": "code", "text": "TEN", "action": m{"do": "copy", "text": "TEN"}},
		}}},
		func(x *onPage) {
			until(x.ctx, x.T, "the pop-up of who leaves", func() bool {
				must(x.T, x.page.LeaveTop(x.ctx))
				return slices.Contains(x.pageLog(), "shown corner")
			})
		},
		func(x *onPage) {
			x.click("#button-1")
			x.wait("copied", `[...document.querySelectorAll(".webpush-popup")].some((host) => host.shadowRoot.getElementById("button-1")?.textContent === "Copied")`)
		},
		map[string]int64{"viewed": 1, "clicked": 1},
	},
	{
		m{"id": "image", "kind": "image", "when": m{"click": "#buy"}, "click": m{"do": "close"}, "content": m{"image": "/lighthouse.svg", "imageAlt": "A"}},
		func(x *onPage) { x.click("#buy") },
		func(x *onPage) {
			x.click("#whole")
			x.waitTold("closed image action")
		},
		map[string]int64{"viewed": 1, "clicked": 1, "closed": 1},
	},
	{
		m{"id": "html", "kind": "html", "content": m{
			"html": `<style>html, body { margin: 0; height: 100% } a { position: fixed; inset: 0; min-height: 80px; display: block }</style><a wzrk_c2a="buy" href="#">Buy</a>`,
		}},
		nil, clickOwnHTML,
		map[string]int64{"viewed": 1, "clicked": 1},
	},
	{
		m{"id": "email", "kind": "box", "content": m{"title": "T", "input": m{"kind": "email", "label": "L", "event": "Newsletter"}}},
		nil,
		func(x *onPage) {
			x.run(x.page, `document.querySelector(".webpush-popup").shadowRoot.getElementById("answer").value = "ann@example.com"`)
			x.click("#submit")
			x.waitTold("submitted email Newsletter ann@example.com")
		},
		map[string]int64{"viewed": 1, "submitted": 1},
	},
	{
		m{"id": "survey", "kind": "corner", "content": m{"title": "T", "input": m{"kind": "choice", "label": "L", "options": []string{"a", "b"}, "event": "Survey"}}},
		nil,
		func(x *onPage) {
			x.click(".option:nth-of-type(2)")
			x.click("#submit")
			x.waitTold("submitted survey Survey b")
		},
		map[string]int64{"viewed": 1, "submitted": 1},
	},
	{
		m{"id": "custom", "kind": "custom", "click": m{"do": "call", "function": "shop.greet"}, "content": m{"title": "T", "kv": m{"a": "1"}}},
		nil,
		func(x *onPage) {
			x.run(x.page, "webpush.raiseNotificationClicked()")
			x.wait("the call", `called[0] === '{"a":"1"}'`)
		},
		map[string]int64{"viewed": 1, "clicked": 1},
	},
	{
		m{"id": "ask", "kind": "box", "content": m{"title": "T", "buttons": []m{{"id": "yes", "text": "Y", "action": m{"do": "subscribe"}}}}},
		nil,
		func(x *onPage) {
			must(x.T, x.b.SetPermission(x.ctx, x.origin, browser.Granted))
			x.click("#button-1")
			until(x.ctx, x.T, "the subscription", func() bool { return x.p.subscribers(x.origin) == 1 })
		},
		map[string]int64{"viewed": 1, "clicked": 1},
	},
	{
		m{"id": "inbox", "kind": "inbox", "click": m{"do": "call", "function": "shop.greet"}, "content": m{"title": "T", "kv": m{"b": "2"}}},
		nil,
		func(x *onPage) {
			x.click(".item")
			x.wait("the call", `called[0] === '{"b":"2"}'`)
		},
		map[string]int64{"viewed": 1, "clicked": 1},
	},
}

// onPageOpen is true if a pop-up is on the page; the bell does not count.
const onPageOpen = `!!document.querySelector(".webpush-popup:not(#webpush-inbox)")`

// late checks that at least a second passed before a pop-up with that delay.
func (x *onPage) late() {
	x.Helper()
	if ms := evaluated[float64](x.ctx, x.T, x.page, "first - answered"); ms < 950 {
		x.Errorf("shown after %.0f ms", ms)
	}
}

// clickOwnHTML repeats clickInFrame until the page has got the event.
func clickOwnHTML(x *onPage) {
	clickInFrame(x.ctx, x.T, x.page, `told.includes("clicked html buy")`)
}

// kinds stores the pop-ups by the CLI and checks the pages' source.
func (x *onPage) kinds() {
	x.everyTime()
	before := x.source("/k/none")
	var all []m
	for _, kind := range onPageKinds {
		popup := m{"where": paths("/k/" + kind.popup["id"].(string))}
		for name, value := range kind.popup {
			popup[name] = value
		}
		all = append(all, popup)
	}
	x.put(all...)
	if after := x.source("/k/none"); after != before {
		x.Errorf("pop-ups have changed the page's HTML from\n%s\nto\n%s", before, after)
	}
	for _, kind := range onPageKinds {
		x.kind(kind.popup["id"].(string), kind.trigger, kind.answer)
	}
	for _, kind := range onPageKinds {
		x.counted(kind.popup["id"].(string), kind.counts)
	}
	x.until("the answers", func(people []person) bool {
		profile := personWith(people, "")
		return len(people) == 1 && profile.Events["Newsletter"].Count == 1 && profile.Events["Survey"].Count == 1
	})
	var stats struct{ Variants []struct{ Viewed int } }
	x.p.cli(&stats, "popups", "stats", "--site", host(x.origin), "box")
	if len(stats.Variants) != 1 || stats.Variants[0].Viewed != 1 {
		x.Errorf("by the CLI: %+v", stats)
	}
	x.busy()
}

// kind opens a pop-up's page, triggers it, checks it and answers it.
func (x *onPage) kind(id string, trigger, answer func(x *onPage)) {
	x.Helper()
	x.visit("/k/" + id)
	shown := "told.includes(" + js("shown "+id) + ")"
	if trigger != nil {
		x.wait("the server's answer for "+id, "answered > 0 && looked()")
		if evaluated[bool](x.ctx, x.T, x.page, shown) {
			x.Errorf("%s came before its time", id)
		}
		trigger(x)
	}
	x.waitTold("shown " + id)
	switch id {
	case "inbox":
		x.click("#bell")
	case "custom":
		x.wait("the message", "messages.length > 0")
		x.run(x.page, "webpush.raiseNotificationViewed()")
	}
	x.waitTold("viewed " + id)
	answer(x)
	if lines := x.pageLog(); slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "violation") }) {
		x.Errorf("%s: %q", id, lines)
	}
}

// source returns a page as browsers get it.
func (x *onPage) source(path string) string {
	x.Helper()
	resp, err := http.Get(x.origin + path)
	must(x.T, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	must(x.T, err)
	return string(raw)
}

// busy: a pop-up waits for the end of our prompt, and of a consent banner.
func (x *onPage) busy() {
	must(x.T, x.page.Eval(x.ctx, "webpush.unsubscribe()", nil))
	must(x.T, x.b.SetPermission(x.ctx, x.origin, browser.Default))
	x.put(m{"id": "later", "kind": "corner", "where": paths("/busy"), "when": m{"event": "go"}, "content": m{"title": "T"}})
	x.visit("/busy")
	x.wait("the server's answer", "answered > 0")
	x.run(x.page, `webpush.prompt({force: true})`)
	x.wait("the question", promptShown)
	x.run(x.page, `webpush.event("go")`)
	waits := func(why string) {
		x.wait("a look at "+why, fmt.Sprintf("looks > %v", evaluated[float64](x.ctx, x.T, x.page, "looks")))
		if slices.Contains(x.pageLog(), "shown later") {
			x.Errorf("shown over %s", why)
		}
	}
	waits("the question")
	x.click("#reject")
	x.wait("the end of the question", "!"+promptShown)
	waits("a consent banner")
	x.run(x.page, `document.getElementById("onetrust-banner-sdk").remove()`)
	x.waitTold("shown later")
}
