package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// TestUploads: an image's type is read from its bytes, and an image can't run anything.
func TestUploads(t *testing.T) {
	f := newFixture(t)
	post := func(data, contentType string) answer {
		t.Helper()
		return f.do("POST", f.operator.URL+"/webpush/sites/"+siteA+"/uploads", data, "Content-Type", contentType)
	}
	endings := map[string]string{
		"\x89PNG\r\n\x1a\n...":         ".png",
		"\xff\xd8\xff\xe0":             ".jpg",
		"GIF89a<script>alert(1)":       ".gif",
		"RIFF\x00\x00\x00\x00WEBPVP8 ": ".webp",
		"\x00\x00\x00\x1cftypavif":     ".avif",
	}
	for data, ending := range endings {
		var u struct{ Name, Type, Path, Address string }
		a := post(data, "application/octet-stream")
		if err := json.Unmarshal([]byte(a.body), &u); err != nil || a.status != 201 || !strings.HasSuffix(u.Name, ending) || u.Path != "i/"+u.Name || u.Address != "/push/"+u.Path {
			t.Fatalf("%q: %d %s", data, a.status, a.body)
		}
		again := post(data, "image/png")
		if again.status != 201 || again.body != a.body {
			t.Errorf("once more: %d %s", again.status, again.body)
		}
		name, ok := httpapi.UploadName(u.Path)
		if !ok || name != u.Name {
			t.Errorf("%s is no upload's path", u.Path)
		}
		w := httptest.NewRecorder()
		(&httpapi.Public{Service: f.service, Logger: f.logger()}).ServeUpload(w, httptest.NewRequest("GET", "/_webpush/"+u.Path, nil), httpapi.PublicSite{Name: siteA}, name)
		for header, want := range map[string]string{
			"Content-Type": u.Type, "X-Content-Type-Options": "nosniff", "Cache-Control": "public, max-age=31536000, immutable",
			"Content-Security-Policy": "default-src 'none'; sandbox",
		} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		if w.Code != 200 || w.Body.String() != data {
			t.Errorf("%d %q", w.Code, w.Body)
		}
	}
	for data, contentType := range map[string]string{
		`<svg xmlns="http://www.w3.org/2000/svg"/>`: "image/png", "<html>": "image/gif", "": "image/webp", "RIFF": "image/webp", "\x00\x00": "image/avif",
	} {
		if a := post(data, contentType); a.status != 400 {
			t.Errorf("%q: %d %s", data, a.status, a.body)
		}
	}
	if a := post("\x89PNG\r\n\x1a\n", "image/svg+xml"); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("%d", a.status)
	}
	if a := post("\x89PNG\r\n\x1a\n"+strings.Repeat("x", popup.MaxUploadSize), "image/png"); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", a.status)
	}
	var list struct{ Uploads []struct{ Name string } }
	if err := json.Unmarshal([]byte(f.api("GET", siteA, "/uploads", "").body), &list); err != nil || len(list.Uploads) != len(endings) {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, path := range []string{"i/", "i/x.svg", "i/../keys.png", "x.png", "i/a/b.png"} {
		if _, ok := httpapi.UploadName(path); ok {
			t.Errorf("%s is taken for an upload", path)
		}
	}
	if a := f.api("DELETE", siteA, "/uploads/"+list.Uploads[0].Name, ""); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	w := httptest.NewRecorder()
	(&httpapi.Public{Service: f.service, Logger: f.logger()}).ServeUpload(w, httptest.NewRequest("GET", "/x", nil), httpapi.PublicSite{Name: siteA}, list.Uploads[0].Name)
	if w.Code != 404 {
		t.Errorf("a deleted one: %d", w.Code)
	}
}
