package popup_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// goldenPopup has every member.
func goldenPopup(t testing.TB) (popup.Popup, []byte) {
	t.Helper()
	raw, err := os.ReadFile("testdata/popup.json")
	if err != nil {
		t.Fatal(err)
	}
	return decodePopup(t, string(raw)), raw
}

func decodePopup(t testing.TB, raw string) popup.Popup {
	t.Helper()
	var p popup.Popup
	dec := json.NewDecoder(strings.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPopupJSON: decoding and encoding preserves what operators write.
func TestPopupJSON(t *testing.T) {
	p, raw := goldenPopup(t)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(got, '\n'), raw) {
		t.Errorf("got\n%s", got)
	}
	least := decodePopup(t, `{"id":"x","state":"draft","kind":"box","content":{"title":"T"}}`)
	if err := least.Validate(); err != nil {
		t.Error(err)
	}
	if got, _ := json.Marshal(least); string(got) != `{"id":"x","state":"draft","kind":"box","content":{"title":"T"}}` {
		t.Errorf("%s", got)
	}
}

// TestPopupFaults changes one member of a good pop-up at a time.
func TestPopupFaults(t *testing.T) {
	big := strings.Repeat("x", 70<<10)
	html := func(h string) map[string]any {
		return map[string]any{"kind": "html", "position": "", "content": map[string]any{"html": h, "trusted": true}, "click": map[string]any{}, "variants": nil}
	}
	for _, tt := range []struct {
		set   map[string]any
		field string // empty if it is valid
		says  string
	}{
		{map[string]any{"id": "Spring Sale"}, "id", "a–z"},
		{map[string]any{"id": ""}, "id", "such as"},
		{map[string]any{"name": strings.Repeat("n", 201)}, "name", "longer"},
		{map[string]any{"state": "on"}, "state", `"running"`},
		{map[string]any{"kind": "modal"}, "kind", `"box"`},
		{map[string]any{"position": "left"}, "position", `"top"`},
		{map[string]any{"kind": "box"}, "position", "leave it out"},
		{map[string]any{"kind": "box", "position": ""}, "", ""},
		{map[string]any{"kind": "corner", "position": "top-left"}, "", ""},
		{map[string]any{"content.title": "", "content.body": " "}, "content.title", "missing"},
		{map[string]any{"content.title": "\x00"}, "content.title", "zero"},
		{map[string]any{"content.body": big}, "content.body", "longer"},
		{map[string]any{"content.html": "<b>"}, "content.html", `"html"`},
		{map[string]any{"content.trusted": true}, "content.trusted", `"html"`},
		{map[string]any{"content.image": "data:image/png;base64,AA"}, "content.image", "http(s)"},
		{map[string]any{"content.image": "https://{{ profile.Host }}/x.png"}, "content.image", "host"},
		{map[string]any{"content.imageWidth": -1}, "content.imageWidth", "between"},
		{map[string]any{"kind": "image", "position": "", "content.image": ""}, "content.image", "missing"},
		{map[string]any{"kind": "image", "position": "", "content.imageAlt": ""}, "content.imageAlt", "can't see"},
		{map[string]any{"content.buttons": []any{map[string]any{"id": "A B", "text": "x"}}}, "content.buttons[0].id", "a–z"},
		{map[string]any{"content.buttons": []any{map[string]any{"id": "a", "text": " "}}}, "content.buttons[0].text", "missing"},
		{map[string]any{"content.buttons": []any{map[string]any{"id": "a", "text": "x"}, map[string]any{"id": "a", "text": "x"}}}, "content.buttons[1].id", "earlier"},
		{map[string]any{"content.buttons": []any{map[string]any{"id": "a", "text": "x", "action": map[string]any{"do": "open", "url": "javascript:alert(1)"}}}}, "content.buttons[0].action.url", "http(s)"},
		{map[string]any{"content.buttons": []any{map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}}}, "content.buttons", "more than 3"},
		{map[string]any{"content.input.kind": "date"}, "content.input.kind", `"email"`},
		{map[string]any{"content.input.label": ""}, "content.input.label", "question"},
		{map[string]any{"content.input.event": ""}, "content.input.event", "names the event"},
		{map[string]any{"content.input.options": []any{"one"}}, "content.input.options", "two"},
		{map[string]any{"content.input.options": []any{"one", " "}}, "content.input.options[1]", "empty"},
		{map[string]any{"content.input.kind": "text"}, "content.input.options", `"choice"`},
		{map[string]any{"content.kv": map[string]any{"": "x"}}, "content.kv", "empty"},
		{map[string]any{"content.kv": map[string]any{"a": strings.Repeat("v", 2000)}}, "content.kv", "longer"},
		{map[string]any{"click.do": "run"}, "click.do", `"call"`},
		{map[string]any{"click.do": "open"}, "click.url", "missing"},
		{map[string]any{"click.function": ""}, "click.function", "missing"},
		{map[string]any{"click.function": "eval"}, "click.function", "not a function"},
		{map[string]any{"click.function": "x.constructor"}, "click.function", "not a function"},
		{map[string]any{"click.function": "alert(1)"}, "click.function", "not a function"},
		{map[string]any{"click.url": "/x"}, "click.url", "only for"},
		{map[string]any{"click.newTab": true}, "click.newTab", "open"},
		{map[string]any{"click": map[string]any{"do": "open", "url": "//evil.example"}}, "click.url", "path"},
		{map[string]any{"click": map[string]any{"do": "open", "url": "/{{ profile.Path }}"}}, "click.url", "too early"},
		{map[string]any{"click": map[string]any{"do": "open", "url": "/a{% if x %}b{% endif %}"}}, "click.url", "tag"},
		{map[string]any{"click": map[string]any{"do": "submit"}, "content.input": nil}, "click.do", "no input"},
		{map[string]any{"theme.mode": "blue"}, "theme.mode", `"dark"`},
		{map[string]any{"theme.color": "red;}*{"}, "theme.color", "colour"},
		{map[string]any{"theme.radius": 101}, "theme.radius", "between"},
		{map[string]any{"theme.overlay": 1.5}, "theme.overlay", "0 and 1"},
		{map[string]any{"theme.width": -1}, "theme.width", "between"},
		{map[string]any{"audience": big}, "audience", "longer"},
		{map[string]any{"where.paths.in": []any{"products"}}, "where.paths.in[0]", "/products/*"},
		{map[string]any{"where.referrer": []any{"https://x"}}, "where.referrer[0]", "host"},
		{map[string]any{"where.devices": []any{"tv"}}, "where.devices[0]", `"desktop"`},
		{map[string]any{"where.languages": []any{"de_AT"}}, "where.languages[0]", "BCP"},
		{map[string]any{"where.visitors": "old"}, "where.visitors", `"new"`},
		{map[string]any{"where.query": map[string]any{"": "x"}}, "where.query", "empty"},
		{map[string]any{"where.utm.source": strings.Repeat("s", 501)}, "where.utm.source", "longer"},
		{map[string]any{"when.scroll": 101}, "when.scroll", "100"},
		{map[string]any{"when.seconds": -1}, "when.seconds", "0"},
		{map[string]any{"when.click": strings.Repeat("a", 501)}, "when.click", "longer"},
		{map[string]any{"from": "tomorrow"}, "from", "2026-12-01T09:00"},
		{map[string]any{"from": "2026-12-01T09:00Z"}, "from", "timeZone"},
		{map[string]any{"until": "2026-12-01T09:00"}, "until", "after"},
		{map[string]any{"timeZone": "Mars/Olympus"}, "timeZone", "Europe/Berlin"},
		{map[string]any{"timeZone": "Local"}, "timeZone", "Europe/Berlin"},
		{map[string]any{"timeZone": "visitor"}, "", ""},
		{map[string]any{"caps.day": -1}, "caps.day", "between"},
		{map[string]any{"priority": 2_000_000}, "priority", "between"},
		{map[string]any{"variants": []any{map[string]any{"id": "a", "weight": 0}}}, "variants", "weight"},
		{map[string]any{"variants": []any{map[string]any{"id": "control", "weight": 1}}}, "variants[0].id", `"control"`},
		{map[string]any{"variants": []any{map[string]any{"id": "a", "weight": 1}, map[string]any{"id": "a", "weight": 1}}}, "variants[1].id", "earlier"},
		{map[string]any{"variants": []any{map[string]any{"id": "a", "weight": 1, "content": map[string]any{}}}}, "", ""},
		{map[string]any{"variants": []any{map[string]any{"id": "a", "weight": 1, "without": []any{"content.title", "content.body"}}}}, "variants[0].content.title", "missing"},
		{map[string]any{"variants": []any{map[string]any{"id": "a", "weight": 1, "without": []any{"body"}}}}, "variants[0].without[0]", `"content.body"`},
		{map[string]any{"variants": []any{map[string]any{"id": "a", "weight": 1, "without": []any{"theme.colour"}}}}, "variants[0].without[0]", `did you mean "theme.color"`},
		{map[string]any{"variants": []any{map[string]any{"id": "a", "weight": 1, "click": map[string]any{"do": "copy"}}}}, "variants[0].click.text", "missing"},
		{map[string]any{"variants": []any{map[string]any{"id": "a", "weight": 1, "theme": map[string]any{"mode": "x"}}}}, "variants[0].theme.mode", "dark"},
		{map[string]any{"control": 91}, "control", "90"},
		{map[string]any{"conversion.event": ""}, "conversion.event", "Charged"},
		{map[string]any{"conversion.within": "soon"}, "conversion.within", "24h"},
		{map[string]any{"conversion.within": "91d"}, "conversion.within", "90 days"},
		{map[string]any{"conversion.within": "9999999999999d"}, "conversion.within", "90 days"},
		{html("<p>Hi {{ profile.Name }}</p>"), "", ""},
		{html(`<a href="{{ profile.URL }}">x</a>`), "content.html", "template"},
		{html("<script>x = {{ profile.Name }}</script>"), "content.html", "template"},
		{html("<style>{% if x %}a{% endif %}</style>"), "content.html", "template"},
		{html(" "), "content.html", "missing"},
		{html(`<button onclick="(() => greet('{{ profile.Name }}'))()">x</button>`), "content.html", "template"},
		{html(`<img alt='a > b' onerror=x={{ profile.Name }}>`), "content.html", "template"},
		{html(`<img alt = 'a > "b" > ' title="{{ profile.Name }}">`), "content.html", "template"},
		{html("<p title={{ profile.Name }}>"), "content.html", "template"},
		{html("<!-- > {{ profile.Name }} -->"), "content.html", "template"},
		{html("<!--><script>--> {{ profile.Name }}"), "content.html", "template"},
		{html("<SCRIPT>a > b</ script> {{ profile.Name }}</SCRIPT>"), "content.html", "template"},
		{html("<scr{{ profile.Name }}ipt>"), "content.html", "template"},
		{html(`<p>{% if profile.x %}<a href='/x{% endif %}'>`), "content.html", "template"},
		{html(`2 < 3 > {{ profile.Name }} <script>if (a > "<") b()</script ><!-- > -->{{ profile.Name | default: "<b>" }}<br/>{{ profile.Name }}`), "", ""},
		{html(`<a href=/x?a="><b>{{ profile.Name }}</b>`), "", ""},
		{html(`<p title="a > b">{{ profile.Name }}</p>`), "", ""},
		{map[string]any{"content.input.event": "Notification Viewed"}, "content.input.event", "reserved"},
		{map[string]any{"content.input.event": " "}, "content.input.event", "names the event"},
		{map[string]any{"content.input.options": []any{"one", "two", "one"}}, "content.input.options[2]", "earlier"},
		{map[string]any{"conversion.event": "Stayed"}, "conversion.event", "reserved"},
		{map[string]any{"conversion.event": "Charged "}, "conversion.event", "space"},
		{map[string]any{"when.event": "App Launched"}, "when.event", "reserved"},
		{map[string]any{"when.event": " "}, "when.event", "space"},
		{map[string]any{"where.paths.in": []any{"/x?a=b"}}, "where.paths.in[0]", "where.query"},
		{map[string]any{"where.paths.out": []any{"/x#a"}}, "where.paths.out[0]", "#"},
	} {
		p, err := changed(t, tt.set)
		if err == nil {
			err = p.Validate()
		}
		var fe *pushsvc.FieldError
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("%v: %v", tt.set, err)
		case tt.field != "" && (!errors.As(err, &fe) || fe.Field != tt.field || !strings.Contains(fe.Problem, tt.says)):
			t.Errorf("%v: %v; want %s … %s", tt.set, err, tt.field, tt.says)
		}
	}
}

