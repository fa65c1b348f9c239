package injector

import (
	"bytes"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// scanTests mark the expected insertion point with "|". Those without one end inside an open construct.
var scanTests = []struct{ name, doc string }{
	{"plain", "<!doctype html><html><head><title>x</title>|</head><body>"},
	{"upper case", "<!DOCTYPE HTML><HTML><HEAD><TITLE>x</TITLE>|</HEAD>"},
	{"no head tags", "<title>x</title>\n|<p>text"},
	{"body", "<html>\n|<body>"},
	{"frameset", "<html><head>|<frameset>"},
	{"end body", "<html>|</body>"},
	{"end html", "<html>|</html>"},
	{"end br", "<html>|</br>"},
	{"other end tags are ignored", "<html></p></div a='>'></longerthanany x>|</head>"},
	{"text", "<html><head>\n|text"},
	{"entity", "<html><head>|&nbsp;"},
	{"NUL", "<html><head>|\x00</head>"},
	{"NUL in a head opened by an element", "<html><meta> |\x00\n<frameset>"},
	{"template", "<head><meta>|<template></head></template>"},
	{"svg", "<head>|<svg>"},
	{"prefix of an allowed name", "<head>|<met>"},
	{"longer than an allowed name", "<head>|<linkx>"},
	{"very long name", "<head>|<abcdefghijklmnopqrstuvwxyz>"},
	{"comment", "<head><!-- </head> -->|</head>"},
	{"comment with dashes", "<head><!-- - -- --- </head> --->|</head>"},
	{"comment ends with bang", "<head><!-- </head> --!>|</head>"},
	{"comment bang dash", "<head><!-- --!-</head>-->|</head>"},
	{"comment bang dash gt", "<head><!-- --!-></head>-->|</head>"},
	{"comment bang dash dash", "<head><!-- --!-->|</head>"},
	{"empty comment", "<head><!-->|</head>-->"},
	{"empty comment with dash", "<head><!--->|</head>-->"},
	{"no bang right after the start", "<head><!--!></head>-->|</head>"},
	{"four dashes", "<head><!---->|</head>"},
	{"bogus !", "<head><!x <meta>|</head>"},
	{"bogus !-", "<head><!-x>|</head>"},
	{"bogus !- end", "<head><!->|</head>"},
	{"bogus ?", "<head><?php echo ?>|</head>"},
	{"bogus /", "<head></ </head>|</head>"},
	{"empty end tag", "<head></>|</head>"},
	{"cdata", "<head><![CDATA[x]]>|</head>"},
	{"doctype with quotes", `<!doctype html public ">|</head>`},
	{"double quotes", `<meta content="></head>">|</head>`},
	{"single quotes", `<meta content='></head>"'>|</head>`},
	{"bare value", `<meta content=a"b'c/>|</head>`},
	{"value after spaces", "<meta content = \n '>' >|</head>"},
	{"missing value", "<meta content=>|</head>"},
	{"equals sign first", `<meta ="'>|</head>`},
	{"slash and equals sign", `<meta a/="'>|</head>`},
	{"no space after quotes", `<meta a=""b=">">|</head>`},
	{"attributes of an end tag", `</title a="></head>">|</head>`},
	{"title", "<title></head><p></titlex></title >|</head>"},
	{"title end with attribute", "<title></title/a='>'>|</head>"},
	{"self-closing title", "<title/></head></title>|</head>"},
	{"title upper case", "<title></TiTlE>|</head>"},
	{"style", "<style></head></title></style>|</head>"},
	{"noscript", "<noscript><p></head></noscript>|</head>"},
	{"noframes", "<noframes><p></head></noframes>|</head>"},
	{"lt before the end tag", "<style><</style>|</head>"},
	{"lt slash before the end tag", "<style></</style>|</head>"},
	{"script", "<script>'</head>'<p></script >|</head>"},
	{"self-closing script", "<script/></head></script>|</head>"},
	{"escaped script", "<script><!-- </head> </script>|</head>"},
	{"double escaped script", "<script><!-- <script> </script> </head> </script>|</head>"},
	{"double escaped, closed", "<script><!-- <script> --></script>|</head>"},
	{"escape ended", "<script><!-- --><script></script>|</head>"},
	{"escape ended at once", "<script><!--><script></script>|</head>"},
	{"escape ended with dash", "<script><!---><script></script>|</head>"},
	{"escape with dashes", "<script><!-- - -- <script>-- - ---></script>|</head>"},
	{"not double escaped", "<script><!-- <scripty> </script>|</head>"},
	{"double escape by slash", "<script><!-- <script/ </script/ </script>|</head>"},
	{"lt before escape", "<script><!<!--<script></script></script>|</head>"},
	{"byte order mark", "\xef\xbb\xbf<html>|</head>"},
	{"second head and html", "<head><head><html lang=x>|</head>"},
	{"space before", " \n\t\f\r<html>|</head>"},
	{"end of data", "<html><head><title>x</title>\n|"},
	{"lt at the end", "<html>|<"},
	{"lt slash at the end", "<html>|</"},
	{"open name at the end", "<html><tit"},
	{"open tag at the end", "<html><link"},
	{"open title at the end", "<title>x"},
	{"open comment at the end", "<!-- x"},
	{"open script at the end", "<script>x</scrip"},
	{"lone lt", "<html>|< p>"},
	{"basefont", "<basefont><bgsound>|<b>"},
}

// TestScan cuts each document into pieces of every size.
func TestScan(t *testing.T) {
	for _, tt := range scanTests {
		t.Run(tt.name, func(t *testing.T) {
			before, after, ok := strings.Cut(tt.doc, "|")
			want, reason := len(before), Reason("")
			if !ok {
				want, reason = -1, ReasonOpenConstruct
			}
			doc := []byte(before + after)
			for size := range len(doc) + 1 {
				got, err := run(doc, scanner{marker: "/s"}, func(int) int { return size })
				if err != nil || got.at != want || got.reason != reason {
					t.Fatalf("pieces of %d: at %d, reason %q, error %v; want at %d, reason %q",
						size, got.at, got.reason, err, want, reason)
				}
			}
		})
	}
}

// TestScanNotes checks what the scanner notes on its way.
func TestScanNotes(t *testing.T) {
	manifest := outcome{hasManifest: true}
	foreign := outcome{baseForeign: true}
	tests := []struct {
		name, head string
		want       outcome
	}{
		{"manifest", `<link rel="manifest" href=x>`, manifest},
		{"manifest bare", `<LINK href=x REL=ManiFest>`, manifest},
		{"manifest among tokens", "<link rel='icon\nmanifest x'>", manifest},
		{"manifest late, bare", `<link rel=manifest/>`, outcome{}},
		{"not a token", `<link rel="manifests"><link rel="xmanifest"><link rel="mani fest">`, outcome{}},
		{"first rel counts", `<link rel=icon rel=manifest>`, outcome{}},
		{"other attribute", `<link title=manifest><meta rel=manifest>`, outcome{}},
		{"in a comment", `<!--<link rel=manifest>--><noscript><link rel=manifest></noscript>`, outcome{}},
		{"base", `<base href="https://cdn.example/">`, foreign},
		{"base scheme", `<base href="data:">`, foreign},
		{"base scheme, written out", `<base href="https&colon;//x">`, foreign},
		{"base relative word", `<base href="x/">`, outcome{}},
		{"base relative with colon", `<base href="x/a:b">`, outcome{}},
		{"base two backslashes", `<base href='\\x'>`, foreign},
		{"base empty", `<base href="">`, outcome{}},
		{"base protocol-relative", `<base href=" /&#47;x">`, foreign},
		{"base with tab", "<base href='/\t/x'>", foreign},
		{"base backslash", `<base href='/\x'>`, foreign},
		{"base slash", `<base href=/>`, outcome{}},
		{"base path", `<base href=/app/>`, outcome{}},
		{"base dot", `<base href="./">`, outcome{}},
		{"base without href", `<base target=_blank>`, outcome{}},
		{"first base counts", `<base target=x><base href=/a><base href=//x>`, outcome{}},
		{"amp", `<html amp>`, outcome{reason: ReasonAMP}},
		{"amp sign", `<html ⚡ lang=x>`, outcome{reason: ReasonAMP}},
		{"amp value", `<html lang=x AMP="">`, outcome{reason: ReasonAMP}},
		{"not amp", `<html amplitude lang=amp><meta amp>`, outcome{}},
		{"ours", `<script src="/_w/sdk.js" defer></script>`, outcome{reason: ReasonAlready}},
		{"ours with host", `<script defer src=//a.example/_w/sdk.js></script>`, outcome{reason: ReasonAlready}},
		{"ours with origin", `<script src="https://a.example/_w/sdk.js"></script>`, outcome{reason: ReasonAlready}},
		{"ours with http", `<script src=HTTP://[::1]:80/_w/sdk.js></script>`, outcome{reason: ReasonAlready}},
		{"not ours, origin", `<script src=httpx://a/_w/sdk.js></script><script src=https:/_w/sdk.js></script><script src=https://a/b/_w/sdk.js></script><script src=hhttp://a/_w/sdk.js></script>`, outcome{}},
		{"ours with query", `<script src='/_w/sdk.js?v=1'></script>`, outcome{reason: ReasonAlready}},
		{"not ours", `<script src=/_w/sdk.jsx></script><script src=/_w/sdk></script><script src=x/_w/sdk.js></script><script data-src=/_w/sdk.js></script>`, outcome{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := []byte(tt.head + "<body>")
			want := tt.want
			if want.at = len(tt.head); want.reason != "" {
				want.at = -1
			}
			for size := range len(doc) + 1 {
				got, err := run(doc, scanner{marker: "/_w/sdk.js"}, func(int) int { return size })
				if err != nil || got != want {
					t.Fatalf("pieces of %d: %+v, %v; want %+v", size, got, err, want)
				}
			}
		})
	}
}

// TestScanRejects checks documents that must stay as they are.
func TestScanRejects(t *testing.T) {
	frag, esc := scanner{needWhole: true}, scanner{undeclared: true}
	tests := []struct {
		name, doc string
		s         scanner
		want      Reason
	}{
		{"text", "hello <html>", scanner{}, ReasonNotHTML},
		{"json", ` {"a":"<p>"}`, scanner{}, ReasonNotHTML},
		{"nothing", "", scanner{}, ReasonEmpty},
		{"space", " \n ", scanner{}, ReasonEmpty},
		{"NUL before the head", "<html>\x00\n<frameset>", scanner{}, ReasonNotHTML},
		{"NUL and space before the head", "<html> \x00 <frameset>", scanner{}, ReasonNotHTML},
		{"NUL after a comment", "<!-- -->\x00<html>", scanner{}, ReasonNotHTML},
		{"mark only", "\xef\xbb\xbf", scanner{}, ReasonEmpty},
		{"half a mark", "\xef\xbb<p>", scanner{}, ReasonNotHTML},
		{"UTF-16LE mark", "\xff\xfe<\x00", scanner{}, ReasonCharset},
		{"UTF-16BE mark", "\xfe\xff\x00<", scanner{}, ReasonCharset},
		{"UTF-16LE", "<\x00h\x00", scanner{}, ReasonCharset},
		{"UTF-16BE", "\x00<\x00h", scanner{}, ReasonCharset},
		{"ISO-2022-JP", "<title>\x1b$B%F\x1b(B</title><p>", scanner{undeclared: true}, ReasonCharset},
		{"ISO-2022-JP after the head", "<title></title><p>\x1b$B%F", scanner{undeclared: true}, ""},
		{"escape in an end tag's name", "<html></a\x1b></head>", scanner{undeclared: true}, ReasonCharset},
		{"escape in a start tag's name", "<html><a\x1b></head>", scanner{undeclared: true}, ""},
		{"escape after another charset", "<meta charset=utf-8><title>\x1b$B</title><p>", esc, ""},
		{"escape before another charset", "<title>\x1b$B</title><meta charset=utf-8><p>", esc, ReasonCharset},
		{"escape in the declaration", "<meta charset=utf-8 a='\x1b'><p>", esc, ReasonCharset},
		{"escape after ISO-2022-JP", "<meta charset=' ISO-2022-jp '><title>\x1b$B</title><p>", esc, ReasonCharset},
		{"escape after csISO2022JP", "<meta charset=csISO2022JP><title>\x1b$B</title><p>", esc, ReasonCharset},
		{"escape after http-equiv", "<meta http-equiv=Content-Type content='text/html; charset = \"gbk\"'>\x1b<p>", esc, ""},
		{"escape after content", "<meta content='text/html; ccharset;charset=x' http-equiv=Content-Type><style>\x1b</style><p>", esc, ""},
		{"escape after http-equiv and ISO-2022-JP", "<meta http-equiv=Content-Type content='text/html; charset=iso-2022-jp;'><style>\x1b</style><p>", esc, ReasonCharset},
		{"escape after a named content", "<meta content='charset=x' name=a><meta name=b content='charset=x'><style>\x1b</style><p>", esc, ReasonCharset},
		{"escape after no charset", "<meta charset=''><meta charset><meta content=charset><style>\x1b</style><p>", esc, ReasonCharset},
		{"escape after a mark", "\xef\xbb\xbf<style>\x1b</style><p>", esc, ""},
		{"fragment", "<div><html>", frag, ReasonFragment},
		{"fragment with head element", "<title>x</title><p>", frag, ReasonFragment},
		{"fragment by comment and text", "<!--x-->text", frag, ReasonFragment},
		{"fragment by end tag", "</p><html><p>", frag, ReasonFragment},
		{"fragment by long end tag", "</pppppppppp><html><p>", frag, ReasonFragment},
		{"fragment of comments", "<!--x-->", frag, ReasonFragment},
		{"whole by doctype", "\xef\xbb\xbf <!--x--><!DocType html><p>", frag, ""},
		{"whole by html", "<?xml?><html><p>", frag, ""},
		{"whole by head", "<head><p>", frag, ""},
		{"not a doctype", "<!doc><p>", frag, ReasonFragment},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for size := range len(tt.doc) + 1 {
				got, err := run([]byte(tt.doc), tt.s, func(int) int { return size })
				if err != nil || got.reason != tt.want {
					t.Fatalf("pieces of %d: %+v, %v; want %q", size, got, err, tt.want)
				}
			}
		})
	}
}

