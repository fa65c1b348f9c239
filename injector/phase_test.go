package injector

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// exit is one way for a page to stay unchanged, or to be changed.
type exit struct {
	name   string
	want   Reason
	opts   Options
	early  bool // decided by the header: the answer must equal the plain one
	status int
	lines  []string
	ask    []string // the request's header, if not a navigation's
	body   string
}

// exits has every reason of a Writer that a whole answer can cause.
var exits = []exit{
	{name: "injected", want: ReasonInjected, body: page},
	{name: "injected at the end", want: ReasonInjected, body: "<!doctype html><html><title>x</title>"},
	{name: "csp, host list", want: ReasonCSP, early: true, lines: []string{cspHeader, "script-src https://static.example.com"}, body: page},
	{name: "csp, none", want: ReasonCSP, early: true, lines: []string{cspHeader, "default-src 'none'"}, body: page},
	{name: "csp, posts", want: ReasonCSP, early: true, lines: []string{cspHeader, "connect-src https://api.example.com"}, body: page},
	{name: "csp, sandbox, extended", want: ReasonCSP, early: true, opts: Options{CSPExtend: true}, lines: []string{cspHeader, "sandbox; img-src 'none'"}, body: page},
	{name: "csp, extended, then AMP", want: ReasonAMP, opts: Options{CSPExtend: true}, lines: []string{cspHeader, "script-src 'none'"}, body: "<html amp><meta charset=utf-8><p>x"},
	{name: "csp in meta", want: ReasonCSP, body: `<html><meta http-equiv=content-security-policy content="script-src 'none'"><p>x`},
	{name: "json", want: ReasonNotHTML, early: true, lines: []string{"Content-Type", "application/json"}, body: page},
	{name: "text as html", want: ReasonNotHTML, body: "\n\nhello"},
	{name: "no type, html", want: ReasonInjected, lines: []string{"Content-Type", ""}, body: page},
	{name: "no type, text", want: ReasonNotHTML, lines: []string{"Content-Type", ""}, body: "plain </head>"},
	{name: "no type, AMP", want: ReasonAMP, lines: []string{"Content-Type", ""}, body: "<html amp><meta charset=utf-8><p>x"},
	{name: "no type, csp", want: ReasonCSP, lines: []string{"Content-Type", "", cspHeader, "script-src 'none'"}, body: page},
	{name: "no content", want: ReasonStatus, early: true, status: 204},
	{name: "redirect", want: ReasonStatus, early: true, status: 302, lines: []string{"Location", "/x"}, body: page},
	{name: "not modified", want: ReasonStatus, early: true, status: 304},
	{name: "partial", want: ReasonStatus, early: true, status: 206, lines: []string{"Content-Range", "bytes 0-9/99"}, body: page},
	{name: "not found", want: ReasonInjected, status: 404, body: page},
	{name: "empty", want: ReasonEmpty},
	{name: "only space", want: ReasonEmpty, body: "\n \n"},
	{name: "two codings", want: ReasonEncoded, early: true, lines: []string{"Content-Encoding", "gzip, br"}, body: page},
	{name: "unknown coding", want: ReasonEncoded, early: true, lines: []string{"Content-Encoding", "rot13"}, body: page},
	{name: "no-transform", want: ReasonNoTransform, early: true, lines: []string{"Cache-Control", "public, no-transform"}, body: page},
	{name: "attachment", want: ReasonAttachment, early: true, lines: []string{"Content-Disposition", "attachment"}, body: page},
	{name: "utf-16", want: ReasonCharset, early: true, lines: []string{"Content-Type", "text/html; charset=utf-16le"}, body: page},
	{name: "escapes", want: ReasonCharset, lines: []string{"Content-Type", "text/html"}, body: "<title>\x1b$B</title><p>"},
	{name: "signed", want: ReasonSigned, early: true, lines: []string{"Signature-Input", `s=("content-digest")`}, body: page},
	{name: "marked", want: ReasonAlready, early: true, lines: []string{Marker, "injected"}, body: page},
	{name: "marked as seen", want: ReasonAlready, early: true, lines: []string{Marker, "seen"}, body: page},
	{name: "by hand", want: ReasonAlready, body: "<html><script src='/_webpush/sdk.js'></script><p>"},
	{name: "amp", want: ReasonAMP, body: "<!doctype html><html amp><p>x"},
	{name: "fragment", want: ReasonFragment, ask: []string{"Accept", "text/html"}, body: "<!-- --><p>x"},
	{name: "open script", want: ReasonOpenConstruct, body: "<html><script>var x"},
	{name: "open comment", want: ReasonOpenConstruct, body: "<html><!-- x"},
	{name: "xhtml", want: ReasonXHTML, lines: []string{"Content-Type", "application/xhtml+xml; charset=utf-8"}, body: page},
	{name: "incremental", want: ReasonInjected, lines: []string{"Incremental", "?1"}, body: page},
	{name: "incremental, csp", want: ReasonCSP, early: true, lines: []string{"Incremental", "?1", cspHeader, "script-src 'none'"}, body: page},
}

