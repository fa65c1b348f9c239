package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// random is a name for a batch or a session.
func random(n int) string { return fmt.Sprintf("AAAAAAAAAAAAAAAAAA%03dA", n) }

// visit is a browser that keeps the cookie.
type visit struct {
	*fixture
	site, cookie string
	headers      []string
	n            int
}

// send posts entries in a new batch.
func (v *visit) send(entries ...string) answer {
	v.Helper()
	v.n++
	return v.sendBatch(v.n, "", entries...)
}

func (v *visit) sendBatch(n int, session string, entries ...string) answer {
	v.Helper()
	body := fmt.Sprintf(`{"batch":%q,"session":%q,"sent":%d,"events":[%s]}`, random(n), session, time.Now().UnixMilli(), strings.Join(entries, ","))
	headers := append([]string{"Content-Type", "text/plain;charset=UTF-8", "Sec-Fetch-Site", "same-origin"}, v.headers...)
	if v.cookie != "" {
		headers = append(headers, "Cookie", "other=1; __webpush="+v.cookie)
	}
	a := v.do("POST", v.public.URL+"/"+v.site+"/events", body, headers...)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		v.cookie = c.Value
	}
	return a
}

// profile returns what is stored about the browser; nil if there is nothing.
func (v *visit) profile() *people.Profile {
	v.Helper()
	return v.facts().Profile
}

func (v *visit) facts() people.Facts {
	v.Helper()
	b, ok := pushsvc.OpenDeviceCookie(v.secret(), v.site, v.cookie)
	if !ok {
		return people.Facts{}
	}
	f, err := v.store.Facts(v.Context(), v.site, b.Device())
	if err != nil {
		v.Fatal(err)
	}
	return f
}

// cookieOf returns a genuine cookie of the n-th of the browsers, which are the same in each run.
func (f *fixture) cookieOf(site string, n int) string {
	f.Helper()
	return string(pushsvc.NewBrowser([]byte("tests"), site, fmt.Sprint("browser ", n), time.Now()).Cookie(f.secret(), site))
}

// people returns how many profiles a site has.
func (f *fixture) people(site string) int {
	f.Helper()
	page, err := f.store.ProfilePage(f.Context(), site, "", 1000)
	if err != nil {
		f.Fatal(err)
	}
	return len(page)
}

const anEvent = `{"type":"event","name":"Viewed","props":{"Price":1.5,"price":2},"time":1}`

func TestRecord(t *testing.T) {
	f := newFixture(t)
	v := &visit{fixture: f, site: siteA}
	a := v.send(anEvent, `{"type":"login","identities":[{"kind":"email","value":"Ann@A.example"}],"set":{"Name":"Ann","name":"ann"}}`,
		`{"type":"profile","ops":[{"op":"incr","key":"n","value":3}],"set":{"gone":null}}`,
		`{"type":"visit","page":"/x","referrer":"https://r.example/","utm":{"source":"news"}}`)
	if a.status != http.StatusNoContent || a.body != "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("an answer with a cookie may be kept: %v", a.header)
	}
	set := a.header.Get("Set-Cookie")
	for _, part := range []string{"__webpush=" + v.cookie, "Path=/" + siteA + "/", "Max-Age=34560000", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie has no %s: %s", part, set)
		}
	}
	if strings.Contains(set, "Secure") || strings.Contains(set, "Domain") || len(v.cookie) != 60 {
		t.Errorf("cookie: %s", set)
	}
	p := v.profile()
	if p == nil || p.Events["Viewed"].Count != 1 || p.Attributes["Name"] != "Ann" || p.Attributes["name"] != "ann" ||
		p.Attributes["n"] != 3.0 || p.Identities[0].Value != "ann@a.example" || p.Visits != 1 || p.LastSource.UTM["source"] != "news" {
		t.Fatalf("profile: %+v", p)
	}
	if first := p.Events["Viewed"].First; time.Since(first) > 8*24*time.Hour {
		t.Errorf("an event of 1970 is kept as of %v", first)
	}
	// A browser without a cookie that repeats a post because it got no answer is the same browser.
	for _, session := range []string{"", random(900)} {
		first := &visit{fixture: f, site: siteA}
		first.sendBatch(500+len(session), session, anEvent)
		again := &visit{fixture: f, site: siteA}
		again.sendBatch(500+len(session), session, anEvent)
		if p := again.profile(); first.cookie != again.cookie || p == nil || p.Events["Viewed"].Count != 1 {
			t.Errorf("a repeated first batch: cookies %v, %+v", first.cookie == again.cookie, p)
		}
	}
	if v.cookie == "" || strings.Contains(f.log.String(), v.cookie) {
		t.Error("the cookie is in the log")
	}
}

