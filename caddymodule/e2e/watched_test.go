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

// watchedOptions count pages and identify visitors. There is no pop-up and no
// prompt, and no visitor subscribes.
const watchedOptions = `event "Article Read" /articles/*
		identify {http.response.header.X-User}
		` + byHand

// TestWatchedPages: event and identify count from the second page on for visitors
// without other activity. For a visitor who opts out of tracking nothing is
// requested.
func TestWatchedPages(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			if strings.HasSuffix(r.URL.Path, "/mine") {
				w.Header().Set("X-User", "ann "+r.Host)
			}
			_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="en"><title>News</title><h1>News</h1></html>`)
		})
		p := startProductBefore(t, site, watchedOptions, watchedOptions, watchedOptions, byHand)
		x := &tracker{t, ctx, p, b, p.origins[0]}
		page := x.open("/articles/first")
		must(t, browser.WaitFor(ctx, page, `performance.getEntriesByType("resource").some((e) => e.name.endsWith("/events") && e.responseEnd)`))
		must(t, page.Navigate(ctx, x.origin+"/articles/second"))
		must(t, page.Navigate(ctx, x.origin+"/articles/mine"))
		x.until("two articles and a name", func(people []person) bool {
			profile := personWith(people, "ann "+host(x.origin))
			return len(people) == 1 && profile.Events["Article Read"].Count == 2 && profile.Visits == 1
		})
		if n := evaluated[int](ctx, t, page, posts); n != 0 {
			t.Errorf("%d requests on the third page of a visit", n)
		}
		must(t, page.Close(ctx))

		for i, script := range []string{
			`Object.defineProperty(Navigator.prototype, "globalPrivacyControl", {get: () => true})`,
			`localStorage.setItem("webpush:optout", "1")`,
		} {
			unknown := &tracker{t, ctx, p, b, p.origins[i+1]}
			unknown.notCounted(script)
		}
		// Where the proxy counts nothing, a visit sends nothing.
		(&tracker{t, ctx, p, b, p.origins[3]}).notCounted("")
	})
}

// posts lists the page's requests to us beside the script itself.
const posts = `performance.getEntriesByType("resource").filter((e) => /_webpush.(events|track)/.test(e.name)).length`

// notCounted visits three pages, each with a script that the test adds.
func (x *tracker) notCounted(script string) {
	x.Helper()
	must(x.T, x.b.SetPermission(x.ctx, x.origin, browser.Default))
	page, err := x.b.Open(x.ctx, "about:blank")
	must(x.T, err)
	must(x.T, page.Preload(x.ctx, verbosely+";if (location.protocol !== 'about:') {"+script+"}"))
	for _, path := range []string{"/articles/1", "/articles/2", "/articles/mine"} {
		before := len(steps(page))
		must(x.T, page.Navigate(x.ctx, x.origin+path))
		until(x.ctx, x.T, "a decision on "+path, func() bool { return len(steps(page)) > before })
		if n := evaluated[int](x.ctx, x.T, page, posts); n != 0 {
			x.Errorf("%s: %s: %d requests", script, path, n)
		}
	}
	must(x.T, page.Close(x.ctx))
	if people := x.p.people(x.ctx, x.origin); len(people) != 0 {
		x.Errorf("%s: the API has %+v", script, people)
	}
}
