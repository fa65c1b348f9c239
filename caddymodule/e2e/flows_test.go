//go:build e2e

package e2e

import (
	"context"
	"html"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/notifyd"
)

// results is a message as the API shows it.
type results struct {
	ID      string
	State   string
	Results struct {
		Audience, Pending, Accepted, Gone, Left int64
		Failed                                  map[string]int64
		Shown, Clicked, Closed                  int64
	}
}

// promptShown is true while the soft prompt is on the page.
const promptShown = `!!document.getElementById("webpush-prompt")?.shadowRoot?.getElementById("accept")`

// settled is true when the prompt's animations have ended.
const settled = `document.getElementById("webpush-prompt").shadowRoot.getAnimations().every((a) => a.playState === "finished")`

// visit opens the site as a visitor who has not been asked before.
func visit(ctx context.Context, t *testing.T, b browser.Browser, origin string) browser.Page {
	t.Helper()
	must(t, b.SetPermission(ctx, origin, browser.Default))
	page, err := b.Open(ctx, origin+"/")
	must(t, err)
	must(t, browser.WaitFor(ctx, page, promptShown))
	return page
}

// accept accepts our prompt, and then the browser's.
func accept(ctx context.Context, t *testing.T, b browser.Browser, page browser.Page, origin string) {
	t.Helper()
	must(t, page.Eval(ctx, `void (window.outcome = [], webpush.on("subscribed", () => outcome.push("subscribed")), webpush.on("error", (e) => outcome.push(String(e))))`, nil))
	must(t, b.SetPermission(ctx, origin, browser.Granted))
	must(t, page.Click(ctx, "#accept"))
	must(t, browser.WaitFor(ctx, page, "outcome.length > 0"))
	var outcome []string
	must(t, page.Eval(ctx, "outcome", &outcome))
	if !slices.Equal(outcome, []string{"subscribed"}) {
		t.Fatalf("accepting led to %q", outcome)
	}
}

// siteList is the list of all sites from the API and the command.
type siteList struct {
	Sites []struct {
		Site          string
		Subscriptions int64
	}
}

func (l siteList) subscribers(origin string) int64 {
	for _, s := range l.Sites {
		if s.Site == host(origin) {
			return s.Subscriptions
		}
	}
	return 0
}

// subscribers reads the site's number of subscribers from the API. The command
// would take longer to start, and tests poll this often.
func (p *product) subscribers(origin string) int64 {
	p.t.Helper()
	var list siteList
	p.get("sites", &list)
	return list.subscribers(origin)
}

// get reads a resource that must exist from the API.
func (p *product) get(path string, result any) {
	p.t.Helper()
	if status := p.api(p.t.Context(), http.MethodGet, path, nil, result); status != http.StatusOK {
		p.t.Fatalf("%s: %d", path, status)
	}
}

func (p *product) send(origin string, args ...string) results {
	p.t.Helper()
	var m results
	p.cli(&m, append([]string{"send", "--wait", "--site", host(origin)}, args...)...)
	return m
}

