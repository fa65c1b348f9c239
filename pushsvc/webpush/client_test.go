package webpush

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestSendDelivers(t *testing.T) {
	t.Parallel()
	type seen struct {
		header http.Header
		proto  int
		method string
		uri    string
		body   []byte
	}
	got := make(chan seen, 1)
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- seen{r.Header.Clone(), r.ProtoMajor, r.Method, r.RequestURI, body}
		w.WriteHeader(http.StatusCreated)
	})
	client := s.client(t, nil)
	for _, tc := range []struct {
		name, host string
		change     func(*Request)
		want       map[string]string // "" means absent
	}{
		{"FCM", "fcm.googleapis.com", func(*Request) {}, map[string]string{
			"Ttl": "60", "Content-Encoding": "aes128gcm", "Content-Type": "application/octet-stream",
			"Urgency": "", "Topic": "", "X-Wns-Cache-Policy": "", "User-Agent": "caddy-webpush", "Accept-Encoding": "",
		}},
		{"options", "updates.push.services.mozilla.com", func(r *Request) {
			r.TTL, r.Urgency, r.Topic = MaxTTL, UrgencyVeryLow, "abcde_-9"
		}, map[string]string{"Ttl": "2419200", "Urgency": "very-low", "Topic": "abcde_-9"}},
		{
			"normal is the default", "web.push.apple.com", func(r *Request) { r.Urgency, r.Topic = UrgencyNormal, "abcd" },
			map[string]string{"Urgency": "", "Topic": "abcd"},
		},
		{
			"Apple's topics", "web.push.apple.com", func(r *Request) { r.Topic = "abcde" },
			map[string]string{"Topic": "NrvlDtloQdEEQ7y2cNZVTwo0t2G-Z-yc"},
		},
		{"WNS", "wns2-par02p.notify.windows.com", func(*Request) {}, map[string]string{"X-Wns-Cache-Policy": "cache", "Ttl": "60"}},
		{
			"WNS now or never", "wns2-par02p.notify.windows.com", func(r *Request) { r.TTL = 0 },
			map[string]string{"X-Wns-Cache-Policy": "no-cache", "Ttl": "0"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, sub := requestTo(t, tc.host)
			tc.change(r)
			result := client.Send(t.Context(), r)
			if result.Class != ClassAccepted || result.Status != 201 || result.Err != nil || result.Host != tc.host {
				t.Fatalf("%+v", result)
			}
			g := <-got
			if g.proto != 2 || g.method != "POST" || g.uri != "/fcm/send/"+secretPath {
				t.Errorf("HTTP/%d %s %s", g.proto, g.method, g.uri)
			}
			for name, want := range tc.want {
				if have := g.header.Get(name); have != want {
					t.Errorf("%s: %q, want %q", name, have, want)
				}
			}
			claims, public, err := verifyVAPID(g.header.Get("Authorization"))
			if err != nil || public != r.Key.PublicKey() || claims["aud"] != "https://"+tc.host || claims["sub"] != r.Contact {
				t.Errorf("authorization: %v, %v", claims, err)
			}
			if plain, err := sub.decrypt(g.body); err != nil || !bytes.Equal(plain, r.Payload) {
				t.Errorf("body: %q, %v", plain, err)
			}
		})
	}
}

