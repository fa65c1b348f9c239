package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
)

// ProxyFault is the fault of a server that has trusted proxies, but not strictly: Caddy then
// believes the first address of X-Forwarded-For. Most proxies append to the field that they
// receive, so the client chooses that address, and can be another client with each request.
const ProxyFault = "accepts any client address that a client sends: with trusted_proxies and without trusted_proxies_strict, the first address of X-Forwarded-For counts, " +
	"so that subscribe_limit and event_limit limit no client if the proxy adds to that header"

// ProxyCure is the cure for a ProxyFault.
const ProxyCure = "add trusted_proxies_strict to the servers option, or have the proxy replace X-Forwarded-For"

// TrustingServers returns the names, sorted, of the servers with sites of ours that have the
// ProxyFault. The configuration has the form of the admin API.
func TrustingServers(servers []byte) ([]string, error) {
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
