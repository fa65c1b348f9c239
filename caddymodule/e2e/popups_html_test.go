//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// guide lists the snippets of CleverTap's guide with which custom HTML closes
// itself (features.md a.7), and those that its users write.
var guide = []struct{ name, position, html string }{
	{"box", "", `<div class="btn">CLOSE</div>
<script>
var btn = document.querySelector('.btn');
var wrapper = window.parent.document.getElementById('wizParDiv0');
btn.addEventListener('click', closePopUp);
function closePopUp()
{ wrapper.remove(); }
</script>`},
	{"banner", "bottom", `<div class="btn">CLOSE</div>
<script>
var btn = document.querySelector('.btn');
var wrapper = window.parent.document.getElementById('wizParDiv2');
btn.addEventListener('click', closePopUp);
function closePopUp() { wrapper.remove(); }
</script>`},
	{"interstitial", "full", `<div class="btn">CLOSE</div>
<script>
var btn = document.querySelector('.btn');
var overlay = window.parent.document.getElementById('intentOpacityDiv');
var wrapper = window.parent.document.getElementById('intentPreview');
btn.addEventListener('click', closePopUp);
function closePopUp() { overlay.remove(); wrapper.remove(); }
</script>`},
	{"hidden by style", "", `<div class="btn" onclick="window.parent.document.getElementById('wizParDiv0').style.display='none'">CLOSE</div>`},
	{"two styles", "full", `<button class="btn" onclick="parent.document.getElementById('intentOpacityDiv').style.display = 'none';
parent.document.getElementById('intentPreview').style.display = 'none'">CLOSE</button>`},
	{"removeChild", "", `<a href="#" class="btn" onclick="var w = parent.document.querySelector('#wizParDiv0'); w.parentNode.removeChild(w); return false">CLOSE</a>`},
	{"top", "", `<a href="#" class="btn" onclick="window.top.document.getElementById('wizParDiv0').remove()">CLOSE</a>`},
	{"closeIframe", "", `<button class="btn" onclick="window.parent.$WZRK_WR.closeIframe('##campaignId##', 'wizParDiv0')">CLOSE</button>`},
	{"closeIframe of the frame", "bottom", `<button class="btn" onclick="$WZRK_WR.closeIframe(##campaignId##, 'wizParDiv2')">CLOSE</button>`},
	{"whole document", "", `<!DOCTYPE html><html><head><style>.btn { padding: 20px }</style></head><body><p>Hello</p><span class="btn">CLOSE</span>
<script>document.querySelector('.btn').onclick = function () { window.parent.document.getElementById('wizParDiv0').innerHTML = ''; };</script></body></html>`},
}

// urlQuery escapes a value of a query.
func urlQuery(text string) string {
	return strings.NewReplacer("%", "%25", " ", "%20", ";", "%3B", "'", "%27", "&", "%26", "+", "%2B", "#", "%23").Replace(text)
}

// js returns a value as a JavaScript expression.
func js(value any) string {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// clickInFrame clicks on the middle of the frame, by its real place on the
// screen, since the frame's origin blocks all access. A frame of another process
// may still be moving to its place, so a click is repeated if no event follows
// within the time that a slow machine takes. Chromium does not always answer a click
// that makes its frame go away, so its time is limited too.
func clickInFrame(ctx context.Context, t *testing.T, page browser.Page, clicked string) {
	t.Helper()
	const patience = 8 * time.Second
	for {
		click, cancel := context.WithTimeout(ctx, patience)
		err := page.Click(click, "iframe")
		ended := click.Err() != nil
		cancel()
		if err != nil && !ended {
			t.Fatal(err)
		}
		wait, cancel := context.WithTimeout(ctx, patience)
		err = browser.WaitFor(wait, page, clicked)
		cancel()
		if err == nil {
			return
		}
		must(t, ctx.Err())
		t.Log("a click in the frame was lost")
	}
}

// within waits for a condition for as long as the slowest machine may take.
func within(ctx context.Context, page browser.Page, condition string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return browser.WaitFor(ctx, page, condition)
}

// TestPopupsGuide uses the guide's snippets: a click on their button closes the
// pop-up, on a page that forbids inline scripts.
func TestPopupsGuide(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		page := openFaces(ctx, t, b, popupsSite(t)+"/?policy="+urlQuery(popupsPolicy)+"&lang=en&dir=ltr")
		for _, snippet := range guide {
			// The button must be in the middle of the frame for every kind.
			style := `<style>html, body { margin: 0; height: 100% } .btn { position: fixed; inset: 0; min-height: 60px; display: block }</style>`
			options := `{kind: "html", id: "1439796272", legacy: {msgId: "1439796272_20160219"}, position: ` + js(snippet.position) + `, content: {html: ` + js(snippet.html+style) + `}}`
			showPopup(ctx, t, page, options)
			clickInFrame(ctx, t, page, "told.length > 0")
			if err := within(ctx, page, `told.includes("gone")`); err != nil {
				t.Errorf("%s: not closed: %v; told %s", snippet.name, err, pageLog(ctx, t, page))
				continue
			}
			if got := pageLog(ctx, t, page); got != "closed script 1439796272; gone" {
				t.Errorf("%s: told %q", snippet.name, got)
			}
		}
		for _, line := range page.Console() {
			t.Errorf("the console has %q", line.Text)
		}
	})
}