// header returns what the handler sets, except the length.
func (e exit) header(coding string) http.Header {
	h := headers("Content-Type", htmlType, "Etag", `"v1"`, "Accept-Ranges", "bytes", "Cache-Control", "no-cache")
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	for i := 0; i < len(e.lines); i += 2 {
		if h.Del(e.lines[i]); e.lines[i+1] != "" {
			h.Add(e.lines[i], e.lines[i+1])
		}
	}
	return h
}

// manners are ways to write a body, after the header map is filled.
var manners = map[string]func(w http.ResponseWriter, status int, body []byte){
	"at once": func(w http.ResponseWriter, status int, body []byte) {
		w.WriteHeader(status)
		_, _ = w.Write(body)
	},
	"byte by byte": func(w http.ResponseWriter, status int, body []byte) {
		w.WriteHeader(status)
		for i := range body {
			_, _ = w.Write(body[i : i+1])
		}
	},
	"copied": func(w http.ResponseWriter, status int, body []byte) {
		w.WriteHeader(status)
		_, _ = io.Copy(w, iotestOneByte{bytes.NewReader(body)})
	},
	"flushed first": func(w http.ResponseWriter, status int, body []byte) {
		w.WriteHeader(status)
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(body)
	},
	"flushed in pieces": func(w http.ResponseWriter, status int, body []byte) {
		w.WriteHeader(status)
		for piece := range slices.Chunk(body, max(len(body)/3, 1)) {
			_, _ = w.Write(piece)
			_ = http.NewResponseController(w).Flush()
		}
	},
	"informational": func(w http.ResponseWriter, status int, body []byte) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(status)
		w.WriteHeader(http.StatusEarlyHints) // superfluous
		w.WriteHeader(http.StatusTeapot)     // likewise
		for piece := range slices.Chunk(body, 5) {
			_, _ = w.Write(piece)
		}
		w.WriteHeader(http.StatusTeapot)
	},
}

// answered is everything that came back.
type answered struct {
	interim int
	status  int
	header  http.Header
	body    []byte
	cut     bool
}

// exchange sends a request and reads the whole answer.
func exchange(t *testing.T, address, line string, ask []string) answered {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := line + "\r\nHost: a.example\r\nConnection: close\r\nAccept-Encoding: gzip\r\n"
	for i := 0; i < len(ask); i += 2 {
		request += ask[i] + ": " + ask[i+1] + "\r\n"
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		t.Fatal(err)
	}
	var got answered
	method, _, _ := strings.Cut(line, " ")
	r := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			got.cut = true
			return got
		}
		if resp.StatusCode < 200 {
			got.interim++
			continue
		}
		got.status, got.header = resp.StatusCode, resp.Header
		got.header.Del("Date")
		got.body, err = io.ReadAll(resp.Body)
		got.cut = err != nil
		return got
	}
}

// pair is one handler without us, and one behind an Injector with the given options.
type pair struct {
	plain, ours string
	reasons     chan Reason
}

func newPair(t *testing.T, opts Options, h http.Handler, entered func(from, to phase)) pair {
	t.Helper()
	in := newInjector(t, opts)
	in.onPhase = entered
	p := pair{reasons: make(chan Reason, 1)}
	behind := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		iw := in.NewWriter(w, r)
		defer func() { p.reasons <- iw.Reason() }()
		iw.PrepareRequest()
		defer iw.RestoreRequest()
		h.ServeHTTP(iw, r)
		if err := iw.Finish(); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	for address, h := range map[*string]http.Handler{&p.plain: h, &p.ours: behind} {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.Start()
		t.Cleanup(s.Close)
		*address = strings.TrimPrefix(s.URL, "http://")
	}
	return p
}

