package delivery_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// behaviour is what a push service does with every push, and the expected result for the message
// and the subscription.
type behaviour struct {
	name string
	host string // wns where empty
	// answer is an HTTP server's; conn is a server's below HTTP.
	answer func(http.ResponseWriter, *http.Request, int)
	conn   func(net.Conn)

	// In the end the recipient is counted as state, for that reason, after this many attempts; 0 is
	// not checked, because the server may not see them.
	state  string
	reason string
	pushes int
	// wait, if it is set, is after how long they are to be tried again, within a tenth and a
	// second; the message does not end then.
	wait    time.Duration
	removed bool
}

func status(code int, header ...string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func body(code int, text string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

// firstly answers the first push differently.
func firstly(first, then func(http.ResponseWriter, *http.Request, int)) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, nth int) {
		if nth == 1 {
			first(w, r, nth)
		} else {
			then(w, r, nth)
		}
	}
}

const retry = "Retry-After"

// behaviours is the table of what push services do. The engine tries three times, 30 ms apart at
// first, so that the last attempt comes soon.
func behaviours(localhost string) []behaviour {
	inAnHour := func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set(retry, time.Now().Add(20*time.Minute).UTC().Format(http.TimeFormat))
		w.WriteHeader(429)
	}
	return []behaviour{
		{name: "201", answer: status(201), state: "accepted", pushes: 1},
		{name: "200", answer: status(200), state: "accepted", pushes: 1},
		{name: "400", answer: status(400), state: "failed", reason: "bad_request", pushes: 1},
		{name: "401", answer: status(401), state: "failed", reason: "unauthorized", pushes: 3},
		{name: "403", answer: status(403), state: "failed", reason: "unauthorized", pushes: 3},
		{name: "403, then mended", answer: firstly(status(403), status(201)), state: "accepted", pushes: 2},
		{name: "403 of another key pair", host: fcm, answer: body(403, "the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions."), state: "failed", reason: "wrong_key", pushes: 1},
		{name: "400 of another key pair", host: apple, answer: body(400, `{"reason":"VapidPkHashMismatch"}`), state: "failed", reason: "wrong_key", pushes: 1},
		{name: "404", answer: status(404), state: "gone", pushes: 1, removed: true},
		{name: "410", answer: status(410), state: "gone", pushes: 1, removed: true},
		{name: "406 of WNS", answer: status(406), state: "failed", reason: "throttled", pushes: 3},
		{name: "406 of others", host: fcm, answer: status(406), state: "failed", reason: "bad_request", pushes: 1},
		{name: "413", answer: status(413), state: "failed", reason: "too_large", pushes: 1},
		{name: "429 without a time", answer: status(429), state: "failed", reason: "throttled", pushes: 3},
		{name: "429, then 201", answer: firstly(status(429), status(201)), state: "accepted", pushes: 2},
		{name: "429 for a second", answer: firstly(status(429, retry, "1"), status(201)), state: "accepted", pushes: 2},
		{name: "429 for no time", answer: firstly(status(429, retry, "0"), status(201)), state: "accepted", pushes: 2},
		{name: "429 for minutes", answer: status(429, retry, "600"), wait: 10 * time.Minute},
		{name: "429 for minutes, of Apple", host: apple, answer: status(429, retry, "600"), wait: 10 * time.Minute},
		{name: "429 until a date", answer: inAnHour, wait: 20 * time.Minute},
		{name: "429 until a date gone by", answer: firstly(status(429, retry, "Wed, 21 Oct 2015 07:28:00 GMT"), status(201)), state: "accepted", pushes: 2},
		{name: "429 for nonsense", answer: firstly(status(429, retry, "soon"), status(201)), state: "accepted", pushes: 2},
		{name: "429 for less than nothing", answer: firstly(status(429, retry, "-5"), status(201)), state: "accepted", pushes: 2},
		{name: "500", answer: status(500), state: "failed", reason: "server_error", pushes: 3},
		{name: "500, then 201", answer: firstly(status(500), status(201)), state: "accepted", pushes: 2},
		{name: "503", answer: status(503), state: "failed", reason: "unavailable", pushes: 3},
		{name: "503 for minutes", answer: status(503, retry, "120"), wait: 2 * time.Minute},
		{name: "redirect to localhost", answer: status(302, "Location", localhost), state: "failed", reason: "redirect", pushes: 1},
		{name: "permanent redirect to localhost", answer: status(308, "Location", localhost), state: "failed", reason: "redirect", pushes: 1},
		{name: "hang", answer: func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }, state: "failed", reason: "timeout", pushes: 3},
		{name: "stream reset", answer: func(http.ResponseWriter, *http.Request, int) { panic(http.ErrAbortHandler) }, state: "failed", reason: "network"},
		{name: "GOAWAY after the answer", answer: status(201, "Connection", "close"), state: "accepted", pushes: 1},
		{name: "GOAWAY instead of an answer", conn: goAway, state: "failed", reason: "network"},
		{name: "connection reset", conn: func(c net.Conn) { _ = c.Close() }, state: "failed", reason: "network"},
		{name: "garbage", conn: func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example ESMTP\r\n") }, state: "failed", reason: "network"},
		{name: "slow loris", conn: drip, state: "failed", reason: "timeout"},
		{name: "another's certificate", state: "failed", reason: "tls"},
	}
}

