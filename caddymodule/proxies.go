package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/doctor"
)

// warnProxy logs once per server that it can't identify its clients, if a request
// shows that the proxy in front appends to X-Forwarded-For.
func (a *App) warnProxy(r *http.Request) {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !trusted || !ok || server.TrustedProxiesStrict > 0 || !strings.Contains(strings.Join(r.Header["X-Forwarded-For"], ","), ",") {
		return
	}
	if _, known := a.proxies.LoadOrStore(server.Name(), true); !known {
		a.logger.Warn("a server "+doctor.ProxyFault, "server", server.Name(), "cure", doctor.ProxyCure)
	}
}
