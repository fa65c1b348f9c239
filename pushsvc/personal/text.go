// Package personal fills texts with what is known about a visitor. The templates are Liquid without loops and
// variables, so time and memory are bounded by the length of the template and of its values.
package personal

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/osteele/liquid"
)

// MaxOutput is the longest text that a template may render, in bytes.
const MaxOutput = 128 << 10

// Values are the values that templates can name.
type Values map[string]any

// Text is a compiled template. It is safe for concurrent use.
type Text struct {
	template *liquid.Template // nil if the text has no template
	plain    string
}

// tags are the tags whose time is bounded by their length. "for" is missing, and "assign" too, which could
// double a text repeatedly.
var tags = []string{"if", "elsif", "else", "endif", "unless", "endunless", "case", "when", "endcase", "comment", "endcomment"}

// filters are the filters whose output is at most as long as their input, or of fixed length.
var filters = []string{
	"default", "upcase", "downcase", "capitalize", "strip", "lstrip", "rstrip", "escape", "url_encode", "truncate",
	"size", "first", "last", "round", "ceil", "floor", "abs", "plus", "minus", "times", "divided_by", "modulo",
	"append", "prepend", "join", "strip_html", "strip_newlines", "newline_to_br",
}

// engine has Liquid's own filters, except truncate, which can panic.
var engine = func() *liquid.Engine {
	e := liquid.NewEngine()
	e.RegisterFilter("truncate", truncate)
	return e
}()

func truncate(s string, length func(int) int, ellipsis func(string) string) string {
	n, end, runes := length(50), ellipsis("…"), []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:max(0, n-len([]rune(end)))]) + end
}

// tagOrOutput matches a tag or an output of a template.
var tagOrOutput = regexp.MustCompile(`(?s)\{%-?\s*(\w*)(.*?)-?%\}|\{\{-?(.*?)-?\}\}`)

// quoted matches a string literal in an expression.
var quoted = regexp.MustCompile(`"[^"]*"|'[^']*'`)

// Compile compiles a template. Its errors are worded for the template's author.
func Compile(source string) (*Text, error) {
	if !strings.Contains(source, "{{") && !strings.Contains(source, "{%") {
		return &Text{plain: source}, nil
	}
	for _, m := range tagOrOutput.FindAllStringSubmatch(source, -1) {
		if tag := m[1]; strings.HasPrefix(m[0], "{%") && !slices.Contains(tags, tag) {
			return nil, fmt.Errorf("has the Liquid tag %q, which is not one of %s", tag, strings.Join(tags, ", "))
		}
		for i, part := range strings.Split(quoted.ReplaceAllString(m[2]+m[3], `""`), "|") {
			name, _, _ := strings.Cut(strings.TrimSpace(part), ":")
			if name = strings.TrimSpace(name); i > 0 && !slices.Contains(filters, name) {
				return nil, fmt.Errorf("has the Liquid filter %q, which is not one of %s", name, strings.Join(filters, ", "))
			}
		}
	}
	// The engine takes an opened but never closed {{ or {% for plain text.
	plain := tagOrOutput.ReplaceAllString(source, " ")
	for _, open := range []string{"{{", "{%"} {
		if _, from, ok := strings.Cut(plain, open); ok {
			return nil, fmt.Errorf("has a %s that is not closed, before %.20q", open, from)
		}
	}
	t, err := parse(source)
	if err != nil {
		return nil, errors.New(inWords(err.Error()))
	}
	if name := unknownName(source); name != "" {
		return nil, fmt.Errorf("names %q, which is not known: there are %s; an attribute is profile.%s", name, strings.Join(names, ", "), name)
	}
	return &Text{template: t}, nil
}

// names are the names that templates may use: Render's values.
var names = []string{"profile", "site", "device", "language", "visits"}

// keywords are Liquid's keywords.
var keywords = []string{"and", "or", "contains", "true", "false", "nil", "null", "empty", "blank"}

// token matches a part of an expression: a name, a number or a sign.
var token = regexp.MustCompile(`[\pL\pN_][\pL\pN_-]*|\S`)

