package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/operator"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// operate sends a request to the operator's API; headers are name, value.
func (f *fixture) operate(method, path, body string, headers ...string) answer {
	f.Helper()
	if body != "" {
		headers = append([]string{"Content-Type", "application/json"}, headers...)
	}
	return f.do(method, f.operator.URL+"/webpush/"+path, body, headers...)
}

// read decodes a body and fails if the status is another one.
func (a answer) read(t testing.TB, status int, v any) {
	t.Helper()
	if a.status != status {
		t.Fatalf("%d %s; want %d", a.status, a.body, status)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type: %s", ct)
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

// view is a message as operators read it.
type view struct {
	ID, Site, State            string
	Created, Started, Finished time.Time
	Message                    pushsvc.Content
	Results                    pushsvc.Progress
	Warnings                   []string
}

// TestOperatorSend: 202 with Location, after the row is durable.
func TestOperatorSend(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	f.subscribe(siteA, 2)
	f.subscribe(siteB, 3)
	for _, tt := range []struct{ path, body string }{
		{"send", `{"site":"a.example","title":"Sale","ttl":60}`},
		{"send", `{"site":"A.EXAMPLE.:443","title":"Sale","ttl":60}`},
		{"sites/a.example/messages", `{"title":"Sale","ttl":60}`},
		{"sites/A.example:80/messages", ` {"ttl":60, "title":"\u0053ale"} `},
	} {
		before := f.wakes.n.Load()
		a := f.operate("POST", tt.path, tt.body)
		var v view
		a.read(t, http.StatusAccepted, &v)
		if want := "/webpush/sites/a.example/messages/" + v.ID; a.header.Get("Location") != want {
			t.Errorf("Location: %q, want %q", a.header.Get("Location"), want)
		}
		if v.Site != siteA || v.State != "queued" || v.Message.Title != "Sale" || v.Message.TTLSeconds() != 60 || v.Results.Audience != 2 || v.Results.Pending != 2 || len(v.Warnings) != 0 {
			t.Errorf("%s %s: %s", tt.path, tt.body, a.body)
		}
		if f.wakes.n.Load() != before+1 {
			t.Error("the engine was not notified")
		}
		row, err := f.store.Message(t.Context(), siteA, v.ID)
		if err != nil || row.Content.Title != "Sale" {
			t.Errorf("%s is acknowledged but not stored: %v", v.ID, err)
		}
		var shown view
		f.do("GET", f.operator.URL+a.header.Get("Location"), "").read(t, 200, &shown)
		if shown.ID != v.ID || shown.Results.Audience != 2 {
			t.Errorf("Location leads to %+v", shown)
		}
	}
	var v view
	f.operate("POST", "sites/b.example/messages", `{"title":"x"}`).read(t, 202, &v)
	if v.Results.Audience != 1 {
		t.Errorf("site B's message has an audience of %d", v.Results.Audience)
	}
	f.service.Contact = ""
	f.subscribe("localhost:8080", 4)
	for site, want := range map[string]int{siteB: 0, "localhost:8080": 1} {
		var v view
		f.operate("POST", "sites/"+site+"/messages", `{"title":"x"}`).read(t, 202, &v)
		if len(v.Warnings) != want || want > 0 && !strings.Contains(v.Warnings[0], "contact") {
			t.Errorf("%s without a contact: warnings %q", site, v.Warnings)
		}
	}
}

// TestOperatorSendBad: each fault names its field and stores nothing.
func TestOperatorSendBad(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	for _, tt := range []struct {
		body, field string
		status      int
	}{
		{`{"title":"x"}`, "site", 400},
		{`{"site":"a b","title":"x"}`, "site", 400},
		{`{"site":7,"title":"x"}`, "site", 400},
		{`{"site":"a.example"}`, "title", 400},
		{`{"site":"a.example","title":7}`, "title", 400},
		{`{"site":"a.example","title":"x","titel":"y"}`, "titel", 400},
		{`{"site":"a.example","title":"x","title":"y"}`, "title", 400},
		{`{"site":"a.example","title":"x","Title":"y"}`, "Title", 400},
		{`{"site":"a.example","title":"x","ttl":-1}`, "ttl", 400},
		{`{"site":"a.example","title":"x","ttl":2419201}`, "ttl", 400},
		{`{"site":"a.example","title":"x","ttl":9223372036854775808}`, "ttl", 400},
		{`{"site":"a.example","title":"x","ttl":1.5}`, "ttl", 400},
		{`{"site":"a.example","title":"x","ttl":"1h"}`, "ttl", 400},
		{`{"site":"a.example","title":"x","url":"javascript:alert(1)"}`, "url", 400},
		{`{"site":"a.example","title":"x","topic":"a\r\nX: y"}`, "topic", 400},
		{`{"site":"a.example","title":"x","urgency":1}`, "urgency", 400},
		{`{"site":"a.example","title":"x","urgency":"urgent"}`, "urgency", 400},
		{`{"site":"a.example","title":"x","actions":{}}`, "actions", 400},
		{`{"site":"a.example","title":"x","actions":[{"action":"a"}]}`, "actions[0].title", 400},
		{`{"site":"a.example","title":"x","actions":[{"action":"a","title":"A","navigate":"/"}]}`, "actions[0].navigate", 400},
		{`{"site":"a.example","title":"x","vibrate":"long"}`, "vibrate", 400},
		{`{"site":"a.example","title":"x","renotify":"yes"}`, "renotify", 400},
		{`{"site":"a.example","title":"x","timestamp":-5}`, "timestamp", 400},
		{`{"site":"a.example","title":"x","body":"` + strings.Repeat("x", pushsvc.MaxPayload) + `"}`, "message", 400},
		{`{"site":"a.example","title":"x","body":"` + strings.Repeat("x", operator.MaxBody) + `"}`, "", 413},
		{`[]`, "", 400},
		{`{"site":"a.example","title":"x"}{}`, "", 400},
		{`{"site":"c.example","title":"x"}`, "", 404},
		{`{"site":"a.example","title":"x","sendAt":"tomorrow"}`, "sendAt", 400},
		{`{"site":"a.example","title":"x","sendAt":"2999-01-02 09:00"}`, "sendAt", 400},
		{`{"site":"a.example","title":"x","sendAt":"2999-01-02T09:00:00Z"}`, "sendAt", 400},
		{`{"site":"a.example","title":"x","sendAt":"2001-01-02T09:00:00Z"}`, "sendAt", 400},
		{`{"site":"a.example","title":"x","sendAt":1700000000}`, "sendAt", 400},
		{`{"site":"a.example","title":"x","rate":0}`, "rate", 400},
		{`{"site":"a.example","title":"x","rate":"fast"}`, "rate", 400},
		{`{"site":"a.example","title":"x","rate":1e7}`, "rate", 400},
		{`{"site":"a.example","title":"x","subscription":"x"}`, "subscription", 400},
		{`{"site":"a.example","title":"x","subscription":"0"}`, "subscription", 400},
		{`{"site":"a.example","title":"x","subscription":1}`, "subscription", 400},
		{`{"site":"a.example","title":"x","subscription":"99"}`, "subscription", 400},
		{`{"site":"a.example","title":"x","dryRun":"yes"}`, "dryRun", 400},
		{`{"site":"a.example","title":"","dryRun":true}`, "title", 400},
		{`{"site":"a.example","title":"x","sendAt":"x"}`, "sendAt", 400},
	} {
		a := f.operate("POST", "send", tt.body)
		if p := a.problem(t); a.status != tt.status || p.Field != tt.field || tt.field != "" && !strings.Contains(p.Detail, tt.field) {
			t.Errorf("%.80s: %d %s; want %d, field %q", tt.body, a.status, a.body, tt.status, tt.field)
		}
	}
	a := f.operate("POST", "send", `{"site":"c.example","title":"x"}`)
	if d := a.problem(t).Detail; !strings.Contains(d, `"a.example"`) || !strings.Contains(d, `"c.example"`) {
		t.Errorf("the answer does not name the sites there are: %s", d)
	}
	for _, headers := range [][]string{{"Content-Type", "text/plain"}, {"Content-Type", "application/json", "Content-Encoding", "br"}} {
		if a := f.do("POST", f.operator.URL+"/webpush/send", `{}`, headers...); a.status != 415 {
			t.Errorf("%v: %d", headers, a.status)
		}
	}
	if rows, err := f.store.MessagePage(t.Context(), siteA, "", 10); err != nil || len(rows) != 0 {
		t.Errorf("%d messages stored, %v", len(rows), err)
	}
	if f.wakes.n.Load() != 0 {
		t.Error("the engine was woken for nothing")
	}
}

func TestOperatorIdempotency(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	f.subscribe(siteB, 2)
	send := func(key, body string) (answer, view) {
		a := f.operate("POST", "send", body, "Idempotency-Key", key)
		var v view
		if a.status < 300 {
			a.read(t, a.status, &v)
		}
		return a, v
	}
	first, sent := send("k", `{"site":"a.example","title":"x","data":{"a":1}}`)
	if first.status != 202 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	for _, body := range []string{
		`{"site":"a.example","title":"x","data":{"a":1}}`,
		` { "data": {"a": 1}, "title": "\u0078", "site": "a.example" } `,
		`{"site":"A.example:443","title":"x","data":{"a":1}}`,
	} {
		a, again := send("k", body)
		if a.status != 200 || again.ID != sent.ID || a.header.Get("Location") != first.header.Get("Location") {
			t.Errorf("repeated as %s: %d %s; the first was %s", body, a.status, a.body, sent.ID)
		}
	}
	if a, _ := send("k", `{"site":"a.example","title":"y","data":{"a":1}}`); a.status != 422 || a.problem(t).Detail == "" {
		t.Errorf("other body: %d %s", a.status, a.body)
	}
	if a, v := send("k", `{"site":"b.example","title":"y"}`); a.status != 202 || v.ID == sent.ID {
		t.Errorf("other site: %d %s", a.status, a.body)
	}
	if a, v := send("k2", `{"site":"a.example","title":"x","data":{"a":1}}`); a.status != 202 || v.ID == sent.ID {
		t.Errorf("other key: %d %s", a.status, a.body)
	}
	if a, _ := send(strings.Repeat("k", service.MaxIdempotencyKey), `{"site":"a.example","title":"x"}`); a.status != 202 {
		t.Errorf("longest key: %d %s", a.status, a.body)
	}
	if a, _ := send(strings.Repeat("k", service.MaxIdempotencyKey+1), `{"site":"a.example","title":"x"}`); a.status != 400 || a.problem(t).Field != "Idempotency-Key" {
		t.Errorf("longer key: %d %s", a.status, a.body)
	}
	if rows, _ := f.store.MessagePage(t.Context(), siteA, "", 10); len(rows) != 3 {
		t.Errorf("%d messages, want 3", len(rows))
	}
}

// TestOperatorRoutes asks every path with every method.
func TestOperatorRoutes(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	for path, allowed := range map[string]string{
		"health": "GET", "sites": "GET", "sites/a.example": "DELETE, GET", "sites/a.example/subscriptions": "GET, POST", "sites/a.example/subscriptions/9": "DELETE",
		"sites/a.example/messages": "GET, POST", "sites/a.example/messages/x": "GET", "send": "POST", "keys": "GET, POST",
		"sites/a.example/messages/x/pause": "POST", "sites/a.example/messages/x/resume": "POST", "sites/a.example/messages/x/cancel": "POST",
		"keys/rotate": "POST", "backup": "GET", "compact": "POST",
		"sites/a.example/popups": "GET, POST", "sites/a.example/popups/x": "DELETE, GET, PUT", "sites/a.example/popups/x/state": "POST",
		"sites/a.example/popups/x/stats": "GET", "sites/a.example/popups/x/preview": "POST", "sites/a.example/popup-settings": "GET, PUT",
		"sites/a.example/uploads": "GET, POST", "sites/a.example/uploads/x": "DELETE",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			a := f.operate(method, path, "")
			if strings.Contains(allowed, method) {
				if a.status == 405 || a.status >= 500 && a.status != 501 {
					t.Errorf("%s %s: %d", method, path, a.status)
				}
			} else if a.status != 405 || a.header.Get("Allow") != allowed {
				t.Errorf("%s %s: %d, Allow: %q; want 405, %q", method, path, a.status, a.header.Get("Allow"), allowed)
			}
		}
	}
	for _, path := range []string{"", "site", "sites/a.example/popups/x/y", "sites/a.example/", "keys/1"} {
		if a := f.operate("GET", path, ""); a.status != 404 || a.problem(t).Detail == "" {
			t.Errorf("/webpush/%s: %d %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"sites/c.example", "sites/c.example/subscriptions", "sites/c.example/messages"} {
		a := f.operate("GET", path, "")
		if d := a.problem(t).Detail; a.status != 404 || !strings.Contains(d, `"a.example"`) {
			t.Errorf("%s: %d %s; want 404 with the known sites", path, a.status, a.body)
		}
	}
	for _, path := range []string{"sites/a%20b", "sites/a%2Fb/messages", "sites/a%00/messages/x", "sites/a%3Ax/subscriptions"} {
		if a := f.operate("GET", path, ""); a.status != 400 || a.problem(t).Field != "site" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestOperatorKeys(t *testing.T) {
	f := newFixture(t)
	type list = api.KeyList
	var before list
	f.operate("GET", "keys", "").read(t, 200, &before)
	if len(before.Keys) != 1 || before.Keys[0].PublicKey != f.key.Public || !before.Keys[0].Current {
		t.Fatalf("%+v", before)
	}
	other, err := service.NewKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	body := func(public, private string) string {
		return fmt.Sprintf(`{"publicKey":%q,"privateKey":%q}`, public, private)
	}
	private := other.Private.Reveal()
	for _, tt := range []struct{ name, body, field string }{
		{"nothing", `{}`, "publicKey"},
		{"no private", body(other.Public, ""), "privateKey"},
		{"no public", body("", private), "publicKey"},
		{"not a pair", body(f.key.Public, private), "publicKey"},
		{"swapped", body(private, other.Public), "publicKey"},
		{"garbage", body(other.Public, "!"+private[1:]), "privateKey"},
		{"zero", body(other.Public, strings.Repeat("A", 43)), "privateKey"},
		{"short", body(other.Public, private[:40]), "privateKey"},
		{"number", `{"publicKey":"x","privateKey":7}`, "privateKey"},
		{"unknown field", `{"publicKey":"x","privatKey":"y"}`, "privatKey"},
	} {
		a := f.operate("POST", "keys", tt.body)
		if p := a.problem(t); a.status != 400 || p.Field != tt.field {
			t.Errorf("%s: %d %s; want 400, field %q", tt.name, a.status, a.body, tt.field)
		}
		if strings.Contains(a.body, private) || strings.Contains(a.body, private[1:]) {
			t.Errorf("%s: the answer repeats the private key", tt.name)
		}
	}
	for range 2 {
		var got api.Key
		a := f.operate("POST", "keys", body(other.Public+"=", private))
		a.read(t, 201, &got)
		if got.PublicKey != other.Public || !got.Current || got.ID != other.ID || strings.Contains(a.body, private) {
			t.Errorf("imported: %s", a.body)
		}
	}
	var after list
	a := f.operate("GET", "keys", "")
	a.read(t, 200, &after)
	if len(after.Keys) != 2 || after.Keys[0].PublicKey != other.Public || after.Keys[1].Current {
		t.Errorf("ring: %s", a.body)
	}
	if strings.Contains(strings.ToLower(a.body), "private") || strings.Contains(a.body, private) || strings.Contains(a.body, f.key.Private.Reveal()) {
		t.Errorf("a private key shows: %s", a.body)
	}
	if strings.Contains(f.log.String(), private) {
		t.Error("the private key is in the log")
	}
}
