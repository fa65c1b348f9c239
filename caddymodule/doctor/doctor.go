// Package doctor looks at a page as a browser would come to it, and says what keeps its
// visitors from subscribing, and the cure. It knows of Caddy what its configuration is as
// JSON, and asks no running one.
package doctor

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/caddy-webpush/caddy-webpush/injector"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// Verdict is how serious a finding is.
type Verdict string

const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // works, but not as well as it could
	Problem Verdict = "problem" // keeps visitors from subscribing
)

// Diagnosis is one thing that the doctor looked at.
type Diagnosis struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Finding string  `json:"finding"`
	Cure    string  `json:"cure,omitempty"`
}

// Checkup is what the doctor says of one page.
type Checkup struct {
	URL       string      `json:"url"`
	Diagnoses []Diagnosis `json:"diagnoses"`
	// Healthy is false where something keeps visitors from subscribing.
	Healthy bool `json:"healthy"`

	// Site is the name that the page's script has, if it has one.
	Site string `json:"-"`
}

// doctor examines a page as a browser would come to it.
type doctor struct {
	client *http.Client
	report Checkup
	// roots are the authorities that are trusted, nil for the system's; lenient says
	// that the operator wants no certificate looked at.
	roots   *x509.CertPool
	lenient bool

	page   *http.Response
	body   []byte
	tags   pageTags
	config httpapi.SiteConfig
}

// maxExamined bounds what is read of any answer.
const maxExamined = 16 << 20

// newDoctor makes one that fetches through transport.
func newDoctor(transport http.RoundTripper) *doctor {
	d := &doctor{client: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
	if t, ok := transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		d.roots, d.lenient = t.TLSClientConfig.RootCAs, t.TLSClientConfig.InsecureSkipVerify
	}
	return d
}

// Examine looks at everything that a visitor's subscription needs, from the page at the
// address inwards; it fetches through transport. The error says that the page could not
// be had at all.
func Examine(ctx context.Context, transport http.RoundTripper, address string) (Checkup, error) {
	return newDoctor(transport).examine(ctx, address)
}

// examine looks at everything that a visitor's subscription needs, from the
// page inwards. The error says that the page could not be had at all.
func (d *doctor) examine(ctx context.Context, address string) (Checkup, error) {
	if err := d.findPage(ctx, address); err != nil {
		return Checkup{}, err
	}
	d.report.URL = d.page.Request.URL.String()
	d.secure()
	if d.tagged() && d.script(ctx) {
		d.worker(ctx)
		d.vendors(ctx)
		d.manifest(ctx)
		d.endpoint(ctx)
		d.policy()
		d.nonce(ctx)
	}
	d.compression(ctx)
	d.report.Site = d.config.Site
	d.report.Healthy = true
	for _, x := range d.report.Diagnoses {
		d.report.Healthy = d.report.Healthy && x.Verdict != Problem
	}
	return d.report, nil
}

func (d *doctor) say(check string, v Verdict, cure, format string, args ...any) {
	d.report.Diagnoses = append(d.report.Diagnoses, Diagnosis{check, v, fmt.Sprintf(format, args...), cure})
}

// get fetches like a browser: header by header.
func (d *doctor) get(ctx context.Context, address string, header map[string]string) (*http.Response, []byte, error) {
	return d.do(ctx, http.MethodGet, address, header, "")
}

func (d *doctor) do(ctx context.Context, method, address string, header map[string]string, body string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("%q is not a URL: %w", address, err)
	}
	req.Header.Set("User-Agent", "caddy-webpush-doctor")
	req.Header.Set("Accept-Encoding", "identity")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxExamined))
	return resp, text, err
}

var asNavigation = map[string]string{
	"Accept":                    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
	"Sec-Fetch-Dest":            "document",
	"Sec-Fetch-Mode":            "navigate",
	"Sec-Fetch-Site":            "none",
	"Upgrade-Insecure-Requests": "1",
}

// findPage fetches the page; where the address does not say how, by https, or
// by http where only that is spoken there.
func (d *doctor) findPage(ctx context.Context, address string) error {
	if strings.Contains(address, "://") {
		return d.fetchPage(ctx, address)
	}
	err := d.fetchPage(ctx, "https://"+address)
	if errors.Is(err, http.ErrSchemeMismatch) {
		return d.fetchPage(ctx, "http://"+address)
	}
	return err
}

func (d *doctor) fetchPage(ctx context.Context, address string) (err error) {
	d.page, d.body, err = d.get(ctx, address, asNavigation)
	if err != nil && d.distrusted(err) {
		d.page, d.body, err = d.get(ctx, address, asNavigation)
	}
	var unknown *net.DNSError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("there is no host %s", unknown.Name)
	case err != nil:
		return fmt.Errorf("fetching the page: %w", err)
	}
	d.tags = findTags(d.body)
	return nil
}

// secure: browsers give push to secure contexts only.
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

// pageTags is what a page has of ours, and what may be in the way.
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
			// Under compat ours has no defer.
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

