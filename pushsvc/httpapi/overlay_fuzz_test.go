package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// FuzzOverlayWorker: whatever a site answers to a request for a worker, its script is whole and in
// front of ours, or it passes unchanged, or there was none and it is ours alone. Ours follows only
// a script's bytes.
func FuzzOverlayWorker(f *testing.F) {
	for _, seed := range []struct {
		status                      int
		contentType, encoding, body string
	}{
		{200, javascript, "", theirs},
		{200, "text/html", "", "<!DOCTYPE html>"},
		{404, "text/plain", "", "no"},
		{200, "application/javascript", "gzip", "\x1f\x8b"},
		{301, "", "", ""},
		{403, "", "", ""},
		{500, "text/html", "", "oops"},
		{206, javascript, "", "x"},
		{204, "", "", ""},
	} {
		f.Add(seed.status, seed.contentType, seed.encoding, seed.body, true, 3)
		f.Add(seed.status, seed.contentType, seed.encoding, seed.body, false, 1)
	}
	alone := served(httpapi.ServeWorker).Body.String()
	f.Fuzz(func(t *testing.T, status int, contentType, encoding, body string, own bool, split int) {
		if status < 200 || status > 599 {
			return
		}
		w := httptest.NewRecorder()
		err := worker(own)(w, httptest.NewRequest("GET", "/sw.js", nil), func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", contentType)
			if encoding != "" {
				w.Header().Set("Content-Encoding", encoding)
			}
			w.WriteHeader(status)
			at := min(max(split, 0), len(body))
			_, _ = w.Write([]byte(body[:at]))
			_, _ = w.Write([]byte(body[at:]))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got := w.Body.String()
		switch {
		case got == body && w.Code == status:
			if w.Header().Get("Content-Type") != contentType {
				t.Fatalf("%q became %q", contentType, w.Header().Get("Content-Type"))
			}
		case got == alone && own && w.Code == 200:
			if status >= 300 && status < 400 || status == 403 || status >= 500 {
				t.Fatalf("ours alone in the place of a %d", status)
			}
		case strings.HasPrefix(got, body+"\n;") && strings.Contains(got[len(body):], "notificationclick"):
			if status != 200 || encoding != "" && !strings.EqualFold(encoding, "identity") || !strings.Contains(strings.ToLower(contentType), "script") {
				t.Fatalf("ours after a %d of %q, %q", status, contentType, encoding)
			}
			if w.Header().Get("Content-Length") != "" || w.Header().Get("Etag") != "" {
				t.Fatal("the site's validators are on another body")
			}
		default:
			t.Fatalf("%d %q %q becomes %d %.80q", status, contentType, body, w.Code, got)
		}
	})
}
