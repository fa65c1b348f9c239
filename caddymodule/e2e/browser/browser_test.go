//go:build e2e

package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const testPage = `<!doctype html><meta charset="utf-8"><title>test</title>
<style>#cover { position: fixed; inset: 0; display: none }</style>
<div id="host"></div><input id="field"><div id="cover"></div><div style="height: 3000px"></div>
<button id="below">below</button><a id="link" href="/two" target="_blank">two</a>
<script>
const events = [];
const outer = document.getElementById("host").attachShadow({mode: "open"});
outer.innerHTML = "<div></div>";
const inner = outer.firstChild.attachShadow({mode: "open"});
inner.innerHTML = '<button id="deep">deep</button><button id="off" disabled>off</button>';
inner.getElementById("deep").onclick = (e) => events.push("deep " + e.isTrusted);
document.getElementById("below").onclick = () => events.push("below");
for (const type of ["keydown", "keyup"])
	addEventListener(type, (e) => events.push(type + " " + (e.shiftKey ? "Shift+" : "") + e.key));
console.warn("take", "care");
setTimeout(() => { throw new Error("uncaught") });
</script>`

// site serves testPage under a policy that forbids eval, and plain pages.
func site(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/" {
			w.Header().Set("Content-Security-Policy", "script-src 'unsafe-inline'; connect-src 'none'")
			_, _ = io.WriteString(w, testPage)
			return
		}
		_, _ = io.WriteString(w, "<!doctype html><title>plain</title>")
	}))
	t.Cleanup(server.Close)
	return server.URL
}

type launcher struct {
	name  string
	find  func() (string, error)
	start func(context.Context, string, Options) (Browser, error)
}

var launchers = []launcher{
	{"Chromium", FindChromium, StartChromium},
	{"Firefox", FindFirefox, StartFirefox},
}

func (l launcher) launch(t *testing.T) (context.Context, Browser) {
	t.Helper()
	path, err := l.find()
	if err != nil {
		if os.Getenv("WEBPUSH_E2E_REQUIRED") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	b, err := l.start(ctx, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return ctx, b
}

func TestBrowsers(t *testing.T) {
	for _, l := range launchers {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel() // each has its own profile
			ctx, b := l.launch(t)
			profile := profileOf(b)
			closed := false
			defer func() {
				if !closed {
					_ = b.Close()
				}
			}()
			if b.Name() != l.name {
				t.Errorf("name is %s", b.Name())
			}
			url := site(t)
			page, err := b.Open(ctx, url+"/")
			check(t, err)
			if len(usersOf(t, profile)) < 3 {
				t.Error("the search for processes does not find the browser's")
			}
			t.Run("eval", func(t *testing.T) { testEval(ctx, t, page) })
			t.Run("click", func(t *testing.T) { testClick(ctx, t, page) })
			t.Run("keys", func(t *testing.T) { testKeys(ctx, t, page) })
			t.Run("screenshot", func(t *testing.T) { testScreenshot(ctx, t, page) })
			t.Run("permission", func(t *testing.T) { testPermission(ctx, t, b, page, url) })
			t.Run("console", func(t *testing.T) { testConsole(ctx, t, page) })
			t.Run("tabs", func(t *testing.T) { testTabs(ctx, t, b, page, url) })
			t.Run("navigation", func(t *testing.T) { testNavigation(ctx, t, page, url) })
			t.Run("preload", func(t *testing.T) { testPreload(ctx, t, page, url) })
			t.Run("mouse", func(t *testing.T) { testLeaveTop(ctx, t, page) })
			t.Run("private", func(t *testing.T) { testPrivate(ctx, t, b, page, url) })
			t.Run("storage", func(t *testing.T) { testBlockStorage(ctx, t, b, page, url) })
			check(t, b.Close())
			closed = true
			testGone(t, profile)
			if err := page.Eval(ctx, "1", nil); err == nil {
				t.Error("a closed browser evaluates")
			}
		})
	}
}

func testEval(ctx context.Context, t *testing.T, page Page) {
	for _, test := range []struct {
		expression string
		want       any
		err        string
	}{
		{expression: "1 + 1", want: 2.0},
		{expression: "undefined", want: nil},
		{expression: "Promise.resolve({a: [1, 'ü✓', null]})", want: map[string]any{"a": []any{1.0, "ü✓", nil}}},
		{expression: "(async () => { await 0; return document.title })()", want: "test"},
		{expression: "1 // a comment", want: 1.0},
		{expression: "navigator.userActivation.isActive", want: false},
		{expression: "Promise.reject(new TypeError('no'))", err: "TypeError: no"},
		{expression: "(() => { throw 'text' })()", err: "text"},
		{expression: "missing.name", err: "ReferenceError"},
		{expression: "1 +", err: "SyntaxError"},
	} {
		var got any
		err := page.Eval(ctx, test.expression, &got)
		switch {
		case test.err == "" && err != nil:
			t.Errorf("%s: %v", test.expression, err)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: error %v, want %s", test.expression, err, test.err)
		case test.err == "":
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s: %s", test.expression, diff)
			}
		}
	}
}

