//go:build e2e

package e2e

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// embed is a page with the snippet of CleverTap's guide, unchanged but for the
// account.
const embed = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<script type="text/javascript">
var clevertap = {event:[], profile:[], account:[], onUserLogin:[], notifications:[], privacy:[]};
clevertap.account.push({"id": "TEST-ACCOUNT"});
clevertap.privacy.push({optOut: false});
clevertap.privacy.push({useIP: false});
(function () {
	var wzrk = document.createElement('script');
	wzrk.type = 'text/javascript';
	wzrk.async = true;
	wzrk.src = ('https:' == document.location.protocol ? 'https://d2r1yp2w7bby2u.cloudfront.net' : 'http://static.clevertap.com') + '/js/clevertap.min.js';
	var s = document.getElementsByTagName('script')[0];
	s.parentNode.insertBefore(wzrk, s);
})();
window.called = [];
const on = (name) => () => called.push(name);
</script></head><body><h1>Shop</h1><button id="own" type="button">Notify me</button><script>SCRIPT</script></body></html>`

const (
	objectForm = `clevertap.event.push("Viewed", {a: 1}); clevertap.event.push("Left");
		clevertap.notifications.push({titleText: "Prices that fall", bodyText: "Know <first>", okButtonText: "Yes please",
			rejectButtonText: "Not today", okButtonColor: "#0a7d33", okButtonAriaLabel: "Yes, notify me", hidePoweredByCT: true,
			okCallback: on("ok"), rejectCallback: on("reject"), subscriptionCallback: on("subscribed")});`
	positionalForm = `clevertap.notifications.push("Prices that fall", "Know first", "Yes please", "Not today", "#0a7d33", false, 4);`
	skipDialog     = `document.getElementById("own").onclick = () => clevertap.notifications.push({skipDialog: true, subscriptionCallback: on("subscribed")});`
)

// clevertapSite has a page per form of the call; its pages use CleverTap's API
// only.
func clevertapSite(w http.ResponseWriter, r *http.Request) {
	script, ok := map[string]string{"/": objectForm, "/positional": positionalForm, "/skip": skipDialog, "/none": ""}[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, strings.Replace(embed, "SCRIPT", script, 1))
}

const compatOption = "compat clevertap\n\t\tprompt {\n\t\t}"

// openAs opens a page of the site with a permission that is already set.
func openAs(ctx context.Context, t *testing.T, b browser.Browser, origin, path string, p browser.Permission) browser.Page {
	t.Helper()
	must(t, b.SetPermission(ctx, origin, p))
	page, err := b.Open(ctx, origin+path)
	must(t, err)
	return page
}

// recordTrace records the SDK's trace in window.traces, three words per step, and its
// messages in CleverTap's form.
const recordTrace = `window.traces = [];
{
	const { log } = console;
	console.log = (...words) => {
		if (words[0] === "webpush:") traces.push(words.slice(1, 4).filter((word) => typeof word !== "object").join(" "));
		else traces.push(String(words[0]).replace(/^CleverTap .*?: /, ""));
		log.apply(console, words);
	};
}
` + verbosely

// openTraced opens a page of the site with no permission decided, and records the
// SDK's steps.
func openTraced(ctx context.Context, t *testing.T, b browser.Browser, origin, path string) browser.Page {
	t.Helper()
	must(t, b.SetPermission(ctx, origin, browser.Default))
	page, err := b.Open(ctx, "about:blank")
	must(t, err)
	must(t, page.Preload(ctx, recordTrace))
	must(t, page.Navigate(ctx, origin+path))
	return page
}

// notAsked waits for the SDK's decision after the page has requested the prompt,
// and checks that the SDK shows nothing.
func notAsked(ctx context.Context, t *testing.T, page browser.Page, why string) {
	t.Helper()
	must(t, browser.WaitFor(ctx, page, `traces.some((line) => line.startsWith("notifications.push: "))`))
	if !evaluated[bool](ctx, t, page, `traces.includes("notifications.push: nothing")`) || evaluated[bool](ctx, t, page, promptShown) {
		t.Errorf("%s: the steps are %q", why, evaluated[[]string](ctx, t, page, "traces"))
	}
}

// evaluated returns the value of an expression.
func evaluated[T any](ctx context.Context, t *testing.T, page browser.Page, expression string) T {
	t.Helper()
	var v T
	must(t, page.Eval(ctx, expression, &v))
	return v
}

// TestClevertapEmbed: a page with CleverTap's snippet and its prompt call works
// unchanged, from the stub's replay to the callbacks, and sends requests only to
// its own server.
func TestClevertapEmbed(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(clevertapSite), compatOption)
		origin := p.origins[0]
		page := openAs(ctx, t, b, origin, "/", browser.Default)
		must(t, browser.WaitFor(ctx, page, promptShown))
		texts := evaluated[[]string](ctx, t, page,
			`["title", "body", "accept", "reject"].map((id) => document.getElementById("webpush-prompt").shadowRoot.getElementById(id).textContent)`)
		if want := []string{"Prices that fall", "Know <first>", "Yes please", "Not today"}; !slices.Equal(texts, want) {
			t.Errorf("the prompt says %q", texts)
		}
		label := evaluated[string](ctx, t, page, `document.getElementById("webpush-prompt").shadowRoot.getElementById("accept").ariaLabel ?? ""`)
		if label != "Yes, notify me" {
			t.Errorf("the button is labelled %q", label)
		}
		foreign := evaluated[[]string](ctx, t, page, `[...performance.getEntriesByType("resource").map((e) => e.name), ...[...document.scripts].map((s) => s.src)]
			.filter((url) => url && !url.startsWith(location.origin + "/"))`)
		if len(foreign) > 0 {
			t.Errorf("the page called %q", foreign)
		}
		if !evaluated[bool](ctx, t, page, `document.querySelectorAll('script[src$="/_webpush/sdk.js"]').length === 2`) {
			t.Error("the snippet's script is not on the page: the page did not run as published")
		}

		accept(ctx, t, b, page, origin)
		must(t, browser.WaitFor(ctx, page, `called.length > 1`))
		if called := evaluated[[]string](ctx, t, page, "called"); !slices.Equal(called, []string{"ok", "subscribed"}) {
			t.Errorf("called back: %q", called)
		}
		if n := p.subscribers(origin); n != 1 {
			t.Errorf("%d subscribers", n)
		}
		must(t, page.Close(ctx))

		// From now on the SDK subscribes silently, and the page is informed.
		page = openAs(ctx, t, b, origin, "/", browser.Granted)
		must(t, browser.WaitFor(ctx, page, `called.length > 0`))
		if called := evaluated[[]string](ctx, t, page, "called"); !slices.Equal(called, []string{"subscribed"}) {
			t.Errorf("on the next page called back: %q", called)
		}
		if evaluated[bool](ctx, t, page, promptShown) {
			t.Error("asked again")
		}
		must(t, page.Close(ctx))
	})
}

// TestClevertapPositional refuses the prompt of the positional form. The prompt
// comes again after askAgainTimeInSeconds and not before, whatever interval Caddy
// has.
func TestClevertapPositional(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		origin := startProductBefore(t, http.HandlerFunc(clevertapSite), compatOption).origins[0]
		page := openTraced(ctx, t, b, origin, "/positional")
		must(t, browser.WaitFor(ctx, page, promptShown))
		must(t, page.Click(ctx, "#reject"))
		must(t, browser.WaitFor(ctx, page, "!"+promptShown))
		must(t, page.Navigate(ctx, origin+"/positional"))
		notAsked(ctx, t, page, "asked again at once")
		// Instead of waiting, set the stored time five seconds back.
		must(t, page.Eval(ctx, `void localStorage.setItem("webpush:asked", localStorage.getItem("webpush:asked") - 5000)`, nil))
		must(t, page.Navigate(ctx, origin+"/positional"))
		must(t, browser.WaitFor(ctx, page, promptShown))
		must(t, page.Close(ctx))
	})
}

// TestClevertapSkipDialog shows the browser's own prompt in the page's own click.
// Log-out makes the subscriber anonymous; a revoked permission ends the
// subscription.
func TestClevertapSkipDialog(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(clevertapSite), compatOption)
		origin := p.origins[0]
		page := openAs(ctx, t, b, origin, "/skip", browser.Default)
		must(t, browser.WaitFor(ctx, page, `window.webpush && clevertap.getAccountID()`))
		must(t, b.SetPermission(ctx, origin, browser.Granted))
		must(t, page.Click(ctx, "#own"))
		must(t, browser.WaitFor(ctx, page, `called.includes("subscribed")`))
		if evaluated[bool](ctx, t, page, promptShown) {
			t.Error("a prompt of ours as well")
		}

		before := evaluated[string](ctx, t, page, `localStorage.getItem("webpush:sub")`)
		must(t, page.Eval(ctx, `webpush.logout().then(() => window.loggedOut = true)`, nil))
		must(t, browser.WaitFor(ctx, page, `window.loggedOut`))
		if after := evaluated[string](ctx, t, page, `localStorage.getItem("webpush:sub")`); after == before || after == "" {
			t.Error("after log-out the subscription is the same")
		}
		if n := p.subscribers(origin); n != 1 {
			t.Errorf("%d subscribers after log-out", n)
		}

		must(t, page.Close(ctx))
		page = openAs(ctx, t, b, origin, "/none", browser.Denied)
		must(t, browser.WaitFor(ctx, page, `window.webpush && !localStorage.getItem("webpush:sub")`))
		until(ctx, t, "the server's row to go", func() bool { return p.subscribers(origin) == 0 })
		must(t, page.Close(ctx))
	})
}

// TestClevertapStorage starts with the data that CleverTap left in the browser: a
// visitor who was asked recently is not asked again, and the visitor's identity
// is kept until log-out.
func TestClevertapStorage(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		origin := startProductBefore(t, http.HandlerFunc(clevertapSite), compatOption).origins[0]
		page := openTraced(ctx, t, b, origin, "/none")
		leave := func(left string) {
			must(t, page.Eval(ctx, `(() => {
				const left = {`+left+`};
				localStorage.clear();
				for (const [name, value] of Object.entries(left)) localStorage.setItem(name, encodeURIComponent(JSON.stringify(value)));
			})()`, nil))
			must(t, page.Navigate(ctx, origin+"/"))
			must(t, browser.WaitFor(ctx, page, `localStorage.getItem("webpush:adopted") && clevertap.getAccountID()`))
		}
		must(t, browser.WaitFor(ctx, page, `localStorage.getItem("webpush:adopted")`))
		leave(`WZRK_G: "0a1b2c", WZRK_K: {id: ["7", "ann@example.com"]}, WZRK_META: {notif_last_time: Math.floor(Date.now() / 1000)}`)
		known := evaluated[string](ctx, t, page, `localStorage.getItem("webpush:ct")`)
		if want := `{"id":"0a1b2c","identities":["7","ann@example.com"]}`; known != want {
			t.Errorf("kept %s, want %s", known, want)
		}
		notAsked(ctx, t, page, "asked although CleverTap had asked just now")
		must(t, page.Eval(ctx, "clevertap.logout()", nil))
		must(t, browser.WaitFor(ctx, page, `!localStorage.getItem("webpush:ct")`))
		// The published snippet has optOut: false, which ends an opt-out, as at
		// CleverTap.
		leave(`WZRK_G: "0a1b2c:OO"`)
		if left := evaluated[string](ctx, t, page, `localStorage.getItem("webpush:ct") + localStorage.getItem("webpush:out")`); left != `{"id":"0a1b2c"}null` {
			t.Errorf("after an opt-out that was taken back: %s", left)
		}
		must(t, browser.WaitFor(ctx, page, promptShown))
		must(t, page.Close(ctx))
	})
}
