//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// popupsPolicy is the strictest policy of a site that allows itself to frame its
// own pages.
const popupsPolicy = facesPolicy + "; frame-src 'self'"

// popupsScript shows pop-ups as the page runner does, and records their events.
const popupsScript = `
import { show, inbox } from "/_webpush/popup.js?v=1";
window.told = [];
window.ran = [];
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => violations.push(e.effectiveDirective + " " + e.blockedURI + " " + e.sample));
const active = () => navigator.userActivation?.isActive ?? true;
const host = (more) => ({
	site: { name: "Harbour Books", icon: "/icon.svg" }, language: document.documentElement.lang, prefix: "/_webpush", version: "1",
	act: ({ act, element, value, props }, of) => told.push([act, element, value, props && JSON.stringify(props), of.id].filter((x) => x !== undefined).join(" ")),
	run: (action, kv, of) => ran.push(action) && told.push("run " + JSON.stringify(action) + " " + JSON.stringify(kv) + " " + of.id + " " + active()),
	call: (name, args) => told.push("call " + name + " " + JSON.stringify(args)),
	closed: () => told.push("gone"),
	...more,
});
window.pop = (popup, more) => {
	window.last?.close();
	told.length = 0;
	window.last = show(host({ popup: { id: "p1", token: "t", content: {}, ...popup }, ...more }));
	window.root = last && (last.element.shadowRoot ?? last.element.getRootNode());
	window.at = (id) => root.getElementById(id);
};
window.openInbox = () => inbox(host({}));
window.atRest = () => document.querySelectorAll(".webpush-popup").forEach((host) => host.shadowRoot.getAnimations().forEach((animation) => animation.finish()));
window.ready = true;
`

// lighthouse is a picture of a usual format, 8:5.
const lighthouse = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 500" width="800" height="500"><defs><linearGradient id="s" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#1c3d6e"/><stop offset=".55" stop-color="#e07a5f"/><stop offset="1" stop-color="#f6c28b"/></linearGradient><linearGradient id="l" x1="0" y1="0" x2="1" y2="0"><stop offset="0" stop-color="#fff2b8" stop-opacity=".85"/><stop offset="1" stop-color="#fff2b8" stop-opacity="0"/></linearGradient></defs><path fill="url(#s)" d="M0 0h800v500H0z"/><circle cx="210" cy="330" r="52" fill="#ffe3a8"/><path fill="url(#l)" d="M566 118 0 10v150z" transform="matrix(-1 0 0 1 1132 0)"/><path fill="#24476b" d="M0 360c90-16 160 12 260 2s180-18 290-4 160 6 250-4v146H0z"/><path fill="#1a3653" d="M0 410c120-14 200 14 320 4s220-16 480 6v80H0z"/><path fill="#12263b" d="M450 372c40-34 80-46 120-46s110 22 150 60c30 28 60 40 80 44v70H430c-20-60-6-110 20-128z"/><path fill="#f4efe6" d="M540 338l12-196h32l12 196z"/><path fill="#c8452f" d="M545 262l5-48h36l5 48zM552 166l2-24h28l2 24z"/><path fill="#2b2f36" d="M546 134h44v10h-44zM556 104h24v30h-24zM552 104l16-18 16 18z"/><path fill="#fff2b8" d="M560 108h16v22h-16z"/></svg>`

const siteSign = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64"><path fill="#0d3b59" d="M0 0h64v64H0z"/><path fill="#f6c28b" d="M28 14h8l3 30H25z"/><path fill="#fff" d="M10 48q11-8 22 0t22 0v6H10z"/></svg>`

