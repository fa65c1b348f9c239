package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

func TestProfiles(t *testing.T) {
	f := newFixture(t)
	base := f.operator.URL + "/webpush/sites/" + siteA
	var ids []string
	for n, login := range []string{`"identity","value":"42"`, `"email","value":"Ann@A.example"`, `"gpid","value":"x"`} {
		v := &visit{fixture: f, site: siteA, n: n * 10}
		v.send(anEvent, `{"type":"login","identities":[{"kind":`+login+`}],"set":{"Name":"`+strings.Repeat("n", n+1)+`"}}`)
		ids = append(ids, v.profile().ID)
	}
	type list struct {
		Profiles []struct {
			ID         string
			Identities []people.Identity
			Events     int64
			Devices    int
			Attributes map[string]any
		}
		Next   string
		Counts api.PeopleCounts
	}
	var got []string
	for cursor := ""; ; {
		var page list
		a := f.do("GET", base+"/profiles?limit=2&cursor="+cursor, "")
		a.read(t, 200, &page)
		for _, p := range page.Profiles {
			got = append(got, p.ID)
			if p.Events != 1 || p.Devices != 1 || len(p.Identities) != 1 || p.Attributes["Name"] == nil {
				t.Errorf("%+v", p)
			}
		}
		if page.Counts != (api.PeopleCounts{Profiles: 3, EventNames: 1}) {
			t.Errorf("counts: %+v", page.Counts)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	// Two of the same millisecond are in the order of the random part of their ids.
	if want := slices.Sorted(slices.Values(ids)); !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	for identity, want := range map[string]string{
		ids[0]: ids[0], ids[1][24:]: ids[1], strings.ToUpper(ids[2][24:]): ids[2], "zzzz": "", ids[0][33:]: "",
	} {
		var page list
		f.do("POST", base+"/profiles/search", fmt.Sprintf(`{"identity":%q}`, identity), "Content-Type", "application/json").read(t, 200, &page)
		if want == "" && len(page.Profiles) != 0 || want != "" && (len(page.Profiles) != 1 || page.Profiles[0].ID != want) {
			t.Errorf("short for an id, %s: %+v", identity, page.Profiles)
		}
	}
	for _, size := range []int64{3, 1_000_000} { // for a large site, only beginnings are searched
		sum := people.Summary{Site: siteA, Counts: people.Counts{Profiles: size}}
		for given, want := range map[string]int{ids[0]: 1, ids[0][:4]: 3, ids[0][:9]: 3, ids[0][24:]: map[bool]int{true: 1}[size == 3], "ffff": 0, "0000": 0, "----": 0} {
			if found, err := f.service.ProfilesByShortID(t.Context(), sum, given); err != nil || len(found) != want {
				t.Errorf("%q of a site with %d: %d found, %v; want %d", given, size, len(found), err, want)
			}
		}
	}
	for identity, want := range map[string]string{"42": ids[0], "identity:42": ids[0], "ann@A.example": ids[1], "email:ann@a.example": ids[1], "gpid:x": ids[2], "x": "", "fbid:x": ""} {
		var page list
		f.do("POST", base+"/profiles/search", fmt.Sprintf(`{"identity":%q}`, identity), "Content-Type", "application/json").read(t, 200, &page)
		if want == "" && len(page.Profiles) != 0 || want != "" && (len(page.Profiles) != 1 || page.Profiles[0].ID != want) {
			t.Errorf("%s: %+v", identity, page.Profiles)
		}
	}
	var events struct{ Events []people.EventSummary }
	f.do("GET", base+"/events", "").read(t, 200, &events)
	if len(events.Events) != 1 || events.Events[0].Name != "Viewed" || events.Events[0].Count != 3 {
		t.Errorf("events: %+v", events)
	}
}

func TestExportAndErase(t *testing.T) {
	f := newFixture(t)
	base := f.operator.URL + "/webpush/sites/" + siteA + "/profiles/"
	b := newBrowser(t, 1)
	a := f.post(siteA, "subscribe", b.json(`,"language":"de"`))
	v := &visit{fixture: f, site: siteA, cookie: (&http.Response{Header: a.header}).Cookies()[0].Value}
	v.send(anEvent, `{"type":"login","identities":[{"kind":"identity","value":"42"}]}`)
	id := v.profile().ID
	a = f.do("GET", base+id, "")
	var e struct {
		ID            string
		Identities    []people.Identity
		HistoryEvents []struct {
			Name  string
			Time  time.Time
			Props map[string]any
		}
		Subscriptions []struct{ Service, Language string }
	}
	a.read(t, 200, &e)
	if e.ID != id || len(e.Identities) != 1 || len(e.HistoryEvents) != 1 || e.HistoryEvents[0].Props["Price"] != 1.5 || len(e.Subscriptions) != 1 || e.Subscriptions[0].Language != "de" {
		t.Errorf("export: %s", a.body)
	}
	for name, secret := range map[string]string{"endpoint": b.endpoint, "auth": b.auth, "p256dh": b.p256dh, "cookie": v.cookie, "batches": `"batches"`} {
		if strings.Contains(a.body, secret) {
			t.Errorf("the export has the %s", name)
		}
	}
	if a := f.do("DELETE", base+id, ""); a.status != http.StatusNoContent {
		t.Fatalf("erase: %d %s", a.status, a.body)
	}
	if v.profile() != nil || f.count(siteA) != 0 {
		t.Error("the person is still there")
	}
	for _, tt := range []struct {
		method, url string
		status      int
		field       string
	}{
		{"GET", base + id, 404, ""},
		{"DELETE", base + id, 404, ""},
		{"DELETE", base + "x", 404, ""},
		{"PUT", base + id, 405, ""},
		{"GET", strings.Replace(base, siteA, "unknown.example", 1) + id, 404, ""},
		{"GET", strings.TrimSuffix(base, "/") + "?cursor=x", 400, "cursor"},
		{"GET", strings.TrimSuffix(base, "/") + "?limit=0", 400, "limit"},
		{"GET", strings.TrimSuffix(base, "/") + "?identity=42", 400, "identity"},
		{"GET", base + "search", 405, ""},
		{"GET", f.operator.URL + "/webpush/sites/a_b!/events", 400, "site"},
	} {
		a := f.do(tt.method, tt.url, "")
		if p := a.problem(t); a.status != tt.status || p.Field != tt.field {
			t.Errorf("%s %s: %d %+v", tt.method, tt.url, a.status, p)
		}
	}
}
