package caddymodule

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"

	"github.com/caddy-webpush/caddy-webpush/injector"
)

// Caddy's header directive changes a header at once, or, where one of its lines
// deletes, begins with ">" or "?", or says "defer" or "match", when the header goes
// out: by a response writer around ours. What it makes of the header is asked of a
// copy of that writer, and what must hold is set by a writer on its far side.

// deferring is the type of those writers, which Caddy does not export: a pointer to
// a struct that embeds Caddy's ResponseWriterWrapper at the index wrapperField. It is
// nil where this Caddy has them in another form.
var deferring, wrapperField = findDeferring()

func findDeferring() (t reflect.Type, field int) {
	h := headers.Handler{Response: &headers.RespHeaderOps{HeaderOps: new(headers.HeaderOps), Deferred: true}}
	r := (&http.Request{Header: http.Header{}}).WithContext(context.WithValue(context.Background(), caddy.ReplacerCtxKey, caddy.NewReplacer()))
	_ = h.ServeHTTP(&preview{header: http.Header{}}, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		t = reflect.TypeOf(w)
		return nil
	}))
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, 0
	}
	f, ok := t.Elem().FieldByName("ResponseWriterWrapper")
	if !ok || f.Type != reflect.TypeFor[*caddyhttp.ResponseWriterWrapper]() || len(f.Index) != 1 {
		return nil, 0
	}
	return t, f.Index[0]
}

// late is what happens to a response's header when it goes out.
type late struct {
	writers []http.ResponseWriter // of the type deferring, from the inside out
	last    *lastWriter           // on the far side of them; nil until something must hold
	kept    http.Header
}

// lateOf looks for deferred changes of the header; nil where there are none.
func lateOf(w http.ResponseWriter) *late {
	var writers []http.ResponseWriter
	for deferring != nil {
		if reflect.TypeOf(w) == deferring {
			writers = append(writers, w)
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = inner.Unwrap()
	}
	if writers == nil {
		return nil
	}
	return &late{writers: writers}
}

// Preview implements injector.Later.
func (l *late) Preview(status int, h http.Header) http.Header {
	p := &preview{header: h.Clone()}
	for _, w := range l.writers {
		c := reflect.New(deferring.Elem())
		c.Elem().Set(reflect.ValueOf(w).Elem())
		c.Elem().Field(wrapperField).Set(reflect.ValueOf(&caddyhttp.ResponseWriterWrapper{ResponseWriter: p}))
		c.Interface().(http.ResponseWriter).WriteHeader(status)
	}
	return p.header
}

// Keep implements injector.Later.
func (l *late) Keep(field string, values []string) {
	if l.kept == nil {
		l.kept = make(http.Header)
		l.atLast(func(h http.Header) {
			for field, values := range l.kept {
				h[field] = values
			}
		})
	}
	l.kept[field] = values
}

// atLast has fix called with the header when nothing else changes it any more.
func (l *late) atLast(fix func(http.Header)) {
	if l.last == nil {
		outermost := l.writers[len(l.writers)-1]
		wrapper := reflect.ValueOf(outermost).Elem().Field(wrapperField).Interface().(*caddyhttp.ResponseWriterWrapper)
		l.last = &lastWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: wrapper.ResponseWriter}}
		wrapper.ResponseWriter = l.last
	}
	l.last.fixes = append(l.last.fixes, fix)
}

// preview takes a header and no answer.
type preview struct{ header http.Header }

func (p *preview) Header() http.Header         { return p.header }
func (p *preview) WriteHeader(int)             {}
func (p *preview) Write(b []byte) (int, error) { return len(b), nil }

// lastWriter has the last word on the header.
type lastWriter struct {
	caddyhttp.ResponseWriterWrapper
	fixes []func(http.Header)
	done  bool
}

func (w *lastWriter) fix() {
	if w.done {
		return
	}
	w.done = true
	for _, fix := range w.fixes {
		fix(w.Header())
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *lastWriter) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.fix()
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *lastWriter) Write(b []byte) (int, error) {
	w.fix()
	return w.ResponseWriterWrapper.Write(b)
}

// ReadFrom implements io.ReaderFrom.
func (w *lastWriter) ReadFrom(r io.Reader) (int64, error) {
	w.fix()
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError sends the header.
func (w *lastWriter) FlushError() error {
	w.fix()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// ownAnswer writes answers of our own, whose headers are ours: a site's rule for
// *.js would have browsers keep the script for a year, and with it the key.
type ownAnswer struct {
	caddyhttp.ResponseWriterWrapper
	// ours is false where the site may be what answers, until httpapi says
	// that it does not.
	ours bool
}

// newOwnAnswer is for what the site is never asked for: no rule of the site's for
// caches is for it, whether we set one or not.
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

// Write answers 200 where nothing else has been said.
func (w *ownAnswer) Write(b []byte) (int, error) {
	if w.ours {
		w.keepFields()
	}
	return w.ResponseWriterWrapper.Write(b)
}

// ourFields are those that mean something only as we set them. Others are the
// site's to add or take away.
var ourFields = []string{
	"Cache-Control", "Content-Type", "Content-Security-Policy", "Cross-Origin-Resource-Policy", "Service-Worker-Allowed",
	"Set-Cookie", "X-Content-Type-Options", "Retry-After",
}

// keepFields takes what else there is for caches out of the header, and keeps it so.
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

// dropCacheRules takes away what tells caches how long to keep an answer
// (RFC 9111 5, RFC 9213 and what came before it).
func dropCacheRules(h http.Header) {
	for field := range h {
		if strings.HasSuffix(field, "Cache-Control") || field == "Expires" || field == "Pragma" || field == "Surrogate-Control" {
			delete(h, field)
		}
	}
}

// Interface guards
var _ injector.Later = (*late)(nil)
