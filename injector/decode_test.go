package injector

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// flushWriter is the interface of all encoders.
type flushWriter interface {
	io.WriteCloser
	Flush() error
}

var codings = []string{"gzip", "zstd", "br"}

func encoder(t testing.TB, coding string, w io.Writer) flushWriter {
	t.Helper()
	switch coding {
	case "gzip", "x-gzip":
		return gzip.NewWriter(w)
	case "br":
		return brotli.NewWriterLevel(w, 5)
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func encode(t testing.TB, coding, body string) string {
	t.Helper()
	var b bytes.Buffer
	z := encoder(t, coding, &b)
	if _, err := io.WriteString(z, body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func encoded(coding string, lines ...string) http.Header {
	return headers(append(lines, "Content-Type", htmlType, "Content-Encoding", coding, "Etag", `"v1"`)...)
}

// long returns a page that no codec compresses well, larger than our buffers.
func long() string {
	r := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for b.Len() < 150_000 {
		b.WriteString(strconv.FormatUint(r.Uint64(), 36))
		b.WriteString(" ")
	}
	return strings.Replace(page, "hello", b.String(), 1)
}

// TestDecode: compressed pages are changed, however they are cut.
func TestDecode(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	for _, coding := range append(codings, "x-gzip", "GZIP ") {
		for name, doc := range map[string]string{"short": page, "long": long(), "undecided": "<!doctype html><title>x</title>" + strings.Repeat("\n", 40_000) + "<p>"} {
			t.Run(coding+" "+name, func(t *testing.T) {
				packed := encode(t, strings.ToLower(strings.TrimSpace(coding)), doc)
				for _, known := range []bool{true, false} {
					for _, size := range []int{1, 2, 7, 100, 5000, 40_000, len(packed)} {
						if size == 1 && len(packed) > 50_000 {
							continue
						}
						h := encoded(coding)
						if known {
							h.Set("Content-Length", strconv.Itoa(len(packed)))
						}
						rec, reason := response(t, in, navigation(), 200, h, packed, size)
						want := withTags(in, doc)
						if name == "undecided" {
							want = strings.Replace(doc, "<p>", in.String()+"<p>", 1)
						}
						got := rec.Body.String()
						if reason != ReasonInjected || got != want {
							t.Fatalf("pieces of %d: %q, %d bytes, want %d: %.200q", size, reason, len(got), len(want), got)
						}
						rh := rec.Header()
						if rh.Get("Content-Encoding") != "" || rh.Get("Etag") != `"v1`+in.suffix+`"` {
							t.Fatalf("header %v", rh)
						}
						exact := strconv.Itoa(len(got))
						must := known && size >= len(packed) && len(doc) < readSize
						if cl := rh.Get("Content-Length"); cl != exact && (cl != "" || must) {
							t.Fatalf("pieces of %d of %d: Content-Length %q, want %q", size, len(packed), cl, exact)
						}
					}
				}
			})
		}
	}
}

// TestGzipMembers checks bodies of several members, and trailing data.
func TestGzipMembers(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	first, second := encode(t, "gzip", page[:40]), encode(t, "gzip", page[40:])
	for name, packed := range map[string]string{"two": first + second, "zeros after": first + second + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "text after": first + second + "more than ten bytes of something else"} {
		for _, size := range []int{1, len(first), len(packed)} {
			rec, reason := response(t, in, navigation(), 200, encoded("gzip"), packed, size)
			if got := rec.Body.String(); reason != ReasonInjected || got != withTags(in, page) {
				t.Errorf("%s, pieces of %d: %q, %q", name, size, reason, got)
			}
		}
	}
}

// TestDecodeUntouched checks compressed answers that pass byte for byte.
func TestDecodeUntouched(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	gz := encode(t, "gzip", page)
	bad := []byte(gz)
	bad[len(bad)/2] ^= 0x55
	crc := []byte(gz)
	crc[len(crc)-6] ^= 1
	var wide, huge bytes.Buffer
	bw := brotli.NewWriterOptions(&wide, brotli.WriterOptions{Quality: 5, LGWin: 24})
	_, _ = io.WriteString(bw, page)
	_ = bw.Close()
	zw, err := zstd.NewWriter(&huge, zstd.WithWindowSize(16<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(zw, page)
	_ = zw.Flush() // so the size isn't known when the frame begins
	_ = zw.Close()
	for _, tt := range []struct {
		name, coding, body string
		r                  *http.Request
		want               Reason
	}{
		{"unknown", "zz", page, nil, ReasonEncoded},
		{"deflate", "deflate", gz, nil, ReasonEncoded},
		{"two", "gzip, br", gz, nil, ReasonEncoded},
		{"identity and gzip", "identity, gzip", gz, nil, ReasonEncoded},
		{"not gzip", "gzip", page, nil, ReasonEncoded},
		{"not zstd", "zstd", page, nil, ReasonEncoded},
		{"not brotli", "br", "\xff\xff" + page, nil, ReasonEncoded},
		{"damaged", "gzip", string(bad), nil, ReasonEncoded},
		{"cut in the header", "gzip", gz[:5], nil, ReasonEncoded},
		{"cut before anything", "gzip", gz[:20], nil, ReasonEncoded},
		{"endless header", "gzip", "\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x00" + strings.Repeat("x", maxRaw+1000), nil, ReasonEncoded},
		{"brotli window", "br", wide.String(), nil, ReasonEncoded},
		{"zstd window", "zstd", huge.String(), nil, ReasonEncoded},
		{"empty page", "gzip", encode(t, "gzip", ""), nil, ReasonEmpty},
		{"json", "gzip", encode(t, "gzip", `{"a":1}`), nil, ReasonNotHTML},
		{"amp", "zstd", encode(t, "zstd", `<html amp><p>`), nil, ReasonAMP},
		{"curl", "gzip", gz, request("Accept", "*/*", "Accept-Encoding", "gzip"), ReasonEncoded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{len(tt.body), 1000, 64, 1} {
				if tt.r == nil {
					tt.r = navigation()
				}
				if size == 1 && len(tt.body) > 5000 || size < 60 && tt.want == ReasonAMP {
					continue
				}
				h := encoded(tt.coding, "Content-Length", strconv.Itoa(len(tt.body)), "Last-Modified", "x")
				rec, reason := response(t, in, tt.r, 200, h, tt.body, size)
				if reason != tt.want || rec.Body.String() != tt.body {
					t.Fatalf("pieces of %d: %q, want %q; %d bytes of %d", size, reason, tt.want, rec.Body.Len(), len(tt.body))
				}
				for k := range h {
					if rec.Header().Get(k) != h.Get(k) {
						t.Errorf("%s is %q", k, rec.Header().Get(k))
					}
				}
			}
		})
	}
	_, _ = response(t, in, navigation(), 200, encoded("gzip"), "", 1) // nothing written
	off := newInjector(t, Options{})
	if rec, reason := response(t, off, navigation(), 200, encoded("gzip"), gz, 7); reason != ReasonEncoded || rec.Body.String() != gz {
		t.Errorf("not asked to decode: %q", reason)
	}
	// The whole body is here and its sum is wrong: nothing was sent yet.
	h := encoded("gzip", "Content-Length", strconv.Itoa(len(crc)))
	if rec, reason := response(t, in, navigation(), 200, h, string(crc), len(crc)); reason != ReasonEncoded || rec.Body.String() != string(crc) {
		t.Errorf("wrong sum: %q", reason)
	}
}

// TestDecodeBroken: if a body fails after the page has begun, the client must see that it is cut.
func TestDecodeBroken(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	doc := long()
	for _, coding := range codings {
		packed := encode(t, coding, doc)
		damaged := []byte(packed)
		for i := range 40 {
			damaged[len(damaged)/2+i] ^= 0xa5
		}
		for name, body := range map[string]string{"cut": packed[:len(packed)-9], "damaged": string(damaged)} {
			for _, careless := range []bool{true, false} {
				reasons := make(chan *Writer, 1)
				address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					iw := in.NewWriter(w, r)
					defer func() { reasons <- iw }()
					for k, v := range encoded(coding) {
						iw.Header()[k] = v
					}
					for off := 0; off < len(body); off += 4096 {
						_, err := iw.Write([]byte(body[off:min(off+4096, len(body))]))
						if err != nil && !careless {
							panic(http.ErrAbortHandler) // reverse proxies do this
						}
					}
					if err := iw.Finish(); err != nil {
						t.Errorf("%s %s: Finish: %v", coding, name, err)
					}
				}))
				r, _ := http.NewRequestWithContext(t.Context(), "GET", address, nil)
				r.Header = navigation().Header
				resp, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err == nil || !strings.HasPrefix(withTags(in, doc), string(got)) && name == "cut" || len(got) < 1000 {
					t.Errorf("%s %s, careless %t: %d bytes, %v", coding, name, careless, len(got), err)
				}
				if w := <-reasons; w.Reason() != ReasonBroken {
					t.Errorf("%s %s: reason %q", coding, name, w.Reason())
				}
			}
		}
	}
}

// TestDecodeLive: each flushed piece of a compressed page is sent at once.
func TestDecodeLive(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	pieces := []string{"<!doctype html><html><head>", "<title>x</title>", "<style>a{}</style></head><body>1", strings.Repeat("2", 5000), "3"}
	for _, coding := range codings {
		t.Run(coding, func(t *testing.T) {
			step := make(chan struct{})
			address := proxy(t, in, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", htmlType)
				w.Header().Set("Content-Encoding", coding)
				_ = http.NewResponseController(w).Flush()
				z := encoder(t, coding, w)
				for _, piece := range pieces {
					_, _ = io.WriteString(z, piece)
					_ = z.Flush()
					_ = http.NewResponseController(w).Flush()
					select {
					case <-step:
					case <-r.Context().Done():
						return
					}
				}
				_ = z.Close()
			}, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, "GET", address, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = navigation().Header
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for i, piece := range pieces {
				want := strings.Replace(piece, "</head>", in.String()+"</head>", 1)
				got := make([]byte, len(want))
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
					t.Fatalf("piece %d: got %.100q, %v; want %.100q", i, got, err, want)
				}
				step <- struct{}{}
			}
			if extra, err := io.ReadAll(resp.Body); err != nil || len(extra) > 0 {
				t.Errorf("the rest: %q, %v", extra, err)
			}
		})
	}
}

// bombSink measures the heap while a body passes.
type bombSink struct {
	discard
	base, peak uint64
	writes     int
}

func (s *bombSink) Write(p []byte) (int, error) {
	if s.writes++; s.writes%50 == 1 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.peak = max(s.peak, m.HeapAlloc-min(s.base, m.HeapAlloc))
	}
	return s.discard.Write(p)
}

