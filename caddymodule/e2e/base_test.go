//go:build e2e

package e2e

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// foreignHost is the host that a page's <base> names. It records the requests it
// gets.
type foreignHost struct {
	url  string
	mu   sync.Mutex
	asks []string
}

func startForeign(t *testing.T) *foreignHost {
	f := new(foreignHost)
	f.url = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asks = append(f.asks, r.Method+" "+r.URL.Path)
		f.mu.Unlock()
		w.Header().Set("Access-Control-Allow-Origin", "*")
		http.NotFound(w, r)
	}))
	return f
}

func (f *foreignHost) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asks...)
}

// basePages lists the places where a <base> may stand; %s is its host.
var basePages = []struct{ name, head, body string }{
	{"head", `<base target="elsewhere"><base href="%s/app/" target="elsewhere">`, ""},
	{"body", "", `<base href="%s" target="_blank">`},
	{"script", "", `<script>addEventListener("DOMContentLoaded", () => { const base = document.createElement("base"); base.href = "%s/"; document.head.prepend(base); });</script>`},
}

// baseSite serves pages with such a <base> and no other relative address.
func baseSite(base, head, body string) http.Handler {
	fill := func(s string) string { return strings.Replace(s, "%s", base, 1) }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/icon.svg":
			w.Header().Set("Content-Type", "image/svg+xml")
			_, _ = io.WriteString(w, lighthouse)
		case "/", "/more", "/shop/popup", "/shop/html":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">%s<title>Shop</title></head><body><h1>Shop</h1>%s<webpush-preferences></webpush-preferences></body></html>`,
				fill(head), fill(body))
		default:
			http.NotFound(w, r)
		}
	})
}

// basePopups have addresses relative to the site, as an operator writes them.
var basePopups = []m{
	{"id": "box", "kind": "box", "where": paths("/shop/popup"), "content": m{
		"title": "T", "image": "/icon.svg", "buttons": []m{{"id": "go", "text": "Go", "action": m{"do": "open", "url": "/more"}}},
	}},
	{"id": "html", "kind": "html", "where": paths("/shop/html"), "content": m{"html": `<p id="x">X</p><a href="../more">More</a><img src="/icon.svg">`}},
}

// TestBase: on a page whose <base> names another host, every request of ours
// (registration, subscription, events, log-in, pop-ups, manifest) goes to the
// page's own origin, and the other host gets none.
func TestBase(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, _ *user, b browser.Browser) {
		for _, c := range basePages {
			t.Run(c.name, func(t *testing.T) {
				foreign := startForeign(t)
				p := startProductBefore(t, baseSite(foreign.url, c.head, c.body), "icon /icon.svg")
				x := &tracker{t, ctx, p, b, p.origins[0]}
				x.underBase(foreign)
				asked := foreign.asked()
				if c.head == "" {
					// Chromium may request the manifest before any script of ours
					// runs.
					asked = slices.DeleteFunc(asked, func(ask string) bool { return ask == "GET /manifest.json" })
				}
				if len(asked) > 0 {
					t.Errorf("the base's host was asked for %q", asked)
				}
			})
		}
	})
}

func (x *tracker) underBase(foreign *foreignHost) {
	x.Helper()
	blank, err := x.b.Open(x.ctx, "about:blank")
	must(x.T, err)
	o := &onPage{*x, x.p, blank, "sites/" + host(x.origin), nil}
	o.put(basePopups...)
	o.everyTime()
	must(x.T, blank.Close(x.ctx))
	page := visit(x.ctx, x.T, x.b, x.origin)
	if base := evaluated[string](x.ctx, x.T, page, "document.baseURI"); !strings.HasPrefix(base, foreign.url) {
		x.Fatalf("the page's base is %s", base)
	}
	accept(x.ctx, x.T, x.b, page, x.origin)
	if n := x.p.subscribers(x.origin); n != 1 {
		x.Errorf("%d subscriptions", n)
	}
	for expression, want := range map[string]string{
		`navigator.serviceWorker.getRegistration(location.href).then((r) => r.active.scriptURL)`: "/sw.js",
		`document.querySelector("link[rel=manifest]").href`:                                      "/manifest.json",
	} {
		if got := evaluated[string](x.ctx, x.T, page, expression); got != x.origin+want {
			x.Errorf("%s is %q", expression, got)
		}
	}
	must(x.T, browser.WaitFor(x.ctx, page, `document.querySelector("webpush-preferences").shadowRoot?.querySelector("#receive input").checked`))
	must(x.T, page.Eval(x.ctx, `void (webpush.login({email: "ann@shop.example"}), webpush.event("Added"))`, nil))
	must(x.T, page.Navigate(x.ctx, x.origin+"/more")) // at once: queued events go by beacon
	x.until("the log-in and the event", func(people []person) bool {
		return personWith(people, "ann@shop.example").Events["Added"].Count == 1
	})
	x.popupsUnderBase(page)
	elsewhere := `performance.getEntriesByType("resource").map((r) => r.name).filter((name) => !name.startsWith(location.origin + "/"))`
	if names := evaluated[[]string](x.ctx, x.T, page, elsewhere); len(names) > 0 {
		x.Errorf("fetched from elsewhere: %q", names)
	}
	must(x.T, page.Close(x.ctx))
}

