package injector

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// This file is a second, literal implementation of CSP Level 3 for any address. It checks the first one and
// shares no code with it.

// probe is something that a page may do.
type probe struct {
	dest  string // script, inline, handler, eval, worker, manifest, connect, image, style, font, frame, policy
	url   string // or the name of a Trusted Types policy
	nonce string
}

var (
	oracleSchemeSource = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):$`)
	oracleHostSource   = regexp.MustCompile(`^(?:([A-Za-z][A-Za-z0-9+.-]*)://)?(\*|(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?::([0-9]+|\*))?(?:(/[^?#]*)(?:[?#].*)?)?$`)
	oracleNonce        = regexp.MustCompile(`(?i)^'nonce-([A-Za-z0-9+/_-]+={0,2})'$`)
	oracleHash         = regexp.MustCompile(`(?i)^'sha(256|384|512)-[A-Za-z0-9+/_-]+={0,2}'$`)
)

// oracleFallbacks is CSP3 6.8.3.
var oracleFallbacks = map[string][]string{
	"script":   {"script-src-elem", "script-src", "default-src"},
	"inline":   {"script-src-elem", "script-src", "default-src"},
	"handler":  {"script-src-attr", "script-src", "default-src"},
	"eval":     {"script-src", "default-src"},
	"worker":   {"worker-src", "child-src", "script-src", "default-src"},
	"manifest": {"manifest-src", "default-src"},
	"connect":  {"connect-src", "default-src"},
	"image":    {"img-src", "default-src"},
	"style":    {"style-src-elem", "style-src", "default-src"},
	"font":     {"font-src", "default-src"},
	"frame":    {"frame-src", "child-src", "default-src"},
}

// oracleParse returns the directives of each policy in the header's values.
func oracleParse(headers []string) []map[string][]string {
	var out []map[string][]string
	for _, piece := range strings.Split(strings.Join(headers, ","), ",") {
		directives := map[string][]string{}
		for _, token := range strings.Split(piece, ";") {
			words := strings.Fields(token)
			if len(words) == 0 || strings.ContainsFunc(token, func(r rune) bool { return r > 127 }) {
				continue
			}
			name := strings.ToLower(words[0])
			if _, dup := directives[name]; !dup {
				directives[name] = words[1:]
			}
		}
		out = append(out, directives)
	}
	return out
}

func oracleHas(list []string, keyword string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, keyword) })
}

// oracleAllows reports whether all policies allow p on a page of the origin.
func oracleAllows(policies []map[string][]string, page *url.URL, p probe) bool {
	for _, directives := range policies {
		if flags, ok := directives["sandbox"]; ok {
			script := slices.Contains([]string{"script", "inline", "handler", "eval"}, p.dest)
			own := slices.Contains([]string{"worker", "manifest", "connect"}, p.dest)
			if script && !oracleHas(flags, "allow-scripts") || own && !oracleHas(flags, "allow-same-origin") {
				return false
			}
		}
		if p.dest == "policy" {
			names, ok := directives["trusted-types"]
			if ok && !slices.Contains(names, "*") && !slices.Contains(names, p.url) {
				return false
			}
			continue
		}
		for _, name := range oracleFallbacks[p.dest] {
			if list, ok := directives[name]; ok {
				if !oracleList(list, page, p) {
					return false
				}
				break
			}
		}
	}
	return true
}

// oracleList reports whether the directive with this list allows p.
func oracleList(list []string, page *url.URL, p probe) bool {
	nonced := p.nonce != "" && slices.ContainsFunc(list, func(s string) bool {
		m := oracleNonce.FindStringSubmatch(s)
		return m != nil && m[1] == p.nonce
	})
	strict := oracleHas(list, "'strict-dynamic'")
	switch p.dest {
	case "eval":
		return oracleHas(list, "'unsafe-eval'")
	case "inline", "handler":
		if p.dest == "inline" && nonced {
			return true
		}
		narrowed := strict || slices.ContainsFunc(list, func(s string) bool {
			return oracleNonce.MatchString(s) || oracleHash.MatchString(s)
		})
		return !narrowed && oracleHas(list, "'unsafe-inline'")
	case "script":
		if nonced || strict {
			return nonced
		}
	case "worker":
		if strict {
			return true
		}
	}
	target, err := url.Parse(p.url)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(list, func(s string) bool { return oracleSource(s, page, target) })
}

func oracleScheme(a, b string) bool {
	a = strings.ToLower(a)
	return a == b || a == "http" && b == "https" || a == "ws" && b == "wss" // ws: for http: is only in the text
}

