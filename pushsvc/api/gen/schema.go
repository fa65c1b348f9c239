package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// object is a JSON object; its members are written in the order of their names.
type object map[string]any

// schemas are the components of a document, made of types as they are met.
type schemas struct {
	docs *docs
	// input is true for what the server reads: only what has to be there is required.
	input bool
	// answers are the types that answers have, whose names are taken.
	answers map[reflect.Type]bool
	all     object
	types   map[string]reflect.Type
}

// member is a field as JSON has it.
type member struct {
	name     string
	doc      string
	optional bool // left out where it is empty
	required bool // of requests
	typ      reflect.Type
}

// members are a struct's, with those of embedded ones.
func (d *docs) members(t reflect.Type) (all []member) {
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		owner := t
		if len(f.Index) > 1 {
			owner = t.FieldByIndex(f.Index[:len(f.Index)-1]).Type
		}
		for owner.Kind() == reflect.Pointer {
			owner = owner.Elem()
		}
		options = "," + options + ","
		all = append(all, member{
			name: name, doc: d.of(owner).fields[owner.Name()][f.Name], typ: f.Type,
			optional: strings.Contains(options, ",omitempty,") || strings.Contains(options, ",omitzero,"),
			required: f.Tag.Get("api") == "required",
		})
	}
	return all
}

var (
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
)

// of returns the schema of a type: a reference to a component for a struct that has a
// name.
func (s *schemas) of(t reflect.Type) object {
	switch {
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Interface:
		return object{}
	case t.Implements(jsonMarshaler):
		return s.ofTimes(t)
	case t.Implements(textMarshaler):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return s.ofText(t)
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Struct:
		return s.ofStruct(t)
	}
	panic(fmt.Sprintf("%s has no schema", t))
}

// ofTimes is for the types that write themselves, which are durations.
func (s *schemas) ofTimes(t reflect.Type) object {
	one := object{"type": "string", "examples": []string{"30s", "12h", "7d"}}
	if t.Kind() != reflect.Slice {
		return one
	}
	list := object{"type": "array", "items": one}
	if s.input {
		return object{"anyOf": []object{one, list}}
	}
	return list
}

func (s *schemas) ofText(t reflect.Type) object {
	text := object{"type": "string"}
	if values := s.docs.of(t).values[t.Name()]; len(values) > 0 {
		text["enum"] = values
	}
	return text
}

func (s *schemas) ofStruct(t reflect.Type) object {
	if t.Name() == "" {
		return s.properties(t)
	}
	name := componentName(t)
	if s.input && s.answers[t] {
		name += "Request"
	}
	if other := s.types[name]; other != nil && other != t {
		panic(fmt.Sprintf("%s and %s have one name", t, other))
	}
	if s.types[name] == nil {
		s.types[name] = t
		if !s.input {
			s.answers[t] = true
		}
		s.all[name] = nil // for a type that holds itself
		one := s.properties(t)
		if doc := s.docs.of(t).types[t.Name()]; doc != "" {
			one["description"] = doc
		}
		s.all[name] = one
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (s *schemas) properties(t reflect.Type) object {
	all, required := object{}, []string{}
	for _, m := range s.docs.members(t) {
		one := s.of(m.typ)
		if m.doc != "" {
			one["description"] = m.doc
		}
		all[m.name] = one
		if s.input && m.required || !s.input && !m.optional {
			required = append(required, m.name)
		}
	}
	out := object{"type": "object", "properties": all}
	if len(required) > 0 {
		slices.Sort(required)
		out["required"] = required
	}
	return out
}

// componentName is the type's name, with its subject where the package has one.
func componentName(t reflect.Type) string {
	name := t.Name()
	for _, subject := range []string{"Popup", "Prompt"} {
		if strings.HasSuffix(t.PkgPath(), "/"+strings.ToLower(subject)) && !strings.HasPrefix(name, subject) {
			return subject + name
		}
	}
	return name
}
