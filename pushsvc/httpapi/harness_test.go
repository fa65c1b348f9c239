package httpapi_test

import (
	"bufio"
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/operator"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

const siteA, siteB = "a.example", "b.example"

// fixture is the public and the operator's handlers on real servers over a real store.
type fixture struct {
	testing.TB
	store   store.Store
	service *service.Service
	wakes   *wakes
	// public answers {action} of {site} at /{site}/{action}.
	public, operator *httptest.Server
	key              pushsvc.Key
	identitySecret   pushsvc.Secret
	shareUnsigned    bool
	log              *lockedBuffer
}

// wakes counts the calls that would wake the engine.
type wakes struct{ n atomic.Int64 }

func (w *wakes) Wake() { w.n.Add(1) }

// lockedBuffer is a log that many goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	return newFixtureOn(t, openStore(t))
}

// newFixtureOn is a server that begins with the store.
func newFixtureOn(t testing.TB, store store.Store) *fixture {
	t.Helper()
	f := &fixture{TB: t, store: store, wakes: new(wakes), log: new(lockedBuffer)}
	var err error
	f.key, err = store.EnsureKey(t.Context(), func() (pushsvc.Key, error) { return service.NewKey(time.Now()) })
	if err != nil {
		t.Fatal(err)
	}
	f.service = &service.Service{
		Store: store, Engine: f.wakes, Services: webpush.DefaultServices(), Contact: "mailto:ops@example.com", Clock: time.Now,
	}
	f.service.Configured = configured{}
	f.service.Live = service.NewLive(store, time.Now, func(err error) { t.Errorf("what operators have set: %v", err) })
	f.public = httptest.NewServer(f.publicHandler())
	t.Cleanup(f.public.Close)
	f.operator = httptest.NewServer(checked(t, operator.New(f.service, f.logger())))
	t.Cleanup(f.operator.Close)
	return f
}

// openStore opens a real store, which must not be found damaged.
func openStore(t testing.TB) store.Store {
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
	return store
}

func (f *fixture) logger() *slog.Logger { return slog.New(slog.NewTextHandler(f.log, nil)) }

// limit starts the public server again with a limit.
func (f *fixture) limit(l *httpapi.ClientLimit, limited *int) {
	f.public.Close()
	f.public = httptest.NewServer(f.handler(&httpapi.Public{
		Service: f.service, Logger: f.logger(), Limit: l, EventLimit: l, Limited: func() { *limited++ },
	}))
	f.Cleanup(f.public.Close)
}

// siteTopics are the topics of all sites under test.
var siteTopics = []string{"news", "deals"}

func (f *fixture) publicHandler() http.Handler {
	return f.handler(&httpapi.Public{Service: f.service, Logger: f.logger()})
}

func (f *fixture) handler(public *httpapi.Public) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{site}/{action}", func(w http.ResponseWriter, r *http.Request) {
		public.Serve(w, r, httpapi.PublicSite{
			Name: f.service.CurrentSite(r.PathValue("site")), Topics: siteTopics,
			CookiePath: "/" + r.PathValue("site") + "/", IdentitySecret: f.identitySecret, ShareUnsigned: f.shareUnsigned,
		}, r.PathValue("action"))
	})
	return checkedVisitors(f, mux)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem reads an RFC 9457 body and fails if it is not one.
func (a answer) problem(t testing.TB) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%d with the body %q: %v", a.status, a.body, err)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" || p.Status != a.status || p.Title == "" || p.Type == "" || p.Detail == "" {
		t.Errorf("%d as %s: %s", a.status, ct, a.body)
	}
	return p
}

// do sends a request; headers are name, value, name, value.
func (f *fixture) do(method, url, body string, headers ...string) answer {
	f.Helper()
	r, err := http.NewRequestWithContext(f.Context(), method, url, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return f.roundTrip(r)
}

func (f *fixture) roundTrip(r *http.Request) answer {
	f.Helper()
	if r.Header.Get("Accept-Encoding") == "" {
		r.Header.Set("Accept-Encoding", "identity") // or the transport decodes
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// post posts JSON to a public endpoint, as a page of the site does.
func (f *fixture) post(site, action, body string) answer {
	f.Helper()
	return f.do(http.MethodPost, f.public.URL+"/"+site+"/"+action, body,
		"Content-Type", "application/json", "Sec-Fetch-Site", "same-origin")
}

// count is the number of subscriptions of a site.
func (f *fixture) count(site string) int {
	f.Helper()
	return len(f.subscriptions(site))
}

func (f *fixture) subscriptions(site string) []pushsvc.Subscription {
	f.Helper()
	subs, err := f.store.SubscriptionPage(f.Context(), site, 0, 100_000)
	if err != nil {
		f.Fatal(err)
	}
	return subs
}

// browser is a browser that subscribes.
type browser struct{ endpoint, p256dh, auth string }

func newBrowser(t testing.TB, n int) browser {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, pushsvc.AuthSize)
	_, _ = rand.Read(secret)
	return browser{
		endpoint: fmt.Sprintf("https://fcm.googleapis.com/fcm/send/browser-%d", n),
		p256dh:   base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()),
		auth:     base64.RawURLEncoding.EncodeToString(secret),
	}
}

// json returns PushSubscription.toJSON(), with more members if given.
func (b browser) json(more string) string {
	return fmt.Sprintf(`{"endpoint":%q,"expirationTime":null,"keys":{"p256dh":%q,"auth":%q}%s}`, b.endpoint, b.p256dh, b.auth, more)
}

func (b browser) proof() string {
	return fmt.Sprintf(`{"endpoint":%q,"keys":{"auth":%q}}`, b.endpoint, b.auth)
}

// subscribe makes the n-th browser a subscriber and returns its id.
func (f *fixture) subscribe(site string, n int) (browser, string) {
	f.Helper()
	b := newBrowser(f, n)
	f.subscribed(f.post(site, "subscribe", b.json("")))
	return b, f.newest(site)
}

// subscribed checks the answer, which is the same for all: it reveals nothing about the row, nor
// whether there was one.
func (f *fixture) subscribed(a answer) {
	f.Helper()
	if a.status != http.StatusCreated || a.body != "{}\n" || a.header.Get("Content-Type") != "application/json" {
		f.Fatalf("subscribe: %d %v %q", a.status, a.header, a.body)
	}
}

// newest returns the id of the site's latest row.
func (f *fixture) newest(site string) string {
	f.Helper()
	subs, err := f.store.SubscriptionPage(f.Context(), site, 0, 100_000)
	if err != nil || len(subs) == 0 {
		f.Fatalf("rows of %s: %d, %v", site, len(subs), err)
	}
	return fmt.Sprint(uint64(subs[len(subs)-1].ID))
}

// row is one line of the shared test data.
type row struct{ Payload, Expect, Result, Name string }

// text is the payload; "b64:" marks raw bytes.
func (r row) text(t testing.TB) string {
	encoded, raw := strings.CutPrefix(r.Payload, "b64:")
	if !raw {
		return r.Payload
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sharedRows reads a file of the shared test data beside the repository, or
// skips the test.
func sharedRows(t *testing.T, name string) (rows []row) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		dir = filepath.Dir(dir)
		file, err := os.Open(filepath.Join(dir, "shared", "testdata", "adversarial", name))
		if err != nil {
			continue
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			var r row
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, r)
		}
		if len(rows) == 0 || lines.Err() != nil {
			t.Fatalf("%s has %d rows: %v", name, len(rows), lines.Err())
		}
		return rows
	}
	t.Skipf("shared test data %s is not beside the repository", name)
	return nil
}
