//go:build e2e

package e2e

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

//go:embed faces/geometry.js
var geometry string

const (
	longTitle = `title: "Everything that the harbour, its bookshop and the Wasserfahrzeugsicherheitsausrüstungsverordnung have to tell this month"`
	longBody  = `body: "Order two books until Sunday and the third is on us, postage included, wherever the post goes. This is for all books in the shop, the maps, the almanacs and the tide tables of the years to come. What is not in the shop is ordered for you, and what cannot be ordered is looked for in the second-hand shops of seven harbours. Ask the keeper, who has read all of them and will tell you so."`
	longNo    = `Not now, ask me again next week`

	lookAround = `{id: "shop", text: "Choose books", action: {do: "open", url: "/elsewhere"}}`
	notNow     = `{id: "later", text: "Not now", action: {do: "close"}}`
	seaside    = `image: "/lighthouse.svg", imageAlt: "A lighthouse at dusk", imageWidth: 800, imageHeight: 500`
	coupon     = `{id: "code", text: "HARBOUR10", action: {do: "copy", text: "HARBOUR10"}}`
	ownHTML    = `<style>body{margin:0;font:16px system-ui,sans-serif;background:#0d3b59;color:#fff;text-align:center;padding:32px}h1{margin:0 0 8px}a{color:#f6c28b}</style><h1>Made by hand</h1><p>This is HTML of the site, up to its corners.</p><p><a href="/elsewhere">Have a look</a></p>`
)

// geometryPrompts adds to faces: long texts as on real sites, many topics, and
// prompts opened from the bell.
var geometryPrompts = []struct{ name, options string }{
	{"dialog-no-body", `{kind: "dialog", texts: {title: "News?", body: "Yes.", accept: "OK", reject: "No"}}`},
	{"dialog-long", `{kind: "dialog", texts: {` + longTitle + `, ` + longBody + `, accept: "Yes, keep me posted", reject: "` + longNo + `"}}`},
	{"bar-long", `{kind: "bar", texts: {` + longTitle + `, ` + longBody + `, accept: "Yes, keep me posted", reject: "` + longNo + `"}}`},
	{"failed", `{kind: "failed", texts: {body: "Notifications could not be switched on now. Please try again later."}}`},
	{"dialog-many-topics", `{kind: "dialog", ` + manyTopics + `}`},
	{"bar-many-topics", `{kind: "bar", ` + manyTopics + `}`},
	{"preferences-many", `{kind: "preferences", subscribed: true, ` + manyTopics + `}`},
}

const manyTopics = `topics: [{id: "a", label: "News", checked: true}, {id: "b", label: "Deals of the week"}, {id: "c", label: "Readings and events in the bookshop at the harbour"}, ` +
	`{id: "d", label: "Maps"}, {id: "e", label: "Wasserfahrzeugsicherheitsausrüstung"}, {id: "f", label: "Tide tables"}, {id: "g", label: "Jobs"}, {id: "h", label: "All else"}]`

