package webpush

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// sendTimeout bounds one attempt from name resolution to the answer.
	sendTimeout = 10 * time.Second
	// bodyTimeout bounds reading an answer's body. The status is known by
	// then, so a body that drips must not hold a sender.
	bodyTimeout = 2 * time.Second
	// maxAnswer is how much of an answer's body is read.
	maxAnswer = 4 << 10
	// maxAnswerHeader bounds the header of an answer.
	maxAnswerHeader = 16 << 10
	// handshakeTimeout bounds TLS.
	handshakeTimeout = 5 * time.Second
	// maxTries bounds how often a message is repeated that the service says
	// it did not look at, as when a connection is being retired.
	maxTries = 10
	// idleTimeout closes unused connections.
	idleTimeout = 5 * time.Minute
)

// Config is what a Client is made of. The zero Config is for production.
type Config struct {
	// Services are the push services that may be sent to; DefaultServices
	// where Empty.
	Services Services
	// Dial opens connections; PublicDialer() where nil. Another dialer gives
	// up the guard against inward addresses.
	Dial DialFunc
	// RootCAs are trusted; the system's where nil.
	RootCAs *x509.CertPool
	// Clock is the time; time.Now where nil.
	Clock func() time.Time
	// Timeout bounds one attempt; 10 s where 0.
	Timeout time.Duration
}

// Client sends messages to push services. It is safe for concurrent use and
// keeps connections open; Close releases them. It bounds connections, not
// callers: how much is in flight, and when to pause an origin, is theirs.
type Client struct {
	services Services
	pool     *pool
	tokens   *tokens
	now      func() time.Time
	timeout  time.Duration
}

// NewClient makes a Client.
func NewClient(c Config) *Client {
	if c.Services.Empty() {
		c.Services = DefaultServices()
	}
	if c.Dial == nil {
		c.Dial = PublicDialer()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Timeout <= 0 {
		c.Timeout = sendTimeout
	}
	return &Client{
		services: c.Services,
		pool:     newPool(newTransport(c.Dial, c.RootCAs)),
		tokens:   newTokens(c.Clock),
		now:      c.Clock,
		timeout:  c.Timeout,
	}
}

func newTransport(dial DialFunc, roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		// Explicitly none: through a proxy the dialer would see the proxy's
		// address only, and the proxy would connect wherever it is told.
		Proxy:                  nil,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // no bombs; answers are short
		TLSHandshakeTimeout:    handshakeTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            roots,
			ClientSessionCache: tls.NewLRUClientSessionCache(64),
		},
		HTTP2: &http.HTTP2Config{
			// Push services close connections that ping more often than
			// every five minutes (too_many_pings).
			SendPingTimeout:  idleTimeout,
			WriteByteTimeout: sendTimeout,
		},
	}
}

// Close closes the connections, those in use when their last send has ended.
func (c *Client) Close() { c.pool.close() }

// Result is the outcome of one attempt.
type Result struct {
	Verdict
	// Service and Host are where the message was to go; empty where the
	// endpoint was refused.
	Service Service
	Host    string
	// Status is the HTTP status, 0 where there was no answer.
	Status int
	// MaybeSent is true where there was no answer but the message may have
	// been taken: another attempt may deliver it twice.
	MaybeSent bool
	// Err tells an operator more about anything but ClassAccepted and
	// ClassGone. It contains neither endpoint, keys nor token.
	Err error
}

// Send makes one attempt to send r, which takes at most the Client's timeout,
// and never follows a redirect. The endpoint is checked again first, whatever
// was checked when it was stored.
func (c *Client) Send(ctx context.Context, r *Request) Result {
	endpoint, err := c.services.Check(r.Endpoint)
	if err != nil {
		return Result{Verdict: Verdict{Class: ClassFailed, Reason: ReasonEndpointRefused}, Err: err}
	}
	result := Result{Service: endpoint.Service, Host: endpoint.Host}
	message, err := c.prepare(endpoint, r)
	if err != nil {
		result.Verdict, result.Err = localVerdict(err), err
		return result
	}

	sending, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	got, err := c.exchange(sending, endpoint.Host, message)
	result.Status, result.MaybeSent = got.status, got.maybeSent
	if err != nil {
		result.Verdict = transportVerdict(ctx, err)
		result.Err = &sendError{host: endpoint.Host, cause: err, text: withhold(err.Error(), r.Endpoint)}
		return result
	}
	result.Verdict = Classify(endpoint.Service, got.status, got.header, got.text, c.now())
	if result.Class != ClassAccepted && result.Class != ClassGone {
		result.Err = answerError(endpoint.Host, got, r.Endpoint)
	}
	return result
}