// TestDisplacedCharset: our tags may push a charset that is declared after them beyond the first 1024 bytes,
// where browsers look. Such a page stays as it is.
func TestDisplacedCharset(t *testing.T) {
	in := newInjector(t, Options{})
	const meta = "<meta charset=windows-1251>"
	n := len(in.String())
	for _, tt := range []struct {
		name, ctype, before string
		at                  int // where the declaration ends
		want                Reason
	}{
		{"near", "text/html", "<html><body>", 200, ReasonInjected},
		{"at the border", "text/html", "<html><body>", prescan - n, ReasonInjected},
		{"over the border", "text/html", "<html><body>", prescan - n + 1, ReasonCharset},
		{"last in reach", "text/html", "<html><body>", prescan, ReasonCharset},
		{"out of reach", "text/html", "<html><body>", prescan + len(meta), ReasonInjected},
		{"charset in the header", htmlType, "<html><body>", prescan, ReasonInjected},
		{"charset before", "text/html", "<meta charset=utf-8><body>", prescan, ReasonInjected},
		{"in the head", "text/html", "<html><head>", prescan, ReasonInjected},
		{"in a long head", "text/html", "<html><head><style>", 3000, ReasonInjected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fill := tt.at - len(tt.before) - len(meta)
			doc := tt.before + strings.Repeat(" ", fill) + meta
			if strings.HasSuffix(tt.before, "<style>") {
				doc = tt.before + strings.Repeat(" ", fill-len("</style>")) + "</style>" + meta
			}
			doc += strings.Repeat("<p>\xe0", 300)
			_, reason := response(t, in, navigation(), 200, headers("Content-Type", tt.ctype), doc, len(doc))
			if reason != tt.want {
				t.Errorf("reason %q, want %q", reason, tt.want)
			}
		})
	}
}

