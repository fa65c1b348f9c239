//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
	"github.com/caddy-webpush/caddy-webpush/injector"
)

// comparedPage is a page to compare.
type comparedPage struct {
	name, contentType string
	original          []byte

	path    string
	changed []byte // the page through webpush; nil if webpush left it unchanged
	reason  string // why webpush left it unchanged
	err     string // the fault in the answer, if any
}

// comparison is a site with all pages, webpush in front of it, and before both a
// proxy that serves either to browsers: /plain/... is the site and /ours/... is
// webpush.
//
// The proxy adds a policy under which no script runs and nothing else is loaded.
// It adds it after webpush, which must not see it. Unlike a sandbox, this policy
// leaves the parser in the mode for documents with scripts, in which noscript is
// text.
type comparison struct {
	url   string
	pages []comparedPage
}

const noScripts = "default-src 'none'"

func newComparison(t *testing.T, pages []comparedPage) *comparison {
	t.Helper()
	c := &comparison{pages: pages}
	for i := range c.pages {
		c.pages[i].path = fmt.Sprintf("/%d", i)
	}
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil || i < 0 || i >= len(c.pages) {
			http.NotFound(w, r)
			return
		}
		e := &c.pages[i]
		w.Header().Set("Content-Type", e.contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(e.original)))
		_, _ = w.Write(e.original)
	})
	direct := httptest.NewServer(site)
	t.Cleanup(direct.Close)
	ours := startProductBefore(t, site, "").origins[0]
	for i := range c.pages {
		c.pages[i].inspect(t, ours)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/blank", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", noScripts) // frames inherit it
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>comparison</title><body>")
	})
	mux.Handle("/plain/", show("/plain", direct.URL))
	mux.Handle("/ours/", show("/ours", ours))
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)
	c.url = front.URL
	return c
}

// show forwards the path after the prefix, as if the visitor had opened it.
func show(prefix, origin string) http.Handler {
	target, err := url.Parse(origin)
	if err != nil {
		panic(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, prefix)
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Add("Content-Security-Policy", noScripts)
			r.Header.Set("Cache-Control", "no-store")
			return nil
		},
	}
}

// inspect fetches the page through webpush and compares it with the original. An
// unchanged page needs no browser: equal bytes are equal documents.
func (e *comparedPage) inspect(t *testing.T, origin string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, origin+e.path, nil)
	must(t, err)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Accept-Encoding", "identity")
	resp, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != e.contentType {
		e.err = fmt.Sprintf("status %d, type %q", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	if bytes.Equal(got, e.original) {
		e.reason = e.injectorReason(t, r)
		return
	}
	e.changed = got
	if sdk := []byte("/_webpush/sdk.js"); bytes.Count(got, sdk) == bytes.Count(e.original, sdk) {
		e.reason = filled
	}
}

// filled is the reason of a page that got no tags but the same number of blank
// bytes: it must be the same document.
const filled = "filled"

// injectorReason asks the injector for its reason, which Caddy does not expose.
func (e *comparedPage) injectorReason(t *testing.T, r *http.Request) string {
	t.Helper()
	in, err := injector.New(injector.Options{Snippet: injector.Snippet{Manifest: "/manifest.json", Script: "/_webpush/sdk.js"}})
	must(t, err)
	rec := httptest.NewRecorder()
	w := in.NewWriter(rec, r)
	w.Header().Set("Content-Type", e.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(e.original)))
	_, err = w.Write(e.original)
	must(t, err)
	must(t, w.Finish())
	return string(w.Reason())
}

// compareByVisit opens the page in two tabs, one without and one with webpush, and
// returns the fault; "" means no fault.
func (c *comparison) compareByVisit(ctx context.Context, t *testing.T, tabs [2]browser.Page, e *comparedPage) string {
	t.Helper()
	if e.err != "" || e.changed == nil {
		return e.err
	}
	loaded := make(chan error, 1)
	go func() { loaded <- visitPage(ctx, tabs[0], c.url, "/plain"+e.path) }()
	err := visitPage(ctx, tabs[1], c.url, "/ours"+e.path)
	must(t, <-loaded)
	must(t, err)
	var plain struct {
		Hash     float64
		Manifest bool
	}
	must(t, tabs[0].Eval(ctx, compareCall(`({hash: hash(write(document)), manifest: hasManifest(document)})`), &plain))
	var changed struct {
		Hash      float64
		Complaint string
	}
	without := fmt.Sprintf("ours(document, %t)", plain.Manifest)
	if e.reason == filled {
		without = `{found: new Set(), complaint: ""}`
	}
	must(t, tabs[1].Eval(ctx, compareCall(fmt.Sprintf(`(({found, complaint}) => ({hash: hash(write(document, found)), complaint}))(%s)`, without)), &changed))
	if changed.Complaint != "" || changed.Hash == plain.Hash {
		return changed.Complaint
	}
	var texts [2]string
	must(t, tabs[0].Eval(ctx, compareCall("write(document)"), &texts[0]))
	must(t, tabs[1].Eval(ctx, compareCall(fmt.Sprintf("write(document, %s.found)", without)), &texts[1]))
	return difference(texts[0], texts[1])
}

// visitPage loads a page. Firefox reports the load as aborted when it restarts it
// with another encoding.
func visitPage(ctx context.Context, page browser.Page, origin, path string) error {
	err := page.Navigate(ctx, origin+path)
	if err == nil || ctx.Err() != nil {
		return err
	}
	loaded := fmt.Sprintf(`document.readyState === "complete" && location.pathname === %q`, path)
	if late := browser.WaitFor(ctx, page, loaded); late != nil {
		return errors.Join(err, late)
	}
	return nil
}

// batch is the number of pages that a browser gets at once, each twice.
const batch = 100

// compareByWriting compares all pages in a frame of one page.
func (c *comparison) compareByWriting(ctx context.Context, t *testing.T, page browser.Page) tally {
	t.Helper()
	var changed []*comparedPage
	var got tally
	for i := range c.pages {
		if e := &c.pages[i]; e.changed != nil && e.err == "" {
			changed = append(changed, e)
		} else {
			got.add(e, e.err)
		}
	}
	for some := range slices.Chunk(changed, batch) {
		var pairs [][2]string
		for _, e := range some {
			pairs = append(pairs, [2]string{string(e.original), string(e.changed)})
		}
		list, err := json.Marshal(pairs)
		must(t, err)
		var verdicts []string
		must(t, page.Eval(ctx, compareCall(fmt.Sprintf("judgeInFrame(%s)", list)), &verdicts))
		if len(verdicts) != len(some) {
			t.Fatalf("%d verdicts on %d pages", len(verdicts), len(some))
		}
		for i, v := range verdicts {
			if v != "" {
				v = fmt.Sprintf("%s\n\t\tin %.300q", v, some[i].original)
			}
			got.add(some[i], v)
		}
	}
	return got
}

func compareCall(expression string) string {
	return "(() => {" + compareScript + "\nreturn " + expression + "})()"
}

// difference returns the place where two documents differ, "" if they are equal.
func difference(a, b string) string {
	if a == b {
		return ""
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	near := func(s string) string { return s[max(i-80, 0):min(i+80, len(s))] }
	return fmt.Sprintf("differs at %d:\n\t\twithout us %q\n\t\twith us    %q", i, near(a), near(b))
}
