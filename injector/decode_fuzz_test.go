package injector

import (
	"bytes"
	"io"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// FuzzDecode feeds any bytes to the codecs. The output is untouched, or cut off, or equals what the codec
// makes of the whole.
func FuzzDecode(f *testing.F) {
	for i, coding := range codings {
		f.Add([]byte(encode(f, coding, page)), uint8(i), uint16(5))
		f.Add([]byte(encode(f, coding, page)+encode(f, coding, page)), uint8(i), uint16(50))
	}
	in := newInjector(f, Options{Decode: true})
	f.Fuzz(func(t *testing.T, body []byte, which uint8, size uint16) {
		coding := codings[int(which)%len(codings)]
		rec := httptest.NewRecorder()
		w := in.NewWriter(rec, navigation())
		for k, v := range encoded(coding) {
			w.Header()[k] = v
		}
		step := int(size)%1000 + 1
		for off := 0; off < len(body); off += step {
			if _, err := w.Write(body[off:min(off+step, len(body))]); err != nil {
				return
			}
		}
		if aborts(w.Finish) {
			return
		}
		if rec.Header().Get("Content-Encoding") != "" {
			if w.Reason() == ReasonInjected || rec.Body.String() != string(body) {
				t.Fatalf("%q: %q became %q", w.Reason(), body, rec.Body)
			}
			return
		}
		plain := reference(t, coding, body)
		if w.Reason() == ReasonEmpty && len(body) == 0 {
			return
		}
		got := rec.Body.String()
		for _, tag := range []string{string(in.manifest.append(nil, "", "", 0)), string(in.script.append(nil, "", "", 0))} {
			got = strings.Replace(got, tag, "", 1)
		}
		if got = strings.TrimRight(got, " "); got != strings.TrimRight(plain, " ") && !strings.Contains(plain, "base") {
			t.Fatalf("%q became %q, want %q with tags", body, got, plain)
		}
	})
}

// reference decodes a whole body, as far as possible.
func reference(t *testing.T, coding string, body []byte) string {
	t.Helper()
	r := bareCodec(t, coding, body)
	if z, ok := r.(*zstd.Decoder); ok {
		defer z.Close()
	}
	plain, _ := io.ReadAll(r)
	return string(plain)
}

// BenchmarkDecode runs compressed pages through a Writer in pieces of 32 KiB, and
// through the bare codec for comparison. MB/s is of the decoded page.
func BenchmarkDecode(b *testing.B) {
	in := newInjector(b, Options{Decode: true})
	for _, coding := range codings {
		for _, size := range []int{30_000, 200_000} {
			packed := []byte(encode(b, coding, benchPage(size)))
			b.Run(coding+"/"+strconv.Itoa(size), func(b *testing.B) {
				sink, r := &discard{}, navigation()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					sink.h = encoded(coding)
					w := in.NewWriter(sink, r)
					for off := 0; off < len(packed); off += readSize {
						_, _ = w.Write(packed[off:min(off+readSize, len(packed))])
					}
					if err := w.Finish(); err != nil || w.Reason() != ReasonInjected {
						b.Fatal(err, w.Reason())
					}
				}
			})
			b.Run("codec/"+coding+"/"+strconv.Itoa(size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := io.Copy(io.Discard, bareCodec(b, coding, packed)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func bareCodec(t testing.TB, coding string, body []byte) io.Reader {
	t.Helper()
	switch coding {
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return z
	case "br":
		return brotli.NewReader(bytes.NewReader(body))
	}
	z, err := zstd.NewReader(io.MultiReader(bytes.NewReader(body)), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		t.Fatal(err)
	}
	return z
}