// TestExits checks every way in which a response leaves the Writer, in every coding and manner: an unchanged
// answer equals that of a server without us, and a changed one is a whole page. At the end all transitions
// must have been taken, and no others.
func TestExits(t *testing.T) {
	taken := map[[2]phase]bool{}
	entered := func(from, to phase) { taken[[2]phase{from, to}] = true }
	run := 0
	for _, e := range exits {
		t.Run(e.name, func(t *testing.T) {
			e.opts.Decode, e.opts.Uses = true, Addresses{Worker: "/sw.js", Connect: "/_webpush/"}
			var current http.HandlerFunc
			p := newPair(t, e.opts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { current(w, r) }), entered)
			for _, coding := range append([]string{""}, codings...) {
				if coding != "" && e.header("").Get("Content-Encoding") != "" {
					continue
				}
				body := []byte(e.body)
				if coding != "" && e.body != "" {
					body = []byte(encode(t, coding, e.body))
				}
				for manner, write := range manners {
					for _, length := range []bool{true, false} {
						current = func(w http.ResponseWriter, _ *http.Request) { e.answer(w, coding, body, length, write) }
						for _, ask := range []string{"GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0"} {
							run++
							if err := e.check(t, p, coding, ask, length); err != nil {
								t.Errorf("%s %q, %s, length %t: %v", ask, coding, manner, length, err)
							}
						}
					}
				}
			}
		})
	}
	t.Logf("%d exchanges", run)
	t.Run("broken", func(t *testing.T) { breakPages(t, entered) })
	var want, got []string
	for from, next := range transitions {
		for _, to := range next {
			want = append(want, fmt.Sprint(from, "->", to))
		}
	}
	for edge := range maps.Keys(taken) {
		got = append(got, fmt.Sprint(edge[0], "->", edge[1]))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("transitions taken   %v\nof these in the table %v", got, want)
	}
}

