package caddymodule_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

func TestPages(t *testing.T) {
	html := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, body)
		}
	}
	s := start(t, site{chain: "encode\nheader X-Inject {http.webpush.inject}", upstream: upstream(t, map[string]http.HandlerFunc{
		"/implicit": html("<!DOCTYPE html><title>x</title><p>text"),
		"/json": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `"<html><head></head>"`)
		},
		"/download": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Disposition", "attachment")
			_, _ = io.WriteString(w, pageHTML)
		},
		"/gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, pageHTML)
			_ = z.Close()
		},
		"/none": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"/lost": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, pageHTML)
		},
	})})
	for _, tt := range []struct{ name, path, want string }{
		{"page", "/", pageWithSnippet},
		{"head without tags", "/implicit", "<!DOCTYPE html><title>x</title>" + snippet + "<p>text"},
		{"error page", "/lost", pageWithSnippet},
		{"json", "/json", `"<html><head></head>"`},
		{"attachment", "/download", pageHTML},
		{"no content", "/none", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, body := s.page("a.example.com", tt.path); body != tt.want {
				t.Errorf("got\n%s\nwant\n%s", body, tt.want)
			}
		})
	}
	t.Run("what a plain client gets", func(t *testing.T) {
		if _, body := s.request("GET", "a.example.com", "/", nil, ""); body != pageWithSnippet {
			t.Errorf("got %s", body)
		}
	})
	t.Run("compressed although asked not to be", func(t *testing.T) {
		header := map[string]string{"Accept-Encoding": "gzip"}
		for k, v := range caddytest.Navigation {
			header[k] = v
		}
		resp, body := s.request("GET", "a.example.com", "/gzip", header, "")
		// It is too short for encode, so it is sent uncompressed.
		if resp.Header.Get("Content-Encoding") != "" || body != pageWithSnippet {
			t.Errorf("encoding %q, %q", resp.Header.Get("Content-Encoding"), body)
		}
	})
	t.Run("HEAD", func(t *testing.T) {
		resp, body := s.request("HEAD", "a.example.com", "/", caddytest.Navigation, "")
		if resp.StatusCode != 200 || body != "" {
			t.Errorf("status %d, body %q", resp.StatusCode, body)
		}
	})
}

// TestCSP: policies are read, and loosened only if the operator allows it.
func TestCSP(t *testing.T) {
	policy := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Security-Policy", text)
			_, _ = io.WriteString(w, pageHTML)
		}
	}
	up := upstream(t, map[string]http.HandlerFunc{
		"/self":  policy("default-src 'self'"),
		"/nonce": policy("script-src 'nonce-r4nd0m' 'strict-dynamic'; object-src 'none'"),
		"/none":  policy("script-src 'none'"),
	})
	with := func(attr string) string {
		return strings.Replace(pageWithSnippet, ` defer="defer">`, ` defer="defer"`+attr+`>`, 1)
	}
	t.Run("keep", func(t *testing.T) {
		s := start(t, site{upstream: up})
		for path, want := range map[string]string{"/self": pageWithSnippet, "/nonce": with(` nonce="r4nd0m"`), "/none": pageHTML} {
			if resp, body := s.page("a.example.com", path); body != want || strings.Contains(resp.Header.Get("Content-Security-Policy"), "_webpush") {
				t.Errorf("%s: %s\n%s", path, resp.Header.Get("Content-Security-Policy"), body)
			}
		}
	})
	t.Run("extend", func(t *testing.T) {
		s := start(t, site{options: "csp extend", upstream: up})
		resp, body := s.page("a.example.com", "/none")
		if got := resp.Header.Get("Content-Security-Policy"); body != pageWithSnippet || !strings.Contains(got, "/_webpush/") || strings.Contains(got, "unsafe") {
			t.Errorf("%s\n%s", got, body)
		}
	})
}

