package caddymodule_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestMigrate: visitors with a provider's worker get ours, and no page changes.
func TestMigrate(t *testing.T) {
	const theirs = "// the provider's"
	worker := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, theirs)
	}
	const wordpress = "/wp-content/plugins/onesignal-free-web-push-notifications/sdk_files/"
	up := upstream(t, map[string]http.HandlerFunc{
		"/OneSignalSDKWorker.js": worker, "/sw.js": worker, "/my/MyOneSignalSDKWorker.js": worker,
		wordpress + "OneSignalSDKWorker.js": worker, wordpress + "OneSignalSDKWorker.js.php": worker,
	})
	fetching := map[string]string{"Service-Worker": "script", "Sec-Fetch-Mode": "same-origin"}
	for _, tt := range []struct {
		name, options, path string
		header              map[string]string
		has, hasNot         string
	}{
		{"replaced", "migrate_from onesignal", "/OneSignalSDKWorker.js", fetching, `"standalone":true`, theirs},
		{"replaced with a query", "migrate_from onesignal", "/OneSignalSDKWorker.js?appId=1", fetching, `"standalone":true`, theirs},
		{"replaced where the site has none", "migrate_from onesignal", "/push/onesignal/OneSignalSDKWorker.js", fetching, `"standalone":true`, theirs},
		{"replaced in WordPress", "migrate_from onesignal", wordpress + "OneSignalSDKWorker.js?appId=1", fetching, `"standalone":true`, theirs},
		{"replaced in WordPress, the second generation", "migrate_from onesignal", wordpress + "OneSignalSDKWorker.js.php?appId=1&sdkVersion=151606", fetching, `"standalone":true`, theirs},
		{"replaced in WordPress, the updater", "migrate_from onesignal", wordpress + "OneSignalSDKUpdaterWorker.js.php", nil, `"standalone":true`, theirs},
		{"replaced in WordPress in a folder", "migrate_from onesignal", "/blog" + wordpress + "OneSignalSDKWorker.js", fetching, `"standalone":true`, theirs},
		{"replaced in Bedrock", "migrate_from onesignal", "/app/plugins/onesignal-free-web-push-notifications/sdk_files/OneSignalSDKWorker.js", fetching, `"standalone":true`, theirs},
		{"replaced in v16", "migrate_from onesignal", "/push/onesignal/OneSignalSDK.sw.js", fetching, `"standalone":true`, theirs},
		{"not what is called nearly so", "migrate_from onesignal", "/my/MyOneSignalSDKWorker.js", fetching, theirs + "\n;", `"standalone":true`},
		{"replaced by path", "migrate_from /OneSignalSDKWorker.js", "/OneSignalSDKWorker.js", nil, `"standalone":true`, theirs},
		{"given up", "migrate_from onesignal\nretire", "/OneSignalSDKWorker.js", fetching, "unregister", theirs},
		{"the site's own at our path", "migrate_from /sw.js", "/sw.js", fetching, theirs + "\n;", `"standalone":true`},
		{"another provider", "migrate_from clevertap", "/OneSignalSDKWorker.js", fetching, theirs + "\n;", `"standalone":true`},
		{"dual run", "migrate_from onesignal\ndual_run", "/OneSignalSDKWorker.js", fetching, theirs + "\n;", `"standalone":true`},
		{"ours in a dual run", "migrate_from onesignal\ndual_run", "/_webpush/sw.js", fetching, `"scope":"/_webpush/"`, theirs},
		{"no provider", "", "/OneSignalSDKWorker.js", nil, theirs, "webpush"},
		{"the SDK", "migrate_from clevertap /w.js", "/_webpush/sdk.js", nil, `"migrate":["clevertap","/w.js"],"vendorWorkers":["/clevertap_sw.js","/w.js"]`, `"dualRun":`},
		{"the SDK with CleverTap's API", "compat clevertap", "/_webpush/sdk.js", nil, `"vendorWorkers":["/clevertap_sw.js"]`, `"migrate":`},
		{"the SDK with OneSignal's API", "compat onesignal", "/_webpush/sdk.js", nil, `"compat":"onesignal"`, `"migrate":`},
		{"the worker with OneSignal's API", "compat onesignal", "/sw.js", fetching, `"webpush.tell"`, theirs + "\n;;"},
		{"replaced with OneSignal's API", "compat onesignal", wordpress + "OneSignalSDKWorker.js", fetching, `"webpush.tell"`, theirs},
		{"the worker with CleverTap's API", "compat clevertap", "/sw.js", fetching, `"compat":"clevertap"`, "webpush.tell"},
		{"the SDK in a dual run", "migrate_from clevertap\ndual_run", "/_webpush/sdk.js", nil, `"dualRun":true`, "clevertap_sw"},
		{"the SDK without", "", "/_webpush/sdk.js", nil, `"worker":"/sw.js"`, `"migrate":`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, site{options: tt.options, upstream: up})
			resp, body := s.request("GET", "a.example.com", tt.path, tt.header, "")
			if resp.StatusCode != 200 || !strings.Contains(body, tt.has) || strings.Contains(body, tt.hasNot) {
				t.Fatalf("status %d, %v\n%s", resp.StatusCode, resp.Header, body)
			}
			if strings.Contains(tt.has, "standalone") && resp.Header.Get("Service-Worker-Allowed") != "/" {
				t.Errorf("Service-Worker-Allowed: %q", resp.Header.Get("Service-Worker-Allowed"))
			}
		})
	}
}

