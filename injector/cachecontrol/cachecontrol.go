// Package cachecontrol decides who may keep an answer for others, by all header fields that caches use: for
// the caches of content delivery networks, targeted fields (RFC 9213) override Cache-Control (RFC 9111).
package cachecontrol

import (
	"net/http"
	"slices"
	"strings"
)

// targeted reports whether a field, in its canonical form, is only for some shared caches and overrides
// Cache-Control there.
func targeted(name string) bool {
	return strings.HasSuffix(name, "Cdn-Cache-Control") ||
		slices.Contains([]string{"Surrogate-Control", "Edge-Control", "X-Accel-Expires"}, name)
}

// NoStore reports whether no cache keeps the answer.
func NoStore(h http.Header) bool { return every(h, "no-store") }

// Unshared reports whether no cache keeps the answer for others.
func Unshared(h http.Header) bool { return every(h, "private", "no-store") }

// every reports whether Cache-Control, and each targeted field in the header, has one of the directives.
func every(h http.Header, directives ...string) bool {
	if !has(h["Cache-Control"], directives) {
		return false
	}
	for name, values := range h {
		if targeted(name) && !has(values, directives) {
			return false
		}
	}
	return true
}

func has(values, directives []string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			part = strings.Trim(part, " \t") // private="set-cookie" is only about that field
			if slices.ContainsFunc(directives, func(d string) bool { return strings.EqualFold(d, part) }) {
				return true
			}
		}
	}
	return false
}

// Forbid changes the header so that no cache keeps the answer.
func Forbid(h http.Header) {
	for name := range h {
		if targeted(name) {
			delete(h, name)
		}
	}
	h.Del("Expires")
	h.Set("Cache-Control", "private, no-store")
}
