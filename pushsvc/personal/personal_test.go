package personal_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/personal"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

var anna = map[string]any{
	"Name": "Anna", "points": float64(1234567), "price": 1234567.5, "empty": "", "tags": []any{"a", "b"},
	"evil": `<img src=x onerror=alert(1)>"'&`, "path": "a b/c", "host": "//evil.example",
}

func values(profile map[string]any) (plain, escaped personal.Values) {
	return personal.Values{"profile": personal.Plain(profile)}, personal.Values{"profile": personal.Escaped(profile)}
}

func TestText(t *testing.T) {
	plain, _ := values(anna)
	for in, want := range map[string]string{
		"Hello":              "Hello",
		"Hello { there }":    "Hello { there }",
		"{{ profile.Name }}": "Anna",
		`Hello {{ profile.Name | default: "friend" }}!`:                                                        "Hello Anna!",
		`Hello {{ profile.Absent | default: "friend | foe" }}!`:                                                "Hello friend | foe!",
		`{{ profile.empty | default: "friend" }}`:                                                              "friend",
		"{{ profile.at.all }}":                                                                                 "",
		"{{ profile.points }} {{ profile.price }}":                                                             "1234567 1234567.5",
		"{{ profile.points | divided_by: 2 | round }}":                                                         "617283",
		"{{ profile.Name | upcase | truncate: 3 }}":                                                            "AN…",
		"{{ profile.Name | truncate: -5 }}":                                                                    "…",
		`{{ profile.tags | join: ", " }}`:                                                                      "a, b",
		"{% if profile.points > 1000 %}rich{% elsif profile.x %}?{% else %}poor{% endif %}":                    "rich",
		`{% case profile.Name %}{% when "Anna" %}A{% else %}B{% endcase %}`:                                    "A",
		"{%- unless profile.x -%} no x {%- endunless -%}":                                                      "no x",
		"{{ profile.evil }}":                                                                                   anna["evil"].(string),
		`{{ profile["Name"] }}{{profile.Name-}} `:                                                              "AnnaAnna",
		"{% if profile.Size == nil and profile.points contains 'x' or 1.5 > 2 or site == blank %}x{% endif %}": "x",
		"{{ profile.Name | append: profile.Name | truncate: 20, '' }}{{ 'it is x' }}":                          "AnnaAnnait is x",
	} {
		text, err := personal.Compile(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if got, err := text.Render(plain); got != want || err != nil {
			t.Errorf("%q renders %q, %v; want %q", in, got, err, want)
		}
	}
}

// TestRefused: Compile refuses tags and filters that could take long or grow, and texts that are not
// templates.
func TestRefused(t *testing.T) {
	for in, says := range map[string]string{
		"{% for i in (1..1000000000) %}x{% endfor %}":   `tag "for"`,
		"{% assign a = 1 %}":                            `tag "assign"`,
		"{%capture x%}{%endcapture%}":                   `tag "capture"`,
		"{%-include 'x'-%}":                             `tag "include"`,
		"{% tablerow x in y %}{% endtablerow %}":        `tag "tablerow"`,
		`{{ profile.x | replace: "a", "aaaaaaaa" }}`:    `filter "replace"`,
		`{{ profile.x | date: "%1000000d" }}`:           `filter "date"`,
		`{{ "a|b" | default:"|" | inspect }}`:           `filter "inspect"`,
		"{% if visits > 1 %}x":                          "has a {% if %} without its {% endif %}",
		"{{ profile. }}":                                "has profile., which is not",
		"{{ }}":                                         "empty",
		`{{ "a }}`:                                      `has "a, which is not`,
		"{% if visits = 1 %}x{% endif %}":               "write ==",
		"{{ Name }}":                                    `names "Name", which is not known: there are profile, site, device, language, visits; an attribute is profile.Name`,
		"{{ profil.Name }}":                             `"profil"`,
		"{% if visits > 1 and city == 'x' %}x{%endif%}": `"city"`,
		"{{ 'x' | append: y }}":                         `"y"`,
		"{{ profile[key] }}":                            `"key"`,
		"{% if profile.x | json %}{% endif %}":          `filter "json"`,
		"Hello {{ profile.Name":                         `{{ that is not closed, before " profile.Name"`,
		"Hello {{ profile.Name }}, {% if x":             "{% that is not closed",
		"{% endif %}":                                   "has a {% endif %} outside",
	} {
		if _, err := personal.Compile(in); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v; want %s", in, err, says)
		}
	}
}

