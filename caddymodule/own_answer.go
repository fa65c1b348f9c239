package caddymodule

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ownAnswer writes our own answers with our own headers: a site's rule for *.js
// would make browsers cache the script, and the key in it, for a year.
type ownAnswer struct {
	caddyhttp.ResponseWriterWrapper
	// ours is false if the site may answer, until httpapi reports that it does
	// not.
	ours bool
}

// newOwnAnswer is for paths that never reach the site: the site's cache rules do
// not apply to them, whether or not we set one.
func newOwnAnswer(w http.ResponseWriter) *ownAnswer {
	dropCacheRules(w.Header())
	return &ownAnswer{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, ours: true}
}

// OwnAnswer is called by httpapi before an answer that is ours.
func (w *ownAnswer) OwnAnswer() { w.ours = true }

// WriteHeader implements http.ResponseWriter.
func (w *ownAnswer) WriteHeader(status int) {
	if w.ours && status >= http.StatusOK {
		w.keepFields()
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// Write sends 200 if no status was set.
func (w *ownAnswer) Write(b []byte) (int, error) {
	if w.ours {
		w.keepFields()
	}
	return w.ResponseWriterWrapper.Write(b)
}

// ourFields are the fields that must have our values. The site may add or remove
// others.
var ourFields = []string{
	"Cache-Control", "Content-Type", "Content-Security-Policy", "Cross-Origin-Resource-Policy", "Service-Worker-Allowed",
	"Set-Cookie", "X-Content-Type-Options", "Retry-After",
}

// keepFields removes other cache fields from the header, also late ones.
func (w *ownAnswer) keepFields() {
	w.ours = false // once
	h := w.Header()
	kept := make(http.Header)
	for _, field := range ourFields {
		if values, set := h[field]; set {
			kept[field] = slices.Clone(values)
		}
	}
	fix := func(h http.Header) {
		dropCacheRules(h)
		for field, values := range kept {
			h[field] = values
		}
	}
	fix(h)
	if l := lateOf(w.ResponseWriter); l != nil {
		l.atLast(fix)
	}
}

// dropCacheRules removes the fields that tell caches how long to keep an answer
// (RFC 9111 5, RFC 9213 and older ones).
func dropCacheRules(h http.Header) {
	for field := range h {
		if strings.HasSuffix(field, "Cache-Control") || field == "Expires" || field == "Pragma" || field == "Surrogate-Control" {
			delete(h, field)
		}
	}
}
