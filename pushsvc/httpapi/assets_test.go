package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/web"
)

// TestServe checks the headers of what we serve.
func TestServe(t *testing.T) {
	for _, tt := range []struct {
		name, contentType, cache string
		serve                    func(http.ResponseWriter, *http.Request, httpapi.SiteConfig)
	}{
		{"sdk", javascript, "public, max-age=60", httpapi.ServeSDK},
		{"worker", javascript, "no-cache", httpapi.ServeWorker},
		{"manifest", "application/manifest+json", "public, max-age=300", httpapi.ServeManifest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := served(tt.serve)
			for name, want := range map[string]string{
				"Content-Type": tt.contentType, "Cache-Control": tt.cache,
				"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if !regexp.MustCompile(`^"[A-Za-z0-9_-]{16}"$`).MatchString(w.Header().Get("Etag")) {
				t.Errorf("ETag: %s", w.Header().Get("Etag"))
			}
			for _, forbidden := range []string{"__WEBPUSH_CONFIG__", "</script>"} {
				if strings.Contains(w.Body.String(), forbidden) {
					t.Errorf("the body has %q", forbidden)
				}
			}
			other := httptest.NewRecorder()
			c := config()
			c.Name = "Other"
			tt.serve(other, httptest.NewRequest("GET", "/", nil), c)
			if other.Header().Get("Etag") == w.Header().Get("Etag") {
				t.Error("other settings, same ETag")
			}
			post := httptest.NewRecorder()
			tt.serve(post, httptest.NewRequest("POST", "/", nil), c)
			if post.Code != 405 || post.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("POST: %d, Allow: %q", post.Code, post.Header().Get("Allow"))
			}
		})
	}
	if got := served(httpapi.ServeWorker).Header().Get("Service-Worker-Allowed"); got != "/" {
		t.Errorf("Service-Worker-Allowed: %q", got)
	}
}

// TestServeConfig pins the config object that the scripts get.
func TestServeConfig(t *testing.T) {
	c := httpapi.SiteConfig{
		Version: "1", Site: siteA, Name: "<&>\u2028", Icon: "/icon.png", Key: "K", Prefix: "/_webpush", Worker: "/sw.js", Scope: "/",
		Prompt: httpapi.PromptConfig{Title: "T", Color: "#0b6bcb", After: &httpapi.PromptAfter{Pages: 2}, AskAgain: []int64{604800}},
	}
	want := `{"version":"1","site":"a.example","name":"\u003c\u0026\u003e\u2028","icon":"/icon.png","key":"K","prefix":"/_webpush","worker":"/sw.js","scope":"/",` +
		`"prompt":{"title":"T","body":"","accept":"","reject":"","color":"#0b6bcb","after":{"pages":2},"askAgain":[604800]}`
	for name, tt := range map[string]struct {
		serve func(http.ResponseWriter, *http.Request, httpapi.SiteConfig)
		want  string
	}{
		"sdk": {httpapi.ServeSDK, want + `}`}, "worker": {httpapi.ServeWorker, want + `,"standalone":true}`},
	} {
		w := httptest.NewRecorder()
		tt.serve(w, httptest.NewRequest("GET", "/", nil), c)
		if !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("the %s does not contain %s", name, tt.want)
		}
	}
}

func TestServeManifestNames(t *testing.T) {
	for name, want := range map[string]string{"Acme": "Acme", "": siteA} {
		w := httptest.NewRecorder()
		c := config()
		c.Name, c.Icon = name, ""
		httpapi.ServeManifest(w, httptest.NewRequest("GET", "/", nil), c)
		var m map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		if m["name"] != want || m["display"] != "standalone" || m["start_url"] != "/" || m["icons"] != nil {
			t.Errorf("manifest %s", w.Body)
		}
	}
}

func TestWriteUnavailable(t *testing.T) {
	w := httptest.NewRecorder()
	exchange.WriteUnavailable(w)
	a := answer{w.Code, w.Header(), w.Body.String()}
	if a.problem(t); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// TestServeModule: a module that the SDK requests by its version may be cached for ever.
func TestServeModule(t *testing.T) {
	for _, name := range []string{"ui.js", "compat.js"} {
		if !httpapi.IsModule(name) {
			t.Errorf("%s is not served", name)
			continue
		}
		for query, want := range map[string]string{
			"?v=" + web.Version(): "public, max-age=31536000, immutable",
			"?v=00000000":         "public, max-age=60",
			"":                    "public, max-age=60",
		} {
			w := httptest.NewRecorder()
			httpapi.ServeModule(w, httptest.NewRequest("GET", "/_webpush/"+name+query, nil), name)
			h := w.Header()
			if w.Code != 200 || w.Body.Len() == 0 || h.Get("Content-Type") != javascript || h.Get("Cache-Control") != want {
				t.Errorf("%s%s: %d %v", name, query, w.Code, h)
			}
			again := httptest.NewRequest("GET", "/_webpush/"+name+query, nil)
			again.Header.Set("If-None-Match", h.Get("Etag"))
			w = httptest.NewRecorder()
			if httpapi.ServeModule(w, again, name); w.Code != http.StatusNotModified {
				t.Errorf("%s with its own ETag: %d", name, w.Code)
			}
		}
	}
	for _, name := range []string{"", "sdk.js", "sw.js", "retire.js", "../web.go"} {
		w := httptest.NewRecorder()
		if httpapi.ServeModule(w, httptest.NewRequest("GET", "/", nil), name); httpapi.IsModule(name) || w.Code != 404 {
			t.Errorf("%q: %d", name, w.Code)
		}
	}
}
