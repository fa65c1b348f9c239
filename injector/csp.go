package injector

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/injector/cachecontrol"
)

// Use names something of ours that a Content-Security-Policy may block. The
// values are constant, fit to be a metric's label.
type Use string

// The uses.
const (
	UseScript   Use = "script"   // our script tag
	UseWorker   Use = "worker"   // registering the service worker
	UseManifest Use = "manifest" // our manifest link
	UseConnect  Use = "connect"  // posts by the script
	UseImage    Use = "image"    // a picture that the script shows
)

var useNames = [numUses]Use{UseScript, UseWorker, UseManifest, UseConnect, UseImage}

// Addresses are what a page with our tags asks for, as root-relative URL paths
// at the page's own origin. An empty one isn't used.
type Addresses struct {
	Script   string
	Manifest string
	Worker   string
	Connect  string // what the script posts to; one that ends in "/" stands for all below it
	Image    string
	// TrustedTypes is the name of the policy that the script creates to register
	// the worker (Trusted Types 2.3).
	TrustedTypes string
}

// Finding is one policy that blocks one use.
type Finding struct {
	Use       Use
	Directive string // the directive that blocks, such as "script-src" where it stands in for worker-src
	Policy    string // the policy's text
	Meta      bool   // the policy is in a <meta> element, out of reach of Options.CSPExtend
	Cure      string // what to change in the policy, for people
}

// CheckCSP tells which of the policies block what, if our tags were in a page of
// the given origin ("https://shop.example:8443"). The headers are the values of
// Content-Security-Policy, each of them a list. A nonce that all policies agree
// on doesn't block the script, as the Writer takes it over.
//
// It follows CSP Level 3 and, where browsers agree on something else, browsers.
func CheckCSP(headers []string, pageOrigin string, a Addresses) []Finding {
	scheme, host, _ := strings.Cut(pageOrigin, "://")
	s := a.site()
	s.origin = makeOrigin(strings.ToLower(scheme), host)
	return findings(parsePolicies(nil, headers), nil, &s)
}

// findings checks the policies of the header and of <meta> elements together.
func findings(header, meta []policy, s *site) []Finding {
	ps := append(header[:len(header):len(header)], meta...)
	nonce, _ := chooseNonce(ps, s)
	demanded := typesDemanded(ps)
	var out []Finding
	for i := range ps {
		p := &ps[i]
		add := func(u use, d directive) {
			out = append(out, Finding{
				Use: useNames[u], Directive: d.String(), Policy: strings.Trim(p.text, cspSpace),
				Meta: i >= len(header), Cure: p.cure(u, d, s),
			})
		}
		for u := range numUses {
			if d, blocked := p.blocks(u, s, nonce); blocked {
				add(u, d)
			}
		}
		if p.typesBlocked(s, demanded) {
			add(useWorker, dirTypes)
		}
	}
	return out
}

// cure says how to change the policy so that the use is allowed.
func (p *policy) cure(u use, d directive, s *site) string {
	specific := fallbacks[u][0]
	switch {
	case d == dirSandbox && u == useScript:
		return "add allow-scripts to sandbox"
	case d == dirSandbox:
		return "add allow-same-origin to sandbox"
	case d == dirTypes:
		return "add " + s.types + " to trusted-types"
	case u == useScript && hasKeyword(p.value[d], strictDynamic):
		return "add a nonce to " + d.String() + ", a new one for each response; our tag takes it over"
	case d == specific:
		return "add " + s.source(u) + " to " + d.String()
	case sourceCount(p.value[d]) == 0:
		return "add the directive: " + specific.String() + " " + s.source(u)
	}
	return "add the directive: " + specific.String() + " " + s.source(u) + " and those sources of " + d.String() + " that it is to keep"
}

// site returns the addresses as policies see them, without an origin.
func (a Addresses) site() site {
	s := site{types: a.TrustedTypes}
	for u, path := range [numUses]string{
		useScript: a.Script, useWorker: a.Worker, useManifest: a.Manifest, useConnect: a.Connect, useImage: a.Image,
	} {
		s.paths[u], _, _ = strings.Cut(path, "?")
	}
	return s
}

// source returns the narrowest source expression that allows a use: the exact
// path, or 'self' where the host can't be written in a policy.
func (s *site) source(u use) string {
	const hostChars = "abcdefghijklmnopqrstuvwxyz0123456789-."
	if !only(s.host, hostChars) || strings.Trim(s.host, "0123456789.") == "" {
		return "'self'"
	}
	host := s.host
	if s.port != "" {
		host += ":" + s.port
	}
	return host + escapeSource(s.paths[u])
}

