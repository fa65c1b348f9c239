package delivery_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// TestDeclarative: Apple's push service gets the declarative form, with each
// recipient's own token; the others don't.
func TestDeclarative(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := append(f.subscribeTo(apple, siteA, "ok", 2), f.subscribeTo(fcm, siteA, "ok", 2)...)
	f.engine(nil)
	m := f.message(siteA, time.Now(), pushsvc.Content{Title: "x", URL: "/sale", Data: json.RawMessage(`{"token":"mine"}`)})
	f.done(m)
	for i, s := range all {
		p := f.push.pushesTo(s.name)[0]
		got, id := s.read(t, p, f.secret)
		plain, err := s.decrypt(p.body)
		if err != nil {
			t.Fatal(err)
		}
		var form struct {
			WebPush int `json:"web_push"`
		}
		if err := json.Unmarshal(plain, &form); err != nil {
			t.Fatal(err)
		}
		want, url := 8030, "https://a.example/sale"
		if i >= 2 {
			want, url = 0, "/sale"
		}
		if form.WebPush != want || got.Notification.Navigate != url || id != s.ID || got.ID != m.ID {
			t.Errorf("%s gets %s", s.name, plain)
		}
	}
}
