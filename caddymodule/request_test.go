package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// asWorker and the others are the headers of browsers that Handler reads.
var (
	asWorker   = http.Header{"Service-Worker": {"script"}, "Sec-Fetch-Mode": {"same-origin"}}
	asImport   = http.Header{"Service-Worker": {"script"}, "Sec-Fetch-Mode": {"no-cors"}}
	asManifest = http.Header{"Sec-Fetch-Dest": {"manifest"}}
	asPage     = http.Header{"Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Mode": {"navigate"}}
)

// TestClassify: what a request is for, by its method, path and headers alone.
func TestClassify(t *testing.T) {
	plain := paths{prefix: "/_webpush", worker: "/sw.js", manifest: "/manifest.json", providers: []string{"*/OneSignalSDKWorker.js", "/clevertap_sw.js"}}
	retired := plain
	retired.retire = true
	dual := paths{prefix: "/_webpush", worker: "/_webpush/sw.js", manifest: "/_webpush/app.json"}
	dualRetired := dual
	dualRetired.retire = true
	taken := paths{prefix: "/_webpush", worker: "/clevertap_sw.js", manifest: "/OneSignalSDKWorker.js", providers: plain.providers}

	for _, tt := range []struct {
		name         string
		paths        *paths
		method, path string
		header       http.Header
		want         request
	}{
		{"a page", &plain, "GET", "/", asPage, request{kind: kindPage}},
		{"the prefix alone", &plain, "GET", "/_webpush", nil, request{kind: kindPage}},
		{"a path that begins like the prefix", &plain, "GET", "/_webpush2/sdk.js", nil, request{kind: kindPage}},

		{"the worker", &plain, "GET", "/sw.js", asWorker, request{kind: kindWorker}},
		{"the worker, in a tab", &plain, "HEAD", "/sw.js", asPage, request{kind: kindWorker}},
		{"a post to the worker's path", &plain, "POST", "/sw.js", nil, request{kind: kindPage}},
		{"the manifest", &plain, "GET", "/manifest.json", asManifest, request{kind: kindManifest}},
		{"the manifest, asked for as a worker", &plain, "GET", "/manifest.json", asWorker, request{kind: kindManifest}},
		{"another worker", &plain, "GET", "/js/own.js", asWorker, request{kind: kindSiteWorker, varies: true}},
		{"another worker, of a browser without Fetch Metadata", &plain, "GET", "/js/own.js", http.Header{"Service-Worker": {"script"}}, request{kind: kindSiteWorker, varies: true}},
		{"a script that a worker imports", &plain, "GET", "/js/part.js", asImport, request{kind: kindPage, varies: true}},
		{"a post with a worker's header", &plain, "POST", "/js/own.js", asWorker, request{kind: kindPage, varies: true}},
		{"another manifest", &plain, "GET", "/site.webmanifest", asManifest, request{kind: kindSiteManifest}},
		{"a provider's worker", &plain, "GET", "/push/onesignal/OneSignalSDKWorker.js", nil, request{kind: kindWorkerAlone}},
		{"a provider's worker, fetched as one", &plain, "GET", "/clevertap_sw.js", asWorker, request{kind: kindWorkerAlone, varies: true}},
		{"a post to a provider's worker", &plain, "POST", "/clevertap_sw.js", nil, request{kind: kindPage}},

		{"the worker at a provider's path", &taken, "GET", "/clevertap_sw.js", asWorker, request{kind: kindWorker}},
		{"the manifest at a provider's path", &taken, "GET", "/OneSignalSDKWorker.js", asManifest, request{kind: kindWorkerAlone}},

		{"the worker below the prefix", &dual, "GET", "/_webpush/sw.js", asWorker, request{kind: kindWorkerAlone}},
		{"the manifest below the prefix", &dual, "GET", "/_webpush/app.json", asManifest, request{kind: kindManifestAlone}},
		{"a post to the worker below the prefix", &dual, "POST", "/_webpush/sw.js", nil, request{kind: kindPage}},

		{"the worker, retired", &retired, "GET", "/sw.js", asWorker, request{kind: kindWorker}},
		{"the manifest, retired", &retired, "GET", "/manifest.json", asManifest, request{kind: kindPage}},
		{"another worker, retired", &retired, "GET", "/js/own.js", asWorker, request{kind: kindPage, varies: true}},
		{"another manifest, retired", &retired, "GET", "/site.webmanifest", asManifest, request{kind: kindPage}},
		{"a provider's worker, retired", &retired, "GET", "/clevertap_sw.js", nil, request{kind: kindWorkerAlone}},
		{"the worker below the prefix, retired", &dualRetired, "GET", "/_webpush/sw.js", asWorker, request{kind: kindWorkerAlone}},
		{"the manifest below the prefix, retired", &dualRetired, "GET", "/_webpush/app.json", asManifest, request{kind: kindManifestRetired}},

		{"the SDK", &plain, "GET", "/_webpush/sdk.js", nil, request{kind: kindSDK, action: "sdk.js"}},
		{"the SDK, retired", &retired, "GET", "/_webpush/sdk.js", nil, request{kind: kindSDK, action: "sdk.js"}},
		{"a module", &plain, "GET", "/_webpush/ui.js", nil, request{kind: kindModule, action: "ui.js"}},
		{"a frame's page", &plain, "GET", "/_webpush/frame.html", nil, request{kind: kindFrame, action: "frame.html"}},
		{"the importable worker, imported", &plain, "GET", "/_webpush/sw.js", asImport, request{kind: kindImportedWorker, action: "sw.js"}},
		{"the importable worker, registered", &plain, "GET", "/_webpush/sw.js", asWorker, request{kind: kindPrefixWorker, action: "sw.js"}},
		{"a picture", &plain, "GET", "/_webpush/i/0f.png", nil, request{kind: kindUpload, action: "0f.png"}},
		{"a picture, retired", &retired, "GET", "/_webpush/i/0f.png", nil, request{kind: kindUpload, action: "0f.png"}},
		{"a subscription", &plain, "POST", "/_webpush/subscribe", nil, request{kind: kindAction, action: "subscribe"}},
		{"a subscription, retired", &retired, "POST", "/_webpush/subscribe", nil, request{kind: kindActionRetired, action: "subscribe"}},
		{"an unsubscription, retired", &retired, "POST", "/_webpush/unsubscribe", nil, request{kind: kindAction, action: "unsubscribe"}},
		{"nothing of ours", &plain, "GET", "/_webpush/nothing", nil, request{kind: kindUnknown, action: "nothing"}},
		{"a worker below the prefix that is not ours", &plain, "GET", "/_webpush/other.js", asWorker, request{kind: kindUnknown, action: "other.js"}},
	} {
		if got := tt.paths.classify(tt.method, tt.path, tt.header); got != tt.want {
			t.Errorf("%s: %s %s is %+v, not %+v", tt.name, tt.method, tt.path, got, tt.want)
		}
	}
}

