package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
)

// TestCheckGiven: the first value that is given and empty is named by its path.
func TestCheckGiven(t *testing.T) {
	for _, tt := range []struct{ body, field string }{
		{`{"a":1,"b":"x","c":[1,"y",false],"d":{"e":0}}`, ""},
		{`{"a":""}`, "a"},
		{`{"a":[]}`, "a"},
		{`{"a":{}}`, "a"},
		{`{"a":null}`, "a"},
		{`{"a":["x",""]}`, "a[1]"},
		{`{"a":[["x"],[]]}`, "a[1]"},
		{`{"a":{"b":[{"c":null}]}}`, "a.b[0].c"},
		{`{"free":"","b":{"free":[]},"c":{}}`, "c"},
		{`{"free":{}}`, ""},
		{`{"free":{"a":""}}`, "free.a"},
		{`{"whole":{"a":""}}`, ""},
		{`{"data":{"a":""},"kv":{"b":""},"props":{},"query":{"sale":""}}`, ""},
		{`{}`, ""},
		{`[]`, ""},
		{`null`, ""},
	} {
		err := exchange.CheckGiven([]byte(tt.body), "free", "whole.*")
		if tt.field == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.body, err)
			}
			continue
		}
		p, ok := err.(*api.Problem)
		if !ok || p.Field != tt.field || p.Status != http.StatusBadRequest {
			t.Errorf("%s: %v, want a fault in %s", tt.body, err, tt.field)
		}
	}
}

// TestEmptyIsNotEverybody: a request to send with an empty value sends nothing, and the error names
// the field.
func TestEmptyIsNotEverybody(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	f.subscribe(siteA, 2)
	for _, tt := range []struct{ body, field string }{
		{`{"title":"x","subscription":""}`, "subscription"},
		{`{"title":"x","subscription":null}`, "subscription"},
		{`{"title":"x","topics":[]}`, "topics"},
		{`{"title":"x","topics":null}`, "topics"},
		{`{"title":"x","topics":[""]}`, "topics[0]"},
		{`{"title":"x","sendAt":""}`, "sendAt"},
		{`{"title":"x","rate":null}`, "rate"},
		{`{"title":"x","ttl":null}`, "ttl"},
		{`{"title":"x","body":""}`, "body"},
		{`{"title":"x","actions":[]}`, "actions"},
		{`{"title":"x","actions":[{"action":"a","title":"A","url":""}]}`, "actions[0].url"},
	} {
		for _, dry := range []string{"", `,"dryRun":true`} {
			body := tt.body[:len(tt.body)-1] + dry + "}"
			a := f.operate("POST", "sites/a.example/messages", body)
			if a.status != 400 || a.problem(t).Field != tt.field {
				t.Errorf("%s: %d %s", body, a.status, a.body)
			}
		}
	}
	if a := f.operate("POST", "sites/a.example/messages", `{"title":"x"}`, "Idempotency-Key", ""); a.status != 400 || a.problem(t).Field != "Idempotency-Key" {
		t.Errorf("an empty Idempotency-Key: %d %s", a.status, a.body)
	}
	var list struct{ Messages []view }
	f.operate("GET", "sites/a.example/messages", "").read(t, http.StatusOK, &list)
	if len(list.Messages) != 0 {
		t.Errorf("%d messages were stored", len(list.Messages))
	}
	// An object of a site's own may be empty.
	var v view
	f.operate("POST", "sites/a.example/messages", `{"title":"x","data":{"note":"","list":[]}}`).read(t, http.StatusAccepted, &v)
}

// TestEmptyElsewhere: queries, conditions and other documents follow the same rule.
func TestEmptyElsewhere(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	for _, tt := range []struct {
		method, path, body, field string
		headers                   []string
	}{
		{"GET", "sites/a.example/messages?limit=", "", "limit", nil},
		{"GET", "sites/a.example/subscriptions?format=", "", "format", nil},
		{"GET", "keys?count=", "", "count", nil},
		{"POST", "sites/a.example/profiles/search", `{"identity":""}`, "identity", nil},
		{"POST", "keys", `{"publicKey":"x","privateKey":""}`, "privateKey", nil},
		{"POST", "sites/a.example/popups", `{"id":"p","kind":"header","content":{"title":"x","body":""}}`, "content.body", nil},
		{"PUT", "sites/a.example/popup-settings", `{"popupsPerDay":null}`, "popupsPerDay", nil},
		{"DELETE", "sites/a.example/prompt", "", "If-Match", []string{"If-Match", ""}},
	} {
		a := f.operate(tt.method, tt.path, tt.body, tt.headers...)
		if a.status != 400 || a.problem(t).Field != tt.field {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.path, tt.body, a.status, a.body)
		}
	}
	// A client that follows pages in a loop begins with an empty cursor.
	if a := f.operate("GET", "sites/a.example/messages?cursor=", ""); a.status != http.StatusOK {
		t.Errorf("an empty cursor: %d", a.status)
	}
}
