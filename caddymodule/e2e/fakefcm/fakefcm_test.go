package fakefcm

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/SherClockHolmes/webpush-go"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice"
)

// phone plays Chromium's part.
type phone struct {
	t      *testing.T
	server *Server
	pool   *tls.Config
	id     string
	conn   *tls.Conn
	r      *bufio.Reader
}

func start(t *testing.T) (*Server, *pushservice.Authority) {
	t.Helper()
	authority, err := pushservice.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(Config{Authority: authority})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, authority
}

func newPhone(t *testing.T, s *Server, authority *pushservice.Authority) *phone {
	t.Helper()
	p := &phone{t: t, server: s, pool: &tls.Config{RootCAs: authority.Pool()}}
	response, err := http.Post(s.apiURL+"/checkin", "application/x-protobuf", bytes.NewReader(appendNumber(nil, 14, 3)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var id, security uint64
	err = fields(body, func(field protowire.Number, v uint64) {
		switch field {
		case 7:
			id = v
		case 8:
			security = v
		}
	}, ignoreText)
	if err != nil || id == 0 || security == 0 {
		t.Fatalf("check-in gave %d, %d, %v", id, security, err)
	}
	p.id = strconv.FormatUint(id, 10)
	return p
}

func (p *phone) register(key string, more url.Values) string {
	p.t.Helper()
	form := url.Values{
		"app": {"org.chromium.linux"}, "X-subtype": {"wp:http://127.0.0.1:1/#GUID-V2"}, "device": {p.id},
		"appid": {"abcdefghijk"}, "sender": {key}, "scope": {"GCM"},
	}
	for name, values := range more {
		form[name] = values
	}
	response, err := http.PostForm(p.server.apiURL+"/c2dm/register3", form)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body)
}

// login connects and sends the ids of the messages that the phone already has.
func (p *phone) login(received ...string) {
	p.t.Helper()
	conn, err := tls.Dial("tcp", p.server.mcs.Addr().String(), p.pool)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	body := appendText(nil, 3, p.id)
	for _, id := range received {
		body = appendText(body, 10, id)
	}
	p.conn, p.r = conn, bufio.NewReader(conn)
	p.write(append([]byte{mcsVersion}, appendStanza(nil, tagLoginRequest, body)...))
	if version, err := p.r.ReadByte(); err != nil || version != mcsVersion {
		p.t.Fatalf("version %d, %v", version, err)
	}
	if kind, _ := p.read(); kind != tagLoginResponse {
		p.t.Fatalf("answer to login is %d", kind)
	}
}

func (p *phone) write(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) read() (tag, []byte) {
	p.t.Helper()
	kind, body, err := readStanza(p.r)
	if err != nil {
		p.t.Fatal(err)
	}
	return kind, body
}

// message reads a data message and returns texts by field number, and app data as
// "key=value".
func (p *phone) message() map[protowire.Number]string {
	p.t.Helper()
	kind, body := p.read()
	if kind != tagData {
		p.t.Fatalf("got message %d instead of data", kind)
	}
	got := make(map[protowire.Number]string)
	err := fields(body, ignoreNumber, func(field protowire.Number, v []byte) {
		text := string(v)
		if field == 7 {
			var pair []string
			_ = fields(v, ignoreNumber, func(_ protowire.Number, part []byte) { pair = append(pair, string(part)) })
			text = got[7] + strings.Join(pair, "=") + ";"
		}
		got[field] = text
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return got
}

func (p *phone) acknowledge(stream uint64) {
	p.t.Helper()
	ack := protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), appendNumber(nil, 1, extensionStreamAck))
	p.write(appendStanza(nil, tagIQ, appendNumber(ack, 10, stream)))
}

// application is an application server with a subscription.
type application struct {
	client          *http.Client
	public, private string
	token           string
}

func newApplication(t *testing.T, s *Server, authority *pushservice.Authority, p *phone) *application {
	t.Helper()
	private, public, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	a := &application{client: pushservice.NewClient(authority, s.Hosts()), public: public, private: private}
	t.Cleanup(a.client.CloseIdleConnections)
	token, ok := strings.CutPrefix(p.register(public, nil), "token=abcdefghijk:APA91b")
	if !ok {
		t.Fatalf("no token but %q", token)
	}
	a.token = "abcdefghijk:APA91b" + token
	return a
}

// send sends with an independent implementation; the browser's keys are the
// example of RFC 8291 appendix A.
func (a *application) send(t *testing.T, base string) int {
	t.Helper()
	response, err := webpush.SendNotificationWithContext(t.Context(), []byte("hello"), &webpush.Subscription{
		Endpoint: base + a.token,
		Keys: webpush.Keys{
			P256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
			Auth:   "BTBZMqHH6r4Tts7J_aSIgg",
		},
	}, &webpush.Options{
		HTTPClient: a.client, Subscriber: "ops@example.test", TTL: 60, Topic: "news",
		VAPIDPublicKey: a.public, VAPIDPrivateKey: a.private,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

const fcmBase = "https://fcm.googleapis.com/fcm/send/"

func TestDelivery(t *testing.T) {
	s, authority := start(t)
	p := newPhone(t, s, authority)
	a := newApplication(t, s, authority, p)
	p.login()
	for i, base := range []string{fcmBase, "https://fcm.googleapis.com/preprod/wp/", "https://jmt17.google.com/fcm/send/"} {
		if got := a.send(t, base); got != http.StatusCreated {
			t.Fatalf("send to %s answered %d: %+v", base, got, s.Attempts())
		}
		got, sent := p.message(), s.Messages()[i]
		want := map[protowire.Number]string{
			2: sent.ID, 3: a.public, 5: "org.chromium.linux", 6: "news",
			7: "subtype=wp:http://127.0.0.1:1/#GUID-V2;content-encoding=aes128gcm;", 9: sent.ID, 21: string(sent.Body),
		}
		for field, text := range want {
			if got[field] != text {
				t.Errorf("field %d is %q, want %q", field, got[field], text)
			}
		}
	}
	if n := s.Undelivered(); n != 3 {
		t.Errorf("%d undelivered before any ack, want 3", n)
	}
	p.acknowledge(3) // the login's answer and two messages
	waitUndelivered(t, s, 1)
}

func TestQueueSurvivesConnections(t *testing.T) {
	s, authority := start(t)
	p := newPhone(t, s, authority)
	a := newApplication(t, s, authority, p)
	for range 3 {
		if got := a.send(t, fcmBase); got != http.StatusCreated {
			t.Fatal(got)
		}
	}
	ids := s.Messages()
	p.login(ids[0].ID)
	for _, want := range ids[1:] {
		if got := p.message()[9]; got != want.ID {
			t.Errorf("got message %s, want %s", got, want.ID)
		}
	}
	s.DropConnections()
	if _, _, err := readStanza(p.r); err == nil {
		t.Error("still connected after DropConnections")
	}
	p.login()
	p.message()
	p.acknowledge(2)
	waitUndelivered(t, s, 1)
	// A second login of the same device takes over.
	first := p.r
	p.login()
	if got := p.message()[9]; got != ids[2].ID {
		t.Errorf("got message %s, want %s", got, ids[2].ID)
	}
	// The first has the same message, and then its end.
	if kind, _, err := readStanza(first); err != nil || kind != tagData {
		t.Errorf("first connection: message %d, %v", kind, err)
	}
	if _, _, err := readStanza(first); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("first connection is still open: %v", err)
	}
}

func TestUnregister(t *testing.T) {
	s, authority := start(t)
	p := newPhone(t, s, authority)
	a := newApplication(t, s, authority, p)
	stranger := newPhone(t, s, authority)
	stranger.register(a.public, url.Values{"delete": {"true"}})
	if got := a.send(t, fcmBase); got != http.StatusCreated {
		t.Errorf("after another device's unsubscribe: %d", got)
	}
	if got := p.register(a.public, url.Values{"delete": {"true"}}); got != "token=abcdefghijk" {
		t.Errorf("delete answered %q", got)
	}
	if got := a.send(t, fcmBase); got != http.StatusGone {
		t.Errorf("after unsubscribe: %d", got)
	}
}

func TestWrongSender(t *testing.T) {
	s, authority := start(t)
	p := newPhone(t, s, authority)
	a := newApplication(t, s, authority, p)
	var err error
	if a.private, a.public, err = webpush.GenerateVAPIDKeys(); err != nil {
		t.Fatal(err)
	}
	if got := a.send(t, fcmBase); got != http.StatusForbidden {
		t.Errorf("answered %d", got)
	}
}

func TestRefuseRegistrations(t *testing.T) {
	s, authority := start(t)
	p := newPhone(t, s, authority)
	s.RefuseRegistrations("INVALID_SENDER", "QUOTA_EXCEEDED")
	for _, want := range []string{"Error=INVALID_SENDER", "Error=QUOTA_EXCEEDED", "token="} {
		if got := p.register("key", nil); !strings.HasPrefix(got, want) {
			t.Errorf("answered %q, want %q", got, want)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	s, authority := start(t)
	p := newPhone(t, s, authority)
	a := newApplication(t, s, authority, p)
	p.login()
	a.send(t, fcmBase)
	p.message()
	p.write(appendStanza(nil, tagHeartbeatPing, appendNumber(nil, 2, 2)))
	if kind, _ := p.read(); kind != tagHeartbeatAck {
		t.Errorf("answered %d", kind)
	}
	waitUndelivered(t, s, 0)
}

func TestBadConnections(t *testing.T) {
	s, authority := start(t)
	for name, b := range map[string][]byte{
		"wrong version": {40},
		"no login":      append([]byte{mcsVersion}, appendStanza(nil, tagHeartbeatPing, nil)...),
		"login garbage": append([]byte{mcsVersion}, appendStanza(nil, tagLoginRequest, []byte{0xff})...),
		"login empty":   append([]byte{mcsVersion}, appendStanza(nil, tagLoginRequest, nil)...),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", s.mcs.Addr().String(), &tls.Config{RootCAs: authority.Pool()})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("read %d bytes, %v, want the end", n, err)
			}
		})
	}
}

func TestChromiumFlags(t *testing.T) {
	s, authority := start(t)
	flags := fmt.Sprint(s.ChromiumFlags())
	for _, want := range []string{s.SPKIHash(), s.mcs.Addr().String(), s.apiURL + "/checkin", "EndpointWebpushPath"} {
		if !strings.Contains(flags, want) {
			t.Errorf("%s not in %s", want, flags)
		}
	}
	other, err := Start(Config{Authority: authority, NonStable: true})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if strings.Contains(fmt.Sprint(other.ChromiumFlags()), "enable-features") {
		t.Error("non-stable endpoints with the feature of stable ones")
	}
}

func TestCloseDoesNotWaitForLogin(t *testing.T) {
	authority, err := pushservice.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(Config{Authority: authority})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", s.mcs.Addr().String(), &tls.Config{RootCAs: authority.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	before := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(before); took > loginTime/2 {
		t.Errorf("took %v", took)
	}
}

func waitUndelivered(t *testing.T, s *Server, want int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for s.Undelivered() != want {
		if time.Now().After(deadline) {
			t.Fatalf("%d undelivered, want %d", s.Undelivered(), want)
		}
		time.Sleep(time.Millisecond)
	}
}
