package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
)

const peopleHost = "a.example.com"

// tell posts a batch of events and returns the new cookie.
func (s *server) tell(cookie, batch, entries string, header map[string]string) *http.Cookie {
	s.t.Helper()
	all := map[string]string{"Content-Type": "application/json"}
	if cookie != "" {
		all["Cookie"] = "__webpush=" + cookie
	}
	for k, v := range header {
		all[k] = v
	}
	resp, body := s.request("POST", peopleHost, "/_webpush/events", all, fmt.Sprintf(`{"batch":"AAAAAAAAAAAAAAAAAAA%sA","events":[%s]}`, batch, entries))
	if resp.StatusCode != http.StatusNoContent {
		s.t.Fatalf("events: %d %s", resp.StatusCode, body)
	}
	if set := resp.Cookies(); len(set) == 1 {
		return set[0]
	}
	return nil
}

// visitor gets a cookie as a browser does.
func (s *server) visitor(batch string) *http.Cookie {
	s.t.Helper()
	c := s.tell("", batch, `{"type":"event","name":"Hello"}`, nil)
	if c == nil {
		s.t.Fatal("no cookie was set")
	}
	return c
}

// stopped stops Caddy and opens its store.
func (s *server) stopped() *boltstore.Store {
	s.t.Helper()
	if err := caddy.Stop(); err != nil {
		s.t.Fatal(err)
	}
	store, err := boltstore.Open(s.t.Context(), s.db, boltstore.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = store.Close() })
	return store
}

func person(t *testing.T, store *boltstore.Store, cookie string) (people.Profile, []people.EventRecord) {
	t.Helper()
	secret, err := store.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, _ := pushsvc.OpenDeviceCookie(secret, peopleHost, cookie)
	f, err := store.Facts(t.Context(), peopleHost, b.Device())
	if err != nil || f.Profile == nil {
		t.Fatalf("the visitor is unknown: %v", err)
	}
	p, err := store.Person(t.Context(), peopleHost, f.Profile.ID)
	if err != nil {
		t.Fatal(err)
	}
	return p.Profile, p.History
}

// TestPageEvents: events that pages report in their answers, with a real store.
func TestPageEvents(t *testing.T) {
	t.Setenv("WEBPUSH_TEST_SECRET", "expanded")
	var mu sync.Mutex
	cookies := map[string]string{} // cookies that the site got, by path
	page := func(status int, contentType, total string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			cookies[r.URL.Path] = strings.Join(r.Header["Cookie"], "|")
			mu.Unlock()
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("X-Order-Total", total)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, pageHTML)
		}
	}
	const html = "text/html; charset=utf-8"
	s := start(t, site{
		options: `event Charged {
			path /thank-you*
			prop value {http.response.header.X-Order-Total}
			prop query {http.request.uri.query.q}
			prop none {http.response.header.X-Nothing}
		}
		event Any {
			not path /quiet
		}`,
		upstream: upstream(t, map[string]http.HandlerFunc{
			"/thank-you": page(200, html, "42.50"), "/thank-you-evil": page(200, html, "{env.WEBPUSH_TEST_SECRET}"),
			"/thank-you.json": page(200, "application/json", "1"), "/thank-you-404": page(404, html, "2"),
			"/thank-you-302": page(302, html, "3"), "/quiet": page(200, html, ""),
		}),
	})
	c := s.visitor("01")
	if c.Path != "/" || !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie: %+v", c)
	}
	get := func(method, path string, header ...string) {
		all := map[string]string{"Cookie": "a=1; __webpush=" + c.Value + "; b=2"}
		for k, v := range caddytest.Navigation {
			all[k] = v
		}
		for i := 0; i < len(header); i += 2 {
			all[header[i]] = header[i+1]
		}
		resp, body := s.request(method, peopleHost, path, all, "")
		if strings.Contains(body, c.Value) || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: the page has the cookie", path)
		}
		if method == "GET" && resp.StatusCode == 200 && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && body != pageWithSnippet {
			t.Errorf("%s: %s", path, body)
		}
	}
	get("GET", "/thank-you?q={env.WEBPUSH_TEST_SECRET}")
	get("GET", "/thank-you-evil")
	for _, path := range []string{"/thank-you.json", "/thank-you-404", "/thank-you-302", "/quiet"} {
		get("GET", path)
	}
	get("HEAD", "/thank-you")
	get("GET", "/thank-you", "Sec-GPC", "1")
	get("GET", "/thank-you", "DNT", "1")
	get("GET", "/thank-you", "Sec-Purpose", "prefetch;prerender")
	get("GET", "/thank-you", "Cookie", "__webpush=nonsense")
	get("GET", "/thank-you", "Cookie", "__webpush=0")
	get("GET", "/thank-you", "Cookie", "other=1")
	for path, got := range cookies {
		if strings.Contains(got, "__webpush") || path == "/quiet" && got != "a=1; b=2" {
			t.Errorf("%s: the site saw the cookies %q", path, got)
		}
	}
	p, history := person(t, s.stopped(), c.Value)
	var charged []string
	for _, e := range history {
		if e.Name == "Charged" {
			charged = append(charged, fmt.Sprint(e.Props))
		}
	}
	want := "[map[query:{env.WEBPUSH_TEST_SECRET} value:42.50] map[value:{env.WEBPUSH_TEST_SECRET}]]"
	if fmt.Sprint(charged) != want || p.Events["Charged"].Count != 2 || p.Events["Any"].Count != 2 {
		t.Errorf("charged %v, want %s; counts %+v", charged, want, p.Events)
	}
}

