package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
)

func init() {
	caddy.RegisterModule(new(adminAPI))
}

// adminAPI serves the operator's API under /webpush/ on Caddy's admin
// endpoint.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.webpush",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes implements caddy.AdminRouter.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/webpush/", Handler: caddy.AdminHandlerFunc(a.serve)}}
}

// serve looks up the app for each request: an app kept from Provision may belong to a config that
// was never started.
func (*adminAPI) serve(w http.ResponseWriter, r *http.Request) error {
	app, err := caddy.ActiveContext().AppIfConfigured("webpush")
	if err != nil {
		exchange.WriteProblem(w, api.NewProblem(http.StatusServiceUnavailable,
			`no site of the running configuration uses webpush; add the line "webpush" to one`))
		return nil
	}
	run, fault := app.(*App).current()
	if run == nil {
		exchange.WriteProblem(w, api.NewProblem(http.StatusServiceUnavailable, "push is off: "+fault.Error()))
		return nil
	}
	run.operator.ServeHTTP(w, r)
	return nil
}

// Interface guards
var _ caddy.AdminRouter = (*adminAPI)(nil)
