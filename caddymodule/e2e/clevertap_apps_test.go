//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// cleverTapTag is the script tag of CleverTap in a page's own HTML.
const cleverTapTag = `<script data-sdk async src="https://d2r1yp2w7bby2u.cloudfront.net/js/clevertap.min.js" onload="window.scriptLoaded = true"></script>`

// cleverTapApp is a page that uses CleverTap's SDK.
type cleverTapApp struct {
	name, entry, sdk string
	format           api.Format
	tag              string // the page's script tag
	static           bool   // CleverTap's script is in the HTML
}

// cleverTapApps returns the sample apps, each with the SDK bundled, loaded and
// absent.
func cleverTapApps() (apps []cleverTapApp) {
	for _, sdk := range []string{"bundled", "loaded", "absent"} {
		apps = append(apps,
			cleverTapApp{"React " + sdk, "react.jsx", sdk, api.FormatIIFE, `<script defer src="%s"></script>`, false},
			cleverTapApp{"Vue " + sdk, "vue.js", sdk, api.FormatIIFE, `<script defer src="%s"></script>`, sdk == "loaded"},
			cleverTapApp{"plain " + sdk, "plain.js", sdk, api.FormatIIFE, `</head><body><div id="app"></div><script src="%s"></script>`, sdk == "loaded"},
			cleverTapApp{"module " + sdk, "plain.js", sdk, api.FormatESModule, `<script type="module" src="%s"></script>`, false},
		)
	}
	return apps
}

// build bundles the app's script, with the SDK in the way that the app uses it.
func (a cleverTapApp) build(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("clevertap/apps")
	must(t, err)
	out := api.Build(api.BuildOptions{
		EntryPoints: []string{filepath.Join(folder, a.entry)}, Bundle: true, MinifySyntax: true, Write: false,
		Format: a.format, Target: api.ES2022, JSX: api.JSXAutomatic,
		Alias: map[string]string{"sdk": filepath.Join(folder, "sdk-"+a.sdk+".js")},
		Define: map[string]string{
			"process.env.NODE_ENV": `"production"`, "__VUE_OPTIONS_API__": "true",
			"__VUE_PROD_DEVTOOLS__": "false", "__VUE_PROD_HYDRATION_MISMATCH_DETAILS__": "false",
		},
	})
	for _, e := range out.Errors {
		t.Fatalf("building %s: %s", a.name, e.Text)
	}
	return string(out.OutputFiles[0].Contents)
}

// TestClevertapApps: apps that bundle CleverTap's SDK, load it, or do without it
// work on a site with `compat clevertap`. Their data is recorded here, and no
// request goes to CleverTap.
func TestClevertapApps(t *testing.T) {
	needPackagesOf(t, "clevertap")
	apps := cleverTapApps()
	mux := http.NewServeMux()
	var options []string
	for i, app := range apps {
		script := fmt.Sprintf("/%d.js", i)
		body := app.build(t)
		mux.HandleFunc(script, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, body)
		})
		static := ""
		if app.static {
			static = cleverTapTag
		}
		mux.HandleFunc(fmt.Sprintf("/%d", i), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><head><title>App</title>%s`+app.tag+`</head><body><div id="app"></div></body></html>`, static, script)
		})
		options = append(options, "compat clevertap\n\t\t"+byHand)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(notFound(r)) })
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, mux, options...)
		for i, app := range apps {
			t.Run(app.name, func(t *testing.T) { app.use(ctx, t, b, p, p.origins[i], fmt.Sprintf("/%d", i)) })
		}
	})
}

// use clicks through the app and checks what was recorded.
func (a cleverTapApp) use(ctx context.Context, t *testing.T, b browser.Browser, p *product, origin, path string) {
	page, err := b.Open(ctx, origin+path)
	must(t, err)
	must(t, browser.WaitFor(ctx, page, `document.getElementById("click")`))
	must(t, page.Click(ctx, "#click"))
	must(t, browser.WaitFor(ctx, page, `document.getElementById("click").textContent === "Clicked 1"`))
	must(t, browser.WaitFor(ctx, page, `clevertap.getAccountID() === "APP" && (localStorage.getItem("webpush:ev") ?? "").includes("Clicked")`))
	foreign := evaluated[[]string](ctx, t, page, `performance.getEntriesByType("resource").map((e) => e.name).filter((url) => !url.startsWith(location.origin + "/"))`)
	if len(foreign) > 0 {
		t.Errorf("the page asked for %q", foreign)
	}
	if left := evaluated[[]string](ctx, t, page, `Object.keys(localStorage).filter((name) => /^WZRK_(L|EV|PR|ACCOUNT)/.test(name))`); len(left) > 0 {
		t.Errorf("CleverTap's SDK has worked: %q", left)
	}
	must(t, page.Eval(ctx, `void dispatchEvent(new PageTransitionEvent("pagehide"))`, nil))
	until(ctx, t, "what the app told to be recorded", func() bool {
		profile := personWith(p.people(ctx, origin), "")
		return profile.Events["Opened"].Count == 1 && profile.Events["Clicked"].Count == 1 && profile.Attributes["Score"] == 2.0
	})
	for _, line := range page.Console() {
		if line.Level == "error" {
			t.Errorf("the console has %q", line.Text)
		}
	}
	must(t, page.Close(ctx))
}
