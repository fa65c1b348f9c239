package caddymodule

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
)

// routeTrace follows a request through a server's routes to one of our handlers, as
// far as the configuration determines it: by host, path and method. It runs no
// handler.
type routeTrace struct {
	to     *Handler
	server *caddyhttp.Server
	r      *http.Request
	groups map[string]bool

	// login reports whether a login is on the path to the handler.
	login bool
	// encodes reports whether a handler after ours compresses.
	encodes bool
	// stop is the module that answers before our handler; "" if none does.
	stop string
}

// answer is the result of a condition.
type answer int

const (
	no      answer = iota
	perhaps        // depends on unknown data
	yes
)

// trace follows a request for the path to the handler of p, and reports whether
// it arrives.
func (p place) trace(method, path string) (j *routeTrace, arrives bool) {
	r := &http.Request{Method: method, URL: &url.URL{Path: path}, RequestURI: path, Host: p.host(), Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "127.0.0.1:1"}
	j = &routeTrace{to: p.handler, server: p.server, groups: map[string]bool{}}
	defer func() {
		if recover() != nil { // a plug-in's matcher may need a real request
			j, arrives = new(routeTrace), true
		}
	}()
	j.r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, p.server)
	arrives, _ = j.routes(p.server.Routes)
	return j, arrives
}

// host returns a host that leads to the handler.
func (p place) host() string {
	if len(p.hosts) == 0 {
		return "localhost"
	}
	for _, host := range slices.Concat(p.hosts[len(p.hosts)-1]...) {
		return strings.ReplaceAll(caddy.NewReplacer().ReplaceAll(host, ""), "*", "x")
	}
	return "localhost"
}

// shutOut returns our paths whose requests do not reach the handler, and the
// module that answers one of them; "" if no module does.
func (p place) shutOut() (paths []string, stop string) {
	for _, q := range p.handler.paths.samples() {
		if j, arrives := p.trace(q.method, q.path); !arrives && !slices.Contains(paths, q.name) {
			paths = append(paths, q.name)
			stop = cmp.Or(stop, j.stop)
		}
	}
	return paths, stop
}

// warnPlaces logs which of our paths the configuration blocks, and which of
// others' we block.
func (a *App) warnPlaces() {
	for _, p := range a.places() {
		if p.named {
			continue // whatever invokes it
		}
		if j, arrives := p.trace(http.MethodGet, "/"); arrives && j.encodes {
			a.logger.Warn("encode is inside of webpush, which requests pages uncompressed: they are sent uncompressed",
				"host", p.host(), "cure", "write encode before webpush, or leave both to Caddy's own order of directives")
		}
		paths, stop := p.shutOut()
		if len(paths) == 0 {
			continue
		}
		list := strings.Join(paths, " ")
		cure := fmt.Sprintf("write webpush outside of handle and handle_path; or let its matcher match %s as well; or set prefix, worker and manifest to paths that reach it", list)
		if stop != "" {
			cure = fmt.Sprintf("%s answers them before: %s", stop, cure)
		}
		a.logger.Warn("requests for webpush do not reach it: a matcher, handle or handle_path around it excludes them, and no visitor can subscribe",
			"host", p.host(), "paths", list, "cure", cure)
	}
}

// findLogin reports whether visitors must log in before they can load the site's
// manifest: browsers fetch it without credentials, unless the link requests them.
func (h *Handler) findLogin() bool {
	for _, p := range h.app.places() {
		if p.handler == h && !p.named {
			j, arrives := p.trace(http.MethodGet, h.Manifest)
			return arrives && j.login
		}
	}
	return false
}

// findStrips returns the prefixes that handle_path and similar directives remove
// from paths before the handler.
func (h *Handler) findStrips() []string {
	for _, p := range h.app.places() {
		if p.handler == h {
			j := &routeTrace{to: h, server: p.server}
			return j.strips(p.server.Routes)
		}
	}
	return nil
}

func (j *routeTrace) strips(routes caddyhttp.RouteList) (prefixes []string) {
	for _, route := range routes {
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *Handler:
				if h == j.to {
					return prefixes
				}
			case *rewrite.Rewrite:
				if h.StripPathPrefix != "" {
					prefixes = append(prefixes, h.StripPathPrefix)
				}
			case *caddyhttp.Subroute:
				if j.hasHandler(h.Routes) {
					return append(prefixes, j.strips(h.Routes)...)
				}
			}
		}
	}
	return prefixes
}

