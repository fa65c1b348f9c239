//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/fakeautopush"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/fakefcm"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/notifyd"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice"
)

// Launching a browser takes most of the time, so all tests share one of each.
// Every test has its own site on its own port, and so its own origin:
// permissions,
// workers and subscriptions are not shared. The two browsers share nothing, so
// that
// they run a test at the same time.
//
// The limits suit the slowest machine: no test waits for them to pass.
const (
	launchTime = 2 * time.Minute // Firefox has taken half of it on a busy machine
	flowTime   = 3 * time.Minute
)

// world has everything outside the product: push services, desktops, browsers.
type world struct {
	authority *pushservice.Authority
	fcm       *fakefcm.Server
	autopush  *fakeautopush.Server
	desktops  []*notifyd.Daemon
	users     []*user
}

// user is one browser with its push service and its desktop.
type user struct {
	name    string
	host    string // of its endpoints
	desktop *notifyd.Daemon
	service *pushservice.Service
	refuse  func() // makes the push service refuse the next subscription
	// browser starts the browser at its first call.
	browser func() (browser.Browser, error)
	// launch starts another browser, for a test that cannot share.
	launch func() (browser.Browser, error)
	// options are the browser's options; launchWith starts one with others.
	options    browser.Options
	launchWith func(browser.Options) (browser.Browser, error)
	// launchTrusting starts a browser that accepts any certificate.
	launchTrusting func() (browser.Browser, error)
	close          func() error
}

var shared *world

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	w, err := newWorld()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		if os.Getenv("WEBPUSH_E2E_REQUIRED") == "1" {
			return 1
		}
		return 0
	}
	shared = w
	code := m.Run()
	if err := w.close(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: closing:", err)
		return 1
	}
	return code
}

// newWorld starts the fakes. The desktops start first, since browsers look for
// them only once.
func newWorld() (_ *world, err error) {
	w := &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if err := notifyd.Available(); err != nil {
		return nil, err
	}
	if w.authority, err = pushservice.NewAuthority(time.Now()); err != nil {
		return nil, err
	}
	for range 2 {
		desktop, err := notifyd.Start()
		if err != nil {
			return nil, err
		}
		w.desktops = append(w.desktops, desktop)
	}
	if w.fcm, err = fakefcm.Start(fakefcm.Config{Authority: w.authority}); err != nil {
		return nil, err
	}
	if w.autopush, err = fakeautopush.Start(fakeautopush.Config{Authority: w.authority}); err != nil {
		return nil, err
	}
	w.users = []*user{
		newUser("Chromium", "fcm.googleapis.com", w.desktops[0], w.fcm.Service,
			func() { w.fcm.RefuseRegistrations("INVALID_SENDER") }, browser.FindChromium, browser.StartChromium,
			browser.Options{Flags: append(w.fcm.ChromiumFlags(), soonAgain...)}),
		newUser("Firefox", fakeautopush.Host, w.desktops[1], w.autopush.Service,
			func() { w.autopush.RefuseRegistrations(409) }, browser.FindFirefox, browser.StartFirefox,
			browser.Options{Prefs: w.autopush.FirefoxPrefs()}),
	}
	return w, nil
}

// soonAgain makes Chromium retry a failed Background Sync after seconds and more
// often, instead of after five and fifteen minutes.
var soonAgain = []string{
	"--force-fieldtrials=BackgroundSync/Tests",
	"--force-fieldtrial-params=BackgroundSync.Tests:initial_retry_delay_sec/2/retry_delay_factor/1/max_sync_attempts/20",
}

