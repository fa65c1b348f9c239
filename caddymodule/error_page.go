package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-webpush/caddy-webpush/injector"
)

// isError reports whether r is handled by handle_errors.
func isError(r *http.Request) bool { return r.Context().Value(caddyhttp.ErrorCtxKey) != nil }

// errUnhandled means that no route of handle_errors answers.
var errUnhandled = errors.New("no route of handle_errors takes this")

// serveError answers an error page through handle_errors, where many single-page
// sites serve their page. Caddy runs handle_errors outside of all directives, so
// the page would lack the script. It returns the error unchanged if no route
// answers. It leaves server errors to Caddy, which logs and counts them.
func (h *Handler) serveError(w *injector.Writer, l *late, r *http.Request, err error) error {
	var answer caddyhttp.HandlerError
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil || server.Errors == nil || len(server.Errors.Routes) == 0 || isError(r) ||
		!errors.As(err, &answer) || answer.StatusCode < 400 || answer.StatusCode > 499 {
		return err
	}
	if orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && orig.URL != nil {
		r.Method, r.RemoteAddr, r.RequestURI, *r.URL = orig.Method, orig.RemoteAddr, orig.RequestURI, *orig.URL
	}
	if l != nil {
		w.SetLater(&undeferred{late: l})
	}
	routes := server.Errors.Routes.Compile(caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return errUnhandled }))
	if failed := routes.ServeHTTP(w, server.Errors.WithError(r, err)); failed != nil {
		if errors.Is(failed, errUnhandled) {
			return err
		}
		return failed
	}
	h.logger.Debug("handle_errors has answered", zap.Error(err))
	return nil
}

// undeferred removes deferred header changes: Caddy does not apply them to pages
// of handle_errors.
type undeferred struct {
	late   *late
	before http.Header
}

// Preview implements injector.Later.
func (u *undeferred) Preview(_ int, h http.Header) http.Header {
	if u.before == nil {
		u.late.atLast(u.undo)
	}
	u.before = h.Clone()
	return u.before
}

// Keep implements injector.Later.
func (u *undeferred) Keep(field string, values []string) { u.before[field] = values }

// changing are the fields that we or encode change in the response.
var changing = map[string]bool{
	injector.Marker: true, "Content-Length": true, "Content-Encoding": true, "Vary": true, "Etag": true, "Last-Modified": true,
	"Accept-Ranges": true, "Content-Type": true, "Content-Md5": true, "Digest": true, "Content-Digest": true, "Repr-Digest": true,
}

func (u *undeferred) undo(h http.Header) {
	for field := range h {
		if _, wasSet := u.before[field]; !wasSet && !changing[field] {
			delete(h, field)
		}
	}
	for field, values := range u.before {
		if !changing[field] {
			h[field] = values
		}
	}
}

// Interface guards
var _ injector.Later = (*undeferred)(nil)
