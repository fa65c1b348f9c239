package webpush

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush/h2push"
)

// link is a connection to a push service, over HTTP/2 or HTTP/1.1.
type link interface {
	// reserve reserves one send, which must follow.
	reserve() bool
	// send makes one attempt. again means that the service did not process it.
	send(ctx context.Context, m *message, deadline time.Time) (got answer, again bool, err error)
	ended() bool
	// served reports whether there was ever an answer.
	served() bool
	// shutdown closes the link after what is in flight.
	shutdown()
}

// answer is a push service's answer; status is 0 without one.
type answer struct {
	status    int
	header    http.Header // of refusals
	text      []byte      // the beginning of the body
	maybeSent bool
	wantsH1   bool // HTTP_1_1_REQUIRED
}

// link2 is HTTP/2.
type link2 struct{ conn *h2push.Conn }

func (l link2) reserve() bool { return l.conn.Reserve() }
func (l link2) ended() bool   { return l.conn.Err() != nil }
func (l link2) served() bool  { return l.conn.Served() > 0 }
func (l link2) shutdown()     { l.conn.Shutdown() }

func (l link2) send(ctx context.Context, m *message, deadline time.Time) (answer, bool, error) {
	response, err := l.conn.RoundTrip(ctx, &m.request, deadline)
	if err == nil {
		return answer{status: response.Status, header: response.Header, text: response.Body}, false, nil
	}
	var failure *h2push.Error
	again := errors.As(err, &failure) && failure.Unprocessed
	var reset *h2push.ResetError
	h1 := errors.As(err, &reset) && reset.Code == http2.ErrCodeHTTP11Required
	return answer{maybeSent: !again, wantsH1: h1}, again, err
}

// link1 is HTTP/1.1, one message at a time.
type link1 struct {
	conn     *http.ClientConn
	answered atomic.Bool
}

// newLink1 passes a connection to net/http. onChange is called when it has ended.
func newLink1(ctx context.Context, conn net.Conn, addr string, onChange func()) (*link1, error) {
	transport := newTransport(func(context.Context, string, string) (net.Conn, error) { return conn, nil })
	client, err := transport.NewClientConn(ctx, "https", addr)
	if err != nil {
		conn.Close()
		return nil, err
	}
	client.SetStateHook(func(client *http.ClientConn) {
		if client.Err() != nil {
			onChange()
		}
	})
	return &link1{conn: client}, nil
}

// newTransport returns net/http's transport over the connections that dialTLS opens, which must speak
// HTTP/1.1.
func newTransport(dialTLS DialFunc) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		// Explicitly none: a proxy connects to any address.
		Proxy:                  nil,
		DialTLSContext:         dialTLS,
		Protocols:              &protocols,
		DisableCompression:     true, // no bombs; answers are short
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
	}
}

func (l *link1) reserve() bool { return l.conn.Reserve() == nil }
func (l *link1) ended() bool   { return l.conn.Err() != nil }
func (l *link1) served() bool  { return l.answered.Load() }

func (l *link1) shutdown() {
	if l.conn.InFlight() == 0 {
		_ = l.conn.Close() // the error does not matter: the link is no longer used
	}
}

// send uses the connection's RoundTrip instead of http.Client: it follows no redirects, keeps no cookies and
// does not put the URL into errors.
func (l *link1) send(ctx context.Context, m *message, deadline time.Time) (answer, bool, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	// A copy: the transport may still read after RoundTrip has failed.
	body := &requestBody{Reader: *bytes.NewReader(bytes.Clone(m.request.Body))}
	request, err := m.overHTTP1(body)
	if err != nil {
		return answer{}, false, err
	}
	response, err := l.conn.RoundTrip(request.WithContext(ctx))
	if err != nil {
		// Its body was never sent: net/http has no other sign.
		again := !body.touched.Load()
		return answer{maybeSent: !again}, again, err
	}
	l.answered.Store(true)
	text := readAnswer(response, cancel)
	return answer{status: response.StatusCode, header: response.Header, text: text}, false, nil
}

// overHTTP1 returns m for net/http.
func (m *message) overHTTP1(body *requestBody) (*http.Request, error) {
	target, err := url.Parse("https://" + m.request.Authority + m.request.Path)
	if err != nil {
		// err quotes the endpoint, so it is dropped.
		return nil, &EndpointError{RefusedForm}
	}
	header := make(http.Header, len(m.request.Header))
	for _, f := range m.request.Header {
		header.Set(f.Name, f.Value)
	}
	return &http.Request{
		Method: http.MethodPost, URL: target, Host: m.request.Authority, Header: header,
		Body: body, ContentLength: int64(len(m.request.Body)),
	}, nil
}

// requestBody records whether the transport has begun to read it, which it only does after sending the
// header.
type requestBody struct {
	bytes.Reader
	touched atomic.Bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.touched.Store(true)
	return b.Reader.Read(p)
}

// WriteTo overrides bytes.Reader's, which would bypass Read.
func (b *requestBody) WriteTo(w io.Writer) (int64, error) {
	b.touched.Store(true)
	return b.Reader.WriteTo(w)
}

func (b *requestBody) Close() error { return nil }

// readAnswer reads the first bytes of an answer's body within bodyTimeout and closes it. Errors do not
// matter: the status has arrived.
func readAnswer(response *http.Response, cancel context.CancelFunc) []byte {
	defer response.Body.Close()
	if response.ContentLength == 0 || response.Body == http.NoBody {
		return nil
	}
	timer := time.AfterFunc(bodyTimeout, cancel)
	defer timer.Stop()
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return text
}
