package injector

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
)

// request returns a GET with the given header lines.
func request(lines ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://site.example/", nil)
	for i := 0; i < len(lines); i += 2 {
		r.Header.Add(lines[i], lines[i+1])
	}
	return r
}

const navAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

func TestClassify(t *testing.T) {
	tests := []struct {
		name   string
		method string
		lines  []string
		want   Reason
		kind   kind
	}{
		{"navigation", "GET", []string{"Sec-Fetch-Dest", "document", "Sec-Fetch-Mode", "navigate"}, "", kindDocument},
		{"head", "HEAD", []string{"Sec-Fetch-Dest", "document"}, "", kindDocument},
		{"form", "POST", []string{"Sec-Fetch-Dest", "document"}, "", kindDocument},
		{"form of Turbo", "POST", []string{"Sec-Fetch-Dest", "empty", "Accept", "text/vnd.turbo-stream.html, text/html, application/xhtml+xml"}, "", kindMaybe},
		{"boosted form", "POST", []string{"Sec-Fetch-Dest", "empty", "Accept", "*/*", "HX-Request", "true", "HX-Boosted", "true"}, "", kindMaybe},
		{"api post", "POST", []string{"Sec-Fetch-Dest", "empty", "Accept", "*/*"}, ReasonMethod, kindNone},
		{"put", "PUT", []string{"Sec-Fetch-Dest", "document"}, ReasonMethod, kindNone},
		{"connect", "CONNECT", nil, ReasonMethod, kindNone},
		{"prerender", "GET", []string{"Sec-Fetch-Dest", "document", "Sec-Purpose", "prefetch;prerender"}, "", kindDocument},
		{"link prefetch", "GET", []string{"Sec-Fetch-Dest", "empty", "Sec-Fetch-Mode", "no-cors", "Sec-Purpose", "prefetch", "Accept", navAccept}, "", kindDocument},
		{"iframe", "GET", []string{"Sec-Fetch-Dest", "iframe", "Accept", navAccept}, ReasonFrame, kindNone},
		{"embed", "GET", []string{"Sec-Fetch-Dest", "embed"}, ReasonFrame, kindNone},
		{"image", "GET", []string{"Sec-Fetch-Dest", "image"}, ReasonNotAPage, kindNone},
		{"worker", "GET", []string{"Sec-Fetch-Dest", "serviceworker"}, ReasonNotAPage, kindNone},
		{"websocket", "GET", []string{"Connection", "keep-alive, Upgrade", "Upgrade", "websocket"}, ReasonUpgrade, kindNone},
		{"upgrade token only", "GET", []string{"Connection", "upgrade", "Accept", navAccept}, ReasonUpgrade, kindNone},
		{"fetch, maybe a worker's", "GET", []string{"Sec-Fetch-Dest", "empty", "Accept", "*/*"}, "", kindUnlikely},
		{"api fetch", "GET", []string{"Sec-Fetch-Dest", "empty", "Accept", "application/json"}, ReasonNotAPage, kindNone},
		{"turbo drive", "GET", []string{"Sec-Fetch-Dest", "empty", "Accept", "text/html, application/xhtml+xml"}, "", kindMaybe},
		{"turbo frame", "GET", []string{"Sec-Fetch-Dest", "empty", "Accept", navAccept, "Turbo-Frame", "x"}, ReasonNotAPage, kindNone},
		{"htmx", "GET", []string{"Sec-Fetch-Dest", "empty", "Accept", "*/*", "HX-Request", "true"}, ReasonNotAPage, kindNone},
		{"htmx html", "GET", []string{"Sec-Fetch-Dest", "empty", "Accept", "text/html", "HX-Request", "true"}, ReasonNotAPage, kindNone},
		{"htmx boosted", "GET", []string{"Sec-Fetch-Dest", "empty", "Accept", "*/*", "HX-Request", "true", "HX-Boosted", "true"}, "", kindMaybe},
		{"htmx history", "GET", []string{"Sec-Fetch-Dest", "empty", "HX-Request", "true", "HX-History-Restore-Request", "true"}, "", kindMaybe},
		{"xhr", "GET", []string{"Accept", navAccept, "X-Requested-With", "XMLHttpRequest"}, ReasonNotAPage, kindNone},
		{"pjax", "GET", []string{"Accept", navAccept, "X-PJAX", "true"}, ReasonNotAPage, kindNone},
		{"unpoly", "GET", []string{"Accept", navAccept, "X-Up-Target", "main"}, ReasonNotAPage, kindNone},
		{"old browser", "GET", []string{"Accept", navAccept}, "", kindMaybe},
		{"old browser, upper case", "GET", []string{"Accept", "image/png, Text/HTML;q=1"}, "", kindMaybe},
		{"curl", "GET", []string{"Accept", "*/*"}, "", kindUnlikely},
		{"nothing", "GET", nil, "", kindUnlikely},
		{"data wanted", "GET", []string{"Accept", "application/json, */*"}, ReasonNotAPage, kindNone},
		{"htmx of an old browser", "GET", []string{"Accept", "*/*", "HX-Request", "true"}, ReasonNotAPage, kindNone},
	}
	in := newInjector(t, Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(tt.lines...)
			r.Method = tt.method
			if k, got := in.kind(r); got != tt.want || k != tt.kind {
				t.Errorf("got %q, kind %d; want %q, %d", got, k, tt.want, tt.kind)
			}
			if got := in.Classify(r); got != tt.want {
				t.Errorf("Classify: got %q, want %q", got, tt.want)
			}
		})
	}
	frames := newInjector(t, Options{Frames: true})
	if got := frames.Classify(request("Sec-Fetch-Dest", "iframe")); got != "" {
		t.Errorf("iframe with Frames: got %q", got)
	}
}

