package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

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
