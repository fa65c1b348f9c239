package popup

import (
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// checkTrusted allows templates only where their output is text. A visitor may have filled in the values: in
// an attribute or a script they would run as code with the page's own powers.
func checkTrusted(field, html string) error {
	if templatesInText(strings.ToLower(html)) {
		return nil
	}
	return &pushsvc.FieldError{Field: field, Problem: "has a template within a tag, a comment, a script or a style: in trusted HTML a template may only be in the text between tags"}
}

// rawElements are those whose content has no tags (HTML §13.2.5).
var rawElements = []string{"script", "style", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext", "textarea", "title"}

// templatesInText reports whether all templates are where a browser reads text. The HTML is in lower case.
// Templates are skipped: their output is escaped.
func templatesInText(html string) bool {
	for html != "" {
		var part string
		switch {
		case hasTemplate(html[:min(len(html), 2)]):
			html = html[templateEnd(html):]
			continue
		case strings.HasPrefix(html, "<!--"):
			part = html[:commentEnd(html)]
		case len(html) > 1 && html[0] == '<' && (isLetter(html[1]) || strings.IndexByte("/!?", html[1]) >= 0):
			part = html[:tagEnd(html)]
			part = html[:len(part)+rawLength(part, html[len(part):])]
		case html[0] == '<' && hasTemplate(html[1:min(len(html), 3)]):
			return false // its output would be the name of a tag
		default:
			html = html[1:]
			continue
		}
		if hasTemplate(part) {
			return false
		}
		html = html[len(part):]
	}
	return true
}

func hasTemplate(s string) bool { return strings.Contains(s, "{{") || strings.Contains(s, "{%") }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' }

// templateEnd returns the end of the template at the beginning of the text.
func templateEnd(s string) int {
	end := "}}"
	if s[1] == '%' {
		end = "%}"
	}
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end)
	}
	return len(s)
}

// commentEnd returns the end of the comment at the beginning of the text.
func commentEnd(s string) int {
	for _, short := range []string{"<!-->", "<!--->"} {
		if strings.HasPrefix(s, short) {
			return len(short)
		}
	}
	first := len(s)
	for _, end := range []string{"-->", "--!>"} {
		if i := strings.Index(s[4:], end); i >= 0 {
			first = min(first, 4+i+len(end))
		}
	}
	return first
}

// tagEnd returns the end of the tag at the beginning of the text: after a > outside of quoted values.
func tagEnd(s string) int {
	quotes := isLetter(s[1]) || s[1] == '/' && len(s) > 2 && isLetter(s[2])
	var quote byte
	value, unquoted := false, false // after a =; in an unquoted value
	for i := 1; i < len(s); i++ {
		c := s[i]
		space := strings.IndexByte(" \t\n\f\r", c) >= 0
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '>':
			return i + 1
		case !quotes:
		case unquoted:
			unquoted = !space
		case value && (c == '"' || c == '\''):
			quote, value = c, false
		case value && !space:
			unquoted, value = true, false
		case c == '=':
			value = true
		}
	}
	return len(s)
}

// rawLength returns the length of the text without tags after a tag, up to the element's end tag.
func rawLength(tag, text string) int {
	name := strings.TrimRight(tag[1:], ">")
	if i := strings.IndexAny(name, " \t\n\f\r/"); i >= 0 {
		name = name[:i]
	}
	raw := false
	for _, r := range rawElements {
		raw = raw || r == name
	}
	if !raw {
		return 0
	}
	for from := 0; ; {
		i := strings.Index(text[from:], "</"+name)
		if i < 0 {
			return len(text)
		}
		from += i
		if name == "script" && strings.Contains(text[:from], "<!--") {
			return len(text) // it may end elsewhere (HTML §13.2.5.20): no templates after it
		}
		after := text[from+2+len(name):]
		if after == "" || strings.IndexByte(" \t\n\f\r/>", after[0]) >= 0 {
			return from
		}
		from += 2 + len(name)
	}
}
