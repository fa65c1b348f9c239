package injector

import "strings"

// directive is a directive that may block something of ours.
type directive uint8

const (
	dirDefault directive = iota
	dirScript
	dirScriptElem
	dirChild
	dirWorker
	dirManifest
	dirConnect
	dirImage
	dirSandbox
	dirRequireTypes
	dirTypes
	numDirectives
)

// directiveNames has the directives' names.
var directiveNames = [numDirectives]string{
	"default-src", "script-src", "script-src-elem", "child-src", "worker-src", "manifest-src",
	"connect-src", "img-src", "sandbox", "require-trusted-types-for", "trusted-types",
}

// String returns the directive's name.
func (d directive) String() string { return directiveNames[d] }

// use is one thing that our script needs. It indexes [site.paths].
type use uint8

const (
	useScript use = iota
	useWorker
	useManifest
	useConnect
	useImage
	numUses
)

// fallbacks lists the directives that can govern each use, the most specific first; the first that a policy
// has governs it (CSP3 6.8.3).
var fallbacks = [numUses][]directive{
	useScript:   {dirScriptElem, dirScript, dirDefault},
	useWorker:   {dirWorker, dirChild, dirScript, dirDefault},
	useManifest: {dirManifest, dirDefault},
	useConnect:  {dirConnect, dirDefault},
	useImage:    {dirImage, dirDefault},
}

// site is the subject of a check of policies: addresses at one origin.
type site struct {
	origin
	paths [numUses]string // without query; "" if unused
	types string          // the Trusted Types policy that the script creates, or ""
}

// policy is one serialized policy, split into directives but not into sources.
type policy struct {
	text  string
	value [numDirectives]string
	has   [numDirectives]bool
}

// parsePolicy is CSP3 2.2.1: the first of several directives with the same name counts; those with characters
// beyond ASCII don't.
func parsePolicy(text string) policy {
	p := policy{text: text}
	for part := range strings.SplitSeq(text, ";") {
		name, value := cutDirective(part)
		d, ok := directiveNamed(name)
		if ok && !p.has[d] && isASCII(part) {
			p.has[d], p.value[d] = true, value
		}
	}
	return p
}

const cspSpace = " \t\n\f\r"

// cutDirective splits a directive into its name and value.
func cutDirective(s string) (name, value string) {
	s = strings.Trim(s, cspSpace)
	if i := strings.IndexAny(s, cspSpace); i >= 0 {
		return s[:i], strings.TrimLeft(s[i:], cspSpace)
	}
	return s, ""
}

// directiveNamed finds a directive by its name, in any case.
func directiveNamed(name string) (directive, bool) {
	for d, want := range directiveNames {
		if len(name) == len(want) && strings.EqualFold(name, want) {
			return directive(d), true
		}
	}
	return 0, false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// parsePolicies appends the policies of a header's values, each of which is a list (CSP3 2.2.2).
func parsePolicies(ps []policy, headers []string) []policy {
	for _, h := range headers {
		for text := range strings.SplitSeq(h, ",") {
			ps = append(ps, parsePolicy(text))
		}
	}
	return ps
}

// operative returns the directive that governs a use, if the policy has one.
func (p *policy) operative(u use) (directive, bool) {
	for _, d := range fallbacks[u] {
		if p.has[d] {
			return d, true
		}
	}
	return 0, false
}

// blocks reports whether the policy blocks a use, and by which directive. nonce is our script's. Trusted
// Types depend on all policies: see [typesBlocked].
func (p *policy) blocks(u use, s *site, nonce string) (directive, bool) {
	if s.paths[u] == "" {
		return 0, false
	}
	if p.has[dirSandbox] && !p.sandboxAllows(u) {
		return dirSandbox, true
	}
	d, ok := p.operative(u)
	if !ok {
		return 0, false
	}
	list := p.value[d]
	switch {
	case u == useScript && nonce != "" && hasNonce(list, nonce):
		return 0, false
	case u == useScript && hasKeyword(list, strictDynamic): // our tag is in the page, not made by a script
		return d, true
	case u == useWorker && hasKeyword(list, strictDynamic):
		// A worker isn't parser-inserted. CSP3 6.7.1.1 states it only for script-src; browsers apply it to
		// whichever list governs.
		return 0, false
	}
	return d, !matchesList(list, s.origin, s.paths[u])
}

const strictDynamic = "'strict-dynamic'"

// sandboxAllows reports whether a sandboxed page allows the use. A page with an opaque origin is foreign to
// our addresses: no worker, no manifest, no posts.
func (p *policy) sandboxAllows(u use) bool {
	flags := p.value[dirSandbox]
	switch u {
	case useImage:
		return true
	case useScript:
		return hasKeyword(flags, "allow-scripts")
	}
	return hasKeyword(flags, "allow-same-origin")
}

// hasNonce reports whether a list has this nonce.
func hasNonce(list, nonce string) bool {
	for src := range strings.FieldsSeq(list) {
		if nonceOf(src) == nonce {
			return true
		}
	}
	return false
}

// typesBlocked reports whether some policy demands Trusted Types for the script's registration, and this one
// forbids the name of the script's policy.
func (p *policy) typesBlocked(s *site, demanded bool) bool {
	if !demanded || s.types == "" || s.paths[useWorker] == "" || !p.has[dirTypes] {
		return false
	}
	for name := range strings.FieldsSeq(p.value[dirTypes]) {
		if name == "*" || name == s.types {
			return false
		}
	}
	return true
}

// typesDemanded reports whether registering a worker by a string fails.
func typesDemanded(ps []policy) bool {
	for i := range ps {
		if hasKeyword(ps[i].value[dirRequireTypes], "'script'") {
			return true
		}
	}
	return false
}

// chooseNonce returns the nonce with which the fewest policies block our script, preferably none, and how
// many do.
func chooseNonce(ps []policy, s *site) (nonce string, blocking int) {
	blocking = scriptBlocking(ps, s, "")
	for i := 0; i < len(ps) && blocking > 0; i++ {
		d, ok := ps[i].operative(useScript)
		if !ok {
			continue
		}
		for src := range strings.FieldsSeq(ps[i].value[d]) {
			candidate := nonceOf(src)
			if candidate == "" {
				continue
			}
			if n := scriptBlocking(ps, s, candidate); n < blocking {
				nonce, blocking = candidate, n
			}
		}
	}
	return nonce, blocking
}

// scriptBlocking counts the policies that block our script.
func scriptBlocking(ps []policy, s *site, nonce string) int {
	n := 0
	for i := range ps {
		if _, blocked := ps[i].blocks(useScript, s, nonce); blocked {
			n++
		}
	}
	return n
}