// TestPageEventsLimited: a page that reports an event counts towards event_limit,
// as a post does.
func TestPageEventsLimited(t *testing.T) {
	s := start(t, site{
		global:  "event_limit 20",
		options: "event Any *",
		upstream: upstream(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, pageHTML)
		}}),
	})
	c := s.visitor("01")
	for range 60 {
		header := map[string]string{"Cookie": "__webpush=" + c.Value}
		for k, v := range caddytest.Navigation {
			header[k] = v
		}
		if resp, _ := s.request("GET", peopleHost, "/", header, ""); resp.StatusCode != http.StatusOK {
			t.Fatalf("a page is refused: %d", resp.StatusCode)
		}
	}
	p, _ := person(t, s.stopped(), c.Value)
	if n := p.Events["Any"].Count; n < 19 || n > 30 {
		t.Errorf("%d of 60 pages are counted; want the 19 that are left of the limit", n)
	}
}

// TestIdentify: the site's response header identifies the visitor.
func TestIdentify(t *testing.T) {
	s := start(t, site{
		options: "identify {http.response.header.X-User}\nidentity_secret s3cret",
		upstream: upstream(t, map[string]http.HandlerFunc{"/me": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("X-User", r.URL.Query().Get("user"))
			_, _ = io.WriteString(w, pageHTML)
		}}),
	})
	ann, bob, unknown := s.visitor("01"), s.visitor("02"), s.visitor("03")
	for range 3 {
		s.request("GET", peopleHost, "/me?user=ann", map[string]string{"Cookie": "__webpush=" + ann.Value}, "")
	}
	s.request("GET", peopleHost, "/me?user=bob", map[string]string{"Cookie": "__webpush=" + bob.Value}, "")
	s.request("GET", peopleHost, "/me", map[string]string{"Cookie": "__webpush=" + unknown.Value}, "")
	// A script in the page can't do that without a signature.
	s.tell(unknown.Value, "04", `{"type":"login","identities":[{"kind":"identity","value":"ann"}]}`, nil)
	store := s.stopped()
	for cookie, want := range map[string]string{ann.Value: "[{identity ann}]", bob.Value: "[{identity bob}]", unknown.Value: "[]"} {
		if p, _ := person(t, store, cookie); fmt.Sprint(p.Identities) != want || p.Events["Hello"].Count != 1 {
			t.Errorf("identities %v, want %s", p.Identities, want)
		}
	}
}

// TestCookiePath: where no page is watched, pages and the site don't get the
// cookie, and the site's own requests are unchanged.
func TestCookiePath(t *testing.T) {
	var saw string
	s := start(t, site{options: "prefix /push", upstream: upstream(t, map[string]http.HandlerFunc{
		"/x": func(_ http.ResponseWriter, r *http.Request) { saw = r.Header.Get("Cookie") },
	})})
	resp, _ := s.request("POST", peopleHost, "/push/events", map[string]string{"Content-Type": "application/json"}, `{"batch":"AAAAAAAAAAAAAAAAAAAAAA","events":[{"type":"event","name":"E"}]}`)
	if c := resp.Cookies(); len(c) != 1 || c[0].Path != "/push/" {
		t.Errorf("cookies: %v", c)
	}
	s.request("GET", peopleHost, "/x", map[string]string{"Cookie": "__webpush=x; a=1"}, "")
	if saw != "__webpush=x; a=1" {
		t.Errorf("the site saw %q", saw)
	}
}

