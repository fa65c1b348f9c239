package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// visitor is the tag of the requests of visitors' browsers.
const visitor = "visitor"

// onSite is where visitors' requests go.
var onSite = []object{{"url": "https://{site}", "variables": object{"site": object{"default": "shop.example.com"}}}}

// openAPI is the document of the operator's routes and of the visitors' (OpenAPI 3.1).
func openAPI(operators, visitors []api.Route, d *docs) ([]byte, error) {
	routes := slices.Concat(operators, visitors)
	s := &schemas{docs: d, answers: map[reflect.Type]bool{}, all: object{}, types: map[string]reflect.Type{}}
	paths := object{}
	fault := object{
		"description": "What failed",
		"content":     object{"application/problem+json": object{"schema": s.schemaOf(reflect.TypeFor[api.Problem]())}},
	}
	// All answers first: a type that requests use too gets another name there.
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
		operation := object{"operationId": r.Name, "summary": r.Summary, "responses": answers[i], "tags": []string{tagOf(r.Path)}}
		if i >= len(operators) {
			operation["tags"], operation["servers"] = []string{visitor}, onSite
		}
		if p := parameters(r); len(p) > 0 {
			operation["parameters"] = p
		}
		if body := s.requestBody(r); body != nil {
			operation["requestBody"] = body
		}
		path[strings.ToLower(r.Method)] = operation
	}
	document := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "caddy-webpush", "version": "1",
			"description": "The operator's API, on Caddy's admin endpoint, which has no authentication of its own. " +
				"With the tag \"visitor\": what browsers ask of a site's own origin, at the default paths.",
			"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers": []object{{"url": "http://localhost:2019"}},
		"tags": []object{{
			"name": visitor, "description": "For the scripts of webpush on the site's own pages; other origins are refused. " +
				"A site can set another prefix, and other paths of the worker and the manifest.",
		}},
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

// tagOf returns the subject of a path: the name below a site, or else the first name.
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
	switch body := r.Body.(type) {
	case nil:
	case api.AnyOf:
		all := make([]object, len(body))
		for i, one := range body {
			all[i] = s.schemaOf(reflect.TypeOf(one))
		}
		content["application/json"] = object{"schema": object{"anyOf": all}}
	default:
		content["application/json"] = object{"schema": s.schemaOf(reflect.TypeOf(body))}
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
		response := object{"description": http.StatusText(a.Status)}
		content := object{}
		if a.Body != nil {
			content["application/json"] = object{"schema": s.schemaOf(reflect.TypeOf(a.Body))}
		}
		for _, media := range a.Media {
			content[media] = object{}
		}
		if len(content) > 0 {
			response["content"] = content
		}
		all[strconv.Itoa(a.Status)] = response
	}
	return all
}