// geometryPopups adds to popups: with and without an image, long and short, in
// all places.
var geometryPopups = []struct{ name, options string }{
	{"box-short", `{kind: "box", content: {title: "Hello"}}`},
	{"box-plain", `{kind: "box", content: {` + popupText + `, buttons: [` + lookAround + `, ` + notNow + `]}}`},
	{"box-long", `{kind: "box", content: {` + longTitle + `, ` + longBody + `, ` + seaside + `, buttons: [` + lookAround + `, ` + notNow + `, {id: "third", text: "` + longNo + `", action: {do: "close"}}]}}`},
	{"box-long-plain", `{kind: "box", content: {` + longTitle + `, ` + longBody + `, buttons: [` + lookAround + `, ` + notNow + `]}}`},
	{"box-tall-image", `{kind: "box", content: {title: "A poster", image: "/lighthouse.svg", imageAlt: "", imageWidth: 500, imageHeight: 1400, buttons: [` + lookAround + `, ` + notNow + `]}}`},
	{"box-coupon", `{kind: "box", content: {title: "Ten per cent off", ` + seaside + `, buttons: [` + coupon + `, ` + notNow + `]}}`},
	{"coupon-short", `{kind: "corner", content: {title: "For you", buttons: [{id: "code", text: "X", action: {do: "copy", text: "X"}}]}}`},
	{"coupon-long", `{kind: "box", content: {title: "For you", buttons: [{id: "code", text: "Copy the code LIGHTHOUSE-KEEPERS-DAUGHTERS-10 for two books", action: {do: "copy", text: "X"}}, ` + notNow + `]}}`},
	{"banner-coupon", `{kind: "banner", content: {title: "Ten per cent off", body: "For your first order.", buttons: [{id: "code", text: "X", action: {do: "copy", text: "X"}}, ` + notNow + `]}}`},
	{"corner-long", `{kind: "corner", position: "top-left", content: {` + longTitle + `, ` + longBody + `, ` + seaside + `, buttons: [` + lookAround + `, ` + notNow + `]}}`},
	{"banner-short", `{kind: "banner", content: {title: "Open until ten"}}`},
	{"banner-long", `{kind: "banner", content: {` + longTitle + `, ` + longBody + `, ` + seaside + `, buttons: [` + lookAround + `, ` + notNow + `]}}`},
	{"banner-form", `{kind: "banner", position: "top", content: {title: "Letters from the keeper", input: {kind: "email", label: "Your email address", event: "N", submit: "Sign me up"}}}`},
	{"interstitial-plain", `{kind: "interstitial", content: {` + popupText + `, buttons: [` + lookAround + `, ` + notNow + `]}}`},
	{"interstitial-short", `{kind: "interstitial", content: {title: "Hello", ` + seaside + `}}`},
	{"interstitial-long", `{kind: "interstitial", content: {` + longTitle + `, ` + longBody + `, ` + seaside + `, buttons: [` + lookAround + `, ` + notNow + `]}}`},
	{"interstitial-form", `{kind: "interstitial", content: {title: "Letters from the keeper", ` + seaside + `, input: {kind: "email", label: "Your email address", event: "N"}, buttons: [` + notNow + `]}}`},
	{"form-long", `{kind: "box", content: {` + longTitle + `, ` + longBody + `, input: {kind: "text", label: "What would you like to read about in the letters?", event: "N", submit: "Send it to the keeper"}, buttons: [` + notNow + `]}}`},
	{"choice-long", `{kind: "box", content: {title: "How did you find us?", ` + seaside + `, input: {kind: "choice", label: "One answer helps us a lot.", event: "S",
		options: ["A friend told me", "A search", "I was lost at sea", "Wasserfahrzeugsicherheitsausrüstungsverordnung", "I cannot remember, it was dark and there was a lot of wind", "Else"]}}}`},
	{"image-tall", `{kind: "image", content: {image: "/tall.svg", imageAlt: "A poster"}}`},
	{"image-plain", `{kind: "image", content: {image: "/lighthouse.svg", imageAlt: "Order two books"}}`},
	{"html-tall", `{kind: "html", content: {html: ` + js(ownHTML+strings.Repeat("<p>And more of it.</p>", 40)) + `}}`},
	{"html-top", `{kind: "html", position: "top", content: {html: ` + js(ownHTML) + `}}`},
	{"html-bottom", `{kind: "html", position: "bottom", content: {html: ` + js(ownHTML) + `}}`},
	{"html-corner", `{kind: "html", position: "bottom-right", content: {html: ` + js(ownHTML) + `}}`},
	{"html-full", `{kind: "html", position: "full", content: {html: ` + js(ownHTML) + `}}`},
}