// TestPageEventsRetired: a retired site records no pages, and still gets no
// cookie of ours.
func TestPageEventsRetired(t *testing.T) {
	var mu sync.Mutex
	seen := ""
	up := upstream(t, map[string]http.HandlerFunc{"/page": func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = r.Header.Get("Cookie")
		mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, pageHTML)
	}})
	s := start(t, site{options: "event Any *", upstream: up})
	c := s.visitor("01")
	s.load(adaptJSON(t, site{options: "event Any *\nretire", upstream: up}.caddyfile(s.db, s.port)))
	s.request("GET", peopleHost, "/page", map[string]string{"Cookie": "a=1; __webpush=" + c.Value, "Sec-Fetch-Dest": "document"}, "")
	mu.Lock()
	if seen != "a=1" {
		t.Errorf("the site sees the cookies %q", seen)
	}
	mu.Unlock()
	if p, _ := person(t, s.stopped(), c.Value); len(p.Events) != 1 {
		t.Errorf("a page of a retired site is counted: %+v", p.Events)
	}
}

// TestIdentifyPort: a visitor of a site with its own port is identified by that
// site's cookie, beside those of the host's other ports.
func TestIdentifyPort(t *testing.T) {
	up := upstream(t, map[string]http.HandlerFunc{"/me": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("X-User", "ann")
		_, _ = io.WriteString(w, pageHTML)
	}})
	s := start(t, site{options: "identify {http.response.header.X-User}", upstream: up})
	host := fmt.Sprint(peopleHost, ":", s.port)
	name := fmt.Sprint("__webpush_", s.port)
	resp, body := s.request("POST", host, "/_webpush/events", map[string]string{"Content-Type": "application/json"},
		`{"batch":"AAAAAAAAAAAAAAAAAAAAAA","events":[{"type":"event","name":"Hello"}]}`)
	set := resp.Cookies()
	if len(set) != 1 || set[0].Name != name {
		t.Fatalf("%d %s: cookies %v", resp.StatusCode, body, set)
	}
	s.request("GET", host, "/me", map[string]string{"Cookie": "__webpush=0; " + name + "=" + set[0].Value}, "")
	store := s.stopped()
	secret, err := store.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, _ := pushsvc.OpenDeviceCookie(secret, host, set[0].Value)
	f, err := store.Facts(t.Context(), host, b.Device())
	if err != nil || f.Profile == nil || fmt.Sprint(f.Profile.Identities) != "[{identity ann}]" {
		t.Errorf("%+v, %v", f.Profile, err)
	}
}

// TestHostCookie: an https site, also behind a proxy that terminates TLS, has a
// cookie that other hosts can't set. The site itself never gets it, and only this
// cookie identifies a visitor behind a trusted proxy.
func TestHostCookie(t *testing.T) {
	var mu sync.Mutex
	saw := ""
	up := upstream(t, map[string]http.HandlerFunc{"/me": func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		saw = r.Header.Get("Cookie")
		mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("X-User", r.URL.Query().Get("user"))
		_, _ = io.WriteString(w, pageHTML)
	}})
	s := start(t, site{global: "", options: "", upstream: up})
	https := map[string]string{"Origin": "https://" + peopleHost}
	c := s.tell("", "01", `{"type":"event","name":"Hello"}`, https)
	if c == nil || c.Name != "__Host-webpush" || c.Path != "/" || !c.Secure || !c.HttpOnly || c.Domain != "" {
		t.Fatalf("cookie: %+v", c)
	}
	planted := s.visitor("02")
	get := func(want string) {
		t.Helper()
		s.request("GET", peopleHost, "/me?user=ann", map[string]string{
			"Cookie": "a=1; __Host-webpush=" + c.Value + "; __Host-webpush_8443=x; __webpush_8080=x; __webpush=" + planted.Value, "X-Forwarded-Proto": "https",
		}, "")
		mu.Lock()
		defer mu.Unlock()
		if saw != want {
			t.Errorf("the site sees %q, want %q", saw, want)
		}
	}
	get("a=1; __webpush_8080=x; __webpush=" + planted.Value) // not our cookie here
	s.load(adaptJSON(t, site{options: "identify {http.response.header.X-User}", upstream: up}.caddyfile(s.db, s.port)))
	get("a=1")
	store := s.stopped()
	if p, _ := person(t, store, c.Value); fmt.Sprint(p.Identities) != "[{identity ann}]" {
		t.Errorf("identified: %+v", p.Identities)
	}
	if p, _ := person(t, store, planted.Value); p.Known() {
		t.Errorf("by a planted cookie: %+v", p.Identities)
	}
}
