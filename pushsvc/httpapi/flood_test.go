package httpapi_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
)

// floodEnv asks for this many made-up devices instead of a few, and a tenth as many made-up hosts.
const floodEnv = "WEBPUSH_TEST_FLOOD"

const floodSite, floodTenant = "shop.example", "tenant.example"

// flood is a server that strangers flood while visitors come to it.
type flood struct {
	*fixture
	public  *httpapi.Public
	path    string
	devices int
	now     atomic.Int64 // ns since 1970; each request takes a millisecond

	mu     sync.Mutex
	tried  map[string]int // genuine requests, by kind
	served map[string]int
	made   map[int]int // answers to strangers, by status
}

func newFlood(t *testing.T, devices int) *flood {
	path := filepath.Join(t.TempDir(), "webpush.db")
	store, err := boltstore.Open(t.Context(), path, boltstore.Options{OnDamage: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := &flood{fixture: newFixtureOn(t, store), path: path, devices: devices, tried: map[string]int{}, served: map[string]int{}, made: map[int]int{}}
	f.now.Store(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).UnixNano())
	f.service.Clock = func() time.Time { return time.Unix(0, f.now.Load()) }
	f.service.Conversions = f.service.PopupConversions
	f.service.Configured = nil // all hosts are as strange
	f.service.PeopleLimits = people.Limits{Anonymous: int64(devices / 4), EventNames: 100}
	f.service.MaxSites = max(devices/100, 20)
	f.public = &httpapi.Public{
		Service: f.service, Logger: f.logger(),
		Limit: httpapi.NewClientLimit(300), EventLimit: httpapi.NewClientLimit(3000), SiteLimit: httpapi.NewClientLimit(30),
		Client: func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("X-Client")) },
	}
	return f
}

// do sends one request and returns its status, cookie and body.
func (f *flood) do(site, action, client, cookie, body string) (int, string, string) {
	f.now.Add(int64(time.Millisecond))
	r := httptest.NewRequest(http.MethodPost, "/"+action, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Client", client)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	w := httptest.NewRecorder()
	f.public.Serve(w, r, httpapi.PublicSite{Name: site, CookiePath: "/"}, action)
	var cookies []string
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
	}
	return w.Code, strings.Join(cookies, "; "), w.Body.String()
}