func (e exit) answer(w http.ResponseWriter, coding string, body []byte, length bool, write func(http.ResponseWriter, int, []byte)) {
	maps.Copy(w.Header(), e.header(coding))
	if length && len(body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	status := e.status
	if status == 0 {
		status = http.StatusOK
	}
	write(w, status, body)
}

// check compares an answer without us with one with us.
func (e exit) check(t *testing.T, p pair, coding, line string, length bool) error {
	t.Helper()
	method, proto := line[:strings.Index(line, " ")], line[len(line)-len("HTTP/1.1"):]
	ask := e.ask
	if ask == nil {
		ask = []string{"Sec-Fetch-Dest", "document", "Accept", navAccept}
	}
	plain := exchange(t, p.plain, line, ask)
	ours := exchange(t, p.ours, line, ask)
	reason := <-p.reasons
	marker := ours.header.Get(Marker)
	marked := e.header("").Get(Marker) != "" // by another proxy
	untouched := marker == "" || marked
	switch {
	case e.early && !untouched:
		return fmt.Errorf("was marked %q", marker)
	case marker == markerInjected && reason != ReasonInjected && !marked:
		return fmt.Errorf("marked as injected, reason %q", reason)
	case method == "HEAD" && !untouched && marker != markerSeen:
		return fmt.Errorf("HEAD is marked %q", marker)
	case reason != e.want && method == "GET" && !e.otherwise(reason, coding, proto, length):
		return fmt.Errorf("reason %q, want %q", reason, e.want)
	case plain.status != ours.status || plain.interim != ours.interim || plain.cut != ours.cut:
		return fmt.Errorf("status %d, %d; informational %d, %d; cut %t, %t", plain.status, ours.status, plain.interim, ours.interim, plain.cut, ours.cut)
	case untouched:
		return equalAnswers(plain, ours, reason)
	case method == "HEAD":
		return nil
	}
	return e.checkChanged(ours, reason, length)
}

// otherwise allows a reason other than the wanted one: without a type, the first bytes decide; a client of
// HTTP/1.0 keeps its length; and coded answers have a type.
func (e exit) otherwise(got Reason, coding, proto string, length bool) bool {
	untyped := e.header(coding).Get("Content-Type") == ""
	return untyped && got == ReasonNotHTML || got == ReasonLength && proto == "HTTP/1.0" && length
}

// equalAnswers checks that both are the same, except Vary if a navigation would get another answer.
func equalAnswers(plain, ours answered, reason Reason) error {
	if reason == ReasonFragment {
		ours.header.Del("Vary")
	}
	if !reflect.DeepEqual(plain.header, ours.header) {
		return fmt.Errorf("reason %q, header\n without us %v\n with us    %v", reason, plain.header, ours.header)
	}
	if !bytes.Equal(plain.body, ours.body) {
		return fmt.Errorf("reason %q, body\n without us %q\n with us    %q", reason, plain.body, ours.body)
	}
	return nil
}

// checkChanged checks that the page has our tags, or only differs in what fills a length.
func (e exit) checkChanged(ours answered, reason Reason, length bool) error {
	if got := ours.header.Get("Content-Encoding"); got != "" {
		return fmt.Errorf("Content-Encoding %q", got)
	}
	got := ours.body
	switch {
	case reason == ReasonInjected:
		return compareDOM([]byte(e.body), got, bytes.Contains(got, []byte(testSnippet.Manifest)))
	case !length || ours.header.Get("Content-Length") == "":
		if string(got) != e.body {
			return fmt.Errorf("reason %q, body %q", reason, got)
		}
		return nil
	}
	return sameTree([]byte(e.body), got)
}

// breakPages ends pages that have begun: we add nothing, and the client must see that they are cut.
func breakPages(t *testing.T, entered func(from, to phase)) {
	doc := long()
	headless := "<html><head><meta charset=utf-8><title>x</title><style>" + strings.Repeat("\n", 40_000)
	for _, tt := range []struct{ name, coding, body string }{
		{"short, plain, in the head", "", headless},
		{"short, plain, after it", "", doc},
		{"short, packed, in the head", "gzip", encode(t, "gzip", headless+strings.Repeat(" ", 100))},
		{"short, packed, after it", "gzip", encode(t, "gzip", doc)},
		{"damaged in the head", "gzip", damaged(encode(t, "gzip", headless+doc))},
		{"damaged after it", "gzip", damaged(encode(t, "gzip", doc))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t, Options{Decode: true}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h.Set("Content-Type", htmlType)
				h.Set("Content-Length", strconv.Itoa(len(tt.body)+1000))
				if tt.coding != "" {
					h.Set("Content-Encoding", tt.coding)
				}
				for piece := range slices.Chunk([]byte(tt.body), 1000) {
					_, _ = w.Write(piece)
				}
			}), entered)
			got := exchange(t, p.ours, "GET / HTTP/1.1", []string{"Sec-Fetch-Dest", "document"})
			if reason := <-p.reasons; !got.cut || reason != ReasonBroken && !strings.Contains(tt.name, "plain, after") {
				t.Errorf("cut %t, %q", got.cut, reason)
			}
			if bytes.HasSuffix(got.body, []byte("</script>")) {
				t.Errorf("our tags at the end of a page that was cut off")
			}
		})
	}
	// After a failed Write nothing may make the page look complete.
	for _, coding := range []string{"", "gzip"} {
		for body, lefts := range map[string][]int{page: {10}, headless + doc: {10, 40_050, 100_000}} {
			for _, left := range lefts {
				failOnce(t, coding, body, left, entered)
			}
		}
	}
}

func failOnce(t *testing.T, coding, body string, left int, entered func(from, to phase)) {
	in := newInjector(t, Options{Decode: true})
	in.onPhase = entered
	down := &flakyWriter{discard: discard{h: headers("Content-Type", htmlType)}, left: left}
	if coding != "" {
		down.h.Set("Content-Encoding", coding)
		body = encode(t, coding, body)
	}
	w := in.NewWriter(down, navigation())
	for piece := range slices.Chunk([]byte(body), 5000) {
		_, _ = w.Write(piece)
	}
	after := down.n
	_, err := w.Write([]byte("more"))
	if w.phase != phasePass && (err == nil || !errors.Is(w.Finish(), errFull) || down.n != after) {
		t.Errorf("coding %q, failing after %d: %v, %d bytes more", coding, left, err, down.n-after)
	}
}

// damaged returns s with some bytes in its middle changed.
func damaged(s string) string {
	b := []byte(s)
	for i := range 40 {
		b[len(b)/2+i] ^= 0xa5
	}
	return string(b)
}

// flakyWriter fails once, after some bytes.
type flakyWriter struct {
	discard
	left   int
	failed bool
}

func (w *flakyWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 && !w.failed {
		w.failed = true
		return 0, errFull
	}
	return w.discard.Write(p)
}
