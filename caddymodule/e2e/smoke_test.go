//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/SherClockHolmes/webpush-go"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// smokePage shows its own prompt, inside an open shadow root, and subscribes when
// the button is clicked.
const smokePage = `<!doctype html><meta charset="utf-8"><title>smoke</title>
<style>@media (prefers-color-scheme: dark) { body { background: #000 } }</style>
<div id="host"></div>
<script>
const key = Uint8Array.from(atob("{{KEY}}".replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const root = document.getElementById("host").attachShadow({mode: "open"});
root.innerHTML = '<button id="accept">Keep me posted</button>';
window.subscription = window.failure = window.answer = window.gesture = undefined;
root.getElementById("accept").onclick = async (event) => {
	window.gesture = [event.isTrusted, navigator.userActivation.isActive];
	try {
		window.answer = await Notification.requestPermission();
		const registration = await navigator.serviceWorker.register("/worker.js");
		await navigator.serviceWorker.ready;
		window.subscription = await registration.pushManager.subscribe(
			{userVisibleOnly: true, applicationServerKey: key});
	} catch (e) {
		window.failure = String(e);
	}
};
</script>`

// smokeWorker shows each push, opens a page on a click and reports a notification
// that the user closes.
const smokeWorker = `
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (e) => e.waitUntil(clients.claim()));
self.addEventListener("push", (e) => {
	const m = e.data.json();
	e.waitUntil(self.registration.showNotification(m.title,
		{body: m.body, data: m.id, actions: [{action: "more", title: "Read more"}]}));
});
self.addEventListener("notificationclick", (e) => {
	e.notification.close();
	e.waitUntil(clients.openWindow("/opened?id=" + e.notification.data + "&action=" + e.action));
});
self.addEventListener("pushsubscriptionchange", (e) => e.waitUntil(clients.matchAll().then(
	(all) => all.forEach((c) => c.postMessage(e.oldSubscription.endpoint)))));
self.addEventListener("notificationclose", (e) =>
	e.waitUntil(fetch("/closed?id=" + e.notification.data, {method: "POST"})));
`

// smokeSite serves the page and the worker; closed receives the ids of dismissed
// notifications.
func smokeSite(t *testing.T, key string) (url string, closed <-chan string) {
	ids := make(chan string, 16)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, strings.ReplaceAll(smokePage, "{{KEY}}", key))
	})
	mux.HandleFunc("GET /worker.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, smokeWorker)
	})
	mux.HandleFunc("POST /closed", func(w http.ResponseWriter, r *http.Request) {
		ids <- r.URL.Query().Get("id")
	})
	return serve(t, mux), ids
}

// sender sends with an independent implementation of Web Push.
type sender struct {
	client          *http.Client
	public, private string
	subscription    webpush.Subscription
}

func newSender(t *testing.T) *sender {
	t.Helper()
	private, public, err := webpush.GenerateVAPIDKeys()
	must(t, err)
	return &sender{client: shared.client(t), public: public, private: private}
}

func (s *sender) send(ctx context.Context, id, title string) (status int, err error) {
	payload, err := json.Marshal(map[string]string{"id": id, "title": title, "body": "body of " + id})
	if err != nil {
		return 0, err
	}
	response, err := webpush.SendNotificationWithContext(ctx, payload, &s.subscription, &webpush.Options{
		HTTPClient: s.client, Subscriber: "ops@example.test", TTL: 60,
		VAPIDPublicKey: s.public, VAPIDPrivateKey: s.private,
	})
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// lap logs how long each step takes.
type lap struct {
	t    *testing.T
	last time.Time
}

func (l *lap) done(step string) {
	now := time.Now()
	l.t.Logf("%-13s %5d ms", step, now.Sub(l.last).Milliseconds())
	l.last = now
}

// TestSmoke tests the harness without the product: from the soft prompt to the
// answer 410 after unsubscribing.
func TestSmoke(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		s := newSender(t)
		origin, closed := smokeSite(t, s.public)
		clock := &lap{t, time.Now()}

		page := smokeOpen(ctx, t, b, origin)
		clock.done("open")
		smokeShots(ctx, t, page, b.Name())
		clock.done("screenshots")
		s.subscription = smokeSubscribe(ctx, t, b, page, origin)
		clock.done("subscribe")
		if got := s.subscription.Endpoint; !strings.HasPrefix(got, "https://"+u.host+"/") {
			t.Errorf("endpoint %s is not at %s", got, u.host)
		}
		smokeClick(ctx, t, u, b, s, origin, clock)
		smokeAction(ctx, t, u, b, s, origin, clock)
		smokeDismiss(ctx, t, u, s, closed, clock)

		must(t, page.Eval(ctx, "subscription.unsubscribe()", nil))
		smokeGone(ctx, t, s)
		clock.done("unsubscribe")
		must(t, page.Close(ctx))
		clock.done("close tab")
	})
}

// smokeOpen opens the page as a visitor who has not been asked yet.
func smokeOpen(ctx context.Context, t *testing.T, b browser.Browser, origin string) browser.Page {
	t.Helper()
	must(t, b.SetPermission(ctx, origin, browser.Default))
	page, err := b.Open(ctx, origin+"/")
	must(t, err)
	var permission string
	must(t, page.Eval(ctx, "Notification.permission", &permission))
	if permission != "default" {
		t.Fatalf("permission before the prompt is %q", permission)
	}
	return page
}

