package injector

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// handler runs next behind an Injector, as a middleware does.
func handler(in *Injector, next http.Handler, done func(*Writer)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if in.Classify(r) != "" {
			next.ServeHTTP(in.Bystander(w, r), r)
			return
		}
		iw := in.NewWriter(w, r)
		iw.PrepareRequest()
		defer iw.RestoreRequest()
		next.ServeHTTP(iw, r)
		if err := iw.Finish(); err != nil {
			panic(http.ErrAbortHandler)
		}
		if done != nil {
			done(iw)
		}
	})
}

const (
	page     = "<!doctype html><html><head><title>t</title></head><body>hello</body></html>"
	htmlType = "text/html; charset=utf-8"
)

// withTags returns the page with our tags.
func withTags(in *Injector, page string) string {
	return strings.Replace(page, "</head>", in.String()+"</head>", 1)
}

// response runs one response through a Writer in pieces of the given size.
func response(t *testing.T, in *Injector, r *http.Request, status int, h http.Header, body string, size int) (*httptest.ResponseRecorder, Reason) {
	t.Helper()
	rec := newRecorder()
	w := in.NewWriter(rec, r)
	send(t, w, h, body, size, status)
	return rec, w.Reason()
}

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// send writes a whole response in pieces of the given size; the default status is 200.
func send(t *testing.T, w *Writer, h http.Header, body string, size int, status ...int) {
	t.Helper()
	for k, v := range h {
		w.Header()[k] = v
	}
	w.WriteHeader(append(status, 200)[0])
	for off := 0; off < len(body); off += size {
		piece := body[off:min(off+size, len(body))]
		n, err := w.Write([]byte(piece))
		if err != nil || n != len(piece) {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatalf("Finish: %v", err)
	}
}

func headers(lines ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(lines); i += 2 {
		h.Add(lines[i], lines[i+1])
	}
	return h
}

func navigation() *http.Request {
	return request("Sec-Fetch-Dest", "document", "Accept", navAccept)
}

// TestUntouched checks responses that must pass byte for byte, including the header.
func TestUntouched(t *testing.T) {
	tests := []struct {
		name   string
		status int
		lines  []string
		body   string
		want   Reason
	}{
		{"json", 200, []string{"Content-Type", "application/json"}, page, ReasonNotHTML},
		{"javascript", 200, []string{"Content-Type", "text/javascript"}, page, ReasonNotHTML},
		{"xhtml without a namespace", 200, []string{"Content-Type", "application/xhtml+xml"}, page, ReasonXHTML},
		{"other xml", 200, []string{"Content-Type", "application/xml"}, page, ReasonNotHTML},
		{"htmlx", 200, []string{"Content-Type", "text/htmlx"}, page, ReasonNotHTML},
		{"event stream", 200, []string{"Content-Type", "text/event-stream"}, page, ReasonNotHTML},
		{"guessed text", 200, nil, "plain </head>", ReasonNotHTML},
		{"json as html", 200, []string{"Content-Type", htmlType}, `{"a":"</head>"}`, ReasonNotHTML},
		{"gzip", 200, []string{"Content-Type", htmlType, "Content-Encoding", "gzip"}, page, ReasonEncoded},
		{"attachment", 200, []string{"Content-Type", htmlType, "Content-Disposition", `Attachment; filename="x"`}, page, ReasonAttachment},
		{"no-transform", 200, []string{"Content-Type", htmlType, "Cache-Control", "public, No-Transform"}, page, ReasonNoTransform},
		{"utf-16", 200, []string{"Content-Type", "text/html; charset=UTF-16LE"}, page, ReasonCharset},
		{"iso-2022-jp", 200, []string{"Content-Type", `text/html;charset="iso-2022-jp"`}, page, ReasonCharset},
		{"undeclared iso-2022-jp", 200, []string{"Content-Type", "text/html"}, "<title>\x1b$B</title><p>", ReasonCharset},
		{"utf-16 by mark", 200, []string{"Content-Type", "text/html"}, "\xff\xfe<\x00p\x00>\x00", ReasonCharset},
		{"signature", 200, []string{"Content-Type", htmlType, "Signature-Input", `s=("content-digest")`}, page, ReasonSigned},
		{"digest trailer", 200, []string{"Content-Type", htmlType, "Trailer", "Repr-Digest"}, page, ReasonSigned},
		{"marked", 200, []string{"Content-Type", htmlType, Marker, "injected"}, page, ReasonAlready},
		{"by hand", 200, []string{"Content-Type", htmlType}, `<script src="/_webpush/sdk.js"></script><p>`, ReasonAlready},
		{"amp", 200, []string{"Content-Type", htmlType}, `<html ⚡><p>`, ReasonAMP},
		{"redirect", 302, []string{"Content-Type", htmlType}, page, ReasonStatus},
		{"partial", 206, []string{"Content-Type", htmlType, "Content-Range", "bytes 0-9/91"}, page, ReasonStatus},
		{"no content", 204, []string{"Content-Type", htmlType}, "", ReasonStatus},
		{"length 0", 200, []string{"Content-Type", htmlType, "Content-Length", "0"}, "", ReasonEmpty},
		{"nothing written", 200, []string{"Content-Type", htmlType}, "", ReasonEmpty},
		{"foreign base, odd host", 200, []string{"Content-Type", htmlType}, `<base href=//x><p>`, ReasonHost},
	}
	in := newInjector(t, Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := navigation()
			r.Host = `x"y`
			h := headers(append(tt.lines, "Etag", `"v1"`, "Last-Modified", "x", "Accept-Ranges", "bytes", "Content-Digest", "y")...)
			rec, reason := response(t, in, r, tt.status, h, tt.body, max(len(tt.body), 1))
			if reason != tt.want {
				t.Errorf("reason %q, want %q", reason, tt.want)
			}
			if got := rec.Body.String(); got != tt.body || rec.Code != tt.status {
				t.Errorf("status %d, body %q", rec.Code, got)
			}
			for k := range h {
				if got := rec.Header().Values(k); len(got) != 1 || got[0] != h.Get(k) {
					t.Errorf("%s: %q, want %q", k, got, h.Get(k))
				}
			}
			if len(rec.Header()[Marker]) > 0 && tt.want != ReasonAlready {
				t.Error("marked")
			}
		})
	}
}

