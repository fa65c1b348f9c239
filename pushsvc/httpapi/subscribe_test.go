package httpapi_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

func TestSubscribe(t *testing.T) {
	f := newFixture(t)
	b := newBrowser(t, 1)
	f.subscribed(f.post(siteA, "subscribe", b.json(fmt.Sprintf(
		`,"applicationServerKey":%q,"language":"de-DE","timeZone":"Europe/Berlin","page":"https://a.example/x?mail=me"`, f.key.Public))))
	subs := f.subscriptions(siteA)
	if len(subs) != 1 {
		t.Fatalf("%d subscriptions", len(subs))
	}
	s := subs[0]
	if s.Endpoint != b.endpoint || base64.RawURLEncoding.EncodeToString(s.P256DH[:]) != b.p256dh || base64.RawURLEncoding.EncodeToString(s.Auth[:]) != b.auth {
		t.Errorf("stored %+v of %+v", s, b)
	}
	if s.KeyID != f.key.ID || s.Language != "de-DE" || s.TimeZone != "Europe/Berlin" || s.Page != "/x" || !s.Expiration.IsZero() {
		t.Errorf("stored %+v", s)
	}
	id := f.newest(siteA)
	if time.Since(s.Created) > time.Minute {
		t.Errorf("stored at %v", s.Created)
	}
	for range 3 {
		f.subscribed(f.post(siteA, "subscribe", b.json("")))
		if again := f.newest(siteA); again != id {
			t.Errorf("repeated: id %s, before %s", again, id)
		}
	}
	if n := f.count(siteA); n != 1 {
		t.Errorf("repeated: %d subscriptions", n)
	}
	if f.count(siteB) != 0 {
		t.Error("another site has the subscription")
	}
}

// TestSubscribeTolerated: wrong information about a browser is no reason to lose a subscriber.
func TestSubscribeTolerated(t *testing.T) {
	f := newFixture(t)
	for i, more := range []string{
		`,"language":"<script>","timeZone":"{env.HOME}","page":"::"`,
		`,"applicationServerKey":""`,
		`,"replaces":null`,
		`,"replaces":{"endpoint":"x","keys":{"auth":"y"}}`,
		`,"replaces":{}`,
		`,"future":{"a":[1,{"b":null}]}`,
		`,"language":null,"timeZone":null,"page":null`,
	} {
		f.subscribed(f.post(siteA, "subscribe", newBrowser(t, i).json(more)))
		if n := f.count(siteA); n != i+1 {
			t.Fatalf("%s: %d subscriptions", more, n)
		}
	}
	b := newBrowser(t, 99)
	padded := strings.Replace(b.json(""), b.auth, b.auth+"==", 1)
	f.subscribed(f.post(siteA, "subscribe", strings.Replace(padded, `"expirationTime":null`, `"expirationTime":1893456000000.5`, 1)))
	subs := f.subscriptions(siteA)
	if got := subs[len(subs)-1].Expiration; got.UnixMilli() != 1893456000000 {
		t.Errorf("expiration %v", got)
	}
	f.subscribed(f.post(siteA, "subscribe", b.json(fmt.Sprintf(`,"applicationServerKey":"%s="`, f.key.Public))))
}

