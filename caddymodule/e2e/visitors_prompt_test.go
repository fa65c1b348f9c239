//go:build e2e

package e2e

import (
	"time"
)

const day = 24 * time.Hour

// askedAgain refuses again and again: the prompt comes back after 3, 7 and 30
// days of silence, and then after every 30 days.
func askedAgain(v *visitor, _ *line) {
	v.goTo("/")
	v.wait(promptShown)
	for i, silence := range []time.Duration{3 * day, 7 * day, 30 * day, 30 * day} {
		v.refuse()
		if i == 0 {
			v.wantRows(0)
		}
		v.pass(silence - time.Hour)
		if got := v.step("/next"); got != "nothing" {
			v.Fatalf("an hour before the end of %s: %s", silence, got)
		}
		v.want(promptShown, "false")
		v.want("webpush.prompt()", "suppressed")
		v.pass(2 * time.Hour)
		v.goTo("/")
		v.wait(promptShown)
	}
	v.wantSilence()
}

// askedAgainAfterAWeek is the same with the defaults; dismissing the prompt
// counts as a refusal.
func askedAgainAfterAWeek(v *visitor, _ *line) {
	v.goTo("/")
	v.wait(promptShown)
	must(v.T, v.page.Press(v.ctx, "Escape"))
	v.wait("!" + promptShown)
	v.pass(7*day - time.Hour)
	if got := v.step("/next"); got != "nothing" {
		v.Errorf("an hour before the week is over: %s", got)
	}
	v.pass(2 * time.Hour)
	v.goTo("/")
	v.wait(promptShown)
}

// afterSecondPage shows no prompt on a visitor's first page, unless it is set to.
func afterSecondPage(v *visitor, _ *line) {
	if got := v.step("/"); got != "ask" {
		v.Errorf("decided to %s", got)
	}
	time.Sleep(time.Second) // for an unwanted prompt
	v.want(promptShown, "false")
	v.goTo("/next")
	v.wait(promptShown)
}

// afterSeconds counts from the first page of the visit, over all its pages.
func afterSeconds(v *visitor, _ *line) {
	v.preload(`window.waits = []; { const set = setTimeout; window.setTimeout = (f, ms, ...more) => (waits.push(ms), set(f, ms, ...more)); }`)
	v.goTo("/")
	v.wait("waits.some((ms) => ms > 800_000 && ms <= 900_000)")
	v.want(promptShown, "false")
	v.pass(600 * time.Second)
	v.goTo("/next")
	v.wait("waits.some((ms) => ms > 200_000 && ms <= 300_000)")
	v.want(promptShown, "false")
	v.pass(299 * time.Second)
	v.goTo("/later")
	v.wait(promptShown)
}

// afterExit moves the real pointer around in the page, and out of it at the top.
func afterExit(v *visitor, _ *line) {
	v.step("/")
	v.click("h1")
	v.want(promptShown, "false")
	until(v.ctx, v.T, "the question", func() bool {
		must(v.T, v.page.LeaveTop(v.ctx))
		return evaluated[bool](v.ctx, v.T, v.page, promptShown)
	})
}

// afterRoute counts a route of a single-page site as the second page; a change of
// the query does not count.
func afterRoute(v *visitor, _ *line) {
	v.step("/")
	v.want(`"navigation" in window`, "true")
	v.eval(`history.pushState(null, "", "/?sort=price")`, nil)
	v.eval(`history.replaceState(null, "", "/#top")`, nil)
	v.want(`localStorage.getItem("webpush:views")`, "1")
	v.want(promptShown, "false")
	v.eval(`history.pushState(null, "", "/products/7")`, nil)
	v.wait(promptShown)
	v.want(`localStorage.getItem("webpush:views")`, "2")
	if got := len(steps(v.page)); got != 2 {
		v.Errorf("%d decisions on two routes", got)
	}
}

