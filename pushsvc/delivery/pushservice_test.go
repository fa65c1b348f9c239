package delivery_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush/certtest"
)

// post is one push as the push service got it.
type post struct {
	header http.Header
	body   []byte
	at     time.Time
}

// pushService is a push service on loopback that uses the names of the real ones, and remembers
// every push by the last segment of its path. The part before the first "-" in there is what it
// answers: see respond.
type pushService struct {
	client *webpush.Client
	addr   string
	pem    []byte // the certificate to trust
	pool   *x509.CertPool
	leaf   tls.Certificate
	// arrived, if it is set, is called before each answer.
	arrived atomic.Pointer[func(name string)]
	// answer, if it is set, replaces respond.
	answer atomic.Pointer[func(w http.ResponseWriter, r *http.Request, name string, nth int)]
	open   atomic.Int64 // requests that have not been answered

	mu    sync.Mutex
	posts map[string][]post
	total int
}

func newPushService(t testing.TB) *pushService {
	t.Helper()
	p := &pushService{posts: make(map[string][]post)}
	leaf, err := certtest.New(fcm, mozilla, apple, "*.notify.windows.com", "android.googleapis.com", "jmt17.google.com")
	if err != nil {
		t.Fatal(err)
	}
	p.leaf, p.pem, p.pool = leaf, certtest.PEM(leaf), certtest.Pool(leaf)
	server := httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	p.addr = server.Listener.Addr().String()
	p.client = newClient(p.addr, p.pool, nil)
	t.Cleanup(p.client.Close)
	return p
}

// newClient makes a client for which every name is at addr.
func newClient(addr string, pool *x509.CertPool, change func(*webpush.Config)) *webpush.Client {
	cfg := webpush.Config{
		RootCAs: pool,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	if change != nil {
		change(&cfg)
	}
	return webpush.NewClient(cfg)
}

func (p *pushService) serve(w http.ResponseWriter, r *http.Request) {
	p.open.Add(1)
	defer p.open.Add(-1)
	body, _ := io.ReadAll(r.Body)
	name := path.Base(r.URL.Path)
	p.mu.Lock()
	p.posts[name] = append(p.posts[name], post{header: r.Header, body: body, at: time.Now()})
	p.total++
	nth := len(p.posts[name])
	p.mu.Unlock()
	if arrived := p.arrived.Load(); arrived != nil {
		(*arrived)(name)
	}
	if answer := p.answer.Load(); answer != nil {
		(*answer)(w, r, name, nth)
		return
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

// pushesTo returns the pushes to one name.
func (p *pushService) pushesTo(name string) []post {
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

func (p *pushService) respondWith(f func(w http.ResponseWriter, r *http.Request, name string, nth int)) {
	p.answer.Store(&f)
}
