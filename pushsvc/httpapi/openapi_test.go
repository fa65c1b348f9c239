package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// apiDocument is the operator API's document, with which tests compare answers.
type apiDocument struct {
	Paths    map[string]map[string]operation `json:"paths"`
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	schemas  map[string]*jsonschema.Schema
}

// operation is a path's operation, by method.
type operation struct {
	OperationID string   `json:"operationId"`
	Tags        []string `json:"tags"`
	Responses   map[string]struct {
		Content map[string]struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

// tagged returns the paths of the visitors' requests, or of the operator's.
func (d *apiDocument) tagged(visitor bool) map[string]map[string]operation {
	paths := map[string]map[string]operation{}
	for path, operations := range d.Paths {
		for method, one := range operations {
			if slices.Equal(one.Tags, []string{"visitor"}) != visitor {
				continue
			}
			if paths[path] == nil {
				paths[path] = map[string]operation{}
			}
			paths[path][method] = one
		}
	}
	return paths
}

const documentURL = "https://webpush.example/openapi.json"

// readDocument reads the document and makes it strict: members that it does not name are faults
// here, though clients must ignore them.
var readDocument = sync.OnceValue(func() *apiDocument {
	d := &apiDocument{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	if err := json.Unmarshal(api.OpenAPI, d); err != nil {
		panic(err)
	}
	all, err := jsonschema.UnmarshalJSON(bytes.NewReader(api.OpenAPI))
	if err != nil {
		panic(err)
	}
	closeObjects(all)
	d.compiler.AssertFormat()
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	if err := d.compiler.AddResource(documentURL, all); err != nil {
		panic(err)
	}
	return d
})

func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, has := v["properties"]; has && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			closeObjects(inner)
		}
	case []any:
		for _, inner := range v {
			closeObjects(inner)
		}
	}
}

// check compares an answer to a request of a route with the document.
func (d *apiDocument) check(path, method string, status int, contentType string, body []byte) error {
	route, known := d.Paths[path][strings.ToLower(method)]
	if !known {
		return fmt.Errorf("the document has no %s %s", method, path)
	}
	response, code := route.Responses[fmt.Sprint(status)], fmt.Sprint(status)
	if _, known := route.Responses[code]; !known {
		if status < 400 {
			return fmt.Errorf("%s does not answer %d", route.OperationID, status)
		}
		code = "default"
		response = route.Responses[code]
	}
	if len(response.Content) == 0 {
		if len(body) > 0 {
			return fmt.Errorf("%s answers %d with a body", route.OperationID, status)
		}
		return nil
	}
	media, _, _ := strings.Cut(contentType, ";")
	content, known := response.Content[media]
	if !known {
		return fmt.Errorf("%s does not answer %d as %q", route.OperationID, status, contentType)
	}
	if len(content.Schema) == 0 {
		return nil
	}
	pointer := "#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" + strings.ToLower(method) +
		"/responses/" + code + "/content/" + strings.ReplaceAll(media, "/", "~1") + "/schema"
	schema, err := d.schema(pointer)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w in %.200s", route.OperationID, err, body)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%s: %w in %.500s", route.OperationID, err, body)
	}
	return nil
}

func (d *apiDocument) schema(pointer string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[pointer]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile(documentURL + pointer)
	d.schemas[pointer] = s
	return s, err
}

// checked is the operator's API as tests use it: each answer is compared with the document.
func checked(t testing.TB, h http.Handler) http.Handler {
	mux := http.NewServeMux() // finds the route of a request
	for path := range readDocument().tagged(false) {
		mux.Handle(path, http.NotFoundHandler())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, path := mux.Handler(r)
		seen := &seenAnswer{ResponseWriter: w}
		h.ServeHTTP(seen, r)
		if path == "" || seen.status == http.StatusMethodNotAllowed {
			return // no route has it
		}
		if err := readDocument().check(path, r.Method, seen.status, w.Header().Get("Content-Type"), seen.body.Bytes()); err != nil {
			t.Errorf("%s %s: the answer does not match the document: %v", r.Method, r.URL.Path, err)
		}
	})
}

