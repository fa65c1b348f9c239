package injector_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/injector"
)

// later sets a field when the header is sent, unless it is kept.
type later struct {
	name, value string
	kept        http.Header
}

func (l *later) Preview(_ int, h http.Header) http.Header {
	h = h.Clone()
	h.Set(l.name, l.value)
	return h
}

func (l *later) Keep(field string, values []string) { l.kept = http.Header{field: values} }

// TestLater: the header as sent decides, not the one that came with the page.
func TestLater(t *testing.T) {
	for _, tt := range []struct {
		name, value, page string
		want              injector.Reason
		has               string // in the kept policy
	}{
		{"Cache-Control", "no-transform", "text/html", injector.ReasonNoTransform, ""},
		{"Content-Disposition", "attachment", "text/html", injector.ReasonAttachment, ""},
		{"Content-Security-Policy", "sandbox", "text/html", injector.ReasonCSP, ""},
		{"Content-Security-Policy", "script-src 'none'", "text/html", injector.ReasonInjected, "script-src-elem example.com/p/"},
		{"Content-Security-Policy", "script-src 'none'", "", injector.ReasonInjected, "script-src-elem example.com/p/"},
		{"Content-Type", "text/plain", "", injector.ReasonNotHTML, ""},
		{"X-Webpush", "", "text/html", injector.ReasonAlready, ""},
	} {
		in, err := injector.New(injector.Options{Snippet: injector.Snippet{Script: "/p/s.js"}, Modules: true, CSPExtend: true, Uses: injector.Addresses{Connect: "/p/"}})
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		w := in.NewWriter(rec, httptest.NewRequest("GET", "https://example.com/", nil))
		l := &later{name: tt.name, value: tt.value}
		w.SetLater(l)
		if tt.page != "" {
			w.Header().Set("Content-Type", tt.page)
		}
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>x</title><p>x")
		if err := w.Finish(); err != nil || w.Reason() != tt.want {
			t.Errorf("%s %s: %q, %v; want %q", tt.name, tt.value, w.Reason(), err, tt.want)
		}
		if got := l.kept.Get("Content-Security-Policy"); !strings.Contains(got, tt.has) || (got == "") != (tt.has == "") {
			t.Errorf("%s %s: kept %q", tt.name, tt.value, got)
		}
	}
}