// cures for the injector's reasons, where a site owner can do something.
var cures = map[injector.Reason]string{
	injector.ReasonNotHTML:       "give a URL that answers with an HTML page",
	injector.ReasonEncoded:       "let the site send pages uncompressed to Caddy, and compress with Caddy's encode",
	injector.ReasonNoTransform:   "take no-transform out of the site's Cache-Control, or overrule it with the option no_transform ignore",
	injector.ReasonAttachment:    "the page is sent as a download; take Content-Disposition away",
	injector.ReasonCharset:       "serve pages as UTF-8",
	injector.ReasonAMP:           "AMP pages allow no scripts; push works from the pages that they stand for",
	injector.ReasonOpenConstruct: "the page ends inside an unfinished tag, comment or script; mend the page",
	injector.ReasonLength:        "declare the charset in Content-Type, or let clients use HTTP/1.1",
	injector.ReasonSigned:        "the site signs its pages' digests; sign behind Caddy, or not at all",
}

// tagged: the page carries our elements. Where it does not, the page is put
// through the injector here, which knows why it would leave it as it is.
func (d *doctor) tagged() bool {
	if d.tags.script != "" && d.tags.inHead {
		d.say("page", OK, "", "the page carries the script %s in its head", d.tags.script)
		return true
	}
	if d.tags.script != "" {
		d.say("page", Problem, "tell the makers of caddy-webpush, with this page", "the script is in the page, but not in its head")
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
		d.say("page", Problem, cures[why], "the page has no script, because it is of a kind that is left as it is: %s", why)
		if why == injector.ReasonCSP {
			// What the script would have told, had it been there.
			d.config.Prefix, d.config.Worker = "/_webpush", "/sw.js"
			d.policy()
		}
	}
	return false
}

// rehearse says what the injector would do with the page.
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

// resolve is what a browser makes of a URL in the page.
func (d *doctor) resolve(ref string) string {
	base := d.page.Request.URL
	if b, err := base.Parse(d.tags.base); err == nil && d.tags.base != "" {
		base = b
	}
	u, err := base.Parse(ref)
	if err != nil {
		return ref
	}
	return u.String()
}

