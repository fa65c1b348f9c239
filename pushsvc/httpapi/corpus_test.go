package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// quote returns s as a JSON string; bytes that are not UTF-8 stay as they are.
func quote(s string) string {
	if !utf8.ValidString(s) {
		return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\n", `\n`).Replace(s) + `"`
	}
	b, _ := json.Marshal(s)
	return string(b)
}

// TestCorpusEndpoints posts endpoints that point to internal or other hosts.
func TestCorpusEndpoints(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ssrf_push_generated.jsonl", "ssrf_urls.jsonl"} {
		t.Run(name, func(t *testing.T) {
			rows := sharedRows(t, name)
			f := newFixture(t)
			b := newBrowser(t, 1)
			for _, r := range rows {
				body := strings.Replace(b.json(""), fmt.Sprintf("%q", b.endpoint), quote(r.text(t)), 1)
				a := f.post(siteA, "subscribe", body)
				if p := a.problem(t); a.status != http.StatusBadRequest || p.Field != "endpoint" && utf8.ValidString(body) {
					t.Errorf("%q: %d %s", r.Payload, a.status, a.body)
				}
			}
			if n := f.count(siteA); n != 0 {
				t.Errorf("%d stored", n)
			}
		})
	}
}

func TestCorpusGoodEndpoints(t *testing.T) {
	t.Parallel()
	rows := sharedRows(t, "endpoints_good.jsonl")
	f := newFixture(t)
	for i, r := range rows {
		b := newBrowser(t, i)
		b.endpoint = r.text(t)
		f.subscribed(f.post(siteA, "subscribe", b.json("")))
	}
	if n := f.count(siteA); n != len(rows) {
		t.Errorf("%d of %d stored", n, len(rows))
	}
}

func TestCorpusKeys(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"p256dh.jsonl", "p256dh_der_garbage.jsonl"} {
		t.Run(name, func(t *testing.T) {
			rows := sharedRows(t, name)
			f := newFixture(t)
			stored := 0
			for i, r := range rows {
				b := newBrowser(t, i)
				body := strings.Replace(b.json(""), fmt.Sprintf("%q", b.p256dh), quote(r.text(t)), 1)
				a := f.post(siteA, "subscribe", body)
				if r.Result == "valid" {
					f.subscribed(a)
					stored++
				} else if p := a.problem(t); a.status != 400 || p.Field != "keys.p256dh" {
					t.Errorf("%q: %d %s", r.Payload, a.status, a.body)
				}
			}
			if n := f.count(siteA); n != stored {
				t.Errorf("%d stored, %d were good", n, stored)
			}
		})
	}
}

// TestCorpusJSON uses each document as the body, and as a member that we ignore.
func TestCorpusJSON(t *testing.T) {
	t.Parallel()
	rows := sharedRows(t, "json_suite.jsonl")
	f := newFixture(t)
	stored := 0
	for i, r := range rows {
		a := f.post(siteA, "subscribe", r.text(t))
		if a.problem(t); a.status != 400 && a.status != 413 {
			t.Errorf("%s alone: %d %s", r.Name, a.status, a.body)
		}
		a = f.post(siteA, "subscribe", newBrowser(t, i).json(`,"x":`+r.text(t)))
		switch {
		case a.status == http.StatusCreated && r.Expect != "reject":
			stored++
		case a.status == http.StatusCreated, r.Expect == "accept", a.status != 400 && a.status != 413:
			t.Errorf("%s inside: %d %s; want %s", r.Name, a.status, a.body, r.Expect)
		}
	}
	if n := f.count(siteA); n != stored || stored < 60 {
		t.Errorf("%d stored, %d acknowledged", n, stored)
	}
}

// TestCorpusNaughtyStrings: any text is stored as information, dropped, or refused as a 400; a
// message carries it unchanged.
func TestCorpusNaughtyStrings(t *testing.T) {
	t.Parallel()
	rows := sharedRows(t, "naughty_strings.jsonl")
	f := newFixture(t)
	f.subscribe(siteA, 0)
	for _, r := range rows {
		text := quote(r.text(t))
		b := newBrowser(t, 1)
		for _, body := range []string{
			b.json(`,"language":` + text + `,"timeZone":` + text + `,"page":` + text),
			b.json(`,"applicationServerKey":` + text),
			b.json(`,"replaces":{"endpoint":` + text + `,"keys":{"auth":` + text + `}}`),
			b.json(`,` + text + `:` + text),
			`{"endpoint":` + text + `,"keys":{"p256dh":` + text + `,"auth":` + text + `}}`,
		} {
			if a := f.post(siteA, "subscribe", body); a.status != 201 && a.status != 400 {
				t.Errorf("%s: %d %s", body, a.status, a.body)
			}
		}
		if a := f.post(siteA, "unsubscribe", `{"endpoint":`+text+`,"keys":{"auth":"`+b.auth+`"}}`); a.status != 204 && a.status != 400 {
			t.Errorf("unsubscribe %s: %d %s", text, a.status, a.body)
		}
		if a := f.post(siteA, "events", `{"events":[{"type":"shown","message":`+text+`,"token":`+text+`,"action":`+text+`}]}`); a.status != 204 && a.status != 400 {
			t.Errorf("events %s: %d %s", text, a.status, a.body)
		}
		f.naughtyMessage(r.text(t), text)
	}
	if n := f.count(siteA); n > 2 {
		t.Errorf("%d subscriptions", n)
	}
}

func (f *fixture) naughtyMessage(text, quoted string) {
	f.Helper()
	a := f.operate("POST", "send", `{"site":"a.example","title":`+quoted+`,"body":`+quoted+`}`)
	var got struct {
		Message struct{ Title, Body string }
	}
	switch {
	case a.status == 400:
	case a.status != 202:
		f.Errorf("sending %s: %d %s", quoted, a.status, a.body)
	case json.Unmarshal([]byte(a.body), &got) != nil || got.Message.Title != text || got.Message.Body != text:
		f.Errorf("%q becomes %s", text, a.body)
	}
}
