package service_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/memstore"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// The subscription of RFC 8291, appendix A.
const (
	p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	auth   = "BTBZMqHH6r4Tts7J_aSIgg"
)

type fixture struct {
	*service.Service
	clock
	wakes int
}

// clock is set by tests, and also read by the service's background goroutines.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) setNow(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func (c *clock) advance(d time.Duration) { c.setNow(c.now().Add(d)) }

// Wake implements service.Engine.
func (f *fixture) Wake() { f.wakes++ }

func newFixture(t *testing.T) *fixture {
	t.Helper()
	store := memstore.New()
	f := new(fixture)
	f.setNow(time.Date(2026, 11, 23, 12, 0, 0, 999, time.UTC))
	f.Service = &service.Service{
		Store: store, Engine: f, Services: webpush.DefaultServices(), Contact: "mailto:ops@example.com",
		Clock: f.now,
	}
	return f
}

// withKey adds a key to the ring.
func (f *fixture) withKey(t *testing.T) pushsvc.Key {
	t.Helper()
	key, err := f.Store.EnsureKey(t.Context(), func() (pushsvc.Key, error) { return service.NewKey(f.now()) })
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func request(n int) service.SubscribeRequest {
	var r service.SubscribeRequest
	r.Endpoint = fmt.Sprintf("https://web.push.apple.com/Q%d", n)
	r.Keys = service.KeysJSON{P256DH: p256dh, Auth: auth}
	return r
}

func fieldOf(err error) string {
	var field *pushsvc.FieldError
	if errors.As(err, &field) {
		return field.Field
	}
	return ""
}

func TestNewKey(t *testing.T) {
	now := time.Now()
	key, err := service.NewKey(now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := webpush.ParseKeyPair(key.Public, key.Private.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	again, err := service.RingKey(pair, now)
	if err != nil || again != key {
		t.Errorf("%+v, %v; want %+v", again, err, key)
	}
	if len(key.ID) != 11 || key.ID != service.KeyID(key.Public) || service.KeyID("!") != "" {
		t.Errorf("id %q", key.ID)
	}
	other, err := service.NewKey(now)
	if err != nil || other.ID == key.ID {
		t.Errorf("two keys of id %q, %v", other.ID, err)
	}
}

func TestPushService(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://fcm.googleapis.com/fcm/send/x":                "fcm",
		"https://updates.push.services.mozilla.com/wpush/v2/x": "mozilla",
		"https://web.push.apple.com/x":                         "apple",
		"https://db5p.notify.windows.com/w/?token=x":           "wns",
		"https://push.example.net/x":                           "other",
		"://":                                                  "other",
		"":                                                     "other",
	} {
		if got := service.PushService(endpoint); got != want {
			t.Errorf("PushService(%q) = %q, want %q", endpoint, got, want)
		}
	}
}

// TestSubscribeKeys: a subscription belongs to the key that the browser used, or
// to the current one if it names none.
func TestSubscribeKeys(t *testing.T) {
	f := newFixture(t)
	if _, err := f.Subscribe(t.Context(), "a.example", request(0)); fieldOf(err) != "applicationServerKey" {
		t.Errorf("without any key: %v", err)
	}
	old := f.withKey(t)
	pair, err := service.NewKey(f.now())
	if err != nil {
		t.Fatal(err)
	}
	current, err := f.ImportKey(t.Context(), pair.Public, pair.Private, true)
	if err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct{ public, want string }{
		{"", current.ID}, {current.Public, current.ID}, {old.Public, old.ID}, {old.Public + "=", old.ID},
	} {
		r := request(i)
		r.ApplicationServerKey = tt.public
		row, err := f.Subscribe(t.Context(), "a.example", r)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := f.Store.SubscriptionPage(t.Context(), "a.example", row.ID-1, 1)
		if err != nil || rows[0].KeyID != tt.want {
			t.Errorf("%q: %+v, %v; want the key %s", tt.public, rows, err, tt.want)
		}
		if !rows[0].Created.Equal(f.now().Truncate(time.Second)) {
			t.Errorf("created %v", rows[0].Created)
		}
	}
	r := request(9)
	r.ApplicationServerKey = p256dh
	if _, err := f.Subscribe(t.Context(), "a.example", r); fieldOf(err) != "applicationServerKey" {
		t.Errorf("a foreign key: %v", err)
	}
}

// TestSend: a repeated idempotency key is recognised for 30 days, and then
// forgotten.
func TestSend(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	if _, err := f.Subscribe(t.Context(), "a.example", request(1)); err != nil {
		t.Fatal(err)
	}
	content := pushsvc.Content{Title: "x"}
	send := func() service.Sent {
		t.Helper()
		sent, err := f.Send(t.Context(), service.SendRequest{Site: "A.example:443", Content: content, IdempotencyKey: "key", RequestHash: [32]byte{1}})
		if err != nil {
			t.Fatal(err)
		}
		return sent
	}
	first := send()
	if !first.Created || first.Message.Site != "a.example" || len(first.Message.ID) != 36 || !first.Message.Created.Equal(f.now()) || f.wakes != 1 {
		t.Errorf("%+v, %d wakes", first, f.wakes)
	}
	f.advance(30*24*time.Hour - time.Second)
	if again := send(); again.Created || again.Message.ID != first.Message.ID {
		t.Errorf("within 30 days: %+v", again)
	}
	if _, err := f.Send(t.Context(), service.SendRequest{Site: "a.example", Content: content, IdempotencyKey: "key", RequestHash: [32]byte{2}}); !errors.Is(err, pushsvc.ErrIdempotencyConflict) {
		t.Errorf("another request: %v", err)
	}
	f.advance(2 * time.Second)
	if after := send(); !after.Created || after.Message.ID == first.Message.ID {
		t.Errorf("after 30 days: %+v", after)
	}
	for _, tt := range []struct {
		site, title, key, field string
	}{
		{"", "x", "", "site"},
		{"a b", "x", "", "site"},
		{"a.example", "", "", "title"},
		{"a.example", "x", strings.Repeat("x", service.MaxIdempotencyKey+1), "Idempotency-Key"},
	} {
		if _, err := f.Send(t.Context(), service.SendRequest{Site: tt.site, Content: pushsvc.Content{Title: tt.title}, IdempotencyKey: tt.key}); fieldOf(err) != tt.field {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// TestUnknownSite: the error lists the existing sites, up to a limit.
func TestUnknownSite(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	f.Configured = sites{}
	_, err := f.Site(t.Context(), "x.example")
	var unknown *service.UnknownSiteError
	if !errors.As(err, &unknown) || len(unknown.Known) != 0 || !errors.Is(err, pushsvc.ErrNotFound) || !strings.Contains(err.Error(), "there is no site yet") {
		t.Errorf("%v", err)
	}
	for i := range 25 {
		if _, err := f.Subscribe(t.Context(), fmt.Sprintf("site-%02d.example", i), request(i)); err != nil {
			t.Fatal(err)
		}
	}
	_, sendErr := f.Send(t.Context(), service.SendRequest{Site: "x.example", Content: pushsvc.Content{Title: "x"}})
	for _, err := range []error{sendErr, second(f.Site(t.Context(), "X.example."))} {
		if !errors.As(err, &unknown) || unknown.Site != "x.example" || len(unknown.Known) != 20 || unknown.Known[0] != "site-00.example" {
			t.Errorf("%v", err)
		}
	}
	if sum, err := f.Site(t.Context(), "SITE-07.example:80"); err != nil || sum.Subscriptions != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	if f.wakes != 0 {
		t.Error("the engine was woken for nothing")
	}
}

func second[T any](_ T, err error) error { return err }

func TestTrack(t *testing.T) {
	f := newFixture(t)
	f.withKey(t)
	row, err := f.Subscribe(t.Context(), "a.example", request(1))
	if err != nil {
		t.Fatal(err)
	}
	sent, err := f.Send(t.Context(), service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := f.Store.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good := service.Report{Type: pushsvc.ReceiptClicked, Message: sent.Message.ID, Token: pushsvc.ReceiptToken(secret, "a.example", sent.Message.ID, row.ID)}
	bad := good
	bad.Type = "pressed"
	if err := f.Track(t.Context(), "a.example", []service.Report{good, bad}); fieldOf(err) != "events[1].type" {
		t.Errorf("unknown type: %v", err)
	}
	if err := f.Track(t.Context(), "a.example", make([]service.Report, service.MaxReports+1)); fieldOf(err) != "events" {
		t.Errorf("too many: %v", err)
	}
	many := make([]service.Report, service.MaxReports)
	for i := range many {
		many[i] = good
	}
	for _, site := range []string{"b.example", "a.example", "a.example"} {
		if err := f.Track(t.Context(), site, many); err != nil {
			t.Errorf("%s: %v", site, err)
		}
	}
	m, err := f.Store.Message(t.Context(), "a.example", sent.Message.ID)
	if err != nil || m.Progress.Clicked != 1 || m.Progress.Shown != 0 {
		t.Errorf("%+v, %v", m.Progress, err)
	}
}

// TestClosedStore: the store's errors are returned with the action, and are not
// the caller's faults.
func TestClosedStore(t *testing.T) {
	f := newFixture(t)
	key := f.withKey(t)
	if err := f.Store.Close(); err != nil {
		t.Fatal(err)
	}
	var proof service.ProofJSON
	proof.Endpoint, proof.Keys.Auth = "https://web.push.apple.com/Q", auth
	for name, err := range map[string]error{
		"Subscribe":   second(f.Subscribe(t.Context(), "a.example", request(1))),
		"Unsubscribe": f.Unsubscribe(t.Context(), "a.example", proof),
		"Send":        second(f.Send(t.Context(), service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x"}})),
		"Track":       f.Track(t.Context(), "a.example", nil),
		"Site":        second(f.Site(t.Context(), "a.example")),
		"ImportKey":   second(f.ImportKey(t.Context(), key.Public, key.Private, true)),
		"RotateKey":   second(f.RotateKey(t.Context())),
		"KeyCounts":   second(f.KeyCounts(t.Context())),
		"DryRun":      second(f.DryRun(t.Context(), service.SendRequest{Site: "a.example", Content: pushsvc.Content{Title: "x"}})),
		"Control":     second(f.Control(t.Context(), "a.example", "x", pushsvc.CommandPause)),
		"Export":      second(f.Export(t.Context(), "a.example", service.ExportNDJSON, io.Discard)),
		"Import":      second(f.Import(t.Context(), "a.example", strings.NewReader(fileLine(1, key.Public)), service.ImportOptions{Format: transfer.FormatAuto})),
	} {
		if !errors.Is(err, pushsvc.ErrClosed) || fieldOf(err) != "" || strings.Contains(err.Error(), "web.push.apple.com/Q") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImportKeyErrors(t *testing.T) {
	f := newFixture(t)
	key := f.withKey(t)
	other, err := service.NewKey(f.now())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		public  string
		private pushsvc.Secret
		field   string
	}{
		{"", key.Private, "publicKey"}, {key.Public, "", "privateKey"}, {key.Public, other.Private, "publicKey"}, {key.Public, "!", "privateKey"},
	} {
		_, err := f.ImportKey(t.Context(), tt.public, tt.private, true)
		if fieldOf(err) != tt.field || tt.private != "" && strings.Contains(err.Error(), tt.private.Reveal()) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	ring, err := f.Store.Keys(t.Context())
	if err != nil || len(ring) != 1 || ring[0].ID != key.ID {
		t.Errorf("%+v, %v", ring, err)
	}
}
