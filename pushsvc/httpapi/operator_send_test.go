package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// fullView has the members that scheduling adds.
type fullView struct {
	view
	SendAt       time.Time `json:"sendAt"`
	Expires      time.Time
	Rate         float64
	Subscription string
	DryRun       bool `json:"dryRun"`
	Audience     *struct {
		Total    int64
		Services map[string]int64
	}
}

// TestOperatorSendOptions: when, how fast and to which recipients.
func TestOperatorSendOptions(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	_, id := f.subscribe(siteA, 2)
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	a := f.operate("POST", "sites/a.example/messages", `{"title":"x","ttl":60,"sendAt":"`+at.In(time.FixedZone("", 7200)).Format(time.RFC3339)+`","rate":0.5,"subscription":"`+id+`"}`)
	var v fullView
	a.read(t, http.StatusAccepted, &v)
	if v.State != "scheduled" || !v.SendAt.Equal(at) || !v.Expires.Equal(at.Add(time.Minute)) || v.Rate != 0.5 || v.Subscription != id || v.Results.Audience != 1 {
		t.Errorf("%s", a.body)
	}
	if a := f.operate("POST", "sites/a.example/messages", `{"title":"x","site":"a.example"}`); a.status != 400 || a.problem(t).Field != "site" {
		t.Errorf("site in both: %d %s", a.status, a.body)
	}
	// The same key with another time is another request.
	body := `{"site":"a.example","title":"x","sendAt":"` + at.Format(time.RFC3339) + `"}`
	first := f.operate("POST", "send", body, "Idempotency-Key", "k")
	first.read(t, http.StatusAccepted, &v)
	again := f.operate("POST", "send", body, "Idempotency-Key", "k")
	again.read(t, http.StatusOK, &v)
	for _, other := range []string{`{"site":"a.example","title":"x"}`, strings.Replace(body, `"x"`, `"x","rate":3`, 1), strings.Replace(body, `"x"`, `"x","subscription":"`+id+`"`, 1)} {
		if a := f.operate("POST", "send", other, "Idempotency-Key", "k"); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", other, a.status, a.body)
		}
	}
}

func TestOperatorDryRun(t *testing.T) {
	f := newFixture(t)
	for i := range 3 {
		f.subscribe(siteA, i)
	}
	for _, path := range []string{"send", "sites/a.example/messages"} {
		body := `{"title":"x","ttl":60,"rate":0.01,"dryRun":true}`
		if path == "send" {
			body = strings.Replace(body, "{", `{"site":"a.example",`, 1)
		}
		a := f.operate("POST", path, body, "Idempotency-Key", "k")
		var v fullView
		a.read(t, http.StatusOK, &v)
		if !v.DryRun || v.ID != "" || v.Audience == nil || v.Audience.Total != 3 || v.Audience.Services["fcm"] != 3 || v.Message.Title != "x" || v.State != "queued" || len(v.Warnings) != 1 || a.header.Get("Location") != "" {
			t.Errorf("%s", a.body)
		}
	}
	if rows, err := f.store.MessagePage(t.Context(), siteA, "", 10); err != nil || len(rows) != 0 || f.wakes.n.Load() != 0 {
		t.Errorf("%d messages stored, %v, %d wakes", len(rows), err, f.wakes.n.Load())
	}
	// The key is still unused.
	if a := f.operate("POST", "send", `{"site":"a.example","title":"y"}`, "Idempotency-Key", "k"); a.status != http.StatusAccepted {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestOperatorSendMistakes: a template is refused with its field, unless it is intended; a topic
// without subscribers and HTML are warnings in the answer.
func TestOperatorSendMistakes(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	for _, path := range []string{"send", "sites/a.example/messages"} {
		send := func(members string) answer {
			if path == "send" {
				members = `"site":"a.example",` + members
			}
			return f.operate("POST", path, "{"+members+"}")
		}
		for field, members := range map[string]string{
			"title":            `"title":"Hi {{ name }}"`,
			"data":             `"title":"x","data":{"a":"{% b %}"}`,
			"actions[0].title": `"title":"x","actions":[{"action":"a","title":"{{b}}"}]`,
		} {
			if p := send(members).problem(t); p.Status != 400 || p.Field != field || !strings.Contains(p.Detail, `"literal": true`) {
				t.Errorf("%s: %+v", members, p)
			}
			if a := send(members + `,"literal":true`); a.status != http.StatusAccepted {
				t.Errorf("%s, literally: %d %s", members, a.status, a.body)
			}
		}
		var v fullView
		send(`"title":"<i>x</i>","topics":["weather"]`).read(t, http.StatusAccepted, &v)
		if all := strings.Join(v.Warnings, "\n"); !strings.Contains(all, `title has "<i>"`) || !strings.Contains(all, `no subscriber has chosen the topic "weather"`) {
			t.Errorf("warnings %q", v.Warnings)
		}
	}
}

func TestOperatorControl(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	f.subscribe(siteB, 2)
	id := f.message(siteA)
	for _, tt := range []struct {
		path   string
		status int
		want   string
	}{
		{"sites/a.example/messages/" + id + "/resume", 409, "only a paused one can be"},
		{"sites/A.example/messages/" + id + "/pause", 200, `"state":"paused"`},
		{"sites/a.example/messages/" + id + "/pause", 200, `"state":"paused"`},
		{"sites/b.example/messages/" + id + "/resume", 404, "no message"},
		{"sites/a.example/messages/" + id + "/resume", 200, `"state":"queued"`},
		{"sites/a.example/messages/" + id + "/cancel", 200, `"state":"cancelled"`},
		{"sites/a.example/messages/" + id + "/pause", 409, "it is cancelled"},
		{"sites/a.example/messages/x/pause", 404, "no message"},
		{"sites/a%20b/messages/x/pause", 400, "site"},
	} {
		a := f.operate("POST", tt.path, "")
		if a.status != tt.status || !strings.Contains(a.body, tt.want) {
			t.Errorf("%s: %d %s; want %d with %q", tt.path, a.status, a.body, tt.status, tt.want)
		}
		if a.status >= 400 {
			a.problem(t)
		}
	}
	m, err := f.store.Message(t.Context(), siteA, id)
	if err != nil || m.State != pushsvc.StateCancelled || m.Progress.Cancelled != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}
