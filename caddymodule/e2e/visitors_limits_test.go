//go:build e2e

package e2e

import (
	"time"
)

// watchPolicy records violations of a page's policy, from the first script on.
const watchPolicy = `window.violations = []; document.addEventListener("securitypolicyviolation",
	(e) => violations.push([e.effectiveDirective, e.blockedURI, e.sample].join(" ")));`

// trustedTypes shows bell, prompt and preferences, and subscribes, where strings
// are no code; TestPolicyAllows has the dialog.
func trustedTypes(v *visitor, _ *line) {
	v.preload(watchPolicy)
	v.goTo("/trusted")
	v.want("!!window.trustedTypes", "true")
	v.wait(`document.querySelector("webpush-preferences").shadowRoot?.querySelector("[role=switch]")?.checked === false`)
	v.wait(bellShown)
	v.click("#bell")
	accept(v.ctx, v.T, v.browser, v.page, v.origin)
	v.wait(`document.querySelector("webpush-preferences").shadowRoot.querySelector("[role=switch]").checked`)
	v.wantRows(1)
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "denied"))
	v.goTo("/trusted")
	v.wait(bellShown)
	v.click("#bell")
	v.wait(helpShown)
	v.want("violations.join()", "")
	v.wantSilence()
}

// trustedTypesCleverTap has CleverTap's snippet on such a page.
func trustedTypesCleverTap(v *visitor, _ *line) {
	v.preload(watchPolicy)
	v.goTo("/trusted-clevertap")
	v.wait(promptShown)
	v.want(`document.getElementById("webpush-prompt").shadowRoot.getElementById("title").textContent`, "Prices that fall")
	accept(v.ctx, v.T, v.browser, v.page, v.origin)
	v.wait(`called.join() === "ok,subscribed"`)
	v.wantRows(1)
	v.want("violations.join()", "")
}

// twoTabs answers in one tab: the prompt disappears in the other, hidden tab, and
// does not come back.
func twoTabs(v *visitor, _ *line) {
	v.goTo("/")
	v.wait(promptShown)
	other := *v
	other.page = v.newTab()
	other.goTo("/next")
	other.wait(promptShown)
	other.refuse()
	v.wait("!" + promptShown)
	must(v.T, v.page.Front(v.ctx))
	v.want("webpush.prompt()", "suppressed")

	// An acceptance counts for both.
	other.pass(8 * day)
	v.pass(8 * day)
	v.goTo("/")
	v.wait(promptShown)
	must(v.T, other.page.Front(v.ctx))
	other.goTo("/next")
	other.wait(promptShown)
	accept(v.ctx, v.T, v.browser, other.page, v.origin)
	v.wait("!" + promptShown)
	v.wait("webpush.state().then((s) => s.subscribed)")
	v.wantRows(1)
	must(v.T, other.page.Close(v.ctx))
	v.wantSilence()
}

// twoTabsAtOnce subscribes in two tabs at the same time: one subscription, one
// row.
func twoTabsAtOnce(v *visitor, _ *line) {
	v.goTo("/")
	v.wait(promptShown)
	other := *v
	other.page = v.newTab()
	other.goTo("/next")
	other.wait(promptShown)
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "granted"))
	for _, tab := range []*visitor{v, &other} {
		tab.eval(`void webpush.subscribe().then((outcome) => window.outcome = outcome)`, nil)
	}
	for _, tab := range []*visitor{v, &other} {
		tab.wait("window.outcome")
		tab.want("outcome", "subscribed")
	}
	v.wantRows(1)
	v.wantReached("Two tabs")
	if n := v.product.subscribers(v.origin); n != 1 {
		v.Errorf("%d rows after the message", n)
	}
	must(v.T, other.page.Close(v.ctx))
}

// storageThrows: nothing can be stored, and everything else works.
func storageThrows(v *visitor, _ *line) {
	v.preload(`for (const name of ["localStorage", "sessionStorage"])
		Object.defineProperty(window, name, {get() { throw new DOMException("no", "SecurityError"); }});`)
	v.goTo("/")
	v.wait(promptShown)
	v.refuse()
	v.want(`webpush.state().then((s) => s.subscribed)`, "false")
	v.goTo("/")
	v.wait(promptShown)
	accept(v.ctx, v.T, v.browser, v.page, v.origin)
	v.wantRows(1)
	v.goTo("/next")
	v.wait("webpush.state().then((s) => s.subscribed)")
	v.want(promptShown, "false")
	v.wantReached("Unremembered")
	v.wantRows(1)
	v.wantSilence()
}

// storageBlocked: the user blocks all storage of the site, and so its workers.
// The page works, and the visitor is not asked in vain.
func storageBlocked(v *visitor, _ *line) {
	must(v.T, v.browser.BlockStorage(v.ctx, v.origin))
	until(v.ctx, v.T, "the setting", func() bool {
		v.goTo("/")
		return evaluated[string](v.ctx, v.T, v.page, `(() => { try { return String(!!localStorage) } catch (e) { return e.name } })()`) == "SecurityError"
	})
	v.goTo("/next")
	v.wait("window.webpush")
	v.want("webpush.prompt()", "failed")
	v.want(promptShown, "false")
	v.want("webpush.state().then((s) => s.subscribed)", "false")
}

