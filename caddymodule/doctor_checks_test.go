package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/doctor"
)

// answerWith returns a handler that answers with a type and a body.
func answerWith(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
}

// picture returns a PNG.
func picture(t *testing.T, width, height int) http.HandlerFunc {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return answerWith("image/png", b.String())
}

// wantDiagnosis looks for a finding with these words; verdict "" means that the check has only good
// findings.
func wantDiagnosis(t *testing.T, report doctor.Checkup, check, verdict, finding, cure string) {
	t.Helper()
	for _, d := range report.Diagnoses {
		if d.Check != check {
			continue
		}
		if verdict == "" && d.Verdict != "ok" {
			t.Errorf("%+v", d)
		}
		if string(d.Verdict) == verdict && strings.Contains(d.Finding, finding) && strings.Contains(d.Cure, cure) && (verdict == "ok" || d.Cure != "") {
			return
		}
	}
	if verdict != "" {
		t.Errorf("no %s of %s with %q, cure %q, in %+v", verdict, check, finding, cure, report.Diagnoses)
	}
}

// TestDoctorIcons: icons that do not exist, are not pictures, or differ from their declaration.
func TestDoctorIcons(t *testing.T) {
	const html = "text/html; charset=utf-8"
	routes := map[string]http.HandlerFunc{
		"/192.png": picture(t, 192, 192), "/512.png": picture(t, 512, 512), "/64.png": picture(t, 64, 64), "/wide.png": picture(t, 300, 200),
		"/page.png": answerWith(html, pageHTML), "/text.png": answerWith("text/plain", "no"), "/lies.png": answerWith("image/png", "no picture"),
		"/x.svg": answerWith("image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg"/>`), "/untyped.png": answerWith("application/octet-stream", "\x89PNG\r\n\x1a\n"),
	}
	cases := []struct{ icons, verdict, finding, cure string }{
		{`{"src":"/192.png","sizes":"192x192"},{"src":"/512.png","sizes":"512x512"}`, "ok", "512 pixels", ""},
		{`{"src":"512.png","sizes":"512x512"}`, "ok", "512 pixels", ""},
		{`{"src":"/x.svg","sizes":"any"}`, "ok", "", ""},
		{`{"src":"/192.png","sizes":"192x192"}`, "warning", "no icon of 512 pixels", "512x512"},
		{`{"src":"/64.png","sizes":"64x64"}`, "warning", "64 pixels wide", "192"},
		{`{"src":"/64.png","sizes":"192x192"}`, "warning", "declared 192x192, and is 64x64", "manifest"},
		{`{"src":"/none.png","sizes":"192x192"}`, "warning", "/none.png answers 404", "path"},
		{`{"src":"/page.png","sizes":"192x192"}`, "warning", "a page of HTML", "path"},
		{`{"src":"/text.png","sizes":"192x192"}`, "warning", `the type "text/plain"`, "image/png"},
		{`{"src":"/untyped.png","sizes":"192x192"}`, "warning", `the type "application/octet-stream"`, "image/png"},
		{`{"src":"/lies.png","sizes":"192x192"}`, "warning", "is not", ""},
		{`{"src":"/wide.png","sizes":"300x200"}`, "warning", "not square", ""},
		{`{"sizes":"192x192"}`, "warning", "no address", ""},
	}
	for i, tt := range cases {
		routes[fmt.Sprintf("/%d", i)] = answerWith(html, fmt.Sprintf(`<!doctype html><title>x</title><link rel=manifest href=/m%d.json>`, i))
		routes[fmt.Sprintf("/m%d.json", i)] = answerWith("application/manifest+json", `{"name":"x","display":"standalone","icons":[`+tt.icons+`]}`)
	}
	s := start(t, site{upstream: upstream(t, routes)})
	for i, tt := range cases {
		report, _ := examine(t, fmt.Sprintf("%s/%d", s.url, i))
		if !report.Healthy {
			t.Errorf("%s: not healthy", tt.icons)
		}
		wantDiagnosis(t, report, "icons", tt.verdict, tt.finding, tt.cure)
		if tt.verdict == "ok" {
			wantDiagnosis(t, report, "icons", "", "", "")
		}
	}
	for option, want := range map[string]string{"/192.png": "", "/64.png": "64x64", "/none.png": "404"} {
		s.load(adaptJSON(t, site{options: "icon " + option, upstream: upstream(t, routes)}.caddyfile(s.db, s.port)))
		report, _ := examine(t, s.url+"/")
		if want == "" {
			wantDiagnosis(t, report, "icons", "", "", "")
		} else {
			wantDiagnosis(t, report, "icons", "warning", want, "option icon")
		}
	}
}

// changed is a proxy in front of a site that changes the answers for paths with an ending.
func changed(t *testing.T, to, ending string, change func(http.Header)) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		if strings.HasSuffix(r.Request.URL.Path, ending) {
			change(r.Header)
		}
		return nil
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return front.URL
}

// TestDoctorLifetimes: what caches on the way change on script, worker and manifest, as clients see
// it.
func TestDoctorLifetimes(t *testing.T) {
	s := start(t, site{upstream: upstream(t, map[string]http.HandlerFunc{"/sw.js": answerWith("text/javascript", "// the site's own")})})
	set := func(pairs ...string) func(http.Header) {
		return func(h http.Header) {
			h.Del("Cache-Control")
			for i := 0; i < len(pairs); i += 2 {
				h.Set(pairs[i], pairs[i+1])
			}
		}
	}
	day := 24 * time.Hour
	for _, tt := range []struct {
		change  func(http.Header)
		finding string
	}{
		{set("Cache-Control", "public, max-age=3600"), ""},
		{set("Cache-Control", "no-cache", "Expires", time.Now().Add(30*day).UTC().Format(http.TimeFormat)), ""},
		{set(), ""},
		{set("Last-Modified", time.Now().Add(-2*day).UTC().Format(http.TimeFormat)), ""},
		{set("Cache-Control", "max-age=31536000"), "Cache-Control: max-age=31536000"},
		{set("Cache-Control", "s-maxage=604800, max-age=0"), "s-maxage=604800"},
		{set("Cloudflare-Cdn-Cache-Control", "max-age=604800", "Cache-Control", "no-cache"), "Cloudflare-Cdn-Cache-Control"},
		{set("Surrogate-Control", "max-age=604800", "Cache-Control", "no-cache"), "Surrogate-Control"},
		{set("Expires", time.Now().Add(30*day).UTC().Format(http.TimeFormat)), "Expires: "},
		{set("Age", "200000", "Cache-Control", "max-age=60"), "Age: 200000"},
		{set("Last-Modified", time.Now().Add(-400*day).UTC().Format(http.TimeFormat)), "no Cache-Control"},
	} {
		for ending, check := range map[string]string{"/sdk.js": "script", "/sw.js": "worker", "/manifest.json": "manifest"} {
			report, _ := examine(t, changed(t, s.url, ending, tt.change)+"/")
			for _, d := range report.Diagnoses {
				if long := strings.Contains(d.Finding, "is kept for long"); long && (tt.finding == "" || d.Check != check || !strings.Contains(d.Finding, tt.finding)) {
					t.Errorf("%s, want %q: %+v", ending, tt.finding, d)
				}
			}
			if tt.finding != "" {
				wantDiagnosis(t, report, check, "warning", tt.finding, "CDN")
			}
		}
	}
}

// TestDoctorProviders: other providers' workers and scripts, and the cure for each.
func TestDoctorProviders(t *testing.T) {
	const html, script, push = "text/html; charset=utf-8", "text/javascript", `self.addEventListener("push", () => {})`
	page := func(more string) http.HandlerFunc {
		return answerWith(html, "<!doctype html><title>x</title>"+more)
	}
	for _, tt := range []struct {
		name, options                string
		routes                       map[string]http.HandlerFunc
		verdict, finding, cure, page string
	}{
		{"none", "", nil, "ok", "no other push provider", "", "/"},
		{"every path is a page", "", map[string]http.HandlerFunc{"/OneSignalSDKWorker.js": page(""), "/clevertap_sw.js": page("")}, "ok", "no other", "", "/"},
		{"OneSignal", "", map[string]http.HandlerFunc{"/OneSignalSDKWorker.js": answerWith(script, `importScripts("https://cdn.onesignal.com/sdks/web/v16/OneSignalSDK.sw.js")`)}, "warning", "onesignal is at /OneSignalSDKWorker.js", "migrate_from onesignal", "/"},
		{"OneSignal in a folder", "", map[string]http.HandlerFunc{"/push/onesignal/OneSignalSDKWorker.js": answerWith(script, "x")}, "warning", "/push/onesignal/", "migrate_from onesignal", "/"},
		{"CleverTap", "", map[string]http.HandlerFunc{"/clevertap_sw.js": answerWith(script, "x")}, "warning", "clevertap", "migrate_from clevertap", "/"},
		{"Firebase", "", map[string]http.HandlerFunc{"/firebase-messaging-sw.js": answerWith("application/javascript", "x")}, "warning", "firebase", "migrate_from firebase", "/"},
		{"a general path by its code", "", map[string]http.HandlerFunc{"/service-worker.js": answerWith(script, `importScripts("https://clientcdn.pushengage.com/sdks/service-worker.js")`)}, "warning", "pushengage", "migrate_from pushengage", "/"},
		{"Workbox at a general path", "", map[string]http.HandlerFunc{"/service-worker.js": answerWith(script, `importScripts("/workbox-v7/workbox-sw.js")`)}, "ok", "no other", "", "/"},
		{"Workbox that the page registers", "", map[string]http.HandlerFunc{
			"/pwa": page(`<script>navigator.serviceWorker.register('/service-worker.js')</script>`), "/service-worker.js": answerWith(script, `workbox.precache([])`),
		}, "ok", "/service-worker.js (Workbox)", "", "/pwa"},
		{"a worker with pushes that the page registers", "", map[string]http.HandlerFunc{
			"/pwa": page("<script>navigator.serviceWorker\n.register(`/js/w.js`)</script>"), "/js/w.js": answerWith(script, push),
		}, "warning", "/js/w.js takes pushes", "migrate_from /js/w.js", "/pwa"},
		{"OneSignal where the page registers it", "", map[string]http.HandlerFunc{
			"/pwa": page(`<script>navigator.serviceWorker.register("/js/w.js")</script>`), "/js/w.js": answerWith(script, "OneSignalWorker()"),
		}, "warning", "onesignal is at /js/w.js", "migrate_from onesignal", "/pwa"},
		{"OneSignal's script in the page", "", map[string]http.HandlerFunc{"/os": page(`<script src="https://cdn.onesignal.com/sdks/web/v16/OneSignalSDK.page.js"></script>`)}, "warning", "script of onesignal", "migrate_from onesignal", "/os"},
		{"in the site's own worker", "", map[string]http.HandlerFunc{"/sw.js": answerWith(script, `importScripts("https://cdn.onesignal.com/x.js")`)}, "warning", "/sw.js", "remove the part of onesignal", "/"},
		{"the site's own worker", "", map[string]http.HandlerFunc{"/sw.js": answerWith(script, push)}, "ok", "no other", "", "/"},
		{"moved", "migrate_from onesignal", map[string]http.HandlerFunc{"/OneSignalSDKWorker.js": answerWith(script, "x")}, "ok", "no other", "", "/"},
		{"moved, and the script is still there", "migrate_from onesignal", map[string]http.HandlerFunc{"/os": page(`<script src="https://cdn.onesignal.com/x.js"></script>`)}, "ok", "no other", "", "/os"},
		{"dual run", "dual_run", map[string]http.HandlerFunc{"/OneSignalSDKWorker.js": answerWith(script, "x")}, "ok", "dual_run", "", "/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, site{options: tt.options, upstream: upstream(t, tt.routes)})
			report, _ := examine(t, s.url+tt.page)
			if !report.Healthy {
				t.Error("not healthy")
			}
			wantDiagnosis(t, report, "providers", tt.verdict, tt.finding, tt.cure)
			if tt.verdict == "ok" {
				wantDiagnosis(t, report, "providers", "", "", "")
			}
		})
	}
}

// TestDoctorNonce: the policy is added or replaced after us.
func TestDoctorNonce(t *testing.T) {
	n := 0
	policy := func(w http.ResponseWriter, text string) {
		w.Header().Set("Content-Security-Policy", text)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, pageHTML)
	}
	s := start(t, site{upstream: upstream(t, map[string]http.HandlerFunc{
		"/fresh": func(w http.ResponseWriter, _ *http.Request) {
			n++
			policy(w, fmt.Sprintf("script-src 'nonce-%06dAAAA' 'strict-dynamic'; worker-src 'self'", n))
		},
		"/constant": func(w http.ResponseWriter, _ *http.Request) {
			policy(w, "script-src 'nonce-c29tZXRoaW5n' 'strict-dynamic'; worker-src 'self'")
		},
		"/self": func(w http.ResponseWriter, _ *http.Request) { policy(w, "script-src 'self' 'nonce-c29tZXRoaW5n'") },
	})})
	report, _ := examine(t, s.url+"/fresh")
	wantDiagnosis(t, report, "nonce", "ok", "", "")
	report, _ = examine(t, s.url+"/constant")
	wantDiagnosis(t, report, "nonce", "warning", "same nonce", "no-store")
	for path, text := range map[string]string{
		"/":      "script-src 'nonce-bGF0ZXI=' 'strict-dynamic'; worker-src 'self'", // a CDN adds one
		"/fresh": "script-src 'nonce-bGF0ZXI='; worker-src 'self'",                  // or replaces it
	} {
		front := changed(t, s.url, path, func(h http.Header) { h.Set("Content-Security-Policy", text) })
		report, _ = examine(t, front+path)
		wantDiagnosis(t, report, "nonce", "problem", "our tag has", "before the page comes to webpush")
		if report.Healthy {
			t.Errorf("%s: healthy", path)
		}
	}
	front := changed(t, s.url, "/", func(h http.Header) { h.Set("Content-Security-Policy", "script-src 'self' 'nonce-bGF0ZXI='") })
	report, _ = examine(t, front+"/")
	wantDiagnosis(t, report, "nonce", "ok", "", "")
}

// TestEncodingServers: encode inside of webpush, found in the running configuration.
func TestEncodingServers(t *testing.T) {
	const inside, outside = true, false
	for _, tt := range []struct {
		name, global, sites string
		want                bool
	}{
		{"beside", "", ":80 {\n\tencode\n\twebpush\n\trespond x\n}", outside},
		{"by order", "order webpush before encode", ":80 {\n\tencode\n\twebpush\n\trespond x\n}", inside},
		{"in a route", "", ":80 {\n\troute {\n\t\twebpush\n\t\tencode\n\t\trespond x\n\t}\n}", inside},
		{"in a route, right", "", ":80 {\n\troute {\n\t\tencode\n\t\twebpush\n\t\trespond x\n\t}\n}", outside},
		{"in a handle inside", "", ":80 {\n\twebpush\n\thandle /a/* {\n\t\tencode\n\t\trespond x\n\t}\n}", inside},
		{"in another handle", "", ":80 {\n\thandle /a/* {\n\t\twebpush\n\t\trespond x\n\t}\n\thandle {\n\t\tencode\n\t\trespond x\n\t}\n}", outside},
		{"on another site", "", "a.example:80 {\n\twebpush\n\trespond x\n}\nb.example:80 {\n\tencode\n\trespond x\n}", outside},
		{"without us", "", ":80 {\n\tencode\n\trespond x\n}", outside},
	} {
		config := adaptJSON(t, "{\n\t"+tt.global+"\n}\n"+tt.sites)
		var all struct {
			Apps struct {
				HTTP struct{ Servers json.RawMessage }
			}
		}
		if err := json.Unmarshal(config, &all); err != nil {
			t.Fatal(err)
		}
		found, err := doctor.EncodingServers(all.Apps.HTTP.Servers)
		if err != nil || (len(found) > 0) != tt.want {
			t.Errorf("%s: %q, %v\n%s", tt.name, found, err, config)
		}
	}
}

// TestDoctorCompat: under compat our tag has no defer, and the provider's own script is not
// reported.
func TestDoctorCompat(t *testing.T) {
	s := start(t, site{options: "compat clevertap", upstream: upstream(t, map[string]http.HandlerFunc{
		"/ct": answerWith("text/html; charset=utf-8", `<!doctype html><title>x</title><script src="/js/sdk.js"></script><script src="https://static.clevertap.com/js/x.js"></script>`),
	})})
	for _, path := range []string{"/", "/ct"} {
		report, _ := examine(t, s.url+path)
		wantDiagnosis(t, report, "page", "ok", "/_webpush/sdk.js", "")
		wantDiagnosis(t, report, "providers", "ok", "no other", "")
		if !report.Healthy {
			t.Errorf("%s: not healthy", path)
		}
	}
}
