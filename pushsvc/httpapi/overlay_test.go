package httpapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

func config() httpapi.SiteConfig {
	return httpapi.SiteConfig{
		Site: siteA, Name: "Acme </script> News", Icon: "/icon.png", Key: strings.Repeat("K", 87),
		Prefix: "/_webpush", Worker: "/sw.js", Scope: "/",
	}
}

// upstream is what would have answered without us.
type upstream struct {
	status  int // 0: no WriteHeader
	headers []string
	body    string
}

func (u upstream) next(w http.ResponseWriter, r *http.Request) error {
	for i := 0; i < len(u.headers); i += 2 {
		w.Header().Set(u.headers[i], u.headers[i+1])
	}
	if u.status != 0 {
		w.WriteHeader(u.status)
	}
	if r.Method != http.MethodHead {
		// In pieces, and through ReadFrom if the writer has it.
		half := len(u.body) / 2
		_, _ = io.WriteString(w, u.body[:half])
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, strings.NewReader(u.body[half:]))
	}
	return nil
}

// front serves an overlay over an upstream on a real server and fetches it.
func front(t *testing.T, method string, overlay func(http.ResponseWriter, *http.Request, httpapi.Next) error, next httpapi.Next, headers ...string) answer {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outer", "kept")
		if err := overlay(w, r, next); err != nil {
			t.Errorf("overlay: %v", err)
		}
	}))
	defer server.Close()
	f := &fixture{TB: t}
	return f.do(method, server.URL+"/sw.js", "", headers...)
}

func worker(own bool) func(http.ResponseWriter, *http.Request, httpapi.Next) error {
	return func(w http.ResponseWriter, r *http.Request, next httpapi.Next) error {
		return httpapi.OverlayWorker(w, r, next, config(), own)
	}
}

func manifest(own bool) func(http.ResponseWriter, *http.Request, httpapi.Next) error {
	return func(w http.ResponseWriter, r *http.Request, next httpapi.Next) error {
		return httpapi.OverlayManifest(w, r, next, config(), own)
	}
}

// served returns the answer of one of the Serve functions.
func served(serve func(http.ResponseWriter, *http.Request, httpapi.SiteConfig)) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	serve(w, httptest.NewRequest("GET", "/sw.js", nil), config())
	return w
}

const (
	javascript = "text/javascript; charset=utf-8"
	theirs     = "\"use strict\";\nself.addEventListener('fetch', e => {}) // no line end"
)

