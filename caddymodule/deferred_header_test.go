package caddymodule_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// deferred are lines that make Caddy apply a header block when the response is
// sent.
var deferred = []string{"-Server", "defer", ">X-Other y", "?X-Other y", "match {\n\t\t\tstatus 2xx\n\t\t}", ">X-Other a b"}

// TestDeferredHeaders: a page is classified by the header that is sent, with the
// same result as without the deferring line; csp extend is applied last.
func TestDeferredHeaders(t *testing.T) {
	if caddymodule.Deferring == nil {
		t.Fatal("this Caddy's deferred headers are of a form that is not known")
	}
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("X-Strict", "1")
		_, _ = io.WriteString(w, pageHTML)
	}
	up := upstream(t, map[string]http.HandlerFunc{"/": page, "/untyped": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, pageHTML) }})
	with := func(attr string) string {
		return strings.Replace(pageWithSnippet, ` defer="defer">`, ` defer="defer"`+attr+`>`, 1)
	}
	const policy = "Content-Security-Policy"
	for _, tt := range []struct {
		name, header, options string
		want, policyHas       string
	}{
		{"keep, blocked", `Content-Security-Policy "script-src 'none'"`, "", pageHTML, "script-src 'none'"},
		{"keep, nonce", `Content-Security-Policy "script-src 'nonce-r4nd0m' 'strict-dynamic'"`, "", with(` nonce="r4nd0m"`), "r4nd0m"},
		{"keep, allowed", `Content-Security-Policy "default-src 'self'"`, "", pageWithSnippet, "default-src 'self'"},
		{"extend", `Content-Security-Policy "script-src 'none'; connect-src 'none'"`, "csp extend", pageWithSnippet, "connect-src a.example.com/_webpush/; script-src-elem a.example.com/_webpush/"},
		{"no-transform", `Cache-Control "public, no-transform"`, "", pageHTML, ""},
		{"attachment", `Content-Disposition attachment`, "", pageHTML, ""},
		{"type", `Content-Type "text/plain; charset=utf-8"`, "", pageHTML, ""},
		{"other", `X-Frame-Options DENY`, "", pageWithSnippet, ""},
	} {
		for _, line := range append([]string{""}, deferred...) {
			if line == "" && tt.name != "other" && !strings.Contains(tt.header, "Security") {
				continue // the site's own header is applied later, and wins
			}
			for _, encode := range []string{"", "encode\n\t"} {
				s := start(t, site{chain: encode + "header {\n\t\t" + tt.header + "\n\t\t" + line + "\n\t}", options: tt.options, upstream: up})
				resp, body := s.page("a.example.com", "/")
				name, value, _ := strings.Cut(tt.header, " ")
				if line == "" || !strings.HasPrefix(line, "?") {
					if got := resp.Header.Values(name); len(got) != 1 || tt.options == "" && got[0] != strings.Trim(value, `"`) {
						t.Errorf("%s, %q: %s is %q", tt.name, line, name, got)
					}
				}
				if body != tt.want {
					t.Errorf("%s, %q: the page is\n%s", tt.name, line, body)
				}
				if got := resp.Header.Get(policy); !strings.Contains(got, tt.policyHas) {
					t.Errorf("%s, %q: the policy is %q", tt.name, line, got)
				}
				if line == "-Server" && resp.Header.Get("Server") != "" {
					t.Errorf("%s: -Server no longer has an effect", tt.name)
				}
				if _, body := s.page("a.example.com", "/untyped"); tt.name == "type" && body != pageHTML || tt.name == "other" && body != pageWithSnippet {
					t.Errorf("%s, %q: a page without a type is\n%s", tt.name, line, body)
				}
			}
		}
	}
}

// TestOwnAnswersKeepTheirHeaders: a site's header rule for its files does not
// apply to ours, or a new key and the option retire would not reach browsers; nor
// to the site's worker with ours appended.
func TestOwnAnswersKeepTheirHeaders(t *testing.T) {
	up := upstream(t, map[string]http.HandlerFunc{
		"/site-worker.js": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, "// the site's")
		},
	})
	const options = "migrate_from /their.js"
	asWorker := map[string]string{"Service-Worker": "script", "Sec-Fetch-Mode": "same-origin"}
	requests := []struct {
		method, path, body string
		header             map[string]string
	}{
		{"GET", "/_webpush/sdk.js", "", nil},
		{"GET", "/_webpush/popup.js", "", nil},
		{"GET", "/_webpush/sw.js", "", nil},
		{"GET", "/_webpush/frame.html", "", nil},
		{"GET", "/sw.js", "", asWorker},
		{"GET", "/their.js", "", asWorker},
		{"GET", "/site-worker.js", "", asWorker},
		{"GET", "/manifest.json", "", nil},
		{"POST", "/_webpush/subscribe", "{}", caddytest.Posting},
		{"POST", "/_webpush/events", `{"batch":"AAAAAAAAAAAAAAAAAAA01A","events":[{"type":"event","name":"A"}]}`, caddytest.Posting},
	}
	fields := []string{"Cache-Control", "Content-Type", "Content-Security-Policy", "Cross-Origin-Resource-Policy", "Service-Worker-Allowed", "X-Content-Type-Options", "Expires", "CDN-Cache-Control", "Surrogate-Control"}
	ask := func(chain string) (got []string) {
		s := start(t, site{chain: chain, options: options, upstream: up})
		for _, q := range requests {
			resp, body := s.request(q.method, "a.example.com", q.path, q.header, q.body)
			line := q.path + " " + resp.Status
			for _, f := range fields {
				line += "\n  " + f + ": " + strings.Join(resp.Header.Values(f), " | ")
			}
			if q.path == "/_webpush/events" && len(resp.Cookies()) != 1 {
				t.Errorf("%s: no cookie", chain)
			}
			if q.method == "GET" && len(body) < 20 {
				t.Errorf("%s: %s is %q", chain, q.path, body)
			}
			got = append(got, line)
		}
		return got
	}
	want := ask("")
	for _, line := range append([]string{""}, deferred...) {
		for _, encode := range []string{"", "encode"} {
			chain := encode + `
	header {
		Cache-Control "public, max-age=31536000, immutable"
		Expires "Thu, 01 Dec 2044 16:00:00 GMT"
		CDN-Cache-Control max-age=31536000
		Surrogate-Control max-age=31536000
		` + line + `
	}`
			for i, got := range ask(chain) {
				if got != want[i] {
					t.Errorf("%q %s: got %s\nwant %s", line, encode, got, want[i])
				}
			}
		}
	}
	for i, got := range ask("header {\n\t\t-Service-Worker-Allowed\n\t\t>Content-Type text/plain\n\t\t>Content-Security-Policy \"default-src 'none'\"\n\t\t-Set-Cookie\n\t}") {
		if !strings.Contains(want[i], "Content-Type: \n") && strings.Contains(got, "Content-Type: text/plain") {
			t.Errorf("no longer ours: %s", got)
		}
		got = strings.Replace(got, "Content-Type: text/plain", "Content-Type: ", 1)
		got, want := strings.Replace(got, "default-src 'none'", "", 1), strings.Replace(want[i], "default-src 'none'", "", 1)
		if got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}
