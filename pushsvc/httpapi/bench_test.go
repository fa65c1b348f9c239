package httpapi_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// batchBody is what the SDK posts for n events.
func batchBody(batch string, events int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"batch":%q,"session":%q,"sent":1795449600000,"events":[`, batch, random(1))
	for i := range events {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"event","name":"Product viewed","props":{"sku":"A-%d","category":"Books","price":19.9,"quantity":%d},"time":%d}`,
			1000+i, 1+i%3, 1795449600000-i)
	}
	b.WriteString("]}")
	return b.Bytes()
}

// BenchmarkEvents is a post of events as the handler sees it: not stored, which is only reading and
// answering (DNT), and stored for one visitor, one post after the other.
func BenchmarkEvents(b *testing.B) {
	f := newFixture(b)
	public := &httpapi.Public{Service: f.service, Logger: f.logger()}
	site := httpapi.PublicSite{Name: siteA, CookiePath: "/_webpush/"}
	for _, size := range []int{1, 10, 50} {
		for _, kept := range []bool{false, true} {
			name := "read"
			if kept {
				name = "stored"
			}
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					n++
					body := batchBody(fmt.Sprintf("AAAAAAAAAAA%010dA", n), size)
					r := httptest.NewRequest(http.MethodPost, "/_webpush/events", bytes.NewReader(body))
					r.Header.Set("Content-Type", "application/json")
					if kept {
						r.Header.Set("Cookie", "__webpush="+f.cookieOf(siteA, 7))
					} else {
						r.Header.Set("DNT", "1")
					}
					w := httptest.NewRecorder()
					public.Serve(w, r, site, "events")
					if w.Code != http.StatusNoContent {
						b.Fatal(w.Code, w.Body, strings.TrimSpace(f.log.String()))
					}
				}
			})
		}
	}
}