// customHTML is a pop-up of custom HTML with one element that fills it.
func customHTML(element string) string {
	return `{kind: "html", id: "77", legacy: {msgId: "77_20260101"}, content: {kv: {sku: "7"}, html: ` +
		js("<style>html, body { margin: 0; height: 100% } .fill { position: fixed; inset: 0; min-height: 80px; display: block }</style>"+element) + `}}`
}

// TestPopupsHTML clicks in custom HTML: the click is reported without code by the
// HTML's author, links lead the page and not the frame, and only some of the
// page's functions can be called.
func TestPopupsHTML(t *testing.T) {
	tests := []struct{ name, element, want string }{
		{
			"tracked link", `<a class="fill" wzrk_c2a="buy" id="cta" name="n" href="https://x.example/y">Buy now</a>`,
			`clicked buy {"wzrk_click_innerText":"Buy now","wzrk_click_id":"cta","wzrk_click_name":"n","wzrk_click_url":"https://x.example/y","wzrk_click_c2a":"buy"} 77; ` +
				`run {"do":"open","newTab":false,"url":"https://x.example/y"} {"sku":"7"} 77 true`,
		},
		{
			"link relative to the page", `<a class="fill" target="_blank" href="elsewhere?a#b"><b>Look</b></a>`,
			`clicked Look {"wzrk_click_innerText":"Look","wzrk_click_url":"$SITE/elsewhere?"} 77; run {"do":"open","newTab":true,"url":"$SITE/elsewhere?a#b"} {"sku":"7"} 77 true`,
		},
		{
			"button", `<button class="fill" id="b" onclick="1">More about it, and then some</button>`,
			`clicked b {"wzrk_click_innerText":"More about it, and t","wzrk_click_id":"b"} 77`,
		},
		{
			"what listens", `<div class="fill">Div</div><script>document.querySelector(".fill").addEventListener("click", function (e) { e.stopPropagation() })</script>`,
			`clicked Div {"wzrk_click_innerText":"Div"} 77`,
		},
		{
			"a tracked button that closes", `<button class="fill" wzrk_c2a="no" onclick="parent.document.getElementById('wizParDiv0').remove()">No</button>`,
			`clicked no {"wzrk_click_innerText":"No","wzrk_click_c2a":"no"} 77; closed script 77; gone`,
		},
		{
			"prevented", `<a class="fill" href="/elsewhere" onclick="parent.clevertap.event.push('Liked', {n: 1}); return false">Like</a>`,
			`clicked Like {"wzrk_click_innerText":"Like"} 77; call event.push ["Liked",{"n":1}]`,
		},
		{
			"parent.location", `<p class="fill" onclick="window.parent.location.href = '/elsewhere'">Go</p>`,
			`clicked Go {"wzrk_click_innerText":"Go"} 77; run {"do":"open","url":"$SITE/elsewhere","newTab":false} {"sku":"7"} 77`,
		},
		{
			"notifications.push", `<p class="fill" onclick="clevertap.notifications.push({skipDialog: true, okCallback: function () {}})">Ask</p>`,
			`clicked Ask {"wzrk_click_innerText":"Ask"} 77; call notifications.push [{"skipDialog":true}]`,
		},
		{
			"popupCallback", `<script>parent.clevertap.popupCallback = function (m) { parent.clevertap.raisePopupNotificationClicked(m) }</script><button class="fill" id="b">B</button>`,
			`clicked b {"wzrk_click_innerText":"B","wzrk_click_id":"b"} 77; call raisePopupNotificationClicked [{"msgId":"77_20260101","kv":{"sku":"7"},"msgCTkv":[{"wzrk_click_innerText":"B","wzrk_click_id":"b"}]}]`,
		},
		{"a script's link", `<a class="fill" href="javascript:parent.postMessage({webpush: 'ready'}, '*')">J</a>`, `clicked J {"wzrk_click_innerText":"J","wzrk_click_url":""} 77`},
		{
			"what it may not", `<button class="fill" id="b" onclick="try { parent.clevertap.logout() } catch (e) { document.title }
			try { this.id = typeof window['top'].document } catch (e) { this.id = 'kept out' } try { localStorage.x = 1; this.id = 'storage' } catch (e) {}">B</button>`,
			`clicked kept out {"wzrk_click_innerText":"B","wzrk_click_id":"kept out"} 77`,
		},
	}
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := popupsSite(t)
		page := openFaces(ctx, t, b, site+"/?policy="+urlQuery(popupsPolicy)+"&lang=en&dir=ltr")
		for _, test := range tests {
			showPopup(ctx, t, page, customHTML(test.element))
			clickInFrame(ctx, t, page, "told.length > 0")
			want := strings.ReplaceAll(test.want, "$SITE", site)
			// wzrk_click_url has 20 characters; ours is only a part of the host.
			want = strings.ReplaceAll(want, `"wzrk_click_url":"`+site+`/elsewhere?"`, `"wzrk_click_url":"`+(site + "/elsewhere")[:20]+`"`)
			want = strings.ReplaceAll(want, `,"wzrk_click_url":""`, "")
			err := within(ctx, page, `told.filter((line) => !line.startsWith("run")).length >= `+fmt.Sprint(strings.Count(want, "; ")+1-strings.Count(want, "run {")))
			if got := strings.TrimSuffix(pageLog(ctx, t, page), " true"); err != nil || got != strings.TrimSuffix(want, " true") {
				t.Errorf("%s: told\n%s\nwant\n%s", test.name, got, want)
			}
		}
		var address string
		must(t, page.Eval(ctx, "location.href", &address))
		if !strings.HasPrefix(address, site+"/?") {
			t.Errorf("the page was led to %s", address)
		}
		frameFallsBack(ctx, t, page, site, b)
		trustedHTML(ctx, t, page)
	})
}

