package httpapi

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// faultOf says where a body that v could not be made of is at fault, as
// "content.buttons[1].lable", because encoding/json knows no more than "lable".
// Nil where it finds nothing.
func faultOf(body []byte, v any) error {
	var all any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if dec.Decode(&all) != nil {
		return nil
	}
	if path, problem := fault(all, reflect.TypeOf(v), ""); problem != "" && path != "" {
		if problem == unknownField {
			problem += pushsvc.DidYouMean("; ", nearestPath(path, reflect.TypeOf(v)))
		}
		return badField(path, problem)
	}
	return nil
}

// unknownField is the problem of a member that its object does not have.
const unknownField = "is not a field of this request"

// nearestPath is what the path may have been meant to be: a name of its object that is
// spelled much like it, or the same name elsewhere; "" where there is none.
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

// indexes are those of lists in a path.
var indexes = regexp.MustCompile(`\[[0-9]+\]`)

// maxPathDepth bounds paths, for types that hold themselves.
const maxPathDepth = 4

// paths calls f with the path of each member that a value of the type may have, with
// [] for the items of lists.
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

var (
	jsonDecoder = reflect.TypeFor[json.Unmarshaler]()
	textDecoder = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// fault compares a value with the type that is to take it.
func fault(v any, t reflect.Type, path string) (at, problem string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	own := reflect.PointerTo(t)
	if v == nil || t.Kind() == reflect.Interface || own.Implements(jsonDecoder) || own.Implements(textDecoder) {
		return "", ""
	}
	fits := false
	switch v := v.(type) {
	case map[string]any:
		switch t.Kind() {
		case reflect.Struct:
			return faultIn(v, t, path)
		case reflect.Map:
			return each(v, path, func(string) (reflect.Type, bool) { return t.Elem(), true })
		}
	case []any:
		if t.Kind() == reflect.Slice {
			for i, item := range v {
				if at, problem = fault(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); problem != "" {
					return at, problem
				}
			}
			return "", ""
		}
	case string:
		fits = t.Kind() == reflect.String || t == reflect.TypeFor[[]byte]()
	case bool:
		fits = t.Kind() == reflect.Bool
	case json.Number:
		fits = numberFits(v, t)
	}
	if fits {
		return "", ""
	}
	return path, "is not " + jsonKind(t.String())
}

// numberFits says whether a number is one of the type's.
func numberFits(n json.Number, t reflect.Type) bool {
	f, err := n.Float64()
	switch {
	case err != nil:
		return false
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return f == math.Trunc(f)
	}
	return t.Kind() == reflect.Float64
}

// faultIn is fault for the members of an object.
func faultIn(v map[string]any, t reflect.Type, path string) (at, problem string) {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields[strings.ToLower(name)] = f.Type
		}
	}
	return each(v, path, func(name string) (reflect.Type, bool) {
		t, ok := fields[strings.ToLower(name)]
		return t, ok
	})
}

// each is fault for all members, in the order of their names.
func each(v map[string]any, path string, of func(name string) (reflect.Type, bool)) (at, problem string) {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		inner := strings.TrimPrefix(path+"."+name, ".")
		t, ok := of(name)
		if !ok {
			return inner, unknownField
		}
		if at, problem = fault(v[name], t, inner); problem != "" {
			return at, problem
		}
	}
	return "", ""
}
