//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/html/charset"
)

// pageSites have pages in other formats and encodings.
func pageSites() []site {
	sites := []site{
		{name: "AMP", answer: servePage("pages/amp.html", "text/html; charset=utf-8"), behave: useAMP, untouched: true},
		{name: "XHTML", answer: servePage("pages/page.xhtml", "application/xhtml+xml"), behave: useXHTML, with: (*visitor).wantSubscription},
		{name: "WordPress", answer: php(false), behave: usePHP, with: (*visitor).wantPush},
		{name: "WordPress gzip", answer: php(true), behave: usePHP},
	}
	for _, c := range []struct{ label, text string }{
		{"Shift_JIS", "お知らせ 表示 ソ十貼 ｶﾅ"}, // with 0x5C in second bytes
		{"GBK", "通知 誠實 袲乗 你好"},
	} {
		for _, where := range []string{"header", "meta", "late meta"} {
			sites = append(sites, charsetSite(c.label, c.text, where))
		}
	}
	return sites
}

// servePage serves a file at the root.
func servePage(file, contentType string) func(t *testing.T) string {
	return func(t *testing.T) string {
		mux := files(t, map[string]string{"/v0.js": ""})
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, source(t, file))
		})
		return proxied(t, mux)
	}
}

func useAMP(v *visitor) {
	v.goTo("/")
	v.heading("AMP")
	v.want(`fetch("/", {headers: {Accept: "text/html"}}).then((r) => r.text()).then((text) => text.trimEnd())`, strings.TrimRight(source(v.T, "pages/amp.html"), "\n"))
	v.want(`document.querySelectorAll("script").length`, "1")
}

func useXHTML(v *visitor) {
	v.goTo("/")
	v.heading("XHTML & more")
	v.want("document.contentType", "application/xhtml+xml")
	v.want(`document.getElementsByTagName("parsererror").length`, "0")
	v.want("window.works", "true")
	v.want(`document.querySelector("svg > title").textContent`, "A picture")
}

// charsetSite has a page in an old encoding, declared in one of three places. The
// last place is so late that browsers must restart the parser.
func charsetSite(label, text, where string) site {
	const question = "お知らせ ✓ 通知"
	answer := func(t *testing.T) string {
		enc, _ := charset.Lookup(label)
		meta := fmt.Sprintf("<meta charset=%q>\n", label)
		contentType, early, late := "text/html", "", ""
		switch where {
		case "header":
			contentType += "; charset=" + label
		case "meta":
			early = meta
		case "late meta":
			late = "<style>/*" + strings.Repeat("x", 3000) + "*/</style>\n" + meta
		}
		page, err := enc.NewEncoder().String(strings.NewReplacer("{{early}}", early, "{{late}}", late, "{{text}}", text).
			Replace(source(t, "pages/charset.html")))
		must(t, err)
		mux := files(t, nil)
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, page)
		})
		return proxied(t, mux)
	}
	return site{
		name: label + " " + where, answer: answer, options: fmt.Sprintf("prompt {\n\t\t\ttitle %q\n\t\t}", question),
		behave: func(v *visitor) {
			v.goTo("/")
			v.heading(text)
			v.want("document.characterSet", label)
			v.want("document.title", text)
			v.want(`document.querySelector("p").title`, text)
		},
		with: func(v *visitor) {
			v.want(`document.getElementById("webpush-prompt").shadowRoot.getElementById("title").textContent`, question)
		},
	}
}

// php is a blog as PHP sends it: in chunks of unknown total length, and with
// ob_gzhandler compressed, whether the client asked for that or not.
func php(gzipped bool) func(t *testing.T) string {
	return func(t *testing.T) string {
		mux := files(t, map[string]string{"/site.webmanifest": `{"name": "Blog", "short_name": "B", "display": "browser", "icons": [{"src": "icon.png", "sizes": "192x192"}]}`})
		page := func(status int) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				text := []byte("\ufeff" + strings.ReplaceAll(source(t, "pages/wordpress.html"), "{{origin}}", "http://"+r.Host))
				w.Header().Set("Content-Type", "text/html; charset=UTF-8")
				w.Header().Set("X-Powered-By", "PHP/8.3")
				w.Header().Set("Link", fmt.Sprintf(`<http://%s/wp-json/>; rel="https://api.w.org/"`, r.Host))
				if gzipped {
					var b bytes.Buffer
					z := gzip.NewWriter(&b)
					_, err := z.Write(text)
					must(t, err)
					must(t, z.Close())
					text = b.Bytes()
					w.Header().Set("Content-Encoding", "gzip")
					w.Header().Set("Vary", "Accept-Encoding")
				}
				w.WriteHeader(status)
				for len(text) > 0 {
					n := min(301, len(text))
					_, _ = w.Write(text[:n])
					must(t, http.NewResponseController(w).Flush())
					text = text[n:]
				}
			}
		}
		mux.HandleFunc("GET /{$}", page(http.StatusOK))
		mux.HandleFunc("GET /search", page(http.StatusNotFound))
		return proxied(t, mux)
	}
}

func usePHP(v *visitor) {
	v.goTo("/")
	v.want("window.works", "Just another blog")
	v.click("#go")
	v.wait(`location.pathname === "/search" && document.readyState === "complete"`)
	v.wantTag()
	v.goTo("/")
	v.heading("Just another blog")
	v.want("document.compatMode", "CSS1Compat")
	v.want("document.doctype.name + [...document.childNodes].map((n) => n.nodeType)", "html8,10,1,8")
	v.want(`[...document.querySelectorAll('link[rel="manifest"]')].map((l) => new URL(l.href).pathname)`, "/site.webmanifest")
	v.want(`document.head.lastElementChild.content ?? document.head.lastElementChild.previousElementSibling.content`, "WordPress 6.8")
	v.want(`fetch("/site.webmanifest").then((r) => r.json()).then((m) => m.icons[0].src)`, "icon.png")
}
