package injector

import "strings"

// extension adds to policies what our tags need and nothing else: the exact paths, a nonce of ours if only
// nonces count, the name of our Trusted Types policy. It never adds to a directive that governs more than the
// use.
type extension struct {
	site     *site
	nonce    string        // our script's, from the policies or our own
	newNonce func() string // makes a nonce; nil if none may be added
	ownNonce bool          // newNonce was called
}

// headers returns the header's values with the additions, and whether any was needed. Values that need none
// are unchanged.
func (e *extension) headers(values []string) (out []string, changed bool) {
	ps := parsePolicies(nil, values)
	demanded := typesDemanded(ps)
	e.prepare(ps)
	out = make([]string, len(values))
	for i, v := range values {
		var pieces []string
		for text := range strings.SplitSeq(v, ",") {
			p := parsePolicy(text)
			pieces = append(pieces, e.policy(&p, demanded))
		}
		out[i] = strings.Join(pieces, ",")
		changed = changed || out[i] != v
	}
	return out, changed
}

// prepare makes a nonce if a policy accepts only nonces and none of the existing ones works.
func (e *extension) prepare(ps []policy) {
	if e.newNonce == nil {
		return
	}
	for i := range ps {
		d, blocked := ps[i].blocks(useScript, e.site, e.nonce)
		if blocked && hasKeyword(ps[i].value[d], strictDynamic) {
			e.nonce, e.ownNonce = e.newNonce(), true
			return
		}
	}
}

// policy returns the text of one policy with the additions.
func (e *extension) policy(p *policy, demanded bool) string {
	text := p.text
	for u := range numUses {
		d, blocked := p.blocks(u, e.site, e.nonce)
		if !blocked || d == dirSandbox {
			continue
		}
		source := e.site.source(u)
		if u == useScript && hasKeyword(p.value[d], strictDynamic) {
			if !e.ownNonce {
				continue
			}
			source = "'nonce-" + e.nonce + "'"
		}
		list := p.value[d]
		if d != fallbacks[u][0] {
			list = inherited(list, u)
		}
		text = addSource(text, fallbacks[u][0], list, source)
	}
	if p.typesBlocked(e.site, demanded) {
		text = addSource(text, dirTypes, p.value[dirTypes], e.site.types)
	}
	return text
}

// inherited returns the sources of a fallback's list that apply to a use.
func inherited(list string, u use) string {
	if u == useScript {
		return list
	}
	var kept []string
	for src := range strings.FieldsSeq(list) {
		if src[0] != '\'' || strings.EqualFold(src, "'self'") {
			kept = append(kept, src)
		}
	}
	return strings.Join(kept, " ")
}

// addSource sets a directive to the list and one more source. A policy without the directive gets it at its
// end.
func addSource(text string, d directive, list, source string) string {
	var b strings.Builder
	b.WriteString(d.String())
	for src := range strings.FieldsSeq(list) {
		if !strings.EqualFold(src, "'none'") { // has no meaning next to another source
			b.WriteByte(' ')
			b.WriteString(src)
		}
	}
	b.WriteByte(' ')
	b.WriteString(source)
	off := 0
	for part := range strings.SplitSeq(text, ";") {
		if name, _ := cutDirective(part); strings.EqualFold(name, d.String()) && isASCII(part) {
			indent := len(part) - len(strings.TrimLeft(part, cspSpace))
			return text[:off+indent] + b.String() + text[off+len(part):]
		}
		off += len(part) + len(";")
	}
	text = strings.TrimRight(text, cspSpace+";")
	return text + "; " + b.String()
}

// sourceCount returns the number of sources in a list that can match.
func sourceCount(list string) int {
	n := 0
	for src := range strings.FieldsSeq(list) {
		if !strings.EqualFold(src, "'none'") {
			n++
		}
	}
	return n
}