func TestPrepareRequest(t *testing.T) {
	in := newInjector(t, Options{})
	ours := in.suffix
	tests := []struct {
		name string
		kind string
		inm  []string
		want []string
	}{
		{"ours", "document", []string{`"v1` + ours + `"`}, []string{`"v1"`}},
		{"weak", "document", []string{`W/"v1` + ours + `"`}, []string{`W/"v1"`}},
		{"several", "document", []string{`"a,b` + ours + `" , "c"`, `"d` + ours + `"`}, []string{`"a,b", "d"`}},
		{"older version", "document", []string{`"v1-wp00000000"`}, nil},
		{"older version, fetch", "empty", []string{`"v1-wp00000000"`}, nil},
		{"foreign", "document", []string{`"v1"`}, nil},
		{"foreign, fetch", "empty", []string{`"v1", "v2-wp"`}, []string{`"v1", "v2-wp"`}},
		{"any", "document", []string{`*`}, []string{`*`}},
		{"malformed", "document", []string{`v1`}, nil},
		{"unclosed", "document", []string{`"v1`}, nil},
		{"after encode", "document", []string{`"v1` + ours + `-gzip"`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request("Sec-Fetch-Dest", tt.kind, "Accept", navAccept, "Accept-Encoding", "gzip, br",
				"If-Modified-Since", "Wed, 01 Jan 2025 00:00:00 GMT", "Range", "bytes=0-9", "If-Range", `"v1`+ours+`"`)
			r.Header["If-None-Match"] = tt.inm
			kept := r.Header.Clone()
			w := in.NewWriter(nil, r)
			w.PrepareRequest()
			got := r.Header.Clone()
			w.RestoreRequest()
			if !reflect.DeepEqual(r.Header, kept) {
				t.Errorf("not restored: %v", r.Header)
			}
			r.Header.Set("Accept-Encoding", "zstd")
			if w.RestoreRequest(); r.Header.Get("Accept-Encoding") != "zstd" {
				t.Error("restored twice")
			}
			want := kept.Clone()
			want.Set("Accept-Encoding", "identity")
			if tt.kind == "document" {
				want.Del("If-Modified-Since")
			}
			want.Del("If-None-Match")
			if tt.want != nil {
				want["If-None-Match"] = tt.want
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("header %v\nwant   %v", got, want)
			}
		})
	}
}

