package caddymodule_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRewrites: a single-page site as Caddy documents it has try_files, which runs
// before us and makes every path the page's; what is ours is found all the same.
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
	if resp, body := s.subscribe("a.example.com", subscription(t, "https://fcm.googleapis.com/fcm/send/spa")); resp.StatusCode != http.StatusCreated {
		t.Errorf("subscribe: %d %s", resp.StatusCode, body)
	}
	if _, body := s.page("a.example.com", "/some/route"); !strings.Contains(body, "/_webpush/sdk.js") {
		t.Errorf("a route's page has no script:\n%s", body)
	}
}