func TestOverlayWorker(t *testing.T) {
	const passes, appended, ours = "passes", "appended", "ours"
	for _, tt := range []struct {
		name, want, wantForeign string // at our path, and at another
		up                      upstream
	}{
		{"script", appended, appended, upstream{200, []string{"Content-Type", javascript}, theirs}},
		{"script, no status", appended, appended, upstream{0, []string{"Content-Type", javascript}, theirs}},
		{"application/javascript", appended, appended, upstream{200, []string{"Content-Type", "application/javascript"}, theirs}},
		{"application/x-javascript", appended, appended, upstream{200, []string{"Content-Type", "application/x-javascript"}, theirs}},
		{"in capitals", appended, appended, upstream{200, []string{"Content-Type", "Text/JavaScript"}, theirs}},
		{"identity", appended, appended, upstream{200, []string{"Content-Type", javascript, "Content-Encoding", "identity"}, theirs}},
		{"empty script", appended, appended, upstream{200, []string{"Content-Type", javascript}, ""}},
		{"validators", appended, appended, upstream{200, []string{"Content-Type", javascript, "Etag", `"x"`, "Last-Modified", "Mon, 23 Nov 2026 06:00:00 GMT", "Content-Length", fmt.Sprint(len(theirs)), "Accept-Ranges", "bytes"}, theirs}},
		{"not found", ours, passes, upstream{404, []string{"Content-Type", "text/html", "Etag", `"x"`, "Set-Cookie", "a=b"}, "<h1>no</h1>"}},
		{"gone", ours, passes, upstream{410, nil, ""}},
		{"forbidden", passes, passes, upstream{403, []string{"Content-Type", "application/xml"}, "<Error/>"}},
		{"the application's page", ours, passes, upstream{200, []string{"Content-Type", "text/html; charset=utf-8", "Content-Length", "13"}, "<!doctype html"[:13]}},
		{"no type", ours, passes, upstream{200, []string{"Content-Type", ""}, "{}"}},
		{"redirect", passes, passes, upstream{302, []string{"Location", "https://login.example/"}, "moved"}},
		{"permanent redirect", passes, passes, upstream{308, []string{"Location", "/"}, ""}},
		{"server error", passes, passes, upstream{500, []string{"Content-Type", "text/html"}, "oops"}},
		{"bad gateway", passes, passes, upstream{502, nil, ""}},
		{"unavailable", passes, passes, upstream{503, []string{"Retry-After", "5"}, ""}},
		{"unauthorized", passes, passes, upstream{401, []string{"Www-Authenticate", "Basic"}, "who?"}},
		{"too many", passes, passes, upstream{429, nil, "slow"}},
		{"gzip", passes, passes, upstream{200, []string{"Content-Type", javascript, "Content-Encoding", "gzip", "Etag", `"g"`}, "\x1f\x8b\x08 not really"}},
		{"no content", passes, passes, upstream{204, nil, ""}},
		{"partial", passes, passes, upstream{206, []string{"Content-Type", javascript, "Content-Range", "bytes 0-3/9"}, "self"}},
	} {
		for _, own := range []bool{true, false} {
			want := tt.want
			if !own {
				want = tt.wantForeign
			}
			t.Run(fmt.Sprint(tt.name, "/own=", own), func(t *testing.T) {
				get := front(t, "GET", worker(own), tt.up.next)
				head := front(t, "HEAD", worker(own), tt.up.next)
				switch want {
				case passes:
					checkPassed(t, tt.up, get)
				case appended:
					checkAppended(t, tt.up, get)
					checkCaching(t, own, get)
				case ours:
					checkOurs(t, served(httpapi.ServeWorker), get)
				}
				if head.status != get.status || head.body != "" || want != passes && head.header.Get("Content-Type") != get.header.Get("Content-Type") || head.header.Get("Etag") != get.header.Get("Etag") {
					t.Errorf("HEAD %+v, GET %d %v", head, get.status, get.header)
				}
			})
		}
	}
}

// TestOverlayWorkerRetired: if the site is retired, its own worker is untouched, and ours is
// replaced by one that removes itself.
func TestOverlayWorkerRetired(t *testing.T) {
	c := config()
	c.Retire = true
	retired := func(w http.ResponseWriter, r *http.Request, next httpapi.Next) error {
		return httpapi.OverlayWorker(w, r, next, c, true)
	}
	ours := httptest.NewRecorder()
	httpapi.ServeWorker(ours, httptest.NewRequest("GET", "/sw.js", nil), c)
	for _, want := range []string{"unregister", "/unsubscribe", c.Key} {
		if !strings.Contains(ours.Body.String(), want) {
			t.Fatalf("the worker lacks %q", want)
		}
	}
	if strings.Contains(ours.Body.String(), "showNotification") {
		t.Fatal("the worker still shows notifications")
	}
	for _, tt := range []struct {
		name   string
		passes bool
		up     upstream
	}{
		{"script", true, upstream{200, []string{"Content-Type", javascript, "Etag", `"x"`, "Content-Length", fmt.Sprint(len(theirs))}, theirs}},
		{"gzip", true, upstream{200, []string{"Content-Type", javascript, "Content-Encoding", "gzip"}, "\x1f\x8b\x08 not really"}},
		{"redirect", true, upstream{302, []string{"Location", "/login"}, ""}},
		{"forbidden", true, upstream{403, nil, "no"}},
		{"server error", true, upstream{500, nil, "oops"}},
		{"not found", false, upstream{404, []string{"Content-Type", "text/html"}, "<h1>no</h1>"}},
		{"gone", false, upstream{410, nil, ""}},
		{"the application's page", false, upstream{200, []string{"Content-Type", "text/html"}, "<!doctype html>"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := front(t, "GET", retired, tt.up.next)
			if !tt.passes {
				checkOurs(t, ours, got)
				return
			}
			checkPassed(t, tt.up, got)
			// A worker that was registered with our header needs it to be updated.
			if allowed := got.header.Get("Service-Worker-Allowed"); tt.name == "script" && allowed != "/" {
				t.Errorf("Service-Worker-Allowed: %q", allowed)
			}
		})
	}
}

