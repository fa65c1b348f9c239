package caddymodule

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// place is a handler's place in the config: on a server, after host matchers.
type place struct {
	handler *Handler
	server  *caddyhttp.Server
	// hosts are the host matchers on the path to the handler, from the outside
	// in: one of each list must match.
	hosts [][]caddyhttp.MatchHost
	// named is true in a named route, which other routes invoke.
	named bool
}

// Prompt implements service.ConfiguredSites: if several handlers serve a site,
// the first one counts.
func (a *App) Prompt(site string) (said, byDefault prompt.Settings, ok bool) {
	for _, p := range a.places() {
		if p.serves(site) {
			return p.handler.Prompt.settings(), prompt.Default(p.handler.Compat == compatCleverTap), true
		}
	}
	return said, byDefault, false
}

// Prefix implements service.ConfiguredSites, as Prompt does.
func (a *App) Prefix(site string) string {
	for _, p := range a.places() {
		if p.serves(site) {
			return p.handler.Prefix
		}
	}
	return ""
}

// Origin implements service.ConfiguredSites, as Prompt does.
func (a *App) Origin(site string) string {
	for _, p := range a.places() {
		if p.serves(site) {
			return p.origin(site)
		}
	}
	return ""
}

// origin returns the most likely origin of a site that the handler serves; empty
// if its name is not a host and no host is configured. Requests without TLS at a
// usual port most likely come from a proxy that terminates TLS.
func (p place) origin(site string) string {
	host := site
	if p.handler.Site != "" {
		names := p.hostNames()
		if len(names) == 0 {
			return ""
		}
		host = names[0]
	}
	if _, _, err := net.SplitHostPort(host); err == nil && len(p.server.TLSConnPolicies) == 0 {
		return "http://" + host
	}
	return "https://" + host
}

// SiteOf implements service.ConfiguredSites.
func (a *App) SiteOf(host string) string {
	named := ""
	for _, p := range a.places() {
		switch {
		case !p.reached(host):
		case p.handler.Site == "":
			return host
		case named == "":
			named = p.handler.Site
		}
	}
	return named
}

// EventNames implements service.ConfiguredSites. Unlike the other methods, it
// uses all handlers of the site.
func (a *App) EventNames(site string) (names []string) {
	for _, p := range a.places() {
		if !p.serves(site) {
			continue
		}
		for _, e := range p.handler.Events {
			names = append(names, e.Name)
		}
		if after := p.handler.Prompt.settings().After; after != nil && after.Event != "" {
			names = append(names, after.Event)
		}
	}
	return names
}

// Names implements service.ConfiguredSites.
func (a *App) Names() []string {
	var names []string
	for _, p := range a.places() {
		names = append(names, p.names()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// places returns the handlers of this config.
func (a *App) places() []place {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	var found []place
	servers := app.(*caddyhttp.App).Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		found = append(found, walkRoutes(server, server.Routes, nil)...)
		for _, route := range server.NamedRoutes {
			for _, p := range walkRoutes(server, caddyhttp.RouteList{*route}, nil) {
				p.named = true
				found = append(found, p)
			}
		}
	}
	return found
}

func walkRoutes(server *caddyhttp.Server, routes caddyhttp.RouteList, hosts [][]caddyhttp.MatchHost) (found []place) {
	for _, route := range routes {
		on := hosts
		if match := routeHosts(route); len(match) > 0 {
			on = append(slices.Clone(hosts), match)
		}
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *Handler:
				found = append(found, place{handler: h, server: server, hosts: on})
			case *caddyhttp.Subroute:
				found = append(found, walkRoutes(server, h.Routes, on)...)
			}
		}
	}
	return found
}

// routeHosts returns the host matchers of the route; none if it takes all hosts.
func routeHosts(route caddyhttp.Route) (hosts []caddyhttp.MatchHost) {
	for _, set := range route.MatcherSets {
		before := len(hosts)
		for _, matcher := range set {
			switch m := matcher.(type) {
			case caddyhttp.MatchHost:
				hosts = append(hosts, m)
			case *caddyhttp.MatchHost:
				hosts = append(hosts, *m)
			}
		}
		if len(hosts) == before {
			return nil
		}
	}
	return hosts
}

// serves reports whether the handler gets requests of the site, whose name is
// canonical (Handler.siteName).
func (p place) serves(site string) bool {
	if p.handler.Site != "" {
		return p.handler.Site == site
	}
	return p.reached(site)
}

// reached reports whether requests for a host, with the port as in a site's name,
// reach the handler.
func (p place) reached(site string) bool {
	if _, port, err := net.SplitHostPort(site); err == nil && !slices.Contains(p.ports(), port) {
		return false
	}
	ctx := context.WithValue(context.Background(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	r := (&http.Request{Host: site}).WithContext(ctx)
	matches := func(m caddyhttp.MatchHost) bool {
		ok, err := m.MatchWithError(r)
		return ok && err == nil
	}
	for _, hosts := range p.hosts {
		if !slices.ContainsFunc(hosts, matches) {
			return false
		}
	}
	return true
}

// ports returns the ports of the server's listeners.
func (p place) ports() (ports []string) {
	for _, listen := range p.server.Listen {
		address, err := caddy.ParseNetworkAddress(listen)
		if err != nil || address.StartPort == 0 { // a socket has no port
			continue
		}
		for i := range address.PortRangeSize() {
			ports = append(ports, strconv.FormatUint(uint64(address.StartPort+i), 10))
		}
	}
	return ports
}

// names returns the handler's sites that are not from a pattern.
func (p place) names() (names []string) {
	if p.handler.Site != "" {
		return []string{p.handler.Site}
	}
	return p.hostNames()
}

// hostNames returns the hosts of the handler, without patterns, with an unusual
// port.
func (p place) hostNames() (names []string) {
	if len(p.hosts) == 0 {
		return nil
	}
	port := ""
	if ports := p.ports(); len(ports) > 0 && !slices.Contains(ports, "443") && !slices.Contains(ports, "80") {
		port = ":" + ports[0]
	}
	for _, host := range slices.Concat(p.hosts[len(p.hosts)-1]...) {
		host = caddy.NewReplacer().ReplaceAll(host, "")
		if strings.Contains(host, ":") {
			host = fmt.Sprintf("[%s]", strings.Trim(host, "[]"))
		}
		if name, err := pushsvc.SiteName(host + port); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// Interface guards
var _ service.ConfiguredSites = (*App)(nil)
