package httpapi_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/web"
)

// TestServeFrame checks what keeps custom HTML of pop-ups out of the site's origin, and what a
// header for the whole site would break.
func TestServeFrame(t *testing.T) {
	for _, tt := range []struct{ target, contentType, cache, resource string }{
		{"/frame.html", "text/html; charset=utf-8", "public, max-age=60", "same-origin"},
		{"/frame.html?v=" + web.Version(), "text/html; charset=utf-8", "public, max-age=31536000, immutable", "same-origin"},
		{"/frame.js?v=old", javascript, "public, max-age=60", "cross-origin"},
		{"/frame.js?v=" + web.Version(), javascript, "public, max-age=31536000, immutable", "cross-origin"},
	} {
		r := httptest.NewRequest("GET", tt.target, nil)
		w := httptest.NewRecorder()
		w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
		w.Header().Set("X-Frame-Options", "DENY")
		name := strings.TrimPrefix(r.URL.Path, "/")
		if !httpapi.IsFrame(name) {
			t.Errorf("%s: unknown", name)
		}
		httpapi.ServeFrame(w, r, name)
		got := w.Header()
		if w.Code != 200 || got.Get("Content-Type") != tt.contentType || got.Get("Cache-Control") != tt.cache ||
			got.Get("Cross-Origin-Resource-Policy") != tt.resource || got.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", tt.target, w.Code, got)
		}
		if name != "frame.html" {
			continue
		}
		policy := got.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "sandbox allow-scripts") || !strings.HasSuffix(policy, "; frame-ancestors 'self'") ||
			strings.Contains(policy, "allow-same-origin") || strings.Contains(policy, "top-navigation") || got.Get("X-Frame-Options") != "SAMEORIGIN" {
			t.Errorf("the frame's policy is %q, X-Frame-Options %q", policy, got.Get("X-Frame-Options"))
		}
	}
	for _, name := range []string{"", "frame", "frame.htm", "sdk.js", "../frame.html"} {
		if httpapi.IsFrame(name) {
			t.Errorf("%q is taken for the frame", name)
		}
	}
}
