package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// proxyFault is what is wrong with a server that has trusted proxies, but not strictly:
// Caddy believes the first address of X-Forwarded-For then. A proxy that adds to what
// it was given, as most do, leaves that to the client, who is then another one with
// each request.
const proxyFault = "takes its clients at their word who they are: with trusted_proxies and without trusted_proxies_strict, the first address of X-Forwarded-For counts, " +
	"so that subscribe_limit and event_limit hold nobody back where the proxy adds to that header"

// proxyCure is what to do against a proxyFault.
const proxyCure = "add trusted_proxies_strict to the servers option, or have the proxy replace X-Forwarded-For"

// warnProxy says once of a server that it doesn't know its clients, where a request
// shows that the proxy in front adds to what it was given.
func (a *App) warnProxy(r *http.Request) {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !trusted || !ok || server.TrustedProxiesStrict > 0 || !strings.Contains(strings.Join(r.Header["X-Forwarded-For"], ","), ",") {
		return
	}
	if _, told := a.proxies.LoadOrStore(server.Name(), true); !told {
		a.logger.Warn("a server "+proxyFault, "server", server.Name(), "cure", proxyCure)
	}
}

// trustingServers finds the servers with sites of ours, of a configuration as the
// admin API has it, that have the proxyFault: by name, sorted.
func trustingServers(servers []byte) ([]string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(servers, &all); err != nil {
		return nil, fmt.Errorf("reading the servers of the running configuration: %w", err)
	}
	var found []string
	for name, text := range all {
		var s struct {
			Trusted json.RawMessage `json:"trusted_proxies"`
			Strict  int             `json:"trusted_proxies_strict"`
			Unix    bool            `json:"trusted_proxies_unix"`
			Routes  any             `json:"routes"`
			Named   any             `json:"named_routes"`
		}
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("reading server %q of the running configuration: %w", name, err)
		}
		if (len(s.Trusted) > 0 || s.Unix) && s.Strict <= 0 && (hasHandler(s.Routes) || hasHandler(s.Named)) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

// hasHandler reports whether our handler is anywhere in a part of a configuration.
func hasHandler(part any) bool {
	switch v := part.(type) {
	case []any:
		return slices.ContainsFunc(v, hasHandler)
	case map[string]any:
		if v["handler"] == "webpush" {
			return true
		}
		for _, inner := range v {
			if hasHandler(inner) {
				return true
			}
		}
	}
	return false
}

// proxies has the doctor look at the running Caddy, if there is one.
func (c *command) proxies(report *checkup) {
	addr, err := caddycmd.DetermineAdminAPIAddress(c.address, nil, c.config, c.adapter)
	if err != nil {
		return
	}
	resp, err := caddycmd.AdminAPIRequest(addr, http.MethodGet, "/config/apps/http/servers", nil, nil)
	if err != nil {
		return // the doctor needs no Caddy
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxExamined))
	if err != nil {
		return
	}
	for _, look := range []struct {
		check       string
		find        func([]byte) ([]string, error)
		fault, cure string
	}{
		{"proxies", trustingServers, proxyFault, proxyCure},
		{"order", encodingServers, orderFault, orderCure},
	} {
		found, err := look.find(text)
		switch {
		case err != nil:
			report.Diagnoses = append(report.Diagnoses, diagnosis{look.check, caution, err.Error(), ""})
		case len(found) > 0:
			report.Diagnoses = append(report.Diagnoses, diagnosis{look.check, caution, fmt.Sprintf("server %s of the Caddy at %s %s", strings.Join(found, ", "), addr, look.fault), look.cure})
		}
	}
}