// message is a request that is ready to be sent, more than once if need be.
type message struct {
	url    *url.URL
	host   string
	header http.Header
	body   []byte
}

// prepare checks, signs and encrypts r.
func (c *Client) prepare(endpoint Endpoint, r *Request) (*message, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if len(r.Payload) > PayloadLimit(endpoint.Service) {
		// Before the token, so that a hopeless message costs nothing.
		return nil, &PayloadError{Size: len(r.Payload), Limit: PayloadLimit(endpoint.Service)}
	}
	authorization, err := c.tokens.authorization(r.Key, endpoint.Origin, r.Contact)
	if err != nil {
		return nil, &vapidError{err}
	}
	body, err := Encrypt(nil, r.Payload, r.P256DH, r.Auth, endpoint.Service)
	if err != nil {
		return nil, err
	}
	header := r.header(endpoint.Service)
	header["Authorization"] = []string{authorization}
	return &message{url: endpoint.url, host: endpoint.Host, header: header, body: body}, nil
}

// answer is what a push service said; status is 0 where it said nothing.
type answer struct {
	status    int
	header    http.Header
	text      []byte // the beginning of the body
	maybeSent bool
}

// exchange sends m and reads the answer. A service that is retiring a
// connection hands back what it did not look at; that is repeated at once.
func (c *Client) exchange(ctx context.Context, host string, m *message) (answer, error) {
	for try := 1; ; try++ {
		got, again, err := c.try(ctx, host, m)
		if err == nil || !again || try == maxTries || ctx.Err() != nil {
			return got, err
		}
	}
}

// try sends m once. again says that the service did not look at it.
//
// It uses a connection's RoundTrip instead of http.Client, which follows no
// redirects, keeps no cookies and does not put the URL into its errors.
func (c *Client) try(ctx context.Context, host string, m *message) (got answer, again bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := c.pool.acquire(ctx, host)
	if err != nil {
		return answer{}, false, err
	}
	defer l.release()
	body := &requestBody{Reader: *bytes.NewReader(m.body)}
	request := &http.Request{
		Method:        http.MethodPost,
		URL:           m.url,
		Host:          m.host,
		Header:        m.header,
		Body:          body,
		ContentLength: int64(len(m.body)),
	}
	response, err := l.roundTrip(request.WithContext(ctx))
	if err != nil {
		again = isUnprocessed(err, body)
		return answer{maybeSent: !again}, again, err
	}
	text := readAnswer(response, cancel)
	return answer{status: response.StatusCode, header: response.Header, text: text}, false, nil
}

// requestBody notes whether the transport has begun to read it, which it does
// only once the header is on its way.
type requestBody struct {
	bytes.Reader
	touched atomic.Bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.touched.Store(true)
	return b.Reader.Read(p)
}

// WriteTo hides bytes.Reader's, which would pass Read by.
func (b *requestBody) WriteTo(w io.Writer) (int64, error) {
	b.touched.Store(true)
	return b.Reader.WriteTo(w)
}

func (b *requestBody) Close() error { return nil }

// readAnswer reads the first bytes of an answer's body within bodyTimeout and
// closes it. Errors do not matter, as the status has arrived.
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

// localVerdict is for what kept a message from being sent at all.
func localVerdict(err error) Verdict {
	var (
		vapid   *vapidError
		payload *PayloadError
		key     *KeyError
	)
	switch {
	case errors.As(err, &vapid):
		return Verdict{Class: ClassOurFault, Reason: ReasonVAPID, PauseOrigin: true}
	case errors.As(err, &payload):
		return Verdict{Class: ClassFailed, Reason: ReasonTooLarge}
	case errors.As(err, &key):
		return Verdict{Class: ClassFailed, Reason: ReasonBadKeys}
	}
	return Verdict{Class: ClassFailed, Reason: ReasonInvalidMessage}
}

// transportVerdict is for attempts without an answer. None of them says
// anything about the subscription. ctx is the caller's.
func transportVerdict(ctx context.Context, err error) Verdict {
	var (
		address     *AddressError
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		alert       tls.AlertError
		record      tls.RecordHeaderError
		timeout     net.Error
	)
	v := Verdict{Class: ClassLater, Reason: ReasonNetwork}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		v.Reason = ReasonCanceled
	case errors.As(err, &address):
		v.Reason = ReasonAddressRefused
	case errors.As(err, &dns):
		v.Reason = ReasonDNS
	case errors.As(err, &certificate), errors.As(err, &alert), errors.As(err, &record):
		v.Reason = ReasonTLS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		v.Reason = ReasonTimeout
	}
	return v
}