func testClick(ctx context.Context, t *testing.T, page Page) {
	check(t, page.Click(ctx, "#deep"))
	check(t, page.Click(ctx, "#below"))
	wantEvents(ctx, t, page, "deep true", "below")
	for selector, why := range map[string]string{"#off": "disabled", "#nowhere": "not in the page", "#cover": "not displayed"} {
		wantNoClick(ctx, t, page, selector, why)
	}
	// A covered element is clicked as soon as the cover is gone.
	check(t, page.Eval(ctx, `void (cover.style.display = "block", scrollTo(0, 0))`, nil))
	wantNoClick(ctx, t, page, "#deep", "covered by DIV")
	check(t, page.Eval(ctx, `void setTimeout(() => cover.style.display = "none", 100)`, nil))
	check(t, page.Click(ctx, "#deep"))
	wantEvents(ctx, t, page, "deep true")
}

// wantNoClick checks that a click waits and reports why. A slow machine may need
// more than the first attempts for a single look.
func wantNoClick(ctx context.Context, t *testing.T, page Page, selector, why string) {
	t.Helper()
	var err error
	for patience := 300 * time.Millisecond; patience < 30*time.Second; patience *= 3 {
		short, cancel := context.WithTimeout(ctx, patience)
		err = page.Click(short, selector)
		cancel()
		if err == nil || strings.Contains(err.Error(), why) {
			break
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), why) {
		t.Errorf("click on %s: %v, want %q", selector, err, why)
	}
}

func testKeys(ctx context.Context, t *testing.T, page Page) {
	check(t, page.Click(ctx, "#field"))
	var want []string
	for _, key := range []Key{Escape, Enter, Space} {
		check(t, page.Press(ctx, key))
		name := strings.Replace(string(key), "Space", " ", 1)
		want = append(want, "keydown "+name, "keyup "+name)
	}
	wantEvents(ctx, t, page, want...)
	var value string
	check(t, page.Eval(ctx, "field.value", &value))
	if value != " " {
		t.Errorf("field has %q", value)
	}
	focus := func(want string) {
		t.Helper()
		var got string
		check(t, page.Eval(ctx, "document.activeElement.id", &got))
		if got != want {
			t.Errorf("focus is on %q, want %q", got, want)
		}
	}
	check(t, page.Press(ctx, Tab))
	focus("below")
	check(t, page.Press(ctx, ShiftTab))
	focus("field")
	if err := page.Press(ctx, "F13"); err == nil {
		t.Error("pressed an unknown key")
	}
	check(t, page.Eval(ctx, "events.length = 0", nil))
}

