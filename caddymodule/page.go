package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-webpush/caddy-webpush/injector"
)

// placeholder is where other handlers and logs find the result for a page.
const placeholder = "http.webpush.inject"

// reasonNotReady is the handler's own reason; the others are the injector's.
const reasonNotReady injector.Reason = "not-ready"

func newOutcomes() map[injector.Reason]any {
	outcomes := make(map[injector.Reason]any)
	for _, why := range append(injector.Reasons(), reasonNotReady) {
		outcomes[why] = string(why)
	}
	return outcomes
}

func (h *Handler) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, why injector.Reason) error {
	h.account(r, why)
	return next.ServeHTTP(w, r)
}

// account reports the result for a page: in the counter, the placeholder, and the debug log for a
// page that was left unchanged.
func (h *Handler) account(r *http.Request, why injector.Reason) {
	h.app.metrics.page(why)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set(placeholder, h.outcomes[why])
	}
	if why == injector.ReasonInjected {
		return
	}
	if c := h.logger.Check(zapcore.DebugLevel, "page left as it is"); c != nil {
		c.Write(zap.String("reason", string(why)), zap.String("host", r.Host), zap.String("path", r.URL.Path))
	}
}

func (h *Handler) servePage(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	in := h.injector()
	if why := in.Classify(r); why != "" {
		return h.pass(in.Bystander(w, r), r, next, why)
	}
	if run, _ := h.app.current(); run == nil || !run.hasKey() {
		return h.pass(w, r, next, reasonNotReady)
	}
	iw := in.NewWriter(w, r)
	l := lateOf(w)
	if l != nil {
		iw.SetLater(l)
	}
	iw.PrepareRequest()
	// A response that is aborted, which is a panic, counts as well. Nothing may be written here: an
	// aborted answer must not get more bytes.
	defer func() {
		iw.RestoreRequest()
		if why := iw.Reason(); why != "" {
			h.account(r, why)
		}
	}()
	err := next.ServeHTTP(iw, r)
	if err != nil && !iw.Begun() {
		err = h.serveError(iw, l, r, err)
	}
	if err != nil {
		return err
	}
	err = iw.Finish()
	h.warnBlocked(r, iw.Blocked())
	return err
}

// warnBlocked logs once which directive of a page's policy blocks a part of webpush: it is the same
// on every page.
func (h *Handler) warnBlocked(r *http.Request, findings []injector.Finding) {
	for _, f := range findings {
		if _, known := h.warned.LoadOrStore(string(f.Use)+" "+f.Directive, true); known {
			continue
		}
		h.logger.Warn("a page's Content-Security-Policy blocks a part of webpush; run 'caddy webpush doctor' on the page",
			zap.String("use", string(f.Use)), zap.String("directive", f.Directive), zap.String("cure", f.Cure),
			zap.String("host", r.Host), zap.String("path", r.URL.Path))
	}
}