// TestSubscribeBad: every bad body has its error, which names the field, and stores nothing.
func TestSubscribeBad(t *testing.T) {
	f := newFixture(t)
	b := newBrowser(t, 1)
	good := b.json("")
	edit := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to edit: %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	endpoint, p256dh, auth := fmt.Sprintf("%q", b.endpoint), fmt.Sprintf("%q", b.p256dh), fmt.Sprintf("%q", b.auth)
	with := func(more string) string { return b.json("," + more) }
	for _, tt := range []struct {
		name, field, body string
		status            int
	}{
		{"empty", "", "", 400},
		{"white space", "", " \n", 400},
		{"null", "endpoint", "null", 400},
		{"list", "", "[]", 400},
		{"string", "", `"x"`, 400},
		{"no members", "endpoint", "{}", 400},
		{"cut short", "", good[:len(good)-1], 400},
		{"second value", "", good + good, 400},
		{"something after it", "", good + "x", 400},
		{"BOM", "", "\ufeff" + good, 400},
		{"bad UTF-8", "", with("\"page\":\"\xff\""), 400},
		{"comment", "", good + "//", 400},
		{"endpoint missing", "endpoint", edit(`"endpoint":`, `"endpoin":`), 400},
		{"endpoint empty", "endpoint", edit(endpoint, `""`), 400},
		{"endpoint null", "endpoint", edit(endpoint, `null`), 400},
		{"endpoint number", "endpoint", edit(endpoint, `7`), 400},
		{"endpoint list", "endpoint", edit(endpoint, `["`+b.endpoint+`"]`), 400},
		{"endpoint http", "endpoint", edit("https:", "http:"), 400},
		{"endpoint elsewhere", "endpoint", edit("fcm.googleapis.com", "evil.example"), 400},
		{"endpoint inward", "endpoint", edit("fcm.googleapis.com", "169.254.169.254"), 400},
		{"endpoint with port", "endpoint", edit("fcm.googleapis.com", "fcm.googleapis.com:2019"), 400},
		{"endpoint with user", "endpoint", edit("fcm.googleapis.com", "x@fcm.googleapis.com"), 400},
		{"endpoint removed", "endpoint", edit(b.endpoint, "https://permanently-removed.invalid/fcm/send/x"), 400},
		{"endpoint long", "endpoint", edit("browser-1", strings.Repeat("x", pushsvc.MaxEndpoint)), 400},
		{"keys missing", "keys.p256dh", edit(`"keys":`, `"key":`), 400},
		{"keys null", "keys.p256dh", `{"endpoint":` + endpoint + `,"keys":null}`, 400},
		{"keys list", "keys", `{"endpoint":` + endpoint + `,"keys":[]}`, 400},
		{"p256dh missing", "keys.p256dh", edit(`"p256dh":`, `"x":`), 400},
		{"p256dh number", "keys.p256dh", edit(p256dh, `1`), 400},
		{"p256dh off the curve", "keys.p256dh", edit(b.p256dh, base64.RawURLEncoding.EncodeToString(append([]byte{4}, make([]byte, 64)...))), 400},
		{"p256dh compressed", "keys.p256dh", edit(b.p256dh, base64.RawURLEncoding.EncodeToString(append([]byte{2}, make([]byte, 32)...))), 400},
		{"p256dh cut short", "keys.p256dh", edit(b.p256dh, b.p256dh[:80]), 400},
		{"p256dh not base64", "keys.p256dh", edit(b.p256dh, "!"+b.p256dh[1:]), 400},
		{"auth missing", "keys.auth", edit(`"auth":`, `"x":`), 400},
		{"auth null", "keys.auth", edit(auth, `null`), 400},
		{"auth short", "keys.auth", edit(b.auth, b.auth[:20]), 400},
		{"auth long", "keys.auth", edit(b.auth, b.auth+"AA"), 400},
		{"auth with a line end", "keys.auth", edit(b.auth, b.auth[:4]+`\n`+b.auth[4:]), 400},
		{"expiration negative", "expirationTime", edit(`Time":null`, `Time":-1`), 400},
		{"expiration absurd", "expirationTime", edit(`Time":null`, `Time":1e300`), 400},
		{"expiration beyond numbers", "expirationTime", edit(`Time":null`, `Time":1e400`), 400},
		{"expiration text", "expirationTime", edit(`Time":null`, `Time":"1"`), 400},
		{"foreign key", "applicationServerKey", with(fmt.Sprintf(`"applicationServerKey":%q`, b.p256dh)), 400},
		{"key number", "applicationServerKey", with(`"applicationServerKey":1`), 400},
		{"language number", "language", with(`"language":1`), 400},
		{"replaces list", "replaces", with(`"replaces":[]`), 400},
		{"replaces text", "replaces", with(`"replaces":"x"`), 400},
		{"replaces keys text", "replaces.keys", with(`"replaces":{"keys":"x"}`), 400},
		{"endpoint twice", "endpoint", with(`"endpoint":` + endpoint), 400},
		{"endpoint twice, escaped", "endpoint", with(`"\u0065ndpoint":"https://fcm.googleapis.com/fcm/send/evil"`), 400},
		{"auth twice inside", "keys.auth", edit(`"auth":`, `"auth":"x","auth":`), 400},
		{"twice in what is ignored", "x.a", with(`"x":{"a":1,"a":2}`), 400},
		{"deep", "", with(`"x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20)), 400},
		{"very deep", "", strings.Repeat("[", 8000), 400},
		{"large", "", with(`"x":"` + strings.Repeat("x", httpapi.MaxSubscribeBody) + `"`), 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := f.post(siteA, "subscribe", tt.body)
			p := a.problem(t)
			if a.status != tt.status || p.Field != tt.field {
				t.Errorf("%d %s; want %d, field %q", a.status, a.body, tt.status, tt.field)
			}
			if n := f.count(siteA); n != 0 {
				t.Fatalf("%d subscriptions stored", n)
			}
			for _, secret := range []string{b.endpoint, b.p256dh, b.auth} {
				if strings.Contains(a.body, secret) {
					t.Errorf("the answer repeats a secret: %s", a.body)
				}
			}
		})
	}
	// A name in another case is another name. The table's base was valid.
	f.subscribed(f.post(siteA, "subscribe", with(`"ENDPOINT":"https://fcm.googleapis.com/fcm/send/evil","key\u017f":{},"\u212aeys":{}`)))
	if subs := f.subscriptions(siteA); len(subs) != 1 || subs[0].Endpoint != b.endpoint {
		t.Errorf("stored: %+v", subs)
	}
}

// TestSubscribeRequests: the request around a valid body.
func TestSubscribeRequests(t *testing.T) {
	f := newFixture(t)
	good := newBrowser(t, 1).json("")
	url := f.public.URL + "/" + siteA + "/subscribe"
	for _, tt := range []struct {
		name, method, url string
		headers           []string
		status            int
	}{
		{"no type", "POST", url, nil, 415},
		{"text", "POST", url, []string{"Content-Type", "text/plain"}, 415},
		{"form", "POST", url, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"problem", "POST", url, []string{"Content-Type", "application/problem+json"}, 415},
		{"bad type", "POST", url, []string{"Content-Type", "application/json; charset"}, 415},
		{"gzip", "POST", url, []string{"Content-Type", "application/json", "Content-Encoding", "gzip"}, 415},
		{"GET", "GET", url, []string{"Content-Type", "application/json"}, 405},
		{"PUT", "PUT", url, []string{"Content-Type", "application/json"}, 405},
		{"OPTIONS", "OPTIONS", url, nil, 405},
		{"DELETE", "DELETE", url, nil, 405},
		{"unknown action", "POST", f.public.URL + "/" + siteA + "/subscribers", []string{"Content-Type", "application/json"}, 404},
	} {
		a := f.do(tt.method, tt.url, good, tt.headers...)
		if a.problem(t); a.status != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, a.status, tt.status)
		}
		if allow := a.header.Get("Allow"); (allow == "POST") != (tt.status == 405) {
			t.Errorf("%s: Allow: %q", tt.name, allow)
		}
		if n := f.count(siteA); n != 0 {
			t.Fatalf("%s: %d subscriptions stored", tt.name, n)
		}
	}
	a := f.do("POST", url, good, "Content-Type", `Application/JSON; charset="UTF-8"`)
	f.subscribed(a)
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: %q", got)
	}
}

// TestSubscribeKeysStay: a client that knows only an endpoint can neither change its keys nor
// replace it without a proof of having been it.
func TestSubscribeKeysStay(t *testing.T) {
	f := newFixture(t)
	victim, id := f.subscribe(siteA, 1)
	before := f.subscriptions(siteA)[0]
	attacker := newBrowser(t, 1) // same endpoint, other keys
	f.subscribed(f.post(siteA, "subscribe", attacker.json(`,"language":"xx"`)))
	if got := f.newest(siteA); got != id {
		t.Errorf("the answer reveals the id %s, not %s", got, id)
	}
	other := newBrowser(t, 2)
	proof := strings.Replace(victim.proof(), victim.auth, attacker.auth, 1)
	f.subscribed(f.post(siteA, "subscribe", other.json(`,"replaces":`+proof)))
	f.subscribed(f.post(siteB, "subscribe", other.json(`,"replaces":`+victim.proof())))
	subs := f.subscriptions(siteA)
	if len(subs) != 2 || !reflect.DeepEqual(subs[0], before) {
		t.Errorf("now %+v, before %+v", subs, before)
	}
	third := newBrowser(t, 3)
	f.subscribed(f.post(siteA, "subscribe", third.json(`,"replaces":`+victim.proof())))
	subs = f.subscriptions(siteA)
	if len(subs) != 2 || subs[0].ID != before.ID || subs[0].Endpoint != third.endpoint || !subs[0].Created.Equal(before.Created) {
		t.Errorf("after a proven replacement: %+v", subs)
	}
}

func TestUnsubscribe(t *testing.T) {
	f := newFixture(t)
	b, _ := f.subscribe(siteA, 1)
	stranger := newBrowser(t, 1)
	unknown := newBrowser(t, 2)
	var first answer
	for i, tt := range []struct {
		name, site, body string
		left             int
	}{
		{"unknown endpoint", siteA, unknown.proof(), 1},
		{"wrong auth", siteA, stranger.proof(), 1},
		{"other site", siteB, b.proof(), 1},
		{"refused endpoint", siteA, `{"endpoint":"http://x","keys":{"auth":"` + b.auth + `"}}`, 1},
		{"known", siteA, b.proof(), 0},
		{"known no more", siteA, b.proof(), 0},
	} {
		a := f.post(tt.site, "unsubscribe", tt.body)
		a.header.Del("Date")
		if i == 0 {
			first = a
		}
		if a.status != http.StatusNoContent || fmt.Sprint(a) != fmt.Sprint(first) {
			t.Errorf("%s: %+v, the first was %+v", tt.name, a, first)
		}
		if n := f.count(siteA); n != tt.left {
			t.Fatalf("%s: %d left, want %d", tt.name, n, tt.left)
		}
	}
	for _, tt := range []struct{ body, field string }{
		{`{}`, "endpoint"},
		{`{"endpoint":"` + b.endpoint + `"}`, "keys.auth"},
		{`{"endpoint":"` + strings.Repeat("x", pushsvc.MaxEndpoint+1) + `","keys":{"auth":"` + b.auth + `"}}`, "endpoint"},
		{`{"endpoint":1}`, "endpoint"},
		{`{"endpoint":"x","keys":{"auth":1}}`, "keys.auth"},
		{`{"endpoint":"x","endpoint":"y","keys":{"auth":"` + b.auth + `"}}`, "endpoint"},
		{`{"Endpoint":"x","keys":{"auth":"` + b.auth + `"}}`, "endpoint"},
	} {
		a := f.post(siteA, "unsubscribe", tt.body)
		if p := a.problem(t); a.status != 400 || p.Field != tt.field {
			t.Errorf("%s: %d %s; want 400, field %q", tt.body, a.status, a.body, tt.field)
		}
	}
}

// TestStoreDown: a dead store is a 503 that names no subscriber, and never a 201.
func TestStoreDown(t *testing.T) {
	f := newFixture(t)
	b, _ := f.subscribe(siteA, 1)
	token := pushsvc.ReceiptToken(f.secret(), siteA, "m", 1)
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	answers := map[string]answer{
		"subscribe":   f.post(siteA, "subscribe", b.json("")),
		"unsubscribe": f.post(siteA, "unsubscribe", b.proof()),
		"events":      f.post(siteA, "events", report("shown", "m", token)),
	}
	for _, path := range []string{"sites", "sites/a.example", "sites/a.example/subscriptions", "sites/a.example/messages", "sites/a.example/messages/x", "keys"} {
		answers[path] = f.do("GET", f.operator.URL+"/webpush/"+path, "")
	}
	answers["send"] = f.do("POST", f.operator.URL+"/webpush/send", `{"site":"a.example","title":"x"}`, "Content-Type", "application/json")
	for name, a := range answers {
		a.problem(t)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q", name, a.status, a.header.Get("Retry-After"))
		}
		if strings.Contains(a.body, "closed") {
			t.Errorf("%s reveals internals: %s", name, a.body)
		}
	}
	log := f.log.String()
	if !strings.Contains(log, "closed") {
		t.Errorf("the log does not have the reason: %s", log)
	}
	for _, secret := range []string{b.endpoint, "browser-1", b.p256dh, b.auth, token} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has a secret: %s", log)
		}
	}
}