// changed returns the golden pop-up with members set, by dotted path.
func changed(t *testing.T, set map[string]any) (p popup.Popup, err error) {
	t.Helper()
	_, raw := goldenPopup(t)
	var all map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for path, v := range set {
		at, names := all, strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			at = at[name].(map[string]any)
		}
		at[names[len(names)-1]] = v
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return p, json.Unmarshal(text, &p)
}

// TestPopupTooLarge: each member is within its bound, but not all together.
func TestPopupTooLarge(t *testing.T) {
	p, _ := goldenPopup(t)
	p.Kind, p.Position, p.Click, p.Variants = popup.HTML, "", popup.Action{}, nil
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		p.Variants = append(p.Variants, popup.Variant{ID: id, Weight: 1, Content: &popup.Content{HTML: strings.Repeat("x", popup.MaxHTML)}})
	}
	p.Content = popup.Content{HTML: "x"}
	var fe *pushsvc.FieldError
	if err := p.Validate(); !errors.As(err, &fe) || fe.Field != "popup" {
		t.Errorf("%v", err)
	}
}

func TestConversionWindow(t *testing.T) {
	for in, want := range map[string]time.Duration{"24h": 24 * time.Hour, "7d": 168 * time.Hour, "90m": 90 * time.Minute, "": 0, "-1h": 0, "0d": 0, "1w": 0} {
		got, err := (&popup.Conversion{Within: in}).Window()
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestPopupSettings(t *testing.T) {
	def := popup.DefaultSettings()
	if err := def.Validate(); err != nil || def.PerSession != 1 {
		t.Errorf("%+v, %v", def, err)
	}
	for _, bad := range []popup.Settings{{PerSession: -1}, {PerDay: -1}, {Holdout: 91}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// FuzzPopup: a valid pop-up survives encoding, and none of its addresses run code.
func FuzzPopup(f *testing.F) {
	_, raw := goldenPopup(f)
	f.Add(raw)
	f.Add([]byte(`{"id":"x","state":"draft","kind":"html","content":{"html":"<b>{{x}}","trusted":true}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p popup.Popup
		if json.Unmarshal(raw, &p) != nil || p.Validate() != nil {
			return
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var again popup.Popup
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if err := again.Validate(); err != nil {
			t.Fatalf("good before, and now: %v\n%s", err, text)
		}
		if u := strings.ToLower(p.Click.URL); u != "" && !strings.HasPrefix(u, "http") && !strings.HasPrefix(u, "/") {
			t.Errorf("%q is taken", u)
		}
	})
}
