package caddymodule_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.etcd.io/bbolt"

	"github.com/caddy-webpush/caddy-webpush/caddymodule"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

func init() { caddy.RegisterModule(new(failing)) }

// failing is an app that fails on request, after others have been provisioned or
// started.
type failing struct {
	At string `json:"at,omitempty"`
}

func (*failing) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "zz_failing", New: func() caddy.Module { return new(failing) }}
}

func (f *failing) Provision(ctx caddy.Context) error {
	if _, err := ctx.App("webpush"); err != nil {
		return err
	}
	if f.At == "provision" {
		return errors.New("failing on purpose")
	}
	return nil
}

func (f *failing) Start() error {
	if f.At == "start" {
		// Usually after webpush: apps start in random order.
		time.Sleep(50 * time.Millisecond)
		return errors.New("failing on purpose")
	}
	return nil
}

func (*failing) Stop() error { return nil }

// with adds an app to a config.
func with(config []byte, app string) []byte {
	return []byte(strings.Replace(string(config), `"apps":{`, `"apps":{`+app+`,`, 1))
}

func oneReference(t *testing.T) {
	t.Helper()
	open := caddymodule.OpenStores()
	if len(open) != 1 {
		t.Fatalf("open stores: %v", open)
	}
	for key, n := range open {
		if n != 1 {
			t.Errorf("%s has %d references", key, n)
		}
	}
}

