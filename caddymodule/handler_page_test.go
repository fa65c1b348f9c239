package caddymodule

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-webpush/caddy-webpush/injector"
	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/memstore"
)

// pageHandler makes a handler for pages only, without Caddy or a store.
func pageHandler(t testing.TB) *Handler {
	t.Helper()
	m, err := newMetrics(caddy.Context{Context: context.Background()}, func() *running { return nil })
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{
		Prefix: "/_webpush", Worker: "/sw.js", Manifest: "/manifest.json",
		paths: paths{prefix: "/_webpush", worker: "/sw.js", manifest: "/manifest.json"},
		app:   &App{metrics: m}, logger: zap.NewNop(), outcomes: newOutcomes(),
	}
	store := memstore.New()
	if _, err := store.EnsureKey(t.Context(), func() (pushsvc.Key, error) { return service.NewKey(time.Now()) }); err != nil {
		t.Fatal(err)
	}
	run := &running{live: service.NewLive(store, time.Now, func(err error) { t.Error(err) })}
	if err := run.live.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.app.run.Store(run)
	in, err := injector.New(injector.Options{
		Snippet: injector.Snippet{Manifest: h.Manifest, Script: h.Prefix + "/sdk.js"},
		Uses:    injector.Addresses{Worker: h.Worker, Connect: h.Prefix + "/", TrustedTypes: "webpush"},
		Decode:  true,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.injector = func() *injector.Injector { return in }
	return h
}

// pageRequest makes a browser's request, as Caddy passes it on.
func pageRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for k, v := range map[string]string{
		"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Encoding": "gzip, deflate, br, zstd", "Accept-Language": "de",
		"Cookie": "a=b", "If-Modified-Since": "Wed, 01 Jan 2025 00:00:00 GMT", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate",
		"Sec-Fetch-Site": "none", "Sec-Fetch-User": "?1", "Upgrade-Insecure-Requests": "1", "User-Agent": "Mozilla/5.0",
	} {
		r.Header.Set(k, v)
	}
	return r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer()))
}

// fixedPage answers with a page as reverse_proxy does, in two pieces.
func fixedPage(page string, lines ...string) caddyhttp.HandlerFunc {
	length := []string{strconv.Itoa(len(page))}
	body := []byte(page)
	values := make(map[string][]string)
	for i := 0; i < len(lines); i += 2 {
		values[lines[i]] = []string{lines[i+1]}
	}
	return func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		h["Content-Length"] = length
		for k, v := range values {
			h[k] = v
		}
		w.WriteHeader(http.StatusOK)
		_, err := w.Write(body[:60])
		if err == nil {
			_, err = w.Write(body[60:])
		}
		return err
	}
}

// nowhere accepts an answer and discards it.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) WriteHeader(int)             {}
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }

// TestPageAllocations allows at most three more allocations for a page with us
// than without, including the request and the bookkeeping.
func TestPageAllocations(t *testing.T) {
	h := pageHandler(t)
	page := "<!DOCTYPE html><html><head><meta charset=utf-8><title>Site</title></head><body>" + strings.Repeat("text ", 100)
	for _, tt := range []struct {
		name, match string
		lines       []string
		most        float64
		want        injector.Reason
	}{
		{"page", "", []string{"Content-Type", "text/html", "Etag", `"v1"`, "Last-Modified", "x"}, 3, injector.ReasonInjected},
		{"page, asked for again", `"v0-wp00000000"`, []string{"Content-Type", "text/html", "Etag", `"v1"`}, 3, injector.ReasonInjected},
		{"not a page after all", "", []string{"Content-Type", "application/pdf"}, 3, injector.ReasonNotHTML},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next := fixedPage(page, tt.lines...)
			r := pageRequest()
			if tt.match != "" {
				r.Header.Set("If-None-Match", tt.match)
			}
			w := &nowhere{make(http.Header)}
			measure := func(serve func() error) float64 {
				return testing.AllocsPerRun(500, func() {
					clear(w.header)
					if err := serve(); err != nil {
						t.Fatal(err)
					}
				})
			}
			without := measure(func() error { return next(w, r) })
			with := measure(func() error { return h.ServeHTTP(w, r, next) })
			if got, _ := replacer(r).Get(placeholder); got != string(tt.want) {
				t.Fatalf("the page is %v, want %s", got, tt.want)
			}
			t.Logf("%v allocations without us, %v with us", without, with)
			if with-without > tt.most {
				t.Errorf("%v allocations more, want at most %v", with-without, tt.most)
			}
		})
	}
}

func replacer(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

// TestAbortedPage: a response that ends in a panic is counted if its result is
// known, and gets no more bytes; the request is unchanged.
func TestAbortedPage(t *testing.T) {
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	fmt.Fprint(zw, "<!DOCTYPE html><html><head><title>x</title></head>")
	_ = zw.Flush()
	for i := range 5000 {
		fmt.Fprint(zw, i*i*7919, "<p>")
	}
	_ = zw.Close()
	broken := z.Bytes()[:z.Len()-100]
	for _, tt := range []struct {
		name string
		next caddyhttp.HandlerFunc
		want any
		tags bool
	}{
		{"broken gzip", func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			_, err := w.Write(broken)
			return err
		}, "broken", true},
		{"after the tags", func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<!DOCTYPE html><head></head>"))
			panic(http.ErrAbortHandler)
		}, "injected", true},
		{"in the head", func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<!DOCTYPE html><head>"))
			panic(http.ErrAbortHandler)
		}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, r, rec := pageHandler(t), pageRequest(), httptest.NewRecorder()
			sent := r.Header.Clone()
			func() {
				defer func() {
					if got := recover(); got != http.ErrAbortHandler {
						t.Errorf("panicked with %v", got)
					}
				}()
				_ = h.ServeHTTP(rec, r, tt.next)
			}()
			if got, _ := replacer(r).Get(placeholder); got != tt.want {
				t.Errorf("the page is %v, want %v", got, tt.want)
			}
			if got := strings.Contains(rec.Body.String(), "sdk.js"); got != tt.tags {
				t.Errorf("tags: %t, want %t", got, tt.tags)
			}
			if diff := fmt.Sprint(r.Header); diff != fmt.Sprint(sent) {
				t.Errorf("the request's header became %s, was %s", diff, sent)
			}
		})
	}
}

// BenchmarkServePage serves a page that is not ours: most of the cost is the decision about it.
func BenchmarkServePage(b *testing.B) {
	h, next := pageHandler(b), fixedPage("<!DOCTYPE html><html><head></head><body>"+strings.Repeat("text ", 100), "Content-Type", "application/pdf")
	r, w := pageRequest(), &nowhere{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		caddyhttp.SetVar(r.Context(), servedVar, nil)
		if err := h.ServeHTTP(w, r, next); err != nil {
			b.Fatal(err)
		}
	}
}
