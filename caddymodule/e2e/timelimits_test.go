//go:build e2e

package e2e

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// gate is a push service's address that accepts connections and sends nothing,
// like one behind a firewall, until it is opened: then it leads to the push
// service.
type gate struct {
	listener net.Listener
	to       string
	opened   chan struct{}
	once     sync.Once
}

func startGate(t *testing.T, to string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	g := &gate{listener: listener, to: to, opened: make(chan struct{})}
	var running sync.WaitGroup
	gone := make(chan struct{})
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { g.serve(conn, gone) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		close(gone)
		running.Wait()
	})
	return g
}

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }

func (g *gate) serve(conn net.Conn, gone chan struct{}) {
	defer conn.Close()
	select {
	case <-g.opened:
	case <-gone:
		return
	}
	service, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer service.Close()
	ended := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(service, conn); ended <- struct{}{} }()
	go func() { _, _ = io.Copy(conn, service); ended <- struct{}{} }()
	select {
	case <-ended:
	case <-gone:
	}
}

// behindGate returns a browser's options with a gate before its push service.
func behindGate(t *testing.T, u *user) (browser.Options, *gate) {
	t.Helper()
	options := u.options
	if server, is := options.Prefs["dom.push.serverURL"].(string); is {
		address, err := url.Parse(server)
		must(t, err)
		g := startGate(t, address.Host)
		options.Prefs = maps.Clone(options.Prefs)
		options.Prefs["dom.push.serverURL"] = strings.ReplaceAll(server, address.Host, g.listener.Addr().String())
		options.Prefs["dom.push.retryBaseInterval"] = 500 // it grows with each attempt, on a slow machine beyond the test
		return options, g
	}
	var g *gate
	options.Flags = slices.Clone(options.Flags)
	for i, flag := range options.Flags {
		if name, server, found := strings.Cut(flag, "="); found && (name == "--gcm-checkin-url" || name == "--gcm-registration-url") {
			address, err := url.Parse(server)
			must(t, err)
			if g == nil {
				g = startGate(t, address.Host)
			}
			options.Flags[i] = strings.ReplaceAll(flag, address.Host, g.listener.Addr().String())
		}
	}
	return options, g
}

// failures reads from the API why browsers could not be subscribed.
func (p *product) failures(origin string) map[string]int64 {
	p.t.Helper()
	var counts struct{ Failures map[string]int64 }
	p.get("sites/"+host(origin)+"/failures", &counts)
	return counts.Failures
}

// recordFailures records the SDK's reported failures.
const recordFailures = `window.failed = []; window.landed = 0;
	addEventListener("DOMContentLoaded", () => {
		webpush.on("error", (e) => failed.push(e.code + " " + (e instanceof Error)));
		webpush.on("subscribed", () => landed++);
	});`

// fastTimers also makes the SDK's timers run ten times as fast.
const fastTimers = `{ const set = setTimeout; window.setTimeout = (f, ms, ...more) => set(f, ms / 10, ...more); }` + recordFailures

// recordRejections counts the requests that the browser rejects itself.
const recordRejections = `window.rejections = 0;
	{ const { subscribe } = PushManager.prototype; PushManager.prototype.subscribe = function (...options) {
		const asked = subscribe.apply(this, options); asked.catch(() => rejections++); return asked; }; }`

const (
	wordShown = `document.getElementById("webpush-prompt")?.shadowRoot?.querySelector("dialog[role=status]")?.textContent ?? ""`
	germanSay = `wordNow().includes("später noch einmal")`
)