func TestRecordAnonymous(t *testing.T) {
	f := newFixture(t)
	for _, signal := range []string{"Sec-GPC", "DNT"} {
		v := &visit{fixture: f, site: siteA, headers: []string{signal, "1"}}
		if a := v.send(anEvent); a.status != http.StatusNoContent || v.cookie != "" || f.people(siteA) != 0 {
			t.Errorf("%s: %d, %q, %d profiles", signal, a.status, v.cookie, f.people(siteA))
		}
	}
	b := newBrowser(t, 1)
	a := f.do("POST", f.public.URL+"/"+siteA+"/subscribe", b.json(""), "Content-Type", "application/json", "Sec-GPC", "1")
	f.subscribed(a)
	if a.header.Get("Set-Cookie") != "" || !f.subscriptions(siteA)[0].Device.IsZero() {
		t.Error("who subscribes with Sec-GPC is known")
	}
	v := &visit{fixture: f, site: siteA}
	v.send(anEvent)
	if v.profile() == nil {
		t.Fatal("nothing is kept")
	}
	if v.send(`{"type":"optout","value":true}`); v.cookie != "0" || f.people(siteA) != 0 {
		t.Fatalf("after opting out: cookie %q, %d profiles", v.cookie, f.people(siteA))
	}
	if v.send(anEvent); v.cookie != "0" || f.people(siteA) != 0 {
		t.Errorf("an event of who opted out: cookie %q, %d profiles", v.cookie, f.people(siteA))
	}
	v.send(anEvent, `{"type":"optout","value":false}`, `{"type":"event","name":"Back"}`)
	if p := v.profile(); p == nil || p.Events["Back"].Count != 1 || p.Events["Viewed"].Count != 0 {
		t.Errorf("after opting in: cookie %q, %+v", v.cookie, p)
	}
}

func TestRecordSigned(t *testing.T) {
	f := newFixture(t)
	f.identitySecret = "s3cret"
	v := &visit{fixture: f, site: siteA}
	sign := func(kind, value string) string {
		return people.SignIdentity("s3cret", people.Identity{Kind: people.IdentityKind(kind), Value: value})
	}
	for _, login := range []string{
		`{"type":"login","identities":[{"kind":"identity","value":"42"}]}`,
		`{"type":"login","identities":[{"kind":"identity","value":"42"}],"signature":"` + sign("identity", "43") + `"}`,
		`{"type":"login","identities":[{"kind":"identity","value":"42"}],"signature":"` + sign("email", "42") + `"}`,
		`{"type":"adopt","device":"g","identities":[{"kind":"identity","value":"42"}]}`,
	} {
		if a := v.send(login); a.status != http.StatusNoContent {
			t.Fatalf("%s: %d %s", login, a.status, a.body)
		}
	}
	if p := v.profile(); p == nil || p.Known() || p.Aliases[0] != "g" {
		t.Fatalf("an unsigned login is believed: %+v", p)
	}
	v.send(`{"type":"login","identities":[{"kind":"identity","value":"42"},{"kind":"email","value":"victim@a.example"}],"signature":"` + sign("identity", "42") + `"}`)
	if p := v.profile(); len(p.Identities) != 1 || p.Identities[0].Value != "42" {
		t.Errorf("identities: %+v", p.Identities)
	}
	v.send(`{"type":"login","identities":[{"kind":"email","value":"A@b.example","signature":"` + sign("email", "A@b.example") + `"}]}`)
	if p := v.profile(); len(p.Identities) != 1 || p.Identities[0].Value != "a@b.example" {
		t.Errorf("identities: %+v", p.Identities)
	}
	all, err := f.store.PeopleSites(t.Context())
	if err != nil || len(all) != 1 || all[0].RefusedLogins != 5 {
		t.Errorf("%+v, %v; want 5 refused logins", all, err)
	}
}

