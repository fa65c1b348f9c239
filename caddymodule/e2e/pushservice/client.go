package pushservice

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
)

// DialFunc has the form of [http.Transport.DialContext].
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dial returns a dialer that knows only the addresses in hosts ("host:port" to
// the real "ip:port") and refuses all others, so that a test can't reach the real
// push services by mistake.
func Dial(hosts map[string]string) DialFunc {
	var dialer net.Dialer
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		target, ok := hosts[address]
		if !ok {
			return nil, fmt.Errorf("dialing %s: not one of the fake push services", address)
		}
		return dialer.DialContext(ctx, network, target)
	}
}

// NewClient makes a client whose connections go to the fakes in hosts, with the
// real host names, certificate names and VAPID audiences. The caller should
// CloseIdleConnections at the end.
func NewClient(authority *Authority, hosts map[string]string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       Dial(hosts),
		TLSClientConfig:   &tls.Config{RootCAs: authority.Pool()},
		ForceAttemptHTTP2: true,
	}}
}
