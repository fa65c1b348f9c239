package httpapi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/operator"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// configured is a configuration with the two sites.
type configured struct{}

// Prompt implements service.ConfiguredSites.
func (configured) Prompt(site string) (said, byDefault prompt.Settings, ok bool) {
	title := "From the file"
	return prompt.Settings{Title: &title}, prompt.Default(false), site == siteA || site == siteB
}

// Names implements service.ConfiguredSites.
func (configured) Origin(string) string { return "" }

func (configured) EventNames(string) []string { return nil }

func (configured) Prefix(site string) string {
	if site == siteA {
		return "/push"
	}
	return ""
}

func (configured) SiteOf(string) string { return "" }

func (configured) Names() []string { return []string{siteA, siteB} }

// TestPromptAPI: the settings are read, written by a client that has seen the latest ones, and
// removed.
func TestPromptAPI(t *testing.T) {
	f := newFixture(t)
	url := f.operator.URL + "/webpush/sites/" + siteA + "/prompt"
	do := func(method, body string, headers ...string) answer {
		t.Helper()
		return f.do(method, url, body, append([]string{"Content-Type", "application/json"}, headers...)...)
	}
	is := func(what string, a answer, status int, tag, body string) {
		t.Helper()
		if a.status != status || a.header.Get("ETag") != tag || !strings.Contains(a.body, body) {
			t.Fatalf("%s: %d, ETag %s: %s", what, a.status, a.header.Get("ETag"), a.body)
		}
		if status >= 400 {
			a.problem(t)
		}
	}
	is("at first", do("GET", ""), 200, `"0"`, `"override":{},"revision":0`)
	is("all of it", do("GET", ""), 200, `"0"`, `"settings":{"enabled":true,"kind":"dialog","title":"From the file","body":"","accept":"","reject":"","color":"","textColor":"","topics":[],"after":{"pages":2},"paths":[],"notPaths":[],"askAgain":["7d"],"consent":""},"sources":{`)
	is("the first write", do("PUT", `{"kind":"bar","after":{"delay":"30s"}}`, "If-Match", `"0"`), 200, `"1"`, `"kind":"bar"`)
	is("its repetition", do("PUT", `{"kind":"bar","after":{"delay":"30s"}}`, "If-Match", `"0"`), 200, `"1"`, `"kind":"bar"`)
	is("with an old revision", do("PUT", `{"kind":"bell"}`, "If-Match", `"0"`), 412, "", "read it again")
	is("a weak tag", do("PUT", `{"kind":"bell"}`, "If-Match", `W/"1"`), 412, "", "read it again")
	is("no tag", do("PUT", `{"kind":"bell"}`, "If-Match", `1`), 412, "", "read it again")
	is("two tags", do("PUT", `{"kind":"bell"}`, "If-Match", `"0", "1"`), 400, "", `"field":"If-Match"`)
	is("with the present revision", do("PUT", `{"kind":"bell"}`, "If-Match", `"1"`), 200, `"2"`, `"kind":"bell"`)
	is("whatever is there", do("PUT", `{"title":"","paths":["/*"]}`), 200, `"3"`, `"override":{"title":"","paths":["/*"]}`)
	is("any", do("PUT", `{"enabled":false}`, "If-Match", "*"), 200, `"4"`, `"enabled":"api"`)
	is("again", do("GET", ""), 200, `"4"`, `"title":"caddyfile"`)
	is("the list", f.do("GET", f.operator.URL+"/webpush/prompts", ""), 200, "", `{"site":"a.example","configured":true,"set":["enabled"],"revision":4,`)
	is("removed by who has not seen it", do("DELETE", "", "If-Match", `"3"`), 412, "", "")
	is("removed", do("DELETE", "", "If-Match", `"4"`), 204, "", "")
	is("removed again", do("DELETE", ""), 204, "", "")
	is("after all", do("GET", ""), 200, `"0"`, `"override":{}`)
	is("written again", do("PUT", `{}`, "If-Match", `"0"`), 200, `"5"`, `"override":{}`)
	is("the method", do("POST", `{}`), 405, "", "")
	url = f.operator.URL + "/webpush/sites/c.example/prompt"
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		is("another site: "+method, do(method, `{}`), 404, "", `there is no site \"c.example\": the running configuration does not have it, and nothing is stored of it; known sites: a.example, b.example`)
	}
	url = f.operator.URL + "/webpush/sites/c_%20d/prompt"
	is("no site", do("GET", ""), 400, "", `"field":"site"`)
}