// goAway refuses every request of a connection without an error.
func goAway(c net.Conn) {
	f := http2.NewFramer(c, c)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		if h, ok := frame.(*http2.HeadersFrame); ok {
			_ = f.WriteGoAway(h.StreamID, http2.ErrCodeEnhanceYourCalm, nil)
			return
		}
	}
}

// drip answers with a SETTINGS frame, one byte at a time, and never ends it.
func drip(c net.Conn) {
	for i := 0; ; i++ {
		b := []byte{0}
		if header := []byte{0, 0x3f, 0xfc, 4, 0, 0, 0, 0, 0}; i < len(header) {
			b[0] = header[i]
		}
		if _, err := c.Write(b); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestBehaviours runs each behaviour beside a push service that works, in one message, and checks
// the results for message and subscription.
func TestBehaviours(t *testing.T) {
	t.Parallel()
	var inside atomic.Int64
	localhost := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside.Add(1) }))
	t.Cleanup(localhost.Close)
	for _, b := range behaviours(localhost.URL) {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.run(t)
		})
	}
	t.Cleanup(func() {
		if inside.Load() != 0 {
			t.Errorf("%d requests to localhost", inside.Load())
		}
	})
}

func (b behaviour) run(t *testing.T) {
	f := newFixture(t)
	host := b.host
	if host == "" {
		host = wns
	}
	addr := f.push.addr
	if b.conn != nil {
		addr = f.push.rawServer(t, b.conn)
	}
	if b.reason == "tls" {
		other := newPushService(t)
		addr = other.addr
	}
	client := f.clientFor(host, addr, b.reason == "timeout")
	t.Cleanup(client.Close)
	subject := f.subscribeTo(host, siteA, "subject", 1)[0]
	others := f.subscribeTo(mozilla, siteA, "ok", 5)
	f.push.respondWith(func(w http.ResponseWriter, r *http.Request, name string, nth int) {
		if name == subject.name {
			b.answer(w, r, nth)
		} else {
			w.WriteHeader(201)
		}
	})
	f.engine(func(c *delivery.Config) {
		c.Sender, c.Attempts, c.RetryMin, c.RetryMax = client, 3, 30*time.Millisecond, 100*time.Millisecond
	})
	m := f.message(siteA, time.Now(), pushsvc.Content{})
	if b.wait > 0 {
		begun := time.Now()
		f.eventually("it has a retry", func() bool {
			p := f.state(m).Progress
			return p.Later == 1 && p.Accepted == 5
		})
		row := f.state(m)
		if d := row.NextTry.Sub(begun); d < b.wait-2*time.Second || d > b.wait+b.wait/8+time.Since(begun) {
			t.Errorf("to be tried after %v: %+v", d, row.Progress)
		}
		return
	}
	p := f.done(m).Progress
	got := map[string]int64{"accepted": p.Accepted - 5, "gone": p.Gone, "failed": p.Failed[b.reason]}
	if got[b.state] != 1 || p.FailedTotal() != got["failed"] {
		t.Errorf("%+v", p)
	}
	if n := len(f.push.pushesTo(subject.name)); b.pushes > 0 && n != b.pushes {
		t.Errorf("%d pushes, not %d", n, b.pushes)
	}
	if _, there := f.subscriptions(siteA)[subject.name]; there == b.removed {
		t.Errorf("the subscription is there: %v", there)
	}
	if b.reason != "timeout" { // under load, these may have to wait for an answer too
		f.once(others)
	}
	if strings.Contains(f.log.String(), subject.name) {
		t.Errorf("the log has the endpoint:\n%s", f.log)
	}
}

// clientFor makes a client that connects to addresses of its own for one host, and that, if
// impatient, does not wait long.
func (f *fixture) clientFor(host, addr string, impatient bool) *webpush.Client {
	return newClient(f.push.addr, f.push.pool, func(c *webpush.Config) {
		if impatient {
			c.Timeout = 700 * time.Millisecond
		}
		c.Dial = func(ctx context.Context, network, to string) (net.Conn, error) {
			where := f.push.addr
			if name, _, _ := net.SplitHostPort(to); name == host {
				where = addr
			}
			return new(net.Dialer).DialContext(ctx, network, where)
		}
	})
}

// rawServer accepts TLS connections and passes them to serve.
func (p *pushService) rawServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{p.leaf}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				preface := make([]byte, len(http2.ClientPreface))
				if _, err := io.ReadFull(c, preface); err == nil {
					serve(c)
				}
			}()
		}
	}()
	return listener.Addr().String()
}
