package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// api sends a request about a site to the operator's API; headers are name, value.
func (f *fixture) api(method, site, path, body string, headers ...string) answer {
	f.Helper()
	return f.do(method, f.operator.URL+"/webpush/sites/"+site+path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

// putPopup stores a running pop-up; more is JSON that begins with a comma.
func (f *fixture) putPopup(site, id, more string) {
	f.Helper()
	a := f.api("PUT", site, "/popups/"+id, `{"state":"running","kind":"box","content":{"title":"T"}`+more+`}`)
	if a.status != http.StatusCreated && a.status != http.StatusOK {
		f.Fatalf("%d %s", a.status, a.body)
	}
}

// ask requests pop-ups as a page does.
func (v *visit) ask(more string) service.PopupsAnswer {
	v.Helper()
	a := v.askRaw(`{"session":"` + random(1) + `","page":{"path":"/"},"device":"desktop","language":"en","timeZone":"UTC","visits":1` + more + `}`)
	var out service.PopupsAnswer
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != http.StatusOK {
		v.Fatalf("%d %s", a.status, a.body)
	}
	return out
}

func (v *visit) askRaw(body string) answer {
	v.Helper()
	headers := append([]string{"Content-Type", "application/json", "Sec-Fetch-Site", "same-origin"}, v.headers...)
	if v.cookie != "" {
		headers = append(headers, "Cookie", "__webpush="+v.cookie)
	}
	a := v.do("POST", v.public.URL+"/"+v.site+"/messages", body, headers...)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		v.cookie = c.Value
	}
	return a
}

func ids(answer service.PopupsAnswer) string {
	var all []string
	for _, p := range answer.Popups {
		all = append(all, p.ID)
	}
	for _, c := range answer.Controls {
		all = append(all, "-"+c.ID)
	}
	return strings.Join(all, " ")
}

// report reports what the visitor did with a pop-up.
func (v *visit) report(p service.WirePopup, act, element string) {
	v.Helper()
	entry := fmt.Sprintf(`{"type":"popup","act":%q,"popup":%q,"variant":%q,"token":%q,"element":%q}`, act, p.ID, p.Variant, p.Token, element)
	v.n++
	if a := v.sendBatch(v.n, random(1), entry); a.status != http.StatusNoContent {
		v.Fatalf("%d %s", a.status, a.body)
	}
}

// TestPopupAPI: a pop-up's life as an operator sees it.
func TestPopupAPI(t *testing.T) {
	f := newFixture(t)
	if a := f.api("GET", siteA, "/popups", ""); a.status != 200 || a.body != "{\"popups\":[]}\n" {
		t.Errorf("%d %s", a.status, a.body)
	}
	a := f.api("PUT", siteA, "/popups/sale", `{"kind":"box","content":{"title":"Hi {{ profile.Name }}"}}`)
	if a.status != http.StatusCreated || a.header.Get("Location") != "/webpush/sites/a.example/popups/sale" || !strings.Contains(a.body, `"state":"draft"`) {
		t.Errorf("%d %s %s", a.status, a.header.Get("Location"), a.body)
	}
	first := a.header.Get("ETag")
	if a := f.api("GET", siteA, "/popups/sale", ""); a.status != 200 || a.header.Get("ETag") != first ||
		a.body != `{"id":"sale","state":"draft","kind":"box","content":{"title":"Hi {{ profile.Name }}"}}`+"\n" {
		t.Errorf("%d %s %s", a.status, a.header.Get("ETag"), a.body)
	}
	for _, tt := range []struct {
		method, path, body, header, value string
		status                            int
	}{
		{"PUT", "/popups/sale", `{"kind":"box","content":{"title":"2"}}`, "If-Match", `"77"`, 412},
		{"PUT", "/popups/sale", `{"kind":"box","content":{"title":"2"}}`, "If-None-Match", "*", 412},
		{"POST", "/popups", `{"id":"sale","kind":"box","content":{"title":"2"}}`, "", "", 409},
		{"PUT", "/popups/sale", `{"kind":"box","content":{"title":"2"}}`, "If-Match", first, 200},
		{"PUT", "/popups/sale", `{"kind":"box","content":{"title":"3"}}`, "If-Match", first, 412},
		{"POST", "/popups", `{"id":"other","kind":"box","content":{"title":"2"}}`, "", "", 201},
		{"POST", "/popups/sale/state", `{"state":"running"}`, "", "", 200},
		{"POST", "/popups/sale/state", `{"state":"on"}`, "", "", 400},
		{"POST", "/popups/none/state", `{"state":"running"}`, "", "", 404},
		{"DELETE", "/popups/other", "", "If-Match", first, 412},
		{"DELETE", "/popups/other", "", "", "", 204},
		{"DELETE", "/popups/other", "", "", "", 404},
		{"GET", "/popups/other", "", "", "", 404},
		{"PATCH", "/popups/sale", "", "", "", 405},
	} {
		headers := []string{}
		if tt.header != "" {
			headers = append(headers, tt.header, tt.value)
		}
		if a := f.api(tt.method, siteA, tt.path, tt.body, headers...); a.status != tt.status {
			t.Errorf("%s %s %s %s: %d %s", tt.method, tt.path, tt.header, tt.value, a.status, a.body)
		} else if a.status >= 400 {
			a.problem(t)
		}
	}
	if a := f.api("GET", siteA, "/popups", ""); !strings.Contains(a.body, `"id":"sale","state":"running"`) || strings.Contains(a.body, "other") {
		t.Error(a.body)
	}
	if a := f.api("GET", siteB, "/popups/sale", ""); a.status != 404 {
		t.Errorf("the other site has it too: %s", a.body)
	}
}

// TestVariantKeepsContent: a variant with only a title inherits the rest, for visitors and in a
// preview; the error for an empty value says how to omit it.
func TestVariantKeepsContent(t *testing.T) {
	f := newFixture(t)
	const rest = `"kind":"box","content":{"title":"T","body":"B","buttons":[{"id":"pay","text":"Pay"}]},"theme":{"color":"#123456","radius":3}`
	a := f.api("PUT", siteA, "/popups/stay", `{"state":"running",`+rest+`,"variants":[{"id":"hurry","weight":1,"content":{"title":"Hurry"},"theme":{"radius":9}}]}`)
	if a.status != http.StatusCreated {
		t.Fatal(a.body)
	}
	_, token, _ := strings.Cut(f.api("POST", siteA, "/popups/stay/preview", `{}`).body, "webpush_preview=")
	token, _, _ = strings.Cut(token, `"`)
	v := &visit{fixture: f, site: siteA}
	for _, more := range []string{"", `,"preview":"` + token + `"`} {
		answer := v.ask(more)
		if len(answer.Popups) != 1 {
			t.Fatalf("%s: %+v", more, answer)
		}
		p := answer.Popups[0]
		if p.Variant != "hurry" || p.Content.Title != "Hurry" || p.Content.Body != "B" || len(p.Content.Buttons) != 1 || p.Theme.Color != "#123456" || *p.Theme.Radius != 9 {
			t.Errorf("%s: %+v", more, p)
		}
		if more == "" {
			v.report(p, "viewed", "")
			v.report(p, "clicked", "pay")
		}
	}
	if a := f.api("GET", siteA, "/popups/stay/stats", ""); !strings.Contains(a.body, `"elements":{"pay":1}`) {
		t.Error(a.body)
	}
	if a := f.api("GET", siteA, "/popups/stay", ""); !strings.Contains(a.body, `"variants":[{"id":"hurry","weight":1,"content":{"title":"Hurry"},"theme":{"radius":9}}]`) {
		t.Errorf("it is not shown as it was written: %s", a.body)
	}
	for _, empty := range []string{`"content":{"body":""}`, `"content":{"buttons":[]}`, `"content":{"input":null}`, `"theme":{"color":""}`} {
		p := f.api("PUT", siteA, "/popups/stay", `{`+rest+`,"variants":[{"id":"hurry","weight":1,`+empty+`}]}`).problem(t)
		if p.Status != 400 || !strings.Contains(p.Detail, `"without"`) {
			t.Errorf("%s: %+v", empty, p)
		}
	}
}

// TestPopupWarnings: names in a pop-up that no visitor has are reported with the nearest one.
func TestPopupWarnings(t *testing.T) {
	f := newFixture(t)
	put := func(members string) (v struct{ Warnings []string }) {
		t.Helper()
		a := f.api("PUT", siteA, "/popups/x", `{"kind":"box","content":{"title":"T"},`+members+`}`)
		if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status >= 300 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return v
	}
	const odd = `"audience":"events.Chraged.count > 0 && profile.Ctiy == \"Ulm\"","conversion":{"event":"Bought","within":"1h"}`
	if v := put(odd); len(v.Warnings) != 0 {
		t.Errorf("before anything is known: %q", v.Warnings)
	}
	v := &visit{fixture: f, site: siteA}
	v.send(`{"type":"event","name":"Charged"}`, `{"type":"login","identities":[{"kind":"identity","value":"1"}],"set":{"City":"Ulm"}}`)
	want := []string{`no visitor has had the event "Bought" yet`, `no visitor has had the event "Chraged" yet; did you mean "Charged"?`, `no visitor has the attribute "Ctiy"; did you mean "City"?`}
	if v := put(odd); !slices.Equal(v.Warnings, want) {
		t.Errorf("%q, want %q", v.Warnings, want)
	}
	if v := put(`"variants":[{"id":"a","weight":1,"content":{"body":"From {{ profile.Cty | default: \"profile.x\" }} {% if profile.City %}{% endif %}"}}]`); !slices.Equal(v.Warnings, []string{`no visitor has the attribute "Cty"; did you mean "City"?`}) {
		t.Errorf("of a text: %q", v.Warnings)
	}
	if v := put(`"audience":"events.Charged.count > 0 && has(profile.City)","when":{"event":"Charged"}`); len(v.Warnings) != 0 {
		t.Errorf("of names that are there: %q", v.Warnings)
	}
}

// TestPopupFaultsAPI: the error for a pop-up names the field at fault.
func TestPopupFaultsAPI(t *testing.T) {
	f := newFixture(t)
	for body, field := range map[string]string{
		`{"kind":"box","content":{"title":"T"},"audience":"visits > \"x\""}`:                               "audience",
		`{"kind":"box","content":{"title":"{% for i in (1..9) %}"}}`:                                       "content.title",
		`{"kind":"box","content":{"title":"T"},"click":{"do":"open","url":"javascript:alert(1)"}}`:         "click.url",
		`{"kind":"box","content":{"title":"T","colour":"red"}}`:                                            "content.colour",
		`{"kind":"box","content":{"title":"T","buttons":[{"id":"a","text":"x"},{"id":"b","lable":"x"}]}}`:  "content.buttons[1].lable",
		`{"kind":"box","content":{"title":"T","buttons":[{"id":"a","action":{"newTab":"yes"}}]}}`:          "content.buttons[0].action.newTab",
		`{"kind":"box","content":{"title":"T","kv":{"a":"x","price":7}}}`:                                  "content.kv.price",
		`{"kind":"box","content":{"title":"T"},"when":{"seconds":1.5}}`:                                    "when.seconds",
		`{"kind":"box","content":{"title":"T"},"where":{"paths":["/x"]}}`:                                  "where.paths",
		`{"kind":"box","content":{"title":"T"},"theme":{"radius":"4px"}}`:                                  "theme.radius",
		`{"kind":"box","content":{"title":"T"},"KIND2":1}`:                                                 "KIND2",
		`{"kind":"box","content":{"title":7}}`:                                                             "content.title",
		`{"id":"another","kind":"box","content":{"title":"T"}}`:                                            "id",
		`{"kind":"box","content":{"title":"T"},"variants":[{"id":"a","weight":1,"content":{"title":""}}]}`: "variants[0].content.title",
		`{"kind":"box","content":{"title":"T"},"state":7}`:                                                 "state",
	} {
		if p := f.api("PUT", siteA, "/popups/x", body).problem(t); p.Status != 400 || p.Field != field {
			t.Errorf("%s: %+v; want field %s", body, p, field)
		}
	}
	if a := f.api("PUT", siteA, "/popups/x", `{"kind":"box","content":{"title":"T","kv":{"a":"1","A":"2"}},"where":{"query":{"q":"*","Q":"*"}}}`); a.status != 201 {
		t.Errorf("names of the operator's own that differ in their case: %d %s", a.status, a.body)
	}
	for _, tt := range []struct{ site, body string }{{siteA, ""}, {siteA, "[]"}, {"not%20a%20site", `{"kind":"box","content":{"title":"T"}}`}} {
		if a := f.api("PUT", tt.site, "/popups/x", tt.body); a.status != 400 {
			t.Errorf("%s %s: %d", tt.site, tt.body, a.status)
		}
	}
}

// TestMessages: a running pop-up is sent to the pages where it may be shown, and a write takes
// effect at once.
func TestMessages(t *testing.T) {
	f := newFixture(t)
	v := &visit{fixture: f, site: siteA}
	if got := ids(v.ask("")); got != "" {
		t.Errorf("a site without pop-ups has %s", got)
	}
	f.putPopup(siteA, "low", "")
	f.putPopup(siteA, "high", `,"priority":5,"where":{"paths":{"out":["/checkout*"]}}`)
	f.putPopup(siteA, "phone", `,"where":{"devices":["phone"]}`)
	f.putPopup(siteB, "theirs", "")
	if got := ids(v.ask("")); got != "high low" {
		t.Errorf("got %s", got)
	}
	if v.cookie == "" {
		t.Error("no cookie came")
	}
	if got := ids(v.ask(`,"candidates":["low","theirs"]`)); got != "low" {
		t.Errorf("of candidates: %s", got)
	}
}

// TestMessagesPage checks what a page reports about itself.
func TestMessagesPage(t *testing.T) {
	f := newFixture(t)
	f.putPopup(siteA, "high", `,"priority":5,"where":{"paths":{"out":["/checkout*"]}}`)
	f.putPopup(siteA, "inbox", `,"where":{"query":{"a":"1"}}`)
	v := &visit{fixture: f, site: siteA}
	for body, want := range map[string]string{
		`{"page":{"path":"/checkout/1"}}`:          "",
		`{"page":{"path":"/cart","query":"?a=1"}}`: "high inbox",
		`{}`: "high",
		`{"page":{"path":"/"},"shown":{"high":1}}`:    "",
		`{"page":{"path":"/"},"shown":{"gone":1}}`:    "",
		`{"page":{"path":"/"},"shown":{"high":-100}}`: "high",
	} {
		a := v.askRaw(body)
		var out service.PopupsAnswer
		if err := json.Unmarshal([]byte(a.body), &out); err != nil || ids(out) != want {
			t.Errorf("%s: %d %s; want %s", body, a.status, a.body, want)
		}
	}
	for _, bad := range []string{``, `[]`, `{"session":"short"}`, `{"page":{"path":7}}`, `{"page":{"path":"` + strings.Repeat("x", 9000) + `"}}`} {
		if a := v.askRaw(bad); a.status != 400 {
			t.Errorf("%.40s: %d %s", bad, a.status, a.body)
		}
	}
	if a := f.do("POST", f.public.URL+"/"+siteA+"/messages", `{}`, "Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"); a.status != 403 {
		t.Errorf("another site may ask: %d", a.status)
	}
}

// TestMessagesPersonal: the profile decides which pop-ups a visitor gets and what is filled in.
func TestMessagesPersonal(t *testing.T) {
	f := newFixture(t)
	f.putPopup(siteA, "buyers", `,"audience":"events.Charged.count > 0"`)
	a := f.api("PUT", siteA, "/popups/html", `{"state":"running","kind":"html","content":{"html":"<p>{{ profile.Name | default: \"friend\" }}</p>","kv":{"n":"{{ profile.Name }}"}},"click":{"do":"open","url":"/p/{{ profile.Path }}"}}`)
	if a.status != 201 {
		t.Fatal(a.body)
	}
	v := &visit{fixture: f, site: siteA}
	first := v.ask("")
	if ids(first) != "html" || first.Popups[0].Content.HTML != "<p>friend</p>" {
		t.Errorf("%+v", first)
	}
	v.send(`{"type":"event","name":"Charged"}`, `{"type":"profile","set":{"Name":"<b>Bob","Path":"a b"}}`)
	second := v.ask("")
	if ids(second) != "buyers html" || second.Popups[1].Content.HTML != "<p>&lt;b&gt;Bob</p>" || second.Popups[1].Content.KV["n"] != "<b>Bob" || second.Popups[1].Click.URL != "/p/a%20b" {
		t.Errorf("%+v", second)
	}
	// A value that can't be an address removes the pop-up, and is logged once.
	v.send(`{"type":"profile","set":{"Path":"\\"}}`)
	v.ask("")
	if got := ids(v.ask("")); got != "buyers" {
		t.Errorf("got %s", got)
	}
	if n := strings.Count(f.log.String(), "can't be shown"); n > 1 || strings.Contains(f.log.String(), "Bob") {
		t.Errorf("the log has\n%s", f.log)
	}
}

// TestMessagesCaps: reported views count, in the session, over all sessions and over all pop-ups,
// on any page.
func TestMessagesCaps(t *testing.T) {
	f := newFixture(t)
	f.putPopup(siteA, "once", `,"caps":{"lifetime":1}`)
	v := &visit{fixture: f, site: siteA}
	got := v.ask("")
	if ids(got) != "once" {
		t.Fatal(ids(got))
	}
	v.report(got.Popups[0], "viewed", "")
	if got := ids(v.ask("")); got != "" {
		t.Errorf("after its only view: %s", got)
	}
	if a := f.api("PUT", siteA, "/popup-settings", `{"popupsPerSession":0,"popupsPerDay":2}`); a.status != 200 {
		t.Fatal(a.body)
	}
	f.putPopup(siteA, "daily", `,"caps":{"session":1}`)
	got = v.ask("")
	if ids(got) != "daily" {
		t.Fatal(ids(got))
	}
	v.report(got.Popups[0], "viewed", "")
	another := `{"session":"` + random(2) + `","page":{"path":"/"}}`
	if a := v.askRaw(another); a.body != "{\"popups\":[]}\n" {
		t.Errorf("after two in a day: %s", a.body)
	}
	f.api("PUT", siteA, "/popup-settings", `{"popupsPerSession":0}`)
	if a := v.askRaw(another); !strings.Contains(a.body, `"id":"daily"`) || strings.Contains(a.body, `"id":"once"`) {
		t.Errorf("in a new session: %s", a.body)
	}
	if a := f.api("GET", siteA, "/popup-settings", ""); a.body != `{"popupsPerSession":0,"popupsPerDay":0,"holdout":0}`+"\n" {
		t.Error(a.body)
	}
	if p := f.api("PUT", siteA, "/popup-settings", `{"holdout":91}`).problem(t); p.Field != "holdout" {
		t.Errorf("%+v", p)
	}
}

// TestMessagesAnonymous: no data of a visitor who must not be recognised is stored or used.
func TestMessagesAnonymous(t *testing.T) {
	f := newFixture(t)
	f.putPopup(siteA, "all", "")
	f.putPopup(siteA, "buyers", `,"audience":"events.Charged.count > 0"`)
	v := &visit{fixture: f, site: siteA}
	v.send(`{"type":"event","name":"Charged"}`)
	known := v.cookie
	v.headers = []string{"Sec-GPC", "1"}
	got := v.ask("")
	if ids(got) != "all" || v.cookie != known {
		t.Errorf("%s, cookie %v", ids(got), v.cookie != known)
	}
	v.headers = nil
	v.report(got.Popups[0], "viewed", "") // the token belongs to no profile
	if n := v.profile().Popups["all"].Viewed; n != 0 {
		t.Errorf("%d views by a token that is not the device's", n)
	}
}

// TestPopupStats: visitors' actions are counted by variant and hour, once, with the conversions;
// those of the control group are counted and see nothing.
func TestPopupStats(t *testing.T) {
	f := newFixture(t)
	f.service.Conversions = f.service.PopupConversions
	f.putPopup(siteA, "ab", `,"control":50,"variants":[{"id":"a","weight":1},{"id":"b","weight":1,"content":{"title":"B"}}],"conversion":{"event":"Charged","within":"1h"}`)
	want := map[string]int64{}
	for i := range 40 {
		v := &visit{fixture: f, site: siteA, n: 10 * i} // another batch, another browser
		v.send(`{"type":"event","name":"Seen"}`)        // now there is a profile
		got := v.ask("")
		if len(got.Popups)+len(got.Controls) != 1 {
			t.Fatalf("%+v", got)
		}
		if len(got.Controls) == 1 {
			c := got.Controls[0]
			v.report(service.WirePopup{ID: c.ID, Variant: c.Variant, Token: c.Token}, "viewed", "")
			v.report(service.WirePopup{ID: c.ID, Variant: c.Variant, Token: c.Token}, "clicked", "x")
			want["control viewed"]++
		} else {
			p := got.Popups[0]
			if (p.Variant == "b") != (p.Content.Title == "B") {
				t.Errorf("variant %s says %q", p.Variant, p.Content.Title)
			}
			v.report(p, "viewed", "")
			v.report(p, "clicked", "shop")
			want[p.Variant+" viewed"]++
		}
		v.send(`{"type":"event","name":"Charged"}`)
		v.send(`{"type":"event","name":"Charged"}`) // once per view
	}
	var stats api.PopupStats
	a := f.api("GET", siteA, "/popups/ab/stats", "")
	if err := json.Unmarshal([]byte(a.body), &stats); err != nil || len(stats.Hours) == 0 {
		t.Fatalf("%s", a.body)
	}
	if len(stats.Variants) != 3 {
		t.Fatalf("variants: %s", a.body)
	}
	for _, r := range stats.Variants {
		n := want[r.Variant+" viewed"]
		clicks := n
		if r.Variant == popup.Control {
			clicks = 0
		}
		if r.Viewed != n || r.Converted != n || r.Clicked != clicks || r.Elements["shop"] != clicks || n == 0 {
			t.Errorf("%+v; want %d", r, n)
		}
	}
	for query, status := range map[string]int{"?from=2001-01-01T00:00:00Z&to=2002-01-01T00:00:00Z": 200, "?from=yesterday": 400} {
		if a := f.api("GET", siteA, "/popups/ab/stats"+query, ""); a.status != status || status == 200 && !strings.Contains(a.body, `"hours":[]`) {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if a := f.api("GET", siteA, "/popups/none/stats", ""); a.status != 404 {
		t.Errorf("%d", a.status)
	}
	f.api("DELETE", siteA, "/popups/ab", "")
	if a := f.api("GET", siteA, "/popups/ab/stats", ""); a.status != 200 {
		t.Errorf("what a deleted one has counted: %d", a.status)
	}
}

// TestPreview: an operator sees a draft on any page, and no visitor does.
func TestPreview(t *testing.T) {
	f := newFixture(t)
	a := f.api("PUT", siteA, "/popups/draft", `{"kind":"box","content":{"title":"Draft"},"where":{"paths":{"in":["/nowhere"]}},"when":{"seconds":9},"variants":[{"id":"a","weight":0},{"id":"b","weight":1,"content":{"title":"B"}}]}`)
	if a.status != 201 {
		t.Fatal(a.body)
	}
	preview := func(body string) string {
		t.Helper()
		var p api.Preview
		a := f.api("POST", siteA, "/popups/draft/preview", body)
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return p.URL
	}
	token := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Get("webpush_preview")
	}
	address := preview(`{}`)
	if !strings.HasPrefix(address, "https://a.example?webpush_preview=") && !strings.HasPrefix(address, "https://a.example/?webpush_preview=") {
		t.Error(address)
	}
	v := &visit{fixture: f, site: siteA}
	got := v.ask(`,"preview":"` + token(address) + `"`)
	if !got.Preview || ids(got) != "draft" || got.Popups[0].Token != "" || got.Popups[0].When.Seconds != 0 || got.Popups[0].Content.Title != "Draft" {
		t.Errorf("%+v", got)
	}
	other := preview(`{"page":"http://localhost:8080/x?a=1#top","variant":"b"}`)
	if !strings.HasPrefix(other, "http://localhost:8080/x?a=1&webpush_preview=draft.b.") || !strings.HasSuffix(other, "#top") {
		t.Error(other)
	}
	if got := v.ask(`,"preview":"` + token(other) + `"`); got.Popups[0].Content.Title != "B" {
		t.Errorf("%+v", got)
	}
	good := token(address)
	for _, bad := range []string{"x", "draft.a.9999999999.AAAAAAAAAAAAAAAAAAAAAA", good + "A", "b" + good, strings.Replace(good, ".a.", ".b.", 1), strings.Repeat(".", 99)} {
		if a := v.askRaw(`{"preview":"` + bad + `"}`); a.status != 400 {
			t.Errorf("%s: %d %s", bad, a.status, a.body)
		}
	}
	theirs := &visit{fixture: f, site: siteB}
	if a := theirs.askRaw(`{"preview":"` + good + `"}`); a.status != 400 {
		t.Errorf("on another site: %d %s", a.status, a.body)
	}
	for body, status := range map[string]int{`{"variant":"c"}`: 400, `{"page":"javascript:alert(1)"}`: 400, `{"page":"//evil.example"}`: 400} {
		if a := f.api("POST", siteA, "/popups/draft/preview", body); a.status != status {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if got := ids(v.ask("")); got != "" {
		t.Errorf("visitors see the draft: %s", got)
	}
}

// TestPopupsConfig: pages learn where running pop-ups may be shown, and not their content or
// audience; nothing if none is running.
func TestPopupsConfig(t *testing.T) {
	f := newFixture(t)
	sdk := func() (body, tag string) {
		t.Helper()
		w := httptest.NewRecorder()
		httpapi.ServeSDK(w, httptest.NewRequest("GET", "/sdk.js", nil), httpapi.SiteConfig{Site: siteA, Popups: f.service.PopupsConfig(t.Context(), siteA)})
		return w.Body.String(), w.Header().Get("ETag")
	}
	before, tagBefore := sdk()
	if strings.Contains(before, `"popups":`) {
		t.Error("pages are told of pop-ups that are not there")
	}
	f.putPopup(siteA, "x", `,"audience":"profile.secret == 1","where":{"paths":{"in":["/a"]}},"when":{"exit":true},"caps":{"session":2,"day":3}`)
	after, tagAfter := sdk()
	if !strings.Contains(after, `"list":[{"id":"x","where":{"paths":{"in":["/a"]}},"when":{"exit":true},"session":2}],"perSession":1}`) || strings.Contains(after, "secret") {
		_, told, _ := strings.Cut(after, `"popups":`)
		t.Errorf("%.300s", told)
	}
	if tagBefore == tagAfter {
		t.Error("the ETag is the same")
	}
	f.api("POST", siteA, "/popups/x/state", `{"state":"paused"}`)
	if paused, tag := sdk(); paused != before || tag != tagBefore {
		t.Error("pages are told of a paused one")
	}
}
