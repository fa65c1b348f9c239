package httpapi_test

import (
	"bytes"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/web"
)

// checkedVisitors is the visitors' handler as tests have it: each answer is held against
// the document.
func checkedVisitors(t testing.TB, h http.Handler) http.Handler {
	if _, is := t.(*testing.B); is {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		action := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		seen := &seenAnswer{ResponseWriter: w}
		h.ServeHTTP(seen, r)
		if !httpapi.IsPublicAction(action) || r.Method != http.MethodPost {
			return
		}
		if err := readDocument().check(httpapi.DefaultPrefix+"/"+action, r.Method, seen.status, w.Header().Get("Content-Type"), seen.body.Bytes()); err != nil {
			t.Errorf("%s %s: the answer does not match the document: %v", r.Method, r.URL.Path, err)
		}
	})
}

// TestVisitorRoutes: the document has the routes that visitors' requests have, no more and
// no fewer, and the files answer as it says.
func TestVisitorRoutes(t *testing.T) {
	document := readDocument()
	var actions []string
	for path, operations := range document.tagged(true) {
		for method := range operations {
			if method == "post" {
				actions = append(actions, strings.TrimPrefix(path, httpapi.DefaultPrefix+"/"))
			}
		}
	}
	slices.Sort(actions)
	if want := httpapi.PublicActions(); !slices.Equal(actions, want) {
		t.Errorf("the document has the actions %q, want %q", actions, want)
	}
	f := newFixture(t)
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	var stored api.Upload
	f.do("POST", f.operator.URL+"/webpush/sites/"+siteA+"/uploads", picture.String(), "Content-Type", "image/png").read(t, http.StatusCreated, &stored)
	public := &httpapi.Public{Service: f.service, Logger: f.logger()}
	config := httpapi.SiteConfig{Site: siteA}
	files := map[string]http.HandlerFunc{
		"sdk":         func(w http.ResponseWriter, r *http.Request) { httpapi.ServeSDK(w, r, config) },
		"module":      func(w http.ResponseWriter, r *http.Request) { httpapi.ServeModule(w, r, "ui.js") },
		"worker":      func(w http.ResponseWriter, r *http.Request) { httpapi.ServeWorker(w, r, config) },
		"workerPart":  func(w http.ResponseWriter, r *http.Request) { httpapi.ServeWorkerPart(w, r, config) },
		"manifest":    func(w http.ResponseWriter, r *http.Request) { httpapi.ServeManifest(w, r, config) },
		"frame":       func(w http.ResponseWriter, r *http.Request) { httpapi.ServeFrame(w, r, "frame.html") },
		"frameScript": func(w http.ResponseWriter, r *http.Request) { httpapi.ServeFrame(w, r, "frame.js") },
		"image": func(w http.ResponseWriter, r *http.Request) {
			public.ServeUpload(w, r, httpapi.PublicSite{Name: siteA}, stored.Name)
		},
	}
	found := 0
	for path, operations := range document.tagged(true) {
		operation, has := operations["get"]
		if !has {
			continue
		}
		found++
		serve := files[operation.OperationID]
		if serve == nil {
			t.Errorf("no file of %s is tested", operation.OperationID)
			continue
		}
		r := httptest.NewRequest(http.MethodGet, "/?v="+web.Version(), nil)
		for _, status := range []int{http.StatusOK, http.StatusNotModified} {
			w := httptest.NewRecorder()
			serve(w, r)
			if err := document.check(path, http.MethodGet, w.Code, w.Header().Get("Content-Type"), w.Body.Bytes()); err != nil || w.Code != status {
				t.Errorf("%s: %d, %v", path, w.Code, err)
			}
			r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		}
	}
	if found != len(files) {
		t.Errorf("the document has %d files, want %d", found, len(files))
	}
}