func checkPassed(t *testing.T, up upstream, got answer) {
	t.Helper()
	status := up.status
	if status == 0 {
		status = 200
	}
	if got.status != status || got.body != up.body {
		t.Errorf("%d %q; want %d %q", got.status, got.body, status, up.body)
	}
	for i := 0; i < len(up.headers); i += 2 {
		if v := got.header.Get(up.headers[i]); v != up.headers[i+1] {
			t.Errorf("%s: %q, want %q", up.headers[i], v, up.headers[i+1])
		}
	}
}

func checkAppended(t *testing.T, up upstream, got answer) {
	t.Helper()
	script, found := strings.CutPrefix(got.body, up.body+"\n;")
	if got.status != 200 || !found {
		t.Fatalf("%d %.200q", got.status, got.body)
	}
	if !strings.Contains(script, config().Key) || strings.Contains(script, `"standalone":true`) || strings.Contains(script, "__WEBPUSH_CONFIG__") {
		t.Errorf("what is appended is not our worker without standalone: %.200q", script)
	}
	for _, name := range []string{"Etag", "Last-Modified", "Accept-Ranges"} {
		if v := got.header.Get(name); v != "" {
			t.Errorf("%s: %s speaks of the script alone", name, v)
		}
	}
	if v := got.header.Get("Content-Length"); v != "" && v != fmt.Sprint(len(got.body)) {
		t.Errorf("Content-Length: %s of %d", v, len(got.body))
	}
}

// checkCaching: at a path of the site's, the same URL is a script without ours for other clients,
// so no cache may keep it; at ours, the scope may be the root.
func checkCaching(t *testing.T, own bool, got answer) {
	t.Helper()
	cache, vary, scope := got.header.Get("Cache-Control"), got.header.Get("Vary"), got.header.Get("Service-Worker-Allowed")
	if own && scope != "/" {
		t.Errorf("Service-Worker-Allowed: %q", scope)
	}
	if !own && (cache != "private, no-store" || !strings.Contains(vary, "Service-Worker")) {
		t.Errorf("Cache-Control: %q, Vary: %q", cache, vary)
	}
}

func checkOurs(t *testing.T, want *httptest.ResponseRecorder, got answer) {
	t.Helper()
	if got.status != 200 || got.body != want.Body.String() {
		t.Errorf("%d %.100q; want ours, %.100q", got.status, got.body, want.Body)
	}
	wanted := want.Header().Clone()
	wanted.Set("X-Outer", "kept")
	got.header.Del("Date")
	if diff := cmp.Diff(wanted, got.header); diff != "" {
		t.Error(diff)
	}
}

// TestOverlayUnconditional: the site is asked for the whole file without compression, and our own
// answer has validators that work.
func TestOverlayUnconditional(t *testing.T) {
	tag := served(httpapi.ServeWorker).Header().Get("Etag")
	asked := func(w http.ResponseWriter, r *http.Request) error {
		for _, name := range []string{"If-None-Match", "If-Modified-Since", "Range", "If-Range", "If-Match"} {
			if v := r.Header.Get(name); v != "" {
				t.Errorf("the site is asked with %s: %s", name, v)
			}
		}
		if v := r.Header.Get("Accept-Encoding"); v != "identity" {
			t.Errorf("the site is asked with Accept-Encoding: %s", v)
		}
		w.WriteHeader(404)
		return nil
	}
	for _, overlay := range []func(http.ResponseWriter, *http.Request, httpapi.Next) error{worker(true), manifest(true)} {
		front(t, "GET", overlay, asked, "Accept-Encoding", "gzip, br", "If-None-Match", `"x"`, "If-Modified-Since", "Mon, 23 Nov 2026 06:00:00 GMT", "Range", "bytes=0-3", "If-Range", `"x"`, "If-Match", `"y"`)
	}
	absent := upstream{404, nil, "no"}.next
	for header, want := range map[string]int{tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, "": 200} {
		a := front(t, "GET", worker(true), absent, "If-None-Match", header)
		if a.status != want || a.header.Get("Etag") != tag || want == 304 && a.body != "" {
			t.Errorf("If-None-Match: %s: %d, ETag %s", header, a.status, a.header.Get("Etag"))
		}
	}
}

