// Package fakefcm is Firebase Cloud Messaging as Chromium sees it, on loopback:
// device check-in, registration, the persistent MCS connection that carries
// messages to the browser, and (through package pushservice) the HTTPS endpoint
// that takes them from application servers.
//
// It implements what Chromium 156 needs. It does not imitate real FCM's quotas,
// message expiry and Topic replacement.
package fakefcm

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice"
)

// Config configures a [Server].
type Config struct {
	// Authority signs the certificates. Required.
	Authority *pushservice.Authority
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// NonStable makes a Chromium that is not of the stable channel issue
	// endpoints at jmt17.google.com, as real builds of that kind do, instead of
	// at fcm.googleapis.com.
	NonStable bool
}

// Server is a running fake. The embedded Service has the hooks and the log of
// the application servers' side; a subscription's Device is Chromium's Android
// id in decimal.
type Server struct {
	*pushservice.Service

	config Config
	now    func() time.Time
	api    *http.Server // check-in and registration
	apiURL string
	mcs    net.Listener
	spki   string
	served sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	conns   map[net.Conn]struct{}   // MCS, also before login
	devices map[string]*device      // by Android id
	targets map[string]registration // by token
	refuse  []string                // answers to the next registrations
}

// registration is Chromium's data about a subscription from its registration;
// each message must carry it.
type registration struct {
	app, subtype, sender string
}

// Start starts a server on free loopback ports. The caller must call Close.
func Start(config Config) (_ *Server, err error) {
	s := &Server{
		config: config, now: config.Now,
		conns: make(map[net.Conn]struct{}), devices: make(map[string]*device), targets: make(map[string]registration),
	}
	if s.now == nil {
		s.now = time.Now
	}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	s.Service, err = pushservice.Start(pushservice.Config{
		Authority: config.Authority,
		Hosts:     []string{"fcm.googleapis.com", "jmt17.google.com"},
		Paths:     []string{"/fcm/send/", "/wp/", "/preprod/wp/"},
		BadVAPID:  http.StatusForbidden,
		Deliver:   s.deliver,
		Now:       s.now,
	})
	if err != nil {
		return nil, fmt.Errorf("starting the FCM endpoint: %w", err)
	}
	if err = s.startAPI(); err != nil {
		return nil, err
	}
	return s, s.startMCS()
}

func (s *Server) startAPI() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for check-ins: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /checkin", s.serveCheckin)
	mux.HandleFunc("POST /c2dm/register3", s.serveRegister)
	s.api = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	s.apiURL = "http://" + listener.Addr().String()
	s.served.Go(func() { _ = s.api.Serve(listener) })
	return nil
}

func (s *Server) startMCS() error {
	cert, err := s.config.Authority.Issue("127.0.0.1")
	if err != nil {
		return err
	}
	s.spki = pushservice.SPKIHash(cert)
	s.mcs, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		return fmt.Errorf("listening for MCS: %w", err)
	}
	s.served.Go(s.acceptMCS)
	return nil
}

// Close ends all connections and waits until everything has stopped.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	var errs []error
	if s.Service != nil {
		errs = append(errs, s.Service.Close())
	}
	if s.api != nil {
		errs = append(errs, s.api.Close())
	}
	if s.mcs != nil {
		errs = append(errs, s.mcs.Close())
	}
	s.closeConns()
	s.served.Wait()
	return errors.Join(errs...)
}

func (s *Server) closeConns() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}

// ChromiumFlags are the switches that make Chromium use this server. They need
// a --user-data-dir, and pushes need one network interface besides loopback
// that is up and has an address.
func (s *Server) ChromiumFlags() []string {
	flags := []string{
		"--gcm-checkin-url=" + s.apiURL + "/checkin",
		"--gcm-registration-url=" + s.apiURL + "/c2dm/register3",
		"--gcm-mcs-endpoint=https://" + s.mcs.Addr().String(),
		"--ignore-certificate-errors-spki-list=" + s.spki,
	}
	if !s.config.NonStable {
		flags = append(flags, "--enable-features=PushMessagingGcmEndpointWebpushPath")
	}
	return flags
}

// SPKIHash is the hash of the MCS certificate's key, as in
// --ignore-certificate-errors-spki-list.
func (s *Server) SPKIHash() string { return s.spki }

// RefuseRegistrations answers the next registrations with these error codes, for
// example "INVALID_SENDER" or "QUOTA_EXCEEDED"; subscribe() then fails at once
// with an AbortError. (With PHONE_REGISTRATION_ERROR, Chromium waits for 20
// seconds and tries again.)
func (s *Server) RefuseRegistrations(codes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = append(s.refuse, codes...)
}

func (s *Server) takeRefusal() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refuse) == 0 {
		return "", false
	}
	code := s.refuse[0]
	s.refuse = s.refuse[1:]
	return code, true
}

// DropConnections ends the browsers' MCS connections. Chromium logs in again
// after 0.1 s if it had been connected for more than 10 s, else after 25 s. It
// then receives the queued messages.
func (s *Server) DropConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		d.disconnect()
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

// guid extracts Chromium's name of a subscription from the register form's
// X-subtype, "wp:<origin>/#<GUID>-V2", for error messages.
func guid(subtype string) string {
	_, id, _ := strings.Cut(subtype, "#")
	return id
}
