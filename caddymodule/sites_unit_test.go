package caddymodule

import (
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// TestOrigin: the origin of a site's previews.
func TestOrigin(t *testing.T) {
	host := [][]caddyhttp.MatchHost{{{"*.example", "www.example", "example"}}}
	for _, tt := range []struct {
		name, site, listen string
		hosts              [][]caddyhttp.MatchHost
		tls                bool
		subscribed, want   string
	}{
		{"a host", "", ":443", host, true, "example", "https://example"},
		{"a host that another proxy has the certificate of", "", ":80", host, false, "example", "https://example"},
		{"a port", "", ":8080", host, false, "example:8080", "http://example:8080"},
		{"a port with TLS", "", ":8443", host, true, "example:8443", "https://example:8443"},
		{"a name", "shop", ":443", host, true, "shop", "https://www.example"},
		{"a name, by a port", "shop", ":8080", host, false, "shop", "http://www.example:8080"},
		{"a name, and no host", "shop", ":443", nil, true, "shop", ""},
		{"any host", "", ":443", nil, true, "b.example", "https://b.example"},
	} {
		server := &caddyhttp.Server{Listen: []string{tt.listen}}
		if tt.tls {
			server.TLSConnPolicies = caddytls.ConnectionPolicies{new(caddytls.ConnectionPolicy)}
		}
		if got := (place{handler: &Handler{Site: tt.site}, server: server, hosts: tt.hosts}).origin(tt.subscribed); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestPlaces: which sites a handler serves, by its hosts and its server's ports.
func TestPlaces(t *testing.T) {
	t.Setenv("SITES_HOST", "env.example")
	host := func(hosts ...string) []caddyhttp.MatchHost { return []caddyhttp.MatchHost{hosts} }
	many := make(caddyhttp.MatchHost, 200)
	for i := range many {
		many[i] = string(rune('a'+i/26)) + string(rune('a'+i%26)) + ".example"
	}
	for _, tt := range []struct {
		name       string
		site       string
		listen     []string
		hosts      [][]caddyhttp.MatchHost
		names      []string
		yes, never []string
	}{
		{
			"a host", "",
			[]string{":443"},
			[][]caddyhttp.MatchHost{host("a.example", "b.example")},
			[]string{"a.example", "b.example"},
			[]string{"a.example", "b.example"},
			[]string{"c.example", "a.example:8443", "x.a.example"},
		},
		{
			"a port", "",
			[]string{"127.0.0.1:8080"},
			[][]caddyhttp.MatchHost{host("A.example", "::1")},
			[]string{"a.example:8080", "[::1]:8080"},
			[]string{"a.example:8080", "a.example", "[::1]:8080"},
			[]string{"a.example:8081"},
		},
		{"a wildcard", "", []string{":443"}, [][]caddyhttp.MatchHost{host("*.example")}, nil, []string{"a.example"}, []string{"example", "a.b.example"}},
		{"everything", "", []string{":80", ":443"}, nil, nil, []string{"a.example", "127.0.0.1"}, []string{"a.example:8080"}},
		{"a placeholder", "", []string{":443"}, [][]caddyhttp.MatchHost{host("{env.SITES_HOST}")}, []string{"env.example"}, []string{"env.example"}, []string{"a.example"}},
		{"a name", "named.example", []string{":443"}, [][]caddyhttp.MatchHost{host("a.example")}, []string{"named.example"}, []string{"named.example"}, []string{"a.example"}},
		{
			"host in host", "",
			[]string{":443"},
			[][]caddyhttp.MatchHost{host("*.example"), host("a.example", "a.other")},
			[]string{"a.example", "a.other"},
			[]string{"a.example"},
			[]string{"a.other", "b.example"},
		},
		{
			"either of two", "",
			[]string{":443"},
			[][]caddyhttp.MatchHost{{many, {"one.more"}}},
			append(slices.Clone(many), "one.more"),
			[]string{"aa.example", "gz.example", "one.more"},
			[]string{"zz.example"},
		},
		{"a socket", "", []string{"unix//run/x"}, [][]caddyhttp.MatchHost{host("a.example")}, []string{"a.example"}, []string{"a.example"}, []string{"a.example:80"}},
	} {
		p := place{handler: &Handler{Site: tt.site}, server: &caddyhttp.Server{Listen: tt.listen}, hosts: tt.hosts}
		if got := p.names(); !slices.Equal(got, tt.names) {
			t.Errorf("%s: names %q, want %q", tt.name, got, tt.names)
		}
		for _, site := range tt.yes {
			if !p.serves(site) {
				t.Errorf("%s does not serve %s", tt.name, site)
			}
		}
		for _, site := range tt.never {
			if p.serves(site) {
				t.Errorf("%s serves %s", tt.name, site)
			}
		}
	}
}
