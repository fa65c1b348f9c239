package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
)

// serveAction answers a public action, or with an operator's upload.
func (h *Handler) serveAction(w http.ResponseWriter, r *http.Request, req request) {
	run, _ := h.app.current()
	if run == nil {
		exchange.WriteUnavailable(w)
		return
	}
	if req.kind == kindUpload {
		run.public.ServeUpload(w, r, httpapi.PublicSite{Name: req.site}, req.action)
		return
	}
	prompt := h.config.Prompt
	if req.action == "subscribe" { // the only one with topics
		prompt = prompt.With(run.live.Prompt(req.site).Settings)
	}
	run.public.Serve(w, r, h.publicSite(r, req.site, prompt), req.action)
}

// publicSite returns the site that a post is for. The cookie is only for our own endpoints, unless
// pages are watched.
func (h *Handler) publicSite(r *http.Request, name string, prompt httpapi.PromptConfig) httpapi.PublicSite {
	site := httpapi.PublicSite{Name: name, Topics: prompt.TopicIDs(), IdentitySecret: h.identitySecret, ShareUnsigned: h.ShareUnsigned, Secure: isSecure(r)}
	switch {
	case h.Retire:
	case h.watches():
		site.CookiePath, site.OtherPath = "/", h.Prefix+"/"
	default:
		site.CookiePath, site.OtherPath = h.Prefix+"/", "/"
	}
	return site
}

// isSecure reports whether the client came over https: to us, or to a trusted proxy.
func isSecure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted && r.Header.Get("X-Forwarded-Proto") == "https"
}
