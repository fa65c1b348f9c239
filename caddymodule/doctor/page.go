package doctor

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"golang.org/x/net/html"

	"github.com/caddy-webpush/caddy-webpush/injector"
)

// pageTags are our elements in a page, and elements that may interfere.
type pageTags struct {
	script, manifest string   // ours, as written
	nonce            string   // our script's
	scripts          []string // addresses of all
	base             string
	metaPolicies     []string
	inHead           bool
}

// findTags parses the page as a browser does.
func findTags(body []byte) pageTags {
	var t pageTags
	doc, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return t
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script":
			src := attr(n, "src")
			// Under compat our script has no defer.
			ours := strings.HasSuffix(src, "/sdk.js") && (attr(n, "defer") == "defer" || t.script == "" && !strings.Contains(src, "//"))
			if ours {
				t.script, t.inHead, t.nonce = src, n.Parent.Data == "head", attr(n, "nonce")
			} else if src != "" {
				t.scripts = append(t.scripts, src)
			}
		case "link":
			if t.manifest == "" && hasRel(n, "manifest") {
				t.manifest = attr(n, "href")
			}
		case "base":
			if t.base == "" {
				t.base = attr(n, "href")
			}
		case "meta":
			if strings.EqualFold(attr(n, "http-equiv"), "content-security-policy") {
				t.metaPolicies = append(t.metaPolicies, attr(n, "content"))
			}
		}
	}
	return t
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name && a.Namespace == "" {
			return a.Val
		}
	}
	return ""
}

func hasRel(n *html.Node, want string) bool {
	for _, token := range strings.Fields(attr(n, "rel")) {
		if strings.EqualFold(token, want) {
			return true
		}
	}
	return false
}

// cures for the injector's reasons about which a site's owner can do something.
var cures = map[injector.Reason]string{
	injector.ReasonNotHTML:       "give a URL that answers with an HTML page",
	injector.ReasonEncoded:       "let the site send pages uncompressed to Caddy, and compress with Caddy's encode",
	injector.ReasonNoTransform:   "take no-transform out of the site's Cache-Control, or overrule it with the option no_transform ignore",
	injector.ReasonAttachment:    "the page is sent as a download; remove Content-Disposition",
	injector.ReasonCharset:       "serve pages as UTF-8",
	injector.ReasonAMP:           "AMP pages allow no scripts; push works from the canonical pages",
	injector.ReasonOpenConstruct: "the page ends inside an unfinished tag, comment or script; correct the page",
	injector.ReasonLength:        "declare the charset in Content-Type, or let clients use HTTP/1.1",
	injector.ReasonSigned:        "the site signs its pages' digests; sign after Caddy, or not at all",
}

// tagged: the page has our elements. If it does not, the page is passed through the injector here,
// to learn why the injector would leave it unchanged.
func (d *doctor) tagged() bool {
	if d.tags.script != "" && d.tags.inHead {
		d.say("page", OK, "", "the page carries the script %s in its head", d.tags.script)
		return true
	}
	if d.tags.script != "" {
		d.say("page", Problem, "report it to caddy-webpush, with this page", "the script is in the page, but not in its head")
		return true
	}
	why := rehearse(d.page, d.body)
	switch {
	case d.page.StatusCode >= 400:
		d.say("page", Problem, "give the URL of a page that visitors see", "the server answers %s, and the page has no script", d.page.Status)
	case why == injector.ReasonInjected:
		d.say("page", Problem, `put the line "webpush" into this site's block of the Caddyfile, in front of what answers; if it is there, look into Caddy's log for "push is off" or "push does not work"`,
			"the page could carry the script, but does not: it does not come through webpush, or push is off")
	default:
		d.say("page", Problem, cures[why], "the page has no script, because pages of this kind are left unchanged: %s", why)
		if why == injector.ReasonCSP {
			// The values that the script would have had.
			d.config.Prefix, d.config.Worker = "/_webpush", "/sw.js"
			d.policy()
		}
	}
	return false
}

// rehearse returns the injector's result for the page.
func rehearse(page *http.Response, body []byte) injector.Reason {
	in, err := injector.New(injector.Options{Snippet: injector.Snippet{Manifest: "/manifest.json", Script: "/_webpush/sdk.js"}})
	if err != nil {
		return ""
	}
	req := httptest.NewRequest(http.MethodGet, page.Request.URL.String(), nil)
	for k, v := range asNavigation {
		req.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	for k, v := range page.Header {
		w.Header()[k] = v
	}
	iw := in.NewWriter(w, req)
	iw.WriteHeader(page.StatusCode)
	_, _ = iw.Write(body)
	_ = iw.Finish()
	return iw.Reason()
}

// secure: browsers allow push in secure contexts only.
func (d *doctor) secure() {
	u := d.page.Request.URL
	local := u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost")
	if ip := net.ParseIP(u.Hostname()); ip != nil {
		local = ip.IsLoopback()
	}
	switch {
	case u.Scheme == "https":
		if d.certificate() {
			d.say("secure", OK, "", "the page comes over HTTPS")
		}
	case local:
		d.say("secure", OK, "", "the page comes from this machine, which browsers trust like HTTPS")
	default:
		d.say("secure", Problem, "serve the site over HTTPS; Caddy does so by itself for a site address without http://",
			"the page comes over plain HTTP, where browsers have no push")
	}
}

// compression: webpush requests pages uncompressed, so a handler must compress them.
func (d *doctor) compression(ctx context.Context) {
	header := map[string]string{"Accept-Encoding": "gzip, deflate, br, zstd"}
	for k, v := range asNavigation {
		header[k] = v
	}
	resp, _, err := d.get(ctx, d.report.URL, header)
	switch {
	case err != nil || len(d.body) < 1024:
	case resp.Header.Get("Content-Encoding") == "":
		d.say("compression", Warning, `add the line "encode" to the site's block`, "pages go out uncompressed")
	default:
		d.say("compression", OK, "", "pages go out compressed (%s)", resp.Header.Get("Content-Encoding"))
	}
}