func TestOutputIsBounded(t *testing.T) {
	text, err := personal.Compile(strings.Repeat("{{ profile.long }}", 200))
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := values(map[string]any{"long": strings.Repeat("x", 1024)})
	if out, err := text.Render(plain); err == nil {
		t.Errorf("%d bytes", len(out))
	}
}

func TestPopup(t *testing.T) {
	p := &popup.Popup{
		Content: popup.Content{
			Title: "Hi {{ profile.Name }}", HTML: "<p>{{ profile.evil }}</p>", Image: "/i/{{ profile.path }}.png",
			Buttons: []popup.Button{{ID: "a", Text: "{{ profile.Name }}", Action: popup.Action{Do: "open", URL: "/p?n={{ profile.path | url_encode }}"}}},
			Input:   &popup.Input{Options: []string{"{{ profile.Name }}", "no"}},
			KV:      map[string]string{"k": "{{ profile.evil }}"},
		},
		Variants: []popup.Variant{{ID: "b", Weight: 1, Content: &popup.Content{Title: "B {{ profile.Name }}"}}},
	}
	c, err := personal.CompilePopup(p)
	if err != nil {
		t.Fatal(err)
	}
	plain, escaped := values(anna)
	m, err := c.Render("", plain, escaped)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct{ got, want string }{
		{m.Content.Title, "Hi Anna"},
		{m.Content.HTML, "<p>&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;</p>"},
		{m.Content.Image, "/i/a%20b/c.png"},
		{m.Content.Buttons[0].Text, "Anna"},
		{m.Content.Buttons[0].Action.URL, "/p?n=a+b%2Fc"},
		{m.Content.Input.Options[0], "Anna"},
		{m.Content.KV["k"], anna["evil"].(string)},
	} {
		if f.got != f.want {
			t.Errorf("got %q, want %q", f.got, f.want)
		}
	}
	if p.Content.Buttons[0].Text != "{{ profile.Name }}" || p.Content.KV["k"] != "{{ profile.evil }}" || p.Content.Input.Options[0] != "{{ profile.Name }}" {
		t.Error("the pop-up itself was filled in")
	}
	if m, err := c.Render("b", plain, escaped); err != nil || m.Content.Title != "B Anna" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestPopupAddress: a profile's values can't change a link into another address.
func TestPopupAddress(t *testing.T) {
	c, err := personal.CompilePopup(&popup.Popup{Click: popup.Action{Do: "open", URL: "/x{{ profile.x }}"}})
	if err != nil {
		t.Fatal(err)
	}
	for value, good := range map[string]bool{
		"1": true, "\\evil": false, "\n": true, "a\x01b": false, "\r\nX: y": false,
		"/../y": false, "/..": false, "/./y": false, "/%2e%2E/y": false, "/.%2e?x": false, "/..#a": false, "/..y/...": true, "?x=/../": true, "#/../": true,
	} {
		plain, escaped := values(map[string]any{"x": value})
		if m, err := c.Render("", plain, escaped); (err == nil) != good {
			t.Errorf("%q: %q, %v", value, m.Click.URL, err)
		}
	}
}

func TestPopupFaults(t *testing.T) {
	p := &popup.Popup{Variants: []popup.Variant{{ID: "a", Content: &popup.Content{Buttons: []popup.Button{{Text: "{% for %}"}}}}}}
	_, err := personal.CompilePopup(p)
	var fe *pushsvc.FieldError
	if !errors.As(err, &fe) || fe.Field != "variants[0].content.buttons[0].text" {
		t.Errorf("%v", err)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"{{ profile.Name | truncate: 3 }}", "{% if profile.x %}a{% endif %}", `{{ "a" | times: 3 }}`, "{{ profile.tags | join: 1 }}"} {
		f.Add(s)
	}
	plain, escaped := values(anna)
	f.Fuzz(func(t *testing.T, s string) {
		text, err := personal.Compile(s)
		if err != nil {
			return
		}
		out, err := text.Render(plain)
		if err == nil && len(out) > personal.MaxOutput {
			t.Errorf("%d bytes", len(out))
		}
		_, _ = text.Render(escaped)
	})
}

// TestEscapedKeys: an object instead of a name can't bring markup into the HTML by its keys.
func TestEscapedKeys(t *testing.T) {
	for _, source := range []string{"{{ profile.Name }}", "{{ profile }}", "{{ profile.List | join: ' ' }}", "{{ profile.Name | first }}", "{{ profile.List | append: profile.Name }}"} {
		text, err := personal.Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		evil := map[string]any{"<img src=x onerror=alert(1)>": "<b>"}
		values, _ := personal.Escaped(map[string]any{"profile": map[string]any{"Name": evil, "List": []any{evil, "a"}}}).(map[string]any)
		if out, err := text.Render(values); err == nil && strings.Contains(out, "<") {
			t.Errorf("%s: %s", source, out)
		}
	}
}

// TestCorpus fills in strings that browsers have run as scripts. They stay words in text, and text or an
// attribute's value in HTML, and change no link's host.
func TestCorpus(t *testing.T) {
	folder := os.Getenv("WEBPUSH_TESTDATA")
	file, err := os.ReadFile(filepath.Join(folder, "adversarial", "xss.jsonl"))
	if folder == "" || err != nil {
		t.Skip("WEBPUSH_TESTDATA names no folder with adversarial/xss.jsonl")
	}
	shown, err := personal.CompilePopup(&popup.Popup{Content: popup.Content{
		Title: "{{ profile.Name }}", HTML: `<p title="{{ profile.Name }}">{{ profile.Name }}</p>`, KV: map[string]string{"k": "{{ profile.Name }}"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	link, err := personal.CompilePopup(&popup.Popup{Click: popup.Action{Do: "open", URL: "https://shop.example/?q={{ profile.Name }}"}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(file)) {
		var row struct{ Payload string }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		n++
		plain, escaped := values(map[string]any{"Name": row.Payload})
		m, err := link.Render("", plain, escaped)
		if u, parseErr := url.Parse(m.Click.URL); err == nil && (parseErr != nil || u.Scheme != "https" || u.Host != "shop.example") {
			t.Errorf("%q makes the link %q", row.Payload, m.Click.URL)
		}
		if m, err = shown.Render("", plain, escaped); err != nil {
			t.Errorf("%q: %v", row.Payload, err)
		}
		if m.Content.Title != row.Payload || m.Content.KV["k"] != row.Payload {
			t.Errorf("%q is shown as %q and %q", row.Payload, m.Content.Title, m.Content.KV["k"])
		}
		// As the parser reads all text (HTML 13.2.3.5).
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(row.Payload)
		z := html.NewTokenizer(strings.NewReader(m.Content.HTML))
		z.Next()
		start := z.Token()
		text := ""
		for z.Next() == html.TextToken {
			text += z.Token().Data
		}
		if start.Data != "p" || len(start.Attr) != 1 || start.Attr[0].Val != want || text != want || z.Token().Type != html.EndTagToken || z.Next() != html.ErrorToken {
			t.Errorf("%q makes the HTML %q", row.Payload, m.Content.HTML)
		}
	}
	t.Logf("%d strings", n)
}
