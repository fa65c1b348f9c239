package injector

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/injector/cachecontrol"
)

// Use names something of ours that a Content-Security-Policy may block. The values are constant and can label
// a metric.
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

// Addresses are the requests of a page with our tags, as root-relative URL paths at the page's own origin. An
// empty one isn't used.
type Addresses struct {
	Script   string
	Manifest string
	Worker   string
	Connect  string // what the script posts to; one that ends in "/" includes all paths below it
	Image    string
	// TrustedTypes is the name of the policy that the script creates to register
	// the worker (Trusted Types 2.3).
	TrustedTypes string
}

// Finding is one policy that blocks one use.
type Finding struct {
	Use       Use
	Directive string // the directive that blocks, such as "script-src" as a fallback for worker-src
	Policy    string // the policy's text
	Meta      bool   // the policy is in a <meta> element, where Options.CSPExtend can't change it
	Cure      string // how to change the policy, for people
}

// CheckCSP returns the uses of our tags that the policies block in a page of the given origin
// ("https://shop.example:8443"). The headers are the values of Content-Security-Policy, each of them a list.
// A nonce that all policies accept unblocks the script, because the Writer uses it.
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

// cure returns how to change the policy so that the use is allowed.
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
		return "add a nonce to " + d.String() + ", a new one for each response; our tag uses it"
	case d == specific:
		return "add " + s.source(u) + " to " + d.String()
	case sourceCount(p.value[d]) == 0:
		return "add the directive: " + specific.String() + " " + s.source(u)
	}
	return "add the directive: " + specific.String() + " " + s.source(u) + " and the sources of " + d.String() + " that it should keep"
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

// source returns the narrowest source expression that allows a use: the exact path, or 'self' if a policy
// can't express the host.
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

// escapeSource encodes the characters that a source's path can't contain, above all the separators of lists. Browsers
// compare decoded paths.
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

// makeNonce returns a random nonce (CSP3 7.1: 128 bits).
func makeNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawStdEncoding.EncodeToString(b[:])
}

// cspHeader is the header's name in its canonical form.
const cspHeader = "Content-Security-Policy"

// cspState is the effect of a response's policies on our tags.
type cspState struct {
	headers  []string // the policies to send
	nonce    string   // our script tag's
	extended bool     // headers differ from the upstream's
	ownNonce bool     // the nonce is ours, so the page can't have a validator
	noLink   bool     // a policy blocks the manifest, so its link is left out
}

// guard reports whether the header's policies allow our tags. It returns false if they would be useless: the
// script is blocked, or all its posts. A blocked worker is no reason: the rest of the script still works.
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

// extend adds the missing sources to the policies, and reports whether it changed them.
func (w *Writer) extend(headers []string) bool {
	s := w.site()
	e := extension{site: &s, nonce: w.csp.nonce}
	if cachecontrol.Unshared(w.outgoing()) { // other visitors would get the nonce
		e.newNonce = makeNonce
	}
	out, changed := e.headers(headers)
	if changed {
		w.csp = cspState{headers: out, nonce: e.nonce, extended: true, ownNonce: e.ownNonce}
	}
	return changed
}

// guardMeta is guard for the policies in <meta> elements before the tags. They can't be extended, and their
// nonces can't be used, since the header has been sent.
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

// site returns the addresses and the origin that this page's policies are checked for.
func (w *Writer) site() site {
	s := w.in.site
	s.origin = makeOrigin(w.scheme(), w.request.Host)
	return s
}

// scheme returns the scheme of the page's address in the browser. Our tags matter only where there are
// service workers, on secure origins: for a plain HTTP request to another host than this machine, a proxy has
// terminated TLS.
func (w *Writer) scheme() string {
	if w.request.TLS == nil && isLocal(makeOrigin("http", w.request.Host).host) {
		return "http"
	}
	return "https"
}

// isLocal reports whether browsers treat the host as this machine.
func isLocal(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "[::1]" ||
		strings.HasPrefix(host, "127.") && only(host, "0123456789.")
}

// Blocked returns the uses of ours that the page's policies block, in the header as sent and in <meta> elements before
// the tags. It is for diagnosis, and takes a few microseconds.
func (w *Writer) Blocked() []Finding {
	if len(w.csp.headers) == 0 && !w.scan.metaCSP {
		return nil
	}
	s := w.site()
	return findings(parsePolicies(nil, w.csp.headers), w.scan.policies(), &s)
}
