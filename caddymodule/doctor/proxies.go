package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
)

// ProxyFault is what is wrong with a server that has trusted proxies, but not strictly:
// Caddy believes the first address of X-Forwarded-For then. A proxy that adds to what
// it was given, as most do, leaves that to the client, who is then another one with
// each request.
const ProxyFault = "takes its clients at their word who they are: with trusted_proxies and without trusted_proxies_strict, the first address of X-Forwarded-For counts, " +
	"so that subscribe_limit and event_limit hold nobody back where the proxy adds to that header"

// ProxyCure is what to do against a ProxyFault.
const ProxyCure = "add trusted_proxies_strict to the servers option, or have the proxy replace X-Forwarded-For"

// TrustingServers finds the servers with sites of ours, of a configuration as the
// admin API has it, that have the ProxyFault: by name, sorted.
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
