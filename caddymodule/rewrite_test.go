package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// TestRewrites: a single-page site as documented by Caddy has try_files, which
// runs before us and changes every path to the page's; our paths still answer.
func TestRewrites(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "index.html"), []byte(pageHTML), 0o600); err != nil {
		t.Fatal(err)
	}
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, pageHTML)
	}
	s := start(t, site{chain: "root " + root + "\n\ttry_files {path} /index.html", upstream: upstream(t, map[string]http.HandlerFunc{"/index.html": page})})
	for path, kind := range map[string]string{
		"/_webpush/sdk.js": "text/javascript", "/sw.js": "text/javascript", "/manifest.json": "application/manifest+json",
	} {
		resp, body := s.request("GET", "a.example.com", path, nil, "")
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(got, kind) {
			t.Errorf("%s: %d %q %.60s", path, resp.StatusCode, got, body)
		}
	}
	if resp, body := s.subscribe("a.example.com", caddytest.Subscription(t, "https://fcm.googleapis.com/fcm/send/spa")); resp.StatusCode != http.StatusCreated {
		t.Errorf("subscribe: %d %s", resp.StatusCode, body)
	}
	if _, body := s.page("a.example.com", "/some/route"); !strings.Contains(body, "/_webpush/sdk.js") {
		t.Errorf("a route's page has no script:\n%s", body)
	}
}

// TestRewritesProviders: providers' paths are recognised by the address that the
// browser requested, whatever a rewrite has made of it.
func TestRewritesProviders(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "index.html"), []byte(pageHTML), 0o600); err != nil {
		t.Fatal(err)
	}
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, pageHTML)
	}
	up := upstream(t, map[string]http.HandlerFunc{"/index.html": page, "/index.php": page, "/front": page, "/thank-you/a": page, "/shop/thank-you/a": page})
	for _, tt := range []struct{ name, chain string }{
		{"none", ""},
		{"try_files", "root " + root + "\n\ttry_files {path} /index.html"},
		{"rewrite", "rewrite /index.php"},
		{"rewrite with a query", "rewrite * /index.php?p={path}&{query}"},
		{"uri", "uri path_regexp ^/.*$ /front"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, site{chain: tt.chain, options: `migrate_from onesignal /js/their-worker.js
	compat clevertap
	event Charged /thank-you* {
		prop page {path}
	}
	event Never /index.*
	event Other {
		not path /thank-you*
	}`, upstream: up})
			for _, path := range []string{"/OneSignalSDKWorker.js", "/js/their-worker.js", "/clevertap_sw.js"} {
				for _, header := range []map[string]string{nil, {"Service-Worker": "script", "Sec-Fetch-Mode": "same-origin"}} {
					resp, body := s.request("GET", "a.example.com", path+"?appId=1", header, "")
					if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"standalone":true`) {
						t.Errorf("%s %v: %d %q %.60s", path, header, resp.StatusCode, resp.Header.Get("Content-Type"), body)
					}
				}
			}
			c := s.visitor("01")
			header := map[string]string{"Cookie": "__webpush=" + c.Value}
			for k, v := range caddytest.Navigation {
				header[k] = v
			}
			if resp, body := s.request("GET", "a.example.com", "/thank-you/a", header, ""); resp.StatusCode != 200 {
				t.Fatalf("the page: %d %s", resp.StatusCode, body)
			}
			_, history := person(t, s.stopped(), c.Value)
			var recorded []string
			for _, e := range history {
				recorded = append(recorded, fmt.Sprint(e.Name, e.Props["page"]))
			}
			if got := strings.Join(recorded, " "); !strings.Contains(got, "Charged/thank-you/a") || strings.Contains(got, "Never") || strings.Contains(got, "Other") {
				t.Errorf("events %q", got)
			}
		})
	}
}

// TestRewritesBelowHandlePath: the prefix that handle_path removes is not part of
// an event's path, whatever try_files does later.
func TestRewritesBelowHandlePath(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "index.html"), []byte(pageHTML), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, rewrite := range []string{"", "try_files {path} /index.html"} {
		s := startWritten(t, "", `handle_path /shop/* {
		root ROOT
		`+rewrite+`
		webpush {
			prefix /shop/_webpush
			worker /shop/sw.js
			manifest /shop/manifest.json
			event Charged /thank-you*
			event Never /shop/*
		}
		try_files {path} /index.html
		file_server
	}`, "", root)
		resp, body := s.request("POST", "a.example.com", "/shop/_webpush/events", caddytest.Posting, `{"batch":"AAAAAAAAAAAAAAAAAAA01A","events":[{"type":"event","name":"Hello"}]}`)
		if len(resp.Cookies()) != 1 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		cookie := resp.Cookies()[0].Value
		header := map[string]string{"Cookie": "__webpush=" + cookie}
		for k, v := range caddytest.Navigation {
			header[k] = v
		}
		if resp, body := s.request("GET", "a.example.com", "/shop/thank-you/1", header, ""); resp.StatusCode != 200 || !strings.Contains(body, "/shop/_webpush/sdk.js") {
			t.Fatalf("the page: %d %s", resp.StatusCode, body)
		}
		_, history := person(t, s.stopped(), cookie)
		var names []string
		for _, e := range history {
			names = append(names, e.Name)
		}
		if got := strings.Join(names, " "); !strings.Contains(got, "Charged") || strings.Contains(got, "Never") {
			t.Errorf("%q: events %q", rewrite, got)
		}
	}
}