// geometryFaces returns all faces as JavaScript, by name. frames includes custom
// HTML, which takes the longest to show.
func geometryFaces(frames bool) (names []string, list map[string]string) {
	list = map[string]string{}
	add := func(name, kind, options string) {
		if !frames && strings.HasPrefix(options, `{kind: "html"`) {
			return
		}
		names = append(names, name)
		list[name] = fmt.Sprintf("{name: %q, %s: %s}", name, kind, options)
	}
	for _, f := range slices.Concat(faces, geometryPrompts) {
		add(f.name, "prompt", f.options)
	}
	add("bell-open", "open: true, prompt", `{kind: "bell", `+facesTopics+`}`)
	for _, f := range slices.Concat(popups, geometryPopups) {
		add(f.name, "popup", f.options)
	}
	add("inbox-open", "open: true, popup", `{kind: "inbox", content: {`+longTitle+`, `+longBody+`, image: "/lighthouse.svg"}}`)
	return names, list
}

// geometryPage opens a page that can show and measure the faces of ui.js and
// popup.js.
func geometryPage(ctx context.Context, t *testing.T, b browser.Browser, query string) browser.Page {
	t.Helper()
	page := openFaces(ctx, t, b, popupsSite(t)+"/?"+query)
	must(t, page.Eval(ctx, `(async () => {
		const { show } = await import("/_webpush/ui.js?v=1");
		const preferences = document.createElement("webpush-preferences");
		document.querySelector("main").append(preferences);
		window.face = (options) => {
			window.last = show({ texts: {}, name: "Harbour Books", language: document.documentElement.lang,
				...(options.kind === "preferences" && { host: preferences }), answered() {}, ...options });
			window.root = last.element.shadowRoot;
		};
		navigator.clipboard && (navigator.clipboard.writeText = async () => {});
	})()`, nil))
	must(t, page.Eval(ctx, "(() => {"+geometry+"\n})()", nil))
	return page
}

// geometryViews are a small and a usual phone, a phone in landscape, a tablet and
// a desktop. The last two are the phone in landscape and the desktop at 200 %
// zoom.
var geometryViews = [][2]int{{320, 480}, {390, 844}, {740, 340}, {768, 1024}, {1440, 900}, {370, 170}, {720, 450}}

// TestFacesGeometry measures every face in every view size, in both writing
// directions, and with text at 200 %. WEBPUSH_E2E_PICTURES names a folder for a
// picture of each.
func TestFacesGeometry(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		for _, mode := range []geometryMode{
			{name: "ltr", query: "lang=en&dir=ltr"},
			{name: "rtl", query: "lang=ar&dir=rtl", dark: true},
			{name: "large", query: "lang=de&dir=ltr", large: true},
		} {
			t.Run(mode.name, func(t *testing.T) {
				page := geometryPage(ctx, t, b, mode.query)
				looks := map[string]string{}
				for i, view := range geometryViews {
					if mode.name == "ltr" || i < 5 {
						mode.measure(ctx, t, u, page, browser.Viewport{Width: view[0], Height: view[1], Dark: mode.dark}, looks)
					}
				}
				if len(looks) != 1 {
					t.Errorf("a button that says no has %d looks: %v", len(looks), looks)
				}
			})
		}
	})
}

// geometryMode is one way of measuring faces in all views; large means text at
// 200 %.
type geometryMode struct {
	name, query string
	large, dark bool
}

