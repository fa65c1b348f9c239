package cachecontrol

import (
	"net/http"
	"testing"
)

func TestWhoKeeps(t *testing.T) {
	for _, tt := range []struct {
		name              string
		lines             []string
		noStore, unshared bool
	}{
		{"nothing", nil, false, false},
		{"public", []string{"Cache-Control", "public, max-age=60"}, false, false},
		{"private", []string{"Cache-Control", "max-age=60 , Private"}, false, true},
		{"private fields", []string{"Cache-Control", `private="set-cookie"`}, false, false},
		{"no-store", []string{"Cache-Control", "no-cache", "Cache-Control", "No-Store"}, true, true},
		{"no-store, but for a CDN", []string{"Cache-Control", "no-store", "CDN-Cache-Control", "max-age=60"}, false, false},
		{"no-store, but for one vendor's", []string{"Cache-Control", "private", "Netlify-CDN-Cache-Control", "public"}, false, false},
		{"surrogates", []string{"Cache-Control", "no-store", "Surrogate-Control", "max-age=5"}, false, false},
		{"nginx", []string{"Cache-Control", "no-store", "X-Accel-Expires", "60"}, false, false},
		{"both", []string{"Cache-Control", "private", "CDN-Cache-Control", "no-store"}, false, true},
		{"for CDNs alone", []string{"CDN-Cache-Control", "no-store"}, false, false},
		{"a longer word", []string{"Cache-Control", "no-stored, x-private"}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			for i := 0; i < len(tt.lines); i += 2 {
				h.Add(tt.lines[i], tt.lines[i+1])
			}
			if NoStore(h) != tt.noStore || Unshared(h) != tt.unshared {
				t.Errorf("no-store %t, unshared %t", NoStore(h), Unshared(h))
			}
			if Forbid(h); !NoStore(h) || !Unshared(h) || len(h) != 1 {
				t.Errorf("forbidden: %v", h)
			}
		})
	}
}
