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
	// values are all that a string may be; nil for any.
	values []string
	// typeScript is the type in TypeScript if Go's says less.
	typeScript string
	// kinds has the kinds of a union that have the member: true where it is required.
	// "*" is all kinds.
	kinds map[string]bool
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
		m := member{
			name: name, doc: memberDoc(d.packageOf(owner).fields[owner.Name()][f.Name], f.Name, name), typ: f.Type,
			optional:   strings.Contains(options, ",omitempty,") || strings.Contains(options, ",omitzero,"),
			typeScript: f.Tag.Get("ts"),
		}
		m.readTag(f.Tag.Get("api"))
		all = append(all, m)
	}
	return all
}

// memberDoc is a field's doc comment. Where it begins with the field's name, it has the
// member's in its place.
func memberDoc(doc, field, name string) string {
	if text, ok := strings.CutPrefix(doc, field+" "); ok {
		return name + " " + text
	}
	return doc
}

// readTag reads a field's api tag, whose parts stand between commas: "required";
// "oneof=a|b" for the values of a string, or of the strings of a list; "of=a|b!" for the
// kinds of a union that have the field, with "!" where they require it.
func (m *member) readTag(tag string) {
	for part := range strings.SplitSeq(tag, ",") {
		name, list, _ := strings.Cut(part, "=")
		switch name {
		case "":
		case "required":
			m.required = true
		case "oneof":
			m.values = strings.Split(list, "|")
		case "of":
			m.kinds = map[string]bool{}
			for kind := range strings.SplitSeq(list, "|") {
				kind, required := strings.CutSuffix(kind, "!")
				m.kinds[kind] = required
			}
		default:
			panic(fmt.Sprintf("the field %s has the unknown tag %q", m.name, part))
		}
	}
}

var (
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
)

// packageOf returns the schema of a type: a reference to a component for a struct that has a
// name.
func (s *schemas) schemaOf(t reflect.Type) object {
	switch {
	case t.Kind() == reflect.Pointer:
		return s.schemaOf(t.Elem())
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Interface:
		return object{}
	case t.Implements(jsonMarshaler):
		return s.timesSchema(t)
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
		return object{"type": "object", "additionalProperties": s.schemaOf(t.Elem())}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": s.schemaOf(t.Elem())}
	case reflect.Struct:
		return s.ofStruct(t)
	}
	panic(fmt.Sprintf("%s has no schema", t))
}

// timesSchema is for the types that write themselves, which are durations.
func (s *schemas) timesSchema(t reflect.Type) object {
	schema := object{"type": "string", "examples": []string{"30s", "12h", "7d"}}
	if t.Kind() != reflect.Slice {
		return schema
	}
	list := object{"type": "array", "items": schema}
	if s.input {
		return object{"anyOf": []object{schema, list}}
	}
	return list
}

func (s *schemas) ofText(t reflect.Type) object {
	text := object{"type": "string"}
	if values := s.docs.packageOf(t).values[t.Name()]; len(values) > 0 {
		text["enum"] = values
	}
	return text
}

func (s *schemas) ofStruct(t reflect.Type) object {
	if t.Name() == "" {
		return s.properties(s.docs.members(t))
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
		s.all[name] = nil // for a type that contains itself
		schema := s.union(t)
		if schema == nil {
			schema = s.properties(s.docs.members(t))
		}
		if doc := s.docs.packageOf(t).types[t.Name()]; doc != "" {
			schema["description"] = doc
		}
		s.all[name] = schema
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// union is the schema of a union; nil for a struct that is not one.
func (s *schemas) union(t reflect.Type) object {
	var all []object
	for _, v := range s.docs.variants(t) {
		variant := s.properties(v.members)
		variant["properties"].(object)["type"] = object{"const": v.kind}
		required, _ := variant["required"].([]string)
		variant["required"] = append([]string{"type"}, required...)
		all = append(all, variant)
	}
	if all == nil {
		return nil
	}
	return object{"oneOf": all}
}

func (s *schemas) properties(members []member) object {
	all, required := object{}, []string{}
	for _, m := range members {
		property := s.memberSchema(m)
		if m.doc != "" {
			property["description"] = m.doc
		}
		all[m.name] = property
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

// memberSchema is the schema of a member.
func (s *schemas) memberSchema(m member) object {
	schema := s.schemaOf(m.typ)
	switch {
	case m.values == nil:
	case m.typ.Kind() == reflect.Slice:
		schema["items"] = object{"type": "string", "enum": m.values}
	default:
		schema["enum"] = m.values
	}
	if m.typ.Kind() == reflect.Pointer && !m.optional {
		return object{"anyOf": []object{schema, {"type": "null"}}}
	}
	return schema
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
