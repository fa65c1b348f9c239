//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// visitorTime is how long a browser may take for one case.
const visitorTime = 3 * time.Minute

// visitorCase is a visitor in one situation, at a site of its own.
type visitorCase struct {
	name    string
	options string // of webpush
	slow    bool   // over a slow network, which can also be cut
	run     func(v *visitor, l *line)
}

// TestVisitors runs one Caddy for all situations of visitors and all ways in
// which they answer.
func TestVisitors(t *testing.T) {
	forBoth(t, func(t *testing.T, u *user) {
		b := u.start(t)
		p, lines := startVisitors(t)
		for i, c := range visitorCases {
			t.Run(c.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), visitorTime)
				defer cancel()
				mine := *p
				mine.t = t
				v := &visitor{T: t, ctx: ctx, user: u, browser: b, product: &mine, origin: p.origins[i], ours: true}
				must(t, b.SetPermission(ctx, v.origin, browser.Default))
				v.page = v.newTab()
				c.run(v, lines[i])
				must(t, v.page.Close(ctx))
			})
		}
	})
}

var visitorCases = []visitorCase{
	{name: "asked again", options: "prompt {\n\t\t\tafter 1 page\n\t\t\task_again 3d 7d 30d\n\t\t}", run: askedAgain},
	{name: "asked again after a week", options: atOnce, run: askedAgainAfterAWeek},
	{name: "after the second page", options: "prompt {\n\t\t}", run: afterSecondPage},
	{name: "after seconds", options: "prompt {\n\t\t\tafter 900s\n\t\t}", run: afterSeconds},
	{name: "after the pointer left", options: "prompt {\n\t\t\tafter exit\n\t\t}", run: afterExit},
	{name: "after a route", options: "prompt {\n\t\t}", run: afterRoute},
	{name: "granted earlier", options: atOnce, run: grantedEarlier},
	{name: "bell", options: bellAtOnce, run: bellAsks},
	{name: "bell blocked", options: bellAtOnce, run: bellHelps},
	{name: "preferences", options: "prompt {\n\t\t\tafter manual\n\t\t}", run: preferencesSwitch},
	{name: "Trusted Types", options: bellAtOnce, run: trustedTypes},
	{name: "Trusted Types and CleverTap", options: compatOption, run: trustedTypesCleverTap},
	{name: "two tabs", options: atOnce, run: twoTabs},
	{name: "two tabs at once", options: atOnce, run: twoTabsAtOnce},
	{name: "storage that throws", options: atOnce, run: storageThrows},
	{name: "storage blocked", options: atOnce, run: storageBlocked},
	{name: "private window", options: atOnce, run: privateWindow},
	{name: "slow", options: atOnce, slow: true, run: slowNetwork},
	{name: "offline and back", options: atOnce, slow: true, run: offlineAndBack},
	{name: "push service refuses", options: atOnce, run: pushServiceRefuses},
	{name: "site answers late", options: atOnce, slow: true, run: siteAnswersLate},
	{name: "worker that never comes", options: atOnce + "\n\t\tworker /never.js", run: workerNeverComes},
	{name: "worker that is never installed", options: atOnce + "\n\t\tworker /stuck.js", run: workerNeverInstalled},
	{name: "worker behind a login", options: atOnce + "\n\t\tworker /login.js", run: workerBehindLogin},
	{name: "question unanswered", options: atOnce, run: questionUnanswered},
	{name: "iOS", options: atOnce, run: iosHint},
	{name: "inside an app", options: atOnce, run: insideAnApp},
	{name: "crawler", options: atOnce, run: crawler},
}

const bellAtOnce = "prompt {\n\t\t\tafter 1 page\n\t\t\tkind bell\n\t\t}"

// startVisitors runs the Caddy, with an origin for each case.
func startVisitors(t *testing.T) (*product, []*line) {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(visitorSite))
	t.Cleanup(upstream.Close)
	lines := make([]*line, len(visitorCases))
	var origins, blocks []string
	for i, address := range freeAddresses(t, len(visitorCases)) {
		bind := ""
		if visitorCases[i].slow {
			// The same port of another of the machine's own addresses.
			bind = "bind 127.0.0.2\n\t"
			lines[i] = startLine(t, address, strings.Replace(address, "127.0.0.1", "127.0.0.2", 1))
		}
		origins = append(origins, "http://"+address)
		blocks = append(blocks, fmt.Sprintf("%s {\n\t%sencode\n\twebpush {\n\t\t%s\n\t}\n\treverse_proxy %s\n}\n",
			origins[i], bind, visitorCases[i].options, strings.TrimPrefix(upstream.URL, "http://")))
	}
	return startProductWith(t, origins, strings.Join(blocks, "\n")), lines
}

