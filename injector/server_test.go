package injector

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// proxy starts an upstream and a reverse proxy with an Injector in front of it.
func proxy(t *testing.T, in *Injector, upstream http.HandlerFunc, done func(*Writer)) string {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	up := httptest.NewUnstartedServer(upstream)
	up.Config.ErrorLog = quiet
	up.Start()
	t.Cleanup(up.Close)
	target, err := url.Parse(up.URL)
	if err != nil {
		t.Fatal(err)
	}
	rp := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: quiet,
	}
	return serve(t, handler(in, rp, done))
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// get sends a navigation, with more header lines, and reads the answer.
func get(t *testing.T, method, address string, lines ...string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = headers(append([]string{"Sec-Fetch-Dest", "document", "Accept", navAccept, "Accept-Encoding", "gzip"}, lines...)...)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	return resp, string(body)
}

func TestProxyPage(t *testing.T) {
	in := newInjector(t, Options{})
	encoding := make(chan string, 10)
	address := proxy(t, in, func(w http.ResponseWriter, r *http.Request) {
		encoding <- r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Type", htmlType)
		w.Header().Set("Etag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		_, _ = io.WriteString(w, page)
	}, nil)
	resp, body := get(t, "GET", address)
	if body != withTags(in, page) || resp.ContentLength != int64(len(body)) || resp.Header.Get(Marker) == "" {
		t.Errorf("length %d, header %v, body %q", resp.ContentLength, resp.Header, body)
	}
	if got := <-encoding; got != "identity" {
		t.Errorf("the upstream was asked for %q", got)
	}
	etag := resp.Header.Get("Etag")
	again, body := get(t, "GET", address, "If-None-Match", etag)
	if again.StatusCode != 304 || body != "" || again.Header.Get("Etag") != etag {
		t.Errorf("with our tag: %d, ETag %s, body %q", again.StatusCode, again.Header.Get("Etag"), body)
	}
	if resp, _ := get(t, "GET", address, "If-None-Match", `"v1"`); resp.StatusCode != 200 {
		t.Errorf("with the upstream's tag: %d", resp.StatusCode)
	}
	head, _ := get(t, "HEAD", address)
	if head.ContentLength != -1 || head.Header.Get("Etag") != etag || head.Header.Get("Content-Length") != "" {
		t.Errorf("HEAD: length %d, header %v", head.ContentLength, head.Header)
	}
}

func TestProxyChain(t *testing.T) {
	in := newInjector(t, Options{})
	for name, write := range manners {
		if name == "informational" {
			continue // the reverse proxies' own affair
		}
		for _, tt := range []struct{ doc, want string }{
			{page, withTags(in, page)},
			{"<html><meta charset=utf-8>", "<html><meta charset=utf-8>" + in.String()},
			{"<!doctype html><html amp><meta charset=utf-8><p>left alone late", ""},
		} {
			reasons := make(chan Reason, 2)
			inner := proxy(t, in, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", htmlType)
				write(w, http.StatusOK, []byte(tt.doc))
			}, nil)
			target, err := url.Parse(inner)
			if err != nil {
				t.Fatal(err)
			}
			outer := serve(t, handler(in, httputil.NewSingleHostReverseProxy(target), func(w *Writer) { reasons <- w.Reason() }))
			resp, body := get(t, "GET", outer)
			if tt.want != "" && unpad(body) != tt.want || strings.Count(body, in.script[1]) > 1 {
				t.Errorf("%s: body %q", name, body)
			}
			reason := <-reasons
			// The outer one may mark a page that both leave unchanged late.
			if marker := resp.Header.Get(Marker); tt.want != "" && marker != "" && reason != ReasonAlready || tt.want == "" && marker == markerInjected {
				t.Errorf("%s: marked %q, the outer one reports %q", name, marker, reason)
			}
		}
	}
}