// TestSamples: each request that must reach the handler is one that it answers.
func TestSamples(t *testing.T) {
	for _, retire := range []bool{false, true} {
		p := paths{prefix: "/_webpush", worker: "/sw.js", manifest: "/manifest.json", providers: []string{"*/OneSignalSDKWorker.js", "/clevertap_sw.js"}, retire: retire}
		for _, s := range p.samples() {
			if got := p.classify(s.method, s.path, nil); got.kind == kindPage || got.kind == kindUnknown {
				t.Errorf("retire %t: %s %s is of kind %d", retire, s.method, s.path, got.kind)
			}
			if !p.has(s.path) {
				t.Errorf("%s is not among the handler's paths", s.path)
			}
		}
	}
}

// TestVisitorRoutes: the requests that the API's document has of visitors are ours, each
// of a kind of its own or of a public action.
func TestVisitorRoutes(t *testing.T) {
	p := paths{prefix: "/_webpush", worker: "/sw.js", manifest: "/manifest.json"}
	want := map[string]requestKind{
		"subscribe": kindAction, "unsubscribe": kindAction, "reportEvents": kindAction, "askForPopups": kindAction,
		"sdk": kindSDK, "module": kindModule, "worker": kindWorker, "workerPart": kindImportedWorker, "manifest": kindManifest,
		"frame": kindFrame, "frameScript": kindFrame, "image": kindUpload,
	}
	for _, r := range httpapi.Routes {
		path := strings.NewReplacer("{module}", "ui.js", "{name}", "0123456789abcdef.png").Replace(r.Path)
		if got := p.classify(r.Method, path, nil); want[r.Name] == kindPage || got.kind != want[r.Name] {
			t.Errorf("%s %s is of kind %d, want %d", r.Method, path, got.kind, want[r.Name])
		}
		delete(want, r.Name)
	}
	if len(want) > 0 {
		t.Errorf("the document lacks %v", want)
	}
}
