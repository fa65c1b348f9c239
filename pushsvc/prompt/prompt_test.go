package prompt_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

func settings(t testing.TB, text string) (s prompt.Settings) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

func TestPromptValidate(t *testing.T) {
	for _, tt := range []struct{ text, field string }{
		{`{}`, ""},
		{`{"enabled":false,"kind":"bell","title":"","color":"#0B6","textColor":"","after":{},"paths":[],"askAgain":"1s","consent":""}`, ""},
		{`{"after":{"pages":1000,"delay":"24h","scroll":100,"click":".a","event":"e","exit":true}}`, ""},
		{`{"after":{"manual":true}}`, ""},
		{`{"after":{"delay":null}}`, ""},
		{`{"topics":[]}`, ""},
		{`{"topics":[{"id":"news","label":"News","checked":true},{"id":"x","label":"X"}]}`, ""},
		{`{"topics":[{"id":"a b","label":"News"}]}`, "topics"},
		{`{"topics":[{"id":"a","label":" "}]}`, "topics"},
		{`{"topics":[{"id":"a","label":"A"},{"id":"a","label":"B"}]}`, "topics"},
		{`{"topics":[{"id":"a","label":"` + strings.Repeat("A", 501) + `"}]}`, "topics"},
		{`{"topics":[{},{},{},{},{},{},{},{},{},{},{}]}`, "topics"},
		{`{"kind":""}`, "kind"},
		{`{"kind":"Bar"}`, "kind"},
		{`{"color":"blue"}`, "color"},
		{`{"textColor":"0b6bcb"}`, "textColor"},
		{`{"askAgain":[]}`, "askAgain"},
		{`{"askAgain":["7d","0s"]}`, "askAgain"},
		{`{"askAgain":["1d","1d","1d","1d","1d","1d","1d","1d","1d","1d","1d"]}`, "askAgain"},
		{`{"paths":["/a","b"]}`, "paths"},
		{`{"notPaths":["/a?b"]}`, "notPaths"},
		{`{"paths":["/` + strings.Repeat("a", 500) + `"]}`, "paths"},
		{`{"paths":["` + strings.Repeat(`/","`, 100) + `/"]}`, "paths"},
		{`{"consent":"` + strings.Repeat("a", 501) + `"}`, "consent"},
		{`{"after":{"manual":true,"pages":1}}`, "after"},
		{`{"after":{"pages":1001}}`, "after"},
		{`{"after":{"pages":-1}}`, "after"},
		{`{"after":{"delay":"25h"}}`, "after"},
		{`{"after":{"delay":"1ms"}}`, "after"},
		{`{"after":{"scroll":101}}`, "after"},
		{`{"after":{"click":"` + strings.Repeat("a", 501) + `"}}`, "after click"},
		{`{"after":{"event":"` + strings.Repeat("a", 501) + `"}}`, "after event"},
	} {
		var field *pushsvc.FieldError
		err := settings(t, tt.text).Validate()
		if errors.As(err, &field) != (tt.field != "") || field != nil && field.Field != tt.field || field == nil && err != nil {
			t.Errorf("%.80s: %v; want a fault in %q", tt.text, err, tt.field)
		}
	}
	for _, tt := range []struct{ text, field string }{{`{"askAgain":7}`, "askAgain"}, {`{"askAgain":["1d","soon"]}`, "askAgain"}, {`{"after":{"delay":30}}`, "after"}} {
		var s prompt.Settings
		var field *pushsvc.FieldError
		if err := json.Unmarshal([]byte(tt.text), &s); !errors.As(err, &field) || field.Field != tt.field {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
	for _, manual := range []bool{false, true} {
		all := prompt.Default(manual)
		if err := all.Validate(); err != nil {
			t.Error(err)
		}
		if n := reflect.TypeFor[prompt.Settings]().NumField(); len(all.Said()) != n {
			t.Errorf("the default sets %q, not all %d members", all.Said(), n)
		}
	}
}

// TestPromptOver: each member wins by itself, also if it is set to empty, and survives storing.
func TestPromptOver(t *testing.T) {
	all := settings(t, `{"enabled":false,"kind":"bar","title":"T","body":"B","accept":"A","reject":"R","color":"#111","textColor":"#222",
		"topics":[{"id":"a","label":"A"}],"after":{"pages":3},"paths":["/a"],"notPaths":["/b"],"askAgain":["1d"],"consent":"#c"}`)
	empty := settings(t, `{"enabled":true,"kind":"dialog","title":"","body":"","accept":"","reject":"","color":"","textColor":"",
		"topics":[],"after":{},"paths":[],"notPaths":[],"askAgain":["2d"],"consent":""}`)
	stored := func(s prompt.Settings) prompt.Settings {
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return settings(t, string(raw))
	}
	for _, tt := range []struct{ upper, lower, want prompt.Settings }{
		{all, empty, all},
		{empty, all, empty},
		{prompt.Settings{}, all, all},
		{all, prompt.Settings{}, all},
	} {
		if got := stored(tt.upper).Over(stored(tt.lower)); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%+v over %+v is %+v", tt.upper, tt.lower, got)
		}
	}
	got := settings(t, `{"title":"X","paths":null}`).Over(all)
	if *got.Title != "X" || *got.Body != "B" || got.Paths[0] != "/a" {
		t.Errorf("%+v", got)
	}
	if said := settings(t, `{"paths":[],"title":"","after":{}}`).Said(); !reflect.DeepEqual(said, []string{"after", "paths", "title"}) {
		t.Errorf("said %q", said)
	}
}