// escapeSource encodes what can't stand in a source's path, above all the
// separators of lists. Browsers compare paths decoded.
func escapeSource(path string) string {
	const plain = base64Chars + ".~!$&()*=:@%"
	var b strings.Builder
	for _, c := range []byte(path) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// makeNonce returns a nonce that nobody can guess (CSP3 7.1: 128 bits).
func makeNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawStdEncoding.EncodeToString(b[:])
}

// cspHeader is the header's name in its canonical form.
const cspHeader = "Content-Security-Policy"

// cspState is what the policies of a response mean for our tags.
type cspState struct {
	headers  []string // the policies, as they are to be sent
	nonce    string   // our script tag's
	extended bool     // headers differ from the upstream's
	ownNonce bool     // the nonce is of our own making, and the page can't be validated
	noLink   bool     // the manifest may not be loaded, so its link stays out
}

// guard asks the header's policies whether our tags may come, and reports false
// if they are of no use: the script blocked, or all its posts. A worker that is
// blocked leaves what the script does on the page itself, so it isn't a reason.
func (w *Writer) guard(headers []string) bool {
	var buf [4]policy
	s := w.site()
	ps := parsePolicies(buf[:0], headers)
	w.csp = cspState{headers: headers}
	nonce, blocking := chooseNonce(ps, &s)
	w.csp.nonce = nonce
	if w.in.opts.CSPExtend && w.extend(headers) {
		ps = parsePolicies(buf[:0], w.csp.headers)
		blocking = scriptBlocking(ps, &s, w.csp.nonce)
	}
	w.csp.noLink = anyBlocks(ps, useManifest, &s)
	return blocking == 0 && !anyBlocks(ps, useConnect, &s)
}

// extend adds to the policies what is missing, and reports whether anything was.
func (w *Writer) extend(headers []string) bool {
	s := w.site()
	e := extension{site: &s, nonce: w.csp.nonce}
	if cachecontrol.Unshared(w.outgoing()) { // others would learn the nonce
		e.newNonce = makeNonce
	}
	out, changed := e.headers(headers)
	if changed {
		w.csp = cspState{headers: out, nonce: e.nonce, extended: true, ownNonce: e.ownNonce}
	}
	return changed
}

// guardMeta is guard for the policies in <meta> elements before the tags, which
// can neither be extended nor lend a nonce: the header is out already.
func (w *Writer) guardMeta() {
	s := w.site()
	ps := w.scan.policies()
	if w.scan.metaLost || scriptBlocking(ps, &s, w.csp.nonce) > 0 || anyBlocks(ps, useConnect, &s) {
		w.scan.reject(ReasonCSP)
	}
	w.csp.noLink = w.csp.noLink || anyBlocks(ps, useManifest, &s)
}

// anyBlocks reports whether one of the policies blocks a use other than the script.
func anyBlocks(ps []policy, u use, s *site) bool {
	for i := range ps {
		if _, blocked := ps[i].blocks(u, s, ""); blocked {
			return true
		}
	}
	return false
}

// site returns what the policies of this page are asked about.
func (w *Writer) site() site {
	s := w.in.site
	s.origin = makeOrigin(w.scheme(), w.request.Host)
	return s
}

// scheme returns that of the page's address in the browser. Pages with our tags
// matter where there are service workers, on secure origins: what comes in by
// plain HTTP for another host than this machine had its TLS taken off before.
func (w *Writer) scheme() string {
	if w.request.TLS == nil && isLocal(makeOrigin("http", w.request.Host).host) {
		return "http"
	}
	return "https"
}

// isLocal reports whether browsers take the host for this machine.
func isLocal(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "[::1]" ||
		strings.HasPrefix(host, "127.") && only(host, "0123456789.")
}

// Blocked tells what the page's policies block of ours, in the header as it was
// sent and in <meta> elements before the tags. It is meant for pages with a
// policy that someone looks into, and takes a few microseconds.
func (w *Writer) Blocked() []Finding {
	if len(w.csp.headers) == 0 && !w.scan.metaCSP {
		return nil
	}
	s := w.site()
	return findings(parsePolicies(nil, w.csp.headers), w.scan.policies(), &s)
}