// TestSendStatuses sends every status and follows no redirect.
func TestSendStatuses(t *testing.T) {
	t.Parallel()
	var requests, status atomic.Int32
	var location atomic.Value
	location.Store("")
	s := newSink(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		if l := location.Load().(string); l != "" {
			w.Header().Set("Location", l)
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(int(status.Load()))
	})
	client := s.client(t, func(c *Config) { c.Clock = epoch })
	r, _ := requestTo(t, "fcm.googleapis.com")
	send := func(code int) Result {
		status.Store(int32(code))
		return client.Send(t.Context(), r)
	}
	for code := 200; code < 600; code++ {
		result := send(code)
		want := Classify(ServiceFCM, code, http.Header{"Retry-After": {"7"}}, nil, epoch())
		if result.Verdict != want || result.Status != code {
			t.Errorf("%d: %+v, want %+v", code, result, want)
		}
		if wantErr := want.Class != ClassAccepted && want.Class != ClassGone; wantErr != (result.Err != nil) {
			t.Errorf("%d: error %v", code, result.Err)
		}
	}
	if n := requests.Swap(0); n != 400 {
		t.Errorf("%d requests for 400 messages", n)
	}
	targets := []string{
		"https://fcm.googleapis.com/other", "/other", "https://web.push.apple.com/x", "http://fcm.googleapis.com/", "https://127.0.0.1/",
		"http://169.254.169.254/latest/meta-data/", "http://localhost:2019/load", "//evil.example/", "file:///etc/passwd", "",
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, target := range targets {
			location.Store(target)
			if result := send(code); result.Class != ClassFailed || result.Reason != ReasonRedirect {
				t.Errorf("%d to %s: %+v", code, target, result)
			}
		}
	}
	if n := requests.Load(); n != int32(5*len(targets)) {
		t.Errorf("%d requests for %d redirects", n, 5*len(targets))
	}
	if n := s.dials.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestSendRefusesLocally(t *testing.T) {
	t.Parallel()
	s := newSink(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	client := s.client(t, nil)
	for _, tc := range []struct {
		name   string
		change func(*Request)
		class  Class
		reason Reason
		text   string
	}{
		{"endpoint", func(r *Request) { r.Endpoint = "https://evil.example/" + secretPath }, ClassFailed, ReasonEndpointRefused, "not an allowed"},
		{"no endpoint", func(r *Request) { r.Endpoint = "" }, ClassFailed, ReasonEndpointRefused, "empty"},
		{"no key pair", func(r *Request) { r.Key = nil }, ClassFailed, ReasonInvalidMessage, "key"},
		{"negative TTL", func(r *Request) { r.TTL = -1 }, ClassFailed, ReasonInvalidMessage, "ttl"},
		{"long TTL", func(r *Request) { r.TTL = MaxTTL + 1 }, ClassFailed, ReasonInvalidMessage, "ttl"},
		{"urgency", func(r *Request) { r.Urgency = "high\r\nX: y" }, ClassFailed, ReasonInvalidMessage, "urgency"},
		{"topic", func(r *Request) { r.Topic = "a b" }, ClassFailed, ReasonInvalidMessage, "topic"},
		{"topic with line break", func(r *Request) { r.Topic = "a\r\nX: y" }, ClassFailed, ReasonInvalidMessage, "topic"},
		{"padded topic", func(r *Request) { r.Topic = "abc=" }, ClassFailed, ReasonInvalidMessage, "topic"},
		{"long topic", func(r *Request) { r.Topic = strings.Repeat("a", 33) }, ClassFailed, ReasonInvalidMessage, "topic"},
		{"contact", func(r *Request) { r.Contact = "ops@example.com" }, ClassOurFault, ReasonVAPID, "mailto:ops@example.com"},
		{"payload", func(r *Request) { r.Payload = make([]byte, 3994) }, ClassFailed, ReasonTooLarge, "3993"},
		{"subscription key", func(r *Request) { r.P256DH = [P256DHSize]byte{4} }, ClassFailed, ReasonBadKeys, "p256dh"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, _ := requestTo(t, "fcm.googleapis.com")
			tc.change(r)
			result := client.Send(t.Context(), r)
			if result.Class != tc.class || result.Reason != tc.reason || result.Status != 0 || result.MaybeSent {
				t.Errorf("%+v", result)
			}
			if result.Err == nil || !strings.Contains(result.Err.Error(), tc.text) {
				t.Errorf("error %v", result.Err)
			}
		})
	}
}

// TestSendFailures: a transport failure never concerns the subscription, and its text never has the endpoint.
func TestSendFailures(t *testing.T) {
	t.Parallel()
	raw := func(serve func(net.Conn)) func(*testing.T) *sink {
		return func(t *testing.T) *sink { return newRawSink(t, serve) }
	}
	answer := func(text string) func(*testing.T) *sink {
		return raw(func(c net.Conn) { _, _ = io.WriteString(c, text) })
	}
	drip := func(head, tail string) func(*testing.T) *sink {
		return raw(func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			for range 1000 {
				if _, err := io.WriteString(c, tail); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	ok := answer("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
	fails := func(err error) func(*Config) {
		return func(c *Config) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, err }
		}
	}
	for _, tc := range []struct {
		name   string
		sink   func(*testing.T) *sink
		change func(*Config)
		class  Class
		reason Reason
		maybe  bool
	}{
		{"HTTP/1.1", ok, nil, ClassAccepted, ReasonAccepted, false},
		{"name does not resolve", ok, fails(&net.DNSError{Err: "no such host", Name: "fcm.googleapis.com", IsNotFound: true}), ClassLater, ReasonDNS, false},
		{"inward address", ok, func(c *Config) {
			dns := newFakeDNS(t, func(int32) [4]byte { return [4]byte{10, 0, 0, 5} })
			c.Dial = publicDialer(dns.resolver())
		}, ClassLater, ReasonAddressRefused, false},
		{"connection refused", ok, fails(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}), ClassLater, ReasonRefused, false},
		{"untrusted certificate", ok, func(c *Config) { c.RootCAs = newAuthority(t).pool }, ClassLater, ReasonTLS, false},
		{"wrong name", ok, func(c *Config) { c.Services, _ = ParseServices([]string{"other.example.net"}) }, ClassLater, ReasonTLS, false},
		{"closes without answer", answer(""), nil, ClassLater, ReasonNetwork, true},
		{"no HTTP", answer("SSH-2.0-" + secretPath + "\r\n\r\n"), nil, ClassLater, ReasonNetwork, true},
		{"hangs", raw(func(net.Conn) { time.Sleep(3 * time.Second) }), nil, ClassLater, ReasonTimeout, true},
		{"header drips", drip("HTTP/1.1 201 Created\r\n", "X: y\r\n"), nil, ClassLater, ReasonTimeout, true},
		{"body drips", drip("HTTP/1.1 410 Gone\r\nContent-Length: 9999\r\n\r\n", "x"), nil, ClassGone, ReasonGone, false},
		{"body ends early", answer("HTTP/1.1 503 X\r\nContent-Length: 9999\r\n\r\nx"), nil, ClassLater, ReasonUnavailable, false},
		{"10,000 header fields", answer("HTTP/1.1 201 Created\r\n" + strings.Repeat("X-Filler: 0123456789\r\n", 10000) + "\r\n"), nil, ClassLater, ReasonNetwork, true},
		{"compressed bomb", answer("HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"), nil, ClassLater, ReasonServerError, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			client := tc.sink(t).client(t, func(c *Config) {
				c.Timeout = 700 * time.Millisecond
				if tc.change != nil {
					tc.change(c)
				}
			})
			host := "fcm.googleapis.com"
			if tc.name == "wrong name" {
				host = "other.example.net"
			}
			r, _ := requestTo(t, host)
			started := time.Now()
			result := client.Send(t.Context(), r)
			if took := time.Since(started); took > 2*time.Second {
				t.Errorf("took %s", took)
			}
			if result.Class != tc.class || result.Reason != tc.reason || result.MaybeSent != tc.maybe {
				t.Errorf("%+v, error %v", result, result.Err)
			}
			checkSecrets(t, r, result)
		})
	}
}

// TestSendHTTP2Failures: the same over HTTP/2.
func TestSendHTTP2Failures(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		handle http.HandlerFunc
		class  Class
		reason Reason
	}{
		{"10,000 header fields", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 10000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), "0123456789")
			}
		}, ClassLater, ReasonNetwork},
		{"endless body", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			for block := make([]byte, 64<<10); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, ClassLater, ReasonServerError},
		{"stream reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ClassLater, ReasonNetwork},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, ClassLater, ReasonTimeout},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			client := newSink(t, tc.handle).client(t, func(c *Config) { c.Timeout = 2 * time.Second })
			r, _ := requestTo(t, "fcm.googleapis.com")
			started := time.Now()
			result := client.Send(t.Context(), r)
			if result.Class != tc.class || result.Reason != tc.reason {
				t.Errorf("%+v, error %v", result, result.Err)
			}
			if took := time.Since(started); took > 1500*time.Millisecond && tc.reason != ReasonTimeout {
				t.Errorf("took %s", took)
			}
			checkSecrets(t, r, result)
		})
	}
}

