package caddymodule

import (
	"context"
	"io"
	"net/http"
	"reflect"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"

	"github.com/caddy-webpush/caddy-webpush/injector"
)

// Caddy's header directive changes a header at once or late. It is late, when the
// header is sent, if one of its lines deletes, begins with ">" or "?", or has
// "defer" or "match"; then a response writer around ours makes the change. A copy
// of that writer predicts its result, and a writer on its far side sets values
// that must hold.

// deferring is the type of those writers, which Caddy does not export: a pointer
// to a struct that embeds Caddy's ResponseWriterWrapper at the index
// wrapperField. It is nil if this version of Caddy has them in another form.
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

// late has the late changes of a response's header.
type late struct {
	writers []http.ResponseWriter // of the type deferring, from the inside out
	last    *lastWriter           // on the far side of them; nil until a value must hold
	kept    http.Header
}

// lateOf returns the deferred changes of the header; nil if there are none.
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

// atLast calls fix with the header after all other changes.
func (l *late) atLast(fix func(http.Header)) {
	if l.last == nil {
		outermost := l.writers[len(l.writers)-1]
		wrapper := reflect.ValueOf(outermost).Elem().Field(wrapperField).Interface().(*caddyhttp.ResponseWriterWrapper)
		l.last = &lastWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: wrapper.ResponseWriter}}
		wrapper.ResponseWriter = l.last
	}
	l.last.fixes = append(l.last.fixes, fix)
}

// preview takes a header and discards the answer.
type preview struct{ header http.Header }

func (p *preview) Header() http.Header         { return p.header }
func (p *preview) WriteHeader(int)             {}
func (p *preview) Write(b []byte) (int, error) { return len(b), nil }

// lastWriter makes the last change of the header.
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

// Interface guards
var _ injector.Later = (*late)(nil)