// frameFallsBack shows custom HTML where another handler's header forbids
// framing: it then runs in the page, if the page's policy allows that.
func frameFallsBack(ctx context.Context, t *testing.T, strict browser.Page, site string, b browser.Browser) {
	t.Helper()
	lax := openFaces(ctx, t, b, site+"/?lang=en&dir=ltr")
	must(t, lax.Eval(ctx, `pop(`+customHTML(guide[0].html)+`, {prefix: "/unframed"})`, nil))
	if err := within(ctx, lax, `root.querySelector("dialog:not(.waiting)")?.open`); err != nil {
		t.Fatalf("custom HTML does not show where framing is forbidden: %v; told %q, console %v", err, pageLog(ctx, t, lax), lax.Console())
	}
	must(t, lax.Close(ctx))
	must(t, strict.Eval(ctx, `pop(`+customHTML("x")+`, {prefix: "/unframed"})`, nil))
	if err := within(ctx, strict, `told.join("; ") === "error frame 77; gone"`); err != nil {
		t.Errorf("nothing tells that custom HTML could not be shown: %v; told %q", err, pageLog(ctx, t, strict))
	}
}

// trustedHTML runs in the page if its policy allows that, else in the sandbox.
func trustedHTML(ctx context.Context, t *testing.T, strict browser.Page) {
	t.Helper()
	popup := strings.Replace(customHTML(`<button class="fill" onclick="try { parent.document.title = 'changed' } catch (e) {}">B</button>`), "content: {", "content: {trusted: true, ", 1)
	// Trusted Types without a policy for us.
	showPopup(ctx, t, strict, popup)
	clickInFrame(ctx, t, strict, "told.length > 0")
	var sandboxed bool
	must(t, strict.Eval(ctx, `root.querySelector("iframe").hasAttribute("sandbox")`, &sandboxed))
	if !sandboxed {
		// Firefox without Trusted Types: the policy still stops inline scripts.
		var title string
		must(t, strict.Eval(ctx, "document.title", &title))
		if title == "changed" {
			t.Error("trusted HTML runs what the page's policy forbids")
		}
	}
	var base string
	must(t, strict.Eval(ctx, "location.origin", &base))
	must(t, strict.Navigate(ctx, base+"/?lang=en&dir=ltr"))
	must(t, browser.WaitFor(ctx, strict, "window.ready === true"))
	showPopup(ctx, t, strict, popup)
	clickInFrame(ctx, t, strict, "told.length > 0")
	if err := within(ctx, strict, `document.title === "changed"`); err != nil {
		t.Errorf("trusted HTML has not the page's powers: %v; told %q", err, pageLog(ctx, t, strict))
	}
}