// TestSplits cuts all test documents in many ways.
func TestSplits(t *testing.T) {
	var docs [][]byte
	files, _ := filepath.Glob(filepath.Join(testdata(t, "html5lib-tests", "tree-construction"), "*.dat"))
	for _, f := range files {
		docs = append(docs, html5libInputs(t, f)...)
	}
	for _, dir := range []string{"dev", "edge"} {
		files, _ := filepath.Glob(filepath.Join(testdata(t, "pages", dir), "*"))
		for _, f := range files {
			doc, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, doc)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, doc := range docs {
		for _, s := range []scanner{{marker: "/s", anyText: true}, {needWhole: true, undeclared: true}} {
			want, err := run(doc, s, whole)
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range []int{1, 2, 3, 7, 13, 64, -10, -100, -1000} {
				got, err := run(doc, s, func(int) int {
					if size < 0 {
						return 1 + rnd.IntN(-size)
					}
					return size
				})
				if err != nil || got != want {
					t.Fatalf("pieces of %d: %+v, %v; whole: %+v; document %.200q", size, got, err, want, doc)
				}
			}
		}
	}
	t.Logf("%d documents", len(docs))
}

// FuzzInject checks any document: the same result for all cuts, and the right place by the oracle. Where
// x/net/html itself departs from the standard, it is skipped.
func FuzzInject(f *testing.F) {
	for _, doc := range []string{
		"<!doctype html><html><head><title>x</title></head><body>",
		"<script><!-- <script> </script> --></script><p>",
		"<!--x--!><style></style><link rel=manifest>text",
		"<base href=//x><html amp><noscript><p></noscript><",
		"<meta a=\"b'c'>\"d='e'></body>",
		"<title></titl</title/x>&#32;<frameset>",
	} {
		f.Add([]byte(doc), uint64(len(doc)))
	}
	in := newInjector(f, Options{})
	f.Fuzz(func(t *testing.T, doc []byte, seed uint64) {
		s := scanner{marker: in.script[1], anyText: true}
		want, err := run(doc, s, whole)
		if err != nil {
			t.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(seed, 1))
		for _, most := range []int{1, 3, 20} {
			got, err := run(doc, s, func(int) int { return 1 + rnd.IntN(most) })
			if err != nil || got != want {
				t.Fatalf("cut: %+v, %v; whole: %+v", got, err, want)
			}
		}
		checkWriter(t, in, doc, rnd)
		if want.at < 0 || oracleOdd(doc) {
			return
		}
		if err := judgeDOM(in, doc); err != nil {
			t.Fatal(err)
		}
	})
}

// checkWriter sends a document through a Writer in random pieces with random
// flushes, and checks that only our tags and space are added, and the length.
func checkWriter(t *testing.T, in *Injector, doc []byte, rnd *rand.Rand) {
	t.Helper()
	if len(doc) == 0 {
		return
	}
	want, err := run(doc, scanner{marker: in.script[1], undeclared: true}, whole)
	if err != nil {
		t.Fatal(err)
	}
	length := len(doc)
	if rnd.IntN(2) == 0 {
		length = -1
	}
	rec := httptest.NewRecorder()
	w := in.NewWriter(rec, navigation())
	w.Header().Set("Content-Type", "text/html")
	if length >= 0 {
		w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	most := 1 + rnd.IntN(2*len(doc))
	for off := 0; off < len(doc); {
		n := min(1+rnd.IntN(most), len(doc)-off)
		if _, err := w.Write(doc[off : off+n]); err != nil {
			t.Fatal(err)
		}
		if off += n; rnd.IntN(4) == 0 {
			w.Flush()
		}
		if w.phase == phaseScan && off-rec.Body.Len() > maxHeld {
			t.Fatalf("%d of %d bytes were held back", off-rec.Body.Len(), off)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	got := rec.Body.String()
	checkLength(t, rec, false)
	if w.Reason() == ReasonCharset && want.reason == "" && want.at < prescan {
		want.at, want.reason = -1, ReasonCharset // would displace a declaration
	}
	if want.at < 0 {
		if w.Reason() != want.reason {
			t.Fatalf("reason %q, want %q", w.Reason(), want.reason)
		}
		if got != string(doc) && !oracleOdd(doc) {
			if err := sameTree(doc, []byte(got)); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	origin, tags := "", []byte(nil)
	if want.baseForeign {
		origin = "https://site.example"
	}
	if !want.hasManifest {
		tags = in.manifest.append(tags, origin, "", 0)
	}
	tags = in.script.append(tags, origin, "", 0)
	head, tail := string(tags[:len(tags)-len("></script>")]), "></script>"
	added, ok := strings.CutPrefix(got, string(doc[:want.at])+head)
	if !ok || strings.TrimLeft(added, " ") != tail+string(doc[want.at:]) || w.Reason() != ReasonInjected {
		t.Fatalf("reason %q, %q", w.Reason(), got)
	}
}

// TestWriterPages sends the real pages through a Writer in random pieces.
func TestWriterPages(t *testing.T) {
	in := newInjector(t, Options{})
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, dir := range []string{"dev", "edge"} {
		files, _ := filepath.Glob(filepath.Join(testdata(t, "pages", dir), "*.html"))
		for _, f := range files {
			doc, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				checkWriter(t, in, doc, rnd)
			}
		}
	}
}

// oracleOdd reports whether a document has bytes that the oracle and browsers read differently.
func oracleOdd(doc []byte) bool {
	return bytes.ContainsAny(doc, "\x00&")
}