// popupsUnderBase checks a box with an image and a link, and one of HTML.
func (x *tracker) popupsUnderBase(page browser.Page) {
	x.Helper()
	o := &onPage{*x, x.p, page, "sites/" + host(x.origin), nil}
	must(x.T, page.Navigate(x.ctx, x.origin+"/shop/html"))
	const shown = `document.querySelector(".webpush-popup")?.shadowRoot`
	o.wait("the HTML", shown+`?.querySelector("iframe")?.src.startsWith(location.origin + "/_webpush/frame.html?v=")`)
	o.wait("what is in it", shown+`.querySelector("dialog").open`)
	must(x.T, page.Navigate(x.ctx, x.origin+"/shop/popup"))
	o.wait("the image", shown+`?.querySelector("img")?.naturalWidth > 0`)
	if link := evaluated[string](x.ctx, x.T, page, shown+`.getElementById("button-1").href`); link != x.origin+"/more" {
		x.Errorf("the button leads to %s", link)
	}
	o.click("#button-1")
	o.wait("where it leads", `location.href === `+js(x.origin+"/more"))
}

// TestBaseHTTP: an https page whose <base> names its own host over http. With
// such a base, a relative script address is mixed content.
func TestBaseHTTP(t *testing.T) {
	forBoth(t, func(t *testing.T, u *user) {
		b := u.startTrusting(t)
		ctx, cancel := context.WithTimeout(t.Context(), flowTime)
		defer cancel()
		addresses := freeAddresses(t, 2)
		origin := "https://" + addresses[1]
		site := proxied(t, baseSite("http://"+addresses[1], basePages[0].head, ""))
		cert, key := certificateFiles(t)
		p := startProductWith(t, []string{"http://" + addresses[0], origin}, fmt.Sprintf(
			"http://%s {\n\twebpush\n\t%s\n}\n%s {\n\ttls %s %s\n\twebpush {\n\t\t%s\n\t}\n\t%[2]s\n}\n", addresses[0], site, origin, cert, key, atOnce))
		page := visit(ctx, t, b, origin)
		for selector, want := range map[string]string{`script[src*="/_webpush/"]`: "/_webpush/sdk.js", "link[rel=manifest]": "/manifest.json"} {
			element := "document.querySelector(" + js(selector) + ")"
			if got := evaluated[string](ctx, t, page, element+".src ?? "+element+".href"); got != origin+want {
				t.Errorf("%s leads to %s", selector, got)
			}
		}
		accept(ctx, t, b, page, origin)
		if n := p.subscribers("http://" + addresses[1]); n != 1 {
			t.Errorf("%d subscriptions", n)
		}
		for _, line := range page.Console() {
			if strings.Contains(strings.ToLower(line.Text), "mixed") {
				t.Errorf("the console has %q", line.Text)
			}
		}
		must(t, page.Close(ctx))
	})
}

// certificateFiles writes a certificate for this machine and its key to files.
func certificateFiles(t *testing.T) (cert, key string) {
	t.Helper()
	issued, err := shared.authority.Issue("127.0.0.1")
	must(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(issued.PrivateKey)
	must(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.Certificate[0]}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	return cert, key
}
