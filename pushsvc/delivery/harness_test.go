package delivery_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/delivery"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

const siteA, siteB = "a.example", "b.example"

// post is one push as the push service got it.
type post struct {
	header http.Header
	body   []byte
}

// pushService is a push service on loopback that goes by the names of Google's
// and Mozilla's, and remembers every push by the last segment of its path. What
// stands before the first "-" there is what it answers: see respond.
type pushService struct {
	client *webpush.Client
	// arrived, where it is set, is called before each answer.
	arrived atomic.Pointer[func(name string)]

	mu    sync.Mutex
	posts map[string][]post
	total int
}

func newPushService(t testing.TB) *pushService {
	t.Helper()
	p := &pushService{posts: make(map[string][]post)}
	leaf, pool := certificate(t, "fcm.googleapis.com", "updates.push.services.mozilla.com")
	server := httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	p.client = webpush.NewClient(webpush.Config{
		RootCAs: pool,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
	})
	t.Cleanup(p.client.Close)
	return p
}

func certificate(t testing.TB, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func (p *pushService) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	name := path.Base(r.URL.Path)
	p.mu.Lock()
	p.posts[name] = append(p.posts[name], post{r.Header, body})
	p.total++
	nth := len(p.posts[name])
	p.mu.Unlock()
	if arrived := p.arrived.Load(); arrived != nil {
		(*arrived)(name)
	}
	respond(w, name, nth)
}

func respond(w http.ResponseWriter, name string, nth int) {
	kind, _, _ := strings.Cut(name, "-")
	status := map[string]int{
		"gone404": 404, "gone410": 410, "large": 413, "bad": 400, "denied": 403, "broken": 500,
	}[kind]
	switch {
	case kind == "busy" && nth == 1:
		w.Header().Set("Retry-After", "1")
		status = 429
	case status == 0:
		status = 201
	}
	w.WriteHeader(status)
}

// of gives the pushes to one name.
func (p *pushService) of(name string) []post {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.posts[name]
}

func (p *pushService) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

func (p *pushService) onPush(f func(name string)) { p.arrived.Store(&f) }

// fixture is a real store and a push service that a real client sends to.
type fixture struct {
	testing.TB
	store  *boltstore.Store
	push   *pushService
	key    pushsvc.Key
	secret []byte
	log    *logBuffer
	serial atomic.Int64
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
	damage := make(chan error, 1)
	store, err := boltstore.Open(t.Context(), filepath.Join(t.TempDir(), "webpush.db"), boltstore.Options{
		OnDamage: func(err error) {
			select {
			case damage <- err:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = store.Close()
		if len(damage) > 0 {
			t.Errorf("the store is damaged: %v", <-damage)
		}
	})
	f := &fixture{TB: t, store: store, push: newPushService(t), log: new(logBuffer)}
	if f.key, err = store.EnsureKey(t.Context(), func() (pushsvc.Key, error) { return service.NewKey(time.Now()) }); err != nil {
		t.Fatal(err)
	}
	if f.secret, err = store.Secret(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// subscriber is a browser: what it keeps, and what the store has of it.
type subscriber struct {
	pushsvc.Subscription
	name    string
	private *ecdh.PrivateKey
}

// subscribe makes n subscribers of a kind (see respond), in no order.
func (f *fixture) subscribe(site, kind string, n int) []subscriber {
	f.Helper()
	all := make([]subscriber, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i] = f.subscribeOne(site, kind, f.key.ID) })
	}
	wg.Wait()
	return all
}

func (f *fixture) subscribeOne(site, kind, keyID string) subscriber {
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		f.Error(err)
		return subscriber{}
	}
	n := f.serial.Add(1)
	s := subscriber{name: fmt.Sprintf("%s-%d", kind, n), private: private}
	s.Site, s.KeyID, s.Created, s.Seen = site, keyID, time.Now(), time.Now()
	s.Endpoint = "https://fcm.googleapis.com/fcm/send/" + s.name
	if n%2 == 0 {
		s.Endpoint = "https://updates.push.services.mozilla.com/wpush/v2/" + s.name
	}
	copy(s.P256DH[:], private.PublicKey().Bytes())
	_, _ = rand.Read(s.Auth[:])
	if s.Subscription, err = f.store.PutSubscription(context.Background(), s.Subscription, nil); err != nil {
		f.Error(err)
	}
	return s
}

// message stores a message for a site's present subscribers.
func (f *fixture) message(site string, created time.Time, c pushsvc.Content) pushsvc.Message {
	f.Helper()
	s := service.Service{Store: f.store, Engine: noEngine{}, Clock: func() time.Time { return created }}
	sent, err := s.Send(f.Context(), site, c, "", [32]byte{})
	if err != nil {
		f.Fatal(err)
	}
	return sent.Message
}

type noEngine struct{}

func (noEngine) Wake() {}

// engine starts an engine whose defaults suit tests, and stops it at the end.
func (f *fixture) engine(change func(*delivery.Config)) *delivery.Engine {
	f.Helper()
	cfg := delivery.Config{
		Store: f.store, Sender: f.push.client, Logger: slog.New(slog.NewTextHandler(f.log, nil)), Clock: time.Now,
		Owner: fmt.Sprintf("engine-%d", f.serial.Add(1)), Contact: "mailto:ops@example.com",
		Lease: 2 * time.Second, Poll: 20 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	e := delivery.New(cfg)
	e.Start()
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			f.Errorf("stopping: %v", err)
		}
	})
	return e
}

func (f *fixture) stop(e *delivery.Engine) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 20*time.Second)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		f.Fatal(err)
	}
}

// state is the message as the store has it.
func (f *fixture) state(m pushsvc.Message) pushsvc.Message {
	f.Helper()
	row, err := f.store.Message(f.Context(), m.Site, m.ID)
	if err != nil {
		f.Fatal(err)
	}
	p := row.Progress
	if sum := p.Pending + p.Accepted + p.Gone + p.Left + p.FailedTotal(); sum != p.Audience || p.Pending < 0 {
		f.Errorf("the sums do not balance: %+v", p)
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
	if row.Progress.Pending != 0 || row.Finished.IsZero() || row.Started.IsZero() {
		f.Errorf("done, and yet %+v", row)
	}
	return row
}

func (f *fixture) eventually(what string, is func() bool) {
	f.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("waited in vain until %s; log:\n%s", what, f.log)
		}
	}
}

// remaining are the names of a site's subscriptions.
func (f *fixture) remaining(site string) map[string]bool {
	f.Helper()
	subs, err := f.store.SubscriptionPage(f.Context(), site, 0, 100_000)
	if err != nil {
		f.Fatal(err)
	}
	names := make(map[string]bool)
	for _, s := range subs {
		names[path.Base(s.Endpoint)] = true
	}
	return names
}

// once fails where anybody got anything but one push.
func (f *fixture) once(all []subscriber) {
	f.Helper()
	for _, s := range all {
		if n := len(f.push.of(s.name)); n != 1 {
			f.Errorf("%s got %d pushes", s.name, n)
		}
	}
}
