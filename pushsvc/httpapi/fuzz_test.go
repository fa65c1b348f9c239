package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/operator"
)

// FuzzSubscribeBody: an answer is 201 with the subscription stored as the body
// has it, or 400 or 413 with nothing stored; never anything else.
func FuzzSubscribeBody(f *testing.F) {
	b := newBrowser(f, 1)
	for _, seed := range []string{
		b.json(""), b.json(`,"replaces":` + b.proof()), b.json(`,"language":"\ud800","page":"/\u0000"`),
		b.json(`,"topics":["news","x","news"]`), b.json(`,"topics":null,"defaultTopics":["news"]`),
		`{"endpoint":"https://fcm.googleapis.com/","Endpoint":1}`, `[`, `{"expirationTime":1e400}`,
	} {
		f.Add([]byte(seed))
	}
	x := newFixture(f)
	public := &httpapi.Public{Service: x.service, Logger: x.logger()}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/_webpush/subscribe", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		public.Serve(w, r, httpapi.PublicSite{Name: siteA, Topics: []string{"news"}}, "subscribe")
		subs, err := x.store.SubscriptionPage(t.Context(), siteA, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range subs {
			if err := x.store.DeleteSubscription(t.Context(), siteA, s.ID); err != nil {
				t.Fatal(err)
			}
		}
		var read struct {
			Endpoint string `json:"endpoint"`
		}
		_ = exchange.Decode(body, &read, exchange.Lenient)
		switch {
		case w.Code == http.StatusCreated && len(subs) == 1 && subs[0].Endpoint == read.Endpoint && len(subs[0].Topics) <= 1 &&
			(len(subs[0].Topics) == 0 || subs[0].Topics[0] == "news"):
		case (w.Code == 400 || w.Code == 413) && len(subs) == 0:
			a := answer{w.Code, w.Header(), w.Body.String()}
			a.problem(t)
		default:
			t.Errorf("%d %s with %d stored, of %q; log: %s", w.Code, w.Body, len(subs), body, x.log)
		}
	})
}

// FuzzOperatorSend: an answer is 202 with a message that fits into a push, or
// 400, 404 or 413.
func FuzzOperatorSend(f *testing.F) {
	for _, seed := range []string{
		`{"site":"a.example","title":"x"}`, `{"site":"A.example:443","title":"x","data":[1,{}],"ttl":0,"topics":["news","a"],"actions":[{"action":"a","title":"A"}]}`,
		`{"site":"a.example","title":"x","Title":"y"}`, `{"title":`, `{"site":"a.example","title":"\u0000","vibrate":[1],"timestamp":1e3}`,
	} {
		f.Add([]byte(seed))
	}
	x := newFixture(f)
	x.subscribe(siteA, 1)
	operator := operator.New(x.service, x.logger())
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/webpush/send", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		operator.ServeHTTP(w, r)
		a := answer{w.Code, w.Header(), w.Body.String()}
		switch w.Code {
		case http.StatusAccepted:
			var v view
			a.read(t, 202, &v)
			m, err := x.store.Message(t.Context(), v.Site, v.ID)
			if err != nil {
				t.Fatal(err)
			}
			if p := pushsvc.AppendPayload(nil, m.ID, "", &m.Content); !json.Valid(p) || len(p) > pushsvc.MaxPayload || v.Site != siteA {
				t.Errorf("%d bytes to %s: %s", len(p), v.Site, p)
			}
		case 400, 404, 413:
			a.problem(t)
		default:
			t.Errorf("%d %s of %q", w.Code, w.Body, body)
		}
	})
}

// FuzzMessagesBody: an answer is 200 with pop-ups that have a token, or 400 or 413.
func FuzzMessagesBody(f *testing.F) {
	for _, seed := range []string{
		`{"session":"AAAAAAAAAAAAAAAAAA001A","page":{"path":"/","query":"?a=%zz","referrer":"::"},"timeZone":"../x","language":"\ud800"}`,
		`{"preview":"p..9999999999.AAAAAAAAAAAAAAAAAAAAAA"}`, `{"candidates":["p"],"shown":{"p":-1}}`, `{"visits":1e400}`, `{"timeZone":"Local"}`,
	} {
		f.Add([]byte(seed))
	}
	x := newFixture(f)
	x.putPopup(siteA, "p", `,"audience":"language != \"xx\"","where":{"paths":{"out":["/never"]}},"from":"2026-01-01T00:00","caps":{"day":9}`)
	public := &httpapi.Public{Service: x.service, Logger: x.logger()}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/_webpush/messages", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		public.Serve(w, r, httpapi.PublicSite{Name: siteA, CookiePath: "/"}, "messages")
		var out struct{ Popups []struct{ ID, Token string } }
		switch err := json.Unmarshal(w.Body.Bytes(), &out); {
		case w.Code == http.StatusOK && err == nil && len(out.Popups) <= 1 && (len(out.Popups) == 0 || out.Popups[0].Token != ""):
		case w.Code == 400 || w.Code == 413:
			a := answer{w.Code, w.Header(), w.Body.String()}
			a.problem(t)
		default:
			t.Errorf("%d %s, of %q; log: %s", w.Code, w.Body, body, x.log)
		}
	})
}