// TestPopupsXSS puts every string of the corpus into every field that an operator
// can fill, on a page without a policy. WEBPUSH_TESTDATA names the folder.
func TestPopupsXSS(t *testing.T) {
	payloads := xssStrings(t)
	const run = `(async (all) => {
		window.executed = [];
		for (const name of ["alert", "prompt", "confirm", "print"]) window[name] = (...args) => executed.push(name + " " + args.join());
		const kinds = ["box", "interstitial", "banner", "corner", "image", "inbox"];
		let fields = 0;
		for (const [i, s] of all.entries()) {
			const kind = kinds[i % kinds.length];
			const action = (d) => ({ do: d, url: s, function: s, text: s });
			pop({ id: "x" + i, kind, position: s, click: action(["open", "call"][i % 2]), theme: { mode: s, color: s, textColor: s, background: s, foreground: s, radius: s, overlay: s, width: s },
				content: { title: s, body: s, image: i % 6 === 4 ? "/lighthouse.svg" : s, imageAlt: s, imageWidth: s, kv: { [s]: s },
					buttons: [{ id: s, text: s, action: action("open") }, { id: s, text: s, action: action("copy") }],
					...(i % 3 === 0 && { input: { kind: ["choice", "email", "text"][i % 9 / 3 | 0], label: s, options: [s], event: s, submit: s } }) } },
				{ site: { name: s, icon: s } });
			if (i % 40 === 0) await new Promise((go) => setTimeout(go));
			const nodes = document.querySelectorAll(".webpush-popup");
			for (const host of nodes) {
				for (const node of host.shadowRoot.querySelectorAll("*")) {
					fields++;
					for (const { name, value } of node.attributes) {
						if (/^on/i.test(name) || (/^(href|src|srcdoc|action)$/.test(name) && !/^https?:/.test(value))) executed.push("attribute " + name + "=" + value);
					}
					if (/^(script|style|object|embed|base|meta|link|iframe)$/.test(node.localName)) executed.push("element " + node.localName);
				}
				for (const node of host.shadowRoot.querySelectorAll("a, button")) if (node.id !== "close") { node.addEventListener("click", (e) => e.preventDefault()); node.click(); node.dispatchEvent(new MouseEvent("mouseover")); }
			}
			for (const { do: what, url } of ran.splice(0)) if (what === "open" && !/^https?:/.test(url)) executed.push("run " + url);
			if (i % 6 === 5 && i % 60 > 5) { document.getElementById("webpush-inbox")?.remove(); localStorage.clear(); }
		}
		return { executed: executed.slice(0, 5), fields };
	})`
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		page := openFaces(ctx, t, b, popupsSite(t)+"/?lang=en&dir=ltr")
		const batch = 1000
		for from := 0; from < len(payloads); from += batch {
			var got struct {
				Executed []string
				Fields   int
			}
			must(t, page.Eval(ctx, run+"("+js(payloads[from:min(from+batch, len(payloads))])+")", &got))
			if len(got.Executed) > 0 || got.Fields < batch {
				t.Fatalf("strings %d to %d: %q in %d elements", from, from+batch, got.Executed, got.Fields)
			}
		}
	})
}

// xssStrings returns the payloads of the corpus.
func xssStrings(t *testing.T) []string {
	t.Helper()
	data := os.Getenv("WEBPUSH_TESTDATA")
	if data == "" {
		t.Skip("WEBPUSH_TESTDATA names no folder with adversarial/xss.jsonl")
	}
	file, err := os.ReadFile(filepath.Join(data, "adversarial", "xss.jsonl"))
	must(t, err)
	var out []string
	for line := range strings.Lines(string(file)) {
		var row struct{ Payload string }
		must(t, json.Unmarshal([]byte(line), &row))
		out = append(out, row.Payload)
	}
	return out
}