// routes goes through a list of routes. It reports whether the request arrives at
// the handler, and if not, whether it ends in these routes.
func (j *routeTrace) routes(routes caddyhttp.RouteList) (arrives, ends bool) {
	for i, route := range routes {
		onTheWay := j.hasHandler(caddyhttp.RouteList{route})
		if route.Group != "" && j.groups[route.Group] {
			continue
		}
		match := matchSets(route.MatcherSets, j.r)
		if match == no {
			continue
		}
		if match == perhaps && !onTheWay {
			j.login = j.login || slices.ContainsFunc(route.Handlers, isLogin)
			continue
		}
		if route.Group != "" {
			j.groups[route.Group] = true
		}
		for k, handler := range route.Handlers {
			arrives, ends := j.handler(handler)
			if arrives {
				inner := route
				inner.Handlers = route.Handlers[k+1:]
				j.encodes = j.encodes || encodes(inner) || slices.ContainsFunc(routes[i+1:], encodes)
			}
			if arrives || ends {
				return arrives, ends
			}
		}
		if route.Terminal {
			return false, true
		}
	}
	return false, false
}

// handler goes through one handler.
func (j *routeTrace) handler(handler caddyhttp.MiddlewareHandler) (arrives, ends bool) {
	switch h := handler.(type) {
	case *Handler:
		return h == j.to, false
	case *caddyhttp.Subroute:
		return j.routes(h.Routes)
	case *caddyhttp.Invoke:
		if route := j.server.NamedRoutes[h.Name]; route != nil {
			return j.routes(caddyhttp.RouteList{*route})
		}
	case *rewrite.Rewrite:
		if repl, ok := j.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
			h.Rewrite(j.r, repl)
		}
	default:
		if isLogin(handler) {
			j.login = true
		} else if answers(handler) {
			j.stop = caddy.GetModuleName(handler)
			return false, true
		}
	}
	return false, false
}

// isLogin reports whether a handler admits only requests with credentials that
// browsers send: basic_auth, forward_auth and similar plug-ins.
func isLogin(handler caddyhttp.MiddlewareHandler) bool {
	if proxy, ok := handler.(*reverseproxy.Handler); ok {
		return len(proxy.HandleResponse) > 0 // forward_auth continues if the request is admitted
	}
	return caddy.GetModuleID(handler) == "http.handlers.authentication"
}

// encodes reports whether the route has Caddy's encode.
func encodes(route caddyhttp.Route) bool {
	return slices.ContainsFunc(route.Handlers, func(handler caddyhttp.MiddlewareHandler) bool {
		if inner, ok := handler.(*caddyhttp.Subroute); ok {
			return slices.ContainsFunc(inner.Routes, encodes)
		}
		return caddy.GetModuleID(handler) == "http.handlers.encode"
	})
}

// answers reports whether a handler answers every request.
func answers(handler caddyhttp.MiddlewareHandler) bool {
	switch caddy.GetModuleID(handler) {
	case "http.handlers.static_response", "http.handlers.error", "http.handlers.file_server", "http.handlers.reverse_proxy", "http.handlers.metrics", "http.handlers.acme_server":
		return true
	}
	return false
}

// hasHandler reports whether the handler is in the routes.
func (j *routeTrace) hasHandler(routes caddyhttp.RouteList) bool {
	return slices.ContainsFunc(routes, func(route caddyhttp.Route) bool {
		return slices.ContainsFunc(route.Handlers, func(handler caddyhttp.MiddlewareHandler) bool {
			switch h := handler.(type) {
			case *Handler:
				return h == j.to
			case *caddyhttp.Subroute:
				return j.hasHandler(h.Routes)
			case *caddyhttp.Invoke:
				named := j.server.NamedRoutes[h.Name]
				return named != nil && j.hasHandler(caddyhttp.RouteList{*named})
			}
			return false
		})
	})
}

// matchSets returns the result of a route's matcher sets, one of which must
// match.
func matchSets(sets caddyhttp.MatcherSets, r *http.Request) answer {
	if len(sets) == 0 {
		return yes
	}
	best := no
	for _, set := range sets {
		best = max(best, matchSet(set, r))
	}
	return best
}

func matchSet(set caddyhttp.MatcherSet, r *http.Request) answer {
	worst := yes
	for _, m := range set {
		worst = min(worst, matchOne(m, r))
	}
	return worst
}

// matchOne evaluates the matchers that depend only on host, path and method.
func matchOne(m any, r *http.Request) answer {
	if not, ok := m.(*caddyhttp.MatchNot); ok {
		worst := yes
		for _, set := range not.MatcherSets {
			worst = min(worst, yes-matchSet(set, r))
		}
		return worst
	}
	module, ok := m.(caddy.Module)
	if !ok {
		return perhaps
	}
	switch module.CaddyModule().ID {
	case "http.matchers.host", "http.matchers.path", "http.matchers.path_regexp", "http.matchers.method":
		matcher, ok := m.(caddyhttp.RequestMatcherWithError)
		if !ok {
			return perhaps
		}
		if match, err := matcher.MatchWithError(r); err != nil || !match {
			return no
		}
		return yes
	}
	return perhaps
}
