//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// sdkPackages is the folder for the packages in clevertap/package-lock.json,
// among them CleverTap's own SDK.
const sdkPackages = "clevertap/node_modules"

// collector stands for CleverTap's server: it answers as theirs does, so that the
// SDK continues.
type collector struct {
	mu   sync.Mutex
	urls []string
}

// startCollector starts a collector and returns the host that the SDK must use
// for it.
func startCollector(t *testing.T) (*collector, string) {
	t.Helper()
	c := new(collector)
	server := httptest.NewTLSServer(c)
	t.Cleanup(server.Close)
	return c, strings.TrimPrefix(server.URL, "https://")
}

// ServeHTTP records the request and answers with the device's id. A request with
// isOUL (another user logs in) or without an id gets a new id.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	c.mu.Lock()
	c.urls = append(c.urls, "https://"+r.Host+r.URL.RequestURI())
	id := query.Get("gc")
	login := id == ""
	if login {
		id = fmt.Sprintf("device%d", len(c.urls))
	}
	c.mu.Unlock()
	optOut := ""
	switch query.Get("optOut") {
	case "true":
		id, optOut = strings.TrimSuffix(id, ":OO")+":OO", ", true"
	case "false":
		id, optOut = strings.TrimSuffix(id, ":OO"), ", false"
	}
	number := query.Get("rn")
	if number == "" {
		number = "0"
	}
	w.Header().Set("Content-Type", "text/javascript")
	_, _ = fmt.Fprintf(w, "$WZRK_WR.s(%q, %d, %t, %s%s);", id, time.Now().Unix(), login, number, optOut)
}

// asked returns the requests since the last call of forget.
func (c *collector) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.urls...)
}

func (c *collector) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.urls = nil
}

// callRecords is one call and its record.
type callRecords struct {
	Name, Why string
	Mended    bool
	Records   []string
}

type scenarioRecords struct {
	Complete bool
	Calls    int
	Cases    []callRecords
}

// bundled bundles a module of the folder and its imports into one script.
func bundled(t *testing.T, folder, entry string) string {
	t.Helper()
	entry, err := filepath.Abs(filepath.Join(folder, entry))
	must(t, err)
	out := api.Build(api.BuildOptions{
		EntryPoints: []string{entry}, Bundle: true, MinifySyntax: true, Write: false,
		Format: api.FormatIIFE, Target: api.ES2022, JSX: api.JSXAutomatic,
		Define: map[string]string{
			"process.env.NODE_ENV": `"production"`, "__VUE_OPTIONS_API__": "true",
			"__VUE_PROD_DEVTOOLS__": "false", "__VUE_PROD_HYDRATION_MISMATCH_DETAILS__": "false",
		},
	})
	for _, e := range out.Errors {
		t.Fatalf("bundling %s: %s", entry, e.Text)
	}
	return string(out.OutputFiles[0].Contents)
}

// comparisonSite serves the harness's page; with theirs, it also loads CleverTap's SDK
// from npm.
func comparisonSite(t *testing.T, theirs bool) http.Handler {
	t.Helper()
	page, err := os.ReadFile("clevertap/page.html")
	must(t, err)
	vendor, err := os.ReadFile(sdkPackages + "/clevertap-web-sdk/clevertap.min.js")
	must(t, err)
	harness := bundled(t, "clevertap", "harness.js")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, body := "text/javascript", ""
		switch r.URL.Path {
		case "/":
			kind, body = "text/html; charset=utf-8", string(page)
		case "/harness.js":
			body = harness
		case "/js/clevertap.min.js":
			if !theirs {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			body = string(vendor)
		default:
			w.WriteHeader(notFound(r))
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body)
	})
}