// popupsSite is a page that shows popup.js without the rest of the product. Query:
// lang, dir, policy (default none), and head, put into the head as it is.
func popupsSite(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_webpush/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if httpapi.IsFrame(name) {
			httpapi.ServeFrame(w, r, name)
			return
		}
		httpapi.ServeModule(w, r, name)
	})
	text := func(path, kind, body string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(body))
		})
	}
	text("/favicon.ico", "image/x-icon", "")
	text("/site.js", "text/javascript", popupsScript)
	text("/site.css", "text/css", facesStyle+"html { scrollbar-width: none }")
	text("/lighthouse.svg", "image/svg+xml", lighthouse)
	text("/icon.svg", "image/svg+xml", siteSign)
	text("/tall.svg", "image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 900" width="300" height="900"><path fill="#1c3d6e" d="M0 0h300v900H0z"/></svg>`)
	text("/elsewhere", "text/html", "<!DOCTYPE html><title>Elsewhere</title>")
	// As if another handler forbade framing after us.
	mux.HandleFunc("GET /unframed/{name}", func(w http.ResponseWriter, r *http.Request) {
		if name := r.PathValue("name"); name == "frame.js" {
			httpapi.ServeFrame(w, r, name)
			return
		}
		w.Header().Set("X-Frame-Options", "DENY")
		w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if policy := q.Get("policy"); policy != "" {
			w.Header().Set("Content-Security-Policy", policy)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html lang="%s" dir="%s"><head><title>Harbour Books</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/site.css">
<script type="module" src="/site.js"></script></head>
<body><header><h1>Harbour Books</h1></header><main>%s<p><a id="link" href="/elsewhere">More letters</a></p></main></body></html>`,
			html.EscapeString(q.Get("lang")), html.EscapeString(q.Get("dir")), strings.Repeat(facesText, 3))
	})
	return serve(t, mux)
}

// showPopup shows one pop-up and waits until it is displayed, with its images,
// and its animations have ended.
func showPopup(ctx context.Context, t *testing.T, page browser.Page, popup string) {
	t.Helper()
	must(t, page.Eval(ctx, "pop("+popup+")", nil))
	err := within(ctx, page, `last && (atRest(), root.querySelector("dialog, #bell")?.matches(":not(.waiting)")) &&
		(root.querySelector("#bell") || root.querySelector("dialog").open) && [...root.querySelectorAll("img")].every((i) => i.complete)`)
	if err != nil {
		t.Fatalf("not shown: %v; told %q, console %v; %s", err, pageLog(ctx, t, page), page.Console(), popup)
	}
	must(t, page.Eval(ctx, "atRest()", nil))
}

// pageLog returns the pop-up's events since it was shown.
func pageLog(ctx context.Context, t *testing.T, page browser.Page) string {
	t.Helper()
	var lines []string
	must(t, page.Eval(ctx, "told", &lines))
	return strings.Join(lines, "; ")
}

// popupText is the text of most pop-ups.
const popupText = `title: "A week by the sea", body: "Order two books until Sunday and the third is on us. Postage included, wherever the post goes."`

const popupHTML = `html: '<style>body{margin:0;font:16px system-ui,sans-serif;background:#0d3b59;color:#fff;text-align:center;padding:32px}h1{margin:0 0 8px}a{color:#f6c28b}</style>' +
	'<h1>Made by hand</h1><p>This is HTML of the site\'s own.</p><p><a id="cta" href="/elsewhere">Have a look</a></p>'`

