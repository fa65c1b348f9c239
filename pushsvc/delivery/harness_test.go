package delivery_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/memstore"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

const siteA, siteB = "a.example", "b.example"

// Hosts of push services whose names the test's push service uses.
const (
	fcm     = "fcm.googleapis.com"
	mozilla = "updates.push.services.mozilla.com"
	apple   = "web.push.apple.com"
	wns     = "wns2-par02p.notify.windows.com"
)

// fixture is a real store and a push service that a real client sends to.
type fixture struct {
	testing.TB
	store  *checkedStore
	push   *pushService
	key    pushsvc.Key
	secret []byte
	log    *logBuffer
	serial atomic.Int64
	ahead  *atomic.Int64 // by how much the store's clock is ahead, in ns; nil if it is the system's
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	ahead := new(atomic.Int64)
	f := newFixtureOn(t, &memstore.Store{Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	f.ahead = ahead
	return f
}

func newFixtureOn(t testing.TB, store store.Store) *fixture {
	t.Helper()
	t.Cleanup(func() { _ = store.Close() })
	f := &fixture{TB: t, store: &checkedStore{Store: store, tb: t}, push: newPushService(t), log: new(logBuffer)}
	f.key = ensureKey(t, store)
	var err error
	if f.secret, err = store.Secret(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// ensureKey adds a VAPID key to the store.
func ensureKey(t testing.TB, store store.Store) pushsvc.Key {
	t.Helper()
	key, err := store.EnsureKey(t.Context(), newKey)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newKey() (pushsvc.Key, error) {
	pair, err := webpush.GenerateKeyPair()
	if err != nil {
		return pushsvc.Key{}, err
	}
	private, err := pair.RevealPrivateKey()
	if err != nil {
		return pushsvc.Key{}, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(pair.PublicKey())
	sum := sha256.Sum256(raw)
	return pushsvc.Key{
		ID: base64.RawURLEncoding.EncodeToString(sum[:8]), Public: pair.PublicKey(),
		Private: pushsvc.Secret(private), Created: time.Now(),
	}, err
}

// subscriber is a browser: its own data, and its row in the store.
type subscriber struct {
	pushsvc.Subscription
	name    string
	private *ecdh.PrivateKey
}

// subscribe makes n subscribers of a kind (see respond), half of them at Google's push service and
// half at Mozilla's.
func (f *fixture) subscribe(site, kind string, n int) []subscriber {
	f.Helper()
	all := make([]subscriber, n)
	for i := range all {
		host := fcm
		if f.serial.Load()%2 == 1 {
			host = mozilla
		}
		all[i] = f.subscribeAt(site, kind, f.key.ID, host)
	}
	return all
}

// subscribeTo makes n subscribers of one push service.
func (f *fixture) subscribeTo(host, site, kind string, n int) []subscriber {
	f.Helper()
	all := make([]subscriber, n)
	for i := range all {
		all[i] = f.subscribeAt(site, kind, f.key.ID, host)
	}
	return all
}

func (f *fixture) subscribeAt(site, kind, keyID, host string) subscriber {
	f.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	s := subscriber{name: fmt.Sprintf("%s-%d", kind, f.serial.Add(1)), private: private}
	s.Site, s.KeyID, s.Created, s.Seen = site, keyID, time.Now(), time.Now()
	s.Endpoint = "https://" + host + "/push/v2/" + s.name
	copy(s.P256DH[:], private.PublicKey().Bytes())
	_, _ = rand.Read(s.Auth[:])
	if s.Subscription, err = f.store.PutSubscription(context.Background(), s.Subscription, nil); err != nil {
		f.Fatal(err)
	}
	return s
}

// message stores a message for a site's present subscribers.
func (f *fixture) message(site string, created time.Time, c pushsvc.Content) pushsvc.Message {
	f.Helper()
	return f.create(pushsvc.Message{Site: site, Content: c, Created: created})
}

func (f *fixture) create(m pushsvc.Message) pushsvc.Message {
	f.Helper()
	m.ID = uuid.Must(uuid.NewV7()).String()
	if m.Created.IsZero() {
		m.Created = time.Now()
	}
	if m.Content.Title == "" {
		m.Content.Title = "x"
	}
	row, created, err := f.store.CreateMessage(context.Background(), m, pushsvc.Idempotency{})
	if err != nil || !created {
		f.Fatalf("creating a message: %v, %v", created, err)
	}
	return row
}

// engine starts an engine whose defaults suit tests, and stops it at the end.
func (f *fixture) engine(change func(*delivery.Config)) *delivery.Engine {
	f.Helper()
	cfg := delivery.Config{
		Store: f.store, Sender: f.push.client, Logger: slog.New(slog.NewTextHandler(f.log, nil)), Clock: time.Now,
		Owner: fmt.Sprintf("engine-%d", f.serial.Add(1)), Contact: "mailto:ops@example.com",
		Concurrency: 64, Lease: 3 * time.Second, Poll: 50 * time.Millisecond, CheckpointEvery: 50 * time.Millisecond,
		RetryMin: 50 * time.Millisecond, RetryMax: 400 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	e := delivery.New(cfg)
	e.Start()
	f.Cleanup(func() { f.stop(e) })
	return e
}

func (f *fixture) stop(e *delivery.Engine) {
	f.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		f.Errorf("stopping: %v", err)
	}
}

// state returns the message as it is in the store.
func (f *fixture) state(m pushsvc.Message) pushsvc.Message {
	f.Helper()
	row, err := f.store.Message(context.Background(), m.Site, m.ID)
	if err != nil {
		f.Fatal(err)
	}
	return row
}

// done waits for the message's end.
func (f *fixture) done(m pushsvc.Message) pushsvc.Message {
	f.Helper()
	var row pushsvc.Message
	f.eventually("the message is done", func() bool {
		row = f.state(m)
		return row.State == pushsvc.StateDone
	})
	if row.Progress.Pending != 0 || row.Progress.Later != 0 || row.Finished.IsZero() || row.Started.IsZero() {
		f.Errorf("done, and yet %+v", row)
	}
	return row
}

func (f *fixture) eventually(what string, is func() bool) {
	f.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("waited in vain until %s; log:\n%s", what, f.log)
		}
	}
}

// subscriptions returns a site's subscriptions, by the names of the subscribers.
func (f *fixture) subscriptions(site string) map[string]pushsvc.Subscription {
	f.Helper()
	subs, err := f.store.SubscriptionPage(context.Background(), site, 0, 100_000)
	if err != nil {
		f.Fatal(err)
	}
	names := make(map[string]pushsvc.Subscription)
	for _, s := range subs {
		names[path.Base(s.Endpoint)] = s
	}
	return names
}

func (f *fixture) unsubscribe(s subscriber) {
	f.Helper()
	ok, err := f.store.DeleteProven(f.Context(), s.Site, pushsvc.Proof{Endpoint: s.Endpoint, Auth: s.Auth})
	if err != nil || !ok {
		f.Fatalf("unsubscribing %s: %v, %v", s.name, ok, err)
	}
}

func (f *fixture) control(m pushsvc.Message, c pushsvc.Command) pushsvc.Message {
	f.Helper()
	row, err := f.store.Control(f.Context(), m.Site, m.ID, c, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	return row
}

// once fails if a subscriber got anything but one push.
func (f *fixture) once(all []subscriber) { f.Helper(); f.times(all, 1) }

func (f *fixture) times(all []subscriber, n int) {
	f.Helper()
	for _, s := range all {
		if got := len(f.push.pushesTo(s.name)); got != n {
			f.Errorf("%s got %d pushes, not %d", s.name, got, n)
		}
	}
}