// TestBomb: a body that decodes to a gigabyte is cut off, and takes at most 16 MiB of memory.
func TestBomb(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	for _, coding := range codings {
		t.Run(coding, func(t *testing.T) {
			var b bytes.Buffer
			z := encoder(t, coding, &b)
			if coding == "br" {
				z = brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: 3, LGWin: 23})
			}
			_, _ = io.WriteString(z, page)
			zeros := make([]byte, 1<<20)
			for range 300 {
				_, _ = z.Write(zeros)
			}
			_ = z.Close()
			z, zeros = nil, nil
			packed := b.Bytes()
			sink := &bombSink{discard: discard{h: encoded(coding)}}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			sink.base = m.HeapAlloc
			w := in.NewWriter(sink, navigation())
			var failed error
			for off := 0; off < len(packed) && failed == nil; off += readSize {
				_, failed = w.Write(packed[off:min(off+readSize, len(packed))])
			}
			if !errors.Is(failed, errTooLarge) || sink.n > 20<<20 || w.Reason() != ReasonBroken {
				t.Errorf("%v after %d bytes of %d packed, reason %q", failed, sink.n, len(packed), w.Reason())
			}
			if sink.peak > 16<<20 {
				t.Errorf("took %d KiB", sink.peak>>10)
			}
			t.Logf("%d packed bytes gave %d and took %d KiB", len(packed), sink.n, sink.peak>>10)
			if got := aborts(w.Finish); !got {
				t.Error("Finish doesn't abort")
			}
		})
	}
}

