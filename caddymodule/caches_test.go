package caddymodule_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// askings are request headers, each of which might change an answer.
var askings = [][2]string{
	{"Sec-Fetch-Dest", "document"},
	{"Sec-Fetch-Dest", "iframe"},
	{"Sec-Fetch-Dest", "image"},
	{"Sec-Fetch-Dest", "script"},
	{"Sec-Fetch-Dest", "empty"},
	{"Sec-Fetch-Dest", "manifest"},
	{"Sec-Fetch-Dest", "serviceworker"},
	{"Sec-Fetch-Mode", "cors"},
	{"Sec-Fetch-Mode", "same-origin"},
	{"Sec-Fetch-Site", "cross-site"},
	{"Sec-Fetch-User", "?1"},
	{"Sec-Purpose", "prefetch"},
	{"Purpose", "prefetch"},
	{"Service-Worker", "script"},
	{"Service-Worker-Navigation-Preload", "true"},
	{"Accept", "text/html"},
	{"Accept", "*/*"},
	{"Accept", "application/json"},
	{"Accept-Encoding", "gzip"},
	{"Accept-Encoding", "identity;q=0"},
	{"Accept-Language", "de"},
	{"Sec-GPC", "1"},
	{"DNT", "1"},
	{"Save-Data", "on"},
	{"Cookie", "__webpush=0"},
	{"Cookie", "__webpush=AAAAAAAAAAAAAAAAAAAAAA; a=b"},
	{"Authorization", "Basic YTpi"},
	{"Origin", "https://other.example"},
	{"Referer", "https://other.example/"},
	{"User-Agent", "curl/8"},
	{"X-Requested-With", "XMLHttpRequest"},
	{"X-PJAX", "true"},
	{"X-Up-Target", "main"},
	{"Turbo-Frame", "a"},
	{"HX-Request", "true"},
	{"HX-Boosted", "true"},
	{"HX-History-Restore-Request", "true"},
	{"Upgrade", "websocket"},
	{"Connection", "Upgrade"},
	{"If-None-Match", `"other"`},
	{"If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"},
	{"If-Range", `"other"`},
	{"Cache-Control", "no-cache"},
	{"Pragma", "no-cache"},
	{"Priority", "u=0"},
	{"X-Forwarded-For", "192.0.2.1"},
	{"X-Forwarded-Host", "other.example"},
	{"X-Forwarded-Proto", "https"},
	{"X-HTTP-Method-Override", "POST"},
	{"X-Webpush", "injected"},
}

// bases are requests; one of askings is added to each.
var bases = map[string]map[string]string{
	"navigation":     caddytest.Navigation,
	"nothing":        {},
	"fetch of HTML":  {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Accept": "text/html"},
	"fetch of any":   {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Accept": "*/*", "Accept-Encoding": "gzip"},
	"worker, update": {"Sec-Fetch-Dest": "serviceworker", "Sec-Fetch-Mode": "same-origin", "Service-Worker": "script", "Accept": "*/*"},
}

// TestSharedCaches: if a request header changes an answer, shared caches must
// separate the answers by that header, or not store them.
func TestSharedCaches(t *testing.T) {
	kept := func(contentType, body string, lines ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", contentType)
			h.Set("Cache-Control", "public, max-age=3600")
			h.Set("CDN-Cache-Control", "max-age=3600")
			h.Set("Etag", `"v1"`)
			for i := 0; i < len(lines); i += 2 {
				h.Set(lines[i], lines[i+1])
			}
			if h.Get("X-Status") == "404" {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = io.WriteString(w, body)
		}
	}
	fragment := "<p>part</p>"
	routes := map[string]http.HandlerFunc{
		"/page":          kept("text/html; charset=utf-8", pageHTML),
		"/headless":      kept("text/html", "<title>x</title><p>"),
		"/fragment":      kept("text/html", fragment),
		"/packed":        kept("text/html", gzipped(pageHTML), "Content-Encoding", "gzip", "Vary", "Accept-Encoding"),
		"/lost":          kept("text/html", pageHTML, "X-Status", "404"),
		"/csp":           kept("text/html", pageHTML, "Content-Security-Policy", "script-src 'none'"),
		"/data.json":     kept("application/json", `{"name":"data","a":1}`),
		"/empty.json":    kept("application/json", `{}`),
		"/site.json":     kept("application/manifest+json", `{"start_url":"/x"}`),
		"/manifest.json": kept("application/json", `{}`),
		"/worker.js":     kept("text/javascript", "self.a = 1"),
		"/sw.js":         kept("text/javascript", "self.b = 1"),
		"/logo.png":      kept("image/png", "\x89PNG"),
	}
	s := start(t, site{upstream: upstream(t, routes)})
	paths := append(slices.Sorted(maps.Keys(routes)), "/absent", "/_webpush/sdk.js", "/_webpush/sw.js", "/_webpush/popup.js",
		"/_webpush/frame.html", "/_webpush/frame.js", "/_webpush/nothing", "/_webpush/events", "/_webpush/subscribe")
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			for name, base := range bases {
				s.sharedCaches(t, "GET", path, name, base)
				if name == "navigation" || name == "worker, update" {
					s.sharedCaches(t, "HEAD", path, name, base)
				}
			}
		})
	}
}

