package caddymodule_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/doctor"
)

// examine runs the doctor on a page and returns its findings by check.
func examine(t *testing.T, address string) (doctor.Checkup, map[string]doctor.Diagnosis) {
	t.Helper()
	report, err := doctor.Examine(t.Context(), http.DefaultTransport, address)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]doctor.Diagnosis)
	for _, d := range report.Diagnoses {
		if old, ok := found[d.Check]; !ok || old.Verdict == "ok" {
			found[d.Check] = d
		}
	}
	return report, found
}

// TestDoctor examines sites with one illness each.
func TestDoctor(t *testing.T) {
	page := func(header map[string]string, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			for k, v := range header {
				w.Header().Set(k, v)
			}
			_, _ = io.WriteString(w, body)
		}
	}
	csp := func(policy string) http.HandlerFunc {
		return page(map[string]string{"Content-Security-Policy": policy}, pageHTML)
	}
	up := upstream(t, map[string]http.HandlerFunc{
		"/json":         page(map[string]string{"Content-Type": "application/json"}, "{}"),
		"/no-transform": page(map[string]string{"Cache-Control": "no-transform"}, pageHTML),
		"/utf16":        page(map[string]string{"Content-Type": "text/html; charset=utf-16"}, pageHTML),
		"/amp":          page(nil, "<!doctype html><html amp><head><title>x</title></head></html>"),
		"/strict":       csp("default-src 'self'"),
		"/no-script":    csp("script-src 'none'"),
		"/no-worker":    csp("script-src 'self'; worker-src 'none'"),
		"/no-manifest":  csp("default-src 'self'; manifest-src 'none'"),
		"/away":         func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
		"/own-manifest": page(nil, `<!doctype html><title>x</title><link rel=manifest href=/mine.json>`),
		"/mine.json":    page(map[string]string{"Content-Type": "application/manifest+json"}, `{"name":"x","display":"browser","icons":[{"src":"/x.png"}]}`),
		"/large":        page(nil, "<!doctype html><title>x</title><p>"+strings.Repeat("word ", 1000)),
	})
	s := start(t, site{options: "icon /icon.png", upstream: up})
	for _, tt := range []struct {
		path, check, verdict, has string
		healthy                   bool
	}{
		{"/", "page", "ok", "/_webpush/sdk.js", true},
		{"/", "worker", "ok", "/sw.js", true},
		{"/", "manifest", "ok", "/manifest.json", true},
		{"/", "endpoint", "ok", "", true},
		{"/", "secure", "ok", "this machine", true},
		{"/", "policy", "ok", "no Content-Security-Policy", true},
		{"/away", "page", "ok", "", true},
		{"/strict", "policy", "ok", "", true},
		{"/json", "page", "problem", "not-html", false},
		{"/no-transform", "page", "problem", "no-transform", false},
		{"/utf16", "page", "problem", "charset", false},
		{"/amp", "page", "problem", "amp", false},
		{"/nothing", "page", "problem", "404", false},
		{"/no-script", "page", "problem", "csp", false},
		{"/no-worker", "policy", "problem", "worker", false},
		{"/no-manifest", "policy", "warning", "manifest", true},
		{"/own-manifest", "manifest", "warning", "browser", true},
		{"/large", "compression", "warning", "uncompressed", true},
	} {
		t.Run(tt.path[1:]+" "+tt.check, func(t *testing.T) {
			report, found := examine(t, s.url+tt.path)
			d := found[tt.check]
			if string(d.Verdict) != tt.verdict || !strings.Contains(d.Finding, tt.has) || report.Healthy != tt.healthy {
				t.Errorf("healthy %v, %+v\nall: %+v", report.Healthy, d, report.Diagnoses)
			}
			if d.Verdict != "ok" && d.Cure == "" && tt.check != "page" {
				t.Errorf("no cure for %+v", d)
			}
		})
	}
}

// TestDoctorWithoutUs examines a site that webpush is not in front of.
func TestDoctorWithoutUs(t *testing.T) {
	_, found := examine(t, "http://"+upstream(t, nil)+"/")
	if d := found["page"]; d.Verdict != "problem" || !strings.Contains(d.Cure, "webpush") {
		t.Errorf("%+v", d)
	}
	if _, err := doctor.Examine(t.Context(), http.DefaultTransport, "http://127.0.0.1:1/"); err == nil {
		t.Error("no error if no server listens")
	}
}

// TestDoctorWorker: a worker that redirects or is not JavaScript.
func TestDoctorWorker(t *testing.T) {
	for name, worker := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
		"refused":  func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, site{upstream: upstream(t, map[string]http.HandlerFunc{"/sw.js": worker})})
			report, found := examine(t, s.url+"/")
			if d := found["worker"]; d.Verdict != "problem" || !strings.Contains(d.Cure, "worker /_webpush/sw.js") || report.Healthy {
				t.Errorf("%+v", d)
			}
		})
	}
}

// TestDoctorShutOut: where requests do not come to webpush, the cure is not a login.
func TestDoctorShutOut(t *testing.T) {
	up, root := upstream(t, nil), t.TempDir()
	for _, tt := range []struct{ block, path, check string }{
		{"handle_path /shop/* {\n\twebpush\n\treverse_proxy UPSTREAM\n}", "/shop/", "script"},
		{"webpush /\nrespond /_webpush/* none 404\nreverse_proxy / UPSTREAM", "/", "script"},
		{"handle /sw.js {\n\trespond none 404\n}\nhandle {\n\twebpush\n\treverse_proxy UPSTREAM\n}", "/", "worker"},
		{"handle /manifest.json {\n\trespond none 404\n}\nhandle {\n\twebpush\n\treverse_proxy UPSTREAM\n}", "/", "manifest"},
	} {
		s := startWritten(t, "", tt.block, up, root)
		_, found := examine(t, s.url+tt.path)
		if d := found[tt.check]; d.Verdict == "ok" || !strings.Contains(d.Cure, "handle_path") || !strings.Contains(d.Cure, "matcher") {
			t.Errorf("%s: %+v", tt.block, d)
		}
	}
}

// TestDoctorCaches: a proxy in front of Caddy has what is ours kept for long.
func TestDoctorCaches(t *testing.T) {
	s := start(t, site{options: "icon /icon.png", upstream: upstream(t, nil)})
	to, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ field, value, verdict string }{
		{"X-Other", "1", "ok"},
		{"Cache-Control", "public, max-age=3600", "ok"},
		{"Cache-Control", "public, max-age=31536000", "warning"},
		{"Cache-Control", "public, max-age=60, immutable", "warning"},
		{"CDN-Cache-Control", "s-maxage=31536000", "warning"},
	} {
		proxy := httputil.NewSingleHostReverseProxy(to)
		proxy.ModifyResponse = func(r *http.Response) error {
			if strings.HasSuffix(r.Request.URL.Path, ".js") {
				r.Header.Set(tt.field, tt.value)
			}
			return nil
		}
		front := httptest.NewServer(proxy)
		_, found := examine(t, front.URL+"/")
		for _, check := range []string{"script", "worker"} {
			if d := found[check]; string(d.Verdict) != tt.verdict || tt.verdict != "ok" && !strings.Contains(d.Cure, http.CanonicalHeaderKey(tt.field)) {
				t.Errorf("%s: %s: %+v", tt.value, check, d)
			}
		}
		front.Close()
	}
}
