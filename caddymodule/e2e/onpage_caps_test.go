//go:build e2e

package e2e

import (
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/onsite"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// small returns a pop-up that appears at once.
func small(id string, priority int, more m) m {
	popup := m{"id": id, "kind": "corner", "priority": priority, "content": m{"title": id}}
	for name, value := range more {
		popup[name] = value
	}
	return popup
}

// restart stops Caddy and starts it again on the same data.
func (x *onPage) restart() {
	x.Helper()
	if out, err := x.p.command("stop", "--address", x.p.admin).CombinedOutput(); err != nil {
		x.Fatalf("stopping: %v\n%s", err, out)
	}
	until(x.ctx, x.T, "the end of Caddy", func() bool {
		conn, err := net.Dial("tcp", x.p.admin)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	x.all.run(filepath.Join(x.p.dir, "caddy.json"))
}

// caps: a pop-up with a cap of one does not appear again in the session, the day
// or ever, even with cleared storage, after a restart, and on the visitor's other
// device. A less important pop-up takes its place.
func (x *onPage) caps() {
	x.everyTime()
	x.put(small("rest", 0, nil),
		small("session", 5, m{"where": paths("/s"), "caps": m{"session": 1}}),
		small("day", 5, m{"where": paths("/d"), "caps": m{"day": 1}}),
		small("life", 5, m{"where": paths("/l"), "caps": m{"lifetime": 1}}))
	for path, id := range map[string]string{"/s": "session", "/d": "day", "/l": "life"} {
		x.sees(path, id)
		x.wants(path, "rest", "capped")
	}
	x.run(x.page, "localStorage.clear(), sessionStorage.clear()")
	x.wants("/s", "session", "a new session")
	x.wants("/d", "rest", "cleared storage")
	x.wants("/l", "rest", "cleared storage")
	x.restart()
	x.run(x.page, "localStorage.clear(), sessionStorage.clear()")
	x.wants("/d", "rest", "after a restart")
	x.wants("/l", "rest", "after a restart")

	x.run(x.page, `webpush.login({identity: "ann-7"})`)
	x.until("a login", func(people []person) bool { return personWith(people, "ann-7").ID != "" })
	x.groups(personWith(x.p.people(x.ctx, x.origin), "ann-7").Group)

	other := *x
	for _, u := range shared.users {
		if u.name != x.b.Name() {
			other.b = u.startAlone(x.T) // another test uses the shared browser
		}
	}
	other.page = other.tab()
	other.wants("/l", "life", "the other device is unknown")
	other.run(other.page, `webpush.login({identity: "ann-7"})`)
	other.wait("the login", nothingWaits)
	other.wants("/l", "rest", "after the login on another device")
	other.wants("/d", "rest", "after the login on another device")
	must(x.T, other.page.Close(x.ctx))
}

// groups checks what a person gets by the group that the API reports: nothing
// (control), and the second variant.
func (x *onPage) groups(group string) {
	x.Helper()
	named := map[string]string{}
	for i := 0; len(named) < 2; i++ {
		p := popup.Popup{ID: "split-" + strconv.Itoa(i), Control: 50, Variants: []popup.Variant{{ID: "a", Weight: 1}, {ID: "b", Weight: 1}}}
		if variant := onsite.Assign(host(x.origin), &p, group); variant != "a" && named[variant] == "" {
			named[variant] = p.ID
		}
	}
	for variant, id := range named {
		x.put(small(id, 5, m{
			"where": paths("/" + variant), "control": 50, "caps": m{"session": 1},
			"variants": []m{{"id": "a", "weight": 1}, {"id": "b", "weight": 1, "content": m{"title": "The second"}}},
		}))
	}
	x.wants("/control", "rest", "in the control group")
	x.variant(named["control"], "control")
	x.wants("/control", "rest", "kept from the visitor before")
	x.sees("/b", named["b"])
	if title := evaluated[string](x.ctx, x.T, x.page, `document.querySelector(".webpush-popup").shadowRoot.getElementById("title").textContent`); title != "The second" {
		x.Errorf("the second variant says %q", title)
	}
	x.variant(named["b"], "b")
	x.variant(named["control"], "control") // recorded before the view of b was counted
}

// variant checks that one view is counted, for this variant.
func (x *onPage) variant(id, variant string) {
	x.Helper()
	x.counted(id, map[string]int64{"viewed": 1})
	var stats struct {
		Variants []struct {
			Variant string
			Viewed  int
		}
	}
	x.p.api(x.ctx, http.MethodGet, x.site+"/popups/"+id+"/stats", nil, &stats)
	for _, v := range stats.Variants {
		if (v.Viewed == 1) != (v.Variant == variant) {
			x.Errorf("%s: counted %+v, want one view of %s", id, stats, variant)
		}
	}
}

// enough: a session shows one pop-up, the more important one. The inbox does not
// count.
func (x *onPage) enough() {
	x.put(small("less", 1, nil), small("more", 2, m{"where": paths("/", "/next")}), m{"id": "bell", "kind": "inbox", "content": m{"title": "T"}})
	x.visit("/")
	x.waitTold("shown more")
	x.waitTold("viewed more")
	x.waitTold("shown bell")
	for _, path := range []string{"/next", "/other"} {
		x.visit(path)
		x.waitTold("shown bell")
		if lines := x.pageLog(); !slices.Equal(lines, []string{"shown bell"}) {
			x.Errorf("on %s the page received %q, although the session has had its pop-up", path, lines)
		}
	}
	x.counted("more", map[string]int64{"viewed": 1})
	x.counted("less", map[string]int64{"viewed": 0})
}

// cleverTap tests CleverTap's own switches and callbacks.
func (x *onPage) cleverTap() {
	x.everyTime()
	x.put(small("rest", 0, m{"where": paths("/spam")}), small("first", 5, m{"where": paths("/spam")}),
		small("second", 1, m{"where": paths("/spam"), "when": m{"event": "more"}}),
		small("own", 5, m{
			"kind": "box", "where": paths("/own"), "when": m{"seconds": 1, "scroll": 90, "idle": 50, "exit": true},
			"click":    m{"do": "call", "function": "shop.greet"},
			"content":  m{"title": "Title", "body": "Text", "image": "/lighthouse.svg", "kv": m{"a": "1"}, "buttons": []m{{"id": "b", "text": "Go"}}},
			"variants": []m{{"id": "a", "weight": 1}},
		}),
		m{"id": "news", "kind": "inbox", "where": paths("/box"), "content": m{"title": "News"}},
		m{"id": "old", "kind": "inbox", "where": paths("/box"), "content": m{"title": "Old"}})
	x.spam()
	x.callbacks()
	x.inbox()
}

func (x *onPage) spam() {
	x.wants("/spam", "first", "dismissSpamControl is true")
	x.waitTold("viewed first")
	x.run(x.page, `webpush.event("more")`)
	x.waitTold("shown second")
	x.wait("one of them", `document.querySelectorAll(".webpush-popup").length === 1`)
	x.click("#close")
	x.waitTold("closed second button")
	x.wants("/spam", "first", "dismissSpamControl is true")
	x.click("#close")
	x.waitTold("closed first button")
	x.wants("/spam", "first", "closed before, and dismissSpamControl is true")
	x.wants("/spam?spam=false", "rest", "closed before, and dismissSpamControl is false")
}

// callbacks compares the page's callbacks with CleverTap's guide, and raises
// events in both of the guide's ways.
func (x *onPage) callbacks() {
	x.visit("/own")
	x.wait("the message", "messages.length > 0")
	got := evaluated[string](x.ctx, x.T, x.page, "JSON.stringify(messages[0])")
	want := `{"msgContent":{"title":"Title","description":"Text","imageUrl":"/lighthouse.svg","ctaText":"Go"},"msgId":"own_` +
		time.Now().UTC().Format("20060102") + `","pivotId":"a","kv":{"a":"1"},"deliveryTrigger":{"inactive":50,"scroll":90,"isExitIntent":true,"deliveryDelayed":1}}`
	if got != want {
		x.Errorf("the page got\n%s\nwant\n%s", got, want)
	}
	x.run(x.page, `clevertap.raiseNotificationViewed(), clevertap.renderNotificationViewed({msgId: messages[0].msgId, pivotId: "a"})`)
	x.run(x.page, `clevertap.renderNotificationClicked({msgId: messages[0].msgId, pivotId: "a", kv: {wzrk_x: "1"}}), clevertap.renderNotificationClicked({})`)
	x.wait("the call", `called[0] === '{"a":"1"}'`)
	x.counted("own", map[string]int64{"viewed": 1, "clicked": 1})
}

// inbox tests CleverTap's inbox functions, on this page and the next one.
func (x *onPage) inbox() {
	x.visit("/box")
	x.wait("two messages", "clevertap.getInboxMessageCount() === 2 && clevertap.getInboxMessageUnreadCount() === 2")
	x.run(x.page, `clevertap.markReadInboxMessage("old"), clevertap.toggleInbox()`)
	x.waitTold("viewed news")
	if title := evaluated[string](x.ctx, x.T, x.page, `clevertap.getUnreadInboxMessages().news.msg[0].title`); title != "News" {
		x.Errorf("the unread message says %q", title)
	}
	x.visit("/own")
	x.wait("one unread of two", "clevertap.getInboxMessageCount() === 2 && clevertap.getInboxMessageUnreadCount() === 1")
	x.run(x.page, `clevertap.deleteInboxMessage("old"), clevertap.deleteInboxMessage("news")`)
	x.wait("no bell without a message", `clevertap.getInboxMessageCount() === 0 && !document.getElementById("webpush-inbox")`)

	must(x.T, visitPage(x.ctx, x.page, x.origin, "/box"))
	x.wait("two messages", `document.getElementById("webpush-inbox") && clevertap.getInboxMessageCount() === 2`)
	x.run(x.page, `webpush.logout()`)
	x.wait("no message of a logged-out visitor", `!document.getElementById("webpush-inbox") && !localStorage.getItem("webpush:inbox")`)
}

// cut cuts the network: before the events are sent, and after they have arrived
// but before the browser has the answer.
func (x *onPage) cut() {
	count := func(name string) int { return personWith(x.p.people(x.ctx, x.origin), "").Events[name].Count }
	x.visit("/")
	x.run(x.page, `webpush.event("Before")`)
	x.wait("all told", nothingWaits)
	until(x.ctx, x.T, "an event", func() bool { return count("Before") == 1 })

	x.line.set(0, true)
	x.run(x.page, `webpush.event("Tunnel"), webpush.event("Tunnel")`)
	x.wait("a failure", "failed > 0")
	x.line.set(time.Second, false)
	until(x.ctx, x.T, "the events", func() bool { return count("Tunnel") == 2 })
	x.line.set(0, true)
	x.line.set(0, false)
	x.wait("the end of what waits", nothingWaits)
	if n := count("Tunnel"); n != 2 {
		x.Errorf("told twice and counted %d times, want 2 events", n)
	}
}
