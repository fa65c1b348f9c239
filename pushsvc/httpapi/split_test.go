package httpapi_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// asker is a browser that posts directly to a handler: without a network, many are fast.
type asker struct {
	*fixture
	handler http.Handler
	cookie  string
}

// numbered returns the n-th of the browsers, which are the same in each run.
func (b asker) numbered(n int) asker {
	b.cookie = b.cookieOf(siteA, n)
	return b
}

func (b *asker) post(path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Cookie", "__webpush="+b.cookie)
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookie = c.Value
	}
	return w
}

const messagesBody = `{"page":{"path":"/"},"device":"desktop","language":"en","timeZone":"UTC","visits":1}`

// messages requests pop-ups.
func (b *asker) popups() (out service.PopupsAnswer) {
	b.Helper()
	w := b.post("/"+siteA+"/messages", messagesBody)
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != http.StatusOK {
		b.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return out
}

// groups returns the variants that an answer puts the visitor in, by pop-up.
func groups(answer service.PopupsAnswer) map[string]string {
	in := map[string]string{}
	for _, p := range answer.Popups {
		in[p.ID] = p.Variant
	}
	for _, c := range answer.Controls {
		in[c.ID] = c.Variant
	}
	return in
}

// TestSplit requests pop-ups as 10,000 visitors: variants and control groups have their shares
// within 3 standard deviations, those of one pop-up are independent of those of another, and a
// visitor who returns is in the same group.
func TestSplit(t *testing.T) {
	f := newFixture(t)
	f.putPopup(siteA, "sale", `,"control":20,"variants":[{"id":"a","weight":1},{"id":"b","weight":3}]`)
	f.putPopup(siteA, "news", `,"control":50,"variants":[{"id":"x","weight":1},{"id":"y","weight":1},{"id":"z","weight":2}]`)
	shares := map[string]map[string]float64{
		"sale": {"control": 0.2, "a": 0.8 / 4, "b": 0.8 * 3 / 4},
		"news": {"control": 0.5, "x": 0.5 / 4, "y": 0.5 / 4, "z": 0.5 / 2},
	}
	anybody := asker{fixture: f, handler: f.publicHandler()}
	const visitors = 10_000
	counts, pairs := map[string]map[string]int{"sale": {}, "news": {}}, map[[2]string]int{}
	for n := range visitors {
		visitor := anybody.numbered(n)
		in := groups(visitor.popups())
		if len(in) != 2 {
			t.Fatalf("visitor %d is in %v", n, in)
		}
		for popup, group := range in {
			counts[popup][group]++
		}
		pairs[[2]string{in["sale"], in["news"]}]++
		if again := groups(visitor.popups()); again["sale"] != in["sale"] || again["news"] != in["news"] {
			t.Fatalf("visitor %d was in %v, then in %v", n, in, again)
		}
	}
	within := func(what string, have int, share float64) {
		t.Helper()
		mean, sigma := visitors*share, math.Sqrt(visitors*share*(1-share))
		if off := (float64(have) - mean) / sigma; math.Abs(off) > 3 {
			t.Errorf("%s: %d of %d visitors, %.1f σ from %.0f", what, have, visitors, off, mean)
		}
	}
	for popup, of := range shares {
		for group, share := range of {
			within(popup+" "+group, counts[popup][group], share)
		}
	}
	for sale, a := range shares["sale"] {
		for news, b := range shares["news"] {
			within(sale+" and "+news, pairs[[2]string{sale, news}], a*b)
		}
	}
}

// TestSplitStays: a visitor's actions do not put them into another group. The first report makes
// the profile, and a login makes it known.
func TestSplitStays(t *testing.T) {
	f := newFixture(t)
	f.putPopup(siteA, "sale", `,"control":20,"variants":[{"id":"a","weight":1},{"id":"b","weight":1}]`)
	anybody := asker{fixture: f, handler: f.publicHandler()}
	for n := range 40 {
		visitor := anybody.numbered(n)
		first := visitor.popups()
		token := ""
		for _, p := range first.Popups {
			token = p.Token
		}
		for _, c := range first.Controls {
			token = c.Token
		}
		was := groups(first)["sale"]
		for i, entry := range []string{
			fmt.Sprintf(`{"type":"popup","act":"viewed","popup":"sale","variant":%q,"token":%q}`, was, token),
			`{"type":"event","name":"Viewed"}`,
			fmt.Sprintf(`{"type":"login","identities":[{"kind":"identity","value":"person %d"}]}`, n),
			`{"type":"logout"}`,
		} {
			w := visitor.post("/"+siteA+"/events", fmt.Sprintf(`{"batch":%q,"events":[%s]}`, random(i), entry))
			if w.Code != http.StatusNoContent {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if now := groups(visitor.popups())["sale"]; now != was {
				t.Fatalf("visitor %d was in %q, and after %s in %q", n, was, entry, now)
			}
		}
	}
}

// BenchmarkPopups is the cost of a request for pop-ups, from the request to the answer, with ten
// running ones that all apply.
func BenchmarkPopups(b *testing.B) {
	f := newFixture(b)
	for n := range 10 {
		a := f.api("PUT", siteA, fmt.Sprintf("/popups/popup-%d", n), `{"state":"running","kind":"box","content":{"title":"Hello {{ profile.Name | default: \"friend\" }}","body":"10 % off","buttons":[{"id":"shop","text":"To the shop","action":{"do":"open","url":"/sale"}}]},`+
			`"audience":"events.Viewed.count > 0 && !subscribed && device == \"desktop\"","where":{"paths":{"in":["/products/*"]}},`+
			`"caps":{"session":5,"day":10},"control":10,"variants":[{"id":"a","weight":1},{"id":"b","weight":1,"content":{"title":"Hi {{ profile.Name }}"}}]}`)
		if a.status != http.StatusCreated {
			b.Fatalf("%d %s", a.status, a.body)
		}
	}
	visitor := asker{fixture: f, handler: f.publicHandler()}.numbered(1)
	for i := range 10 {
		w := visitor.post("/"+siteA+"/events", fmt.Sprintf(`{"batch":%q,"events":[{"type":"event","name":"Viewed"},{"type":"profile","set":{"Name":"Ann","Age":40}}]}`, random(i)))
		if w.Code != http.StatusNoContent {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	body := strings.Replace(messagesBody, `"path":"/"`, `"path":"/products/1"`, 1)
	for _, of := range []struct {
		name string
		who  asker
		want int
	}{{"known", visitor, 10}, {"new", visitor.numbered(2), 0}} {
		b.Run(of.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				of.who.post("/"+siteA+"/messages", body)
			}
			var out service.PopupsAnswer
			if err := json.Unmarshal(of.who.post("/"+siteA+"/messages", body).Body.Bytes(), &out); err != nil || len(groups(out)) != of.want {
				b.Errorf("%d pop-ups, want %d: %v", len(groups(out)), of.want, err)
			}
		})
	}
}