// TestPushServiceSilent: the push service accepts the browser's connection and
// never answers. The failure is reported once to the visitor, and to the page,
// the console, the counters and doctor. When the service answers at last, the
// visitor who accepted is subscribed: in Chromium on the same page, in Firefox,
// which rejects the request after 10 s (dom.push.requestTimeout), on a later one.
func TestPushServiceSilent(t *testing.T) {
	forBoth(t, func(t *testing.T, u *user) {
		options, service := behindGate(t, u)
		b := u.closed(t, func() (browser.Browser, error) { return u.launchWith(options) })
		ctx, cancel := context.WithTimeout(t.Context(), flowTime)
		defer cancel()
		p := startProductBefore(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="de"><title>Laden</title><h1>Laden</h1></html>`)
		}), "")
		origin := p.origins[0]
		must(t, b.SetPermission(ctx, origin, browser.Default))
		page, err := b.Open(ctx, "about:blank")
		must(t, err)
		must(t, page.Preload(ctx, fastTimers+recordRejections+`window.wordNow = () => `+wordShown+`;`))
		must(t, page.Navigate(ctx, origin+"/"))
		must(t, browser.WaitFor(ctx, page, promptShown))
		must(t, b.SetPermission(ctx, origin, browser.Granted))
		must(t, page.Click(ctx, "#accept"))

		must(t, browser.WaitFor(ctx, page, `failed.length > 0`))
		must(t, browser.WaitFor(ctx, page, germanSay))
		if got := evaluated[[]string](ctx, t, page, "failed"); !slices.Equal(got, []string{"push_timeout true"}) {
			t.Errorf("the page received %q", got)
		}
		if focus := evaluated[string](ctx, t, page, "document.activeElement.localName"); focus != "body" {
			t.Errorf("the word took the focus: it is on %s", focus)
		}
		if !slices.ContainsFunc(page.Console(), func(l browser.ConsoleEntry) bool {
			return l.Level == "warning" && strings.Contains(l.Text, "push_timeout")
		}) {
			t.Errorf("the console has %+v", page.Console())
		}
		must(t, page.Click(ctx, "#close"))
		must(t, browser.WaitFor(ctx, page, nothing))
		wantSilentReported(ctx, t, p, origin)

		// On the next page the SDK shows nothing, and the failure is counted once
		// per visit.
		must(t, page.Navigate(ctx, origin+"/next"))
		must(t, browser.WaitFor(ctx, page, `failed.length > 0`))
		if word := evaluated[string](ctx, t, page, wordShown); word != "" {
			t.Errorf("an unwanted message: %q", word)
		}
		if n := p.subscribers(origin); n != 0 {
			t.Errorf("%d rows while the push service is silent", n)
		}
		if u.name == "Firefox" {
			must(t, browser.WaitFor(ctx, page, `rejections > 0`))
			service.open()
			until(ctx, t, "the subscription", func() bool {
				must(t, page.Navigate(ctx, origin+"/later"))
				must(t, browser.WaitFor(ctx, page, `failed.length + landed > 0`))
				return evaluated[int](ctx, t, page, "landed") > 0
			})
		} else {
			service.open()
			must(t, browser.WaitFor(ctx, page, `landed > 0`))
		}
		if n := p.subscribers(origin); n != 1 {
			t.Errorf("%d rows after it", n)
		}
		title := "At last " + u.name
		if m := p.send(origin, "--title", title); m.Results.Audience != 1 || m.Results.Accepted != 1 {
			t.Fatalf("sent: %+v", m.Results)
		}
		_, err = u.desktop.WaitTitle(ctx, u.name, title)
		must(t, err)
		if n := evaluated[int](ctx, t, page, "landed"); n != 1 {
			t.Errorf("the page received %d subscriptions", n)
		}
		if got := p.failures(origin); !maps.Equal(got, map[string]int64{"push_timeout": 1}) {
			t.Errorf("counted %v", got)
		}
	})
}

// wantSilentReported checks what the operator sees.
func wantSilentReported(ctx context.Context, t *testing.T, p *product, origin string) {
	t.Helper()
	until(ctx, t, "the report", func() bool { return p.failures(origin)["push_timeout"] == 1 })
	resp, err := http.Get("http://" + p.admin + "/metrics")
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if want := `caddy_webpush_subscribe_failures_total{code="push_timeout"} 1`; !strings.Contains(string(text), want) {
		t.Errorf("the metrics lack %s", want)
	}
	var report struct {
		Diagnoses []struct{ Check, Verdict, Finding, Cure string }
	}
	p.cli(&report, "doctor", origin+"/")
	found := false
	for _, d := range report.Diagnoses {
		found = found || d.Check == "failures" && d.Verdict == "warning" && strings.Contains(d.Finding, "push_timeout") && strings.Contains(d.Cure, "push")
	}
	if !found {
		t.Errorf("the doctor has %+v", report.Diagnoses)
	}
}

// wantCounted waits until the server has counted this failure once, and no other.
func (v *visitor) wantCounted(code string) {
	v.Helper()
	until(v.ctx, v.T, "the report", func() bool { return len(v.product.failures(v.origin)) > 0 })
	if got := v.product.failures(v.origin); !maps.Equal(got, map[string]int64{code: 1}) {
		v.Errorf("counted %v, want one %s", got, code)
	}
}

// siteAnswersLate delays the answer to the subscription beyond the limit: the
// failure counts, and the visitor is subscribed.
func siteAnswersLate(v *visitor, l *line) {
	v.preload(fastTimers)
	v.goTo("/")
	v.wait(promptShown)
	accept(v.ctx, v.T, v.browser, v.page, v.origin)
	v.wantRows(1)
	v.eval("webpush.unsubscribe()", nil)
	v.wantRows(0)
	// The worker is ready; only the post is slow.
	l.set(6*time.Second, false)
	defer l.set(0, false)
	v.eval("void (landed = 0, failed.length = 0, webpush.subscribe())", nil)
	v.wait("failed.length > 0")
	v.want("failed.join()", "server_timeout true")
	l.set(0, false)
	v.wait("landed > 0")
	v.wantRows(1)
	v.want("landed", "1")
}

// workerNeverComes is a worker's address that accepts requests and does not
// answer: the visitor is not asked in vain, and the page gets the reason.
func workerNeverComes(v *visitor, _ *line) {
	v.preload(fastTimers)
	v.goTo("/")
	v.wait("failed.length > 0")
	v.want("failed.join()", "worker_timeout true")
	v.want(nothing, "true")
	v.wantCounted("worker_timeout")
	v.want("webpush.prompt()", "failed")
	v.want(nothing, "true")
}

// workerBehindLogin is a worker's address that redirects, which browsers do not
// follow.
func workerBehindLogin(v *visitor, _ *line) {
	v.preload(recordFailures)
	v.goTo("/")
	v.wait("failed.length > 0")
	v.want("failed.join()", "worker_failed true")
	v.want(nothing, "true")
	v.wantCounted("worker_failed")
}

// questionUnanswered leaves the browser's own prompt open: the page goes on, no
// message stands beside the prompt, and a late answer counts.
func questionUnanswered(v *visitor, _ *line) {
	// Without a screen no user can answer, and Chromium answers by itself.
	v.preload(fastTimers + `Notification.requestPermission = () => new Promise((answer) => window.answer = answer);`)
	v.goTo("/")
	v.wait(promptShown)
	v.eval(`void webpush.subscribe().then((outcome) => window.outcome = outcome)`, nil)
	v.wait("window.outcome")
	v.want("outcome", "dismissed")
	v.want("failed.join()", "unanswered true")
	v.wantCounted("unanswered")
	v.want(wordShown, "")
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "granted"))
	v.eval(`answer("granted")`, nil)
	v.wait("landed > 0")
	v.wantRows(1)
}

// workerNeverInstalled: the site's own worker waits for something while it
// installs. When that comes, the visitor who accepted is subscribed.
func workerNeverInstalled(v *visitor, _ *line) {
	v.preload(fastTimers)
	v.goTo("/stuck")
	v.wait(promptShown)
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "granted"))
	v.click("#accept")
	v.wait("failed.length > 0")
	v.want("failed.join()", "worker_timeout true")
	v.wait("(" + wordShown + `).includes("Please try again later")`)
	v.wantCounted("worker_timeout")
	v.wantRows(0)
	v.eval(`navigator.serviceWorker.getRegistration("/").then((r) => r.installing.postMessage("go"))`, nil)
	v.wait("landed > 0")
	v.want(nothing, "true") // the message has gone
	v.wantRows(1)
	v.want("landed", "1")
}
