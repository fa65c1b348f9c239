package injector

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// countingWriter records the size of each Write.
type countingWriter struct {
	*httptest.ResponseRecorder
	sizes []int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.sizes = append(w.sizes, len(p))
	return w.ResponseRecorder.Write(p)
}

// TestOneWrite: the page's beginning, our tags and the rest are sent in one Write.
func TestOneWrite(t *testing.T) {
	in := newInjector(t, Options{})
	for _, size := range []int{600, readSize, bufferSize, 100_000} {
		doc := page + strings.Repeat("x", size-len(page))
		rec := &countingWriter{ResponseRecorder: httptest.NewRecorder()}
		w := in.NewWriter(rec, navigation())
		w.Header().Set("Content-Type", htmlType)
		if _, err := io.WriteString(w, doc); err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		if rec.Body.String() != withTags(in, doc) {
			t.Errorf("%d bytes: wrong body", size)
		}
		most := 1
		if size > readSize {
			most = 2
		}
		if len(rec.sizes) > most || rec.sizes[0] <= 512 {
			t.Errorf("%d bytes: writes of %d", size, rec.sizes)
		}
	}
	// A large piece with the head's end far back.
	doc := "<style>" + strings.Repeat("x", 100_000) + "</style></head>" + strings.Repeat("y", 100_000)
	rec, _ := response(t, in, navigation(), 200, headers("Content-Type", htmlType), doc, len(doc))
	if rec.Body.String() != withTags(in, doc) {
		t.Error("large head: wrong body")
	}
}

// failingWriter fails after some bytes.
type failingWriter struct {
	http.ResponseWriter
	left int
}

var errFull = errors.New("connection gone")

func (w *failingWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, errFull
	}
	w.left -= len(p)
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	in := newInjector(t, Options{})
	failed := 0
	for left := range len(page) + len(in.String()) {
		w := in.NewWriter(&failingWriter{httptest.NewRecorder(), left}, navigation())
		w.Header().Set("Content-Type", htmlType)
		_, err := io.Copy(writerOnly{w}, iotestOneByte{strings.NewReader(page)})
		err = errors.Join(err, w.Finish())
		if errors.Is(err, errFull) {
			failed++
		}
	}
	if want := len(page) + len(in.String()); failed != want {
		t.Errorf("%d of %d failures were reported", failed, want)
	}
}

// iotestOneByte reads one byte at a time.
type iotestOneByte struct{ r io.Reader }

func (r iotestOneByte) Read(p []byte) (int, error) { return r.r.Read(p[:1]) }

// TestAllocations allows two for a page with all headers, including the request's: the Writer, and its two
// new header values.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("pools don't keep under the race detector")
	}
	in := newInjector(t, Options{})
	r := navigation()
	r.Header.Set("Accept-Encoding", "gzip")
	sink := &discard{h: http.Header{}}
	body := []byte(page)
	length, etag, ctype := []string{strconv.Itoa(len(page))}, []string{`"v1"`}, []string{htmlType}
	got := testing.AllocsPerRun(1000, func() {
		sink.h["Content-Type"], sink.h["Content-Length"], sink.h["Etag"] = ctype, length, etag
		delete(sink.h, Marker)
		w := in.NewWriter(sink, r)
		w.PrepareRequest()
		w.WriteHeader(200)
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(); err != nil || w.Reason() != ReasonInjected {
			t.Fatal(err, w.Reason())
		}
		w.RestoreRequest()
	})
	if got > 2 {
		t.Errorf("%v allocations per response", got)
	}
	t.Logf("%v allocations per response", got)
}

// discard is a ResponseWriter that discards everything.
type discard struct {
	h http.Header
	n int
}

func (d *discard) Header() http.Header { return d.h }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.n += len(p)
	return len(p), nil
}

// headerLog records the statuses sent.
type headerLog struct {
	*httptest.ResponseRecorder
	sent []int
}

func (w *headerLog) WriteHeader(status int) {
	w.sent = append(w.sent, status)
	w.ResponseRecorder.WriteHeader(status)
}

// TestHeaderTime checks when the header is sent.
func TestHeaderTime(t *testing.T) {
	in := newInjector(t, Options{})
	for _, tt := range []struct {
		name   string
		status int
		lines  []string
		want   int // statuses sent by WriteHeader alone
		reason Reason
	}{
		{"page", 200, []string{"Content-Type", htmlType}, 0, ""},
		{"incremental page", 200, []string{"Content-Type", htmlType, "Incremental", "?1"}, 1, ""},
		{"events", 200, []string{"Content-Type", "text/event-stream"}, 1, ReasonNotHTML},
		{"switching protocols", 101, []string{"Content-Type", htmlType}, 1, ReasonUpgrade},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := &headerLog{ResponseRecorder: httptest.NewRecorder()}
			w := in.NewWriter(rec, navigation())
			for i := 0; i < len(tt.lines); i += 2 {
				w.Header().Set(tt.lines[i], tt.lines[i+1])
			}
			w.WriteHeader(tt.status)
			if len(rec.sent) != tt.want || w.Reason() != tt.reason {
				t.Errorf("sent %d, reason %q", rec.sent, w.Reason())
			}
			if tt.reason != "" {
				return
			}
			w.WriteHeader(200) // superfluous
			if _, err := w.Write([]byte(page)); err != nil {
				t.Fatal(err)
			}
			if err := w.Finish(); err != nil || rec.sent[len(rec.sent)-1] != 200 || rec.Body.String() != withTags(in, page) {
				t.Errorf("%v, sent %d, body %q", err, rec.sent, rec.Body)
			}
		})
	}
}

func TestReadFromDelegates(t *testing.T) {
	in := newInjector(t, Options{})
	down := &readerFrom{ResponseRecorder: httptest.NewRecorder()}
	w := in.NewWriter(down, navigation())
	w.Header().Set("Content-Type", htmlType)
	doc := page + strings.Repeat("z", 200_000)
	n, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(doc)})
	if err != nil || n != int64(len(doc)) {
		t.Fatalf("copied %d, %v", n, err)
	}
	if down.Body.String() != withTags(in, doc) || down.n < 150_000 {
		t.Errorf("%d bytes by ReadFrom, %d in all", down.n, down.Body.Len())
	}
}

type readerFrom struct {
	*httptest.ResponseRecorder
	n int64
}

func (r *readerFrom) ReadFrom(src io.Reader) (int64, error) {
	var b bytes.Buffer
	n, err := b.ReadFrom(src)
	r.n += n
	_, _ = r.ResponseRecorder.Write(b.Bytes())
	return n, err
}
