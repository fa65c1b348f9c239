package httpapi_test

import (
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

// loginAs is a login entry; signed if the fixture requires it.
func (f *fixture) loginAs(value string) string {
	signature := ""
	if f.identitySecret != "" {
		signature = people.SignIdentity(f.identitySecret, people.Identity{Kind: people.IdentityID, Value: value})
	}
	return fmt.Sprintf(`{"type":"login","identities":[{"kind":"identity","value":%q}],"signature":%q}`, value, signature)
}

// greet has a pop-up that shows what is known about the visitor.
func (f *fixture) greet() {
	f.Helper()
	a := f.api("PUT", siteA, "/popups/hi", `{"state":"running","kind":"box","content":{"title":"Hi {{ profile.Name }}"}}`)
	if a.status != http.StatusCreated {
		f.Fatalf("%d %s", a.status, a.body)
	}
}

// TestPlantedCookie: someone who has set a browser's cookie, to a made-up value or to a genuine one
// of their own, gets no data of a visitor who logs in with it, with signed identities and without.
func TestPlantedCookie(t *testing.T) {
	for _, secret := range []pushsvc.Secret{"", "s3cret"} {
		f := newFixture(t)
		f.identitySecret = secret
		f.greet()
		attacker := &visit{fixture: f, site: siteA, n: 100}
		attacker.send(`{"type":"event","name":"Attack"}`)
		for name, planted := range map[string]string{"made up": random(700), "genuine": attacker.cookie} {
			victim := &visit{fixture: f, site: siteA, cookie: planted, n: len(name) * 10}
			victim.send(anEvent)
			if name == "made up" && victim.cookie == planted {
				t.Fatal("a made-up cookie is taken")
			}
			victim.send(f.loginAs("ann"), `{"type":"profile","set":{"Name":"Ann","Phone":"+4912345"}}`)
			if victim.cookie == planted || victim.profile() == nil || victim.profile().Attributes["Name"] != "Ann" {
				t.Fatalf("%s: after the login the cookie is the same, or has no profile: %+v", name, victim.profile())
			}
			thief := &visit{fixture: f, site: siteA, cookie: planted, n: 500 + len(name)}
			// At once it has to post again, and later it is a stranger.
			if a := thief.send(`{"type":"profile","set":{"Name":"Mallory"}}`); name == "genuine" && a.status != http.StatusServiceUnavailable {
				t.Errorf("%s: %d", name, a.status)
			}
			if text := thief.askRaw(`{"page":{"path":"/"}}`).body; strings.Contains(text, "Ann") {
				t.Errorf("%s: the planted cookie reads the victim's profile: %s", name, text)
			}
			f.service.Clock = func() time.Time { return time.Now().Add(time.Minute) }
			if a := thief.send(`{"type":"profile","set":{"Name":"Mallory"}}`, `{"type":"event","name":"Forged"}`); a.status != http.StatusNoContent {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			f.service.Clock = time.Now
			if p := victim.profile(); p.Attributes["Name"] != "Ann" || p.Events["Forged"].Count != 0 {
				t.Errorf("%s: the planted cookie writes to the victim's profile: %+v", name, p)
			}
			if p := thief.profile(); p == nil || p.Known() || p.Attributes["Phone"] != nil {
				t.Errorf("%s: the thief is %+v", name, p)
			}
		}
	}
}

// TestCookieReplaced: at login and logout the browser gets another cookie; a post whose answer was
// lost leads to the same one, and entries posted twice count once.
func TestCookieReplaced(t *testing.T) {
	f := newFixture(t)
	v := &visit{fixture: f, site: siteA}
	v.send(anEvent)
	subscription := newBrowser(t, 1)
	f.subscribed(f.do("POST", f.public.URL+"/"+siteA+"/subscribe", subscription.json(""), "Content-Type", "application/json", "Cookie", "__webpush="+v.cookie))
	seen := map[string]bool{v.cookie: true}
	for i, entry := range []string{f.loginAs("ann"), `{"type":"logout"}`, f.loginAs("bob"), f.loginAs("ann")} {
		before := v.cookie
		v.sendBatch(50+i, "", entry, anEvent)
		after := v.cookie
		if seen[after] {
			t.Fatalf("%s: the cookie is an old one", entry)
		}
		seen[after] = true
		want := v.profile().Events["Viewed"].Count
		v.cookie = before // the answer was lost
		if a := v.sendBatch(50+i, "", entry, anEvent); a.status != http.StatusNoContent || v.cookie != after || v.profile().Events["Viewed"].Count != want {
			t.Errorf("%s: posted again: %d, the same cookie %t, %d events of %d", entry, a.status, v.cookie == after, v.profile().Events["Viewed"].Count, want)
		}
		// Another tab's post with the old cookie is refused, posted again, and counts for the right
		// profile.
		other := &visit{fixture: f, site: siteA, cookie: before}
		if a := other.sendBatch(60+i, "", `{"type":"event","name":"Late"}`); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "1" || other.cookie != before {
			t.Errorf("%s: a post with the cookie from before: %d", entry, a.status)
		}
		late := v.profile().Events["Late"].Count
		if v.sendBatch(60+i, "", `{"type":"event","name":"Late"}`); v.profile().Events["Late"].Count != late+1 {
			t.Errorf("%s: what is posted again is not counted", entry)
		}
		if facts := v.facts(); !facts.Subscribed {
			t.Errorf("%s: the browser's subscription remains", entry)
		}
	}
	// A login with the present identity changes nothing.
	before := v.cookie
	if v.send(f.loginAs("ann")); v.cookie != before {
		t.Error("a login that is repeated replaces the cookie")
	}
	// A visitor who opts out and in again is a new one, even in the same page.
	v.send(`{"type":"optout","value":true}`)
	v.send(`{"type":"optout","value":false}`, anEvent)
	if seen[v.cookie] || v.profile().Events["Viewed"].Count != 1 {
		t.Errorf("after opting in again: %+v", v.profile())
	}
	if a := (&visit{fixture: f, site: siteA, cookie: before, n: 900}).send(anEvent); a.status != http.StatusServiceUnavailable {
		t.Errorf("a post from before the choice not to be known: %d", a.status)
	}
}

// TestCookieRestart: a cookie is valid after a restart, and one from before a login is a
// stranger's.
func TestCookieRestart(t *testing.T) {
	f := newFixture(t)
	v := &visit{fixture: f, site: siteA}
	v.send(anEvent)
	before := v.cookie
	v.send(f.loginAs("ann"))
	g := newFixtureOn(t, f.store)
	w := &visit{fixture: g, site: siteA, cookie: v.cookie, n: 50}
	if w.send(anEvent); w.cookie != v.cookie || w.profile().Events["Viewed"].Count != 2 {
		t.Errorf("after a restart: %+v", w.profile())
	}
	old := &visit{fixture: g, site: siteA, cookie: before, n: 60}
	if a := old.send(anEvent); a.status != http.StatusNoContent || old.cookie != before || old.profile().Known() {
		t.Errorf("the cookie from before the login: %d, %+v", a.status, old.profile())
	}
	if p := w.profile(); p.Events["Viewed"].Count != 2 {
		t.Errorf("it counts for the visitor who has logged in: %+v", p)
	}
}

// TestSessionIsNoSecret: with a visitor's session, a client gets neither cookie nor profile, and is
// nowhere in the store or in an export.
func TestSessionIsNoSecret(t *testing.T) {
	f := newFixture(t)
	f.putPopup(siteA, "sale", "")
	session := random(800)
	v := &visit{fixture: f, site: siteA}
	v.sendBatch(1, session, anEvent)
	popup := v.ask("").Popups[0]
	v.n = 1
	v.sendBatch(2, session, fmt.Sprintf(`{"type":"popup","act":"viewed","popup":"sale","token":%q}`, popup.Token))
	if p := v.profile(); len(p.Shown) != 1 || p.Shown[0].Session != pushsvc.SessionMark(session) {
		t.Errorf("shown: %+v", p.Shown)
	}
	for _, path := range []string{"/events", "/messages"} {
		body := fmt.Sprintf(`{"batch":%q,"session":%q,"events":[%s]}`, random(3), session, anEvent)
		if path == "/messages" {
			body = fmt.Sprintf(`{"session":%q,"page":{"path":"/"}}`, session)
		}
		a := f.do("POST", f.public.URL+"/"+siteA+path, body, "Content-Type", "application/json")
		thief := &visit{fixture: f, site: siteA, cookie: (&http.Response{Header: a.header}).Cookies()[0].Value}
		if p := thief.profile(); thief.cookie == v.cookie || p != nil && p.ID == v.profile().ID {
			t.Errorf("%s: a client that knows the session has the visitor's cookie", path)
		}
	}
	a := f.api("GET", siteA, "/profiles/"+v.profile().ID, "")
	if a.status != http.StatusOK || strings.Contains(a.body, session) || strings.Contains(a.body, pushsvc.SessionMark(session)) {
		t.Errorf("the export has the session: %s", a.body)
	}
}

// TestSeed: a page's first requests have no cookie, and belong to one visitor.
func TestSeed(t *testing.T) {
	f := newFixture(t)
	seed := fmt.Sprintf(`"seed":%q`, random(801))
	asked := f.do("POST", f.public.URL+"/"+siteA+"/messages", `{`+seed+`}`, "Content-Type", "application/json")
	accepted := f.do("POST", f.public.URL+"/"+siteA+"/events", `{`+seed+`,"batch":"`+random(1)+`","events":[`+anEvent+`]}`, "Content-Type", "application/json")
	malformed := f.do("POST", f.public.URL+"/"+siteA+"/events", `{`+seed+`,"batch":"`+random(2)+`","events":[`+anEvent+`,7]}`, "Content-Type", "application/json")
	a, b, c := (&http.Response{Header: asked.header}).Cookies(), (&http.Response{Header: accepted.header}).Cookies(), (&http.Response{Header: malformed.header}).Cookies()
	if len(a) != 1 || len(b) != 1 || len(c) != 1 || a[0].Value != b[0].Value || b[0].Value != c[0].Value || f.people(siteA) != 1 {
		t.Errorf("%v, %v and %v; %d profiles", a, b, c, f.people(siteA))
	}
}

// TestTwoCookies: of two cookies the genuine one counts, in either order; over https only the one
// that other hosts can't set.
func TestTwoCookies(t *testing.T) {
	f := newFixture(t)
	public := &httpapi.Public{Service: f.service, Logger: f.logger()}
	genuine, planted, other := f.cookieOf(siteA, 1), f.cookieOf(siteA, 2), f.cookieOf(siteB, 1)
	n := 0
	post := func(https bool, cookies string, headers ...string) *httptest.ResponseRecorder {
		n++
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "https://a.example/_webpush/events", strings.NewReader(fmt.Sprintf(`{"batch":%q,"events":[%s]}`, random(n), anEvent)))
		if !https {
			r.TLS = nil
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Cookie", cookies)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		public.Serve(w, r, httpapi.PublicSite{Name: siteA, CookiePath: "/_webpush/", OtherPath: "/"}, "events")
		if w.Code != http.StatusNoContent {
			t.Fatalf("%s: %d %s", cookies, w.Code, w.Body)
		}
		return w
	}
	counted := func(cookie string) int64 {
		if p := (&visit{fixture: f, site: siteA, cookie: cookie}).profile(); p != nil {
			return p.Events["Viewed"].Count
		}
		return 0
	}
	for i, cookies := range []string{
		"__webpush=" + random(1) + "; __webpush=" + genuine,
		"__webpush=" + genuine + "; __webpush=" + random(1),
		"__webpush=" + other + "; __webpush=" + genuine,
	} {
		if post(false, cookies); counted(genuine) != int64(i+1) {
			t.Errorf("%s: not the genuine one counts", cookies)
		}
	}
	for _, headers := range [][]string{nil, {"Origin", "https://a.example"}} {
		before := counted(genuine)
		post(headers == nil, "__webpush="+planted+"; __Host-webpush="+genuine, headers...)
		if counted(genuine) != before+1 || counted(planted) != 0 {
			t.Error("over https a planted cookie counts")
		}
		w := post(headers == nil, "__webpush="+planted, headers...)
		if counted(planted) != 0 {
			t.Error("over https a planted cookie counts alone")
		}
		set := w.Result().Cookies()
		if len(set) != 1 || set[0].Name != "__Host-webpush" || set[0].Path != "/" || !set[0].Secure || !set[0].HttpOnly || set[0].Domain != "" || set[0].Value == planted {
			t.Errorf("over https: %v", set)
		}
	}
	people := f.people(siteA)
	if w := post(true, "__Host-webpush=0"); len(w.Result().Cookies()) != 0 || f.people(siteA) != people {
		t.Error("a visitor who opted out over https is known")
	}
}

// TestCookieRenewed: a cookie is set again once a month, not with each answer.
func TestCookieRenewed(t *testing.T) {
	f := newFixture(t)
	v := &visit{fixture: f, site: siteA}
	v.send(anEvent)
	first := v.cookie
	if a := v.send(anEvent); a.header.Get("Set-Cookie") != "" {
		t.Errorf("set again at once: %s", a.header.Get("Set-Cookie"))
	}
	f.service.Clock = func() time.Time { return time.Now().Add(31 * 24 * time.Hour) }
	if v.send(anEvent); v.cookie == first || v.profile().Events["Viewed"].Count != 3 {
		t.Errorf("after a month: %+v", v.profile())
	}
	if a := v.send(anEvent); a.header.Get("Set-Cookie") != "" {
		t.Errorf("set again after it was renewed: %s", a.header.Get("Set-Cookie"))
	}
}

// TestCookiePorts: browsers send cookies to all ports of a host. A visitor of sites on two ports is
// a separate browser at each, and a visitor who opts out at one is still recognised at the other.
func TestCookiePorts(t *testing.T) {
	const first, second = "a.example:8080", "a.example:8443"
	for _, secure := range []bool{false, true} {
		f := newFixture(t)
		public := &httpapi.Public{Service: f.service, Logger: f.logger()}
		jar := map[string]string{}
		n := 0
		post := func(site, entry string) {
			t.Helper()
			n++
			r := httptest.NewRequest("POST", "http://a.example/_webpush/events", strings.NewReader(fmt.Sprintf(`{"batch":%q,"events":[%s]}`, random(n), entry)))
			r.Header.Set("Content-Type", "application/json")
			for name, value := range jar {
				r.AddCookie(&http.Cookie{Name: name, Value: value})
			}
			w := httptest.NewRecorder()
			public.Serve(w, r, httpapi.PublicSite{Name: site, CookiePath: "/_webpush/", OtherPath: "/", Secure: secure}, "events")
			if w.Code != http.StatusNoContent {
				t.Fatalf("%s: %d %s", site, w.Code, w.Body)
			}
			for _, c := range w.Result().Cookies() {
				jar[c.Name] = c.Value
			}
		}
		for range 3 {
			post(first, anEvent)
			post(second, anEvent)
		}
		if f.people(first) != 1 || f.people(second) != 1 {
			t.Errorf("one browser is %d and %d profiles", f.people(first), f.people(second))
		}
		post(first, `{"type":"optout","value":true}`)
		post(second, anEvent)
		if f.people(first) != 0 || f.people(second) != 1 {
			t.Errorf("opted out at the first: %d and %d profiles", f.people(first), f.people(second))
		}
		for name, value := range jar {
			if p := (&visit{fixture: f, site: second, cookie: value}).profile(); p != nil && p.Events["Viewed"].Count != 4 {
				t.Errorf("%s: %d events", name, p.Events["Viewed"].Count)
			}
		}
	}
}