// popups are all kinds, with the options that differ.
var popups = []struct{ name, options string }{
	{"box", `{kind: "box", content: {` + popupText + `, image: "/lighthouse.svg", imageAlt: "A lighthouse at dusk", imageWidth: 800, imageHeight: 500,
		buttons: [{id: "shop", text: "Choose books", action: {do: "open", url: "/elsewhere"}}, {id: "later", text: "Not now", action: {do: "close"}}]}}`},
	{"form", `{kind: "box", theme: {color: "#9a3412"}, content: {title: "Letters from the keeper", body: "Once a month, never more.",
		input: {kind: "email", label: "Your email address", event: "Newsletter", submit: "Sign me up"}}}`},
	{"choice", `{kind: "box", content: {title: "How did you find us?", input: {kind: "choice", label: "One answer helps us a lot.",
		options: ["A friend told me", "A search", "I was lost at sea"], event: "Survey"}}}`},
	{"coupon", `{kind: "corner", content: {title: "Ten per cent off", body: "For your first order.", buttons: [{id: "code", text: "HARBOUR10", action: {do: "copy", text: "HARBOUR10"}}]}}`},
	{"corner", `{kind: "corner", click: {do: "open", url: "/elsewhere"}, content: {` + popupText + `, image: "/lighthouse.svg", imageAlt: "", imageWidth: 800, imageHeight: 500}}`},
	{"banner", `{kind: "banner", content: {title: "Free postage this week", body: "On all orders from two books.", buttons: [{id: "shop", text: "Choose books", action: {do: "open", url: "/elsewhere"}}]}}`},
	{"banner-top", `{kind: "banner", position: "top", theme: {background: "#0d3b59", color: "#f6c28b"}, content: {title: "Free postage this week", body: "On all orders from two books.",
		image: "/lighthouse.svg", imageAlt: "", buttons: [{id: "shop", text: "Choose books", action: {do: "open", url: "/elsewhere"}}]}}`},
	{"interstitial", `{kind: "interstitial", content: {` + popupText + `, image: "/lighthouse.svg", imageAlt: "A lighthouse at dusk",
		buttons: [{id: "shop", text: "Choose books", action: {do: "open", url: "/elsewhere"}}, {id: "later", text: "Not now", action: {do: "close"}}]}}`},
	{"image", `{kind: "image", click: {do: "open", url: "/elsewhere", newTab: true}, content: {image: "/lighthouse.svg", imageAlt: "Order two books, get three"}}`},
	{"html", `{kind: "html", content: {` + popupHTML + `}}`},
	{"inbox", `{kind: "inbox", click: {do: "open", url: "/elsewhere"}, content: {` + popupText + `, image: "/lighthouse.svg"}}`},
}

// eachPopup shows the kinds one by one and calls look for each; the inbox is
// open.
func eachPopup(ctx context.Context, t *testing.T, page browser.Page, look func(name string)) {
	t.Helper()
	for _, f := range popups {
		must(t, page.Eval(ctx, `window.last?.close(), window.last = undefined, localStorage.clear()`, nil))
		showPopup(ctx, t, page, f.options)
		if f.name == "inbox" {
			must(t, page.Click(ctx, "#bell"))
			must(t, page.Eval(ctx, "atRest()", nil))
		}
		look(f.name)
	}
}

// TestPopupsShown shows every kind under a strict policy with Trusted Types. It
// lies inside the view, moves nothing of the page, and has the page's direction
// and language.
func TestPopupsShown(t *testing.T) {
	pages := []struct{ lang, dir, close, messages string }{
		{"en", "ltr", "Close", "Messages, 1 unread"},
		{"de-AT", "ltr", "Schließen", "Nachrichten, 1 ungelesen"},
		{"ar", "rtl", "إغلاق", "الرسائل, غير مقروءة: 1"},
		{"ja", "ltr", "閉じる", "メッセージ, 未読 1 件"},
	}
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := popupsSite(t)
		for _, p := range pages {
			page := openFaces(ctx, t, b, site+"/?policy="+urlQuery(popupsPolicy)+"&lang="+p.lang+"&dir="+p.dir)
			must(t, page.Screenshot(ctx, filepath.Join(t.TempDir(), "size.png"), browser.Viewport{Width: 390, Height: 700}))
			for _, f := range popups {
				must(t, page.Eval(ctx, `window.last?.close(), window.last = undefined, localStorage.clear()`, nil))
				before := pageLayout(ctx, t, page)
				showPopup(ctx, t, page, f.options)
				if after := pageLayout(ctx, t, page); after != before {
					t.Errorf("%s %s moved the page from %s to %s", p.lang, f.name, before, after)
				}
				var got struct {
					Label, Dir, Box string
					Inside          bool
				}
				must(t, page.Eval(ctx, `(() => {
					const node = root.querySelector("dialog, #bell");
					const r = node.getBoundingClientRect();
					return {label: (at("close") ?? node).getAttribute("aria-label"), dir: getComputedStyle(node).direction, box: JSON.stringify(r),
						inside: r.width > 40 && r.height > 40 && r.left >= 0 && r.right <= innerWidth && r.top >= 0 && r.bottom <= innerHeight};
				})()`, &got))
				label := p.close
				if f.name == "inbox" {
					label = p.messages
				}
				if !got.Inside || got.Label != label || got.Dir != p.dir {
					t.Errorf("%s %s is %+v", p.lang, f.name, got)
				}
			}
			quiet(ctx, t, page)
			must(t, page.Close(ctx))
		}
	})
}