func TestOwnPaths(t *testing.T) {
	s := start(t, site{
		options: "name \"The Shop\"\nicon /icon.png\nprompt {\ncolor 0b6bcb\nask_again 2d\nafter 3 pages\n}",
		upstream: upstream(t, map[string]http.HandlerFunc{
			"/own-worker.js": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/javascript")
				_, _ = io.WriteString(w, "// the site's")
			},
		}),
	})
	for _, tt := range []struct {
		name, path, contentType string
		header                  map[string]string
		has                     []string
	}{
		{"SDK", "/_webpush/sdk.js", "text/javascript; charset=utf-8", nil, []string{`"site":"a.example.com"`, `"name":"The Shop"`, `"color":"#0b6bcb"`, `"askAgain":[172800]`, `"pages":3`, `"key":"B`}},
		{"worker", "/sw.js", "text/javascript; charset=utf-8", nil, []string{`"standalone":true`, `"site":"a.example.com"`}},
		{"module", "/_webpush/popup.js", "text/javascript; charset=utf-8", nil, []string{"export{"}},
		{"frame of custom HTML", "/_webpush/frame.html", "text/html; charset=utf-8", nil, []string{"<!DOCTYPE html>", "<script>(()=>{"}},
		{"its script", "/_webpush/frame.js", "text/javascript; charset=utf-8", nil, []string{"document.write"}},
		{"manifest", "/manifest.json", "application/manifest+json", nil, []string{`"name":"The Shop"`, `"/icon.png"`, `"display":"standalone"`}},
		{"the site's worker", "/own-worker.js", "text/javascript", map[string]string{"Service-Worker": "script"}, []string{"// the site's\n;", `"site":"a.example.com"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := s.request("GET", "a.example.com", tt.path, tt.header, "")
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != tt.contentType {
				t.Fatalf("status %d, type %q", resp.StatusCode, resp.Header.Get("Content-Type"))
			}
			for _, want := range tt.has {
				if !strings.Contains(body, want) {
					t.Errorf("lacks %s", want)
				}
			}
			if strings.Contains(body, "__WEBPUSH_CONFIG__") {
				t.Error("the placeholder is still there")
			}
			if tag := resp.Header.Get("ETag"); tag != "" {
				resp, _ := s.request("GET", "a.example.com", tt.path, map[string]string{"If-None-Match": tag}, "")
				if resp.StatusCode != http.StatusNotModified {
					t.Errorf("with its own ETag: %d", resp.StatusCode)
				}
			}
		})
	}
	t.Run("the site's worker as a plain file", func(t *testing.T) {
		if _, body := s.request("GET", "a.example.com", "/own-worker.js", nil, ""); body != "// the site's" {
			t.Errorf("got %q", body)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		if resp, _ := s.request("GET", "a.example.com", "/_webpush/nothing", nil, ""); resp.StatusCode != 404 {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

func TestSubscribe(t *testing.T) {
	s := start(t, site{upstream: upstream(t, nil)})
	body := caddytest.Subscription(t, "https://fcm.googleapis.com/fcm/send/abc")
	resp, first := s.subscribe("a.example.com", body)
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("status %d: %s", resp.StatusCode, first)
	}
	if _, again := s.subscribe("a.example.com", body); again != first {
		t.Errorf("the same subscription again: %s, first %s", again, first)
	}
	resp, text := s.subscribe("a.example.com", caddytest.Subscription(t, "https://127.0.0.1/fcm.googleapis.com"))
	if resp.StatusCode != 400 || resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(text, `"field":"endpoint"`) {
		t.Errorf("bad endpoint: %d %s", resp.StatusCode, text)
	}
	if strings.Contains(text, "127.0.0.1") {
		t.Errorf("the answer repeats the endpoint: %s", text)
	}
}

// TestStreams: these answers must pass through as they arrive.
func TestStreams(t *testing.T) {
	s := start(t, site{chain: "encode", upstream: upstream(t, map[string]http.HandlerFunc{
		"/events": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: <html><head></head> %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		},
		"/slow": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<!DOCTYPE html><title>a</title>")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"/socket": func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Errorf("hijacking: %v", err)
				return
			}
			defer conn.Close()
			fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_ = rw.Flush()
			line, _ := rw.ReadString('\n')
			fmt.Fprintf(rw, "echo %s", line)
			_ = rw.Flush()
		},
	})})
	t.Run("server-sent events", func(t *testing.T) {
		_, body := s.request("GET", "a.example.com", "/events", map[string]string{"Accept": "text/event-stream"}, "")
		if body != "data: <html><head></head> 0\n\ndata: <html><head></head> 1\n\ndata: <html><head></head> 2\n\n" {
			t.Errorf("got %q", body)
		}
	})
	t.Run("a page that comes slowly", func(t *testing.T) {
		req, _ := http.NewRequest("GET", s.url+"/slow", nil)
		req.Host = "a.example.com"
		for k, v := range caddytest.Navigation {
			req.Header.Set(k, v)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got := make([]byte, len("<!DOCTYPE html><title>a</title>"))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != "<!DOCTYPE html><title>a</title>" {
			t.Errorf("got %q, %v before the end of the page", got, err)
		}
	})
	t.Run("websocket", func(t *testing.T) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprint(conn, "GET /socket HTTP/1.1\r\nHost: a.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAccept: text/html\r\n\r\n")
		r := bufio.NewReader(conn)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 101 {
			t.Fatalf("%v, %v", resp, err)
		}
		fmt.Fprint(conn, "hello\n")
		if line, err := r.ReadString('\n'); err != nil || line != "echo hello\n" {
			t.Errorf("got %q, %v", line, err)
		}
	})
}

// TestWorkerBelowPrefix: a path that the site never gets is only ours.
func TestWorkerBelowPrefix(t *testing.T) {
	s := start(t, site{options: "worker /_webpush/sw.js\nmanifest /_webpush/app.webmanifest", upstream: upstream(t, nil)})
	resp, body := s.request("GET", "a.example.com", "/_webpush/sw.js", nil, "")
	if resp.StatusCode != 200 || resp.Header.Get("Service-Worker-Allowed") != "/" || !strings.Contains(body, `"standalone":true`) {
		t.Errorf("worker: %d %v", resp.StatusCode, resp.Header)
	}
	if resp, body := s.request("GET", "a.example.com", "/_webpush/app.webmanifest", nil, ""); resp.StatusCode != 200 || !strings.Contains(body, `"name"`) {
		t.Errorf("manifest: %d %s", resp.StatusCode, body)
	}
}

// TestRetire: with push retired, pages have the script that unsubscribes and no
// link of ours, the site's own files are served, subscribing is refused and
// unsubscribing works.
func TestRetire(t *testing.T) {
	own := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, body)
		}
	}
	up := upstream(t, map[string]http.HandlerFunc{
		"/own-worker.js": own("text/javascript", "// the site's"),
		"/own.json":      own("application/manifest+json", `{"name":"x"}`),
	})
	s := start(t, site{upstream: up})
	endpoint := "https://fcm.googleapis.com/fcm/send/retire"
	body := caddytest.Subscription(t, endpoint)
	if resp, got := s.subscribe("a.example.com", body); resp.StatusCode != http.StatusCreated {
		t.Fatalf("subscribe: %d %s", resp.StatusCode, got)
	}
	text := site{options: "retire", upstream: up}.caddyfile(s.db, s.port)
	s.load(adaptJSON(t, text))

	script := `<script src="/_webpush/sdk.js" defer="defer"></script>`
	if _, got := s.page("a.example.com", "/"); got != strings.Replace(pageHTML, "</head>", script+"</head>", 1) {
		t.Errorf("the page is\n%s", got)
	}
	for _, tt := range []struct {
		path   string
		header map[string]string
		status int
		has    string
	}{
		{"/_webpush/sdk.js", nil, 200, `"retire":true`},
		{"/sw.js", map[string]string{"Service-Worker": "script"}, 200, "unregister"},
		{"/manifest.json", map[string]string{"Sec-Fetch-Dest": "manifest"}, 404, ""},
		{"/own.json", map[string]string{"Sec-Fetch-Dest": "manifest"}, 200, `{"name":"x"}`},
		{"/own-worker.js", map[string]string{"Service-Worker": "script"}, 200, "// the site's"},
	} {
		resp, got := s.request("GET", "a.example.com", tt.path, tt.header, "")
		if resp.StatusCode != tt.status || !strings.Contains(got, tt.has) || strings.HasPrefix(tt.path, "/own") && got != tt.has {
			t.Errorf("%s: %d %s", tt.path, resp.StatusCode, got)
		}
	}
	if resp, got := s.subscribe("a.example.com", caddytest.Subscription(t, endpoint+"2")); resp.StatusCode != http.StatusGone {
		t.Errorf("subscribe: %d %s", resp.StatusCode, got)
	}
	batch := `{"batch":"AAAAAAAAAAAAAAAAAAA01A","events":[{"type":"event","name":"E"}]}`
	for action, body := range map[string]string{"events": batch, "messages": `{}`} {
		resp, got := s.request("POST", "a.example.com", "/_webpush/"+action, caddytest.Posting, body)
		if resp.StatusCode != http.StatusGone || len(resp.Cookies()) != 0 {
			t.Errorf("%s: %d %s", action, resp.StatusCode, got)
		}
	}
	if resp, got := s.request("POST", "a.example.com", "/_webpush/unsubscribe", caddytest.Posting, body); resp.StatusCode != http.StatusNoContent {
		t.Errorf("unsubscribe: %d %s", resp.StatusCode, got)
	}
	report, found := examine(t, s.url+"/")
	if report.Healthy || !strings.Contains(found["script"].Cure, "retire") {
		t.Errorf("the doctor says %+v", report)
	}
	s.load(adaptJSON(t, site{options: "retire\nmanifest /_webpush/m.json\nworker /_webpush/w.js", upstream: up}.caddyfile(s.db, s.port)))
	if resp, _ := s.request("GET", "a.example.com", "/_webpush/m.json", nil, ""); resp.StatusCode != http.StatusGone {
		t.Errorf("the manifest below the prefix: %d", resp.StatusCode)
	}
	if resp, got := s.request("GET", "a.example.com", "/_webpush/w.js", nil, ""); resp.StatusCode != 200 || !strings.Contains(got, "unregister") {
		t.Errorf("the worker below the prefix: %d %s", resp.StatusCode, got)
	}
}

// TestSiteName: a Host header with another port than the connection's does not
// create a site.
func TestSiteName(t *testing.T) {
	s := start(t, site{upstream: upstream(t, nil)})
	for host, want := range map[string]string{
		fmt.Sprintf("localhost:%d", s.port): fmt.Sprintf("localhost:%d", s.port),
		"localhost:9":                       "localhost",
		"LOCALHOST:1337":                    "localhost",
		"a.example.com":                     "a.example.com",
		"a.example.com:443":                 "a.example.com",
	} {
		if _, body := s.request("GET", host, "/_webpush/sdk.js", nil, ""); !strings.Contains(body, fmt.Sprintf(`"site":%q`, want)) {
			t.Errorf("%s is not the site %s", host, want)
		}
	}
}
