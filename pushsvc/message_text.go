package pushsvc

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// contentText is one text of a message that subscribers see or follow.
type contentText struct {
	field, text string
	// shown reports whether a notification shows it.
	shown bool
}

func (c *Content) texts() []contentText {
	texts := []contentText{
		{"title", c.Title, true},
		{"body", c.Body, true},
		{"url", c.URL, false},
		{"icon", c.Icon, false},
		{"image", c.Image, false},
		{"badge", c.Badge, false},
		{"tag", c.Tag, false},
		{"data", jsonText(c.Data), false},
	}
	for i, a := range c.Actions {
		at := fmt.Sprintf("actions[%d].", i)
		texts = append(texts, contentText{at + "action", a.Action, false}, contentText{at + "title", a.Title, true},
			contentText{at + "url", a.URL, false}, contentText{at + "icon", a.Icon, false})
	}
	return texts
}

// jsonText returns JSON with undone escapes that could hide a brace or a per cent sign; invalid JSON is
// returned as it is.
func jsonText(raw json.RawMessage) string {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return string(raw)
	}
	return string(plain)
}

// templateText matches what Liquid, Handlebars and Jinja would fill in, also without its end; in an address
// the braces may be percent-encoded.
var templateText = regexp.MustCompile(`(?s)(?:\{|%7[bB]){2}.*?(?:\}|%7[dD]){2}|\{%.*?%\}|\{\{[^{}]{0,40}|\{%[^{}]{0,40}`)

// FindTemplate returns the first template in a text that would be shown literally; "" if the text has no template.
func FindTemplate(text string) string { return templateText.FindString(text) }

// CheckLiteral returns a *FieldError if the message has a template: notifications are not filled in, so all
// subscribers would see the template itself.
func (c *Content) CheckLiteral() error {
	for _, t := range c.texts() {
		if found := FindTemplate(t.text); found != "" {
			return &FieldError{t.field, fmt.Sprintf("has the template %q, and notifications are not filled in: all subscribers would get it as it is. Write the final text; to send the template as it is, add \"literal\": true (--literal on the command line)", found)}
		}
	}
	return nil
}

// markupText is HTML that people write in texts: a tag or a character reference.
var markupText = regexp.MustCompile(`(?i)</?(?:a|b|big|br|center|code|div|em|font|h[1-6]|hr|i|img|li|mark|ol|p|s|small|span|strike|strong|sub|sup|u|ul)(?:\s[^<>]*)?/?>|&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});`)

// MarkupWarnings returns a warning for each text in which a notification would show HTML literally.
func (c *Content) MarkupWarnings() (warnings []string) {
	for _, t := range c.texts() {
		if found := markupText.FindString(t.text); t.shown && found != "" {
			what := "tags"
			if strings.HasPrefix(found, "&") {
				what = "character references"
			}
			warnings = append(warnings, fmt.Sprintf("%s has %q: notifications are plain text, they show HTML %s as they are", t.field, found, what))
		}
	}
	return warnings
}