// newUser prepares a browser without starting it.
func newUser(name, host string, desktop *notifyd.Daemon, service *pushservice.Service, refuse func(), find func() (string, error),
	start func(context.Context, string, browser.Options) (browser.Browser, error), options browser.Options,
) *user {
	options.Env = append(options.Env, desktop.Env()...)
	u := &user{name: name, host: host, desktop: desktop, service: service, refuse: refuse, close: func() error { return nil }}
	launch := func(options browser.Options) (browser.Browser, error) {
		path, err := find()
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), launchTime)
		defer cancel()
		b, err := start(ctx, path, options)
		if err != nil {
			return nil, fmt.Errorf("starting %s: %w", name, err)
		}
		return b, nil
	}
	u.options, u.launchWith = options, launch
	u.launch = func() (browser.Browser, error) { return launch(options) }
	u.launchTrusting = func() (browser.Browser, error) {
		options := options
		options.AnyCertificate = true
		return launch(options)
	}
	u.browser = sync.OnceValues(func() (browser.Browser, error) {
		b, err := u.launch()
		if err == nil {
			u.close = b.Close
		}
		return b, err
	})
	return u
}

func (w *world) close() error {
	var errs []error
	for _, u := range w.users {
		errs = append(errs, u.close())
	}
	if w.fcm != nil {
		errs = append(errs, w.fcm.Close())
	}
	if w.autopush != nil {
		errs = append(errs, w.autopush.Close())
	}
	for _, desktop := range w.desktops {
		errs = append(errs, desktop.Close())
	}
	return errors.Join(errs...)
}

// hosts maps the push services' public addresses to where the fakes listen.
func (w *world) hosts() map[string]string {
	return pushservice.MergeHosts(w.fcm.Hosts(), w.autopush.Hosts())
}

// attempts returns all requests to both push services, for messages of failed
// tests.
func (w *world) attempts() []pushservice.Attempt {
	return append(w.fcm.Attempts(), w.autopush.Attempts()...)
}

// client returns an HTTP client that reaches only the fakes.
func (w *world) client(t *testing.T) *http.Client {
	client := pushservice.NewClient(w.authority, w.hosts())
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// start starts the browser or returns the running one. If it is not installed,
// the test is skipped, or fails if WEBPUSH_E2E_REQUIRED is 1.
func (u *user) start(t *testing.T) browser.Browser {
	t.Helper()
	return u.started(t, u.browser)
}

// startAlone is start for a browser that no other test uses.
func (u *user) startAlone(t *testing.T) browser.Browser {
	t.Helper()
	return u.closed(t, u.launch)
}

// startTrusting is startAlone for a browser that accepts any certificate.
func (u *user) startTrusting(t *testing.T) browser.Browser {
	t.Helper()
	return u.closed(t, u.launchTrusting)
}

// closed starts a browser and closes it when the test ends.
func (u *user) closed(t *testing.T, start func() (browser.Browser, error)) browser.Browser {
	t.Helper()
	b := u.started(t, start)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("closing %s: %v", u.name, err)
		}
	})
	return b
}

func (u *user) started(t *testing.T, start func() (browser.Browser, error)) browser.Browser {
	t.Helper()
	before := time.Now()
	b, err := start()
	t.Logf("%-13s %5d ms", "start", time.Since(before).Milliseconds())
	switch {
	case errors.Is(err, browser.ErrNotInstalled) && os.Getenv("WEBPUSH_E2E_REQUIRED") != "1":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return b
}

// forBoth runs a part of a test for each user, in parallel where there are two
// processors. A part must only read data that it has not made itself. The calling
// test must do nothing afterwards, since the parts start when it has returned.
func forBoth(t *testing.T, part func(t *testing.T, u *user)) {
	t.Helper()
	for _, u := range shared.users {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			part(t, u)
		})
	}
}

// forEachUser runs a flow in both browsers.
func forEachUser(t *testing.T, flow func(ctx context.Context, t *testing.T, u *user, b browser.Browser)) {
	t.Helper()
	forBoth(t, func(t *testing.T, u *user) {
		b := u.start(t)
		ctx, cancel := context.WithTimeout(t.Context(), flowTime)
		defer cancel()
		flow(ctx, t, u, b)
	})
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor polls look until it returns want or half a minute has passed, and
// returns the last value. The effect of a click or a key may come a moment after
// the browser has accepted it.
func waitFor[T comparable](t *testing.T, want T, look func() T) T {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if got := look(); got == want || time.Now().After(deadline) {
			return got
		}
	}
}
