package caddymodule_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-webpush/caddy-webpush/caddymodule"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// server is a Caddy in this process. There is one at a time: Caddy's state is
// global.
type server struct {
	t      *testing.T
	config []byte
	port   int
	url    string
	db     string
}

// newServer makes a server with a config and a database, not loaded yet.
func newServer(t *testing.T, s site, db string) *server {
	t.Helper()
	port := caddytest.FreePort(t)
	return &server{
		t: t, config: adaptJSON(t, s.caddyfile(db, port)), db: db,
		port: port, url: fmt.Sprintf("http://127.0.0.1:%d", port),
	}
}

// site is a Caddyfile of one site on a free port. global and options go into the
// two webpush blocks, chain in front of the directive.
type site struct {
	global, chain, options, upstream string
	// limit is the option subscribe_limit; empty means off.
	limit string
}

func (s site) caddyfile(db string, port int) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	grace_period 2s
	webpush {
		storage bbolt %[1]q
		subscribe_limit %[7]s
		%[2]s
	}
	log {
		level ERROR
	}
}
http://127.0.0.1:%[5]d, http://localhost:%[5]d, http://a.example.com:%[5]d, http://b.example.com:%[5]d {
	bind 127.0.0.1
	%[3]s
	webpush {
		%[4]s
	}
	reverse_proxy %[6]s
}
`, db, s.global, s.chain, s.options, port, s.upstream, cmp.Or(s.limit, "off"))
}

func adaptJSON(t *testing.T, text string) []byte {
	t.Helper()
	out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, text)
	}
	return out
}

// start runs the site with a new database and stops it with the test.
func start(t *testing.T, s site) *server {
	t.Helper()
	srv := newServer(t, s, filepath.Join(t.TempDir(), "webpush.db"))
	srv.load(srv.config)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		if open := caddymodule.OpenStores(); len(open) != 0 {
			t.Errorf("stores still open after the stop: %v", open)
		}
	})
	return srv
}

func (s *server) load(config []byte) {
	s.t.Helper()
	if err := caddy.Load(config, true); err != nil {
		s.t.Fatalf("loading: %v", err)
	}
	waitForListeners(s.t)
}

// waitForListeners waits until the servers of an earlier configuration accept no
// more connections. Caddy does not: it continues when their shutdown goroutines
// have started, and one of those may not have closed its listener yet.
func waitForListeners(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 4<<20)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if !closing(string(stacks[:runtime.Stack(stacks, true)])) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the listeners of an earlier configuration are still open")
		}
	}
}

// closing reports whether a shutdown goroutine is doing anything but waiting for
// requests to end, which is its last step.
func closing(stacks string) bool {
	for _, g := range strings.Split(stacks, "\n\n") {
		if !strings.Contains(g, "caddyhttp.(*App).stop") {
			continue
		}
		state, _, _ := strings.Cut(g, "\n")
		if !strings.Contains(state, "[select") && !strings.Contains(state, "[semacquire") &&
			!strings.Contains(state, "[sync.WaitGroup.Wait") && !strings.Contains(state, "[chan receive") {
			return true
		}
	}
	return false
}

func (s *server) client() caddytest.Client { return caddytest.Client{T: s.t, URL: s.url} }

func (s *server) request(method, host, path string, header map[string]string, body string) (*http.Response, string) {
	s.t.Helper()
	return s.client().Request(method, host, path, header, body)
}

func (s *server) page(host, path string) (*http.Response, string) {
	s.t.Helper()
	return s.client().Page(host, path)
}

func (s *server) subscribe(host, body string) (*http.Response, string) {
	s.t.Helper()
	return s.client().Subscribe(host, body)
}

const (
	pageHTML = "<!DOCTYPE html>\n<html><head><title>Site</title></head><body>hello</body></html>\n"
	snippet  = `<link rel="manifest" href="/manifest.json"/><script src="/_webpush/sdk.js" defer="defer"></script>`
)

var pageWithSnippet = strings.Replace(pageHTML, "</head>", snippet+"</head>", 1)

// upstream starts a site without push that records its requests.
func upstream(t *testing.T, routes map[string]http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_webpush/") {
			t.Errorf("%s %s reached the site", r.Method, r.URL.Path)
		}
		if h := routes[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.Copy(w, bytes.NewReader([]byte(pageHTML)))
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}
