package audience

import (
	"fmt"
	"regexp"
	"strings"
)

// syntax maps messages of CEL's parser to plain ones; %s is the pattern's first group.
var syntax = []struct {
	says  *regexp.Regexp
	means string
}{
	{regexp.MustCompile(`(?:mismatched|extraneous) input '<EOF>'|no viable alternative at input '.*<EOF>'`), "ends too early: something is missing here, such as a value or a closing bracket"},
	{regexp.MustCompile(`missing '(.+?)' at`), "%s is missing here"},
	{regexp.MustCompile(`token recognition error at: '=`), "a single = is not an operator: to compare, write =="},
	{regexp.MustCompile(`token recognition error at: '([&|])`), `a single %[1]s is not an operator: write %[1]s%[1]s`},
	{regexp.MustCompile(`token recognition error at: '([“”„‘’«»])`), `%s is not a CEL quotation mark: put text between two " or two '`},
	{regexp.MustCompile(`(?s)token recognition error at: '["'\x60]`), `the text that begins here does not end, or contains an escape with \ that CEL does not know`},
	{regexp.MustCompile(`(?:mismatched|extraneous) input 'and'`), "and is written &&"},
	{regexp.MustCompile(`(?:mismatched|extraneous) input 'or'`), "or is written ||"},
	{regexp.MustCompile(`(?s)token recognition error at: '(.+?)'$`), "CEL has no %s"},
	{regexp.MustCompile(`(?s)(?:mismatched|extraneous) input '(.+?)' expecting`), "%s can't stand here"},
	{regexp.MustCompile(`(?s)no viable alternative at input '(.+?)'$`), "%s can't be read as an expression"},
	{regexp.MustCompile(`recursion limit exceeded`), fmt.Sprintf("nests deeper than %d levels", maxDepth)},
}

// overload matches CEL's message about operands that don't fit.
var overload = regexp.MustCompile(`^found no matching overload for '([^']+)' applied to '(?:([^'.]*)\.)?\(([^']*)\)'`)

// inWords turns a message of CEL's into plain words.
func inWords(message string) string {
	for _, s := range syntax {
		m := s.says.FindStringSubmatch(message)
		switch {
		case m == nil:
		case len(m) > 1:
			return fmt.Sprintf(s.means, m[1])
		default:
			return s.means
		}
	}
	m := overload.FindStringSubmatch(message)
	if m == nil {
		return strings.TrimPrefix(message, "Syntax error: ")
	}
	var operands []string
	if m[2] != "" {
		operands = append(operands, kind(m[2]))
	}
	if m[3] != "" {
		for _, t := range strings.Split(m[3], ", ") {
			operands = append(operands, kind(t))
		}
	}
	name := strings.Trim(m[1], "_")
	if name == m[1] {
		return fmt.Sprintf("%s() does not go with %s", name, strings.Join(operands, " and "))
	}
	return fmt.Sprintf("%s does not go with %s", strings.Trim(name, "@"), strings.Join(operands, " and "))
}

// kinds are CEL's types in plain words.
var kinds = map[string]string{
	"int": "a number", "uint": "a number", "double": "a number", "string": "a text", "bool": "true or false",
	"timestamp": "a time", "duration": "a span of time", "null_type": "null", "google.protobuf.Timestamp": "a time",
	"google.protobuf.Duration": "a span of time", "audience.Event": "an event as a whole",
}

func kind(t string) string {
	if word := kinds[t]; word != "" {
		return word
	}
	if name, _, generic := strings.Cut(t, "("); generic {
		return "a " + name
	}
	return t
}
