package pushservice

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const testHost = "push.example.test"

// fixture is a running service with one live subscription, "token".
type fixture struct {
	*Service
	signer    signer
	client    *http.Client
	delivered chan Message
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	authority, err := NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{signer: newSigner(t), delivered: make(chan Message, 16)}
	f.Service, err = Start(Config{
		Authority: authority, Hosts: []string{testHost}, Paths: []string{"/send/", "/wp/"},
		BadVAPID: http.StatusForbidden,
		Deliver:  func(m Message) { f.delivered <- m },
		Now:      func() time.Time { return testNow },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.client = NewClient(authority, f.Hosts())
	t.Cleanup(func() {
		f.client.CloseIdleConnections()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	f.Register(Registration{Token: "token", Key: f.signer.public(), Device: "device"})
	return f
}

// request makes a valid message to "token", changed by edit.
func (f *fixture) request(t *testing.T, body []byte, edit func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+testHost+"/send/token", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", f.signer.header(nil))
	r.Header.Set("TTL", "60")
	r.Header.Set("Content-Encoding", "aes128gcm")
	if edit != nil {
		edit(r)
	}
	return r
}

func (f *fixture) do(t *testing.T, r *http.Request) (int, http.Header) {
	t.Helper()
	response, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header
}

func TestJudge(t *testing.T) {
	f := newFixture(t)
	f.Register(Registration{Token: "gone", Key: f.signer.public()})
	f.Expire("https://" + testHost + "/send/gone")
	f.Register(Registration{Token: "open"})
	body := bytes.Repeat([]byte("x"), 100)
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	to := func(path string) func(*http.Request) {
		return func(r *http.Request) { r.URL = &url.URL{Scheme: "https", Host: testHost, Path: path} }
	}
	tests := []struct {
		name string
		body []byte
		edit func(*http.Request)
		want int
	}{
		{"right", body, nil, 201},
		{"second path", body, to("/wp/token"), 201},
		{"no payload", nil, func(r *http.Request) { r.Header.Del("Content-Encoding") }, 201},
		{"largest", make([]byte, 4096), nil, 201},
		{"TTL 0", body, set("TTL", "0"), 201},
		{"urgency and topic", body, func(r *http.Request) {
			r.Header.Set("Urgency", "high")
			r.Header.Set("Topic", "news-1_A")
		}, 201},
		{"subscription without key", body, to("/send/open"), 201},

		{"too large", make([]byte, 4097), nil, 413},
		{"unknown token", body, to("/send/unknown"), 404},
		{"ended token", body, to("/send/gone"), 410},
		{"no token", body, to("/send/"), 404},
		{"deeper path", body, to("/send/token/more"), 404},
		{"other path", body, to("/other/token"), 404},
		{"GET", nil, func(r *http.Request) { r.Method = http.MethodGet }, 405},
		{"another host", body, func(r *http.Request) { r.Host = "other.example.test" }, 421},
		{"no TTL", body, func(r *http.Request) { r.Header.Del("TTL") }, 400},
		{"negative TTL", body, set("TTL", "-1"), 400},
		{"TTL in words", body, set("TTL", "1h"), 400},
		{"unknown urgency", body, set("Urgency", "urgent"), 400},
		{"topic too long", body, set("Topic", strings.Repeat("a", 33)), 400},
		{"topic with space", body, set("Topic", "a b"), 400},
		{"no encoding", body, func(r *http.Request) { r.Header.Del("Content-Encoding") }, 400},
		{"old encoding", body, set("Content-Encoding", "aesgcm"), 400},
		{"no authorization", body, func(r *http.Request) { r.Header.Del("Authorization") }, 403},
		{"wrong audience", body, set("Authorization", f.signer.header(map[string]any{"aud": "https://x.test"})), 403},
		{"other sender's key", body, set("Authorization", newSigner(t).header(nil)), 403},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, header := f.do(t, f.request(t, test.body, test.edit))
			if got != test.want {
				attempts := f.Attempts()
				t.Fatalf("answered %d, want %d: %+v", got, test.want, attempts[len(attempts)-1])
			}
			accepted := test.want == http.StatusCreated
			if has := header.Get("Location") != ""; has != accepted {
				t.Errorf("Location is %q", header.Get("Location"))
			}
			if accepted {
				if m := <-f.delivered; !bytes.Equal(m.Body, test.body) {
					t.Errorf("delivered %d bytes, sent %d", len(m.Body), len(test.body))
				}
			} else if len(f.delivered) != 0 {
				t.Error("delivered all the same")
			}
		})
	}
	if got := len(f.Attempts()); got != len(tests) {
		t.Errorf("%d attempts in the log, made %d", got, len(tests))
	}
}

func TestMessageLog(t *testing.T) {
	f := newFixture(t)
	_, header := f.do(t, f.request(t, []byte("body"), func(r *http.Request) {
		r.Header.Set("Urgency", "low")
		r.Header.Set("Topic", "news")
	}))
	messages := f.Messages()
	if len(messages) != 1 {
		t.Fatalf("%d messages", len(messages))
	}
	m := messages[0]
	if m.Token != "token" || m.Device != "device" || m.Host != testHost || m.TTL != time.Minute ||
		m.Urgency != "low" || m.Topic != "news" || !m.Received.Equal(testNow) || m.VAPID.Key != f.signer.public() {
		t.Errorf("got %+v", m)
	}
	if want := "https://" + testHost + "/message/" + m.ID; header.Get("Location") != want {
		t.Errorf("Location is %q, want %q", header.Get("Location"), want)
	}
	a := f.Attempts()[0]
	if a.Proto != "HTTP/2.0" || a.Status != 201 || a.Token != "token" {
		t.Errorf("attempt %+v", a)
	}
}

func TestForceNext(t *testing.T) {
	f := newFixture(t)
	f.Register(Registration{Token: "second", Key: f.signer.public()})
	second := func(r *http.Request) { r.URL.Path = "/send/second" }
	f.ForceNext(
		Answer{Status: 429, Header: http.Header{"Retry-After": {"7"}}, Token: "second"},
		Answer{Status: 503},
	)
	// An invalid request must not use up a forced answer.
	if got, _ := f.do(t, f.request(t, nil, func(r *http.Request) { r.Header.Del("TTL") })); got != 400 {
		t.Errorf("wrong request answered %d", got)
	}
	if got, _ := f.do(t, f.request(t, nil, nil)); got != 503 {
		t.Errorf("first answered %d, want 503", got)
	}
	got, header := f.do(t, f.request(t, nil, second))
	if got != 429 || header.Get("Retry-After") != "7" {
		t.Errorf("second answered %d, Retry-After %q", got, header.Get("Retry-After"))
	}
	if got, _ := f.do(t, f.request(t, nil, second)); got != 201 {
		t.Errorf("after the forced answers: %d", got)
	}
	if n := len(f.Messages()); n != 1 {
		t.Errorf("%d messages in the log, want 1", n)
	}
}

func TestForceDropAndDelay(t *testing.T) {
	f := newFixture(t)
	f.ForceNext(Answer{}, Answer{Status: 500, Delay: time.Hour})
	if response, err := f.client.Do(f.request(t, nil, nil)); err == nil {
		_ = response.Body.Close()
		t.Errorf("answered %d instead of dropping", response.StatusCode)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, _ = f.WaitAttempts(ctx, 2)
		time.Sleep(50 * time.Millisecond) // the answer must not come in this time
		cancel()
	}()
	if response, err := f.client.Do(f.request(t, nil, nil).WithContext(ctx)); err == nil {
		_ = response.Body.Close()
		t.Errorf("answered %d instead of waiting", response.StatusCode)
	}
	attempts, err := f.WaitAttempts(t.Context(), 2)
	if err != nil || attempts[0].Status != 0 || attempts[1].Status != 500 {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
}

func TestEndOfSubscriptions(t *testing.T) {
	f := newFixture(t)
	if _, ok := f.Lookup("token"); !ok {
		t.Fatal("not registered")
	}
	if f.Expire("unknown") {
		t.Error("expired a subscription that never was")
	}
	f.ExpireDevice("another")
	if got, _ := f.do(t, f.request(t, nil, nil)); got != 201 {
		t.Errorf("after another device's end: %d", got)
	}
	f.ExpireDevice("device")
	if got, _ := f.do(t, f.request(t, nil, nil)); got != 410 {
		t.Errorf("after the device's end: %d", got)
	}
	if _, ok := f.Lookup("token"); ok {
		t.Error("ended subscription is found")
	}
	f.Forget("token")
	if got, _ := f.do(t, f.request(t, nil, nil)); got != 404 {
		t.Errorf("after Forget: %d", got)
	}
}

func TestWaitAttemptsTimesOut(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := f.WaitAttempts(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestHTTP1(t *testing.T) {
	f := newFixture(t)
	transport := f.client.Transport.(*http.Transport)
	transport.ForceAttemptHTTP2 = false
	transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	if got, _ := f.do(t, f.request(t, nil, nil)); got != 201 {
		t.Errorf("answered %d", got)
	}
	if got := f.Attempts()[0].Proto; got != "HTTP/1.1" {
		t.Errorf("spoke %s", got)
	}
}

func TestClientReachesOnlyTheFakes(t *testing.T) {
	f := newFixture(t)
	response, err := f.client.Get("https://fcm.googleapis.com/")
	if err == nil {
		_ = response.Body.Close()
		t.Fatal("reached another host")
	}
	if !strings.Contains(err.Error(), "not one of the fake push services") {
		t.Error(err)
	}
}

func TestOnlyItsAuthorityIsTrusted(t *testing.T) {
	f := newFixture(t)
	f.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
	response, err := f.client.Do(f.request(t, nil, nil))
	var unknown x509.UnknownAuthorityError
	if err == nil {
		_ = response.Body.Close()
	}
	if !errors.As(err, &unknown) {
		t.Errorf("got %v, want an unknown authority", err)
	}
}
