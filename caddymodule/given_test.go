package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestGivenJSON: JSON with an empty option is refused, and everything that Caddy
// refuses in JSON is still refused.
func TestGivenJSON(t *testing.T) {
	for _, tt := range []struct {
		into       any
		json, want string
	}{
		{new(App), `{"contact":"mailto:ops@example.com","storage":{"module":"bbolt"}}`, ""},
		{new(App), `{"contact":""}`, "contact is empty"},
		{new(App), `{"push_services":[]}`, "push_services is empty"},
		{new(App), `{"push_services":["default",""]}`, "push_services[1] is empty"},
		{new(App), `{"storage":{"module":"bbolt","path":""}}`, "storage.path is empty"},
		{new(App), `{"contacts":"x"}`, "unknown field"},
		{new(BoltStorage), `{}`, ""},
		{new(BoltStorage), `{"path":""}`, "path is empty"},
		{new(BoltStorage), `{"path":null}`, "path is empty"},
		{new(Handler), `{}`, ""},
		{new(Handler), `{"prompt":{},"events":[{"name":"Seen","match":[{"not":[{}]}],"props":{"a":""}}]}`, ""},
		{new(Handler), `{"prompt":{"after":{},"paths":["/a"]}}`, ""},
		{new(Handler), `{"site":""}`, "site is empty"},
		{new(Handler), `{"identity_secret":""}`, "identity_secret is empty"},
		{new(Handler), `{"events":[]}`, "events is empty"},
		{new(Handler), `{"prompt":{"not_paths":[]}}`, "not_paths is empty"},
		{new(Handler), `{"prompt":{"pahts":["/a"]}}`, "unknown field"},
	} {
		err := json.Unmarshal([]byte(tt.json), tt.into)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%T of %s: %v, want %q", tt.into, tt.json, err, tt.want)
		}
	}
}

// TestGivenPlaceholder: a placeholder without a value is not a path: it would
// open another store with a new key.
func TestGivenPlaceholder(t *testing.T) {
	for _, path := range []string{"{env.WEBPUSH_TEST_UNSET}", "{env.WEBPUSH_TEST_UNSET}/webpush.db", "{no.such.placeholder}"} {
		b := &BoltStorage{Path: path}
		if err := b.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), "storage path") || !strings.Contains(err.Error(), "set the variable") {
			t.Errorf("%s: %v; key %s", path, err, b.StoreKey())
		}
	}
	if _, err := replaced("identity_secret", "{env.WEBPUSH_TEST_UNSET}"); err == nil {
		t.Error("an identity secret without a value is taken")
	}
}

// TestGivenTexts: placeholders in visitors' texts are replaced, and one without a
// value is refused. Braces that are not a placeholder stay.
func TestGivenTexts(t *testing.T) {
	t.Setenv("WEBPUSH_TEST_NAME", "Acme")
	site := func(text string) *Handler {
		return &Handler{Name: text, Prompt: &Prompt{Title: text, Body: text, Accept: text, Reject: text, Topics: []Topic{{ID: "news", Label: text}}}}
	}
	h := site("{env.WEBPUSH_TEST_NAME}, {50 %}")
	if err := h.expand(); err != nil {
		t.Fatal(err)
	}
	want := "Acme, {50 %}"
	if p := h.Prompt; h.Name != want || p.Title != want || p.Body != want || p.Accept != want || p.Reject != want || p.Topics[0].Label != want {
		t.Errorf("%q, %+v", h.Name, *p)
	}
	for option, h := range map[string]*Handler{
		"name": {Name: "{env.WEBPUSH_TEST_UNSET}"}, "title": {Prompt: &Prompt{Title: "{env.WEBPUSH_TEST_UNSET}"}},
		"topics news": {Prompt: &Prompt{Topics: []Topic{{ID: "news", Label: "{env.WEBPUSH_TEST_UNSET}"}}}},
	} {
		if err := h.expand(); err == nil || !strings.HasPrefix(err.Error(), option+": ") || !strings.Contains(err.Error(), "set the variable") {
			t.Errorf("%s: %v", option, err)
		}
	}
}
