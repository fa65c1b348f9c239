// Package fakeautopush is Mozilla's push service as Firefox sees it, on
// loopback: the WebSocket over which Firefox registers subscriptions and receives
// messages, and (through package pushservice) the HTTPS endpoint that takes
// messages from application servers.
//
// It implements what Firefox 153 needs. It does not imitate real autopush's
// quotas, message expiry, broadcasts and Topic replacement.
package fakeautopush

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice"
)

// Host is the public host name in the endpoints that this service issues.
const Host = "updates.push.services.mozilla.com"

const path = "/wpush/v2/"

// Config configures a [Server].
type Config struct {
	// Authority signs the certificate. Required.
	Authority *pushservice.Authority
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server is a running fake. The embedded Service has the hooks and the log of
// the application servers' side; a subscription's Device is Firefox's UAID.
type Server struct {
	*pushservice.Service

	web    *http.Server
	addr   string
	served sync.WaitGroup
	stop   context.CancelFunc // ends all WebSockets

	mu       sync.Mutex
	devices  map[string]*device // by UAID
	channels map[string]string  // token by channel id
	refuse   []int              // statuses of the next registrations
	acks     []Ack
	changed  chan struct{} // closed and replaced when acks grows
}

// Ack is Firefox's answer to a delivered message.
type Ack struct {
	MessageID string // [pushservice.Message].ID
	// Code is 100 when the push event was dispatched, 101 for a message that
	// can't be decrypted, 102 for an unknown channel or a repeat; 301 to 303 (a
	// nack, after an ack with 100) for a worker that failed, such as one whose
	// showNotification was rejected.
	Code int
}

// Start starts a server on free loopback ports. The caller must call Close.
func Start(config Config) (*Server, error) {
	s := &Server{
		devices:  make(map[string]*device),
		channels: make(map[string]string),
		changed:  make(chan struct{}),
	}
	service, err := pushservice.Start(pushservice.Config{
		Authority: config.Authority,
		Hosts:     []string{Host},
		Paths:     []string{path},
		BadVAPID:  http.StatusUnauthorized,
		Deliver:   s.deliver,
		Now:       config.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("starting the autopush endpoint: %w", err)
	}
	s.Service = service
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for Firefox: %w", err), service.Close())
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.addr = listener.Addr().String()
	s.web = &http.Server{
		Handler:           http.HandlerFunc(s.serveBrowser),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	s.served.Go(func() { _ = s.web.Serve(listener) })
	return s, nil
}

// Close ends all connections and waits until everything has stopped.
func (s *Server) Close() error {
	s.stop()
	err := errors.Join(s.web.Close(), s.Service.Close())
	s.served.Wait()
	return err
}

// FirefoxPrefs are the preferences that make Firefox use this server. They must
// be in user.js before the start: Firefox's remote agent turns push off unless
// the profile says otherwise.
func (s *Server) FirefoxPrefs() map[string]any {
	return map[string]any{
		"dom.push.enabled":                        true,
		"dom.push.connection.enabled":             true,
		"dom.push.serverURL":                      "ws://" + s.addr + "/",
		"dom.push.testing.allowInsecureServerURL": true,
		"dom.push.retryBaseInterval":              200, // ms; 5000 by default
	}
}

// RefuseRegistrations answers the next registrations with these statuses (for
// example 409 or 500); subscribe() then fails with an AbortError.
func (s *Server) RefuseRegistrations(statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = append(s.refuse, statuses...)
}

// DropConnections ends the browsers' WebSockets. Firefox reconnects after some
// hundred milliseconds and then receives the queued messages.
func (s *Server) DropConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		d.disconnect()
	}
}

// ForgetBrowsers drops all browsers and their subscriptions: sends are answered
// 410. Each browser gets a new UAID when it connects again, and its workers then
// get pushsubscriptionchange.
func (s *Server) ForgetBrowsers() {
	s.mu.Lock()
	var gone []string
	for uaid, d := range s.devices {
		d.disconnect()
		gone = append(gone, uaid)
	}
	clear(s.devices)
	s.mu.Unlock()
	for _, uaid := range gone {
		s.ExpireDevice(uaid)
	}
}

// Undelivered returns how many messages no browser has acknowledged yet.
func (s *Server) Undelivered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, d := range s.devices {
		n += len(d.queue)
	}
	return n
}

// Acks returns the browsers' answers to messages so far, oldest first.
func (s *Server) Acks() []Ack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acks)
}

// WaitAck waits for the first answer to a message.
func (s *Server) WaitAck(ctx context.Context, messageID string) (Ack, error) {
	for {
		s.mu.Lock()
		acks, changed := slices.Clone(s.acks), s.changed
		s.mu.Unlock()
		if i := slices.IndexFunc(acks, func(a Ack) bool { return a.MessageID == messageID }); i >= 0 {
			return acks[i], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Ack{}, fmt.Errorf("waiting for the ack of message %s: %w", messageID, ctx.Err())
		}
	}
}
