package fakefcm

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice"
)

// serveCheckin makes the browser a device.
func (s *Server) serveCheckin(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxStanza))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c, err := parseCheckin(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if c.id == 0 {
		c.id = randomID()
	}
	if c.security == 0 {
		c.security = randomID()
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(appendCheckinResponse(nil, c, s.now().UnixMilli()))
}

// randomID returns a positive number that also fits an int64, since Chromium
// turns it into decimal text.
func randomID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])>>2 + 1
}

// serveRegister registers a subscription, or ends one (delete=true). It reports
// errors in the body of a 200, as the real service does.
func (s *Server) serveRegister(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	form := r.PostForm
	w.Header().Set("Content-Type", "text/plain")
	target := registration{app: form.Get("app"), subtype: form.Get("X-subtype"), sender: form.Get("sender")}
	switch {
	case form.Get("delete") == "true":
		s.unregister(form.Get("device"), target.subtype)
		fmt.Fprintf(w, "token=%s", form.Get("appid"))
	case guid(target.subtype) == "":
		// Chromium registers itself too; no test sends to that token.
		fmt.Fprintf(w, "token=%s", newToken("chromium"))
	default:
		if code, ok := s.takeRefusal(); ok {
			fmt.Fprintf(w, "Error=%s", code)
			return
		}
		token := newToken(form.Get("appid"))
		s.mu.Lock()
		s.targets[token] = target
		s.mu.Unlock()
		s.Register(pushservice.Registration{Token: token, Key: target.sender, Device: form.Get("device")})
		fmt.Fprintf(w, "token=%s", token)
	}
}

// unregister ends the subscription that the browser names subtype.
func (s *Server) unregister(device, subtype string) {
	s.mu.Lock()
	var tokens []string
	for token, target := range s.targets {
		if target.subtype == subtype {
			tokens = append(tokens, token)
		}
	}
	s.mu.Unlock()
	for _, token := range tokens {
		if r, ok := s.Lookup(token); ok && r.Device == device {
			s.Expire(token)
		}
	}
}

// newToken makes a token of FCM's length and alphabet.
func newToken(appID string) string {
	var b [70]byte
	_, _ = rand.Read(b[:])
	return appID + ":APA91b" + base64.RawURLEncoding.EncodeToString(b[:])
}
