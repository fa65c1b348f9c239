//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// runnerSite has a function for pop-ups to call, and a page that renders them
// itself.
func runnerSite(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	script := arrivals + `window.told = []; const shop = window.shop = {greet: (kv) => told.push("greet " + JSON.stringify(kv))};
		addEventListener("load", () => webpush.on("popup", (d) => told.push(d.act + " " + d.id + (d.element ? " " + d.element : ""))));`
	if r.URL.Path == "/own" {
		script += `addEventListener("load", () => { webpush.notificationCallback = (m) => { window.message = m; }; });`
	}
	_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><head><title>Shop</title><script>%s</script></head>
<body><h1>Shop</h1><div style="height: 3000px"></div></body></html>`, script)
}

// arrivals is a part of a site's own script. arrived reports whether a module of
// ours is loaded and its importer has run; the page has one instance of it.
// looked reports whether all immediate work of pop-ups on this page is done.
const arrivals = `window.arrived = async (name, of = name) => {
	const entry = performance.getEntriesByType("resource").find(({ name }) => name.includes("/_webpush/" + of + ".js"));
	if (!entry) return false;
	await import(entry.name.replace(of, name));
	await new Promise((go) => setTimeout(go));
	return true;
};
window.looked = async () => performance.getEntriesByType("resource").some((e) => e.name.endsWith("/messages") && e.responseEnd) &&
	(await arrived("wait")) && (await arrived("popup", "wait"));
`

// m is JSON.
type m = map[string]any

// runnerPopups are the site's pop-ups; each has its own page.
var runnerPopups = []m{
	{
		"id": "greeting", "kind": "box", "where": m{"paths": m{"in": []string{"/"}}}, "when": m{"event": "go"}, "caps": m{"session": 1},
		"content": m{
			"title": "Welcome", "kv": m{"coupon": "X"},
			"buttons": []m{{"id": "yes", "text": "Yes", "action": m{"do": "call", "function": "shop.greet", "close": true}}},
		},
	},
	{"id": "leaving", "kind": "corner", "where": m{"paths": m{"in": []string{"/exit"}}}, "when": m{"exit": true, "seconds": 3000}, "content": m{"title": "Stay"}},
	{"id": "route", "kind": "corner", "where": m{"paths": m{"in": []string{"/route"}}}, "content": m{"title": "Here"}},
	{
		"id": "own", "kind": "custom", "where": m{"paths": m{"in": []string{"/own"}}}, "click": m{"do": "call", "function": "shop.greet"},
		"content": m{"title": "Title", "body": "Text", "kv": m{"a": "1"}},
	},
	{"id": "draft", "kind": "box", "state": "draft", "content": m{"title": "Not yet"}},
}

const popupOpen = `!!document.querySelector(".webpush-popup")`

// acts returns the counts of a pop-up, by act.
func (p *product) acts(ctx context.Context, origin, id string) map[string]int64 {
	p.t.Helper()
	var stats struct {
		Variants []map[string]any
	}
	p.api(ctx, http.MethodGet, "sites/"+host(origin)+"/popups/"+id+"/stats", nil, &stats)
	sum := map[string]int64{}
	for _, v := range stats.Variants {
		for name, n := range v {
			if number, ok := n.(float64); ok {
				sum[name] += int64(number)
			}
		}
	}
	return sum
}

// TestPopupRunner: pop-ups appear at their time and place and as often as they
// may, and their views and clicks are counted.
func TestPopupRunner(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(runnerSite), byHand)
		x := &tracker{t, ctx, p, b, p.origins[0]}
		site := "sites/" + host(x.origin)
		if status := p.api(ctx, http.MethodPut, site+"/popup-settings", m{"popupsPerSession": 0}, nil); status >= 300 {
			t.Fatalf("settings: %d", status)
		}
		for _, popup := range runnerPopups {
			body := m{"state": "running"}
			for k, v := range popup {
				body[k] = v
			}
			if status := p.api(ctx, http.MethodPost, site+"/popups", body, nil); status != http.StatusCreated {
				t.Fatalf("%v: %d", popup["id"], status)
			}
		}
		x.noneApplies()
		x.atEvent()
		x.atExit()
		x.onRoute()
		x.rendered()
		x.preview(site)
	})
}

// counted waits until the counts are as wanted.
func (x *tracker) counted(id string, want map[string]int64) {
	x.Helper()
	var last map[string]int64
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		last = x.p.acts(x.ctx, x.origin, id)
		good := true
		for act, n := range want {
			good = good && last[act] == n
		}
		if good {
			return
		}
	}
	x.Errorf("%s: counted %v, want %v", id, last, want)
}

// noneApplies: where no pop-up can apply, nothing is requested for them.
func (x *tracker) noneApplies() {
	page := x.open("/none")
	must(x.T, browser.WaitFor(x.ctx, page, nothingWaits+` && localStorage.getItem("webpush:told")`))
	if extra := evaluated[[]string](x.ctx, x.T, page, `performance.getEntriesByType("resource").map((e) => e.name).filter((name) => /onsite|popup|messages|wait/.test(name))`); len(extra) > 0 {
		x.Errorf("fetched for nothing: %q", extra)
	}
	must(x.T, page.Close(x.ctx))
}

func (x *tracker) atEvent() {
	page := x.open("/")
	must(x.T, browser.WaitFor(x.ctx, page, "looked()"))
	if evaluated[bool](x.ctx, x.T, page, popupOpen) {
		x.Error("shown before its event")
	}
	x.run(page, `webpush.event("go")`)
	must(x.T, browser.WaitFor(x.ctx, page, popupOpen))
	x.counted("greeting", map[string]int64{"viewed": 1})
	must(x.T, page.Click(x.ctx, "#button-1"))
	must(x.T, browser.WaitFor(x.ctx, page, "!"+"("+popupOpen+")"))
	lines := evaluated[[]string](x.ctx, x.T, page, "told")
	for _, want := range []string{"shown greeting", "viewed greeting", "clicked greeting yes", `greet {"coupon":"X"}`, "closed greeting action"} {
		if !slices.Contains(lines, want) {
			x.Errorf("the page received %q, without %q", lines, want)
		}
	}
	x.counted("greeting", map[string]int64{"viewed": 1, "clicked": 1, "closed": 1})
	must(x.T, page.Reload(x.ctx))
	must(x.T, browser.WaitFor(x.ctx, page, `window.webpush && localStorage.getItem("webpush:views") === "3"`))
	x.run(page, `webpush.event("go")`)
	time.Sleep(700 * time.Millisecond) // for an unwanted request
	if evaluated[bool](x.ctx, x.T, page, popupOpen) {
		x.Error("shown again in the same visit")
	}
	must(x.T, page.Close(x.ctx))
}

func (x *tracker) atExit() {
	page := x.open("/exit")
	must(x.T, browser.WaitFor(x.ctx, page, "looked()"))
	if evaluated[bool](x.ctx, x.T, page, popupOpen) {
		x.Error("shown to who stays")
	}
	until(x.ctx, x.T, "the pop-up of who leaves", func() bool {
		x.run(page, `document.documentElement.dispatchEvent(new MouseEvent("mouseleave", {clientY: -1}))`)
		return evaluated[bool](x.ctx, x.T, page, popupOpen)
	})
	must(x.T, page.Close(x.ctx))
}

// onRoute leaves a pop-up's page within the document.
func (x *tracker) onRoute() {
	page := x.open("/route")
	must(x.T, browser.WaitFor(x.ctx, page, popupOpen))
	x.counted("route", map[string]int64{"viewed": 1})
	if evaluated[bool](x.ctx, x.T, page, `"navigation" in window`) {
		x.run(page, `history.pushState(null, "", "/other")`)
		must(x.T, browser.WaitFor(x.ctx, page, "!"+"("+popupOpen+")"))
		if lines := evaluated[[]string](x.ctx, x.T, page, "told"); slices.ContainsFunc(lines, func(s string) bool { return s[:6] == "closed" }) {
			x.Errorf("gone with its route, and told as closed: %q", lines)
		}
	}
	must(x.T, page.Close(x.ctx))
}

// rendered lets the page show the pop-up itself.
func (x *tracker) rendered() {
	page := x.open("/own")
	must(x.T, browser.WaitFor(x.ctx, page, "window.message"))
	got := evaluated[string](x.ctx, x.T, page, "JSON.stringify(message)")
	want := fmt.Sprintf(`{"msgContent":{"title":"Title","description":"Text"},"msgId":"own_%s","kv":{"a":"1"}}`, time.Now().UTC().Format("20060102"))
	if got != want {
		x.Errorf("the page got %s, want %s", got, want)
	}
	x.run(page, `webpush.raiseNotificationViewed(), webpush.raiseNotificationViewed(), webpush.raiseNotificationClicked({msgId: message.msgId}), webpush.raiseNotificationClicked({msgId: "other_1"})`)
	must(x.T, browser.WaitFor(x.ctx, page, `told.includes('greet {"a":"1"}')`))
	x.counted("own", map[string]int64{"viewed": 1, "clicked": 1})
	must(x.T, page.Close(x.ctx))
}

// preview shows a draft to its operator, and counts nothing.
func (x *tracker) preview(site string) {
	var preview struct{ URL string }
	if status := x.p.api(x.ctx, http.MethodPost, site+"/popups/draft/preview", m{"page": x.origin + "/none"}, &preview); status != http.StatusCreated {
		x.Fatalf("preview: %d", status)
	}
	page, err := x.b.Open(x.ctx, preview.URL)
	must(x.T, err)
	must(x.T, browser.WaitFor(x.ctx, page, popupOpen))
	must(x.T, browser.WaitFor(x.ctx, page, `told.includes("viewed draft")`)) // the page is told, and only the page
	must(x.T, browser.WaitFor(x.ctx, page, nothingWaits))
	if acts := x.p.acts(x.ctx, x.origin, "draft"); acts["viewed"] != 0 {
		x.Errorf("counted %v", acts)
	}
	must(x.T, page.Close(x.ctx))
}