// TestPreparedEncoding checks what the upstream is asked for.
func TestPreparedEncoding(t *testing.T) {
	in := newInjector(t, Options{})
	for _, tt := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"navigation", []string{"Sec-Fetch-Dest", "document", "Accept-Encoding", "gzip"}, []string{"identity"}},
		{"several values", []string{"Sec-Fetch-Dest", "document", "Accept-Encoding", "gzip", "Accept-Encoding", "br"}, []string{"identity"}},
		{"none", []string{"Sec-Fetch-Dest", "document"}, nil},
		{"empty", []string{"Sec-Fetch-Dest", "document", "Accept-Encoding", ""}, []string{""}},
		{"unlikely", []string{"Accept", "*/*", "Accept-Encoding", "gzip"}, []string{"gzip"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request(tt.lines...)
			kept := r.Header.Clone()
			w := in.NewWriter(nil, r)
			w.PrepareRequest()
			if got := r.Header["Accept-Encoding"]; !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := r.Header["Accept-Encoding"]; len(got) > 0 {
				got[0] += "x" // as Caddy's header replacements do
			}
			w.RestoreRequest()
			if want := kept["Accept-Encoding"]; tt.want == nil && !reflect.DeepEqual(r.Header, kept) || len(want) > 0 && tt.want[0] == "identity" && r.Header["Accept-Encoding"][0] != want[0] {
				t.Errorf("restored %v, want %v", r.Header, kept)
			}
		})
	}
}

func TestNew(t *testing.T) {
	in := newInjector(t, Options{})
	const want = `<link rel="manifest" href="/manifest.json"/><script src="/_webpush/sdk.js" defer="defer"></script>`
	if got := in.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	odd := newInjector(t, Options{Snippet: Snippet{Script: `/a?b=1&c="<>'`}})
	if got, want := odd.String(), `<script src="/a?b=1&amp;c=&#34;&lt;&gt;'" defer="defer"></script>`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if in.suffix == odd.suffix {
		t.Error("different tags have the same suffix")
	}
	for _, bad := range []string{"", "x", "//host/x", "https://host/x", "/a b", "/ü", "/a\n", `/\x`, "/\x7f"} {
		if _, err := New(Options{Snippet: Snippet{Script: bad}}); err == nil {
			t.Errorf("script %q was accepted", bad)
		}
		if _, err := New(Options{Snippet: Snippet{Script: "/s", Manifest: bad}}); err == nil && bad != "" {
			t.Errorf("manifest %q was accepted", bad)
		}
	}
}

func TestSafeHost(t *testing.T) {
	for host, ok := range map[string]bool{
		"example.com": true, "EXAMPLE.com:8080": true, "xn--a.b": true, "127.0.0.1": true,
		"[::1]": true, "[::1]:80": true, "a_b.example": true,
		"": false, `a"b`: false, "a b": false, "a:": false, "a:b": false, "a:80:80": false, "[::1": false,
		"[::1]x": false, "[x]": false, "[]": false, ":80": false, "a/b": false, "a>b": false, "ü.example": false, "a@b": false,
	} {
		r := request()
		r.Host = host
		if got := safeHost(r); (got != "") != ok || ok && got != host {
			t.Errorf("%q: got %q", host, got)
		}
	}
}

// TestPrepareUnlikely: an API client must not lose the upstream's compression because it might want a page.
func TestPrepareUnlikely(t *testing.T) {
	in := newInjector(t, Options{})
	r := request("Accept", "*/*", "Accept-Encoding", "gzip", "If-None-Match", `"v1`+in.suffix+`"`)
	in.NewWriter(nil, r).PrepareRequest()
	if got := r.Header; got.Get("Accept-Encoding") != "gzip" || got.Get("If-None-Match") != `"v1"` {
		t.Errorf("got %v", got)
	}
}