// grantedEarlier has the permission from before: it is subscribed without a
// prompt, and gets messages.
func grantedEarlier(v *visitor, _ *line) {
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "granted"))
	if got := v.step("/"); got != "subscribe" {
		v.Errorf("decided to %s", got)
	}
	v.wantRows(1)
	v.wantReached("Granted")
	v.want(promptShown, "false")
	if got := v.step("/next"); got != "sync" {
		v.Errorf("on the next page: %s", got)
	}
	v.want(promptShown, "false")
	v.wantSilence()
}

// wantReached sends a message, and waits for the notification.
func (v *visitor) wantReached(title string) {
	v.Helper()
	title += " " + v.Name()
	if m := v.product.send(v.origin, "--title", title); m.Results.Audience != 1 || m.Results.Accepted != 1 {
		v.Fatalf("sent: %+v", m.Results)
	}
	_, err := v.user.desktop.WaitTitle(v.ctx, v.user.name, title)
	must(v.T, err)
}

const (
	bellShown = `!!document.getElementById("webpush-prompt")?.shadowRoot?.getElementById("bell")?.checkVisibility()`
	helpShown = `!!document.getElementById("webpush-prompt")?.shadowRoot?.getElementById("steps")?.checkVisibility()`
	nothing   = `!document.getElementById("webpush-prompt")`
)

// bellAsks uses the bell: it is on the page, asks when pressed, makes room for a
// prompt that the site requests, and disappears with the answer.
func bellAsks(v *visitor, _ *line) {
	v.goTo("/")
	v.wait(bellShown)
	v.want(promptShown, "false")
	v.click("#bell")
	v.wait(promptShown)
	must(v.T, v.page.Press(v.ctx, "Escape"))
	v.wait(bellShown)
	v.want(`localStorage.getItem("webpush:asked")`, "null")
	v.want(`(webpush.prompt(), true)`, "true")
	v.wait(promptShown)
	v.want(bellShown, "false")
	accept(v.ctx, v.T, v.browser, v.page, v.origin)
	v.want(nothing, "true")
	v.wantRows(1)
	if got := v.step("/next"); got != "sync" {
		v.Errorf("on the next page: %s", got)
	}
	v.want(nothing, "true")
	v.wantSilence()
}

// bellHelps is the bell for a visitor who has blocked notifications: it shows how
// to allow them, and disappears when they are allowed.
func bellHelps(v *visitor, _ *line) {
	v.goTo("/")
	v.wait(bellShown)
	// Blocked while the bell is on the page, and from then on.
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "denied"))
	for range 2 {
		v.click("#bell")
		v.wait(helpShown)
		v.want(promptShown, "false")
		v.click("#close")
		v.wait(bellShown)
		v.goTo("/next")
		v.wait(bellShown)
	}
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "granted"))
	v.wantRows(0)
	v.goTo("/")
	v.wantRows(1)
	v.want(nothing, "true")
}

// preferencesSwitch uses the visitor's own settings in the page.
func preferencesSwitch(v *visitor, _ *line) {
	const switchElement = `document.querySelector("webpush-preferences").shadowRoot?.querySelector("[role=switch]")`
	const on = switchElement + "?.checked"
	// The SDK fills the element again after a click: the next click must not hit
	// the old switch.
	press := func(want string) {
		v.Helper()
		v.eval("void (window.before = "+switchElement+")", nil)
		v.click("[role=switch]")
		v.wait(switchElement + " !== before && " + on + " === " + want)
	}
	v.goTo("/settings")
	v.wait(on + " === false")
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "granted"))
	// The permission alone does not subscribe again; a visitor's own switch does.
	for range 2 {
		press("true")
		v.wantRows(1)
		press("false")
		v.wantRows(0)
	}
	// The visitor has switched it off: it stays off.
	if got := v.step("/settings"); got != "nothing" {
		v.Errorf("after switching off: %s", got)
	}
	v.wait(on + " === false")
	v.wantRows(0)
	must(v.T, v.browser.SetPermission(v.ctx, v.origin, "denied"))
	v.click("[role=switch]")
	v.wait(helpShown)
	v.wait(on + " === false")
	v.wantSilence()
}
