//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser"
)

// oneSignalHead is a page with OneSignal's script by the tag of its guide. Under
// its policy, every attempt to load the script causes an event.
const (
	oneSignalHead = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<script src="https://cdn.onesignal.com/sdks/%s"%s></script>
<script>
window.heard = [];
const hear = (what) => (value) => heard.push(what + (value === undefined || typeof value === "object" ? "" : " " + value));
%s
</script></head><body><h1>Shop</h1>
<button id="ask" type="button">Notify me</button><button id="out" type="button">No more</button><button id="back" type="button">Again</button>
<script>for (const [id, act] of Object.entries(window.acts)) document.getElementById(id).onclick = act;</script></body></html>`

	v16Script = `
window.OneSignalDeferred = window.OneSignalDeferred || [];
OneSignalDeferred.push(async function (OneSignal) {
	await OneSignal.init({appId: "00000000-0000-0000-0000-000000000000", serviceWorkerPath: "push/onesignal/OneSignalSDKWorker.js",
		serviceWorkerParam: {scope: "/push/onesignal/"}, welcomeNotification: {message: "Welcome"}, persistNotification: true, PROMPTS});
	heard.push("init");
	await OneSignal.login("u-16");
	OneSignal.User.addTag("plan", "gold");
	OneSignal.User.addTags({visits: "3", vip: "yes"});
	OneSignal.User.removeTag("vip");
	OneSignal.User.PushSubscription.addEventListener("change", (e) => heard.push("change " + e.previous.optedIn + " " + e.current.optedIn + " " + !!e.current.id));
	OneSignal.Notifications.addEventListener("permissionChange", hear("permission"));
	OneSignal.Slidedown.addEventListener("slidedownShown", hear("shown"));
});
// Other ways to load it: all are to find ours.
for (const load of [(s, url) => (s.src = url), (s, url) => s.setAttribute("src", url)]) {
	const script = document.createElement("script");
	load(script, "https://cdn.onesignal.com/sdks/web/v16/OneSignalSDK.page.js");
	script.onload = () => heard.push("loaded");
	script.onerror = () => heard.push("not loaded");
	document.head.append(script);
}
window.acts = {
	ask: () => OneSignal.Notifications.requestPermission().then(hear("asked")),
	out: () => OneSignal.User.PushSubscription.optOut(),
	back: () => OneSignal.User.PushSubscription.optIn(),
};`

	v15Script = `
var OneSignal = OneSignal || [];
OneSignal.push(["init", {appId: "00000000-0000-0000-0000-000000000000", autoRegister: false, notifyButton: {enable: false}}]);
OneSignal.push(function () {
	OneSignal.on("subscriptionChange", hear("change"));
	OneSignal.on("notificationPermissionChange", (e) => heard.push("permission " + e.to));
	OneSignal.isPushNotificationsEnabled(hear("enabled"));
	OneSignal.setExternalUserId("u-15");
	heard.push("init");
});
OneSignal.push(["sendTags", {plan: "gold", visits: 3, vip: true}]);
OneSignal.push(["deleteTag", "vip"]);
window.acts = {
	ask: () => OneSignal.push(["registerForPushNotifications"]),
	out: () => OneSignal.push(["setSubscription", false]),
	back: () => OneSignal.push(() => OneSignal.setSubscription(true)),
};`

	// promptNow shows an automatic prompt with the page's own texts.
	promptNow = `promptOptions: {slidedown: {prompts: [{type: "push", autoPrompt: true, delay: {pageViews: 1, timeDelay: 0},
		text: {actionMessage: "Know first <b>", acceptButton: "Yes please", cancelButton: "Not today"}}]}}`
	promptLater = `promptOptions: {slidedown: {prompts: [{type: "push", autoPrompt: false}]}}`
)

// oneSignalSite has a page per generation of OneSignal's script.
func oneSignalSite(w http.ResponseWriter, r *http.Request) {
	page, ok := map[string]string{
		"/16":   fmt.Sprintf(oneSignalHead, "web/v16/OneSignalSDK.page.js", " defer", strings.Replace(v16Script, "PROMPTS", promptLater, 1)),
		"/auto": fmt.Sprintf(oneSignalHead, "web/v16/OneSignalSDK.page.js", " async defer", strings.Replace(v16Script, "PROMPTS", promptNow, 1)),
		"/15":   fmt.Sprintf(oneSignalHead, "OneSignalSDK.js", ` async=""`, v15Script),
	}[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "script-src 'self' 'unsafe-inline'")
	_, _ = io.WriteString(w, page)
}

const oneSignalOption = "compat onesignal\n\t\tprompt {\n\t\t}"

// foreignCalls records requests to other servers, which the page's policy
// refuses.
const foreignCalls = `window.refused = []; document.addEventListener("securitypolicyviolation", (e) => refused.push(e.blockedURI));`

// oneSignalTab is a browser on such a site.
type oneSignalTab struct {
	*testing.T
	ctx    context.Context
	b      browser.Browser
	p      *product
	page   browser.Page
	origin string
}

// openOneSignal opens a page of the site as a visitor who has decided nothing.
func openOneSignal(ctx context.Context, t *testing.T, b browser.Browser, p *product, origin, path string) *oneSignalTab {
	t.Helper()
	must(t, b.SetPermission(ctx, origin, browser.Default))
	page, err := b.Open(ctx, "about:blank")
	must(t, err)
	must(t, page.Preload(ctx, foreignCalls))
	must(t, page.Navigate(ctx, origin+path))
	return &oneSignalTab{t, ctx, b, p, page, origin}
}

func (x *oneSignalTab) wait(expression string) {
	x.Helper()
	if err := browser.WaitFor(x.ctx, x.page, expression); err != nil {
		x.Fatalf("%s: %v; heard %q, refused %q", expression, err,
			evaluated[[]string](context.Background(), x.T, x.page, "window.heard ?? []"), evaluated[[]string](context.Background(), x.T, x.page, "window.refused ?? []"))
	}
}

func (x *oneSignalTab) heard(what string) {
	x.Helper()
	x.wait(fmt.Sprintf("heard.includes(%q)", what))
}

// callsNobody checks that the page sent no request to another server and tried
// none.
func (x *oneSignalTab) callsNobody() {
	x.Helper()
	foreign := evaluated[[]string](x.ctx, x.T, x.page, `[...refused, ...[...performance.getEntriesByType("resource").map((e) => e.name),
		...[...document.scripts].map((s) => s.src)].filter((url) => url && !url.startsWith(location.origin + "/"))]`)
	if len(foreign) > 0 {
		x.Errorf("the page called %q", foreign)
	}
}

// hasTags waits for the tags in the person's profile.
func (x *oneSignalTab) hasTags(identity string) {
	x.Helper()
	until(x.ctx, x.T, "the tags of "+identity, func() bool {
		a := personWith(x.p.people(x.ctx, x.origin), identity).Attributes
		return a["plan"] == "gold" && a["visits"] == "3" && a["vip"] == nil
	})
}

// subscribes allows and clicks the page's own button, unsubscribes and subscribes
// again.
func (x *oneSignalTab) subscribes(in, out string) {
	x.Helper()
	must(x.T, x.b.SetPermission(x.ctx, x.origin, browser.Granted))
	must(x.T, x.page.Click(x.ctx, "#ask"))
	x.heard(in)
	if evaluated[bool](x.ctx, x.T, x.page, promptShown) {
		x.Error("a prompt of ours as well")
	}
	until(x.ctx, x.T, "the subscriber", func() bool { return x.p.subscribers(x.origin) == 1 })
	must(x.T, x.page.Click(x.ctx, "#out"))
	x.heard(out)
	until(x.ctx, x.T, "the subscriber to go", func() bool { return x.p.subscribers(x.origin) == 0 })
	must(x.T, x.page.Click(x.ctx, "#back"))
	until(x.ctx, x.T, "the subscriber to come back", func() bool { return x.p.subscribers(x.origin) == 1 })
}

// TestOneSignalPages: pages of both generations work unchanged (prompt, events,
// tags, subscription), and no request goes to OneSignal.
func TestOneSignalPages(t *testing.T) {
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, http.HandlerFunc(oneSignalSite), oneSignalOption, oneSignalOption, oneSignalOption)
		t.Run("v16", func(t *testing.T) {
			x := openOneSignal(ctx, t, b, p, p.origins[0], "/16")
			x.heard("init")
			x.wait(`heard.filter((one) => one === "loaded").length === 2`)
			x.subscribes("change false true true", "change true false false")
			x.heard("asked true")
			x.heard("permission true")
			x.hasTags("u-16")
			x.callsNobody()
			must(t, x.page.Close(ctx))
		})
		t.Run("v15", func(t *testing.T) {
			x := openOneSignal(ctx, t, b, p, p.origins[1], "/15")
			x.heard("init")
			x.heard("enabled false")
			x.subscribes("change true", "change false")
			x.heard("permission granted")
			x.hasTags("u-15")
			x.callsNobody()
			must(t, x.page.Close(ctx))
		})
		t.Run("by itself", func(t *testing.T) {
			x := openOneSignal(ctx, t, b, p, p.origins[2], "/auto")
			x.wait(promptShown)
			x.heard("shown true")
			texts := evaluated[[]string](ctx, t, x.page,
				`["body", "accept", "reject"].map((id) => document.getElementById("webpush-prompt").shadowRoot.getElementById(id).textContent)`)
			if want := []string{"Know first <b>", "Yes please", "Not today"}; !slices.Equal(texts, want) {
				t.Errorf("the prompt says %q", texts)
			}
			accept(ctx, t, b, x.page, x.origin)
			x.heard("change false true true")
			x.callsNobody()
			must(t, x.page.Close(ctx))
		})
	})
}

// TestOneSignalNotifications: a page gets an event when a notification is shown
// or clicked, and the page that a click opens gets the click.
func TestOneSignalNotifications(t *testing.T) {
	const listening = `OneSignalDeferred.push((OneSignal) => {
		for (const name of ["foregroundWillDisplay", "click"]) OneSignal.Notifications.addEventListener(name, (e) => heard.push(name + " " + e.notification.title + " " + (e.result?.url ?? "")));
		heard.push("listening");
	});`
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			script := strings.Replace(v16Script, "PROMPTS", promptLater, 1) + listening
			_, _ = fmt.Fprintf(w, oneSignalHead, "web/v16/OneSignalSDK.page.js", " defer", script)
		})
		p := startProductBefore(t, site, oneSignalOption)
		x := openOneSignal(ctx, t, b, p, p.origins[0], "/here")
		x.heard("listening")
		must(t, b.SetPermission(ctx, x.origin, browser.Granted))
		must(t, x.page.Click(ctx, "#ask"))
		x.heard("change false true true")

		send := func(path string) (title, url string) {
			title, url = "To "+path+" "+t.Name(), x.origin+path
			if m := p.send(x.origin, "--title", title, "--url", url); m.Results.Accepted != 1 {
				t.Errorf("%+v", m.Results)
			}
			shown, err := u.desktop.WaitTitle(ctx, u.name, title)
			must(t, err)
			x.heard("foregroundWillDisplay " + title + " ")
			must(t, u.desktop.Click(shown.ID))
			return title, url
		}
		title, url := send("/here")
		x.heard("click " + title + " " + url)

		title, url = send("/there")
		there, err := b.WaitPage(ctx, func(got string) bool { return got == url })
		must(t, err)
		opened := *x
		opened.page = there
		must(t, browser.WaitFor(ctx, there, `window.heard?.includes("listening")`))
		opened.wait(fmt.Sprintf(`heard.includes(%q)`, "click "+title+" "+url))
		must(t, there.Close(ctx))
	})
}

// TestOneSignalStorage starts with the data that OneSignal left in the browser:
// an opt-out stays, and the visitor's identity is known.
func TestOneSignalStorage(t *testing.T) {
	const leave = `new Promise((resolve, reject) => {
		localStorage.clear();
		localStorage.setItem("os_pageViews", "3");
		const opening = indexedDB.open("ONE_SIGNAL_SDK_DB", 6);
		opening.onupgradeneeded = () => {
			const db = opening.result;
			for (const [name, keyPath, rows] of [
				["Ids", "type", [{type: "userId", id: "old-id"}]],
				["Options", "key", [{key: "optedOut", value: OUT}]],
				["identity", "modelId", [{modelId: "1", onesignal_id: "o-1", external_id: "u-left"}]],
				["properties", "modelId", [{modelId: "2", tags: {plan: "gold"}}]],
			]) for (const row of rows) (opening.transaction.objectStoreNames.contains(name) ? opening.transaction.objectStore(name) : db.createObjectStore(name, {keyPath})).put(row);
		};
		opening.onsuccess = () => (opening.result.close(), resolve());
		opening.onerror = () => reject(opening.error);
	}).then(() => null)`
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		// The second site only migrates; its pages no longer call OneSignal's
		// API.
		options := []string{oneSignalOption, "migrate_from onesignal\n\t\tprompt {\n\t\t\tafter 0s\n\t\t}"}
		p := startProductBefore(t, http.HandlerFunc(oneSignalSite), options...)
		for i, origin := range p.origins {
			x := openOneSignal(ctx, t, b, p, origin, "/auto")
			x.wait(`localStorage.getItem("webpush:adopted") && localStorage.getItem("webpush:views")`)
			must(t, x.page.Eval(ctx, strings.Replace(leave, "OUT", "true", 1), nil))
			must(t, b.SetPermission(ctx, origin, browser.Granted))
			must(t, x.page.Navigate(ctx, origin+"/auto"))
			x.wait(`localStorage.getItem("webpush:out") === "1"`)
			until(ctx, t, "the person", func() bool { return personWith(p.people(ctx, origin), "u-left").ID != "" })
			if i == 0 {
				x.heard("init")
				if tags := evaluated[map[string]string](ctx, t, x.page, "OneSignal.User.getTags()"); tags["plan"] != "gold" {
					t.Errorf("tags %v", tags)
				}
			}
			if n := p.subscribers(origin); n != 0 || evaluated[bool](ctx, t, x.page, promptShown) {
				t.Errorf("who had opted out: %d subscribers", n)
			}
			must(t, x.page.Close(ctx))
		}
	})
}

// oneSignalPlugin lists the WordPress plug-in's two generations: the code that
// each puts into pages, and the address of its worker.
var oneSignalPlugin = []struct {
	provider
	page string
}{
	{
		provider{"onesignal", pluginFolder + "OneSignalSDKWorker.js.php", "/"},
		`<meta name="onesignal" content="wordpress-plugin"/>
<link rel='dns-prefetch' href='//cdn.onesignal.com' />
<script type='text/javascript' src='https://cdn.onesignal.com/sdks/OneSignalSDK.js?ver=1.0.0' async='async' id='remote_sdk-js'></script>
<script>
	window.OneSignal = window.OneSignal || [];
	OneSignal.push( function() {
		OneSignal.SERVICE_WORKER_UPDATER_PATH = "OneSignalSDKUpdaterWorker.js.php";
		OneSignal.SERVICE_WORKER_PATH = "OneSignalSDKWorker.js.php";
		OneSignal.SERVICE_WORKER_PARAM = { scope: '/' };
		OneSignal.setDefaultNotificationUrl("https://shop.example");
		var oneSignal_options = {};
		window._oneSignalInitOptions = oneSignal_options;
		oneSignal_options['wordpress'] = true;
		oneSignal_options['appId'] = '00000000-0000-0000-0000-000000000000';
		oneSignal_options['autoRegister'] = false;
		oneSignal_options['welcomeNotification'] = { };
		oneSignal_options['welcomeNotification']['disable'] = true;
		oneSignal_options['path'] = "` + pluginFolder + `";
		oneSignal_options['promptOptions'] = { };
		OneSignal.init(window._oneSignalInitOptions);
		window.ran = true;
	});
	function documentInitOneSignal() {
		var oneSignal_elements = document.getElementsByClassName("OneSignal-prompt");
		var oneSignalLinkClickHandler = function(event) { OneSignal.push(['registerForPushNotifications']); event.preventDefault(); };
		for(var i = 0; i < oneSignal_elements.length; i++)
			oneSignal_elements[i].addEventListener('click', oneSignalLinkClickHandler, false);
	}
	if (document.readyState === 'complete') { documentInitOneSignal(); }
	else { window.addEventListener("load", function(event){ documentInitOneSignal(); }); }
</script>`,
	},
	{
		provider{"onesignal", pluginFolder + "OneSignalSDKWorker.js", pluginFolder + "push/onesignal/"},
		`<meta name="onesignal-plugin" content="wordpress-3.7.1">
<script src="https://cdn.onesignal.com/sdks/web/v16/OneSignalSDK.page.js" defer></script>
<script>
	window.OneSignalDeferred = window.OneSignalDeferred || [];
	OneSignalDeferred.push(async function(OneSignal) {
		await OneSignal.init({
			appId: "00000000-0000-0000-0000-000000000000",
			serviceWorkerOverrideForTypical: true,
			path: location.origin + "` + pluginFolder + `",
			serviceWorkerParam: { scope: "` + pluginFolder + `push/onesignal/" },
			serviceWorkerPath: "OneSignalSDKWorker.js",
		});
		window.ran = true;
	});
	// Unregister the legacy OneSignal service worker to prevent scope conflicts
	if (navigator.serviceWorker) {
		navigator.serviceWorker.getRegistrations().then((registrations) => {
			registrations.forEach((registration) => {
				if (registration.active && registration.active.scriptURL.includes('OneSignalSDKWorker.js.php')) registration.unregister();
			});
		});
	}
</script>`,
	},
}

const pluginFolder = "/wp-content/plugins/onesignal-free-web-push-notifications/sdk_files/"

// TestOneSignalWordPress: a WordPress site with the plug-in migrates by the one
// option. Its subscribers are moved without a prompt, its worker is removed, and
// its pages work unchanged.
func TestOneSignalWordPress(t *testing.T) {
	for i, plugin := range oneSignalPlugin {
		t.Run([]string{"second generation", "third generation"}[i], func(t *testing.T) {
			forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
				s := subscribeToProvider(ctx, t, u, b, plugin.provider)
				s.site.answer(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/blog/" {
						http.NotFound(w, r)
						return
					}
					w.Header().Set("Content-Type", "text/html; charset=utf-8")
					w.Header().Set("Content-Security-Policy", "script-src 'self' 'unsafe-inline'")
					_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Blog</title>`+plugin.page+
						`</head><body><h1>Blog</h1><a class="OneSignal-prompt" href="#">Subscribe</a></body></html>`)
				})
				s.reconfigure(s.origin, "webpush {\n\t\tcompat onesignal\n\t}")
				page, err := b.Open(ctx, "about:blank")
				must(t, err)
				must(t, page.Preload(ctx, foreignCalls))
				must(t, page.Navigate(ctx, s.origin+"/blog/"))
				x := &oneSignalTab{t, ctx, b, s.product, page, s.origin}
				x.wait("window.ran")
				until(ctx, t, "the row of who came along", func() bool { return s.subscribers(s.origin) == 1 })
				until(ctx, t, "the end of the plug-in's worker", func() bool {
					all := workers(ctx, t, page)
					return len(all) == 1 && all["/"] == "/sw.js"
				})
				if evaluated[bool](ctx, t, page, promptShown) {
					t.Error("a subscriber was asked")
				}
				x.callsNobody()
				must(t, page.Close(ctx))
				s.weSend(ctx, t, u, "Ours")
				smokeGone(ctx, t, s.sender)
			})
		})
	}
}