// TestInformational: any number of 1xx and the right final status are sent.
func TestInformational(t *testing.T) {
	in := newInjector(t, Options{})
	address := proxy(t, in, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</x.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", htmlType)
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, page)
	}, nil)
	var hints int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				hints++
			}
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Dest", "document")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || hints != 2 || resp.StatusCode != 404 || string(body) != withTags(in, page) {
		t.Errorf("%d hints, status %d, body %q, %v", hints, resp.StatusCode, body, err)
	}
}

// TestFileServer checks handlers that use ReadFrom, ranges and dates.
func TestFileServer(t *testing.T) {
	in := newInjector(t, Options{})
	dir := t.TempDir()
	large := "<!doctype html><title>x</title><style>" + strings.Repeat("x", 300_000) + "</style></head><body>" + strings.Repeat("y", 300_000)
	for name, body := range map[string]string{"small.html": page, "large.html": large, "x.txt": page} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := serve(t, handler(in, http.FileServer(http.Dir(dir)), nil))
	for name, doc := range map[string]string{"/small.html": page, "/large.html": large} {
		resp, body := get(t, "GET", address+name, "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")
		if unpad(body) != withTags(in, doc) || resp.ContentLength != int64(len(body)) || resp.Header.Get("Last-Modified") != "" {
			t.Errorf("%s: status %d, %d bytes, length %d, header %v", name, resp.StatusCode, len(body), resp.ContentLength, resp.Header)
		}
	}
	resp, body := get(t, "GET", address+"/small.html", "Range", "bytes=20-70")
	if resp.StatusCode != 206 || body != page[20:71] || resp.Header.Get("Content-Length") != "51" {
		t.Errorf("range: %d, %q, %v", resp.StatusCode, body, resp.Header)
	}
	if resp, body := get(t, "GET", address+"/x.txt"); body != page || resp.Header.Get("Last-Modified") == "" {
		t.Errorf("text: %q, %v", body, resp.Header)
	}
	if resp, _ := get(t, "HEAD", address+"/small.html"); resp.Header.Get("Content-Length") != "" {
		t.Errorf("HEAD: %v", resp.Header)
	}
}

// TestStreaming: every flushed piece is sent at once, except an unfinished name.
func TestStreaming(t *testing.T) {
	in := newInjector(t, Options{})
	for _, tt := range []struct {
		name, ctype string
		pieces      []string
		want        []string
	}{
		{
			"server-side rendering", htmlType,
			[]string{"<!doctype html><html><head>", "<title>x</title><li", "nk rel=icon>", "</head><body>1", "2"},
			[]string{"<!doctype html><html><head>", "<title>x</title>", "<link rel=icon>", in.String() + "</head><body>1", "2"},
		},
		{
			"stream ends in the head", htmlType,
			[]string{"<html>", "<title>x</title>", "<"},
			[]string{"<html>", "<title>x</title>", ""},
		},
		{"events", "text/event-stream", []string{"data: <p>\n\n", "data: </head>\n\n"}, []string{"data: <p>\n\n", "data: </head>\n\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			step := make(chan struct{})
			address := proxy(t, in, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", tt.ctype)
				for _, piece := range tt.pieces {
					_, _ = io.WriteString(w, piece)
					w.(http.Flusher).Flush()
					select {
					case <-step:
					case <-r.Context().Done():
						return
					}
				}
			}, nil)
			r, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Sec-Fetch-Dest", "document")
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for i, want := range tt.want {
				got := make([]byte, len(want))
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
					t.Fatalf("piece %d: got %q, %v; want %q", i, got, err, want)
				}
				step <- struct{}{}
			}
			extra, err := io.ReadAll(resp.Body)
			wantRest := ""
			if tt.name == "stream ends in the head" {
				wantRest = in.String() + "<"
			}
			if err != nil || string(extra) != wantRest {
				t.Errorf("the rest: %q, %v; want %q", extra, err, wantRest)
			}
		})
	}
}

