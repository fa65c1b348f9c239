package pushsvc_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// TestCheckLiteral: a template in any field is found; a text with other braces is not one.
func TestCheckLiteral(t *testing.T) {
	for field, c := range map[string]pushsvc.Content{
		"title":            {Title: "Hi {{ name }}"},
		"body":             {Title: "x", Body: "{% if a %}b{% endif %}"},
		"url":              {Title: "x", URL: "/p?n=%7B%7Bname%7d%7D"},
		"icon":             {Title: "x", Icon: "/{{a}}.png"},
		"image":            {Title: "x", Image: "/{{a}}.png"},
		"badge":            {Title: "x", Badge: "/{{a}}.png"},
		"tag":              {Title: "x", Tag: "{{ profile.Name }}"},
		"data":             {Title: "x", Data: json.RawMessage(`{"a":{"b":["\u007b\u007b name }}"]}}`)},
		"actions[1].title": {Title: "x", Actions: []pushsvc.Action{{Action: "a", Title: "b"}, {Action: "c", Title: "{{d"}}},
		"actions[0].url":   {Title: "x", Actions: []pushsvc.Action{{Action: "a", Title: "b", URL: "/{{ c\n }}"}}},
		"actions[0].icon":  {Title: "x", Actions: []pushsvc.Action{{Action: "a", Title: "b", Icon: "/{{{c}}}"}}},
	} {
		var fe *pushsvc.FieldError
		if err := c.CheckLiteral(); !errors.As(err, &fe) || fe.Field != field || !strings.Contains(fe.Problem, "literal") {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, c := range []pushsvc.Content{
		{Title: "{ a } 100 % {x} }} %}"},
		{Title: "x", Data: json.RawMessage(`{"a":{"b":{"c":{}}},"d":[{"e":1}]}`)},
		{Title: "x", URL: "/a%7Bb%7D"},
	} {
		if err := c.CheckLiteral(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestMarkupWarnings(t *testing.T) {
	c := pushsvc.Content{Title: "<b>Sale</b>", Body: "Q&amp;A", URL: "/?a=1&amp;b=2", Actions: []pushsvc.Action{{Action: "a", Title: "Read<br/>"}}}
	got := c.MarkupWarnings()
	if len(got) != 3 || !strings.Contains(got[0], `title has "<b>"`) || !strings.Contains(got[1], `body has "&amp;"`) || !strings.Contains(got[2], `actions[0].title has "<br/>"`) {
		t.Errorf("%q", got)
	}
	for _, text := range []string{"a < b > c", "Q&A <now>", "AT&T; 5 <3", "I <3 you", "x<y"} {
		if got := (&pushsvc.Content{Title: text}).MarkupWarnings(); got != nil {
			t.Errorf("%s: %q", text, got)
		}
	}
}
