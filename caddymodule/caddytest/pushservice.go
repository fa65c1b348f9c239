package caddytest

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush/certtest"
)

// acting tells a test's program that it is Caddy.
const acting = "WEBPUSH_TEST_AS_CADDY"

// ActAsCaddy makes a test's program run as Caddy, with these modules more, where
// ActorEnv is in its environment; else it returns. It is called by init in a package of
// tests that imports the product's modules: the program that users run sends to public
// addresses only, and has no dialer for tests.
func ActAsCaddy(modules ...caddy.Module) {
	if os.Getenv(acting) == "" {
		return
	}
	for _, m := range modules {
		caddy.RegisterModule(m)
	}
	os.Args[0] = "caddy"
	caddycmd.Main()
	os.Exit(0)
}

// ActorEnv is what makes a test's program act as Caddy, which trusts the authorities in
// a PEM file. The race detector has every program sleep for a second at its end, for
// goroutines that go on; a test that runs thirty commands has no time for that.
func ActorEnv(authorities string) []string {
	return []string{acting + "=1", "SSL_CERT_FILE=" + authorities, "GORACE=atexit_sleep_ms=0 " + os.Getenv("GORACE")}
}

// OneAddress is the dialer "test", which connects only to one push service.
type OneAddress struct {
	Address string `json:"address"`
}

// CaddyModule returns the Caddy module information.
func (*OneAddress) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "webpush.dialer.test", New: func() caddy.Module { return new(OneAddress) }}
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler.
func (d *OneAddress) UnmarshalCaddyfile(t *caddyfile.Dispenser) error {
	t.Next()
	t.Args(&d.Address)
	return nil
}

// DialContext implements the dialer.
func (d *OneAddress) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, d.Address)
}

// SendTo makes the process, before its start, send to a push service on loopback that
// stands for push.webpush.test. The tests' init must call ActAsCaddy with
// OneAddress.
func (p *Process) SendTo(push http.Handler) {
	p.T.Helper()
	self, err := os.Executable()
	if err != nil {
		p.T.Fatal(err)
	}
	certificate, err := certtest.New("push.webpush.test")
	if err != nil {
		p.T.Fatal(err)
	}
	service := httptest.NewUnstartedServer(push)
	service.EnableHTTP2 = true
	service.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	service.StartTLS()
	p.T.Cleanup(service.Close)
	authority := filepath.Join(p.Dir, "ca.pem")
	if err := os.WriteFile(authority, certtest.PEM(certificate), 0o600); err != nil {
		p.T.Fatal(err)
	}
	p.Bin, p.Env = self, ActorEnv(authority)
	config, err := os.ReadFile(p.File)
	if err != nil {
		p.T.Fatal(err)
	}
	config = bytes.Replace(config, []byte("event_limit off"), []byte("event_limit off\n\t\tdialer test "+service.Listener.Addr().String()), 1)
	if err := os.WriteFile(p.File, config, 0o600); err != nil {
		p.T.Fatal(err)
	}
}