// TestSendDrippingBody: a slow body neither loses the status nor holds the sender for the whole attempt.
func TestSendDrippingBody(t *testing.T) {
	t.Parallel()
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	client := s.client(t, nil)
	r, _ := requestTo(t, "fcm.googleapis.com")
	started := time.Now()
	result := client.Send(t.Context(), r)
	if took := time.Since(started); result.Class != ClassAccepted || took > bodyTimeout+2*time.Second {
		t.Errorf("%+v after %s", result, took)
	}
}

// TestSendEchoes: services that repeat the request.
func TestSendEchoes(t *testing.T) {
	t.Parallel()
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		text := map[string]string{
			"path":  "no such token: " + r.URL.Path,
			"part":  "unknown " + secretPath[10:40],
			"token": "bad token " + r.Header.Get("Authorization"),
			"plain": "BadJwtToken\x1b[31m\r\nsecond line",
		}[r.Header.Get("Topic")]
		if r.Header.Get("Urgency") != "" {
			w.Header().Set("X-Wns-Error-Description", strings.Join(strings.Fields(text), " "))
			text = ""
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, text)
	})
	client := s.client(t, nil)
	for _, topic := range []string{"path", "part", "token", "plain"} {
		for _, urgency := range []Urgency{"", UrgencyHigh} {
			r, _ := requestTo(t, "fcm.googleapis.com")
			r.Topic, r.Urgency = topic, urgency
			if topic == "plain" && urgency != "" {
				continue
			}
			result := client.Send(t.Context(), r)
			checkSecrets(t, r, result)
			if got := result.Err.Error(); topic == "plain" && got != "fcm.googleapis.com answered 403: BadJwtToken [31m second line" {
				t.Errorf("%q", got)
			}
		}
	}
}