// TestSizeCap: an endless page with a realistic ratio is cut off.
func TestSizeCap(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	rows := encode(t, "gzip", strings.Repeat(long()[1000:21_000], 50))
	sink := &discard{h: encoded("gzip")}
	w := in.NewWriter(sink, navigation())
	_, failed := io.WriteString(w, encode(t, "gzip", page))
	for range 2 * maxDecoded >> 20 {
		if failed == nil {
			_, failed = io.WriteString(w, rows)
		}
	}
	if !errors.Is(failed, errTooLarge) || sink.n < maxDecoded-readSize || sink.n > maxDecoded+1000 || !aborts(w.Finish) {
		t.Errorf("%v after %d bytes", failed, sink.n)
	}
}

// aborts reports whether f panics with [http.ErrAbortHandler].
func aborts(f func() error) (aborted bool) {
	defer func() { aborted = recover() == http.ErrAbortHandler }()
	_ = f()
	return false
}

// TestDecoderEnds: an aborted handler leaves nothing behind.
func TestDecoderEnds(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	before := runtime.NumGoroutine()
	for _, coding := range codings {
		packed := encode(t, coding, long())
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			w := in.NewWriter(&discard{h: encoded(coding)}, navigation().WithContext(ctx))
			if _, err := w.Write([]byte(packed[:len(packed)/2])); err != nil {
				t.Fatal(err)
			}
			cancel() // the server does this when the handler has returned or panicked
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// TestDecodeFlushFirst: a flush before any decoded byte decides nothing.
func TestDecodeFlushFirst(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	for _, incremental := range []string{"", "?1"} {
		for body, want := range map[string]string{encode(t, "gzip", page): withTags(in, page), page: page} {
			rec := httptest.NewRecorder()
			w := in.NewWriter(rec, navigation())
			h := encoded("gzip")
			if incremental != "" {
				h.Set("Incremental", incremental)
			}
			for k, v := range h {
				w.Header()[k] = v
			}
			w.WriteHeader(200)
			w.Flush()
			if _, err := io.WriteString(w, body); err != nil {
				t.Fatal(err)
			}
			if err := w.Finish(); err != nil || rec.Body.String() != want {
				t.Errorf("%v, %q, want %q", err, rec.Body, want)
			}
		}
	}
}

// TestDecodeHead: HEAD answers like GET.
func TestDecodeHead(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	r := navigation()
	r.Method = http.MethodHead
	rec, _ := response(t, in, r, 200, encoded("gzip", "Content-Length", "99"), "", 1)
	if h := rec.Header(); h.Get("Content-Encoding") != "" || h.Get("Content-Length") != "" || h.Get("Etag") != `"v1`+in.suffix+`"` {
		t.Errorf("header %v", h)
	}
}
