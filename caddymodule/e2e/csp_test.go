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

// policies are a site's pages by path, each with its Content-Security-Policy.
var policies = map[string]string{
	"/":              "default-src 'self'",
	"/worker-src":    "default-src 'self'; worker-src 'none'",
	"/nonce":         "default-src 'self'; script-src 'nonce-r4nd0m'",
	"/trusted":       "default-src 'self'; require-trusted-types-for 'script'; trusted-types webpush",
	"/trusted-types": "default-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'",
}

func strictSite(w http.ResponseWriter, r *http.Request) {
	policy, ok := policies[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	_, _ = io.WriteString(w, sitePages["/"])
}

// TestPolicyAllows: under a strict policy that allows our parts, the SDK tries
// the worker before it asks the visitor, and removes the trial worker.
func TestPolicyAllows(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(strictSite), "", "")
		for i, path := range []string{"/", "/trusted"} {
			origin := p.origins[i]
			must(t, b.SetPermission(ctx, origin, browser.Default))
			page, err := b.Open(ctx, origin+path)
			must(t, err)
			must(t, browser.WaitFor(ctx, page, promptShown))
			if s := browserStateOf(ctx, t, page); s.Workers != 0 {
				t.Errorf("%s: before the answer: %+v", path, s)
			}
			accept(ctx, t, b, page, origin)
			if n := p.subscribers(origin); n != 1 {
				t.Errorf("%s: %d subscribers", path, n)
			}
			must(t, page.Close(ctx))
		}
	})
}

// TestPolicyBlocks: where the page's policy blocks the worker, the SDK asks no
// visitor for a useless permission, and the console names the cause.
func TestPolicyBlocks(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(strictSite), "", "", "")
		for i, tt := range []struct{ path, directive string }{
			{"/worker-src", "(worker-src, "},
			{"/nonce", "(script-src, "},
			{"/trusted-types", "trusted-types"},
		} {
			origin := p.origins[i]
			must(t, b.SetPermission(ctx, origin, browser.Default))
			page, err := b.Open(ctx, origin+tt.path)
			must(t, err)
			must(t, browser.WaitFor(ctx, page, "window.webpush"))
			until(ctx, t, "a word in the console about "+tt.path, func() bool {
				for _, line := range page.Console() {
					if strings.Contains(line.Text, "webpush:") && strings.Contains(line.Text, tt.directive) && strings.Contains(line.Text, "/sw.js") {
						return line.Level == "warning"
					}
				}
				return false
			})
			// After this word the SDK does nothing more here by itself.
			var got struct {
				Asked             bool
				Prompt, Subscribe string
			}
			must(t, page.Eval(ctx, `(async () => {
				const ask = Notification.requestPermission;
				let asked = `+promptShown+`;
				Notification.requestPermission = () => { asked = true; return ask.call(Notification); };
				const outcomes = {subscribe: await webpush.subscribe(), prompt: await webpush.prompt({force: true})};
				return {...outcomes, asked: asked || `+promptShown+`};
			})()`, &got))
			if got.Asked || got.Subscribe != "failed" || got.Prompt != "failed" {
				t.Errorf("%s: %+v", tt.path, got)
			}
			if s := browserStateOf(ctx, t, page); s.Workers != 0 {
				t.Errorf("%s: %+v", tt.path, s)
			}
			must(t, page.Close(ctx))
		}
	})
}