// TestPromptAPIRefuses: the error names the fault, and nothing is stored.
func TestPromptAPIRefuses(t *testing.T) {
	f := newFixture(t)
	url := f.operator.URL + "/webpush/sites/" + siteA + "/prompt"
	for _, tt := range []struct {
		body, field string
		status      int
	}{
		{`{"kind":"telegram"}`, "kind", 400},
		{`{"kind":1}`, "kind", 400},
		{`{"colour":"#fff"}`, "colour", 400},
		{`{"color":"red"}`, "color", 400},
		{`{"after":"2 pages"}`, "after", 400},
		{`{"after":{"pages":"2"}}`, "after.pages", 400},
		{`{"after":{"minutes":2}}`, "after.minutes", 400},
		{`{"after":{"delay":"soon"}}`, "after", 400},
		{`{"askAgain":"soon"}`, "askAgain", 400},
		{`{"paths":"/a"}`, "paths", 400},
		{`{"paths":["a"]}`, "paths", 400},
		{`{"enabled":"no"}`, "enabled", 400},
		{`{"title":"a","Title":"b"}`, "Title", 400},
		{`{"title":"a","title":"b"}`, "title", 400},
		{`{"title":"a"} {}`, "", 400},
		{`["title"]`, "", 400},
		{`null`, "", 400},
		{``, "", 400},
		{`{"paths":[]}`, "paths", 400},
		{`{"paths":null}`, "paths", 400},
		{`{"notPaths":[""]}`, "notPaths[0]", 400},
		{`{"topics":[]}`, "topics", 400},
		{`{"kind":""}`, "kind", 400},
		{`{"consent":""}`, "consent", 400},
		{`{"after":{"click":""}}`, "after.click", 400},
		{`{"title":"` + strings.Repeat("x", pushsvc.MaxSettingDocument) + `"}`, "", 413},
	} {
		a := f.do("PUT", url, tt.body, "Content-Type", "application/json")
		if p := a.problem(t); a.status != tt.status || p.Field != tt.field {
			t.Errorf("%.60s: %d %+v", tt.body, a.status, p)
		}
	}
	if a := f.do("PUT", url, `{}`, "Content-Type", "text/plain"); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("as text: %d", a.status)
	}
	if rows, err := f.store.Settings(t.Context(), "prompt"); err != nil || len(rows) != 0 {
		t.Errorf("%d stored, %v", len(rows), err)
	}
}

// TestPromptConfigWith: each setting reaches the SDK, and data shared with other requests does not
// change.
func TestPromptConfigWith(t *testing.T) {
	base := httpapi.PromptConfig{
		Title: "base", AskAgain: []int64{1}, After: &httpapi.PromptAfter{Pages: 9},
		Paths: &httpapi.PromptPaths{In: []string{"/in"}, Out: []string{"/out"}},
	}
	before, err := json.Marshal(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ settings, want string }{
		{`{}`, string(before)},
		{
			`{"enabled":true,"kind":"bar","title":"T","body":"B","accept":"A","reject":"R","color":"#111","textColor":"#222","topics":[{"id":"a","label":"A","checked":true}],
			"after":{"pages":3,"delay":"1m","scroll":5,"click":"c","event":"e","exit":true},"paths":["/p"],"notPaths":["/n"],"askAgain":["1d","2d"],"consent":"#c"}`,
			`{"kind":"bar","title":"T","body":"B","accept":"A","reject":"R","color":"#111","textColor":"#222","topics":[{"id":"a","label":"A","checked":true}],
			"after":{"pages":3,"seconds":60,"scroll":5,"click":"c","event":"e","exit":true},"paths":{"in":["/p"],"out":["/n"]},"askAgain":[86400,172800],"consent":"#c"}`,
		},
		{`{"title":"","after":{}}`, strings.NewReplacer(`"base"`, `""`, `{"pages":9}`, `{}`).Replace(string(before))},
		{`{"enabled":false}`, strings.Replace(string(before), `{"pages":9}`, `{"manual":true}`, 1)},
		{`{"enabled":false,"after":{"pages":1}}`, strings.Replace(string(before), `{"pages":9}`, `{"manual":true}`, 1)},
		{`{"paths":["/*"]}`, strings.Replace(string(before), `"/in"`, `"/*"`, 1)},
	} {
		s, err := operator.ParsePrompt([]byte(tt.settings))
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(base.With(s))
		if err != nil {
			t.Fatal(err)
		}
		var have, want any
		if err := errors.Join(json.Unmarshal(got, &have), json.Unmarshal([]byte(tt.want), &want)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(have, want) {
			t.Errorf("settings %s: config is\n%s, want\n%s", tt.settings, got, tt.want)
		}
		if after, err := json.Marshal(base); err != nil || string(after) != string(before) {
			t.Fatalf("%s changed the base to %s, %v", tt.settings, after, err)
		}
	}
}

// FuzzPrompt: an accepted document obeys the rules, is the same after it has been stored, and
// results in a config whose script parses.
func FuzzPrompt(f *testing.F) {
	for _, seed := range []string{
		`{"enabled":false,"kind":"bar","title":"</script>","after":{"pages":2,"delay":"1d12h"},"paths":[],"askAgain":"7d"}`,
		`{"after":{"manual":true},"notPaths":["/a*"],"askAgain":["1s","10000h"]}`,
		`{"kind":null,"paths":null,"askAgain":null,"after":{"delay":null}}`, `{"askAgain":[[]]}`, `{"Kind":"bar","\u212aind":"x"}`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := operator.ParsePrompt(body)
		if err != nil {
			var p *api.Problem
			var field *pushsvc.FieldError
			if !errors.As(err, &p) && !errors.As(err, &field) {
				t.Errorf("%q: %T %v", body, err, err)
			}
			return
		}
		stored, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := operator.ParsePrompt(stored)
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%q is %+v, stored %s, and then %+v, %v", body, s, stored, again, err)
		}
		if config, err := json.Marshal(httpapi.PromptConfig{}.With(s)); err != nil || strings.Contains(string(config), "<") {
			t.Errorf("%q: %s, %v", body, config, err)
		}
	})
}