// checkSecrets looks for secrets in everything that a Result prints.
func checkSecrets(t *testing.T, r *Request, result Result) {
	t.Helper()
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %v %+v %#v %q", result, result, result, result.Err, result.Err, result.Err, result.Err)
	for err := result.Err; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&out, "%v %+v %#v", err, err, err)
	}
	for _, secret := range []string{secretPath[:12], secretPath[12:35], "/fcm/send", jwtHeader[:12], mustReveal(t, r.Key)} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q shows in %s", secret, out.String())
		}
	}
}

func TestSendCanceled(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	s := newSink(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	r, _ := requestTo(t, "fcm.googleapis.com")
	result := s.client(t, nil).Send(ctx, r)
	if result.Class != ClassLater || result.Reason != ReasonCanceled || !result.MaybeSent || !errors.Is(result.Err, context.Canceled) {
		t.Errorf("%+v", result)
	}
}

// TestSendIgnoresProxy cannot be parallel: it sets the environment.
func TestSendIgnoresProxy(t *testing.T) {
	proxy, hits := countingListener(t)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, "http://"+proxy.Addr().String())
	}
	created := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }
	r, _ := requestTo(t, "fcm.googleapis.com")
	for name, s := range map[string]*sink{"HTTP/2": newSink(t, created), "HTTP/1.1": newHTTP1Sink(t, created)} {
		if result := s.client(t, nil).Send(t.Context(), r); result.Class != ClassAccepted || hits.Load() != 0 {
			t.Errorf("%s: %+v, %d connections to the proxy", name, result, hits.Load())
		}
	}
	// Control: the default transport of most programs does use it.
	transport := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(os.Getenv("HTTPS_PROXY")) }}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.Endpoint, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := transport.RoundTrip(request); err == nil {
		answer.Body.Close()
		t.Error("an answer through something that is not a proxy")
	}
	waitFor(t, func() bool { return hits.Load() > 0 })
}