func oraclePort(u *url.URL) string {
	if u.Port() != "" {
		return u.Port()
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// oracleSource is CSP3 6.7.2.8.
func oracleSource(src string, page, target *url.URL) bool {
	web := target.Scheme == "http" || target.Scheme == "https"
	switch {
	case src == "*":
		return web || oracleScheme(page.Scheme, target.Scheme)
	case strings.EqualFold(src, "'self'"):
		if !strings.EqualFold(page.Hostname(), target.Hostname()) {
			return false
		}
		same := page.Scheme == target.Scheme && oraclePort(page) == oraclePort(target)
		upgraded := target.Scheme == "https" && page.Port() == "" && target.Port() == ""
		return same || upgraded
	}
	if m := oracleSchemeSource.FindStringSubmatch(src); m != nil {
		return oracleScheme(m[1], target.Scheme)
	}
	m := oracleHostSource.FindStringSubmatch(src)
	if m == nil || target.Host == "" {
		return false
	}
	scheme, host, port, path := m[1], strings.ToLower(m[2]), m[3], m[4]
	if scheme == "" {
		scheme = page.Scheme
	}
	if !oracleScheme(scheme, target.Scheme) {
		return false
	}
	switch name := strings.ToLower(target.Hostname()); {
	case host == "*", host == name:
	case strings.HasPrefix(host, "*.") && strings.HasSuffix(name, host[1:]):
	default:
		return false
	}
	switch {
	case port == "*", port == target.Port(), target.Port() == "" && port == oraclePort(target):
	case port == "" && target.Port() == oraclePort(&url.URL{Scheme: target.Scheme}):
	case port == "80" && strings.EqualFold(m[1], "http") && target.Scheme == "https" && oraclePort(target) == "443":
	default:
		return false
	}
	if path == "" {
		return true
	}
	decode := func(s string) string {
		if d, err := url.PathUnescape(s); err == nil {
			return d
		}
		return s
	}
	want, got := strings.Split(path, "/"), strings.Split(target.EscapedPath(), "/")
	exact := !strings.HasSuffix(path, "/")
	if len(want) > len(got) || exact && len(want) != len(got) {
		return false
	}
	if !exact {
		want = want[:len(want)-1]
	}
	for i := range want {
		if decode(want[i]) != decode(got[i]) {
			return false
		}
	}
	return true
}

// policyMaker makes policies from everything relevant.
type policyMaker struct{ *rand.Rand }

func (m policyMaker) pick(from ...string) string { return from[m.IntN(len(from))] }

func (m policyMaker) source() string {
	return m.pick(
		"'self'", "'SELF'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "'strict-dynamic'", "'Strict-Dynamic'", "'report-sample'",
		"'nonce-site1'", "'nonce-site1'", "'nonce-site2=='", "'nonce-bad nonce'", "'NONCE-site1'", "'nonce-'", "'nonce-<x>'",
		"'sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc='", "'unsafe-hashes'", "'wasm-unsafe-eval'",
		"*", "https:", "http:", "data:", "blob:", "wss:", "ws:",
		"shop.example", "SHOP.example", "*.example", "*.shop.example", "https://shop.example", "http://shop.example", "http://shop.example:80",
		"shop.example:443", "shop.example:*", "shop.example:8443", "https://*", "https://*:443", "cdn.example", "https://cdn.example/x.js",
		"shop.example/_webpush/", "shop.example/_webpush", "shop.example/_webpush/sdk.js", "https://shop.example/%5fwebpush/sdk%2Ejs?v=1",
		"shop.example/sw.js", "https://shop.example/", "shop.example/manifest.json", "localhost:8080", "http://localhost:*/", "[::1]:80", "none", "self", "é",
	)
}

func (m policyMaker) policy() string {
	names := []string{
		"default-src", "default-src", "script-src", "script-src", "script-src-elem", "script-src-attr", "worker-src", "child-src",
		"manifest-src", "connect-src", "img-src", "style-src", "Script-Src", "frame-src", "base-uri", "object-src", "report-uri",
	}
	var parts []string
	for range m.IntN(6) {
		part := m.pick("", " ", "\t") + m.pick(names...)
		for range m.IntN(5) {
			part += m.pick(" ", "  ", "\t") + m.source()
		}
		parts = append(parts, part)
	}
	if m.IntN(6) == 0 {
		parts = append(parts, "require-trusted-types-for 'script'")
	}
	if m.IntN(6) == 0 {
		parts = append(parts, "trusted-types"+m.pick("", " 'none'", " other", " webpush", " *", " other 'allow-duplicates'"))
	}
	if m.IntN(20) == 0 {
		parts = append(parts, "sandbox"+m.pick("", " allow-scripts", " allow-scripts allow-same-origin"))
	}
	m.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return strings.Join(parts, m.pick(";", "; ")) + m.pick("", ";")
}

// headers returns one to three header values with one to two policies each.
func (m policyMaker) headers() []string {
	var out []string
	for range 1 + m.IntN(3)*m.IntN(2) {
		v := m.policy()
		if m.IntN(4) == 0 {
			v += ", " + m.policy()
		}
		out = append(out, v)
	}
	return out
}

var testAddresses = Addresses{
	Script: "/_webpush/sdk.js", Manifest: "/manifest.json", Worker: "/sw.js", Connect: "/_webpush/", Image: "/icon.png", TrustedTypes: "webpush",
}

// probes returns what a page may do: what we need, and what must stay forbidden.
func probes(origin string, nonces ...string) []probe {
	urls := []string{
		origin + "/_webpush/sdk.js", origin + "/_webpush/sdk.js/x", origin + "/_webpush/other.js", origin + "/_webpush/subscribe", origin + "/_webpush",
		origin + "/_webpushx/a", origin + "/manifest.json", origin + "/sw.js", origin + "/icon.png", origin + "/", origin + "/upload/evil.js",
		"https://evil.example/_webpush/sdk.js", "https://cdn.example/x.js", "https://sub.shop.example/sw.js", origin + ":8443/sw.js",
		"http://shop.example/_webpush/sdk.js", "data:text/javascript,1", "blob:" + origin + "/1",
	}
	var out []probe
	for _, dest := range []string{"script", "worker", "manifest", "connect", "image", "style", "font", "frame"} {
		for _, u := range urls {
			out = append(out, probe{dest: dest, url: u})
			for _, n := range nonces {
				if dest == "script" {
					out = append(out, probe{dest, u, n})
				}
			}
		}
	}
	for _, n := range append(nonces, "") {
		out = append(out, probe{dest: "inline", nonce: n})
	}
	out = append(out, probe{dest: "handler"}, probe{dest: "eval"})
	for _, name := range []string{"webpush", "other", "default", "webpush2"} {
		out = append(out, probe{dest: "policy", url: name})
	}
	return out
}

// ours reports whether an extension may allow p.
func ours(p probe, origin, newNonce string) bool {
	if newNonce != "" && p.nonce == newNonce {
		return true
	}
	switch p.dest {
	case "script":
		return p.url == origin+"/_webpush/sdk.js"
	case "worker":
		return p.url == origin+"/sw.js"
	case "manifest":
		return p.url == origin+"/manifest.json"
	case "connect":
		return strings.HasPrefix(p.url, origin+"/_webpush/")
	case "image":
		return p.url == origin+"/icon.png"
	case "policy":
		return p.url == "webpush"
	}
	return false
}

// judgeCSP compares our reading of the policies with the oracle's, and an extension's changes with the
// allowed ones.
func judgeCSP(headers []string, pageOrigin string, private bool) error {
	page, err := url.Parse(pageOrigin)
	if err != nil {
		return err
	}
	s := testAddresses.site()
	s.origin = makeOrigin(page.Scheme, page.Host)
	before := oracleParse(headers)
	if err := sameVerdict(headers, before, page, &s); err != nil {
		return err
	}
	const newNonce = "OursAndNobodyElses"
	nonce, blocking := chooseNonce(parsePolicies(nil, headers), &s)
	e := extension{site: &s, nonce: nonce}
	if blocking > 0 && private {
		e.newNonce = func() string { return newNonce }
	}
	out, changed := e.headers(headers)
	if changed == slices.Equal(out, headers) {
		return fmt.Errorf("changed is %t for %q", changed, out)
	}
	ownNonce := ""
	if e.ownNonce {
		ownNonce = newNonce
	}
	after := oracleParse(out)
	if len(after) != len(before) {
		return fmt.Errorf("%d policies became %d: %q", len(before), len(after), out)
	}
	for _, p := range probes(pageOrigin, "site1", "site2==", newNonce, "guessed") {
		was, is := oracleAllows(before, page, p), oracleAllows(after, page, p)
		if is && !was && !ours(p, pageOrigin, ownNonce) {
			return fmt.Errorf("loosened: %+v is allowed by %q", p, out)
		}
		if was && !is {
			return fmt.Errorf("tightened: %+v is not allowed by %q", p, out)
		}
	}
	for i, directives := range after {
		for name, list := range directives {
			old := append(slices.Clone(before[i]["script-src"]), before[i]["default-src"]...)
			copied := name == "script-src-elem" && oracleHas(old, "'unsafe-inline'")
			if oracleHas(list, "'unsafe-inline'") && !oracleHas(before[i][name], "'unsafe-inline'") && !copied {
				return fmt.Errorf("%s has 'unsafe-inline' in %q", name, out)
			}
		}
	}
	return extensionWorks(out, after, e.nonce, page, &s)
}

// needs returns our uses as probes.
func needs(pageOrigin, nonce string) map[Use]probe {
	return map[Use]probe{
		UseScript:   {"script", pageOrigin + "/_webpush/sdk.js", nonce},
		UseWorker:   {"worker", pageOrigin + "/sw.js", ""},
		UseManifest: {"manifest", pageOrigin + "/manifest.json", ""},
		UseConnect:  {"connect", pageOrigin + "/_webpush/", ""},
		UseImage:    {"image", pageOrigin + "/icon.png", ""},
	}
}

// sameVerdict compares the findings with the oracle.
func sameVerdict(headers []string, policies []map[string][]string, page *url.URL, s *site) error {
	origin := page.String()
	blocked := map[Use]bool{}
	for _, f := range CheckCSP(headers, origin, testAddresses) {
		if f.Directive == "trusted-types" {
			continue
		}
		blocked[f.Use] = true
		if f.Cure == "" || f.Policy == "" {
			return fmt.Errorf("unclear finding %+v", f)
		}
	}
	nonce, _ := chooseNonce(parsePolicies(nil, headers), s)
	for u, p := range needs(origin, nonce) {
		if oracleAllows(policies, page, p) == blocked[u] {
			return fmt.Errorf("%s with nonce %q: blocked is %t", u, nonce, blocked[u])
		}
	}
	return nil
}

// extensionWorks checks that an extension allows everything, except with sandboxes and with a needed nonce
// that could not be made.
func extensionWorks(out []string, after []map[string][]string, nonce string, page *url.URL, s *site) error {
	if slices.ContainsFunc(after, func(d map[string][]string) bool { _, ok := d["sandbox"]; return ok }) {
		return nil
	}
	for u, p := range needs(page.String(), nonce) {
		if oracleAllows(after, page, p) {
			continue
		}
		ps := parsePolicies(nil, out)
		stuck := u == UseScript && slices.ContainsFunc(ps, func(p policy) bool {
			d, blocked := p.blocks(useScript, s, nonce)
			return blocked && hasKeyword(p.value[d], strictDynamic)
		})
		if !stuck {
			return fmt.Errorf("%s is still blocked by %q", u, out)
		}
	}
	for _, f := range CheckCSP(out, page.String(), testAddresses) {
		if f.Directive == "trusted-types" {
			return fmt.Errorf("%+v", f)
		}
	}
	return nil
}

// TestCSPProperty: an extension additionally allows only our nonce, our exact paths and our Trusted Types
// policy, and removes nothing.
func TestCSPProperty(t *testing.T) {
	m := policyMaker{rand.New(rand.NewPCG(3, 33))}
	extended, newNonces, failed, count := 0, 0, 0, 3000
	if raceEnabled {
		count = 300
	}
	for i := range count {
		headers := m.headers()
		origin := m.pick("https://shop.example", "https://shop.example:8443", "http://localhost:8080")
		if err := judgeCSP(headers, origin, i%2 == 0); err != nil {
			if failed++; failed < 10 {
				t.Errorf("%s %q: %v", origin, headers, err)
			}
		}
		if len(CheckCSP(headers, origin, testAddresses)) > 0 {
			extended++
		}
		if strings.Contains(strings.Join(headers, ","), "ynamic'") {
			newNonces++
		}
	}
	t.Logf("of %d, %d were extended, %d have strict-dynamic; %d failed", count, extended, newNonces, failed)
	if extended < count/2 {
		t.Errorf("only %d of %d policies block anything", extended, count)
	}
}

func FuzzCSP(f *testing.F) {
	m := policyMaker{rand.New(rand.NewPCG(1, 2))}
	for range 50 {
		h := append(m.headers(), "")
		f.Add(h[0], h[1], true)
	}
	f.Fuzz(func(t *testing.T, a, b string, private bool) {
		// Neither HTTP nor the oracle has other white space.
		for _, s := range []string{a, b} {
			if strings.ContainsFunc(s, func(r rune) bool {
				return r < ' ' && r != '\t' || r == 0x7f || r == 0x85 || r == 0xa0 || r > 0x7f && r != 'é'
			}) {
				t.Skip()
			}
		}
		if strings.Contains(a+b, "OursAndNobodyElses") {
			t.Skip()
		}
		if err := judgeCSP([]string{a, b}, "https://shop.example", private); err != nil {
			t.Fatal(err)
		}
	})
}
