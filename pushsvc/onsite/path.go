package onsite

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// pathAllowed reports whether a page's path is in paths. Paths and patterns are compared in canonical form.
// The browser has the same rule: shared/path.ts.
func pathAllowed(paths popup.Paths, path string) bool {
	path = canonicalPath(path)
	matches := func(pattern string) bool { return glob(canonicalParts(pattern), path) }
	return !slices.ContainsFunc(paths.Out, matches) && (len(paths.In) == 0 || slices.ContainsFunc(paths.In, matches))
}

var (
	escapedSlash = regexp.MustCompile(`(?i)%2f`)
	escapes      = regexp.MustCompile(`(?i)(%[0-9a-f]{2})+`)
)

// canonicalPath returns a path as people write it: without escapes (RFC 3986 2.1) if they are UTF-8, in
// Unicode's form C. An escaped slash stays escaped, since it separates no segments. Escapes that are not
// UTF-8 are in upper case.
func canonicalPath(path string) string {
	if isPlain(path) {
		return path
	}
	path = escapedSlash.ReplaceAllString(path, "%252F")
	path = escapes.ReplaceAllStringFunc(path, func(run string) string {
		if raw, err := url.PathUnescape(run); err == nil && utf8.ValidString(raw) {
			return raw
		}
		return strings.ToUpper(run)
	})
	return norm.NFC.String(path)
}

// isPlain reports whether a path is its own canonical form. Most are.
func isPlain(path string) bool {
	for i := range len(path) {
		if path[i] == '%' || path[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// canonicalParts returns the canonical forms of a pattern's parts between the stars. An escaped star is a
// plain character of a name.
func canonicalParts(pattern string) []string {
	parts := strings.Split(pattern, "*")
	if !isPlain(pattern) {
		for i := range parts {
			parts[i] = canonicalPath(parts[i])
		}
	}
	return parts
}