func TestRecordPopups(t *testing.T) {
	f := newFixture(t)
	v := &visit{fixture: f, site: siteA}
	v.send(anEvent)
	b, _ := pushsvc.OpenDeviceCookie(f.secret(), siteA, v.cookie)
	line := b.Line()
	act := func(act, popup, token string) string {
		return fmt.Sprintf(`{"type":"popup","act":%q,"popup":%q,"variant":"b","token":%q,"element":"#buy"}`, act, popup, token)
	}
	token := pushsvc.PopupToken(f.secret(), siteA, "sale", "b", line)
	v.send(act("viewed", "sale", token), act("clicked", "sale", token))
	// Tokens of another pop-up, site or device count nothing.
	v.send(act("viewed", "other", token), act("viewed", "sale", ""),
		act("viewed", "sale", pushsvc.PopupToken(f.secret(), siteB, "sale", "b", line)),
		act("viewed", "sale", pushsvc.PopupToken(f.secret(), siteA, "sale", "b", pushsvc.DeviceID{1})))
	stats, err := f.store.PopupStats(t.Context(), siteA, "sale", time.Time{}, time.Time{})
	if err != nil || len(stats) != 2 || stats[0].Count != 1 || stats[1].Count != 1 || stats[0].Variant != "b" || stats[1].Element != "#buy" {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestRecordBad(t *testing.T) {
	f := newFixture(t)
	many := strings.Repeat(anEvent+",", people.MaxEntries) + anEvent
	for _, tt := range []struct{ body, field string }{
		{`{"batch":"x","events":[]}`, "batch"},
		{`{"batch":"` + random(1) + `","session":"x","events":[]}`, "session"},
		{`{"batch":"` + random(1) + `","events":[` + many + `]}`, "events"},
		{`{"batch":"` + random(1) + `","batch":"` + random(2) + `","events":[` + anEvent + `]}`, "batch"},
		{`{"batch":"` + random(1) + `","events":[` + anEvent + `]} {}`, ""},
		{`{"batch":"` + random(1) + `","events":[` + anEvent + `,]}`, ""},
		{`{"batch":"` + random(1) + `","events":{}}`, "events"},
		{`{"batch":7,"events":[]}`, "batch"},
		{`{"events":[{"type":"shown"},{"type":"nonsense"}]}`, "events[1].type"},
	} {
		a := f.post(siteA, "events", tt.body)
		if p := a.problem(t); a.status != http.StatusBadRequest || p.Field != tt.field {
			t.Errorf("%.120s: %d, field %q, %s", tt.body, a.status, p.Field, p.Detail)
		}
	}
	if n := f.people(siteA); n != 0 {
		t.Errorf("%d profiles were made", n)
	}
	v := &visit{fixture: f, site: siteA, headers: []string{"Sec-Fetch-Site", "cross-site"}}
	if a := v.send(anEvent); a.status != http.StatusForbidden || f.people(siteA) != 0 || v.cookie != "" {
		t.Errorf("from another site: %d", a.status)
	}
}

// TestRecordMalformed: an entry that can't be read is left out and counted; the entries sent with
// it are kept.
func TestRecordMalformed(t *testing.T) {
	f := newFixture(t)
	v := &visit{fixture: f, site: siteA}
	deep := `{"type":"event","name":"Deep","props":` + strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20) + "}"
	bad := []string{
		`{"type":"nonsense"}`, `7`, `null`, deep,
		`{"type":"profile","ops":[{"op":"incr"},{"op":"eval"}]}`,
		`{"type":"login","identities":[{"kind":"email"},{"kind":"root","value":"x"}]}`,
		`{"type":"optout","value":"yes"}`,
		`{"type":"popup","act":"control","popup":"x"}`,
		`{"type":"popup","act":"viewed","popup":"X Y"}`,
		`{"type":"event","name":7}`,
		`{"type":"event","name":"x","props":[]}`,
		`{"type":"event","name":"x","name":"y"}`,
		`{"type":"event","name":"x","props":{"a":1,"a":2}}`,
		`{"type":"event","name":"x","props":{"a":1e400}}`,
	}
	for i, entry := range bad {
		if a := v.send(anEvent, entry, anEvent); a.status != http.StatusNoContent {
			t.Errorf("%.80s: %d %s", entry, a.status, a.body)
		}
		if p := v.profile(); p == nil || p.Events["Viewed"].Count != int64(2*(i+1)) || len(p.Events) != 1 {
			t.Errorf("%.80s: %+v", entry, p)
		}
	}
	all, err := f.store.PeopleSites(t.Context())
	if err != nil || len(all) != 1 || all[0].RefusedEntries != int64(len(bad)) {
		t.Errorf("%+v, %v; want %d refused entries", all, err, len(bad))
	}
}

// TestRecordOps: the cost of a batch while all others wait is bounded.
func TestRecordOps(t *testing.T) {
	f := newFixture(t)
	v := &visit{fixture: f, site: siteA}
	entry := `{"type":"profile","ops":[` + strings.Repeat(`{"op":"incr","key":"n","value":1},`, 99) + `{"op":"incr","key":"n","value":1}]}`
	entries := []string{anEvent}
	for range 12 {
		entries = append(entries, entry)
	}
	if a := v.send(entries...); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if p := v.profile(); p.Attributes["n"] != float64(people.MaxOps) || p.Events["Viewed"].Count != 1 {
		t.Errorf("%+v", p)
	}
}

func TestRecordLimit(t *testing.T) {
	f := newFixture(t)
	limited := 0
	f.public.Close()
	f.public = httptest.NewServer(f.handler(&httpapi.Public{
		Service: f.service, Logger: f.logger(), EventLimit: httpapi.NewClientLimit(2), Limited: func() { limited++ },
	}))
	t.Cleanup(f.public.Close)
	v := &visit{fixture: f, site: siteA}
	var got []int
	for range 3 {
		got = append(got, v.send(anEvent).status)
	}
	if fmt.Sprint(got) != "[204 204 429]" || limited != 1 || v.profile().Events["Viewed"].Count != 2 {
		t.Errorf("%v, %d times told", got, limited)
	}
	// The bound holds at every other endpoint too.
	for action, body := range map[string]string{
		"events": report("shown", "m", "t"), "messages": "{}", "unsubscribe": newBrowser(t, 1).proof(),
	} {
		if a := f.post(siteA, action, body); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
			t.Errorf("%s is not limited: %d", action, a.status)
		}
	}
}