// TestPopupsActions clicks with a real mouse: events come in the order of the
// contract and inside the click, and links lead only to allowed URLs.
func TestPopupsActions(t *testing.T) {
	button := func(action string) string {
		return `{kind: "box", content: {title: "T", kv: {sku: "7"}, buttons: [{id: "b", text: "B", action: ` + action + `}]}}`
	}
	tests := []struct{ name, popup, selector, want string }{
		{"nothing", button(`{do: "none"}`), "#button-1", "clicked b p1"},
		{"no action", button(`undefined`), "#button-1", "clicked b p1"},
		{"close", button(`{do: "close"}`), "#button-1", "clicked b p1; closed action p1; gone"},
		{
			"open", button(`{do: "open", url: "/elsewhere?a=b#c", newTab: true}`), "#button-1",
			`clicked b p1; run {"do":"open","newTab":true,"url":"$SITE/elsewhere?a=b#c"} {"sku":"7"} p1 true`,
		},
		{
			"open and close", button(`{do: "open", url: "https://x.example", close: true}`), "#button-1",
			`clicked b p1; run {"do":"open","close":true,"url":"https://x.example/"} {"sku":"7"} p1 true; closed action p1; gone`,
		},
		{"a script is no URL", button(`{do: "open", url: " java\tscript:alert(1)"}`), "#button-1", "clicked b p1"},
		{"call", button(`{do: "call", function: "shop.add"}`), "#button-1", `clicked b p1; run {"do":"call","function":"shop.add"} {"sku":"7"} p1 true`},
		{"subscribe closes", button(`{do: "subscribe"}`), "#button-1", `clicked b p1; run {"do":"subscribe"} {"sku":"7"} p1 true; closed action p1; gone`},
		{"cross", button(`{do: "none"}`), "#close", "closed button p1; gone"},
		{
			"a click on the body closes", `{kind: "corner", click: {do: "open", url: "/elsewhere", close: true}, content: {title: "T", body: "B"}}`, "#text",
			`clicked body p1; run {"do":"open","close":true,"url":"$SITE/elsewhere"} {} p1 true; closed action p1; gone`,
		},
		{"the whole banner", `{kind: "banner", click: {do: "call", function: "f"}, content: {title: "T"}}`, "#whole", `clicked body p1; run {"do":"call","function":"f"} {} p1 true`},
		{
			"image", `{kind: "image", click: {do: "open", url: "/elsewhere"}, content: {image: "/lighthouse.svg", imageAlt: "A"}}`, "#whole",
			`clicked image p1; run {"do":"open","url":"$SITE/elsewhere"} {} p1 true`,
		},
		{"an empty form", `{kind: "box", content: {title: "T", input: {kind: "text", label: "L", event: "E"}}}`, "#submit", ""},
		{
			"a form's other button", `{kind: "box", content: {title: "T", input: {kind: "email", label: "L", event: "E"}, buttons: [{id: "s", text: "S", action: {do: "submit"}}]}}`, "#button-1",
			"clicked s p1",
		},
		{"an answer", `{kind: "box", content: {title: "T", input: {kind: "choice", label: "L", options: ["a", "b"], event: "E"}}}`, ".option:nth-of-type(2)", ""},
	}
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := popupsSite(t)
		page := openFaces(ctx, t, b, site+"/?policy="+urlQuery(popupsPolicy)+"&lang=en&dir=ltr")
		for _, test := range tests {
			showPopup(ctx, t, page, test.popup)
			must(t, page.Click(ctx, test.selector))
			want := strings.ReplaceAll(test.want, "$SITE", site)
			if got := waitFor(t, want, func() string { return pageLog(ctx, t, page) }); got != want {
				t.Errorf("%s: told %q, want %q", test.name, got, want)
			}
		}
		// The last answer is marked, and sent.
		must(t, page.Click(ctx, "#submit"))
		if err := within(ctx, page, `told.join("; ") === "submitted E b p1; closed action p1; gone"`); err != nil {
			t.Errorf("the answer: %v; told %q", err, pageLog(ctx, t, page))
		}
		formFaults(ctx, t, page)
		copied(ctx, t, page)
		brokenImages(ctx, t, page)
		closedByScripts(ctx, t, page)
	})
}