// TestInjected checks changed responses with all their headers, for several ways of writing.
func TestInjected(t *testing.T) {
	plain := newInjector(t, Options{})
	script := string(plain.script.append(nil, "", "", 0))
	tests := []struct {
		name   string
		lines  []string // request
		status int
		ctype  string
		body   string // "|" marks the place
		tags   string
	}{
		{"plain", nil, 200, htmlType, "<html><head>|</head>", plain.String()},
		{"error page", nil, 404, "text/html", "<html><head>|</head>", plain.String()},
		{"server error", nil, 503, "Text/HTML ;charset=iso-8859-1", "<html><head>|</head>", plain.String()},
		{"until the end", nil, 200, htmlType, "<!doctype html><title>x</title>|", plain.String()},
		{"ends with lt", nil, 200, htmlType, "<!doctype html><title>x</title>|<", plain.String()},
		{"own manifest", nil, 200, htmlType, "<link rel=manifest href=x>|<p>", script},
		{"local base", nil, 200, htmlType, "<base href=/>|<p>", plain.String()},
		{
			"foreign base", nil, 200, htmlType, "<base href=//x>|<p>",
			`<link rel="manifest" href="https://site.example/manifest.json"/><script src="https://site.example/_webpush/sdk.js" defer="defer"></script>`,
		},
		{"by fetch", []string{"Sec-Fetch-Dest", "empty", "Accept", "text/html"}, 200, htmlType, "<!doctype html>|<p>", plain.String()},
		{"mark and space", nil, 200, "text/html", "\xef\xbb\xbf\n <p>|</p>", ""},
	}
	tests[len(tests)-1].body, tests[len(tests)-1].tags = "\xef\xbb\xbf\n |<p>", plain.String()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after, _ := strings.Cut(tt.body, "|")
			body := before + after
			for _, known := range []bool{true, false} {
				for size := 1; size <= len(body); size++ {
					r := navigation()
					if tt.lines != nil {
						r = request(tt.lines...)
					}
					h := headers("Content-Type", tt.ctype, "Etag", `W/"v1"`, "Last-Modified", "x", "Accept-Ranges", "bytes",
						"Content-Digest", "y", "Repr-Digest", "y", "Digest", "y", "Content-MD5", "y", "Cache-Control", "no-cache")
					if known {
						h.Set("Content-Length", strconv.Itoa(len(body)))
					}
					rec, reason := response(t, plain, r, tt.status, h, body, size)
					got := rec.Body.String()
					if reason != ReasonInjected || rec.Code != tt.status {
						t.Fatalf("reason %q, status %d", reason, rec.Code)
					}
					checkLength(t, rec, known && size == len(body))
					if size == len(body) && len(got) != len(body)+len(tt.tags) {
						t.Errorf("one piece: the length isn't exact: %q", got)
					}
					got = unpad(got)
					if want := before + tt.tags + after; got != want {
						t.Fatalf("pieces of %d:\n got  %q\n want %q", size, got, want)
					}
					checkInjectedHeader(t, plain, rec.Header(), known)
				}
			}
		})
	}
}

