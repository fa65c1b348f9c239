package pushservice

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config describes a push service.
type Config struct {
	// Authority signs the service's certificate.
	Authority *Authority
	// Hosts are the names that the service answers to, for example
	// "fcm.googleapis.com".
	Hosts []string
	// Paths are the push resources' prefixes, each ending in "/"; the
	// subscription's token is the one segment that follows.
	Paths []string
	// BadVAPID is the status for a missing, wrong or foreign VAPID header:
	// 403 at FCM, 401 at autopush.
	BadVAPID int
	// Deliver passes an accepted message to the browser's side. It must not
	// block. Required.
	Deliver func(Message)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Registration is a subscription as the push service knows it.
type Registration struct {
	Token  string // last path segment of the endpoint
	Key    string // applicationServerKey, base64url without padding; "" allows any sender
	Device string // the browser's id, in the form of the browser's side
}

// Message is a message that was answered with 201.
type Message struct {
	Registration
	ID       string // last path segment of the Location in the answer
	Host     string // which of Config.Hosts it was posted to
	TTL      time.Duration
	Urgency  string // as sent, "" where absent
	Topic    string // as sent, "" where absent
	Body     []byte // aes128gcm ciphertext (RFC 8188), nil for a message without payload
	Header   http.Header
	VAPID    VAPID
	Received time.Time
}

// Attempt is one request to a push resource, accepted or not.
type Attempt struct {
	Token    string
	Proto    string // "HTTP/2.0" or "HTTP/1.1"
	Status   int    // 0: connection dropped on purpose
	Reason   string // why it was not accepted, "" otherwise
	Received time.Time
}

// Answer is a forced answer, see [Service.ForceNext].
type Answer struct {
	Status int         // for example 503; 0 drops the connection instead of answering
	Header http.Header // for example Retry-After; may be nil
	// Token limits the answer to one subscription; "" means any.
	Token string
	// Delay passes before the answer is sent, or until the client disconnects.
	Delay time.Duration
}

// Service is a running push service. Its methods may be called concurrently.
type Service struct {
	config   Config
	listener net.Listener
	server   *http.Server
	served   chan struct{}

	mu            sync.Mutex
	registrations map[string]*registration
	forced        []Answer
	messages      []Message
	attempts      []Attempt
	changed       chan struct{} // closed and replaced when messages or attempts grow
}

type registration struct {
	Registration
	gone bool
}

// Start starts a service on a free loopback port. The caller must call Close.
func Start(config Config) (*Service, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	cert, err := config.Authority.Issue(config.Hosts...)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for messages: %w", err)
	}
	s := &Service{
		config:        config,
		listener:      listener,
		served:        make(chan struct{}),
		registrations: make(map[string]*registration),
		changed:       make(chan struct{}),
	}
	s.server = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          discardLog(),
	}
	go func() {
		defer close(s.served)
		_ = s.server.ServeTLS(listener, "", "")
	}()
	return s, nil
}

// Close ends all connections and waits until the server has stopped.
func (s *Service) Close() error {
	err := s.server.Close()
	<-s.served
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the push service: %w", err)
	}
	return nil
}

// Hosts maps each of the service's public addresses ("host:443") to the loopback
// address where it listens, for [Dial] and [NewClient].
func (s *Service) Hosts() map[string]string {
	hosts := make(map[string]string, len(s.config.Hosts))
	for _, host := range s.config.Hosts {
		hosts[net.JoinHostPort(host, "443")] = s.listener.Addr().String()
	}
	return hosts
}

// Register adds a subscription. A token that is registered twice is renewed.
func (s *Service) Register(r Registration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registrations[r.Token] = &registration{Registration: r}
}

// Lookup finds a live subscription.
func (s *Service) Lookup(token string) (Registration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.registrations[token]
	if r == nil || r.gone {
		return Registration{}, false
	}
	return r.Registration, true
}

// Expire ends a subscription without notice to the browser: later sends to it are
// answered 410. It takes a token or a whole endpoint URL and reports whether such
// a live subscription existed.
func (s *Service) Expire(tokenOrEndpoint string) bool {
	token := Token(tokenOrEndpoint)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.registrations[token]
	if r == nil || r.gone {
		return false
	}
	r.gone = true
	return true
}

// ExpireDevice ends all of a device's subscriptions, as Expire does.
func (s *Service) ExpireDevice(device string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.registrations {
		if r.Device == device {
			r.gone = true
		}
	}
}

// Forget removes a subscription completely: sends are answered 404.
func (s *Service) Forget(tokenOrEndpoint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.registrations, Token(tokenOrEndpoint))
}

// ForceNext queues answers for the next requests that would be answered with 201.
// An invalid request still gets its own error, so a forced answer can't hide a
// broken sender. Each answer is used once, in order; the message is then neither
// delivered nor recorded.
func (s *Service) ForceNext(answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forced = append(s.forced, answers...)
}

func (s *Service) takeForced(token string) (Answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.forced, func(a Answer) bool { return a.Token == "" || a.Token == token })
	if i < 0 {
		return Answer{}, false
	}
	answer := s.forced[i]
	s.forced = slices.Delete(s.forced, i, i+1)
	return answer, true
}

// Messages returns the accepted messages so far, oldest first.
func (s *Service) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Attempts returns all requests so far, oldest first.
func (s *Service) Attempts() []Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attempts)
}

// WaitAttempts waits until at least n requests have been answered and returns
// all of them.
func (s *Service) WaitAttempts(ctx context.Context, n int) ([]Attempt, error) {
	for {
		s.mu.Lock()
		attempts, changed := slices.Clone(s.attempts), s.changed
		s.mu.Unlock()
		if len(attempts) >= n {
			return attempts, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return attempts, fmt.Errorf("waiting for %d requests, saw %d: %w", n, len(attempts), ctx.Err())
		}
	}
}

func (s *Service) record(attempt Attempt, message *Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts = append(s.attempts, attempt)
	if message != nil {
		s.messages = append(s.messages, *message)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// Token returns the last path segment of an endpoint URL; a bare token is
// returned unchanged.
func Token(endpoint string) string { return endpoint[strings.LastIndexByte(endpoint, '/')+1:] }

// MergeHosts joins the address maps of several services.
func MergeHosts(all ...map[string]string) map[string]string {
	merged := make(map[string]string)
	for _, hosts := range all {
		maps.Copy(merged, hosts)
	}
	return merged
}