func wantEvents(ctx context.Context, t *testing.T, page Page, want ...string) {
	t.Helper()
	var got []string
	check(t, page.Eval(ctx, "events.splice(0)", &got))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func testScreenshot(ctx context.Context, t *testing.T, page Page) {
	path := filepath.Join(t.TempDir(), "shot.png")
	check(t, page.Screenshot(ctx, path, Viewport{Width: 500, Height: 400, Dark: true}))
	check(t, page.Screenshot(ctx, path, Viewport{Width: 800, Height: 600}))
	data, err := os.ReadFile(path)
	check(t, err)
	if !strings.HasPrefix(string(data), "\x89PNG") {
		t.Errorf("no PNG but %.20q", data)
	}
	if err := page.Screenshot(ctx, filepath.Join(path, "no"), Viewport{Width: 800, Height: 600}); err == nil {
		t.Error("wrote below a file")
	}
}

func testPermission(ctx context.Context, t *testing.T, b Browser, page Page, origin string) {
	for _, want := range []Permission{Default, Granted, Denied, Granted, Default} {
		check(t, b.SetPermission(ctx, origin, want))
		var got Permission
		check(t, page.Eval(ctx, "Notification.permission", &got))
		if got != want {
			t.Errorf("permission is %s, want %s", got, want)
		}
	}
}

func testConsole(ctx context.Context, t *testing.T, page Page) {
	for {
		var levels []string
		for _, e := range page.Console() {
			if strings.Contains(e.Text, "take care") || strings.Contains(e.Text, "uncaught") {
				levels = append(levels, e.Level)
			}
		}
		if fmt.Sprint(levels) == "[warning error]" {
			return
		}
		if err := pause(ctx, poll); err != nil {
			t.Fatalf("console has %+v", page.Console())
		}
	}
}

func testPreload(ctx context.Context, t *testing.T, page Page, url string) {
	check(t, page.Preload(ctx, `window.before = [document.scripts.length]`))
	check(t, page.Preload(ctx, `before.push("again") // to the end`))
	for range 2 {
		check(t, page.Navigate(ctx, url+"/"))
		var before []any
		check(t, page.Eval(ctx, "before", &before))
		if diff := cmp.Diff([]any{0.0, "again"}, before); diff != "" {
			t.Error(diff)
		}
	}
}

func testLeaveTop(ctx context.Context, t *testing.T, page Page) {
	check(t, page.Eval(ctx, `void (window.left = [], document.documentElement.addEventListener("mouseleave",
		(e) => left.push([e.isTrusted, e.clientY <= 0, e.relatedTarget])))`, nil))
	check(t, page.LeaveTop(ctx))
	check(t, WaitFor(ctx, page, "left.length"))
	var left []any
	check(t, page.Eval(ctx, "left", &left))
	if diff := cmp.Diff([]any{[]any{true, true, nil}}, left); diff != "" {
		t.Error(diff)
	}
}

func testPrivate(ctx context.Context, t *testing.T, b Browser, page Page, url string) {
	check(t, page.Eval(ctx, `localStorage.setItem("kept", "1")`, nil))
	private, err := b.OpenPrivate(ctx, url+"/private")
	check(t, err)
	var kept any
	check(t, private.Eval(ctx, `localStorage.getItem("kept")`, &kept))
	if kept != nil {
		t.Errorf("the private window knows of %v", kept)
	}
	check(t, private.Close(ctx))
	urls, err := b.Pages(ctx)
	check(t, err)
	if slices.Contains(urls, url+"/private") {
		t.Errorf("tabs are %v", urls)
	}
}

func testBlockStorage(ctx context.Context, t *testing.T, b Browser, page Page, url string) {
	look := `(() => { try { return String(localStorage.length >= 0) } catch (e) { return e.name } })()`
	check(t, b.BlockStorage(ctx, url))
	for ctx.Err() == nil { // no event tells when the setting takes effect
		check(t, page.Reload(ctx))
		var got string
		check(t, page.Eval(ctx, look, &got))
		if got == "SecurityError" {
			return
		}
		if got != "true" {
			t.Fatal(got)
		}
	}
	t.Error("storage is not blocked")
}

func testTabs(ctx context.Context, t *testing.T, b Browser, page Page, url string) {
	check(t, page.Click(ctx, "#link"))
	second, err := b.WaitPage(ctx, func(got string) bool { return got == url+"/two" })
	check(t, err)
	var title string
	check(t, second.Eval(ctx, "document.title", &title))
	if title != "plain" {
		t.Errorf("title is %q", title)
	}
	urls, err := b.Pages(ctx)
	check(t, err)
	if !slices.Contains(urls, url+"/") || !slices.Contains(urls, url+"/two") {
		t.Errorf("tabs are %v", urls)
	}
	check(t, second.Close(ctx))
	for {
		urls, err := b.Pages(ctx)
		check(t, err)
		if !slices.Contains(urls, url+"/two") {
			break
		}
		check(t, pause(ctx, poll))
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := b.WaitPage(short, func(string) bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for no page: %v", err)
	}
}

func testNavigation(ctx context.Context, t *testing.T, page Page, url string) {
	check(t, page.Eval(ctx, "void (window.mark = 1)", nil))
	check(t, page.Reload(ctx))
	var mark any
	check(t, page.Eval(ctx, "window.mark", &mark))
	if mark != nil {
		t.Error("not reloaded")
	}
	check(t, page.Navigate(ctx, url+"/three"))
	check(t, page.Navigate(ctx, url+"/three#part"))
	if got, err := page.URL(ctx); err != nil || got != url+"/three#part" {
		t.Errorf("URL is %s, %v", got, err)
	}
	closedPort := httptest.NewServer(nil)
	closedPort.Close()
	if err := page.Navigate(ctx, closedPort.URL); err == nil {
		t.Error("opened a page without a match")
	}
}

func profileOf(b Browser) string {
	switch b := b.(type) {
	case *chromium:
		return b.profile
	case *firefox:
		return b.profile
	}
	return ""
}

// testGone checks that the profile is deleted and that no process has it in its
// command line or environment.
func testGone(t *testing.T, profile string) {
	if _, err := os.Stat(profile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the profile is left: %v", err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for len(usersOf(t, profile)) > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	for _, process := range usersOf(t, profile) {
		t.Errorf("left running: %s", process)
	}
}

// usersOf lists processes by their command lines; processes that have ended but
// were not waited for have none.
func usersOf(t *testing.T, profile string) []string {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	check(t, err)
	var users []string
	for _, process := range processes {
		line, err := os.ReadFile(process + "/cmdline")
		if err != nil {
			continue
		}
		env, _ := os.ReadFile(process + "/environ")
		if strings.Contains(string(line)+string(env), profile) {
			users = append(users, process+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return users
}

// TestStartFails: a failed start reports why and leaves no files or processes.
func TestStartFails(t *testing.T) {
	for _, l := range launchers {
		t.Run(l.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			script := filepath.Join(t.TempDir(), "browser")
			check(t, os.WriteFile(script, []byte("#!/bin/sh\nexit 3\n"), 0o700))
			if _, err := l.start(t.Context(), script, Options{}); err == nil || !strings.Contains(err.Error(), "ended at its start") {
				t.Errorf("got %v", err)
			}
			check(t, os.WriteFile(script, []byte("#!/bin/sh\nsleep 60\n"), 0o700))
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := l.start(ctx, script, Options{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			left, err := os.ReadDir(os.Getenv("TMPDIR"))
			check(t, err)
			if len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