// TestSecureCookie: over TLS the cookie is for TLS; without a path no cookie is set.
func TestSecureCookie(t *testing.T) {
	f := newFixture(t)
	public := &httpapi.Public{Service: f.service, Logger: f.logger()}
	for path, want := range map[string]string{"/_webpush/": "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax", "": ""} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "https://a.example/_webpush/events", strings.NewReader(`{"batch":"`+random(1)+`","events":[`+anEvent+`]}`))
		r.Header.Set("Content-Type", "application/json")
		public.Serve(w, r, httpapi.PublicSite{Name: siteA, CookiePath: path}, "events")
		set := w.Header().Get("Set-Cookie")
		if w.Code != http.StatusNoContent || (path == "") != (set == "") || !strings.HasSuffix(set, want) || want != "" && !strings.HasPrefix(set, "__Host-webpush=") {
			t.Errorf("path %q: %d, %q", path, w.Code, set)
		}
	}
	if f.people(siteA) != 1 {
		t.Errorf("%d profiles, want that of the one with a cookie", f.people(siteA))
	}
}

// TestOldCookie: a site that begins to watch pages has its cookie at another path, and browsers
// send both: a choice made in one holds, and the other is removed.
func TestOldCookie(t *testing.T) {
	f := newFixture(t)
	public := &httpapi.Public{Service: f.service, Logger: f.logger()}
	others := map[string]string{"/": "/_webpush/", "/_webpush/": "/"}
	post := func(path, cookies, entry string, n int) []*http.Cookie {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "https://a.example/_webpush/events", strings.NewReader(`{"batch":"`+random(n)+`","events":[`+entry+`]}`))
		r.TLS = nil
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Cookie", cookies)
		public.Serve(w, r, httpapi.PublicSite{Name: siteA, CookiePath: path, OtherPath: others[path]}, "events")
		if w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", cookies, w.Code, w.Body)
		}
		return w.Result().Cookies()
	}
	known := f.cookieOf(siteA, 7)
	post("/", "__webpush="+known+"; __webpush=0", anEvent, 1)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "__webpush="+known+"; __webpush=0")
	if n := f.people(siteA); n != 0 || !httpapi.Anonymous(r, httpapi.PublicSite{}) {
		t.Errorf("a visitor who opted out is known by the older cookie: %d profiles", n)
	}
	for _, cookies := range []string{"__webpush=" + known, "__webpush=" + known + "; __webpush=0"} {
		for _, signal := range []string{"", "Sec-GPC", "DNT"} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Cookie", cookies)
			r.Header.Set(signal, "1")
			values, anonymous := httpapi.Cookies(r, httpapi.PublicSite{})
			if want := signal != "" || strings.HasSuffix(cookies, "=0"); anonymous != want {
				t.Errorf("%s, %q: anonymous is %v", cookies, signal, anonymous)
			}
			if (len(values) > 0) != (signal == "") {
				t.Errorf("%s, %q: values %q", cookies, signal, values)
			}
		}
	}
	for path, other := range others {
		leaving := f.cookieOf(siteA, 10+len(path))
		set := post(path, "__webpush="+leaving+"; __webpush="+leaving, `{"type":"optout","value":true}`, 2)
		if len(set) != 2 || set[0].Path != path || set[0].Value != "0" || set[1].Path != other || set[1].MaxAge >= 0 {
			t.Errorf("at %s: %v", path, set)
		}
	}
	if set := post("/_webpush/", "__webpush="+known, anEvent, 3); len(set) != 0 {
		t.Errorf("with one cookie, where it belongs: %v", set)
	}
	if set := post("/", "__webpush="+known, anEvent, 4); len(set) != 1 || set[0].Path != "/" {
		t.Errorf("with one cookie from before: %v", set)
	}
	// Opting in again removes both.
	set := post("/", "__webpush="+known+"; __webpush=0", `{"type":"optout","value":false}`, 5)
	if len(set) != 2 || len(set[0].Value) != 60 || set[0].Value == known || set[1].MaxAge >= 0 {
		t.Errorf("after opting in: %v", set)
	}
}