// seenAnswer keeps a copy of an answer if it is JSON.
type seenAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// Unwrap is for http.ResponseController.
func (s *seenAnswer) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *seenAnswer) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *seenAnswer) Write(p []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	if strings.Contains(s.Header().Get("Content-Type"), "json") || s.body.Len() == 0 {
		s.body.Write(p)
	}
	return s.ResponseWriter.Write(p)
}

// TestOpenAPI: the document is served, valid, and has the routes that the API answers, no
// more and no fewer.
func TestOpenAPI(t *testing.T) {
	f := newFixture(t)
	a := f.operate("GET", "openapi.json", "")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	var served, have any
	if json.Unmarshal([]byte(a.body), &served) != nil || json.Unmarshal(api.OpenAPI, &have) != nil || fmt.Sprint(served) != fmt.Sprint(have) {
		t.Error("what is served is another document")
	}
	document := readDocument().tagged(false)
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch}
	routes := 0
	for path, described := range document {
		var allowed []string
		for _, method := range methods {
			if _, has := described[strings.ToLower(method)]; has {
				allowed = append(allowed, method)
				routes++
			}
		}
		slices.Sort(allowed)
		url := f.operator.URL + strings.NewReplacer("{site}", siteA, "{id}", "x", "{name}", "x").Replace(path)
		if a := f.do(http.MethodPatch, url, ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != strings.Join(allowed, ", ") {
			t.Errorf("%s: %d allows %q, the document %q", path, a.status, a.header.Get("Allow"), allowed)
		}
	}
	if routes != len(api.Routes) {
		t.Errorf("the document has %d routes, the API %d", routes, len(api.Routes))
	}
	for path, described := range readDocument().Paths {
		for method, route := range described {
			for status, response := range route.Responses {
				for media, content := range response.Content {
					if len(content.Schema) == 0 {
						continue
					}
					pointer := "#/paths/" + strings.NewReplacer("/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" + method +
						"/responses/" + status + "/content/" + strings.ReplaceAll(media, "/", "~1") + "/schema"
					if _, err := readDocument().schema(pointer); err != nil {
						t.Errorf("%s %s: %v", method, path, err)
					}
				}
			}
		}
	}
}

// TestAnswersAreChecked: a difference from the document is found.
func TestAnswersAreChecked(t *testing.T) {
	const list = "/webpush/sites"
	for _, tt := range []struct {
		method, media, body string
		status              int
		good                bool
	}{
		{"GET", "application/json", `{"sites":[]}`, 200, true},
		{"GET", "application/json", `{"sites":[],"more":1}`, 200, false},
		{"GET", "application/json", `{}`, 200, false},
		{"GET", "application/json", `{"sites":null}`, 200, false},
		{"GET", "application/json", `{"sites":[{"site":1,"subscriptions":0,"messages":0,"profiles":0,"configured":true}]}`, 200, false},
		{"GET", "text/html", `{"sites":[]}`, 200, false},
		{"GET", "application/json", `{"sites":[]}`, 201, false},
		{"POST", "application/json", `{"sites":[]}`, 200, false},
		{"GET", "application/problem+json", `{"type":"about:blank","title":"x","status":400}`, 400, true},
		{"GET", "application/problem+json", `{"title":"x"}`, 400, false},
	} {
		if err := readDocument().check(list, tt.method, tt.status, tt.media, []byte(tt.body)); (err == nil) != tt.good {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	found := &failures{TB: t}
	h := checked(found, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"sites":{}}`))
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", list, nil))
	if found.n != 1 {
		t.Errorf("%d faults found, want 1", found.n)
	}
}

// failures counts the errors of a test.
type failures struct {
	testing.TB
	n int
}

func (f *failures) Errorf(string, ...any) { f.n++ }
