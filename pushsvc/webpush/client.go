package webpush

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush/h2push"
)

const (
	// sendTimeout bounds one attempt from name resolution to the answer.
	sendTimeout = 10 * time.Second
	// bodyTimeout bounds reading an answer's body: the status is known by then, so a slow body must not hold
	// up a sender.
	bodyTimeout = 2 * time.Second
	// maxAnswer is how much of an answer's body is read.
	maxAnswer = 4 << 10
	// maxAnswerHeader bounds the header of an answer.
	maxAnswerHeader = 16 << 10
	// handshakeTimeout bounds TLS.
	handshakeTimeout = 5 * time.Second
	// maxTries bounds the attempts for a message that the service did not process, as when it retires a
	// connection.
	maxTries = 10
	// maxUnanswered bounds the attempts on connections that never answered.
	maxUnanswered = 3
	// idleTimeout closes unused connections.
	idleTimeout = 5 * time.Minute
)

// Config configures a Client. The zero Config is for production.
type Config struct {
	// Services are the push services that may be sent to; the default is DefaultServices.
	Services Services
	// Dial opens connections; the default is PublicDialer(). Another dialer loses the guard against internal
	// addresses.
	Dial DialFunc
	// RootCAs are trusted; the default is the system's.
	RootCAs *x509.CertPool
	// Clock returns the time; the default is time.Now.
	Clock func() time.Time
	// Timeout bounds one attempt; the default is 10 s.
	Timeout time.Duration
}

// Client sends messages to push services. It is safe for concurrent use and keeps connections open; Close
// releases them. It bounds connections; callers bound what is in flight, and decide when to pause an origin.
type Client struct {
	services Services
	pool     *pool
	tokens   *tokens
	now      func() time.Time
	timeout  time.Duration
	messages sync.Pool // of *message
}

// NewClient makes a Client.
func NewClient(c Config) *Client {
	if c.Services.empty() {
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
		pool:     newPool(newConnector(c.Dial, c.RootCAs)),
		tokens:   newTokens(c.Clock),
		now:      c.Clock,
		timeout:  c.Timeout,
		messages: sync.Pool{New: newMessage},
	}
}

// Close closes the connections; those in use close after their last send.
func (c *Client) Close() { c.pool.close() }

// Result is the outcome of one attempt.
type Result struct {
	Verdict
	// Service and Host are the message's destination; empty if the endpoint was refused.
	Service Service
	Host    string
	// Status is the HTTP status, 0 without an answer.
	Status int
	// MaybeSent is true if there was no answer but the service may have the message: another attempt may
	// deliver it twice.
	MaybeSent bool
	// Err has details for an operator, except for ClassAccepted and ClassGone. It contains no endpoint, keys
	// or token.
	Err error
}

// Send makes one attempt to send r, which takes at most the Client's timeout. It never follows a redirect,
// and always checks the endpoint again.
func (c *Client) Send(ctx context.Context, r *Request) Result {
	endpoint, err := c.services.Check(r.Endpoint)
	if err != nil {
		return Result{Verdict: Verdict{Class: ClassFailed, Reason: ReasonEndpointRefused}, Err: err}
	}
	result := Result{Service: endpoint.Service, Host: endpoint.Host}
	m := c.messages.Get().(*message)
	defer c.messages.Put(m)
	if err := c.prepare(m, endpoint, r); err != nil {
		result.Verdict, result.Err = localVerdict(err), err
		return result
	}

	got, err := c.exchange(ctx, m)
	result.Status, result.MaybeSent = got.status, got.maybeSent
	if err != nil {
		result.Verdict = transportVerdict(ctx, err)
		result.Err = &sendError{host: endpoint.Host, cause: err, text: withhold(err.Error(), r.Endpoint)}
		return result
	}
	if got.status/100 == 2 {
		result.Verdict = Verdict{Class: ClassAccepted, Reason: ReasonAccepted}
		return result
	}
	result.Verdict = Classify(endpoint.Service, got.status, got.header, got.text, c.now())
	if result.Class != ClassAccepted && result.Class != ClassGone {
		result.Err = answerError(endpoint.Host, got, r.Endpoint)
	}
	return result
}

// prepare checks, signs and encrypts r.
func (c *Client) prepare(m *message, endpoint Endpoint, r *Request) error {
	if err := r.check(); err != nil {
		return err
	}
	if len(r.Payload) > PayloadLimit(endpoint.Service) {
		// Before the token, so that a hopeless message is cheap.
		return &PayloadError{Size: len(r.Payload), Limit: PayloadLimit(endpoint.Service)}
	}
	authorization, err := c.tokens.authorization(r.Key, endpoint.Origin, r.Contact)
	if err != nil {
		return &vapidError{err}
	}
	m.request.Body, err = Encrypt(m.request.Body[:0], r.Payload, r.P256DH, r.Auth, endpoint.Service)
	if err != nil {
		return err
	}
	m.request.Authority, m.request.Path = endpoint.Host, endpoint.target
	m.request.Header = r.appendHeader(m.request.Header[:0], endpoint.Service, authorization)
	return nil
}

// exchange sends m and reads the answer. A service that retires a connection returns the requests that it did
// not process; they are repeated at once, unless it never answered on such connections.
func (c *Client) exchange(ctx context.Context, m *message) (answer, error) {
	deadline := time.Now().Add(c.timeout)
	for try, unanswered := 1, 0; ; try++ {
		l, h, err := c.pool.acquire(ctx, m.request.Authority, deadline)
		if err != nil {
			return answer{}, err
		}
		got, again, err := l.send(ctx, m, deadline)
		if got.wantsH1 {
			h.http1.Store(true)
			l.shutdown()
		}
		c.pool.release(m.request.Authority, h)
		if err == nil || !again || try == maxTries || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			return got, err
		}
		if !l.served() {
			unanswered++
		}
		if unanswered == maxUnanswered {
			return got, err
		}
	}
}

// localVerdict returns the verdict on an error before sending.
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

// transportVerdict returns the verdict on an attempt without an answer. It never concerns the subscription.
// ctx is the caller's.
func transportVerdict(ctx context.Context, err error) Verdict {
	var (
		address     *AddressError
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		alert       tls.AlertError
		record      tls.RecordHeaderError
		operation   *net.OpError
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
	case errors.As(err, &certificate), errors.As(err, &alert), errors.As(err, &record),
		// crypto/tls's texts for an alert that was received or sent.
		errors.As(err, &operation) && (operation.Op == "remote error" || operation.Op == "local error"):
		v.Reason = ReasonTLS
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, h2push.ErrSilent), errors.As(err, &timeout) && timeout.Timeout():
		v.Reason = ReasonTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		v.Reason = ReasonRefused
	}
	return v
}