// formFaults checks that invalid answers are refused with texts in the page's
// language.
func formFaults(ctx context.Context, t *testing.T, page browser.Page) {
	t.Helper()
	for _, test := range []struct{ kind, value, problem, log string }{
		{"email", "", "Please fill in this field.", ""},
		{"email", "no address", "Please enter a valid email address.", ""},
		{"email", " me@example.com ", "", "submitted E me@example.com p1"},
		{"text", "   ", "Please fill in this field.", ""},
		{"text", "<b>7</b>", "", "submitted E <b>7</b> p1"},
		{"choice", "", "Please choose an answer.", ""},
	} {
		showPopup(ctx, t, page, `{kind: "box", content: {title: "T", input: {kind: `+js(test.kind)+`, label: "L", options: ["a"], event: "E"}}}`)
		must(t, page.Eval(ctx, `at("answer") && (at("answer").value = `+js(test.value)+`)`, nil))
		must(t, page.Click(ctx, "#submit"))
		type form struct{ Problem, Invalid, Thanks, Log string }
		want := form{test.problem, "true", "", test.log}
		if test.problem == "" {
			want.Invalid, want.Thanks = "", "Thank you!"
		}
		got := waitFor(t, want, func() form {
			return evaluated[form](ctx, t, page, `({problem: at("problem")?.hidden === false ? at("problem").textContent : "",
				invalid: root.activeElement?.getAttribute("aria-invalid") ?? "", thanks: at("thanks")?.textContent ?? "", log: told.join("; ")})`)
		})
		if got != want {
			t.Errorf("%s %q: %+v, want %+v", test.kind, test.value, got, want)
		}
	}
}

// copied checks that the coupon is copied and that the pop-up reports it.
func copied(ctx context.Context, t *testing.T, page browser.Page) {
	t.Helper()
	showPopup(ctx, t, page, `{kind: "corner", content: {title: "T", buttons: [{id: "code", text: "Get it", action: {do: "copy", text: "TEN"}}]}}`)
	must(t, page.Eval(ctx, `document.addEventListener("copy", () => window.copiedText = root.querySelector("textarea")?.value, {once: true})`, nil))
	must(t, page.Click(ctx, "#button-1"))
	if err := within(ctx, page, `at("button-1").textContent === "Copied" && root.querySelector("[role=status]").textContent === "Copied"`); err != nil {
		t.Errorf("no report that the coupon was copied: %v", err)
	}
	if got := pageLog(ctx, t, page); got != "clicked code p1" {
		t.Errorf("a coupon told %q", got)
	}
	if err := within(ctx, page, `at("button-1").textContent === "Get it"`); err != nil {
		t.Errorf("the coupon's button does not come back: %v", err)
	}
}

// brokenImages shows pop-ups whose images fail to load.
func brokenImages(ctx context.Context, t *testing.T, page browser.Page) {
	t.Helper()
	showPopup(ctx, t, page, `{kind: "box", content: {title: "T", image: "/missing.png"}}`)
	if err := within(ctx, page, `!at("image") && root.querySelector("dialog").open && root.querySelector(".bare")`); err != nil {
		t.Errorf("a box whose image is missing: %v", err)
	}
	must(t, page.Eval(ctx, `pop({kind: "image", content: {image: "/missing.png"}})`, nil))
	if err := within(ctx, page, `told.join("; ") === "error image p1; gone"`); err != nil {
		t.Errorf("an image that is missing: %v; told %q", err, pageLog(ctx, t, page))
	}
	must(t, page.Eval(ctx, `pop({kind: "image", content: {image: "javascript:alert(1)"}})`, nil))
	if got := pageLog(ctx, t, page); got != "error image p1; gone" {
		t.Errorf("an image that is a script: told %q", got)
	}
}

