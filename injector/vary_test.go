package injector

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestVary: an answer names what its request was decided by, if a cache may keep it and another request would
// get another answer.
func TestVary(t *testing.T) {
	in := newInjector(t, Options{Decode: true})
	document := []string{"Sec-Fetch-Dest", "document"}
	image := []string{"Sec-Fetch-Dest", "image"}
	fetch := []string{"Sec-Fetch-Dest", "empty", "Accept", "*/*"}
	for _, tt := range []struct {
		name       string
		ask, lines []string
		status     int
		body       string
		want       string // of the header's values, joined by "|"
	}{
		{"navigation", document, nil, 200, page, varyDest},
		{"with a field of the site's", document, []string{"Vary", "Cookie"}, 200, page, "Cookie|" + varyDest},
		{"with ours", document, []string{"Vary", "Cookie, sec-fetch-dest"}, 200, page, "Cookie, sec-fetch-dest"},
		{"by everything", document, []string{"Vary", "*"}, 200, page, "*"},
		{"no-store", document, []string{"Cache-Control", "no-store"}, 200, page, ""},
		{"no-store, but for a CDN", document, []string{"Cache-Control", "no-store", "CDN-Cache-Control", "max-age=9"}, 200, page, varyDest},
		{"private", document, []string{"Cache-Control", "private"}, 200, page, varyDest},
		{"left alone for all", document, []string{"Cache-Control", "no-transform"}, 200, page, ""},
		{"data", document, []string{"Content-Type", "application/json"}, 200, "{}", ""},
		{"a worker's fetch", fetch, nil, 200, page, varyFetch},
		{"a worker's fetch, part of a page", fetch, nil, 200, "<p>x", varyFetch},
		{"curl", nil, nil, 200, page, varyAll},
		{"curl, coded", nil, []string{"Content-Encoding", "gzip"}, 200, encode(t, "gzip", page), varyAll},
		{"a script for data", []string{"Sec-Fetch-Dest", "empty", "Accept", "application/json"}, nil, 200, page, varyCoded},
		{"a worker that passes a navigation on", []string{"Sec-Fetch-Dest", "empty", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}, nil, 200, page, varyCoded},
		{"image", image, nil, 200, page, varyDest},
		{"image, of any status", image, nil, 404, page, varyDest},
		{"image, really", image, []string{"Content-Type", "image/png"}, 200, "x", ""},
		{"image, left alone for all", image, []string{"Content-Disposition", "attachment"}, 200, page, ""},
		{"image, away", image, nil, 302, page, ""},
		{"upgrade", []string{"Upgrade", "h2c", "Connection", "Upgrade"}, nil, 200, page, varyUpgrade},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				for _, implicit := range []bool{true, false} {
					r := request(tt.ask...)
					r.Method = method
					rec := httptest.NewRecorder()
					handler(in, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Content-Type", htmlType)
						for i := 0; i < len(tt.lines); i += 2 {
							w.Header().Set(tt.lines[i], tt.lines[i+1])
						}
						if tt.status != 200 || !implicit {
							w.WriteHeader(tt.status)
						}
						if implicit {
							_, _ = io.Copy(w, iotestOneByte{strings.NewReader(tt.body)})
						} else {
							_, _ = io.WriteString(w, tt.body)
						}
					}), nil).ServeHTTP(rec, r)
					got := strings.Join(rec.Result().Header["Vary"], "|")
					if got != tt.want {
						t.Errorf("%s, implicit %t: Vary %q, want %q", method, implicit, got, tt.want)
					}
				}
			}
		})
	}
}

// TestVaryNotModified: a 304 for a page of ours names the same.
func TestVaryNotModified(t *testing.T) {
	in := newInjector(t, Options{})
	r := navigation()
	r.Header.Set("If-None-Match", `"v1`+in.suffix+`"`)
	if rec, _ := response(t, in, r, 304, headers("Etag", `"v1"`), "", 1); rec.Header().Get("Vary") != varyDest {
		t.Errorf("header %v", rec.Header())
	}
}

// TestVaryLater: later changes of the header keep our field.
func TestVaryLater(t *testing.T) {
	in := newInjector(t, Options{})
	w := in.NewWriter(httptest.NewRecorder(), navigation())
	l := &varied{}
	w.SetLater(l)
	send(t, w, headers("Content-Type", htmlType), page, 99)
	if !slices.Equal(l.kept, []string{"Origin", varyDest, "Accept-Encoding"}) {
		t.Errorf("kept %q", l.kept)
	}
}

type varied struct{ kept []string }

func (l *varied) Preview(_ int, h http.Header) http.Header {
	h = h.Clone()
	h.Set("Vary", "Origin")
	return h
}

func (l *varied) Keep(field string, values []string) {
	if field == "Vary" {
		l.kept = values
	}
}