// TestImportable: the site's own worker may import ours, which then handles only
// our events; a browser that registers ours directly gets the whole worker.
func TestImportable(t *testing.T) {
	up := upstream(t, nil)
	s := start(t, site{upstream: up})
	const address = "/_webpush/sw.js"
	resp, body := s.request("GET", "a.example.com", address, map[string]string{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "serviceworker"}, "")
	if resp.StatusCode != 200 || strings.Contains(body, "standalone\":") || !strings.Contains(body, `"site":"a.example.com"`) {
		t.Errorf("imported: %d\n%s", resp.StatusCode, body)
	}
	if got := resp.Header.Get("Content-Type") + ", " + resp.Header.Get("Cache-Control") + ", " + resp.Header.Get("Vary"); got != "text/javascript; charset=utf-8, no-cache, Service-Worker" {
		t.Errorf("header %s", got)
	}
	if _, body := s.request("GET", "a.example.com", address, map[string]string{"Service-Worker": "script"}, ""); !strings.Contains(body, `"standalone":true`) {
		t.Error("a worker that is registered is not ours alone")
	}
	s.load(adaptJSON(t, site{options: "retire", upstream: up}.caddyfile(s.db, s.port)))
	if resp, body := s.request("GET", "a.example.com", address, nil, ""); resp.StatusCode != 200 || strings.Contains(body, "addEventListener") {
		t.Errorf("given up: %d\n%s", resp.StatusCode, body)
	}
}

// TestPromptConfig: what the script gets for the prompt's options.
func TestPromptConfig(t *testing.T) {
	up := upstream(t, nil)
	for _, tt := range []struct{ name, prompt, want string }{
		// Then the script's own default applies: the second page.
		{"nothing", "", `"reject":"","askAgain":[604800]}`},
		{"at once", "after 0s", `"after":{},"askAgain":[604800]}`},
		{"first page", "after 1 page", `"after":{"pages":1},`},
		{
			"everything", "kind bell\nafter 3 pages\nafter 90s\nafter scroll 40%\nafter click .a\nafter event e\nafter exit\npaths /a*\nnot_paths /b\nask_again 3d 7d\nconsent .c",
			`"after":{"pages":3,"seconds":90,"scroll":40,"click":".a","event":"e","exit":true},"paths":{"in":["/a*"],"out":["/b"]},"askAgain":[259200,604800],"consent":".c"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, site{options: "prompt {\n" + tt.prompt + "\n}", upstream: up})
			_, body := s.request("GET", "a.example.com", "/_webpush/sdk.js", nil, "")
			if !strings.Contains(body, tt.want) || strings.Contains(body, `"compat":`) {
				t.Errorf("lacks %s in\n%s", tt.want, body[max(0, len(body)-900):])
			}
		})
	}
}