// TestClevertapJudged compares what `compat clevertap` records with what
// CleverTap's own SDK sends, for the same page and the same calls. Every
// difference has a row in CLEVERTAP.md with its reason, and no row stands for
// equal records.
func TestClevertapJudged(t *testing.T) {
	needPackagesOf(t, "clevertap")
	ctx, cancel := context.WithTimeout(t.Context(), flowTime)
	defer cancel()
	b := shared.users[0].startTrusting(t)
	c, endpoint := startCollector(t)
	theirs := serve(t, comparisonSite(t, true))
	ours := startProductBefore(t, comparisonSite(t, false), "compat clevertap\n\t\t"+byHand).origins[0]
	sdks := sdkComparison{t: t, ctx: ctx, b: b, collector: c, endpoint: endpoint}
	rows, err := os.ReadFile("../../pushsvc/web/CLEVERTAP.md")
	must(t, err)
	calls, equal, explained, mended := 0, 0, map[string]int{}, 0
	for _, scenario := range sdks.scenarios(theirs) {
		began := time.Now()
		want := sdks.recorded(theirs, scenario, false)
		between := time.Now()
		got := sdks.recorded(ours, scenario, true)
		t.Logf("%-10s %5d ms and %5d ms", scenario, between.Sub(began).Milliseconds(), time.Since(between).Milliseconds())
		calls += want.Calls
		for i, w := range want.Cases {
			g := got.Cases[i]
			same := slices.Equal(w.Records, g.Records)
			where := scenario + ": " + w.Name
			switch {
			case same && w.Why != "":
				t.Errorf("%s: now equals CleverTap's; remove %q", where, w.Why)
			case same:
				equal++
			case w.Why == "":
				t.Errorf("%s: differs without a row in CLEVERTAP.md:\nCleverTap: %s\nours:      %s", where, w.Records, g.Records)
			case !strings.Contains(string(rows), "\n| "+w.Why+" |"):
				t.Errorf("%s: CLEVERTAP.md has no row %q", where, w.Why)
			default:
				explained[w.Why]++
			}
			if same && w.Mended {
				mended++
			}
		}
	}
	n := 0
	for _, of := range explained {
		n += of
	}
	t.Logf("%d calls: %d equal, %d explained by %d rows; %d mended since this comparison exists", calls, equal, n, len(explained), mended)
	if calls < 150 {
		t.Errorf("%d calls are too few", calls)
	}
}

// sdkComparison runs scenarios.
type sdkComparison struct {
	t         *testing.T
	ctx       context.Context
	b         browser.Browser
	collector *collector
	endpoint  string
}

// open opens the harness's page as a new visitor.
func (c sdkComparison) open(origin, query string) browser.Page {
	c.t.Helper()
	page, err := c.b.Open(c.ctx, origin+"/harness.js")
	must(c.t, err)
	must(c.t, page.Eval(c.ctx, `(() => {
		localStorage.clear();
		sessionStorage.clear();
		for (const cookie of document.cookie.split("; ")) document.cookie = cookie.split("=")[0] + "=; path=/; max-age=0";
	})()`, nil))
	c.collector.forget()
	must(c.t, page.Navigate(c.ctx, origin+"/?"+query))
	return page
}

func (c sdkComparison) scenarios(origin string) []string {
	c.t.Helper()
	page := c.open(origin, "scenario=events&endpoint="+c.endpoint)
	names := evaluated[[]string](c.ctx, c.t, page, "names")
	must(c.t, page.Close(c.ctx))
	return names
}

// recorded runs a scenario and returns its record.
func (c sdkComparison) recorded(origin, scenario string, ours bool) (result scenarioRecords) {
	c.t.Helper()
	query := url.Values{"scenario": {scenario}, "endpoint": {c.endpoint}}
	if ours {
		query.Set("ours", "1")
	}
	page := c.open(origin, query.Encode())
	must(c.t, page.Eval(c.ctx, "judge()", nil))
	asked := -1
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		urls := c.collector.asked()
		raw, err := json.Marshal(urls)
		must(c.t, err)
		must(c.t, page.Eval(c.ctx, fmt.Sprintf("recorded(%s)", raw), &result))
		if result.Complete && len(urls) == asked {
			break
		}
		if asked = len(urls); time.Now().After(deadline) {
			c.t.Errorf("%s (ours: %t): the end did not come; %d requests", scenario, ours, asked)
			break
		}
	}
	if n := len(c.collector.asked()); ours && n > 0 {
		c.t.Errorf("%s: with ours CleverTap's endpoint was asked %d times", scenario, n)
	}
	must(c.t, page.Close(c.ctx))
	return result
}