// closedByScripts: the page's own scripts remove a pop-up by CleverTap's ids.
func closedByScripts(ctx context.Context, t *testing.T, page browser.Page) {
	t.Helper()
	for _, test := range []struct{ popup, script string }{
		{`{kind: "box", content: {title: "T"}}`, `document.getElementById("wizParDiv0").style.display = "none"`},
		{`{kind: "corner", content: {title: "T"}}`, `document.getElementById("wizParDiv0").remove()`},
		{`{kind: "banner", content: {title: "T"}}`, `document.getElementById("wizParDiv2").remove()`},
		{`{kind: "interstitial", content: {title: "T"}}`, `document.getElementById("intentOpacityDiv").style.display = "none", document.getElementById("intentPreview").style.display = "none"`},
		{`{kind: "interstitial", content: {title: "T"}}`, `document.getElementById("intentOpacityDiv").remove()`},
		{`{kind: "image", content: {image: "/lighthouse.svg", imageAlt: "A"}}`, `document.getElementById("wzrkImageOnlyDiv").hidden = true`},
	} {
		showPopup(ctx, t, page, test.popup)
		must(t, page.Eval(ctx, test.script+", 0", nil))
		if err := within(ctx, page, `told.join("; ") === "closed script p1; gone" && !document.querySelector(".webpush-popup")`); err != nil {
			t.Errorf("%s: %v; told %q", test.script, err, pageLog(ctx, t, page))
		}
	}
}

// TestPopupsKeyboard uses pop-ups without a mouse. A pop-up that waits for an
// answer keeps the focus and returns it; banners and corners leave the page
// usable.
func TestPopupsKeyboard(t *testing.T) {
	const three = `content: {title: "T", body: "B", buttons: [{id: "one", text: "1", action: {do: "none"}}, {id: "two", text: "2", action: {do: "close"}}]}`
	tests := []struct {
		name, popup string
		keys        []browser.Key
		log, focus  string
	}{
		{"Escape", `{kind: "box", ` + three + `}`, []browser.Key{browser.Escape}, "closed escape p1; gone", "link"},
		{"Space answers nothing", `{kind: "box", ` + three + `}`, []browser.Key{browser.Space, browser.Enter}, "", "dialog"},
		{"first button", `{kind: "interstitial", ` + three + `}`, []browser.Key{browser.Tab, browser.Enter}, "clicked one p1", "button-1"},
		{"second button", `{kind: "box", ` + three + `}`, []browser.Key{browser.Tab, browser.Tab, browser.Space}, "clicked two p1; closed action p1; gone", "link"},
		{"cross", `{kind: "box", ` + three + `}`, []browser.Key{browser.Tab, browser.Tab, browser.Tab, browser.Enter}, "closed button p1; gone", "link"},
		{
			"whole", `{kind: "corner", click: {do: "call", function: "f"}, content: {title: "T"}}`,
			[]browser.Key{browser.Tab, browser.Enter},
			`clicked body p1; run {"do":"call","function":"f"} {} p1 true`, "whole",
		},
		{"banner", `{kind: "banner", ` + three + `}`, []browser.Key{browser.Escape}, "closed escape p1; gone", "link"},
		{
			"form", `{kind: "box", content: {title: "T", input: {kind: "choice", label: "L", options: ["a", "b"], event: "E"}}}`,
			[]browser.Key{browser.Tab, browser.Space, browser.Tab, browser.Enter},
			"submitted E a p1", "thanks",
		},
	}
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		page := openFaces(ctx, t, b, popupsSite(t)+"/?policy="+urlQuery(popupsPolicy)+"&lang=en&dir=ltr")
		focus := `(document.activeElement.shadowRoot ?? document).activeElement?.id ?? ""`
		for _, test := range tests {
			must(t, page.Eval(ctx, `window.last?.close(), document.getElementById("link").focus()`, nil))
			showPopup(ctx, t, page, test.popup)
			for _, key := range test.keys {
				must(t, page.Press(ctx, key))
			}
			want := [2]string{test.log, test.focus}
			got := waitFor(t, want, func() [2]string {
				return [2]string{pageLog(ctx, t, page), evaluated[string](ctx, t, page, focus)}
			})
			if got != want {
				t.Errorf("%s: told, and focus on %q; want %q", test.name, got, want)
			}
		}
		inboxByKeyboard(ctx, t, page)
		// The focus cycles and never reaches the page below. This is last,
		// because Firefox may leave the focus outside of the page.
		showPopup(ctx, t, page, `{kind: "box", `+three+`}`)
		for range 8 {
			must(t, page.Press(ctx, browser.Tab))
			var focused string
			must(t, page.Eval(ctx, focus, &focused))
			if focused == "link" {
				t.Error("Tab led out of a box")
			}
		}
	})
}

// inboxByKeyboard opens the list, reads a message, and checks that it is still
// marked as read on the next page.
func inboxByKeyboard(ctx context.Context, t *testing.T, page browser.Page) {
	t.Helper()
	must(t, page.Eval(ctx, `window.last?.close()`, nil))
	showPopup(ctx, t, page, `{kind: "inbox", id: "older", click: {do: "open", url: "/elsewhere"}, content: {title: "Old", body: "B"}}`)
	must(t, page.Eval(ctx, `pop({kind: "inbox", id: "newer", content: {title: "New"}})`, nil))
	count := func(want string) {
		t.Helper()
		condition := `document.getElementById("webpush-inbox")?.shadowRoot.getElementById("bell")?.getAttribute("aria-label") === ` + js(want)
		if err := within(ctx, page, condition); err != nil {
			t.Fatalf("the bell does not say %q: %v", want, err)
		}
	}
	count("Messages, 2 unread")
	must(t, page.Eval(ctx, `document.getElementById("webpush-inbox").shadowRoot.getElementById("bell").focus()`, nil))
	for _, key := range []browser.Key{browser.Enter, browser.Tab, browser.Tab, browser.Tab, browser.Enter} {
		must(t, page.Press(ctx, key))
	}
	const want = `viewed newer; viewed older; clicked body older; run {"do":"open","url":"`
	must(t, within(ctx, page, "told.length > 3"))
	if got := pageLog(ctx, t, page); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `/elsewhere"} {} older true`) {
		t.Errorf("the inbox told %q", got)
	}
	must(t, page.Press(ctx, browser.Escape))
	count("Messages, 1 unread")
	focused := waitFor(t, "bell", func() string {
		return evaluated[string](ctx, t, page, `document.activeElement.shadowRoot?.activeElement?.id ?? ""`)
	})
	if focused != "bell" {
		t.Errorf("after the list the focus is on %q", focused)
	}
	must(t, page.Reload(ctx))
	must(t, browser.WaitFor(ctx, page, "window.ready === true"))
	must(t, page.Eval(ctx, "openInbox(), 0", nil))
	count("Messages, 1 unread")
	must(t, page.Click(ctx, "#bell"))
	must(t, page.Click(ctx, "#all"))
	must(t, page.Press(ctx, browser.Escape))
	count("Messages")
	if got := pageLog(ctx, t, page); got != "" {
		t.Errorf("seen before, the inbox told %q", got)
	}
}

// TestPopupsAxe checks every kind with axe-core, light and dark, in both writing
// directions.
func TestPopupsAxe(t *testing.T) {
	axe := axeSource(t)
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := popupsSite(t)
		for _, lang := range []string{"en&dir=ltr", "he&dir=rtl"} {
			for _, dark := range []bool{false, true} {
				page := openFaces(ctx, t, b, site+"/?lang="+lang)
				must(t, page.Screenshot(ctx, filepath.Join(t.TempDir(), "size.png"), browser.Viewport{Width: 800, Height: 700, Dark: dark}))
				must(t, page.Eval(ctx, "(() => {"+axe+"\n})()", nil))
				eachPopup(ctx, t, page, func(name string) {
					axeClean(ctx, t, page, fmt.Sprintf("%s %s dark=%v", name, lang, dark))
				})
				must(t, page.Close(ctx))
			}
		}
	})
}
