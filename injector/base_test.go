package injector

import (
	"crypto/tls"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// bases are values of <base href> and whether they can name an origin.
var bases = []struct {
	href    string
	foreign bool
}{
	{"https://other.example/", true},
	{"http://shop.example/", true}, // http on a page that is https
	{"https://shop.example/a/", true},
	{"HTTPS://other.example", true},
	{" \thttps://other.example/", true},
	{"ht\ntps://other.example/", true},
	{"https:x", true},
	{"//other.example/", true},
	{`\\other.example\`, true},
	{`/\other.example`, true},
	{"/\t/other.example/", true},
	{"data:text/html,x", true},
	{"about:blank", true},
	{"javascript:1", true},
	{"blob:https://shop.example/1", true},
	{"x-y.z+1:a", true},
	{"", false},
	{" ", false},
	{"/", false},
	{"/a//b/", false},
	{"./", false},
	{"../a", false},
	{"a/b/", false},
	{"a", false},
	{"a/http://other.example/", false},
	{"1:a", false},
	{":80/", false},
	{"?https://other.example/", false},
	{"#https://other.example/", false},
	{"é:a", false},
	{`\a`, false},
}

// fromPage are requests by their page's origin: with TLS, behind a proxy that terminates TLS, and for this
// machine.
var fromPage = map[string]func(r *http.Request){
	"https://shop.example":        func(r *http.Request) { r.TLS = new(tls.ConnectionState) },
	"https://shop.example:8443":   func(*http.Request) {},
	"http://localhost:8080":       func(*http.Request) {},
	"http://127.0.0.1:8080":       func(*http.Request) {},
	"https://127.0.0.1.example":   func(*http.Request) {},
	"https://[::1]:8443":          func(r *http.Request) { r.TLS = new(tls.ConnectionState) },
	"http://a.localhost":          func(*http.Request) {},
	"https://localhost.example:1": func(*http.Request) {},
}

// TestBase: whatever a page's base address, the tags lead to the page's own origin, in every cut; the length
// is right, and nothing is added twice.
func TestBase(t *testing.T) {
	in := newInjector(t, Options{})
	for origin, change := range fromPage {
		for _, tt := range bases {
			doc := `<!doctype html><html><head><meta charset=utf-8><base target=_top><base href="` + tt.href + `"><base href="https://second.example/"><title>x</title></head><body>x`
			for _, size := range []int{1, 7, 90, len(doc)} {
				for _, length := range []bool{false, true} {
					r := navigation()
					r.Host = strings.TrimPrefix(strings.TrimPrefix(origin, "http://"), "https://")
					change(r)
					h := headers("Content-Type", htmlType)
					if length {
						h.Set("Content-Length", strconv.Itoa(len(doc)))
					}
					rec, reason := response(t, in, r, 200, h, doc, size)
					if reason != ReasonInjected {
						t.Fatalf("%s, base %q: reason %q", origin, tt.href, reason)
					}
					checkLength(t, rec, length && size == len(doc))
					got := rec.Body.String()
					checkTags(t, got, origin, tt.href, tt.foreign)
					again, reason := response(t, in, r, 200, headers("Content-Type", htmlType), got, size)
					if reason != ReasonAlready || again.Body.String() != got {
						t.Fatalf("%s, base %q: changed again, reason %q", origin, tt.href, reason)
					}
				}
			}
		}
	}
}

// checkTags checks that both addresses lead to the page's origin.
func checkTags(t *testing.T, page, origin, base string, foreign bool) {
	t.Helper()
	resolved, err := url.Parse(origin + "/dir/page")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := resolved.Parse(strings.ReplaceAll(strings.TrimSpace(base), `\`, "/")); err == nil && !foreign {
		resolved = b
	}
	z := html.NewTokenizer(strings.NewReader(page))
	found := 0
	for z.Next() != html.ErrorToken {
		tok := z.Token()
		for _, a := range tok.Attr {
			path := map[string]string{"script src": testSnippet.Script, "link href": testSnippet.Manifest}[tok.Data+" "+a.Key]
			if path == "" {
				continue
			}
			found++
			want := path
			if foreign {
				want = origin + path
			}
			if a.Val != want {
				t.Errorf("%s, base %q: %s is %q, want %q", origin, base, tok.Data, a.Val, want)
			}
			if got, err := resolved.Parse(a.Val); err != nil || got.String() != origin+path {
				t.Errorf("%s, base %q: %s leads to %q, %v", origin, base, tok.Data, got, err)
			}
		}
	}
	if found != 2 {
		t.Errorf("%s, base %q: %d addresses of ours in %q", origin, base, found, page)
	}
}

// namesOrigin matches a decoded base address that names an origin: a scheme, or two slashes of either kind
// (URL 4.4).
var namesOrigin = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*:|[/\\][/\\])`)

// TestBaseProperty compares the scanner with namesOrigin for generated values: it misses none that names an
// origin, and reports none without references that doesn't.
func TestBaseProperty(t *testing.T) {
	parts := []string{
		"/", "\\", ":", "&#47;", "&#x2f;", "&colon;", "&sol;", "&bsol;", "&Tab;", "&NewLine;", "&#104;ttp", "http", "https:", "h", "1", "+", "-", ".", "?", "#",
		"\t", "\n", "\r", " ", "\f", "é", "%", "x", "&", ";", "@", "_", "\x01", "data",
	}
	rnd := rand.New(rand.NewPCG(7, 8))
	foreigners := 0
	for range 40_000 {
		var b strings.Builder
		for range rnd.IntN(6) {
			b.WriteString(parts[rnd.IntN(len(parts))])
		}
		value := b.String()
		doc := []byte(`<base href="` + value + `"><p>`)
		s := scanner{marker: "/s"}
		s.scan(doc)
		z := html.NewTokenizer(strings.NewReader(string(doc)))
		z.Next()
		decoded := strings.TrimLeft(z.Token().Attr[0].Val, "\x00\x01\x02\t\n\f\r ")
		want := namesOrigin.MatchString(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(decoded))
		if want {
			foreigners++
		}
		if want && !s.baseForeign || !want && s.baseForeign && !strings.Contains(value, "&") {
			t.Fatalf("%q: foreign %v, want %v", value, s.baseForeign, want)
		}
	}
	if foreigners < 2_000 {
		t.Errorf("only %d values named an origin", foreigners)
	}
}
