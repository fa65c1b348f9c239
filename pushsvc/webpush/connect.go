package webpush

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush/h2push"
)

// socketBuffer is the size of a read from a socket. crypto/tls by itself reads about one record at a time,
// and an answer is a record of 60 bytes.
const socketBuffer = 16 << 10

// connector opens links.
type connector struct {
	dial DialFunc
	tls  *tls.Config
}

func newConnector(dial DialFunc, roots *x509.CertPool) *connector {
	return &connector{dial: dial, tls: &tls.Config{
		MinVersion:         tls.VersionTLS12,
		RootCAs:            roots,
		ClientSessionCache: tls.NewLRUClientSessionCache(64),
		// Small first records only help browsers that render early.
		DynamicRecordSizingDisabled: true,
	}}
}

// open connects to a host on port 443, through TLS, over HTTP/2 if the host supports it and http1 is false.
// onChange is called on changes of the link, with locks held.
func (c *connector) open(ctx context.Context, host string, http1 bool, onChange func()) (link, error) {
	addr := net.JoinHostPort(host, "443")
	raw, err := c.dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	config := c.tls.Clone()
	config.ServerName = host
	config.NextProtos = []string{"h2", "http/1.1"}
	if http1 {
		config.NextProtos = config.NextProtos[1:]
	}
	conn := tls.Client(&bufferedConn{raw, bufio.NewReaderSize(raw, socketBuffer)}, config)
	handshake, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(handshake); err != nil {
		raw.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		return newLink1(ctx, conn, addr, onChange)
	}
	h2, err := h2push.New(handshake, conn, h2push.Config{
		MaxAnswer: maxAnswer, MaxHeader: maxAnswerHeader, BodyTimeout: bodyTimeout,
		WriteTimeout: sendTimeout, IdleTimeout: idleTimeout, OnChange: onChange,
	})
	if err != nil {
		return nil, err
	}
	return link2{h2}, nil
}

// bufferedConn reads from the socket in large pieces.
type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }
