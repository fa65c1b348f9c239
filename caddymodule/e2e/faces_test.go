//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/web"
)

// facesPolicy is the strictest policy that allows a site its own script and style
// sheet.
const facesPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

const facesStyle = `
@media (prefers-color-scheme: dark) { html { background: #16181c; color: #eceef1 } }
:root { color-scheme: light dark; font: 17px/1.6 system-ui, "Noto Sans", sans-serif }
body { margin: 0 }
header { padding: 20px max(20px, calc(50vw - 350px)); background: #0d3b59; color: #fff }
main { max-width: 700px; margin: 0 auto; padding: 20px }
h1 { margin: 0; font-size: 24px }
`

const facesText = `<p dir="auto">The Lighthouse Log is a year of letters from the last keeper on the point, with the
weather of every day and the ships that passed.</p><p dir="auto">Knots and Other Arguments has essays for people who splice
their own lines, and a chapter for those who never will.</p><p dir="auto">Low Water is a novel in which nobody gets wet.</p>`

// facesScript shows faces as the SDK does and records their messages.
const facesScript = `
import { show } from "/_webpush/ui.js?v=1";
window.answers = [];
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => violations.push(e.effectiveDirective + " " + e.blockedURI + " " + e.sample));
window.face = (options) => {
	window.last?.close();
	answers.length = 0;
	window.last = show({
		texts: {}, name: "Harbour Books", language: document.documentElement.lang,
		...(options.kind === "preferences" && { host: document.querySelector("webpush-preferences") }),
		answered: (answer, topics) => answers.push([answer, topics?.join() ?? "", navigator.userActivation?.isActive ?? true].join(" ")),
		...options,
	});
	const host = window.last.element;
	window.root = host.shadowRoot;
	window.at = (id) => root.getElementById(id);
};
window.atRest = () => root.getAnimations().forEach((animation) => animation.finish());
window.ready = true;
`

// facesSite is a page that shows ui.js without the rest of the product. Query:
// lang, dir, scheme, and lax for no policy.
func facesSite(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_webpush/{name}", func(w http.ResponseWriter, r *http.Request) {
		body, ok := web.Module(r.PathValue("name"))
		if !ok || r.URL.Query().Get("v") != "1" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/javascript; charset=iso-8859-1") // must not matter
		_, _ = w.Write(body)
	})
	text := func(path, kind, body string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(body))
		})
	}
	text("/favicon.ico", "image/x-icon", "")
	text("/site.js", "text/javascript", facesScript)
	text("/site.css", "text/css", facesStyle)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if !q.Has("lax") {
			w.Header().Set("Content-Security-Policy", facesPolicy)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html lang="%s" dir="%s"><head><title>Harbour Books</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/site.css">
<script type="module" src="/site.js"></script></head>
<body><header><h1>Harbour Books</h1></header><main>%s
<webpush-preferences></webpush-preferences></main></body></html>`,
			html.EscapeString(q.Get("lang")), html.EscapeString(q.Get("dir")), strings.Repeat(facesText, 3))
	})
	return serve(t, mux)
}

// openFaces opens the page and waits until it can show faces.
func openFaces(ctx context.Context, t *testing.T, b browser.Browser, url string) browser.Page {
	t.Helper()
	page, err := b.Open(ctx, url)
	must(t, err)
	t.Cleanup(func() { _ = page.Close(context.WithoutCancel(ctx)) })
	must(t, browser.WaitFor(ctx, page, "window.ready === true"))
	return page
}

// showFace shows one face and waits until its animations have ended.
func showFace(ctx context.Context, t *testing.T, page browser.Page, options string) {
	t.Helper()
	must(t, page.Eval(ctx, "face("+options+"), atRest()", nil))
}

const facesTopics = `topics: [{id: "news", label: "News", checked: true}, {id: "deals", label: "Deals"}, {id: "events", label: "Readings and events"}]`

// faces are all kinds, with the options that differ.
var faces = []struct{ name, options string }{
	{"dialog", `{kind: "dialog"}`},
	{"topics", `{kind: "dialog", ` + facesTopics + `}`},
	{"bar", `{kind: "bar"}`},
	{"bar-topics", `{kind: "bar", ` + facesTopics + `}`},
	{"bell", `{kind: "bell"}`},
	{"ios", `{kind: "ios"}`},
	{"denied", `{kind: "denied"}`},
	{"preferences", `{kind: "preferences", subscribed: true, ` + facesTopics + `}`},
}

// TestFacesShown shows every face under a strict policy with Trusted Types. It
// lies inside the view, moves nothing of the page, and has the page's language.
func TestFacesShown(t *testing.T) {
	pages := []struct{ lang, dir, title, bell, blocked string }{
		{"en", "ltr", "Stay up to date", "Notifications", "Notifications are blocked"},
		{"de-AT", "ltr", "Auf dem Laufenden bleiben", "Benachrichtigungen", "Benachrichtigungen sind blockiert"},
		{"ar", "rtl", "ابقَ على اطلاع", "الإشعارات", "الإشعارات محظورة"},
		{"ja", "ltr", "最新情報をお届けします", "通知", "通知がブロックされています"},
	}
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := facesSite(t)
		for _, p := range pages {
			page := openFaces(ctx, t, b, site+"/?lang="+p.lang+"&dir="+p.dir)
			must(t, page.Screenshot(ctx, filepath.Join(t.TempDir(), "size.png"), browser.Viewport{Width: 390, Height: 700}))
			for _, f := range faces {
				before := pageLayout(ctx, t, page)
				showFace(ctx, t, page, f.options)
				if after := pageLayout(ctx, t, page); after != before && f.name != "preferences" {
					t.Errorf("%s %s moved the page from %s to %s", p.lang, f.name, before, after)
				}
				var got struct {
					Title, Bell, Dir, Lang string
					Inside                 bool
				}
				must(t, page.Eval(ctx, `(() => {
					const node = at("dialog") ?? at("bell") ?? at("preferences");
					const r = node.getBoundingClientRect();
					return {title: at("title")?.textContent ?? "", bell: at("bell")?.getAttribute("aria-label") ?? "",
						dir: getComputedStyle(node).direction, lang: node.lang,
						inside: r.width > 0 && r.left >= 0 && r.right <= innerWidth && (!!at("preferences") || r.top >= 0 && r.bottom <= innerHeight)};
				})()`, &got))
				want := map[string]string{"ios": got.Title, "denied": p.blocked, "preferences": p.bell, "bell": ""}
				title, ok := want[f.name]
				if !ok {
					title = p.title
				}
				if !got.Inside || got.Title != title || got.Dir != p.dir || got.Lang != strings.TrimSuffix(p.lang, "-AT") ||
					(f.name == "bell" && got.Bell != p.bell) {
					t.Errorf("%s %s is %+v", p.lang, f.name, got)
				}
			}
			quiet(ctx, t, page)
		}
	})
}

// quiet fails the test if the page's policy was violated or the console has any
// entry.
func quiet(ctx context.Context, t *testing.T, page browser.Page) {
	t.Helper()
	var violations []string
	must(t, page.Eval(ctx, "violations", &violations))
	if len(violations) > 0 {
		t.Errorf("the policy was violated: %q", violations)
	}
	for _, line := range page.Console() {
		t.Errorf("the console has %q", line.Text)
	}
}

// pageLayout returns the places of the page's own elements.
func pageLayout(ctx context.Context, t *testing.T, page browser.Page) string {
	t.Helper()
	var layout string
	must(t, page.Eval(ctx, `JSON.stringify([document.documentElement.scrollWidth, document.documentElement.scrollHeight, scrollY,
		...["body", "header", "main", "p"].map((s) => document.querySelector(s).getBoundingClientRect())])`, &layout))
	return layout
}

// axeSource returns axe-core's script; it skips the test where axe-core is not
// installed.
func axeSource(t *testing.T) string {
	t.Helper()
	const file = "faces/node_modules/axe-core/axe.min.js"
	axe, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		const cure = "axe-core is missing: run npm ci --ignore-scripts in caddymodule/e2e/faces"
		if os.Getenv("WEBPUSH_E2E_REQUIRED") == "1" {
			t.Fatal(cure)
		}
		t.Skip(cure)
	}
	must(t, err)
	return string(axe)
}

// TestFacesAxe checks every face with axe-core, light and dark, in both writing
// directions.
func TestFacesAxe(t *testing.T) {
	axe := axeSource(t)
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := facesSite(t)
		for _, lang := range []string{"en&dir=ltr", "he&dir=rtl"} {
			for _, dark := range []bool{false, true} {
				page := openFaces(ctx, t, b, site+"/?lax&lang="+lang)
				must(t, page.Screenshot(ctx, filepath.Join(t.TempDir(), "size.png"), browser.Viewport{Width: 800, Height: 700, Dark: dark}))
				must(t, page.Eval(ctx, "(() => {"+axe+"\n})()", nil))
				for _, f := range faces {
					showFace(ctx, t, page, f.options)
					axeClean(ctx, t, page, fmt.Sprintf("%s %s dark=%v", f.name, lang, dark))
				}
				showFace(ctx, t, page, `{kind: "bell"}`)
				must(t, page.Click(ctx, "#bell"))
				must(t, page.Eval(ctx, "atRest()", nil))
				axeClean(ctx, t, page, fmt.Sprintf("opened bell %s dark=%v", lang, dark))
			}
		}
	})
}

func axeClean(ctx context.Context, t *testing.T, page browser.Page, what string) {
	t.Helper()
	var result struct {
		Passes     int
		Violations []json.RawMessage
	}
	must(t, page.Eval(ctx, `axe.run().then((r) => ({
		passes: r.passes.filter((p) => p.nodes.some((n) => Array.isArray(n.target[0]))).length,
		violations: r.violations.map((v) => ({id: v.id, nodes: v.nodes.map((n) => [n.target, n.failureSummary])}))}))`, &result))
	for _, v := range result.Violations {
		t.Errorf("%s: axe says %s", what, v)
	}
	// Passes on nodes inside a shadow root prove that axe saw the face.
	if result.Passes < 3 {
		t.Errorf("%s: only %d rules passed inside the face", what, result.Passes)
	}
}

// TestFacesBarOnTop moves the bar with the site's own style sheet.
func TestFacesBarOnTop(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		page := openFaces(ctx, t, b, facesSite(t)+"/?lang=en&dir=ltr")
		for top, want := range map[string][2]bool{"": {false, true}, "top": {true, false}} {
			must(t, page.Eval(ctx, fmt.Sprintf("document.documentElement.style.setProperty('--webpush-bar', %q)", top), nil))
			showFace(ctx, t, page, `{kind: "bar"}`)
			var edges [2]bool
			must(t, page.Eval(ctx, `(() => {
				const r = at("dialog").getBoundingClientRect();
				return [r.top === 0, Math.abs(r.bottom - innerHeight) < 1];
			})()`, &edges))
			if edges != want {
				t.Errorf("--webpush-bar: %s is at the top, bottom: %v, want %v", top, edges, want)
			}
		}
	})
}

// TestFacesScheme: the page's own color-scheme wins over the visitor's
// preference.
func TestFacesScheme(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		page := openFaces(ctx, t, b, facesSite(t)+"/?lang=en&dir=ltr")
		for _, wish := range []bool{false, true} {
			must(t, page.Screenshot(ctx, filepath.Join(t.TempDir(), "size.png"), browser.Viewport{Width: 800, Height: 600, Dark: wish}))
			for scheme, want := range map[string]bool{"light": false, "dark": true, "light dark": wish, "normal": wish} {
				must(t, page.Eval(ctx, fmt.Sprintf("document.documentElement.style.colorScheme = %q", scheme), nil))
				showFace(ctx, t, page, `{kind: "dialog", color: "#ffd400"}`)
				var got struct{ Surface, Accept string }
				must(t, page.Eval(ctx, `({surface: getComputedStyle(at("dialog")).backgroundColor, accept: getComputedStyle(at("accept")).color})`, &got))
				if dark := got.Surface == "rgb(29, 32, 37)"; dark != want || got.Accept != "rgb(17, 17, 17)" {
					t.Errorf("color-scheme %s, wish for dark %v: %+v", scheme, wish, got)
				}
			}
		}
	})
}

// TestFacesKeyboard uses every face without a mouse: Tab, Space, Enter, Escape.
// Answers come inside the key press, so that they may ask for permission; Escape
// is the one key that does not allow it.
func TestFacesKeyboard(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		page := openFaces(ctx, t, b, facesSite(t)+"/?lang=en&dir=ltr")
		press := func(keys ...browser.Key) {
			for _, key := range keys {
				must(t, page.Press(ctx, key))
			}
		}
		type state struct {
			Answers, Focus string
			Shown          bool
		}
		wants := func(what string, want state, look string) {
			t.Helper()
			if got := waitFor(t, want, func() state { return evaluated[state](ctx, t, page, look) }); got != want {
				t.Errorf("%s: %+v, want %+v", what, got, want)
			}
		}
		const answers = `answers: answers.join("; "), shown: !!document.getElementById("webpush-prompt")`
		const all = `({` + answers + `, focus: root.activeElement?.id || root.activeElement?.value || ""})`
		for _, test := range []struct {
			name, options string
			keys          []browser.Key
			answers       string
		}{
			{"Escape", `{kind: "dialog"}`, []browser.Key{browser.Escape}, "dismiss  false"},
			{"Space on the dialog itself answers nothing", `{kind: "dialog"}`, []browser.Key{browser.Space}, ""},
			{"reject", `{kind: "dialog"}`, []browser.Key{browser.Tab, browser.Enter}, "reject  true"},
			{"accept", `{kind: "dialog"}`, []browser.Key{browser.Tab, browser.Tab, browser.Space}, "accept  true"},
			{"bar", `{kind: "bar"}`, []browser.Key{browser.Tab, browser.Tab, browser.Enter}, "accept  true"},
			{"topics", `{kind: "dialog", ` + facesTopics + `}`, []browser.Key{
				browser.Tab, browser.Space, browser.Tab, browser.Space, browser.Tab, browser.Tab, browser.Tab, browser.Enter,
			}, "accept deals true"},
			{"hint", `{kind: "ios"}`, []browser.Key{browser.Tab, browser.Enter}, "dismiss  true"},
			{"help", `{kind: "denied"}`, []browser.Key{browser.Tab, browser.Enter}, "dismiss  true"},
		} {
			showFace(ctx, t, page, test.options)
			press(test.keys...)
			wants(test.name, state{Answers: test.answers, Shown: test.answers == ""}, "({"+answers+"})")
		}

		showFace(ctx, t, page, `{kind: "bell"}`)
		wants("the bell takes no focus", state{Shown: true}, all)
		must(t, page.Eval(ctx, `at("bell").focus()`, nil))
		press(browser.Enter)
		wants("after the bell", state{Shown: true, Focus: "dialog"}, all)
		press(browser.Escape)
		wants("Escape from the bell's question", state{Shown: true, Focus: "bell"}, all)
		press(browser.Enter, browser.Tab, browser.Tab, browser.Enter)
		wants("the bell's question", state{Answers: "accept  true"}, "({"+answers+"})")
		preferencesByKeyboard(ctx, t, page, press)
	})
}

// preferencesByKeyboard switches off and on. The SDK fills the element again
// after each switch, and the focus stays.
func preferencesByKeyboard(ctx context.Context, t *testing.T, page browser.Page, press func(...browser.Key)) {
	t.Helper()
	showFace(ctx, t, page, `{kind: "preferences", subscribed: true, `+facesTopics+`}`)
	must(t, page.Eval(ctx, `root.querySelector("input").focus()`, nil))
	press(browser.Tab, browser.Tab, browser.Space, browser.ShiftTab, browser.ShiftTab, browser.Space)
	type state struct {
		Answers, Role, Focus string
		Hidden               bool
	}
	wants := func(what string, want state) {
		t.Helper()
		look := `({answers: answers.join("; "), role: root.activeElement?.getAttribute("role") ?? "",
			focus: document.activeElement.localName, hidden: at("topics").hidden})`
		if got := waitFor(t, want, func() state { return evaluated[state](ctx, t, page, look) }); got != want {
			t.Errorf("%s, the preferences are %+v, want %+v", what, got, want)
		}
	}
	wants("switched off", state{"accept news,deals true; reject  true", "switch", "webpush-preferences", true})
	showFace(ctx, t, page, `{kind: "preferences", subscribed: false, `+facesTopics+`}`)
	press(browser.Space)
	wants("filled again", state{"accept news true", "switch", "webpush-preferences", false})
}