// measure reports the faults of all faces in one view. It adds to looks the style
// of their refusing buttons, with the place.
func (m geometryMode) measure(ctx context.Context, t *testing.T, u *user, page browser.Page, view browser.Viewport, looks map[string]string) {
	t.Helper()
	what := fmt.Sprintf("%s-%dx%d", m.name, view.Width, view.Height)
	must(t, page.Screenshot(ctx, filepath.Join(t.TempDir(), "size.png"), view))
	names, list := geometryFaces(m.name == "ltr")
	var found struct{ Faults, Looks []string }
	must(t, page.Eval(ctx, fmt.Sprintf("measureAll([%s], %v)", strings.Join(slices.Collect(maps.Values(list)), ",\n"), m.large), &found))
	for _, fault := range found.Faults {
		t.Errorf("%s: %s", what, fault)
	}
	for _, look := range found.Looks {
		if view.Height < 240 {
			break // they are smaller there
		}
		name, style, _ := strings.Cut(look, ": ")
		looks[style] = what + " " + name
	}
	if os.Getenv("WEBPUSH_E2E_PICTURES") == "" {
		return
	}
	for _, name := range names {
		must(t, page.Eval(ctx, fmt.Sprintf("showOne(%s, %v)", list[name], m.large), nil))
		must(t, page.Screenshot(ctx, u.picture(t, "face-"+what+"-"+name), view))
	}
}

// overlaps is true if a floating face covers the visitor's own settings.
const overlaps = `(() => {
	const a = document.getElementById("webpush-prompt").shadowRoot.querySelector("dialog, #bell").getBoundingClientRect();
	const b = document.querySelector("webpush-preferences").getBoundingClientRect();
	return a.left < b.right && a.right > b.left && a.top < b.bottom && a.bottom > b.top;
})()`

// TestFacesKeepClear: a prompt does not cover the visitor's own settings, at
// either end of the view, whether they appeared before or after it.
func TestFacesKeepClear(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		page := openFaces(ctx, t, b, facesSite(t)+"/?lang=en&dir=ltr")
		must(t, page.Screenshot(ctx, filepath.Join(t.TempDir(), "size.png"), browser.Viewport{Width: 390, Height: 844}))
		must(t, page.Eval(ctx, `document.querySelector("main").style.padding = "900px 20px", 0`, nil))
		for _, kind := range []string{"dialog", "bar", "bell", "denied"} {
			for _, end := range []string{"start", "end"} {
				for _, late := range []bool{false, true} {
					settings := `window.settings?.close(), face({kind: "preferences"}), window.settings = last, window.last = undefined`
					must(t, page.Eval(ctx, settings+`, settings.element.scrollIntoView({block: "`+end+`"})`, nil))
					if late {
						must(t, page.Eval(ctx, `settings.close()`, nil))
					}
					showFace(ctx, t, page, `{kind: "`+kind+`"}`)
					if late {
						must(t, page.Eval(ctx, `(() => { const question = last; window.last = undefined; `+settings+`; last = question; })()`, nil))
					}
					if evaluated[bool](ctx, t, page, overlaps) {
						t.Errorf("%s covers the settings at the %s of the view, late: %v", kind, end, late)
					}
				}
			}
		}
	})
}

// TestPromptKeepsClear: an automatic prompt does not appear where it would cover
// the visitor's own settings; it appears when there is room.
func TestPromptKeepsClear(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(topicsSite), topicsOption)
		must(t, b.SetPermission(ctx, p.origins[0], browser.Default))
		page, err := b.Open(ctx, "about:blank")
		must(t, err)
		shot := filepath.Join(t.TempDir(), "size.png")
		must(t, page.Screenshot(ctx, shot, browser.Viewport{Width: 390, Height: 320}))
		must(t, page.Navigate(ctx, p.origins[0]+"/settings"))
		must(t, browser.WaitFor(ctx, page, boxes("webpush-preferences")+` === "news+ deals+ sport" && performance.getEntriesByType("resource").some((e) => e.name.includes("/wait.js"))`))
		time.Sleep(1500 * time.Millisecond) // for what should not happen
		if evaluated[bool](ctx, t, page, promptShown) {
			t.Error("asked on the settings, without room")
		}
		must(t, page.Screenshot(ctx, shot, browser.Viewport{Width: 1000, Height: 900}))
		must(t, browser.WaitFor(ctx, page, promptShown))
		if evaluated[bool](ctx, t, page, overlaps) {
			t.Error("the question covers the settings")
		}
		must(t, page.Close(ctx))
	})
}