// unknownName returns the first name in a template that is not known, such as a misspelt one; empty if all
// are known.
func unknownName(source string) string {
	for _, m := range tagOrOutput.FindAllStringSubmatch(source, -1) {
		before := ""
		for _, t := range token.FindAllString(quoted.ReplaceAllString(m[2]+m[3], `""`), -1) {
			first, _ := utf8.DecodeRuneInString(t)
			isName := (first == '_' || unicode.IsLetter(first)) && before != "." && before != "|" // neither attribute nor filter
			if isName && !slices.Contains(names, t) && !slices.Contains(keywords, t) {
				return t
			}
			before = t
		}
	}
	return ""
}

// attribute matches a profile's attribute in an expression.
var attribute = regexp.MustCompile(`(?:^|[^\pL\pN_.])profile\.([\pL\pN_][\pL\pN_-]*)`)

// Attributes returns the attributes that a template names.
func Attributes(source string) (found []string) {
	for _, m := range tagOrOutput.FindAllStringSubmatch(source, -1) {
		for _, a := range attribute.FindAllStringSubmatch(quoted.ReplaceAllString(m[2]+m[3], `""`), -1) {
			found = append(found, a[1])
		}
	}
	return found
}

// faults maps the engine's messages to plain ones.
var faults = []struct {
	says  *regexp.Regexp
	means string
}{
	{regexp.MustCompile(`unterminated "(\w+)" block`), "has a {%% %[1]s %%} without its {%% end%[1]s %%}"},
	{regexp.MustCompile(`Liquid error: (\w+) not inside`), "has a {%% %s %%} outside of the block that it belongs to"},
	{regexp.MustCompile(`(?s)syntax error in "\s*" in`), "has an empty {{ }} or tag%.0s"},
	{regexp.MustCompile(`(?s)syntax error in "(.*?)" in`), "has %s, which is not valid Liquid"},
}

// inWords explains a fault to the template's author.
func inWords(fault string) string {
	for _, f := range faults {
		m := f.says.FindStringSubmatch(fault)
		if m == nil {
			continue
		}
		what := strings.TrimSpace(strings.ReplaceAll(m[len(m)-1], `\"`, `"`))
		if singleEquals.MatchString(what) {
			return fmt.Sprintf(f.means, what) + ": to compare, write =="
		}
		return fmt.Sprintf(f.means, what)
	}
	return "is not a Liquid template: " + strings.TrimPrefix(fault, "Liquid error: ")
}

// singleEquals matches a = that should be ==.
var singleEquals = regexp.MustCompile(`[^=!<>]=[^=]`)

// parse runs the engine's parser, which may panic on faults.
func parse(source string) (t *liquid.Template, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("a tag is not valid Liquid")
		}
	}()
	t, fault := engine.ParseString(source)
	if fault != nil {
		return nil, fault
	}
	return t, nil
}

// Render fills in the values. A missing value is an empty text.
func (t *Text) Render(values Values) (out string, err error) {
	if t.template == nil {
		return t.plain, nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("filling in a template: %v", r)
		}
	}()
	w := &bounded{}
	if fault := t.template.FRender(w, liquid.Bindings(values)); fault != nil {
		return "", fmt.Errorf("filling in a template: %w", fault)
	}
	return w.b.String(), nil
}

// bounded is a buffer of at most MaxOutput bytes.
type bounded struct{ b bytes.Buffer }

func (w *bounded) Write(p []byte) (int, error) {
	if w.b.Len()+len(p) > MaxOutput {
		return 0, fmt.Errorf("the text is longer than %d bytes", MaxOutput)
	}
	return w.b.Write(p)
}

// Plain prepares values for texts: whole numbers lose their exponent.
func Plain(v any) any { return walk(v, func(s string) string { return s }) }

// Escaped prepares values for HTML, as text and in quoted attributes. It escapes keys too, since browsers
// send them.
func Escaped(v any) any { return walk(v, html.EscapeString) }

func walk(v any, each func(string) string) any {
	switch v := v.(type) {
	case string:
		return each(v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = walk(v[i], each)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[each(k)] = walk(e, each) // an object that is filled in shows its keys
		}
		return out
	}
	return v
}