// checkLength checks that a Content-Length is right, and present if needed.
func checkLength(t *testing.T, rec *httptest.ResponseRecorder, needed bool) {
	t.Helper()
	length := rec.Header().Get("Content-Length")
	if (length != "" || needed) && length != strconv.Itoa(rec.Body.Len()) {
		t.Fatalf("%d bytes, Content-Length %q", rec.Body.Len(), length)
	}
}

// unpad removes the spaces in our script tag.
func unpad(s string) string {
	before, after, ok := strings.Cut(s, ` defer="defer"`)
	if !ok {
		return s
	}
	return before + ` defer="defer"` + strings.TrimLeft(after, " ")
}

func checkInjectedHeader(t *testing.T, in *Injector, h http.Header, known bool) {
	t.Helper()
	for _, gone := range []string{"Last-Modified", "Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-MD5"} {
		if v := h.Values(gone); len(v) > 0 {
			t.Errorf("%s: %q is still there", gone, v)
		}
	}
	if got, want := h.Get("Etag"), `W/"v1`+in.suffix+`"`; got != want {
		t.Errorf("ETag %s, want %s", got, want)
	}
	if h.Get(Marker) == "" || h.Get("Cache-Control") != "no-cache" {
		t.Errorf("header %v", h)
	}
	if !known && h.Get("Content-Length") != "" {
		t.Errorf("Content-Length %s", h.Get("Content-Length"))
	}
}

// TestKeptLength checks pages whose tags aren't known when the header is sent: their length is promised if it
// can be reached in any case.
func TestKeptLength(t *testing.T) {
	in := newInjector(t, Options{})
	for _, tt := range []struct {
		name, ctype, first string
		want               bool
	}{
		{"nothing yet", htmlType, " ", false},
		{"doctype", htmlType, "<!doctype html>", false},
		{"html", htmlType, "<!doctype html><html>", true},
		{"no charset", "text/html", "<!doctype html><html><head><title>", false},
		{"charset", "text/html", "<!doctype html><html><head><meta charset=utf-8><ti", true},
		{"charset by http-equiv", "text/html", "<html><meta http-equiv=content-type content='text/html;charset=gbk'>", true},
		{"charset by mark", "text/html", "\xef\xbb\xbf<html>", true},
		{"charset ISO-2022-JP", "text/html", "<html><meta charset=iso-2022-jp>", false},
		{"xhtml", "application/xhtml+xml; charset=utf-8", `<html xmlns="http://www.w3.org/1999/xhtml"><head>`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := tt.first + "</title></head><p>"
			h := headers("Content-Type", tt.ctype, "Content-Length", strconv.Itoa(len(doc)))
			rec, _ := response(t, in, navigation(), 200, h, doc, len(tt.first))
			if got := rec.Header().Get("Content-Length") != ""; got != tt.want {
				t.Errorf("a Content-Length is sent: %t", got)
			}
			checkLength(t, rec, tt.want)
			old := navigation()
			old.ProtoMajor, old.ProtoMinor = 1, 0
			rec, reason := response(t, in, old, 200, h, doc, len(tt.first))
			checkLength(t, rec, true)
			if got := rec.Body.String() == doc && reason == ReasonLength; got == tt.want {
				t.Errorf("HTTP/1.0: reason %q, body %q", reason, rec.Body)
			}
		})
	}
}

