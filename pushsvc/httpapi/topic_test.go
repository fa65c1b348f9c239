package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestSubscribeTopics: the answer has what is stored, so that a page that has lost the choice shows
// it; ids that the site does not have are left out.
func TestSubscribeTopics(t *testing.T) {
	f := newFixture(t)
	b := newBrowser(t, 1)
	for _, tt := range []struct{ more, want string }{
		{``, `{}`},
		{`,"topics":null,"defaultTopics":["gone"]`, `{"topics":[]}`},
		{`,"topics":["news","gone",""]`, `{"topics":["news"]}`},
		{`,"defaultTopics":["deals"]`, `{"topics":["news"]}`},
		{`,"topics":[]`, `{"topics":[]}`},
		{``, `{"topics":[]}`},
	} {
		if a := f.post(siteA, "subscribe", b.json(tt.more)); a.status != http.StatusCreated || strings.TrimSpace(a.body) != tt.want {
			t.Errorf("%s: %d %s, want %s", tt.more, a.status, a.body, tt.want)
		}
	}
	for _, bad := range []string{`,"topics":"news"`, `,"topics":[1]`, `,"defaultTopics":{}`} {
		if a := f.post(siteA, "subscribe", b.json(bad)); a.status != http.StatusBadRequest || !strings.HasPrefix(a.problem(t).Field, strings.Split(bad, `"`)[1]) {
			t.Errorf("%s: %d %s", bad, a.status, a.body)
		}
	}
}

// TestOperatorTopics: lists show the chosen topics, messages and dry runs the topics of their
// audience.
func TestOperatorTopics(t *testing.T) {
	f := newFixture(t)
	for i, more := range []string{``, `,"topics":[]`, `,"topics":["news","deals"]`} {
		f.post(siteA, "subscribe", newBrowser(t, i).json(more)).read(t, http.StatusCreated, &struct{}{})
	}
	var list struct{ Subscriptions []map[string]any }
	f.operate("GET", "sites/a.example/subscriptions", "").read(t, http.StatusOK, &list)
	if s := list.Subscriptions; len(s) != 3 || s[0]["topics"] != nil || len(s[1]["topics"].([]any)) != 0 || len(s[2]["topics"].([]any)) != 2 {
		t.Errorf("%v", list)
	}
	var m struct {
		ID       string
		Topics   []string
		Audience struct{ Total int }
	}
	f.operate("POST", "sites/a.example/messages", `{"title":"x","topics":["news"],"dryRun":true}`).read(t, http.StatusOK, &m)
	if m.Audience.Total != 1 || len(m.Topics) != 1 {
		t.Errorf("%+v", m)
	}
	f.operate("POST", "send", `{"site":"a.example","title":"x","topics":["news","deals"]}`).read(t, http.StatusAccepted, &m)
	if strings.Join(m.Topics, " ") != "deals news" {
		t.Errorf("%+v", m)
	}
	f.operate("GET", "sites/a.example/messages/"+m.ID, "").read(t, http.StatusOK, &m)
	if strings.Join(m.Topics, " ") != "deals news" {
		t.Errorf("read again: %+v", m)
	}
	for body, field := range map[string]string{
		`{"title":"x","topics":["a b"]}`:                     "topics[0]",
		`{"title":"x","topics":"news"}`:                      "topics",
		`{"title":"x","topics":["news"],"subscription":"1"}`: "topics",
	} {
		if a := f.operate("POST", "sites/a.example/messages", body); a.status != http.StatusBadRequest || a.problem(t).Field != field {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}
