package fakeautopush

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/SherClockHolmes/webpush-go"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice"
)

// object is a JSON message in either direction.
type object = map[string]any

// fox plays Firefox's part.
type fox struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

type fixture struct {
	*Server
	t      *testing.T
	ctx    context.Context
	client *http.Client
}

func start(t *testing.T) *fixture {
	t.Helper()
	authority, err := pushservice.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(Config{Authority: authority})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	f := &fixture{Server: s, t: t, ctx: ctx, client: pushservice.NewClient(authority, s.Hosts())}
	t.Cleanup(func() {
		cancel()
		f.client.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// connect says hello and returns the UAID from the server's answer.
func (f *fixture) connect(uaid string) (*fox, string) {
	f.t.Helper()
	conn, _, err := websocket.Dial(f.ctx, "ws://"+f.addr+"/", &websocket.DialOptions{
		Subprotocols: []string{"push-notification"},
		HTTPHeader:   http.Header{"Origin": {"ws://" + f.addr + "/"}},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.CloseNow() })
	if conn.Subprotocol() != "push-notification" {
		f.t.Errorf("subprotocol is %q", conn.Subprotocol())
	}
	conn.SetReadLimit(1 << 20)
	x := &fox{f.t, f.ctx, conn}
	hello := object{"messageType": "hello", "broadcasts": object{}, "use_webpush": true}
	if uaid != "" {
		hello["uaid"] = uaid
	}
	reply := x.ask(hello)
	if reply["status"] != 200.0 || reply["use_webpush"] != true {
		f.t.Fatalf("hello answered %v", reply)
	}
	return x, reply["uaid"].(string)
}

func (x *fox) write(message object) {
	x.t.Helper()
	if err := wsjson.Write(x.ctx, x.conn, message); err != nil {
		x.t.Fatal(err)
	}
}

func (x *fox) read() object {
	x.t.Helper()
	var reply object
	if err := wsjson.Read(x.ctx, x.conn, &reply); err != nil {
		x.t.Fatal(err)
	}
	return reply
}

func (x *fox) ask(message object) object {
	x.t.Helper()
	x.write(message)
	return x.read()
}

func (x *fox) ended() bool {
	_, _, err := x.conn.Read(x.ctx)
	return err != nil && x.ctx.Err() == nil
}

// application is an application server with a subscription.
type application struct {
	public, private, endpoint, channel string
}

func (f *fixture) subscribe(x *fox, channel string) *application {
	f.t.Helper()
	private, public, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		f.t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(public)
	if err != nil {
		f.t.Fatal(err)
	}
	reply := x.ask(object{"messageType": "register", "channelID": channel, "key": base64.URLEncoding.EncodeToString(raw)})
	if reply["status"] != 200.0 || reply["channelID"] != channel {
		f.t.Fatalf("register answered %v", reply)
	}
	return &application{public, private, reply["pushEndpoint"].(string), channel}
}

// TestRegisterTwice: if a worker registers while the handshake ends, Firefox
// sends the register a second time and keeps the endpoint of the first answer. To
// the real service both answers mean the same channel.
func TestRegisterTwice(t *testing.T) {
	f := start(t)
	x, _ := f.connect("")
	register := object{"messageType": "register", "channelID": "one"}
	first, second := x.ask(register), x.ask(register)
	if first["pushEndpoint"] == nil || first["pushEndpoint"] != second["pushEndpoint"] {
		t.Errorf("the endpoint changed from %v to %v", first["pushEndpoint"], second["pushEndpoint"])
	}
	x.write(object{"messageType": "unregister", "channelID": "one"})
	_ = x.read()
	if third := x.ask(register); third["pushEndpoint"] == first["pushEndpoint"] {
		t.Error("an endpoint that is gone came back")
	}
}

func (f *fixture) send(a *application) int {
	f.t.Helper()
	response, err := webpush.SendNotificationWithContext(f.ctx, []byte("hello"), &webpush.Subscription{
		Endpoint: a.endpoint,
		Keys: webpush.Keys{ // RFC 8291 appendix A
			P256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
			Auth:   "BTBZMqHH6r4Tts7J_aSIgg",
		},
	}, &webpush.Options{
		HTTPClient: f.client, Subscriber: "ops@example.test", TTL: 60,
		VAPIDPublicKey: a.public, VAPIDPrivateKey: a.private,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

func TestDelivery(t *testing.T) {
	f := start(t)
	x, _ := f.connect("")
	a := f.subscribe(x, "channel")
	endpoint, err := url.Parse(a.endpoint)
	if err != nil || endpoint.Host != Host || !strings.HasPrefix(endpoint.Path, "/wpush/v2/") {
		t.Fatalf("endpoint %s, %v", a.endpoint, err)
	}
	if got := f.send(a); got != http.StatusCreated {
		t.Fatalf("send answered %d: %+v", got, f.Attempts())
	}
	sent := f.Messages()[0]
	got := x.read()
	if got["messageType"] != "notification" || got["channelID"] != "channel" || got["version"] != sent.ID ||
		got["data"] != base64.RawURLEncoding.EncodeToString(sent.Body) ||
		got["headers"].(object)["encoding"] != "aes128gcm" {
		t.Errorf("got %v", got)
	}
	if n := f.Undelivered(); n != 1 {
		t.Errorf("%d undelivered before the ack", n)
	}
	x.write(object{"messageType": "ack", "updates": []object{{"channelID": "channel", "version": sent.ID, "code": 100}}})
	ack, err := f.WaitAck(f.ctx, sent.ID)
	if err != nil || ack.Code != 100 {
		t.Errorf("ack %+v, %v", ack, err)
	}
	if n := f.Undelivered(); n != 0 {
		t.Errorf("%d undelivered after the ack", n)
	}
	x.write(object{"messageType": "nack", "version": sent.ID, "code": 302})
	if got := x.ask(object{}); len(got) != 0 {
		t.Errorf("ping answered %v", got)
	}
	if acks := f.Acks(); len(acks) != 2 || acks[1].Code != 302 {
		t.Errorf("acks %+v", acks)
	}
}

func TestQueueSurvivesConnections(t *testing.T) {
	f := start(t)
	x, uaid := f.connect("")
	a := f.subscribe(x, "channel")
	f.DropConnections()
	if !x.ended() {
		t.Fatal("still connected")
	}
	for range 2 {
		if got := f.send(a); got != http.StatusCreated {
			t.Fatal(got)
		}
	}
	x, again := f.connect(uaid)
	if again != uaid {
		t.Fatalf("UAID changed from %s to %s", uaid, again)
	}
	for _, want := range f.Messages() {
		if got := x.read()["version"]; got != want.ID {
			t.Errorf("got %v, want %s", got, want.ID)
		}
	}
}

func TestForgetBrowsers(t *testing.T) {
	f := start(t)
	x, uaid := f.connect("")
	a := f.subscribe(x, "channel")
	f.ForgetBrowsers()
	if !x.ended() {
		t.Fatal("still connected")
	}
	if got := f.send(a); got != http.StatusGone {
		t.Errorf("send answered %d", got)
	}
	if _, again := f.connect(uaid); again == uaid {
		t.Error("same UAID again")
	}
}

func TestUnregister(t *testing.T) {
	f := start(t)
	x, _ := f.connect("")
	a, b := f.subscribe(x, "a"), f.subscribe(x, "b")
	reply := x.ask(object{"messageType": "unregister", "channelID": "a", "code": 200})
	if reply["status"] != 200.0 || reply["channelID"] != "a" {
		t.Errorf("answered %v", reply)
	}
	if got := f.send(a); got != http.StatusGone {
		t.Errorf("send to the ended one answered %d", got)
	}
	if got := f.send(b); got != http.StatusCreated {
		t.Errorf("send to the other answered %d", got)
	}
}

func TestWrongSender(t *testing.T) {
	f := start(t)
	x, _ := f.connect("")
	a := f.subscribe(x, "channel")
	var err error
	if a.private, a.public, err = webpush.GenerateVAPIDKeys(); err != nil {
		t.Fatal(err)
	}
	if got := f.send(a); got != http.StatusUnauthorized {
		t.Errorf("answered %d", got)
	}
}

func TestRefuseRegistrations(t *testing.T) {
	f := start(t)
	x, _ := f.connect("")
	f.RefuseRegistrations(409)
	reply := x.ask(object{"messageType": "register", "channelID": "channel"})
	if reply["status"] != 409.0 || reply["pushEndpoint"] != nil {
		t.Errorf("answered %v", reply)
	}
	f.subscribe(x, "channel")
}

func TestBadMessages(t *testing.T) {
	f := start(t)
	for name, text := range map[string]string{
		"no JSON":            "{",
		"number as type":     `{"messageType": 1}`,
		"register unhelloed": `{"messageType":"register","channelID":"c"}`,
	} {
		t.Run(name, func(t *testing.T) {
			conn, _, err := websocket.Dial(f.ctx, "ws://"+f.addr+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			if err := conn.Write(f.ctx, websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if x := (&fox{t, f.ctx, conn}); !x.ended() {
				t.Error("still connected")
			}
		})
	}
}

func TestWaitAckTimesOut(t *testing.T) {
	f := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := f.WaitAck(ctx, "none"); err == nil {
		t.Error("no error")
	}
}
