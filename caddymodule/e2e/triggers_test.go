//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// tallSite is longer than any window, and has a consent banner for those who ask
// for one.
func tallSite(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1>
<button id="buy" type="button"><b>Buy</b></button><div style="height: 5000px"></div>`)
	if r.URL.Path == "/consent" {
		_, _ = io.WriteString(w, `<div id="banner" style="position: fixed; bottom: 0">Cookies?</div>`)
	}
}

// TestTriggers: for each trigger nobody is asked before it, and everybody after.
func TestTriggers(t *testing.T) {
	tests := []struct{ name, option, path, act string }{
		{"scroll", "after scroll 50%", "/", `scrollTo(0, 4000)`},
		{"click", "after click \"#buy\"", "/", `document.querySelector("#buy b").click()`},
		{"event", "after event added", "/", `webpush.event("added")`},
		{"exit", "after exit", "/", `document.documentElement.dispatchEvent(new MouseEvent("mouseleave", {clientY: -1}))`},
		{"manual", "after manual", "/", `webpush.prompt()`},
		{"path", "after 1 page\n\t\t\tpaths /in/*", "/out", `setTimeout(() => location.assign("/in/here"))`},
		{"consent", "after 1 page\n\t\t\tconsent \"#banner\"", "/consent", `document.getElementById("banner").remove()`},
	}
	options := make([]string, len(tests))
	for i, tt := range tests {
		options[i] = "prompt {\n\t\t\t" + tt.option + "\n\t\t}"
	}
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(tallSite), options...)
		for i, tt := range tests {
			page := openAs(ctx, t, b, p.origins[i], tt.path, browser.Default)
			must(t, browser.WaitFor(ctx, page, `window.webpush && localStorage.getItem("webpush:views")`))
			time.Sleep(700 * time.Millisecond) // for what should not happen
			if evaluated[bool](ctx, t, page, promptShown) {
				t.Errorf("%s: asked before it", tt.name)
			}
			must(t, page.Eval(ctx, "void ("+tt.act+")", nil))
			if err := browser.WaitFor(ctx, page, promptShown); err != nil {
				t.Fatalf("%s: not asked after it: %v", tt.name, err)
			}
			must(t, page.Close(ctx))
		}
	})
}

// TestLeaveWhileLoading goes on to the next page while the question is being
// fetched: browsers break that off, and the console must not have it as a fault.
func TestLeaveWhileLoading(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		asked := make(chan struct{}, 10)
		stalled := proxied(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
		}))
		origin := "http://" + freeAddress(t)
		startProductWith(t, []string{origin}, fmt.Sprintf("%s {\n\troute {\n\t\t@ui path /_webpush/ui.js\n\t\t%s\n\t\twebpush {\n\t\t%s\n\t\t}\n\t\t%s\n\t}\n}\n",
			origin, "reverse_proxy @ui"+stalled[len("reverse_proxy"):], atOnce, proxied(t, http.HandlerFunc(tallSite))))
		page := openAs(ctx, t, b, origin, "/", browser.Default)
		select {
		case <-asked:
		case <-ctx.Done():
			t.Fatal("the question was not fetched")
		}
		must(t, page.Navigate(ctx, origin+"/next"))
		must(t, browser.WaitFor(ctx, page, `window.webpush && localStorage.getItem("webpush:views") === "2"`))
		for _, line := range page.Console() {
			if line.Level != "info" && line.Level != "log" {
				t.Errorf("the console has %+v", line)
			}
		}
		must(t, page.Close(ctx))
	})
}