// script: the SDK loads, and carries the site's settings.
func (d *doctor) script(ctx context.Context) bool {
	address := d.resolve(d.tags.script)
	resp, text, err := d.get(ctx, address, map[string]string{"Sec-Fetch-Dest": "script", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin", "Accept": "*/*"})
	if err != nil {
		d.say("script", Problem, "see whether the address can be reached", "the script does not load: %v", err)
		return false
	}
	_, from, found := strings.Cut(string(text), `{"version":`)
	if resp.StatusCode != http.StatusOK || !found || json.NewDecoder(strings.NewReader(`{"version":`+from)).Decode(&d.config) != nil {
		d.say("script", Problem, throughTo(address, "script"),
			"%s answers %s, and not with our script", address, resp.Status)
		return false
	}
	if d.config.Retire {
		d.say("script", Problem, "take the option retire away if the site is to have push again",
			"the site %q gives push up: its visitors are unsubscribed", d.config.Site)
		return false
	}
	d.say("script", OK, "", "the script loads, for the site %q", d.config.Site)
	d.kept("script", address, resp.Header)
	return true
}

// throughTo is the cure where a request does not come to webpush.
func throughTo(address, what string) string {
	return fmt.Sprintf("let requests for %s through to webpush: a matcher after webpush, and handle or handle_path around it, must let the %s's path in, or write webpush outside of them; logins, caches and redirects must leave it alone", address, what)
}

func (d *doctor) origin(path string) string {
	u := *d.page.Request.URL
	u.Path, u.RawQuery, u.Fragment, u.RawPath = path, "", "", ""
	return u.String()
}

// worker: browsers take a worker's script only over its own URL, as JavaScript.
func (d *doctor) worker(ctx context.Context) {
	address := d.origin(d.config.Worker)
	d.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { d.client.CheckRedirect = nil }()
	resp, text, err := d.get(ctx, address, map[string]string{"Service-Worker": "script", "Sec-Fetch-Dest": "serviceworker", "Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Site": "same-origin", "Accept": "*/*"})
	cure := fmt.Sprintf("let the site answer %s with 404, or give a path that it never sees: worker %s/sw.js", address, d.config.Prefix)
	switch {
	case err != nil:
		d.say("worker", Problem, cure, "the worker does not load: %v", err)
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		d.say("worker", Problem, cure, "%s redirects to %s, which browsers do not follow for a worker", address, resp.Header.Get("Location"))
	case resp.StatusCode == http.StatusNotFound: // webpush would have answered
		d.say("worker", Problem, throughTo(address, "worker"), "%s answers %s: the request does not come to webpush", address, resp.Status)
	case resp.StatusCode != http.StatusOK:
		d.say("worker", Problem, cure, "%s answers %s", address, resp.Status)
	case !httpapi.IsJavaScript(resp.Header):
		d.say("worker", Problem, cure, "%s has the type %q, which browsers refuse for a worker", address, resp.Header.Get("Content-Type"))
	case !strings.Contains(string(text), "notificationclick"):
		d.say("worker", Problem, cure, "%s is a worker that is not ours", address)
	case strings.Contains(string(text), `"standalone":true`):
		d.kept("worker", address, resp.Header)
		d.say("worker", OK, "", "the worker is served at %s", d.config.Worker)
	default:
		d.kept("worker", address, resp.Header)
		d.say("worker", OK, "", "the worker is served at %s, behind the site's own", d.config.Worker)
	}
}

// manifest: iOS and iPadOS let a site push only when it is on the home screen.
func (d *doctor) manifest(ctx context.Context) {
	if d.tags.manifest == "" {
		d.say("manifest", Warning, "", "the page has no manifest link; iOS and iPadOS will not offer push")
		return
	}
	address := d.resolve(d.tags.manifest)
	resp, text, err := d.get(ctx, address, map[string]string{"Sec-Fetch-Dest": "manifest", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Accept": "*/*"})
	if err != nil || resp.StatusCode != http.StatusOK {
		status := fmt.Sprint(err)
		if err == nil {
			status = resp.Status
		}
		cure := fmt.Sprintf("browsers fetch the manifest without cookies: let requests for %s through without a login", address)
		if err == nil && resp.StatusCode == http.StatusNotFound {
			cure = throughTo(address, "manifest")
		}
		d.say("manifest", Warning, cure, "%s answers %s", address, status)
		return
	}
	var m struct {
		Display string
		Icons   []manifestIcon
		// Ours alone has it: see httpapi.SiteConfig.
		SenderID string `json:"gcm_sender_id"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		d.say("manifest", Warning, "mend the manifest's JSON", "%s is not JSON: %v", address, err)
		return
	}
	switch {
	case m.Display != "standalone" && m.Display != "fullscreen":
		d.say("manifest", Warning, `set "display" to "standalone" in the site's manifest`, "the manifest's display is %q; iOS and iPadOS want standalone or fullscreen for push", m.Display)
	case len(m.Icons) == 0:
		d.say("manifest", Warning, "give one with the option icon", "the manifest has no icon; home screens will show a letter or a picture of the page")
	default:
		d.say("manifest", OK, "", "the manifest is complete: %s", address)
	}
	d.kept("manifest", address, resp.Header)
	d.icons(ctx, address, m.Icons, m.SenderID == "")
}

// endpoint: subscriptions reach us. A body that is none must be refused by us,
// and by nobody before us.
func (d *doctor) endpoint(ctx context.Context) {
	address := d.origin(d.config.Prefix + "/subscribe")
	resp, text, err := d.do(ctx, http.MethodPost, address, map[string]string{
		"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty",
		"Origin": d.page.Request.URL.Scheme + "://" + d.page.Request.URL.Host,
	}, "{}")
	cure := fmt.Sprintf("let POST requests to %s/… through to webpush: logins, firewalls and rewrites must leave them alone", d.origin(d.config.Prefix))
	switch {
	case err != nil:
		d.say("endpoint", Problem, cure, "subscriptions cannot be posted: %v", err)
	case resp.StatusCode == http.StatusServiceUnavailable:
		d.say("endpoint", Problem, `look into Caddy's log for "push is off"`, "the subscription store cannot be used")
	case resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), `"field":"endpoint"`):
		d.say("endpoint", Problem, cure, "%s answers %s to a subscription, and the answer is not ours", address, resp.Status)
	default:
		d.say("endpoint", OK, "", "subscriptions can be posted")
	}
}

// policy: the page's Content-Security-Policy lets our parts work.
func (d *doctor) policy() {
	headers := d.policies()
	if len(headers) == 0 {
		d.say("policy", OK, "", "the page has no Content-Security-Policy")
		return
	}
	u := d.page.Request.URL
	findings := injector.CheckCSP(headers, u.Scheme+"://"+u.Host, injector.Addresses{
		Script: d.config.Prefix + "/sdk.js", Manifest: sameOriginPath(u, d.resolve(d.tags.manifest)), Worker: d.config.Worker,
		Connect: d.config.Prefix + "/", TrustedTypes: "webpush",
	})
	for _, f := range findings {
		v := Problem
		if f.Use == injector.UseManifest || f.Use == injector.UseImage {
			v = Warning
		}
		d.say("policy", v, f.Cure, "the Content-Security-Policy's %s blocks our %s", f.Directive, f.Use)
	}
	if len(findings) == 0 {
		d.say("policy", OK, "", "the Content-Security-Policy lets everything of ours work")
	}
}

// compression: pages are asked for uncompressed, so something has to compress.
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

// sameOriginPath gives the path of a URL of the page's own origin, or "".
func sameOriginPath(page *url.URL, ref string) string {
	u, err := page.Parse(ref)
	if err != nil || u.Host != page.Host || u.Scheme != page.Scheme {
		return ""
	}
	return u.Path
}
