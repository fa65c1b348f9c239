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
	// maxBarren is the same for connections without any answer so far.
	maxBarren = 3
	// idleTimeout closes unused connections.
	idleTimeout = 5 * time.Minute
)

// Config is what a Client is made of. The zero Config is for production.
type Config struct {
	// Services are the push services that may be sent to; DefaultServices
	// where there are none.
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
		// Before the token, so that a hopeless message costs nothing.
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

// exchange sends m and reads the answer. A service that is retiring a
// connection hands back what it did not look at; that is repeated at once,
// unless it does so on connections on which it never answered anything.
func (c *Client) exchange(ctx context.Context, m *message) (answer, error) {
	deadline := time.Now().Add(c.timeout)
	for try, barren := 1, 0; ; try++ {
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
			barren++
		}
		if barren == maxBarren {
			return got, err
		}
	}
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
		// crypto/tls's words for an alert that was received or sent.
		errors.As(err, &operation) && (operation.Op == "remote error" || operation.Op == "local error"):
		v.Reason = ReasonTLS
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, h2push.ErrSilent), errors.As(err, &timeout) && timeout.Timeout():
		v.Reason = ReasonTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		v.Reason = ReasonRefused
	}
	return v
}
