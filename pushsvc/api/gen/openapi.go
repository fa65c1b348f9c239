package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// openAPI is the document of the routes (OpenAPI 3.1).
func openAPI(routes []api.Route, d *docs) ([]byte, error) {
	s := &schemas{docs: d, answers: map[reflect.Type]bool{}, all: object{}, types: map[string]reflect.Type{}}
	paths := object{}
	fault := object{
		"description": "What failed",
		"content":     object{"application/problem+json": object{"schema": s.of(reflect.TypeFor[api.Problem]())}},
	}
	// All answers first: what requests have in common with them gets another name.
	answers := make([]object, len(routes))
	for i, r := range routes {
		answers[i] = s.responses(r.Answers)
		answers[i]["default"] = fault
	}
	s.input = true
	for i, r := range routes {
		path, _ := paths[r.Path].(object)
		if path == nil {
			path = object{}
			paths[r.Path] = path
		}
		one := object{"operationId": r.Name, "summary": r.Summary, "responses": answers[i], "tags": []string{tagOf(r.Path)}}
		if p := parameters(r); len(p) > 0 {
			one["parameters"] = p
		}
		if body := s.requestBody(r); body != nil {
			one["requestBody"] = body
		}
		path[strings.ToLower(r.Method)] = one
	}
	document := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "caddy-webpush", "version": "1",
			"description": "The operator's API, on Caddy's admin endpoint. It has no authentication of its own.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":    []object{{"url": "http://localhost:2019"}},
		"paths":      paths,
		"components": object{"schemas": s.all},
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return nil, fmt.Errorf("encoding the document: %w", err)
	}
	return out.Bytes(), nil
}

// tagOf is the subject of a path: what it names below a site, or else first.
func tagOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, api.Base+"/"), "/")
	if len(parts) > 2 && parts[0] == "sites" {
		return parts[2]
	}
	return strings.TrimSuffix(parts[0], ".json")
}

var braces = regexp.MustCompile(`\{([a-z]+)\}`)

func parameters(r api.Route) (all []object) {
	for _, name := range braces.FindAllStringSubmatch(r.Path, -1) {
		all = append(all, object{"name": name[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range r.Query {
		all = append(all, parameter("query", p))
	}
	for _, p := range r.Header {
		if p.Name != "Accept" { // which OpenAPI says by the answers
			all = append(all, parameter("header", p))
		}
	}
	return all
}

func parameter(in string, p api.Parameter) object {
	return object{"name": p.Name, "in": in, "description": p.Text, "schema": object{"type": p.Kind}}
}

func (s *schemas) requestBody(r api.Route) object {
	content := object{}
	if r.Body != nil {
		content["application/json"] = object{"schema": s.of(reflect.TypeOf(r.Body))}
	}
	for _, media := range r.Media {
		content[media] = object{}
	}
	if len(content) == 0 {
		return nil
	}
	return object{"required": true, "content": content}
}

func (s *schemas) responses(answers []api.Answer) object {
	all := object{}
	for _, a := range answers {
		one := object{"description": http.StatusText(a.Status)}
		content := object{}
		if a.Body != nil {
			content["application/json"] = object{"schema": s.of(reflect.TypeOf(a.Body))}
		}
		for _, media := range a.Media {
			content[media] = object{}
		}
		if len(content) > 0 {
			one["content"] = content
		}
		all[strconv.Itoa(a.Status)] = one
	}
	return all
}