// TestFlushFirst: the header is sent before any body. Nothing is known of the page then, so its length can't
// be promised.
func TestFlushFirst(t *testing.T) {
	in := newInjector(t, Options{})
	address := serve(t, handler(in, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", htmlType)
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		rc := http.NewResponseController(w)
		if err := rc.Flush(); err != nil {
			t.Errorf("Flush: %v", err)
		}
		if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("SetWriteDeadline: %v", err)
		}
		_, _ = io.WriteString(w, page)
	}), nil))
	resp, body := get(t, "GET", address)
	if body != withTags(in, page) || resp.ContentLength != -1 {
		t.Errorf("length %d, body %q", resp.ContentLength, body)
	}
}

// TestUpgrade runs a hijacked connection through the proxy, and one through a Writer despite the upgrade.
func TestUpgrade(t *testing.T) {
	in := newInjector(t, Options{})
	echo := func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("Hijack: %v", err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
	}
	wrapped := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		echo(in.NewWriter(w, r), r)
	}))
	for name, address := range map[string]string{"proxied": proxy(t, in, echo, nil), "wrapped": wrapped} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAccept: text/html\r\n\r\n")
			br := bufio.NewReader(conn)
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != 101 {
				t.Fatalf("%v, %v", resp, err)
			}
			fmt.Fprint(conn, "hi </head>\n")
			if got, err := br.ReadString('\n'); err != nil || got != "echo hi </head>\n" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestTrailers(t *testing.T) {
	in := newInjector(t, Options{})
	address := proxy(t, in, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", htmlType)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, page)
		w.Header().Set("X-Sum", "42")
	}, nil)
	resp, body := get(t, "GET", address)
	if body != withTags(in, page) || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("body %q, trailer %v", body, resp.Trailer)
	}
}

// TestAbort cuts the upstream's answer in the head: the client must get the part, no tags, and see that it
// was cut.
func TestAbort(t *testing.T) {
	in := newInjector(t, Options{})
	for _, length := range []int{-1, 1000} {
		address := proxy(t, in, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", htmlType)
			if length > 0 {
				w.Header().Set("Content-Length", strconv.Itoa(length))
			}
			_, _ = io.WriteString(w, "<html><title>x</title>")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond)
			panic(http.ErrAbortHandler)
		}, func(*Writer) { t.Error("finished") })
		r, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Dest", "document")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Logf("length %d: no answer: %v", length, err) // the server drops what it had buffered
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil || !strings.HasPrefix("<html><title>x</title>", string(body)) {
			t.Errorf("length %d: %q, %v", length, body, err)
		}
	}
}

// TestForcedGzip checks upstreams that compress although asked not to.
func TestForcedGzip(t *testing.T) {
	in := newInjector(t, Options{})
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, _ = io.WriteString(zw, page)
	_ = zw.Close()
	var reason Reason
	done := make(chan struct{})
	address := proxy(t, in, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", htmlType)
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}, func(w *Writer) { reason = w.Reason(); close(done) })
	_, body := get(t, "GET", address)
	<-done
	if body != packed.String() || reason != ReasonEncoded {
		t.Errorf("reason %q, %d bytes", reason, len(body))
	}
}

// TestFailedHandler checks a handler that returns without an answer.
func TestFailedHandler(t *testing.T) {
	in := newInjector(t, Options{})
	rec := httptest.NewRecorder()
	w := in.NewWriter(rec, navigation())
	w.Header().Set("Content-Type", htmlType)
	if err := w.Finish(); err != nil || w.Reason() != ReasonEmpty || rec.Body.Len() > 0 {
		t.Errorf("%v, %q, %q", err, w.Reason(), rec.Body)
	}
	// The error handler's own answer goes to the outer writer.
	rec.WriteHeader(500)
	if rec.Code != 500 {
		t.Errorf("the header was sent: %d", rec.Code)
	}
}