// TestOverlayError: an error of the site's is left to the outer handler, unless it means that the
// site has no such file.
func TestOverlayError(t *testing.T) {
	down := errors.New("upstream is down")
	for _, tt := range []struct {
		err  error
		ours bool // at our path
	}{
		{down, false},
		{fmt.Errorf("proxying: %w", down), false},
		{&httpapi.StatusError{Status: 404, Err: down}, true},
		{fmt.Errorf("files: %w", &httpapi.StatusError{Status: 410, Err: down}), true},
		{&httpapi.StatusError{Status: 500, Err: down}, false},
		{&httpapi.StatusError{Status: 502, Err: down}, false},
		{&httpapi.StatusError{Status: 401, Err: down}, false},
		{&httpapi.StatusError{Status: 0, Err: down}, false},
	} {
		next := func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("X-Theirs", "yes")
			return tt.err
		}
		for _, o := range []struct {
			name    string
			overlay func(http.ResponseWriter, *http.Request, httpapi.Next) error
			serve   func(http.ResponseWriter, *http.Request, httpapi.SiteConfig)
		}{
			{"worker", worker(true), httpapi.ServeWorker}, {"other worker", worker(false), nil}, {"manifest", manifest(true), httpapi.ServeManifest},
		} {
			w := httptest.NewRecorder()
			err := o.overlay(w, httptest.NewRequest("GET", "/", nil), next)
			if tt.ours && o.serve != nil {
				if want := served(o.serve); err != nil || w.Body.String() != want.Body.String() || cmp.Diff(want.Header(), w.Header()) != "" {
					t.Errorf("%s, %v: %v, %.100q, %v", o.name, tt.err, err, w.Body, w.Header())
				}
			} else if !errors.Is(err, down) || errors.As(err, new(*httpapi.StatusError)) || w.Body.Len() != 0 || w.Flushed {
				t.Errorf("%s, %v: %v, wrote %q", o.name, tt.err, err, w.Body)
			}
		}
	}
	written := func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", javascript)
		_, _ = io.WriteString(w, "half of")
		return &httpapi.StatusError{Status: 404, Err: down}
	}
	w := httptest.NewRecorder()
	if err := httpapi.OverlayWorker(w, httptest.NewRequest("GET", "/", nil), written, config(), true); !errors.Is(err, down) || w.Body.String() != "half of" {
		t.Errorf("an error after half a script: %v, %q", err, w.Body)
	}
}

