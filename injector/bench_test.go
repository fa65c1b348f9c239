package injector

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// devHeads returns the real pages that get our tags, and the sum of their heads.
func devHeads(b *testing.B, in *Injector) (docs [][]byte, heads int64) {
	b.Helper()
	files, _ := filepath.Glob(filepath.Join(testdata(b, "pages", "dev"), "*.html"))
	for _, f := range files {
		doc, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		if got, err := run(doc, scanner{marker: in.script[1]}, whole); err == nil && got.at > 0 {
			docs, heads = append(docs, doc), heads+int64(got.at)
		}
	}
	return docs, heads
}

// BenchmarkScan scans the heads of the real pages in pieces of 32 KiB. MB/s is
// of head.
func BenchmarkScan(b *testing.B) {
	in := newInjector(b, Options{})
	docs, heads := devHeads(b, in)
	for _, esc := range []bool{false, true} {
		b.Run("escapes="+strconv.FormatBool(esc), func(b *testing.B) {
			b.SetBytes(heads)
			b.ReportAllocs()
			for b.Loop() {
				for _, doc := range docs {
					s := scanner{marker: in.script[1], undeclared: esc}
					for off := 0; off < len(doc) && s.verdict == undecided; off += readSize {
						s.scan(doc[off:min(off+readSize, len(doc))])
					}
				}
			}
		})
	}
}

// BenchmarkScanText scans one long construct in a head, in pieces of 32 KiB.
func BenchmarkScanText(b *testing.B) {
	const size = 2 << 20
	code := "function f(a,b){return a<b&&b>0||!a}var s='</p>'+\"<b>\";for(i=0;i<9;i++)f(i,s)\n"
	for _, tt := range []struct{ name, open, text string }{
		{"script", "<script>", code},
		{"script, minified", "<script>", strings.ReplaceAll(code, "\n", ";")},
		{"script, escaped", "<script><!--", code},
		{"json", "<script>", `{"id":12345,"title":"Some title","url":"https:\\/\\/site.example\\/a-page","html":"\\u003cp\\u003e"},`},
		{"style", "<style>", ".card{margin:0 auto;padding:1rem;color:#333}\n"},
		{"comment", "<!--", "a comment - with some dashes\n"},
		{"attribute", `<meta content="`, "a long description, "},
	} {
		doc := []byte("<!doctype html><html><head><meta charset=utf-8>" + tt.open + strings.Repeat(tt.text, size/len(tt.text)))
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				s := scanner{marker: "/_webpush/sdk.js", undeclared: true}
				for off := 0; off < len(doc) && s.verdict == undecided; off += readSize {
					s.scan(doc[off:min(off+readSize, len(doc))])
				}
				if s.verdict != undecided {
					b.Fatal(s.reason)
				}
			}
		})
	}
}

// BenchmarkScanTags scans a head of 33 kB with only tags, like caddymodule/bench: little text, which is
// cheap, and much to look at.
func BenchmarkScanTags(b *testing.B) {
	var head strings.Builder
	head.WriteString("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Some words</title>\n")
	for head.Len() < 33_000 {
		head.WriteString(`<meta property="og:wordset" content="ba termon ri selca du fengo hu isjo ker lanmi no orpa">
<link rel="stylesheet" href="/assets/termon-0a1b2c3d.css" media="all">
<script type="application/ld+json">{"@type":"word","name":"ba termon ri selca du fengo hu isjo ker lanmi","id":123456}</script>
<style>.ba-ter{margin:0 12px;color:#a1b2c3}.mon-ri{margin:0 3px;color:#112233}.sel-ca{margin:0 30px;color:#445566}</style>
<script>window.xba=window.xba||[];for(var i=0;i<7;i++)xba.push("termon ri selca du fengo hu")</script>
<!-- isjo ker lanmi no -->
<link rel="preload" as="font" href="/fonts/orpa.woff2" crossorigin>
`)
	}
	head.WriteString("</head><body>")
	doc := []byte(head.String())
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		s := scanner{marker: "/_webpush/sdk.js", undeclared: true}
		for off := 0; off < len(doc) && s.verdict == undecided; off += readSize {
			s.scan(doc[off:min(off+readSize, len(doc))])
		}
		if s.verdict != found {
			b.Fatal(s.reason)
		}
	}
}

