package pushservice

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxBody is the largest message that a push service must accept (RFC 8030
// section 7.2); FCM and autopush accept no larger one.
const maxBody = 4096

// rejection is an answer other than 201, with the reason for the log.
type rejection struct {
	status int
	reason string
}

func reject(status int, format string, args ...any) *rejection {
	return &rejection{status, fmt.Sprintf(format, args...)}
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	received := s.config.Now()
	attempt := Attempt{Token: Token(r.URL.Path), Proto: r.Proto, Received: received}
	message, refused := s.judge(r, received)
	if refused != nil {
		attempt.Status, attempt.Reason = refused.status, refused.reason
		s.record(attempt, nil)
		http.Error(w, refused.reason, refused.status)
		return
	}
	if answer, ok := s.takeForced(message.Token); ok {
		attempt.Status, attempt.Reason = answer.Status, "forced"
		s.record(attempt, nil)
		force(w, r, answer)
		return
	}
	attempt.Status = http.StatusCreated
	// Deliver first: a caller that waits for the record may rely on the delivery.
	s.config.Deliver(*message)
	s.record(attempt, message)
	location := url.URL{Scheme: "https", Host: r.Host, Path: "/message/" + message.ID}
	w.Header().Set("Location", location.String())
	w.Header().Set("TTL", strconv.Itoa(int(message.TTL/time.Second)))
	w.WriteHeader(http.StatusCreated)
}

// force sends a forced answer.
func force(w http.ResponseWriter, r *http.Request, answer Answer) {
	if answer.Delay > 0 {
		timer := time.NewTimer(answer.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	if answer.Status == 0 {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	http.Error(w, "forced by the test", answer.Status)
}

// judge checks in the order in which a real service can: which subscription it
// is, whether the sender may use it, whether the message is well formed.
func (s *Service) judge(r *http.Request, now time.Time) (*Message, *rejection) {
	if !slices.Contains(s.config.Hosts, r.Host) {
		return nil, reject(http.StatusMisdirectedRequest, "host %q is not served here", r.Host)
	}
	token, ok := s.tokenOf(r.URL.Path)
	if !ok {
		return nil, reject(http.StatusNotFound, "no push resource at this path")
	}
	if r.Method != http.MethodPost {
		return nil, reject(http.StatusMethodNotAllowed, "method %s", r.Method)
	}
	registered, refused := s.find(token)
	if refused != nil {
		return nil, refused
	}
	vapid, err := VerifyVAPID(r.Header.Get("Authorization"), "https://"+r.Host, now)
	if err != nil {
		return nil, reject(s.config.BadVAPID, "VAPID: %v", err)
	}
	if registered.Key != "" && vapid.Key != registered.Key {
		return nil, reject(s.config.BadVAPID, "VAPID: the subscription belongs to another key")
	}
	message := &Message{
		Registration: registered, ID: rand.Text(), Host: r.Host,
		Header: r.Header.Clone(), VAPID: vapid, Received: now,
	}
	if refused := readHeaders(r.Header, message); refused != nil {
		return nil, refused
	}
	if refused := readBody(r, message); refused != nil {
		return nil, refused
	}
	return message, nil
}

// tokenOf extracts the token from the path of a push resource.
func (s *Service) tokenOf(path string) (string, bool) {
	for _, prefix := range s.config.Paths {
		token, ok := strings.CutPrefix(path, prefix)
		if ok && token != "" && !strings.Contains(token, "/") {
			return token, true
		}
	}
	return "", false
}

func (s *Service) find(token string) (Registration, *rejection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.registrations[token]
	switch {
	case r == nil:
		return Registration{}, reject(http.StatusNotFound, "unknown subscription")
	case r.gone:
		return Registration{}, reject(http.StatusGone, "subscription has ended")
	}
	return r.Registration, nil
}

// readHeaders checks TTL, Urgency and Topic (RFC 8030 sections 5.2 to 5.4).
func readHeaders(h http.Header, m *Message) *rejection {
	seconds, err := strconv.ParseUint(h.Get("TTL"), 10, 31)
	if err != nil {
		return reject(http.StatusBadRequest, "TTL %q is not a number of seconds", h.Get("TTL"))
	}
	m.TTL = time.Duration(seconds) * time.Second
	m.Urgency = h.Get("Urgency")
	if !slices.Contains([]string{"", "very-low", "low", "normal", "high"}, m.Urgency) {
		return reject(http.StatusBadRequest, "unknown Urgency %q", m.Urgency)
	}
	m.Topic = h.Get("Topic")
	if len(m.Topic) > 32 || strings.IndexFunc(m.Topic, notURLSafe) >= 0 {
		return reject(http.StatusBadRequest, "Topic %q is not up to 32 base64url characters", m.Topic)
	}
	return nil
}

func notURLSafe(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}

func readBody(r *http.Request, m *Message) *rejection {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return reject(http.StatusRequestEntityTooLarge, "more than %d bytes", maxBody)
	case err != nil:
		return reject(http.StatusBadRequest, "reading the body: %v", err)
	case len(body) == 0:
		return nil
	}
	// The only encoding that browsers accept (RFC 8291 section 4).
	if encoding := r.Header.Get("Content-Encoding"); encoding != "aes128gcm" {
		return reject(http.StatusBadRequest, "Content-Encoding is %q, not aes128gcm", encoding)
	}
	m.Body = body
	return nil
}

// discardLog silences net/http: handshakes that clients break off are normal.
func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
