package caddytest

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Navigation is what a browser sends for a page, Posting what the SDK's fetch sends.
var (
	Navigation = map[string]string{
		"Accept":         "text/html,application/xhtml+xml,*/*;q=0.8",
		"Sec-Fetch-Dest": "document",
		"Sec-Fetch-Mode": "navigate",
		"Sec-Fetch-Site": "none",
	}
	Posting = map[string]string{"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
)

// Client sends a server at URL what browsers send.
type Client struct {
	T   testing.TB
	URL string
}

// Request sends one request; host names the site. It tries again where the
// connection is reset: Caddy resets those that wait to be accepted when it
// closes a listener, with or without us.
func (c Client) Request(method, host, path string, header map[string]string, body string) (*http.Response, string) {
	c.T.Helper()
	var lost error
	for range 10 {
		resp, got, err := c.Try(method, host, path, header, body)
		if err == nil {
			return resp, got
		}
		lost = err
		time.Sleep(20 * time.Millisecond)
	}
	c.T.Fatalf("%s %s: %v", method, path, lost)
	return nil, ""
}

// Try is Request without another try. The response's body has been read.
func (c Client) Try(method, host, path string, header map[string]string, body string) (*http.Response, string, error) {
	req, err := http.NewRequest(method, c.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Host = host
	for k, v := range header {
		req.Header.Set(k, v)
	}
	// One connection per request, so that reloads close nothing under us.
	req.Close = true
	resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, string(got), err
}

// Page fetches a page as a browser does.
func (c Client) Page(host, path string) (*http.Response, string) {
	c.T.Helper()
	return c.Request(http.MethodGet, host, path, Navigation, "")
}

// Subscribe posts what Subscription makes.
func (c Client) Subscribe(host, body string) (*http.Response, string) {
	c.T.Helper()
	return c.Request(http.MethodPost, host, "/_webpush/subscribe", Posting, body)
}

// Subscription is a body for Subscribe with a real key.
func Subscription(t testing.TB, endpoint string) string {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	body, err := json.Marshal(map[string]any{
		"endpoint": endpoint, "expirationTime": nil,
		"keys":     map[string]string{"p256dh": b64(key.PublicKey().Bytes()), "auth": b64(key.PublicKey().Bytes()[1:17])},
		"language": "de-DE", "timeZone": "Europe/Berlin", "page": "https://a.example.com/x?q=secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// FreePort is a port that was free a moment ago: one of the server's own would
// change with each reload.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