// TestLateRejection checks pages rejected after the header is sent: what fills the promised length doesn't
// change the document.
func TestLateRejection(t *testing.T) {
	in := newInjector(t, Options{})
	for _, tt := range []struct {
		name, body string
		lines      []string
		want       Reason
	}{
		{"open script", "<html><script>var x", nil, ReasonOpenConstruct},
		{"open name", "<html><scri", nil, ReasonOpenConstruct},
		{"amp", "<!doctype html><html amp><p>", nil, ReasonAMP},
		{"already", "<html><script src='/_webpush/sdk.js'></script><p>", nil, ReasonAlready},
		{"text", "\n\nhello", nil, ReasonNotHTML},
		{"fragment", "<!-- --><p>", []string{"Accept", "text/html"}, ReasonFragment},
		{"fragment to htmx", "<!doctype html><title>x</title><p>", []string{"HX-Request", "true", "HX-Boosted", "true"}, ReasonFragment},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size < len(tt.body); size++ {
				r := navigation()
				if tt.lines != nil {
					r = request(tt.lines...)
				}
				h := headers("Content-Type", htmlType, "Content-Length", strconv.Itoa(len(tt.body)))
				rec, reason := response(t, in, r, 200, h, tt.body, size)
				got := rec.Body.String()
				if reason != tt.want {
					t.Fatalf("pieces of %d: %q, %q", size, reason, got)
				}
				if err := sameTree([]byte(tt.body), []byte(got)); err != nil {
					t.Fatalf("pieces of %d: %v", size, err)
				}
				checkLength(t, rec, false)
				h.Del("Content-Length")
				if rec, _ := response(t, in, r, 200, h, tt.body, size); rec.Body.String() != tt.body {
					t.Fatalf("pieces of %d, chunked: %q", size, rec.Body)
				}
			}
		})
	}
}

func TestNoTransformIgnored(t *testing.T) {
	in := newInjector(t, Options{IgnoreNoTransform: true})
	rec, reason := response(t, in, navigation(), 200, headers("Content-Type", htmlType, "Cache-Control", "no-transform"), page, 99999)
	if reason != ReasonInjected || rec.Body.String() != withTags(in, page) {
		t.Errorf("%q, %q", reason, rec.Body)
	}
}

// TestGuessedType checks handlers that leave the type to net/http.
func TestGuessedType(t *testing.T) {
	in := newInjector(t, Options{})
	rec, reason := response(t, in, navigation(), 200, nil, page, 99999)
	if reason != ReasonInjected || rec.Header().Get("Content-Type") != htmlType || rec.Body.String() != withTags(in, page) {
		t.Errorf("%q, %v, %q", reason, rec.Header(), rec.Body)
	}
}

func TestNotModified(t *testing.T) {
	in := newInjector(t, Options{})
	for _, tt := range []struct{ name, inm, etag, want string }{
		{"ours", `"v1` + in.suffix + `"`, `"v1"`, `"v1` + in.suffix + `"`},
		{"ours, weak", `W/"v1` + in.suffix + `"`, `W/"v1"`, `W/"v1` + in.suffix + `"`},
		{"not ours", `"v1"`, `"v1"`, `"v1"`},
		{"none", ``, `"v1"`, `"v1"`},
		{"no tag", `"v1` + in.suffix + `"`, ``, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := navigation()
			r.Header.Set("If-None-Match", tt.inm)
			rec, reason := response(t, in, r, 304, headers("Etag", tt.etag, "Vary", "x"), "", 1)
			if got := rec.Header().Get("Etag"); got != tt.want || rec.Code != 304 || reason != ReasonStatus || rec.Header().Get("Vary") != "x" {
				t.Errorf("%d, %q, header %v; want ETag %s", rec.Code, reason, rec.Header(), tt.want)
			}
		})
	}
}

// TestBlocking: the script comes before the page's first, however the page is cut.
func TestBlocking(t *testing.T) {
	in := newInjector(t, Options{Blocking: true})
	script := `<script src="` + testSnippet.Script + `"></script>`
	for _, tt := range []struct{ name, page, at, tags string }{
		{"before the first script", `<!doctype html><html><head><meta charset="utf-8"><title>t</title><script>a</script><script src="/b"></script><link rel="manifest" href="/m"></head><body>`, `<script>a`, script},
		{"not before one in a comment", `<!doctype html><html><head><!-- <script> --><title><script></title><SCRIPT async src="/b"></SCRIPT></head>`, `<SCRIPT`, script},
		{"no script in the head", page, "</head>", in.String()},
		{"no head", `<!doctype html><script>a</script><p>`, `<script>a`, script},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := strings.Replace(tt.page, tt.at, tt.tags+tt.at, 1)
			for _, size := range []int{1, 3, len(tt.page)} {
				rec, reason := response(t, in, navigation(), 200, headers("Content-Type", htmlType), tt.page, size)
				if got := rec.Body.String(); got != want {
					t.Errorf("pieces of %d: %q\n%s", size, reason, got)
				}
			}
		})
	}
}