func TestSubscribeLinks(t *testing.T) {
	f := newFixture(t)
	b := newBrowser(t, 1)
	a := f.post(siteA, "subscribe", b.json(""))
	f.subscribed(a)
	v := &visit{fixture: f, site: siteA, cookie: (&http.Response{Header: a.header}).Cookies()[0].Value}
	v.send(anEvent)
	b2, _ := pushsvc.OpenDeviceCookie(f.secret(), siteA, v.cookie)
	if facts := v.facts(); !facts.Subscribed || facts.Profile == nil || f.subscriptions(siteA)[0].Device != b2.Device() {
		t.Errorf("facts: %+v", facts)
	}
}

// FuzzEvents: an answer is 204, or 400 or 413 with nothing stored; what is
// stored is within the bounds of one person.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		`{"batch":"` + random(1) + `","events":[` + anEvent + `]}`,
		`{"batch":"` + random(1) + `","sent":1e300,"events":[{"type":"profile","set":{"a":{"b":[{"c":{}}]}},"ops":[{"op":"add","key":"a.b[0].c","value":[1,{}]}]}]}`,
		`{"batch":"` + random(1) + `","events":[{"type":"login","identities":[{"kind":"email","value":"\u0000"}],"set":{"__proto__":1}},{"type":"logout"}]}`,
		`{"batch":"` + random(1) + `","events":[{"type":"visit","utm":{"source":"\ud800"}},{"type":"optout","value":true},{"type":"optout","value":false}]}`,
		`{"events":[{"type":"shown"}]}`, `{"batch":1e400}`, `[`,
	} {
		f.Add([]byte(seed))
	}
	x := newFixture(f)
	public := &httpapi.Public{Service: x.service, Logger: x.logger()}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/_webpush/events", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		public.Serve(w, r, httpapi.PublicSite{Name: siteA, CookiePath: "/_webpush/"}, "events")
		page, err := x.store.ProfilePage(t.Context(), siteA, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			text, err := json.Marshal(p.Attributes)
			if err != nil || len(text) > people.MaxAttributesSize || len(p.Attributes) > people.MaxAttributes {
				t.Errorf("%d attributes with %d bytes, %v", len(p.Attributes), len(text), err)
			}
			for name := range p.Events {
				if clean, ok := people.CleanEventName(name); !ok || clean != name {
					t.Errorf("the event %q is kept", name)
				}
			}
			if err := x.store.ErasePerson(t.Context(), siteA, p.ID); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case w.Code == http.StatusNoContent:
		case (w.Code == 400 || w.Code == 413) && len(page) == 0:
			a := answer{w.Code, w.Header(), w.Body.String()}
			a.problem(t)
		default:
			t.Errorf("%d %s with %d stored, of %q; log: %s", w.Code, w.Body, len(page), body, x.log)
		}
	})
}
