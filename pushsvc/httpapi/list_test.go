package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/operator"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

func TestOperatorEmpty(t *testing.T) {
	store := openStore(t)
	o := operator.New(&service.Service{Store: store, Engine: new(wakes)}, nil)
	for path, want := range map[string]string{"/webpush/sites": `{"sites":[]}`, "/webpush/keys": `{"keys":[]}`} {
		w := httptest.NewRecorder()
		o.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
			t.Errorf("%s: %d %s; want %s", path, w.Code, got, want)
		}
	}
	w := httptest.NewRecorder()
	o.ServeHTTP(w, httptest.NewRequest("GET", "/webpush/sites/a.example", nil))
	if w.Code != 404 || !strings.Contains(w.Body.String(), "there is no site yet") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestOperatorSites(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteB, 1)
	f.subscribe(siteA, 2)
	f.subscribe(siteA, 3)
	f.message(siteA)
	var got struct{ Sites []pushsvc.SiteSummary }
	f.operate("GET", "sites", "").read(t, 200, &got)
	want := []pushsvc.SiteSummary{{Site: siteA, Subscriptions: 2, Messages: 1}, {Site: siteB, Subscriptions: 1}}
	if !slices.Equal(got.Sites, want) {
		t.Errorf("%+v, want %+v", got.Sites, want)
	}
	var summary pushsvc.SiteSummary
	f.operate("GET", "sites/A.example.", "").read(t, 200, &summary)
	if summary != want[0] {
		t.Errorf("%+v", summary)
	}
}

type subscriptionPage struct {
	Subscriptions []struct{ ID, Service, Key, Language, TimeZone, Page string }
	Next          string
}

// TestOperatorSubscriptions pages through the list and finds every subscriber once, and nothing
// with which a push could be sent.
func TestOperatorSubscriptions(t *testing.T) {
	f := newFixture(t)
	var secrets []string
	for i := range 7 {
		b, _ := f.subscribe(siteA, i)
		secrets = append(secrets, b.endpoint, b.p256dh, b.auth, fmt.Sprintf("browser-%d", i))
	}
	f.subscribe(siteB, 9)
	for _, limit := range []int{1, 3, 7, 8, 1000} {
		var ids []string
		cursor := ""
		for range 9 {
			a := f.operate("GET", fmt.Sprintf("sites/a.example/subscriptions?limit=%d&cursor=%s", limit, cursor), "")
			var page subscriptionPage
			a.read(t, 200, &page)
			for _, s := range page.Subscriptions {
				ids = append(ids, s.ID)
				if s.Service != "fcm" || s.Key != f.key.ID {
					t.Errorf("%+v", s)
				}
			}
			for _, secret := range secrets {
				if strings.Contains(a.body, secret) {
					t.Fatalf("a secret shows: %s", a.body)
				}
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if !slices.Equal(ids, []string{"1", "2", "3", "4", "5", "6", "7"}) {
			t.Errorf("limit %d: %v", limit, ids)
		}
	}
	for _, query := range []string{"limit=0", "limit=-1", "limit=1001", "limit=x", "limit=1e2", "cursor=!", "cursor=AAAA", "cursor=" + strings.Repeat("_", 40)} {
		a := f.operate("GET", "sites/a.example/subscriptions?"+query, "")
		field, _, _ := strings.Cut(query, "=")
		if a.status != 400 || a.problem(t).Field != field {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}

func TestOperatorDeleteSubscription(t *testing.T) {
	f := newFixture(t)
	_, id := f.subscribe(siteA, 1)
	f.subscribe(siteB, 2)
	for _, tt := range []struct {
		path        string
		status, now int
	}{
		{"sites/a.example/subscriptions/99", 404, 1},
		{"sites/a.example/subscriptions/0", 404, 1},
		{"sites/a.example/subscriptions/x", 404, 1},
		{"sites/a.example/subscriptions/-1", 404, 1},
		{"sites/a.example/subscriptions/99999999999999999999", 404, 1},
		{"sites/c.example/subscriptions/" + id, 404, 1},
		{"sites/a.example/subscriptions/" + id, 204, 0},
		{"sites/a.example/subscriptions/" + id, 404, 0},
	} {
		if a := f.operate("DELETE", tt.path, ""); a.status != tt.status {
			t.Errorf("%s: %d %s", tt.path, a.status, a.body)
		}
		if n := f.count(siteA); n != tt.now {
			t.Fatalf("%s: %d subscriptions", tt.path, n)
		}
	}
	if f.count(siteB) != 1 {
		t.Error("site B lost its subscription")
	}
}

func TestOperatorMessages(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	f.subscribe(siteB, 2)
	var sent []string
	for range 5 {
		sent = append(sent, f.message(siteA))
	}
	foreign := f.message(siteB)
	slices.Reverse(sent)
	for _, limit := range []int{1, 2, 5, 6} {
		var ids []string
		cursor := ""
		for range 6 {
			var page struct {
				Messages []view
				Next     string
			}
			f.operate("GET", fmt.Sprintf("sites/a.example/messages?limit=%d&cursor=%s", limit, cursor), "").read(t, 200, &page)
			for _, m := range page.Messages {
				ids = append(ids, m.ID)
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if !slices.Equal(ids, sent) {
			t.Errorf("limit %d: %v, want %v", limit, ids, sent)
		}
	}
	for _, path := range []string{"sites/a.example/messages/" + foreign, "sites/b.example/messages/" + sent[0], "sites/a.example/messages/x"} {
		if a := f.operate("GET", path, ""); a.status != http.StatusNotFound || a.problem(t).Detail == "" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := f.operate("GET", "sites/a.example/messages?limit=0", ""); a.status != 400 || a.problem(t).Field != "limit" {
		t.Errorf("limit=0: %d %s", a.status, a.body)
	}
}