// privateWindow is off the record. Pages can't know that, and so they ask; the
// result ends with the window. Chromium refuses by itself. Firefox shows its
// prompt, which no user can answer without a screen, and an earlier permission is
// for other windows: so this visitor refuses.
func privateWindow(v *visitor, _ *line) {
	page, err := v.browser.OpenPrivate(v.ctx, v.origin+"/")
	must(v.T, err)
	private := *v
	private.page = page
	private.preload(verbosely)
	private.wait(promptShown)
	private.click(map[string]string{"Chromium": "#accept", "Firefox": "#reject"}[v.user.name])
	private.wait(nothing)
	private.wait(`localStorage.getItem("webpush:refusals") === "1"`)
	if got := private.step("/next"); got != "nothing" {
		v.Errorf("after a refusal: %s", got)
	}
	private.want(nothing, "true")
	private.wantSilence()
	v.wantRows(0)
	must(v.T, page.Close(v.ctx))

	if got := v.step("/next"); got != "ask" {
		v.Errorf("in a window on the record: %s", got)
	}
	v.want(`localStorage.getItem("webpush:views")`, "1")
}

// slowNetwork puts the site behind a slow network: the page is loaded before our
// parts are requested, and they all arrive later.
func slowNetwork(v *visitor, l *line) {
	l.set(150*time.Millisecond, false)
	defer l.set(0, false)
	v.goTo("/")
	v.wait(promptShown)
	v.want(`(() => {
		const loaded = performance.getEntriesByType("navigation")[0].loadEventEnd;
		const late = performance.getEntriesByType("resource").filter((e) => /ui\.js/.test(e.name));
		return late.length === 1 && late.every((e) => e.startTime >= loaded);
	})()`, "true")
	accept(v.ctx, v.T, v.browser, v.page, v.origin)
	v.wantRows(1)
	v.wantSilence()
}

// offlineAndBack accepts while the site can't be reached. The choice is kept: the
// next visit subscribes without a prompt.
func offlineAndBack(v *visitor, l *line) {
	// The SDK's limit of ten seconds passes ten times as fast.
	v.preload(fastTimers)
	v.goTo("/")
	v.wait(promptShown)
	l.set(0, true)
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "granted"))
	v.click("#accept")
	v.wait("failed.length > 0")
	v.want("failed.join()", "worker_failed true") // the worker's address is at the site, too
	v.wantRows(0)
	v.wait("!" + promptShown)

	l.set(0, false)
	v.step("/next")
	v.wantRows(1)
	v.want(promptShown, "false")
	v.wantReached("Back")
}

// pushServiceRefuses is the same when the browser's push service refuses.
func pushServiceRefuses(v *visitor, _ *line) {
	v.preload(recordFailures)
	v.goTo("/")
	v.wait(promptShown)
	v.user.refuse()
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "granted"))
	v.click("#accept")
	v.wait("failed.length > 0")
	v.want("failed.join()", "push_refused true")
	v.wait("(" + wordShown + `).includes("Please try again later")`)
	v.wantCounted("push_refused")
	v.wantRows(0)
	v.step("/next")
	v.wantRows(1)
	v.want(promptShown, "false")
}

// device makes the page's browser look like another one.
func (v *visitor) device(agent string, more string) {
	v.Helper()
	v.preload(`Object.defineProperty(Navigator.prototype, "userAgent", {get: () => "` + agent + `"});` + more)
}

const iPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"

// iosHint is Safari on an iPhone, which has push only from the home screen. A
// hint replaces the prompt, and refusing it counts.
func iosHint(v *visitor, _ *line) {
	v.device(iPhone, `delete window.PushManager; delete window.Notification;`)
	v.goTo("/")
	v.wait(helpShown)
	v.want(`document.getElementById("webpush-prompt").shadowRoot.getElementById("title").textContent`, "Add to Home Screen")
	v.want(promptShown, "false")
	v.click("#close")
	v.wait(nothing)
	if got := v.step("/next"); got != "nothing" {
		v.Errorf("on the next page: %s", got)
	}
	v.pass(8 * day)
	v.goTo("/")
	v.wait(helpShown)
	v.wantSilence()
}

// insideAnApp is a browser inside an app, which has no push or loses it.
func insideAnApp(v *visitor, _ *line) {
	v.device("Mozilla/5.0 (Linux; Android 15; Pixel 9 Build/AP4A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/133.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/500.0]", "")
	v.wantNotAsked()
}

// crawler is a crawler that has all permissions, like Google's.
func crawler(v *visitor, _ *line) {
	v.device("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/133.0", "")
	v.wantNotAsked()
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "granted"))
	v.wantNotAsked()
	v.wantRows(0)
}

func (v *visitor) wantNotAsked() {
	v.Helper()
	for _, path := range []string{"/", "/next"} {
		if got := v.step(path); got != "nothing" {
			v.Errorf("%s: %s", path, got)
		}
	}
	v.want("webpush.prompt()", "suppressed")
	v.want(nothing, "true")
	v.wantSilence()
}