func TestOverlayManifest(t *testing.T) {
	const manifestType = "application/manifest+json"
	typed := []string{"Content-Type", manifestType, "Etag", `"m"`}
	large := `{"name":"x","pad":"` + strings.Repeat("x", 300<<10) + `"}`
	icons := `[{"sizes":"192x192","src":"/icon.png"}]`
	for _, tt := range []struct {
		name, want string // "" is ours, "=" is what the site has
		up         upstream
	}{
		{"none", "", upstream{404, []string{"Content-Type", "text/html"}, "no"}},
		{"the application's page", "", upstream{200, []string{"Content-Type", "text/html"}, "<!doctype html>"}},
		{"redirect", "", upstream{302, []string{"Location", "/login"}, ""}},
		{"error", "=", upstream{500, nil, "oops"}},
		{"unauthorized", "=", upstream{401, nil, "who?"}},
		{"gzip", "=", upstream{200, append(typed, "Content-Encoding", "gzip"), "\x1f\x8b{}"}},
		{"list", "=", upstream{200, typed, `[{"name":"x"}]`}},
		{"null", "=", upstream{200, typed, `null`}},
		{"text", "=", upstream{200, typed, `not JSON`}},
		{"two values", "=", upstream{200, typed, `{} {}`}},
		{"empty", "=", upstream{200, typed, ``}},
		{"larger than is held", "=", upstream{200, append(typed, "Content-Length", fmt.Sprint(len(large))), large}},
		{"complete", "=", upstream{200, typed, ` {"name":"x","icons":[],"display":"browser"} `}},
		{"complete by short name", "=", upstream{200, typed, `{"short_name":"x","icons":null,"display":""}`}},
		{"a build tool's list of files", "=", upstream{200, []string{"Content-Type", "application/json"}, `{"main.js":"main.1.js"}`}},
		{"sent away", "", upstream{307, []string{"Location", "/login"}, ""}},
		{"refused", "", upstream{403, []string{"Content-Type", "application/xml"}, "<Error/>"}},
		{"nothing in it", `{"display":"standalone","icons":` + icons + `,"name":"Acme </script> News"}`, upstream{200, typed, `{}`}},
		{"some", `{"id":"/app","name":"Mine & yours","start_url":"/x?a=1","display":"standalone","icons":` + icons + `}`, upstream{200, typed, `{"id":"/app","name":"Mine & yours","start_url":"/x?a=1"}`}},
		{"as JSON, without status", `{"theme_color":"#fff","short_name":"x","display":"minimal-ui","icons":` + icons + `}`, upstream{0, []string{"Content-Type", "application/json"}, `{"theme_color":"#fff","short_name":"x","display":"minimal-ui"}`}},
		{"strange members", `{"Name":"other","n":1e400,"name":"x","display":{},"icons":7}`, upstream{200, typed, `{"Name":"other","n":1e400,"name":"x","display":{},"icons":7}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := front(t, "GET", manifest(true), tt.up.next)
			head := front(t, "HEAD", manifest(true), tt.up.next)
			elsewhere := front(t, "GET", manifest(false), tt.up.next)
			switch tt.want {
			case "":
				want := served(httpapi.ServeManifest)
				if tt.up.status != 404 {
					// The site may answer so to visitors who aren't logged in.
					want.Header().Set("Cache-Control", "private, max-age=300")
				}
				checkOurs(t, want, got)
			case "=":
				checkPassed(t, tt.up, got)
			default:
				checkManifest(t, tt.want, got)
				checkManifest(t, tt.want, elsewhere)
			}
			if tt.want == "" || tt.want == "=" {
				// Ours is never at a path that only the site's pages link as a manifest.
				checkPassed(t, tt.up, elsewhere)
			}
			if head.status != got.status || head.body != "" {
				t.Errorf("HEAD %+v, GET %d", head, got.status)
			}
			if v := head.header.Get("Content-Length"); v != "" && v != fmt.Sprint(len(got.body)) {
				t.Errorf("HEAD promises %s bytes of %d", v, len(got.body))
			}
		})
	}
}

func checkManifest(t *testing.T, want string, got answer) {
	t.Helper()
	if got.status != 200 || canonical(t, got.body) != canonical(t, want) {
		t.Errorf("%d %s; want %s", got.status, got.body, want)
	}
	if got.body != want && got.header.Get("Etag") != "" {
		t.Error("the site's ETag is on another body")
	}
}

// canonical returns JSON with its members in order and numbers unchanged.
func canonical(t testing.TB, text string) string {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// FuzzCompleteManifest: the site's members stay, whatever they are; if the input is JSON, so is the
// output.
func FuzzCompleteManifest(f *testing.F) {
	for _, seed := range []string{`{}`, `{"name":"x","icons":[{}]}`, `[]`, `{"short_name":null}`, `{"a":1,"a":2}`, `{"\ud800":"\u2028<"}`, "\ufeff{}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		err := manifest(true)(w, httptest.NewRequest("GET", "/manifest.json", nil), func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "application/manifest+json")
			_, _ = w.Write(body)
			return nil
		})
		if err != nil || w.Code != 200 {
			t.Fatalf("%d, %v", w.Code, err)
		}
		got := w.Body.Bytes()
		if bytes.Equal(got, body) {
			return
		}
		var before, after map[string]any
		if json.Unmarshal(body, &before) != nil && !bytes.Contains(body, []byte("e")) && !bytes.Contains(body, []byte("E")) || !json.Valid(got) {
			t.Fatalf("%q becomes %q", body, got)
		}
		_ = json.Unmarshal(got, &after)
		for name, value := range before {
			if diff := cmp.Diff(value, after[name]); diff != "" {
				t.Errorf("%q: member %q: %s", body, name, diff)
			}
		}
		for _, name := range []string{"id", "start_url", "scope"} {
			if _, had := before[name]; !had && after[name] != nil {
				t.Errorf("%q gets %q", body, name)
			}
		}
	})
}
