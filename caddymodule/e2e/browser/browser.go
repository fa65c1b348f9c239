// Package browser drives a real, headless Chromium and a real, headless Firefox
// through one interface, for end-to-end tests. It has its own clients of the
// Chrome DevTools Protocol and of WebDriver BiDi, on top of a WebSocket library.
//
// # Permission prompts
//
// No headless browser shows a pending permission prompt that a test could answer.
// By default, Chromium answers Notification.requestPermission() with "denied" at
// once and for ever. So a test of a site's own soft prompt does this:
//
//  1. SetPermission(origin, [Default]) before the page is opened. The page sees
//     Notification.permission "default", and requestPermission() would resolve
//     to "default", as if the user had closed the prompt.
//  2. Wait until the soft prompt is displayed.
//  3. SetPermission(origin, [Granted]) or [Denied]. This takes effect at once and
//     without a reload.
//  4. Click on the soft prompt's button. The requestPermission() of its handler
//     resolves to the new state.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// Permission is a site's permission to show notifications.
type Permission string

// The states of a permission, in the words of Notification.permission.
const (
	Granted Permission = "granted"
	Denied  Permission = "denied"
	Default Permission = "default"
)

// protocolState is the state's name in the Permissions API and both protocols.
func (p Permission) protocolState() string {
	if p == Default {
		return "prompt"
	}
	return string(p)
}

// Key is a key for [Page.Press].
type Key string

// The keys that tests press.
const (
	Escape   Key = "Escape"
	Tab      Key = "Tab"
	ShiftTab Key = "Shift+Tab"
	Enter    Key = "Enter"
	Space    Key = "Space"
)

// Viewport is the size and colour scheme in which a page is shown.
type Viewport struct {
	Width, Height int  // CSS pixels, one device pixel each
	Dark          bool // prefers-color-scheme: dark
}

// Browser is a running browser with a fresh profile.
type Browser interface {
	// Name is "Chromium" or "Firefox", the App of its desktop notifications.
	Name() string
	// Open loads a URL in a new foreground tab and waits for its load event.
	Open(ctx context.Context, url string) (Page, error)
	// OpenPrivate is Open in a new private window, which shares no data with the
	// browser's profile. The window closes with the page.
	OpenPrivate(ctx context.Context, url string) (Page, error)
	// BlockStorage blocks cookies and all other site data for an origin, as a
	// user can in the browser's settings.
	BlockStorage(ctx context.Context, origin string) error
	// Pages lists the URLs of all tabs, in no particular order.
	Pages(ctx context.Context) ([]string, error)
	// WaitPage waits for a tab whose URL match accepts, such as one that a
	// service worker has opened, and for the tab's load event.
	WaitPage(ctx context.Context, match func(url string) bool) (Page, error)
	// SetPermission sets the permission of an origin ("https://host:port") to
	// show notifications, at once and also for pages already open.
	SetPermission(ctx context.Context, origin string, state Permission) error
	// Close ends the browser with all its processes and deletes the profile.
	Close() error
}

// Page is one tab.
type Page interface {
	// URL is the address that the tab shows now.
	URL(ctx context.Context) (string, error)
	// Navigate loads another URL and waits for its load event.
	Navigate(ctx context.Context, url string) error
	// Reload loads the page again and waits for its load event.
	Reload(ctx context.Context) error
	// Eval evaluates a JavaScript expression, awaits it if it is a promise and
	// decodes its JSON into result, which may be nil. It does not count as a user
	// gesture. undefined decodes as null. Wrap statements in an async function:
	// (async () => { ...; return x })().
	Eval(ctx context.Context, expression string, result any) error
	// Preload runs a script before the page's own scripts in every document that
	// this page loads from now on. It runs in the page's own world, and the
	// site's CSP does not apply to it. Scripts run in the order of the calls.
	Preload(ctx context.Context, script string) error
	// Front brings the tab to the front of its window.
	Front(ctx context.Context) error
	// LeaveTop moves the mouse over the page and then out of it at the top,
	// towards the browser's tabs and address bar.
	LeaveTop(ctx context.Context) error
	// Click waits until the element is displayed, at rest and not covered, and
	// clicks on its middle with real mouse events, which count as a user
	// gesture. The CSS selector also finds elements inside open shadow roots; it
	// does not itself cross a root's edge.
	Click(ctx context.Context, selector string) error
	// Press presses and releases a key in the focused element.
	Press(ctx context.Context, key Key) error
	// Screenshot writes what the viewport shows to a PNG file. The viewport is
	// kept for this page until the next call.
	Screenshot(ctx context.Context, path string, view Viewport) error
	// Console returns what page scripts have logged since the tab was opened or
	// found by WaitPage, including uncaught exceptions. For Chromium it includes
	// the browser's own messages about the page.
	Console() []ConsoleEntry
	// Close closes the tab.
	Close(ctx context.Context) error
}

// ConsoleEntry is a line of the page's console.
type ConsoleEntry struct {
	Level string // "error" or "warning", else the browser's own word
	Text  string
}

// Options are the start options of both browsers.
type Options struct {
	// Env is added to the test's environment, for example the address of
	// notifyd's bus.
	Env []string
	// Flags are extra command line switches. Of Chromium's list-like switches
	// (--enable-features) only one may be present.
	Flags []string
	// Prefs are extra preferences, for Firefox only. Values are bool, int or
	// string.
	Prefs map[string]any
	// AnyCertificate makes the browser accept certificates that it can't verify,
	// for https sites.
	AnyCertificate bool
}

// grace is how long a browser may take to close before it is killed.
const grace = 5 * time.Second

// poll is the interval for polling a state that has no event.
const poll = 20 * time.Millisecond

// ErrNotInstalled means that none of a browser's possible commands is installed.
var ErrNotInstalled = errors.New("not installed")

// FindChromium returns the path of Chromium or Chrome.
func FindChromium() (string, error) {
	return find("chromium", "chromium-browser", "google-chrome")
}

// FindFirefox returns the path of Firefox.
func FindFirefox() (string, error) { return find("firefox-esr", "firefox") }

func find(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("looking for %v in PATH: %w", names, ErrNotInstalled)
}

// environment is the test's environment with the profile as home, so that nothing
// else in the user's home is read or written.
func environment(profile string, more []string) []string {
	env := append(os.Environ(), "HOME="+profile, "XDG_CONFIG_HOME=", "XDG_CACHE_HOME=", "XDG_DATA_HOME=")
	return append(env, more...)
}

// pause waits for d or the end of the context.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