// waitResults polls a message until good accepts it.
func (p *product) waitResults(ctx context.Context, origin, id, what string, good func(results) bool) {
	p.t.Helper()
	for {
		var m results
		p.get("sites/"+host(origin)+"/messages/"+id, &m)
		if good(m) {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("%s did not come; the results are %+v", what, m.Results)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// body returns a notification's text as the operator wrote it: Chromium puts the
// origin in front, Firefox escapes it.
func body(n notifyd.Shown) string {
	text := n.Body
	if _, after, found := strings.Cut(text, "\n\n"); found {
		text = after
	}
	return html.UnescapeString(text)
}

// TestProduct tests the whole path on real parts: an unmodified site, a visitor
// who accepts, a message by the CLI, a notification on the desktop, a click, the
// numbers.
func TestProduct(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProduct(t, `name "The Shop"`)
		origin := p.origins[0]
		clock := &lap{t, time.Now()}

		page := visit(ctx, t, b, origin)
		clock.done("prompt")
		accept(ctx, t, b, page, origin)
		clock.done("subscribe")
		var sites siteList
		p.cli(&sites, "subscribers")
		if n, same := sites.subscribers(origin), p.subscribers(origin); n != 1 || same != 1 {
			t.Fatalf("%d subscribers after accepting, and %d by the API", n, same)
		}
		must(t, page.Close(ctx))
		clock.done("close page")

		title := "Sale ✓ " + u.name
		m := p.send(origin, "--title", title, "--body", "Ends <tonight> & soon", "--url", "/sale",
			"--action", "more=Read more=/more", "--action", "later=Not now", "--require-interaction")
		clock.done("send by CLI")
		if r := m.Results; r.Audience != 1 || r.Accepted != 1 || r.Pending != 0 {
			t.Fatalf("sent: %+v; the push service saw %+v", r, shared.attempts())
		}
		shown, err := u.desktop.WaitTitle(ctx, u.name, title)
		must(t, err)
		clock.done("shown")
		if got := body(shown); got != "Ends <tonight> & soon" {
			t.Errorf("the body is %q", got)
		}
		var labels []string
		for _, a := range shown.Actions {
			labels = append(labels, a.Label)
		}
		if !slices.Contains(labels, "Read more") || !slices.Contains(labels, "Not now") {
			t.Errorf("the buttons are %q", labels)
		}
		p.waitResults(ctx, origin, m.ID, "the view", func(m results) bool { return m.Results.Shown == 1 && m.Results.Clicked == 0 })

		must(t, u.desktop.Click(shown.ID))
		opened, err := b.WaitPage(ctx, func(url string) bool { return url == origin+"/sale" })
		must(t, err)
		clock.done("click to page")
		must(t, opened.Close(ctx))
		p.waitResults(ctx, origin, m.ID, "the click", func(m results) bool { return m.Results.Clicked == 1 && m.Results.Shown == 1 })
		var report results
		p.cli(&report, "messages", "--site", host(origin), m.ID)
		if report.Results.Clicked != 1 || report.Results.Shown != 1 {
			t.Errorf("the command has %+v", report.Results)
		}

		productButton(ctx, t, u, b, p, origin)
		productClose(ctx, t, u, p, origin)
		productFocus(ctx, t, u, b, p, origin)
	})
}

// productButton presses a button with its own URL.
func productButton(ctx context.Context, t *testing.T, u *user, b browser.Browser, p *product, origin string) {
	m := p.send(origin, "--title", "Button", "--url", "/sale", "--action", "more=Read more=/more")
	shown, err := u.desktop.WaitTitle(ctx, u.name, "Button")
	must(t, err)
	must(t, u.desktop.ClickAction(shown.ID, "Read more"))
	opened, err := b.WaitPage(ctx, func(url string) bool { return url == origin+"/more" })
	must(t, err)
	must(t, opened.Close(ctx))
	p.waitResults(ctx, origin, m.ID, "the click on the button", func(m results) bool { return m.Results.Clicked == 1 })
}

// productClose dismisses a notification.
func productClose(ctx context.Context, t *testing.T, u *user, p *product, origin string) {
	m := p.send(origin, "--title", "Close")
	shown, err := u.desktop.WaitTitle(ctx, u.name, "Close")
	must(t, err)
	must(t, u.desktop.Dismiss(shown.ID))
	p.waitResults(ctx, origin, m.ID, "the dismissal", func(m results) bool { return m.Results.Closed == 1 && m.Results.Clicked == 0 })
}

// productFocus clicks while the page is open already: no second tab.
func productFocus(ctx context.Context, t *testing.T, u *user, b browser.Browser, p *product, origin string) {
	page, err := b.Open(ctx, origin+"/sale")
	must(t, err)
	m := p.send(origin, "--title", "Focus", "--url", "/sale")
	shown, err := u.desktop.WaitTitle(ctx, u.name, "Focus")
	must(t, err)
	must(t, u.desktop.Click(shown.ID))
	p.waitResults(ctx, origin, m.ID, "the click", func(m results) bool { return m.Results.Clicked == 1 })
	urls, err := b.Pages(ctx)
	must(t, err)
	if n := strings.Count(strings.Join(urls, "\n"), origin+"/sale"); n != 1 {
		t.Errorf("%d tabs have the page: %q", n, urls)
	}
	must(t, page.Close(ctx))
}

// TestUnsubscribe unsubscribes on the page, and then without telling our server:
// the next message gets 410, and the row is deleted.
func TestUnsubscribe(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProduct(t, "", "")
		for i, leave := range []string{
			`webpush.unsubscribe()`,
			`navigator.serviceWorker.ready.then((r) => r.pushManager.getSubscription()).then((s) => s.unsubscribe())`,
		} {
			origin := p.origins[i]
			page := visit(ctx, t, b, origin)
			accept(ctx, t, b, page, origin)
			if n := p.subscribers(origin); n != 1 {
				t.Fatalf("%d subscribers after accepting", n)
			}
			must(t, page.Eval(ctx, leave, nil))
			if i == 0 {
				if n := p.subscribers(origin); n != 0 {
					t.Errorf("%d subscribers after unsubscribing", n)
				}
				must(t, page.Close(ctx))
				continue
			}
			// Browsers tell their push service a moment later.
			for gone := false; !gone; {
				var m results
				// The command fails when no subscriber got the message; the test
				// waits for that.
				err := p.tryCLI(&m, "send", "--wait", "--site", host(origin), "--title", "Anybody there?")
				if gone = m.Results.Gone == 1; gone != (err != nil) {
					t.Fatalf("%v, %+v", err, m)
				}
				must(t, ctx.Err())
			}
			if n := p.subscribers(origin); n != 0 {
				t.Errorf("%d subscribers after 410", n)
			}
			must(t, page.Close(ctx))
		}
	})
}