func (s *server) mustSubscribe(n int) {
	s.t.Helper()
	for tries := 1; ; tries++ {
		resp, body := s.subscribe("a.example.com", caddytest.Subscription(s.t, fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%d", n)))
		switch {
		case resp.StatusCode == http.StatusCreated:
			return
		case resp.StatusCode != http.StatusServiceUnavailable || tries == 10:
			s.t.Fatalf("subscribing: %d %s", resp.StatusCode, body)
		}
		// The old configuration accepted this connection and then ended: the SDK
		// tries again as well.
		time.Sleep(20 * time.Millisecond)
	}
}

// TestReloadsUnderLoad forces 20 reloads during page reads and subscriptions:
// none may fail, and everything acknowledged must be stored.
func TestReloadsUnderLoad(t *testing.T) {
	s := start(t, site{upstream: upstream(t, nil)})
	s.mustSubscribe(0)
	stop := make(chan struct{})
	var acked, pages, refused atomic.Int64
	read := func() {
		resp, body, err := s.client().Try(http.MethodGet, "a.example.com", "/", caddytest.Navigation, "")
		switch {
		case err != nil:
			// Caddy resets connections that wait to be accepted when it swaps
			// listeners, with or without us.
			refused.Add(1)
		case resp.StatusCode != 200 || body != pageWithSnippet && body != pageHTML:
			t.Errorf("page: %d %q", resp.StatusCode, body)
		default:
			pages.Add(1)
		}
	}
	subscribe := func(endpoint string) {
		resp, body, err := s.client().Try(http.MethodPost, "a.example.com", "/_webpush/subscribe", caddytest.Posting, caddytest.Subscription(t, endpoint))
		switch {
		case err != nil:
			refused.Add(1)
		case resp.StatusCode == http.StatusCreated:
			acked.Add(1)
		case resp.StatusCode != http.StatusServiceUnavailable: // the SDK tries again
			t.Errorf("subscribe: %d %s", resp.StatusCode, body)
		}
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if worker%2 == 0 {
					read()
				} else {
					subscribe(fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%d-%d", worker, i))
				}
			}
		}()
	}
	for range 20 {
		s.load(s.config)
		time.Sleep(20 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	oneReference(t)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := caddytest.Stored(t, s.db, "a.example.com"); got < acked.Load()+1 {
		t.Errorf("%d subscriptions stored, %d acknowledged", got, acked.Load()+1)
	}
	if acked.Load() == 0 || pages.Load() == 0 {
		t.Errorf("no load: %d subscriptions, %d pages", acked.Load(), pages.Load())
	}
	t.Logf("%d pages and %d subscriptions during 20 reloads; %d connections reset by the swap of listeners",
		pages.Load(), acked.Load(), refused.Load())
}

func TestValidateBesideServer(t *testing.T) {
	s := start(t, site{upstream: upstream(t, nil)})
	s.mustSubscribe(1)
	for range 3 {
		cfg := new(caddy.Config)
		if err := caddy.StrictUnmarshalJSON(s.config, cfg); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(cfg); err != nil {
			t.Fatalf("validating beside the server: %v", err)
		}
	}
	oneReference(t)
	s.mustSubscribe(2)
}

func TestValidateHasNoEffect(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sub", "webpush.db")
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(adaptJSON(t, site{upstream: "127.0.0.1:1"}.caddyfile(db, 1)), cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(db)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("validating made the database's folder: %v", err)
	}
}

func TestFailingReload(t *testing.T) {
	s := start(t, site{upstream: upstream(t, nil)})
	s.mustSubscribe(1)
	for _, at := range []string{"provision", "start"} {
		for i := range 5 {
			if err := caddy.Load(with(s.config, fmt.Sprintf(`"zz_failing":{"at":%q}`, at)), true); err == nil {
				t.Fatalf("a config that fails at %s was loaded", at)
			}
			oneReference(t)
			s.mustSubscribe(10 + i)
			if _, body := s.page("a.example.com", "/"); body != pageWithSnippet {
				t.Errorf("after a reload that failed at %s: %q", at, body)
			}
		}
	}
}

// TestReloadChangesOptions: a reload with other options does not open the file
// again; a new path opens it.
func TestReloadChangesOptions(t *testing.T) {
	up := upstream(t, nil)
	s := start(t, site{upstream: up})
	s.mustSubscribe(1)
	s.load(adaptJSON(t, site{global: "contact mailto:ops@example.com", options: "prefix /_p", upstream: up}.caddyfile(s.db, s.port)))
	oneReference(t)
	if _, body := s.page("a.example.com", "/"); !strings.Contains(body, `src="/_p/sdk.js"`) {
		t.Errorf("the new prefix is not used: %s", body)
	}
	other := filepath.Join(t.TempDir(), "other.db")
	s.load(adaptJSON(t, site{upstream: up}.caddyfile(other, s.port)))
	oneReference(t)
	if got := caddytest.Stored(t, s.db, "a.example.com"); got != 1 {
		t.Errorf("%d subscriptions in the first file", got)
	}
}

// TestLockedStore serves pages while another process has the file, and push once
// it is free.
func TestLockedStore(t *testing.T) {
	db := filepath.Join(t.TempDir(), "webpush.db")
	lock, err := bbolt.Open(db, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, site{upstream: upstream(t, nil)}, db)
	s.load(s.config)
	t.Cleanup(func() { _ = caddy.Stop() })
	if _, body := s.page("a.example.com", "/"); body != pageHTML {
		t.Errorf("without a store, pages must pass untouched; got %q", body)
	}
	resp, _ := s.subscribe("a.example.com", caddytest.Subscription(t, "https://fcm.googleapis.com/fcm/send/1"))
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("subscribing without a store: %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if resp, _ := s.request("GET", "a.example.com", "/sw.js", nil, ""); resp.StatusCode != 404 {
		t.Errorf("the worker without a store: %d", resp.StatusCode)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if _, body := s.page("a.example.com", "/"); body == pageWithSnippet {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("push did not come back when the file was free")
		}
	}
	s.mustSubscribe(1)
}

// TestDamagedStore serves pages if the file is not a database.
func TestDamagedStore(t *testing.T) {
	db := filepath.Join(t.TempDir(), "webpush.db")
	if err := os.WriteFile(db, []byte(strings.Repeat("this is no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, site{upstream: upstream(t, nil)}, db)
	s.load(s.config)
	t.Cleanup(func() { _ = caddy.Stop() })
	if _, body := s.page("a.example.com", "/"); body != pageHTML {
		t.Errorf("got %q", body)
	}
	if resp, _ := s.subscribe("a.example.com", caddytest.Subscription(t, "https://fcm.googleapis.com/fcm/send/1")); resp.StatusCode != 503 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestNoGoroutinesLeft loads and stops several times and compares the goroutines.
func TestNoGoroutinesLeft(t *testing.T) {
	run := func() {
		s := newServer(t, site{upstream: upstream(t, nil)}, filepath.Join(t.TempDir(), "webpush.db"))
		s.load(s.config)
		s.load(s.config)
		s.mustSubscribe(1)
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	run() // goroutines that Caddy starts once remain
	before := runtime.NumGoroutine()
	for range 3 {
		run()
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+3; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
	}
}
