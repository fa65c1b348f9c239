package webpush

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush/certtest"
)

// authority is a certificate authority for the names of the push services.
type authority struct {
	pool *x509.CertPool
	leaf tls.Certificate
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	leaf, err := certtest.New("fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com", "*.notify.windows.com", "push.example.net")
	if err != nil {
		t.Fatal(err)
	}
	return &authority{pool: certtest.Pool(leaf), leaf: leaf}
}

// sink is a push service on loopback with the names of all push services.
type sink struct {
	*authority
	addr  string
	dials atomic.Int32
	drop  func() // cuts all connections
}

// newSink serves HTTP/2 and HTTP/1.1 with a handler.
func newSink(t testing.TB, handler http.HandlerFunc) *sink {
	t.Helper()
	return startServer(t, handler, true)
}

// newHTTP1Sink serves HTTP/1.1 only.
func newHTTP1Sink(t testing.TB, handler http.HandlerFunc) *sink {
	t.Helper()
	return startServer(t, handler, false)
}

func startServer(t testing.TB, handler http.HandlerFunc, http2 bool) *sink {
	t.Helper()
	s := &sink{authority: newAuthority(t)}
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = http2
	server.TLS = &tls.Config{Certificates: []tls.Certificate{s.leaf}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	s.addr = server.Listener.Addr().String()
	s.drop = server.CloseClientConnections
	return s
}

// newRawSink speaks TLS with HTTP/1.1 only and passes each connection to serve after the request's first
// bytes.
func newRawSink(t testing.TB, serve func(net.Conn)) *sink {
	t.Helper()
	s := &sink{authority: newAuthority(t)}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{s.leaf}, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	s.addr = listener.Addr().String()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 8192)); err == nil {
					serve(conn)
				}
			}()
		}
	}()
	return s
}

// dial connects to the sink whatever the address.
func (s *sink) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	s.dials.Add(1)
	return new(net.Dialer).DialContext(ctx, network, s.addr)
}

func (s *sink) client(t testing.TB, change func(*Config)) *Client {
	t.Helper()
	config := Config{Dial: s.dial, RootCAs: s.pool}
	if change != nil {
		change(&config)
	}
	c := NewClient(config)
	t.Cleanup(c.Close)
	return c
}

// secretPath is the secret part of an endpoint.
const secretPath = "fv3jabydF5c:APA91bE-abc_DEFghiJKLmnoPQRstuVWXyz0123456789"

func requestTo(t testing.TB, host string) (*Request, *subscriber) {
	t.Helper()
	s := newSubscriber(t)
	return &Request{
		Endpoint: "https://" + host + "/fcm/send/" + secretPath,
		P256DH:   s.p256dh(),
		Auth:     s.auth,
		Key:      mustKeyPair(t),
		Contact:  "mailto:ops@example.com",
		Payload:  []byte(`{"id":"1"}`),
		TTL:      60,
	}, s
}
