package popup_test

import (
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// FuzzTrusted: in trusted HTML that is accepted, a parser finds the output of templates only in text, never
// in a script or style.
func FuzzTrusted(f *testing.F) {
	for _, s := range []string{
		"<b>{{ x }}</b>", `<img alt="a > b" onerror="{{ x }}">`, "<script>a > b</script>{{ x }}", "<!-- {{ x }} -->", "<!--> {{ x }}", "<!--->{{x}}",
		"<a href=/x?a=\">{{ x }}", "<p title='>'{{ x }}>", "</p title='>{{ x }}'>", "<!x '>{{ x }}'>", "<?x>{{ x }}", "</ x>{{ x }}", "<a/=\">\"{{x}}>",
		"<style><!--</style>{{ x }}", "<script><!--<script></script>{{ x }}--></script>", "<textarea><b></textarea>{{ x }}", "<a b = c'd>{{ x }}'>",
		"<title>{{ x }}</title>", "<plaintext></plaintext>{{ x }}", "<a\x00b='>{{x}}'>", "<!-- --!>{{ x }}", "{% if a %}<b>{% endif %}", "<{{ x }}>", "<{% if a %}{% endif %}b {{ x }}>", "<a b\f=\f'>'>{{x}}",
	} {
		f.Add(s)
	}
	const mark = "webpushmark"
	place := regexp.MustCompile(`(?s)\{\{.*?\}\}|\{%.*?%\}`)
	f.Fuzz(func(t *testing.T, source string) {
		p := popup.Popup{ID: "x", State: popup.Draft, Kind: popup.HTML, Content: popup.Content{HTML: source, Trusted: true}}
		if p.Validate() != nil || strings.Contains(source, mark) {
			return
		}
		z := html.NewTokenizer(strings.NewReader(place.ReplaceAllString(source, mark)))
		within := ""
		for {
			kind := z.Next()
			if kind == html.ErrorToken {
				return
			}
			raw := string(z.Raw())
			if strings.Contains(raw, mark) && (kind != html.TextToken || within != "") {
				t.Fatalf("%q is taken, with a template in %v %s", source, kind, within)
			}
			name, _ := z.TagName()
			within = ""
			if kind == html.StartTagToken && (string(name) == "script" || string(name) == "style") {
				within = string(name)
			}
		}
	})
}