// trustedPolicy is strict, and enforces Trusted Types where browsers support
// them.
const trustedPolicy = "default-src 'self'; require-trusted-types-for 'script'; trusted-types webpush"

// visitorSite is the unmodified site behind Caddy.
func visitorSite(w http.ResponseWriter, r *http.Request) {
	body := "<p>An ordinary page.</p>"
	switch r.URL.Path {
	case "/", "/next", "/later":
	case "/settings":
		body = "<webpush-preferences></webpush-preferences>"
	case "/trusted":
		w.Header().Set("Content-Security-Policy", trustedPolicy)
		body = "<webpush-preferences></webpush-preferences>"
	case "/trusted-clevertap":
		w.Header().Set("Content-Security-Policy", trustedPolicy)
		body = `<script src="/clevertap.js"></script>`
	case "/never.js":
		<-r.Context().Done()
		return
	case "/stuck":
		body = `<script>navigator.serviceWorker.register("/stuck.js")</script>`
	case "/stuck.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, `addEventListener("install", (e) => e.waitUntil(new Promise((done) => addEventListener("message", done))))`)
		return
	case "/login.js":
		http.Redirect(w, r, "/", http.StatusFound)
		return
	case "/clevertap.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, snippet, _ := strings.Cut(embed, `<script type="text/javascript">`)
		snippet, _, _ = strings.Cut(snippet, "</script>")
		_, _ = io.WriteString(w, snippet+objectForm)
		return
	default:
		w.WriteHeader(notFound(r))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<meta name="viewport" content="width=device-width"></head><body><h1>Shop</h1>%s</body></html>`, body)
}

// verbosely turns on the SDK's trace.
const verbosely = `try { sessionStorage.setItem("WZRK_D", "") } catch {}`

// newTab opens a page that records the SDK's trace from its first document on.
func (v *visitor) newTab() browser.Page {
	v.Helper()
	page, err := v.browser.Open(v.ctx, "about:blank")
	must(v.T, err)
	must(v.T, page.Preload(v.ctx, verbosely))
	return page
}

// preload runs a script before the page's own scripts in every page from now on.
func (v *visitor) preload(script string) {
	v.Helper()
	must(v.T, v.page.Preload(v.ctx, script))
}

// pass advances the clock of all pages from now on.
func (v *visitor) pass(d time.Duration) {
	v.Helper()
	v.preload(fmt.Sprintf("{ const now = Date.now; Date.now = () => now() + %d }", d.Milliseconds()))
}

// step loads a page and returns the SDK's own decision on it.
func (v *visitor) step(path string) string {
	v.Helper()
	before := len(steps(v.page))
	v.goTo(path)
	until(v.ctx, v.T, "a decision on "+path, func() bool { return len(steps(v.page)) > before })
	return steps(v.page)[before]
}

// steps are the SDK's decisions on the page views so far. It traces "visit", the
// number of views, and the decision.
func steps(page browser.Page) []string {
	var all []string
	for _, line := range page.Console() {
		words := strings.Fields(line.Text)
		if len(words) > 3 && words[0] == "webpush:" && words[1] == "visit" {
			all = append(all, words[3])
		}
	}
	return all
}

// refuse presses the prompt's refusing button.
func (v *visitor) refuse() {
	v.Helper()
	v.click("#reject")
	v.wait("!" + promptShown)
}

// wantSilence checks that the console has only trace lines from us.
func (v *visitor) wantSilence() {
	v.Helper()
	for _, line := range v.page.Console() {
		if line.Level == "error" || line.Level == "warning" {
			v.Errorf("the console has %+v", line)
		}
	}
}

// wantRows waits until the site has n subscribers.
func (v *visitor) wantRows(n int64) {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, 30*time.Second)
	defer cancel()
	for {
		got := v.product.subscribers(v.origin)
		if got == n {
			return
		}
		select {
		case <-ctx.Done():
			v.Fatalf("%d rows, want %d", got, n)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