// unique names a batch.
func unique(kind byte, n int) string {
	var b [16]byte
	b[0] = kind
	binary.BigEndian.PutUint64(b[1:], uint64(n))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func eventBatch(batch, name string) string {
	return fmt.Sprintf(`{"batch":%q,"events":[{"type":"event","name":%q}]}`, batch, name)
}

// genuine is one visitor with a browser of their own.
type genuine struct {
	f            *flood
	client, site string
	n, posts     int
	cookie       string
}

func (g *genuine) count(kind string, ok bool) {
	g.f.mu.Lock()
	defer g.f.mu.Unlock()
	g.f.tried[kind]++
	if ok {
		g.f.served[kind]++
	}
}

func (g *genuine) event(name string) {
	g.posts++
	status, cookie, _ := g.f.do(g.site, "events", g.client, g.cookie, eventBatch(unique('g', g.n*1000+g.posts), name))
	if cookie != "" {
		g.cookie = cookie
	}
	g.count("events", status == http.StatusNoContent)
}

func (g *genuine) subscribe() {
	body := fmt.Sprintf(`{"endpoint":"https://fcm.googleapis.com/fcm/send/genuine-%d","keys":{"p256dh":%q,"auth":%q}}`, g.n,
		"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", "BTBZMqHH6r4Tts7J_aSIgg")
	status, cookie, _ := g.f.do(g.site, "subscribe", g.client, g.cookie, body)
	if cookie != "" {
		g.cookie = cookie
	}
	g.count("subscribe", status == http.StatusCreated)
}

// asks requests the site's pop-up.
func (g *genuine) asks() {
	status, _, body := g.f.do(g.site, "messages", g.client, g.cookie, `{"page":{"path":"/"},"device":"desktop"}`)
	var answer service.PopupsAnswer
	g.count("pop-ups", status == http.StatusOK && json.Unmarshal([]byte(body), &answer) == nil && len(answer.Popups) == 1)
}

// strange is the n-th made-up device's post: to the site, or to a made-up host.
func (f *flood) strange(n int) {
	client := fmt.Sprintf("10.%d.%d.1", n%10_000>>8, n%10_000&255)
	site := floodSite
	if n%10 == 0 {
		site = fmt.Sprintf("made-up-%d.example", n/10)
	}
	status, _, _ := f.do(site, "events", client, "", eventBatch(unique('s', n), fmt.Sprint("junk ", n%5000)))
	f.mu.Lock()
	f.made[status]++
	f.mu.Unlock()
}

// run posts as strangers, and between them as genuine visitors.
func (f *flood) run(from, to int, visitors []*genuine) {
	var next atomic.Int64
	next.Store(int64(from))
	var workers sync.WaitGroup
	for w := range 32 {
		mine := visitors[w*len(visitors)/32 : (w+1)*len(visitors)/32]
		workers.Go(func() {
			turn := 0
			for n := int(next.Add(1)) - 1; n < to; n = int(next.Add(1)) - 1 {
				f.strange(n)
				if every := max((to-from)/(len(visitors)*4), 1); n%every == 0 && len(mine) > 0 {
					g := mine[turn%len(mine)]
					switch turn / len(mine) % 3 {
					case 0:
						g.asks()
					case 1:
						g.subscribe()
					default:
						g.event("Charged")
					}
					turn++
				}
			}
		})
	}
	workers.Wait()
}

// TestFlood: a flood of made-up devices and hosts costs bounded memory and disk, and genuine
// visitors are served meanwhile, old and new ones.
func TestFlood(t *testing.T) {
	devices := 2_000
	if text := os.Getenv(floodEnv); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1000 {
			t.Fatalf("%s=%q is not a number of devices from 1000 on", floodEnv, text)
		}
		devices = n
	}
	f := newFlood(t, devices)
	p := popup.Popup{ID: "p", State: popup.Running, Kind: popup.Box, Content: popup.Content{Title: "x"}}
	for _, site := range []string{floodSite, floodTenant} {
		if _, err := f.service.PutPopup(t.Context(), site, p, pushsvc.AnyRevision); err != nil {
			t.Fatal(err)
		}
	}
	var returning []*genuine
	for n := range 200 {
		site := floodSite
		if n%4 == 0 {
			site = floodTenant
		}
		returning = append(returning, &genuine{f: f, n: n, site: site, client: fmt.Sprintf("172.16.%d.1", n)})
	}
	for range 2 { // they come, and come back
		for _, g := range returning {
			g.event("Hello")
		}
		f.now.Add(int64(time.Hour))
	}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	f.run(0, devices/2, returning)
	newcomers := make([]*genuine, len(returning))
	for n := range newcomers {
		newcomers[n] = &genuine{f: f, n: 1000 + n, site: floodSite, client: fmt.Sprintf("172.17.%d.1", n)}
	}
	f.run(devices/2, devices, newcomers)
	took := time.Since(began)
	f.served99(t, "during the flood")
	f.bounded(t, before)
	t.Logf("%d made-up devices, %d made-up hosts, %v, answers %v, genuine %v of %v", devices, devices/10, took.Round(time.Second), f.made, f.served, f.tried)
	for _, g := range returning {
		if who := f.known(t, g); !who {
			t.Errorf("visitor %d of %s, who has come back, is not known any more", g.n, g.site)
		}
	}
	// The store is full: strangers are refused, subscribers and known visitors are not.
	used, err := f.store.Used(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.service.MaxStoreSize = used * 64 / 57
	f.made, f.tried, f.served = map[int]int{}, map[string]int{}, map[string]int{}
	f.now.Add(int64(time.Hour))
	strangers := max(devices/20, 1000) // so that enough of the others come in between
	f.run(devices, devices+strangers, returning)
	f.served99(t, "on a full store")
	if f.made[http.StatusInsufficientStorage] < strangers*9/10 {
		t.Errorf("strangers on a full store: %v", f.made)
	}
	after, err := f.store.Used(t.Context())
	if err != nil || after > f.service.MaxStoreSize {
		t.Errorf("%d of %d bytes, %v", after, f.service.MaxStoreSize, err)
	}
}

// served99 checks that 99 % of each kind of genuine requests are served.
func (f *flood) served99(t *testing.T, when string) {
	t.Helper()
	for kind, tried := range f.tried {
		if f.served[kind]*100 < tried*99 || tried < 50 {
			t.Errorf("%s: %s: %d of %d are served", when, kind, f.served[kind], tried)
		}
	}
}

// known reports whether the visitor's profile has everything that was posted for it.
func (f *flood) known(t *testing.T, g *genuine) bool {
	t.Helper()
	if _, _, body := f.do(g.site, "messages", g.client, g.cookie, `{"page":{"path":"/"},"device":"desktop"}`); !strings.Contains(body, `"p"`) {
		return false
	}
	_, value, _ := strings.Cut(g.cookie, "=")
	browser, ok, err := f.service.OpenCookies(t.Context(), g.site, []string{value})
	if err != nil || !ok {
		return false
	}
	facts, err := f.store.Facts(t.Context(), g.site, browser.Device())
	return err == nil && facts.Profile != nil && facts.Profile.Events["Hello"].Count == 2
}

// bounded checks that memory and disk stay within their bounds.
func (f *flood) bounded(t *testing.T, before runtime.MemStats) {
	t.Helper()
	for {
		n, err := f.store.Sweep(t.Context(), 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	var after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&after)
	heap := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	used, err := f.store.Used(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(f.path)
	if err != nil {
		t.Fatal(err)
	}
	sites, err := f.service.AllSites(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var shop api.Site
	tenant := false
	for _, s := range sites {
		if s.Site == floodSite {
			shop = s
		}
		tenant = tenant || s.Site == floodTenant && s.Profiles >= 50
	}
	events, err := f.store.EventSummary(t.Context(), floodSite)
	if err != nil {
		t.Fatal(err)
	}
	charged := false
	for _, e := range events {
		charged = charged || e.Name == "Charged" && e.Count >= 100
	}
	t.Logf("heap +%d kB, store %d kB used, file %d kB; %d sites, %d profiles, %d names of events", heap>>10, used>>10, info.Size()>>10, len(sites), shop.Profiles, len(events))
	anonymous := f.service.PeopleLimits.Anonymous
	switch {
	case len(sites) > f.service.MaxSites+64 || !tenant:
		t.Errorf("%d sites where %d may be; the tenant's is there: %t", len(sites), f.service.MaxSites, tenant)
	case shop.Profiles > anonymous+64:
		t.Errorf("%d profiles where %d may be", shop.Profiles, anonymous)
	case len(events) > 100+64 || !charged:
		t.Errorf("%d names of events where 100 may be; Charged is there: %t", len(events), charged)
	case heap > 64<<20:
		t.Errorf("the flood has left %d bytes of memory", heap)
	case used > 8<<20+4000*(anonymous+int64(f.service.MaxSites)):
		t.Errorf("the flood has left %d bytes of disk", used)
	}
}
