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

// tallSite is longer than any window, and has a consent banner on request.
func tallSite(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="en"><head><title>Shop</title><script>`+arrivals+`</script></head><body><h1>Shop</h1>
<button id="buy" type="button"><b>Buy</b></button><div style="height: 5000px"></div>`)
	if r.URL.Path == "/consent" {
		_, _ = io.WriteString(w, `<div id="banner" style="position: fixed; bottom: 0">Cookies?</div>`)
	}
}

// TestTriggers: no trigger shows the prompt too early, and each shows it when it
// is due.
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
			page := openTraced(ctx, t, b, p.origins[i], tt.path)
			must(t, browser.WaitFor(ctx, page, `traces.includes("visit 1 ask")`))
			if tt.name != "manual" && tt.name != "path" {
				must(t, browser.WaitFor(ctx, page, `arrived("wait")`))
			}
			// The SDK reads the visitor's state before it asks, and traces it.
			must(t, page.Eval(ctx, `webpush.state().then(() => webpush.state())`, nil))
			if prompts := evaluated[[]string](ctx, t, page, `traces.filter((line) => line.startsWith("prompt"))`); len(prompts) > 0 || evaluated[bool](ctx, t, page, promptShown) {
				t.Errorf("%s: asked before it: %q", tt.name, prompts)
			}
			must(t, page.Eval(ctx, "void ("+tt.act+")", nil))
			if err := browser.WaitFor(ctx, page, promptShown); err != nil {
				t.Fatalf("%s: not asked after it: %v", tt.name, err)
			}
			must(t, page.Close(ctx))
		}
	})
}

// TestPromptChanged: the next page view shows what an operator sets, while Caddy
// runs; with enabled=false there is no prompt.
func TestPromptChanged(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProduct(t, "prompt {\n\t\t\tafter 1 page\n\t\t\ttitle \"From the file\"\n\t\t}")
		origin := p.origins[0]
		page := openAs(ctx, t, b, origin, "/", browser.Default)
		shows := func(bar bool, title string) {
			t.Helper()
			must(t, browser.WaitFor(ctx, page, promptShown))
			root := `document.getElementById("webpush-prompt").shadowRoot.`
			if got := evaluated[string](ctx, t, page, root+`getElementById("title").textContent`); got != title {
				t.Errorf("the title is %q, want %q", got, title)
			}
			if got := evaluated[bool](ctx, t, page, root+`getElementById("dialog").classList.contains("bar")`); got != bar {
				t.Errorf("the prompt is a bar: %v, want %v", got, bar)
			}
		}
		set := func(flags ...string) {
			t.Helper()
			p.cli(nil, append([]string{"prompt", "set", "--site", host(origin)}, flags...)...)
			// Browsers cache the script for a minute.
			must(t, page.Eval(ctx, `fetch("/_webpush/sdk.js", {cache: "reload"}).then((r) => r.text())`, nil))
			must(t, page.Navigate(ctx, origin+"/sale"))
		}
		shows(false, "From the file")
		set("--kind", "bar", "--title", "From the operator")
		shows(true, "From the operator")
		set("--enabled=false")
		must(t, browser.WaitFor(ctx, page, `window.webpush && localStorage.getItem("webpush:views") === "3"`))
		time.Sleep(700 * time.Millisecond) // for an unwanted prompt
		if evaluated[bool](ctx, t, page, promptShown) {
			t.Error("asked with enabled=false")
		}
		must(t, page.Eval(ctx, "void webpush.prompt()", nil))
		shows(true, "From the operator")
		must(t, page.Close(ctx))
	})
}

// TestLeaveWhileLoading goes on to the next page while the prompt is loading:
// browsers cancel the request, and the console must not report a fault.
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
