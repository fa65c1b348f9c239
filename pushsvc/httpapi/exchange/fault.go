package exchange

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// The problems of members that their object may not have.
const (
	unknownField = "is not a field of this request"
	NamedTwice   = "is there twice: an object has each name once"
)

// JSONProblem names the member at fault, as "content.buttons[1].lable", in a body that could not be
// decoded into v; err is the decoder's error.
func JSONProblem(body []byte, v any, err error) error {
	var field *pushsvc.FieldError
	var syntax *jsontext.SyntacticError
	var kind *json.SemanticError
	switch {
	case errors.As(err, &field):
		return field
	case len(bytes.TrimSpace(body)) == 0:
		return api.NewProblem(http.StatusBadRequest, "the body is empty: JSON is missing")
	case errors.As(err, &syntax) && errors.Is(err, jsontext.ErrDuplicateName):
		return api.FieldProblem(fieldPath(syntax.JSONPointer), NamedTwice)
	case errors.As(err, &syntax):
		return api.NewProblem(http.StatusBadRequest, "the body is not JSON: "+syntax.Err.Error()+position(body, syntax.ByteOffset))
	case !errors.As(err, &kind):
		return api.NewProblem(http.StatusBadRequest, "the body is not JSON: "+err.Error())
	}
	path := fieldPath(kind.JSONPointer)
	switch {
	case path == "":
		return api.NewProblem(http.StatusBadRequest, "the body is not a JSON object")
	case errors.Is(err, json.ErrUnknownName):
		return api.FieldProblem(path, unknownField+pushsvc.DidYouMean("; ", nearestPath(path, reflect.TypeOf(v))))
	}
	return api.FieldProblem(path, "is not "+jsonKind(kind.GoType))
}

// position describes where in a text the byte is: " in line 2, column 7".
func position(text []byte, offset int64) string {
	before := text[:min(max(offset, 0), int64(len(text)))]
	return fmt.Sprintf(" in line %d, column %d", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'))
}

// fieldPath returns a JSON pointer (RFC 6901) as a field's path: "/actions/1/title" is
// "actions[1].title".
func fieldPath(pointer jsontext.Pointer) string {
	var path strings.Builder
	for token := range pointer.Tokens() {
		switch {
		case isIndex.MatchString(token):
			fmt.Fprintf(&path, "[%s]", token)
		case path.Len() > 0:
			path.WriteString("." + token)
		default:
			path.WriteString(token)
		}
	}
	return path.String()
}

var isIndex = regexp.MustCompile(`^[0-9]+$`)

// nearestPath returns the path that may have been meant: a name of the same object with a similar
// spelling, or the same name elsewhere; "" if no name is similar.
func nearestPath(path string, t reflect.Type) string {
	object, name := "", path
	if dot := strings.LastIndexByte(path, '.'); dot >= 0 {
		object, name = path[:dot+1], path[dot+1:]
	}
	var near, far []string
	paths(t, "", 0, func(known string) {
		dot := strings.LastIndexByte(known, '.')
		if known[:dot+1] == indexes.ReplaceAllString(object, "[]") {
			near = append(near, known[dot+1:])
		}
		if strings.EqualFold(known[dot+1:], name) {
			far = append(far, known)
		}
	})
	if best := pushsvc.Nearest(name, near); best != "" {
		return object + best
	}
	if len(far) > 0 {
		return slices.MinFunc(far, func(a, b string) int { return len(a) - len(b) })
	}
	return ""
}

// indexes matches the indexes of lists in a path.
var indexes = regexp.MustCompile(`\[[0-9]+\]`)

// maxPathDepth bounds paths, for types that contain themselves.
const maxPathDepth = 4

// paths calls f with the path of each member that a value of the type may have, with [] for the
// items of lists.
func paths(t reflect.Type, path string, depth int, f func(string)) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case depth > maxPathDepth:
	case t.Kind() == reflect.Slice:
		paths(t.Elem(), path+"[]", depth, f)
	case t.Kind() == reflect.Struct:
		for _, field := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" || name == "-" {
				continue
			}
			inner := strings.TrimPrefix(path+"."+name, ".")
			f(inner)
			paths(field.Type, inner, depth+1, f)
		}
	}
}

var textDecoder = reflect.TypeFor[encoding.TextUnmarshaler]()

// jsonKind returns JSON's name for the values of a Go type.
func jsonKind(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch kind := t.Kind(); {
	case kind == reflect.String, reflect.PointerTo(t).Implements(textDecoder), t == reflect.TypeFor[[]byte]():
		return "a string"
	case kind == reflect.Bool:
		return "true or false"
	case kind >= reflect.Int && kind <= reflect.Float64:
		return "a number of the right range"
	case kind == reflect.Slice, kind == reflect.Array:
		return "a list"
	}
	return "an object"
}