// TestOneSignalReact runs an application with the unchanged react-onesignal from
// npm.
func TestOneSignalReact(t *testing.T) {
	needPackages(t)
	script := bundle(t, "onesignal/app.js")
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/app.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, script)
		case "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "script-src 'self'")
			_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>App</title></head>
<body><div id="root"></div><script src="/app.js"></script></body></html>`)
		default:
			http.NotFound(w, r)
		}
	})
	forEachUser(t, func(ctx context.Context, t *testing.T, u *user, b browser.Browser) {
		p := startProductBefore(t, site, oneSignalOption)
		x := openOneSignal(ctx, t, b, p, p.origins[0], "/")
		x.wait(`document.querySelector("h1")?.textContent === "Ready"`)
		must(t, b.SetPermission(ctx, x.origin, browser.Granted))
		must(t, x.page.Click(ctx, "#ask"))
		x.heard("optedIn true")
		x.heard("permission true")
		x.wait("optedIn()")
		until(ctx, t, "the subscriber", func() bool { return p.subscribers(x.origin) == 1 })
		must(t, x.page.Click(ctx, "#out"))
		x.heard("optedIn false")
		until(ctx, t, "the subscriber to go", func() bool { return p.subscribers(x.origin) == 0 })
		until(ctx, t, "the tags", func() bool { return personWith(p.people(ctx, x.origin), "react-1").Attributes["plan"] == "gold" })
		x.callsNobody()
		must(t, x.page.Close(ctx))
	})
}

// TestOneSignalTypes checks our object against OneSignal's published types.
func TestOneSignalTypes(t *testing.T) {
	needPackages(t)
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=.tools/go.mod", "tsgo", "--noEmit", "-p", "caddymodule/e2e/sites/onesignal/tsconfig.json")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