// sharedCaches compares the answer to a request with the answer to the same
// request plus one header.
func (s *server) sharedCaches(t *testing.T, method, path, name string, base map[string]string) {
	t.Helper()
	without, body := s.request(method, "a.example.com", path, base, "")
	for _, add := range askings {
		if add[0] == "Service-Worker" && base["Sec-Fetch-Mode"] == "cors" || base[add[0]] == add[1] {
			continue
		}
		ask := maps.Clone(base)
		ask[add[0]] = add[1]
		with, got := s.request(method, "a.example.com", path, ask, "")
		same := func() bool {
			return with.StatusCode == without.StatusCode && got == body && sameAnswer(with.Header, without.Header)
		}
		// A page's marker and its length depend on how the pieces arrive: a
		// header without effect eventually gets the same answer.
		for try := 0; try < 10 && !same(); try++ {
			if with, got = s.request(method, "a.example.com", path, ask, ""); !same() {
				without, body = s.request(method, "a.example.com", path, base, "")
			}
		}
		if same() {
			continue
		}
		if err := apart(with.Header, add[0]); err != nil && !toScripts(with, add[0]) {
			t.Errorf("%s, %s with %s: %s: the answer is another: %v", method, name, add[0], add[1], err)
		}
		if !marked(path, without, body, add[0]) {
			continue
		}
		if err := apart(without.Header, add[0]); err != nil {
			t.Errorf("%s, %s without %s, which changes the answer (%s): %v", method, name, add[0], add[1], err)
		}
	}
}

// marked reports whether the answer without the header must be separated as well.
// The site's own scripts and data stay unchanged; our changed versions of them
// are not stored by caches. Hop-by-hop fields are never part of a cache's key.
func marked(path string, without *http.Response, body, field string) bool {
	page := strings.Contains(without.Header.Get("Content-Type"), "html")
	ours := strings.Contains(body, "webpush") || path == "/manifest.json" || path == "/sw.js"
	return (page || ours) && !hopByHop(field) && !toScripts(without, field)
}

// toScripts reports whether the field is Accept and the answer goes to a
// browser's script; Vary does not name Accept there, see injector/DESIGN.md.
func toScripts(resp *http.Response, field string) bool {
	return field == "Accept" && resp.Request.Header.Get("Sec-Fetch-Dest") == "empty" &&
		strings.Contains(resp.Header.Get("Content-Type"), "html")
}

func hopByHop(name string) bool { return name == "Upgrade" || name == "Connection" }

// sameAnswer compares two answers without their cache fields.
func sameAnswer(a, b http.Header) bool {
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Length", "Etag", "Location", "Set-Cookie", "X-Webpush", "Service-Worker-Allowed", "Content-Security-Policy"} {
		if !slices.Equal(a[http.CanonicalHeaderKey(name)], b[http.CanonicalHeaderKey(name)]) {
			return false
		}
	}
	return true
}

// apart checks that a shared cache separates answers by the header, or does not
// store this one.
func apart(h http.Header, field string) error {
	control := strings.ToLower(strings.Join(h["Cache-Control"], ","))
	if (strings.Contains(control, "no-store") || strings.Contains(control, "private")) && h.Get("Cdn-Cache-Control") == "" {
		return nil
	}
	vary := strings.ToLower(strings.Join(h["Vary"], ","))
	for v := range strings.SplitSeq(vary, ",") {
		if v = strings.TrimSpace(v); v == "*" || v == strings.ToLower(field) {
			return nil
		}
	}
	return fmt.Errorf("Cache-Control %q, CDN-Cache-Control %q, Vary %q", control, h.Get("Cdn-Cache-Control"), vary)
}