// BenchmarkTokenizer is BenchmarkScan with x/net/html's tokenizer, up to the same places.
func BenchmarkTokenizer(b *testing.B) {
	in := newInjector(b, Options{})
	docs, heads := devHeads(b, in)
	b.SetBytes(heads)
	b.ReportAllocs()
	for b.Loop() {
		for _, doc := range docs {
			z := html.NewTokenizer(strings.NewReader(string(doc)))
			for {
				kind := z.Next()
				if name, _ := z.TagName(); kind == html.ErrorToken || kind == html.EndTagToken && string(name) == "head" ||
					kind == html.StartTagToken && string(name) == "body" {
					break
				}
			}
		}
	}
}

// BenchmarkWriter runs whole responses through a Writer in pieces of 32 KiB, and
// without one for comparison.
func BenchmarkWriter(b *testing.B) {
	in := newInjector(b, Options{})
	for _, size := range []int{2_000, 30_000, 200_000} {
		doc := []byte(benchPage(size))
		length, etag, ctype := []string{strconv.Itoa(len(doc))}, []string{`"v1"`}, []string{htmlType}
		r := navigation()
		sink := &discard{h: http.Header{}}
		answer := func(w http.ResponseWriter) {
			h := w.Header()
			h["Content-Type"], h["Content-Length"], h["Etag"] = ctype, length, etag
			delete(h, Marker)
			delete(h, "Vary")
			w.WriteHeader(200)
			for off := 0; off < len(doc); off += readSize {
				_, _ = w.Write(doc[off:min(off+readSize, len(doc))])
			}
		}
		b.Run("bare/"+strconv.Itoa(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				answer(sink)
			}
		})
		b.Run("injected/"+strconv.Itoa(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := in.NewWriter(sink, r)
				answer(w)
				if err := w.Finish(); err != nil || w.Reason() != ReasonInjected {
					b.Fatal(err, w.Reason())
				}
			}
		})
	}
}

// benchPage makes a page with a head of a sixth of its size.
func benchPage(size int) string {
	var b strings.Builder
	style := "<style>" + strings.Repeat(".card{margin:0 auto;padding:1rem;color:#333}\n", 15) + "</style>\n"
	b.WriteString("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Page</title>\n")
	for b.Len() < size/6 {
		b.WriteString("<meta property=\"og:description\" content=\"Some words that describe the page well\">\n<link rel=\"stylesheet\" href=\"/assets/site-1234.css\">\n<script>window.data = window.data || []; function f(a) { return a < 2 }</script>\n")
		b.WriteString(style)
	}
	b.WriteString("</head><body>")
	for b.Len() < size {
		b.WriteString("<p>Lorem ipsum dolor sit amet, consectetur adipiscing elit.</p>\n")
	}
	return b.String()
}

// BenchmarkPrepare is the request side with a browser's headers.
func BenchmarkPrepare(b *testing.B) {
	in := newInjector(b, Options{})
	r := request("Sec-Fetch-Dest", "document", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "none", "Sec-Fetch-User", "?1",
		"Accept", navAccept, "Accept-Encoding", "gzip, deflate, br, zstd", "Accept-Language", "de-DE,de;q=0.9",
		"User-Agent", "Mozilla/5.0", "Cookie", "a=b", "Cache-Control", "max-age=0", "Upgrade-Insecure-Requests", "1",
		"Sec-Ch-Ua", "x", "Sec-Ch-Ua-Mobile", "?0", "Sec-Ch-Ua-Platform", "x", "If-None-Match", `"v1`+in.suffix+`"`)
	b.Run("classify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if in.Classify(r) != "" {
				b.Fatal("not a page")
			}
		}
	})
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w := in.NewWriter(nil, r)
			w.PrepareRequest()
			w.RestoreRequest()
		}
	})
}