// smokeResult is the result of the page's button.
type smokeResult struct {
	Subscription webpush.Subscription
	Failure      string
	Answer       string // of requestPermission()
	Gesture      []bool // click was trusted, and a user activation
}

// smokeAccept clicks on the soft prompt as described in package browser.
func smokeAccept(ctx context.Context, t *testing.T, b browser.Browser, page browser.Page, origin string) smokeResult {
	t.Helper()
	must(t, b.SetPermission(ctx, origin, browser.Granted))
	must(t, page.Click(ctx, "#accept"))
	must(t, browser.WaitFor(ctx, page, "window.subscription || window.failure"))
	var got smokeResult
	must(t, page.Eval(ctx, "({subscription, failure, answer, gesture})", &got))
	return got
}

func smokeSubscribe(ctx context.Context, t *testing.T, b browser.Browser, page browser.Page, origin string) webpush.Subscription {
	t.Helper()
	got := smokeAccept(ctx, t, b, page, origin)
	if got.Failure != "" || got.Answer != "granted" {
		t.Fatalf("subscribe: permission %q, failure %q", got.Answer, got.Failure)
	}
	if fmt.Sprint(got.Gesture) != "[true true]" {
		t.Errorf("click was trusted, and a user activation: %v", got.Gesture)
	}
	return got.Subscription
}

func smokeShots(ctx context.Context, t *testing.T, page browser.Page, name string) {
	dir := t.TempDir()
	for _, view := range []browser.Viewport{
		{Width: 1280, Height: 720},
		{Width: 390, Height: 664, Dark: true},
	} {
		path := filepath.Join(dir, name+".png")
		must(t, page.Screenshot(ctx, path, view))
		data, err := os.ReadFile(path)
		must(t, err)
		checkPNG(t, data, view)
	}
}

// checkPNG checks the size and that the background has the view's colour scheme.
func checkPNG(t *testing.T, data []byte, view browser.Viewport) {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(data))
	must(t, err)
	if size := picture.Bounds().Size(); size != image.Pt(view.Width, view.Height) {
		t.Errorf("screenshot has %v, want %dx%d", size, view.Width, view.Height)
	}
	gray := color.GrayModel.Convert(picture.At(view.Width-5, view.Height-5)).(color.Gray)
	if dark := gray.Y < 64; dark != view.Dark {
		t.Errorf("background has brightness %d with dark = %v", gray.Y, view.Dark)
	}
}

func smokeSend(ctx context.Context, t *testing.T, s *sender, id, title string) {
	t.Helper()
	status, err := s.send(ctx, id, title)
	must(t, err)
	if status != http.StatusCreated {
		t.Fatalf("send answered %d: %+v", status, shared.attempts())
	}
}

func smokeClick(ctx context.Context, t *testing.T, u *user, b browser.Browser, s *sender, origin string, clock *lap) {
	smokeSend(ctx, t, s, "one", "Click ✓")
	shown, err := u.desktop.WaitTitle(ctx, u.name, "Click ✓")
	must(t, err)
	clock.done("send to shown")
	if !strings.Contains(shown.Body, "body of one") {
		t.Errorf("body is %q", shown.Body)
	}
	must(t, u.desktop.Click(shown.ID))
	smokeOpened(ctx, t, b, origin+"/opened?id=one&action=")
	clock.done("click to page")
}

func smokeAction(ctx context.Context, t *testing.T, u *user, b browser.Browser, s *sender, origin string, clock *lap) {
	smokeSend(ctx, t, s, "two", "Action")
	shown, err := u.desktop.WaitTitle(ctx, u.name, "Action")
	must(t, err)
	clock.done("send to shown")
	must(t, u.desktop.ClickAction(shown.ID, "Read more"))
	smokeOpened(ctx, t, b, origin+"/opened?id=two&action=more")
	clock.done("click to page")
}

// smokeOpened waits for a page that the worker opens and closes it.
func smokeOpened(ctx context.Context, t *testing.T, b browser.Browser, url string) {
	t.Helper()
	opened, err := b.WaitPage(ctx, func(got string) bool { return got == url })
	must(t, err)
	must(t, opened.Close(ctx))
}

func smokeDismiss(ctx context.Context, t *testing.T, u *user, s *sender, closed <-chan string, clock *lap) {
	for len(closed) > 0 { // Firefox also reports the clicked ones
		<-closed
	}
	smokeSend(ctx, t, s, "three", "Dismiss")
	shown, err := u.desktop.WaitTitle(ctx, u.name, "Dismiss")
	must(t, err)
	clock.done("send to shown")
	must(t, u.desktop.Dismiss(shown.ID))
	for {
		select {
		case id := <-closed:
			if id == "three" {
				clock.done("dismiss")
				return
			}
		case <-ctx.Done():
			t.Fatal("the worker did not hear of the dismissal")
		}
	}
}

// smokeGone sends until the push service has ended the subscription: browsers
// report it after unsubscribe() has resolved.
func smokeGone(ctx context.Context, t *testing.T, s *sender) {
	for {
		status, err := s.send(ctx, "gone", "gone "+t.Name())
		must(t, err)
		switch status {
		case http.StatusGone:
			return
		case http.StatusCreated:
			time.Sleep(20 * time.Millisecond)
		default:
			t.Fatalf("send after unsubscribe answered %d", status)
		}
	}
}
