//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// api calls the operator API, and decodes its answer into result, which may be nil.
func (p *product) api(ctx context.Context, method, path string, body, result any) int {
	p.t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		must(p.t, err)
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.admin+"/webpush/"+path, in)
	must(p.t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	must(p.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	must(p.t, err)
	if resp.StatusCode < 300 && result != nil {
		must(p.t, json.Unmarshal(raw, result))
	} else if resp.StatusCode >= 300 {
		p.t.Logf("%s %s: %d %s", method, path, resp.StatusCode, raw)
	}
	return resp.StatusCode
}

// person is a person in the API's export.
type person struct {
	ID, Group  string
	Identities []struct{ Kind, Value string }
	Attributes map[string]any
	Visits     int
	Events     map[string]struct{ Count int }
}

// people returns all profiles of a site.
func (p *product) people(ctx context.Context, origin string) []person {
	p.t.Helper()
	var list struct{ Profiles []struct{ ID string } }
	// A site without people may be unknown.
	if p.api(ctx, http.MethodGet, "sites/"+host(origin)+"/profiles", nil, &list) == http.StatusNotFound {
		return nil
	}
	all := make([]person, len(list.Profiles))
	for i, one := range list.Profiles {
		p.api(ctx, http.MethodGet, "sites/"+host(origin)+"/profiles/"+one.ID, nil, &all[i])
	}
	return all
}

// personWith returns the person with an identity, or the only person if it is empty.
func personWith(people []person, identity string) (found person) {
	for _, p := range people {
		if identity == "" {
			return p
		}
		for _, id := range p.Identities {
			if id.Value == identity {
				return p
			}
		}
	}
	return found
}

// nothingWaits is true if everything recorded in the browser has been sent.
const nothingWaits = `Object.keys(localStorage).every((name) => !name.startsWith("webpush:queue:"))`

// trackedSite has a page that asks not to be tracked.
func trackedSite(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	script := ""
	if r.URL.Path == "/private" {
		script = `<script>Object.defineProperty(Navigator.prototype, "globalPrivacyControl", {get: () => true})</script>`
	}
	_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><head><title>Shop</title>%s</head><body><h1>Shop</h1></body></html>`, script)
}

const byHand = "prompt {\n\t\t\tafter manual\n\t\t}"

// tracker is a browser on a site, with the API's view of its people.
type tracker struct {
	*testing.T
	ctx    context.Context
	p      *product
	b      browser.Browser
	origin string
}

// lingerers counts the tabs that run lingering.
var lingerers atomic.Int64

// lingering sets the clock of each page of a tab eleven seconds later than that
// of the page before, since visitors stay on pages longer than tests do. For ten
// seconds, another tab takes a page's unsent data to be in use, and newer data
// waits for it.
func lingering() string {
	return fmt.Sprintf(`{
		const { now } = Date;
		const pages = window.name = String(Number(window.name) + 1);
		Date.now = () => now() + %d + 11_000 * Number(pages);
	}`, lingerers.Add(1)*(44*time.Second).Milliseconds())
}

func (x *tracker) open(path string) browser.Page {
	x.Helper()
	must(x.T, x.b.SetPermission(x.ctx, x.origin, browser.Default))
	page, err := x.b.Open(x.ctx, "about:blank")
	must(x.T, err)
	must(x.T, page.Preload(x.ctx, lingering()))
	must(x.T, page.Navigate(x.ctx, x.origin+path))
	must(x.T, browser.WaitFor(x.ctx, page, `window.webpush && localStorage.getItem("webpush:views")`))
	return page
}

func (x *tracker) run(page browser.Page, script string) {
	x.Helper()
	must(x.T, page.Eval(x.ctx, "void ("+script+")", nil))
}

// until waits until good accepts the API's people of the site.
func (x *tracker) until(what string, good func([]person) bool) {
	x.Helper()
	var last []person
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if last = x.p.people(x.ctx, x.origin); good(last) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	x.Fatalf("%s: the API has %+v", what, last)
}

// TestTracking: page events are stored exactly once, whatever happens to the
// page, the network and the visitor's identity.
func TestTracking(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(trackedSite), byHand, byHand)
		x := &tracker{t, ctx, p, b, p.origins[0]}
		t.Run("events", x.events)
		t.Run("offline", x.offline)
		t.Run("closed", x.closed)
		t.Run("login", x.login)
		(&tracker{t, ctx, p, b, p.origins[1]}).private()
	})
}

func (x *tracker) events(t *testing.T) {
	x = &tracker{t, x.ctx, x.p, x.b, x.origin}
	page := x.open("/")
	x.run(page, `webpush.event("Added", {sku: "A-1", price: 3.5}), webpush.profile({Name: "Ann", Gone: null})`)
	x.until("an event and a profile", func(people []person) bool {
		profile := personWith(people, "")
		return len(people) == 1 && profile.Events["Added"].Count == 1 && profile.Attributes["Name"] == "Ann" && profile.Visits == 1
	})
	if cookie := evaluated[string](x.ctx, t, page, "document.cookie"); cookie != "" {
		t.Errorf("scripts see the cookie: %q", cookie)
	}
	must(t, page.Close(x.ctx))
}

// offline makes the browser report no network, and then a network again.
func (x *tracker) offline(t *testing.T) {
	x = &tracker{t, x.ctx, x.p, x.b, x.origin}
	page := x.open("/")
	x.run(page, `Object.defineProperty(navigator, "onLine", {get: () => window.network ?? false, configurable: true}), webpush.event("Tunnel")`)
	time.Sleep(1500 * time.Millisecond) // for an unwanted request
	if n := personWith(x.p.people(x.ctx, x.origin), "").Events["Tunnel"].Count; n != 0 {
		t.Errorf("sent although offline: %d", n)
	}
	x.run(page, `window.network = true, dispatchEvent(new Event("online"))`)
	x.until("back from offline", func(people []person) bool { return personWith(people, "").Events["Tunnel"].Count == 1 })
	must(t, page.Close(x.ctx))
}

// closed leaves pages right after an event: by closing the tab, and by a link.
func (x *tracker) closed(t *testing.T) {
	x = &tracker{t, x.ctx, x.p, x.b, x.origin}
	page := x.open("/")
	x.run(page, `webpush.event("Closed")`)
	must(t, page.Close(x.ctx))
	page = x.open("/")
	x.run(page, `webpush.event("Followed"), setTimeout(() => location.assign("/next"))`)
	must(t, browser.WaitFor(x.ctx, page, `location.pathname === "/next" && window.webpush`))
	// Data sent by beacon is sent again, because nothing confirms that it
	// arrived.
	must(t, browser.WaitFor(x.ctx, page, nothingWaits))
	x.until("pages that were left", func(people []person) bool {
		profile := personWith(people, "")
		return profile.Events["Closed"].Count == 1 && profile.Events["Followed"].Count == 1
	})
	must(t, page.Close(x.ctx))
}

func (x *tracker) login(t *testing.T) {
	x = &tracker{t, x.ctx, x.p, x.b, x.origin}
	page := x.open("/")
	x.run(page, `webpush.login({identity: "ann-7", email: "ann@example.com", set: {Plan: "gold"}})`)
	x.until("a login", func(people []person) bool {
		profile := personWith(people, "ann-7")
		return len(people) == 1 && profile.Events["Added"].Count == 1 && profile.Attributes["Plan"] == "gold" && personWith(people, "ann@example.com").ID == profile.ID
	})
	x.run(page, `webpush.logout().then(() => webpush.event("After"))`)
	x.until("a log-out", func(people []person) bool {
		return len(people) == 2 && personWith(people, "ann-7").Events["After"].Count == 0
	})
	x.run(page, `webpush.login({identity: "ann-7"})`)
	x.until("a login of an identified visitor", func(people []person) bool {
		return len(people) == 1 && personWith(people, "ann-7").Events["After"].Count == 1
	})
	must(t, page.Close(x.ctx))
}

// private asks not to be tracked, and then opts out on a page that does not ask.
func (x *tracker) private() {
	page := x.open("/private")
	x.run(page, `webpush.event("Seen"), webpush.profile({Name: "Ann"}), webpush.login({identity: "ann-7"})`)
	time.Sleep(1500 * time.Millisecond) // for an unwanted request
	if !evaluated[bool](x.ctx, x.T, page, nothingWaits+` && !performance.getEntriesByType("resource").some((e) => /track|events/.test(e.name))`) {
		x.Error("recorded in spite of Global Privacy Control")
	}
	must(x.T, page.Close(x.ctx))
	page = x.open("/")
	x.run(page, `webpush.privacy({optOut: true}), webpush.event("Seen")`)
	must(x.T, browser.WaitFor(x.ctx, page, nothingWaits))
	if people := x.p.people(x.ctx, x.origin); len(people) > 0 && len(personWith(people, "").Events) > 0 {
		x.Errorf("events of who opted out: %+v", people)
	}
	must(x.T, page.Close(x.ctx))
}
