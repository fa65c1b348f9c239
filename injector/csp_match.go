package injector

import "strings"

// origin is a page's origin, which all our addresses share.
type origin struct {
	scheme string // "http" or "https"
	host   string // in lower case; IPv6 addresses in brackets
	port   string // "" for the scheme's default port
}

// makeOrigin splits a host and an optional port.
func makeOrigin(scheme, hostport string) origin {
	host, port, _ := cutPort(hostport)
	o := origin{scheme: scheme, host: strings.ToLower(host), port: port}
	if o.port == defaultPort(scheme) {
		o.port = ""
	}
	return o
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// matchesList reports whether a source list allows the address with the given
// path at o (CSP3 6.7.2.7). Nonces and hashes don't count.
func matchesList(list string, o origin, path string) bool {
	for src := range strings.FieldsSeq(list) {
		if matchesSource(src, o, path) {
			return true
		}
	}
	return false
}

// matchesSource is CSP3 6.7.2.8 for an address at the page's own origin. Like
// Chromium, and unlike the text, it takes IP addresses for hosts and ignores a
// query.
func matchesSource(src string, o origin, path string) bool {
	switch {
	case src == "*", strings.EqualFold(src, "'self'"):
		return true
	case src[0] == '\'':
		return false
	}
	scheme, address, hasScheme := strings.Cut(src, "://")
	if !hasScheme {
		address = src
		if s, ok := strings.CutSuffix(src, ":"); ok {
			return matchesScheme(s, o.scheme)
		}
	} else if !matchesScheme(scheme, o.scheme) {
		return false
	}
	end := strings.IndexByte(address, '/')
	if end < 0 {
		end = len(address)
	}
	host, port, hasPort := cutPort(address[:end])
	if hasPort && port == "" || !matchesHost(host, o.host) {
		return false
	}
	return matchesPort(port, o, strings.EqualFold(scheme, "http")) && matchesPath(address[end:], path)
}

// cutPort splits a host and its port. The port of "[::1]" isn't ":1]".
func cutPort(s string) (host, port string, hasPort bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// matchesScheme is CSP3 6.7.2.9: a source may be upgraded to a safer scheme. In the text ws: and wss: also
// match HTTP; in Chromium they don't.
func matchesScheme(src, scheme string) bool {
	return strings.EqualFold(src, scheme) || scheme == "https" && strings.EqualFold(src, "http")
}

// matchesHost is CSP3 6.7.2.10.
func matchesHost(pattern, host string) bool {
	if pattern == "*" {
		return true
	}
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasPrefix(suffix, ".") && len(host) > len(suffix) &&
			strings.EqualFold(host[len(host)-len(suffix):], suffix)
	}
	return pattern != "" && strings.EqualFold(pattern, host)
}

// matchesPort is CSP3 6.7.2.11, with the upgrade of an explicit port 80 that browsers allow together with
// that of the scheme.
func matchesPort(port string, o origin, fromHTTP bool) bool {
	switch {
	case port == "*", port == o.port:
		return true
	case o.port != "":
		return false
	}
	return port == defaultPort(o.scheme) || port == "80" && fromHTTP
}

// matchesPath is CSP3 6.7.2.12: a path that ends in a slash matches all paths below it, any other only
// itself. Both are compared segment by segment, decoded.
func matchesPath(pattern, path string) bool {
	if i := strings.IndexAny(pattern, "?#"); i >= 0 {
		pattern = pattern[:i]
	}
	if pattern == "" {
		return true
	}
	for {
		a, restA, moreA := strings.Cut(pattern, "/")
		b, restB, moreB := strings.Cut(path, "/")
		switch {
		case a == "" && !moreA: // after a slash: the rest doesn't matter
			return true
		case !equalDecoded(a, b) || moreA != moreB:
			return false
		}
		pattern, path = restA, restB
	}
}

// equalDecoded compares two segments of paths, percent-decoded.
func equalDecoded(a, b string) bool {
	for a != "" && b != "" {
		var x, y byte
		x, a = decodeByte(a)
		y, b = decodeByte(b)
		if x != y {
			return false
		}
	}
	return a == b
}

// decodeByte returns the first byte of a percent-encoded, non-empty string.
func decodeByte(s string) (c byte, remaining string) {
	if s[0] == '%' && len(s) > 2 {
		if hi, lo := unhex(s[1]), unhex(s[2]); hi < 16 && lo < 16 {
			return hi<<4 | lo, s[3:]
		}
	}
	return s[0], s[1:]
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case lower(c) >= 'a' && lower(c) <= 'f':
		return lower(c) - 'a' + 10
	}
	return 16
}

// nonceOf returns the nonce of a source expression, or "". It only has characters that the grammar allows
// (CSP3 2.3.1), so it is safe in an attribute.
func nonceOf(src string) string {
	const prefix = "'nonce-"
	if !hasPrefixFold(src, prefix) || src[len(src)-1] != '\'' || len(src) > maxNonce {
		return ""
	}
	nonce := src[len(prefix) : len(src)-1]
	plain := strings.TrimRight(nonce, "=")
	if len(nonce)-len(plain) > 2 || !only(plain, base64Chars) {
		return ""
	}
	return nonce
}

// maxNonce bounds the length of a nonce's source expression.
const maxNonce = 256

const base64Chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"

// hasKeyword reports whether a list contains the keyword, in any case.
func hasKeyword(list, keyword string) bool {
	for src := range strings.FieldsSeq(list) {
		if strings.EqualFold(src, keyword) {
			return true
		}
	}
	return false
}
