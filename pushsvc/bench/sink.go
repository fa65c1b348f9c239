//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush/certtest"
)

// streams is how many concurrent requests a connection accepts, like FCM's.
const streams = 100

// arrivals counts the messages that a push service has received since it was reset.
type arrivals struct {
	// Distinct is the number of subscribers that got a push, Repeated the pushes beyond one each, Malformed
	// those that a push service would refuse.
	Distinct  int64 `json:"distinct"`
	Repeated  int64 `json:"repeated"`
	Malformed int64 `json:"malformed"`
	// First and Last are when the first and the last one arrived, ns since 1970.
	First int64 `json:"first"`
	Last  int64 `json:"last"`
	// Received and Sent are bytes on TCP, including handshakes; Bodies only those of the encrypted messages.
	Received    int64 `json:"received"`
	Sent        int64 `json:"sent"`
	Bodies      int64 `json:"bodies"`
	Connections int64 `json:"connections"`
}

// sink is a push service that accepts everything, and counts.
type sink struct {
	mu   sync.Mutex
	seen []bool
	got  arrivals

	received, sent, connections atomic.Int64
}

// greeting is the first output of a sink's process.
type greeting struct {
	Address     string `json:"address"`
	Certificate string `json:"certificate"` // PEM
}

// serveSink is a push service until the end of its input. A line with a number resets it to that many
// subscribers. It answers each line, also an empty one, with the arrivals.
func serveSink(ctx context.Context, _ task, in io.Reader, answers *json.Encoder) error {
	certificate, err := certtest.New(pushHost)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	s := new(sink)
	server := &http.Server{
		Handler: s, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: streams},
		ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
	}
	defer server.Close()
	go func() { _ = server.ServeTLS(&countingListener{listener, s}, "", "") }()
	if err := answers.Encode(greeting{listener.Addr().String(), string(certtest.PEM(certificate))}); err != nil {
		return fmt.Errorf("writing the address: %w", err)
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if lines.Text() != "" {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				return fmt.Errorf("reading a number: %w", err)
			}
			s.reset(n)
		}
		if err := answers.Encode(s.report()); err != nil {
			return fmt.Errorf("reporting: %w", err)
		}
	}
	return nil
}

func (s *sink) reset(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.got = make([]bool, n), arrivals{}
	s.received.Store(0)
	s.sent.Store(0)
	s.connections.Store(0)
}

func (s *sink) report() arrivals {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.got
	a.Received, a.Sent, a.Connections = s.received.Load(), s.sent.Load(), s.connections.Load()
	return a
}

// ServeHTTP implements http.Handler.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now().UnixNano()
	const limit = 1 << 16
	size, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		http.Error(w, "body", http.StatusBadRequest)
		return
	}
	if s.take(r, size, at) {
		w.WriteHeader(http.StatusCreated)
		return
	}
	http.Error(w, "malformed", http.StatusBadRequest)
}

// smallest is the minimum size of an encrypted message: the header of RFC 8188 §2.1 with a key (RFC 8291 §4),
// the delimiter and the tag.
const smallest = 16 + 4 + 1 + 65 + 1 + 16

func (s *sink) take(r *http.Request, size, at int64) bool {
	number, ok := subscriberOf(r.URL.Path)
	h := r.Header
	signed := strings.HasPrefix(h.Get("Authorization"), "vapid t=")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !ok || number >= uint64(len(s.seen)) || !signed || r.Method != http.MethodPost ||
		h.Get("Content-Encoding") != "aes128gcm" || h.Get("TTL") == "" || size < smallest:
		s.got.Malformed++
		return false
	case s.seen[number]:
		s.got.Repeated++
	default:
		s.seen[number] = true
		s.got.Distinct++
	}
	if s.got.First == 0 {
		s.got.First = at
	}
	s.got.Last = at
	s.got.Bodies += size
	return true
}

// rootsOf returns the roots of a task.
func rootsOf(certificate string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(certificate)) {
		return nil, errors.New("the push service's certificate can't be read")
	}
	return pool, nil
}

// countingListener counts the bytes on its connections.
type countingListener struct {
	net.Listener
	sink *sink
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.sink.connections.Add(1)
	return &countingConn{conn, l.sink}, nil
}

type countingConn struct {
	net.Conn
	sink *sink
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.sink.received.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sink.sent.Add(int64(n))
	return n, err
}

// pushService is the process of a sink, seen from outside.
type pushService struct {
	*process
	greeting
}

func startSink(ctx context.Context) (*pushService, error) {
	p, err := startPart(ctx, partSink, task{})
	if err != nil {
		return nil, err
	}
	s := &pushService{process: p}
	return s, p.answer(&s.greeting)
}

// expect resets it to n subscribers.
func (s *pushService) expect(n int) error {
	_, err := s.ask(strconv.Itoa(n))
	return err
}

// arrivals returns the messages that have arrived.
func (s *pushService) arrivals() (arrivals, error) { return s.ask("") }

func (s *pushService) ask(line string) (a arrivals, err error) {
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		return a, fmt.Errorf("asking the push service: %w", err)
	}
	return a, s.answer(&a)
}

// countError means that not every subscriber got the message exactly once.
type countError struct {
	sender   string
	expected int
	got      arrivals
}

func (e *countError) Error() string {
	return fmt.Sprintf("%s: of %d subscribers %d got the message, %d pushes were repeated and %d malformed",
		e.sender, e.expected, e.got.Distinct, e.got.Repeated, e.got.Malformed)
}

// exactlyOnce returns the arrivals, or a *countError.
func (s *pushService) exactlyOnce(sender string, n int) (arrivals, error) {
	a, err := s.arrivals()
	if err != nil {
		return a, err
	}
	if a.Distinct != int64(n) || a.Repeated != 0 || a.Malformed != 0 {
		return a, &countError{sender, n, a}
	}
	return a, nil
}