// TestTwoSites: two sites on one Caddy stay separate.
func TestTwoSites(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProduct(t, `name "One"`, `name "Two"`)
		for _, origin := range p.origins {
			page := visit(ctx, t, b, origin)
			accept(ctx, t, b, page, origin)
			must(t, page.Close(ctx))
		}
		before := len(u.service.Messages())
		title := "Only for two " + t.Name()
		if m := p.send(p.origins[1], "--title", title); m.Results.Audience != 1 || m.Results.Accepted != 1 {
			t.Fatalf("sent: %+v", m.Results)
		}
		_, err := u.desktop.WaitTitle(ctx, u.name, title)
		must(t, err)
		if n := len(u.service.Messages()) - before; n != 1 {
			t.Errorf("the push service got %d messages", n)
		}
		for i, origin := range p.origins {
			if n := p.subscribers(origin); n != 1 {
				t.Errorf("site %d has %d subscribers", i, n)
			}
		}
	})
}

// TestReturningVisitor: after the server lost the row, the next visit restores it
// without a prompt.
func TestReturningVisitor(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProduct(t, "")
		origin := p.origins[0]
		page := visit(ctx, t, b, origin)
		accept(ctx, t, b, page, origin)
		must(t, page.Close(ctx))
		var list struct {
			Subscriptions []struct{ ID, Language, Page string }
		}
		p.cli(&list, "subscribers", "--site", host(origin))
		if len(list.Subscriptions) != 1 || list.Subscriptions[0].Language == "" || list.Subscriptions[0].Page != "/" {
			t.Fatalf("subscribers: %+v", list)
		}
		p.cli(nil, "subscribers", "remove", "--site", host(origin), list.Subscriptions[0].ID)
		if n := p.subscribers(origin); n != 0 {
			t.Fatalf("%d subscribers after the removal", n)
		}
		page, err := b.Open(ctx, origin+"/sale")
		must(t, err)
		for p.subscribers(origin) != 1 {
			must(t, ctx.Err())
			time.Sleep(50 * time.Millisecond)
		}
		var asked bool
		must(t, page.Eval(ctx, promptShown, &asked))
		if asked {
			t.Error("a subscriber was asked again")
		}
		must(t, page.Close(ctx))
	})
}

// TestPromptDialog tests the prompt without mouse or sight (labels, focus, Tab,
// Escape) and for a busy visitor: it takes no focus from a field and covers
// nothing but its own area.
func TestPromptDialog(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProduct(t, "prompt {\n\t\t\tafter 1 page\n\t\t\ttitle \"Offers, first\"\n\t\t\tbody \"Twice a week\"\n\t\t\task_again 1s\n\t\t}")
		page := visit(ctx, t, b, p.origins[0])
		var dialog struct {
			Tag, Role, Label, Description, Accept, Reject, Focus string
			Open                                                 bool
		}
		must(t, page.Eval(ctx, `(() => {
			const root = document.getElementById("webpush-prompt").shadowRoot;
			const d = root.getElementById("dialog");
			const text = (attr) => root.getElementById(d.getAttribute(attr))?.textContent ?? "";
			return {tag: d.localName, role: d.getAttribute("role") ?? "", open: d.open,
				label: text("aria-labelledby"), description: text("aria-describedby"),
				accept: root.getElementById("accept").localName, reject: root.getElementById("reject").localName,
				focus: root.activeElement ? "inside" : "outside"};
		})()`, &dialog))
		if dialog.Tag != "dialog" || !dialog.Open || dialog.Label != "Offers, first" || dialog.Description != "Twice a week" ||
			dialog.Accept != "button" || dialog.Reject != "button" || dialog.Focus != "inside" {
			t.Errorf("the dialog is %+v", dialog)
		}
		focused := `document.getElementById("webpush-prompt").shadowRoot.activeElement?.id`
		var order []string
		for range 2 {
			must(t, page.Press(ctx, browser.Tab))
			var id string
			must(t, page.Eval(ctx, focused, &id))
			order = append(order, id)
		}
		slices.Sort(order)
		if !slices.Equal(order, []string{"accept", "reject"}) {
			t.Errorf("Tab went to %q", order)
		}
		// The page below stays usable.
		must(t, page.Click(ctx, `a[href="/sale"]`))
		must(t, browser.WaitFor(ctx, page, `location.pathname === "/sale"`))
		must(t, browser.WaitFor(ctx, page, promptShown))
		must(t, page.Press(ctx, browser.Escape))
		must(t, browser.WaitFor(ctx, page, "!"+promptShown))
		active := waitFor(t, "body", func() string { return evaluated[string](ctx, t, page, "document.activeElement.localName") })
		if active != "body" {
			t.Errorf("after Escape the focus is on %s", active)
		}
		promptWhileTyping(ctx, t, page)
		must(t, page.Close(ctx))
	})
}

// promptWhileTyping shows the prompt while the visitor types into a field.
func promptWhileTyping(ctx context.Context, t *testing.T, page browser.Page) {
	t.Helper()
	must(t, page.Eval(ctx, `(() => {
		const field = document.body.appendChild(document.createElement("input"));
		field.id = "field";
		field.focus();
		void webpush.prompt({force: true});
	})()`, nil))
	must(t, browser.WaitFor(ctx, page, promptShown))
	must(t, browser.WaitFor(ctx, page, settled))
	var active string
	must(t, page.Eval(ctx, "document.activeElement.id", &active))
	if active != "field" {
		t.Errorf("the prompt took the focus from the field; it is on %q", active)
	}
}
