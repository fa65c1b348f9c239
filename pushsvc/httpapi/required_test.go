package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// requests has valid bodies of operations. Every member that the document requires is in
// one of them.
var requests = []struct{ operation, body string }{
	{"send", `{"site":"a.example","title":"T","body":"B","actions":[{"action":"a","title":"A","icon":"/a.png"}]}`},
	{"sendToSite", `{"title":"T","body":"B","actions":[{"action":"a","title":"A","url":"/a"}]}`},
	{"putPopup", `{"state":"running","name":"N","kind":"custom","content":{"title":"T","body":"B",
		"buttons":[{"id":"b","text":"B","action":{"do":"open","url":"/","newTab":true}}],
		"input":{"kind":"email","label":"L","event":"E","submit":"S"}},
		"variants":[{"id":"v","weight":1,"content":{"title":"V"}},{"id":"w","weight":1}],"conversion":{"event":"E","within":"7d"}}`},
	{"subscribe", `{"endpoint":"https://fcm.googleapis.com/fcm/send/r","expirationTime":null,"keys":{"p256dh":"$p256dh","auth":"$auth"},"language":"en","topics":["news"]}`},
	{"unsubscribe", `{"endpoint":"https://fcm.googleapis.com/fcm/send/r","keys":{"auth":"$auth"}}`},
	{"reportEvents", `{"batch":"AAAAAAAAAAAAAAAAAAAAAA","events":[{"type":"event","name":"E"}]}`},
	{"askForPopups", `{"page":{"path":"/"},"device":"desktop","language":"en"}`},
	{"setPopupState", `{"state":"paused"}`},
	{"previewPopup", `{"page":"/p","variant":"v"}`},
	{"setPopupSettings", `{"popupsPerSession":2,"popupsPerDay":3,"holdout":4}`},
	{"setPrompt", `{"kind":"bar","title":"T","topics":[{"id":"news","label":"News","checked":true}],"after":{"pages":3,"delay":"30s"}}`},
	{"searchProfiles", `{"identity":"identity:x"}`},
	{"eraseIdentity", `{"identity":"identity:x"}`},
	{"purgeProfiles", `{"where":"visits > 1000","dryRun":true}`},
	{"renameSite", `{"into":"other.example","dryRun":true}`},
	{"mergeSite", `{"into":"b.example","dryRun":true}`},
}

// conditional are members that only some bodies require, and why.
var conditional = map[string]string{
	"send site":                              "POST to a site's messages has it in the path",
	"putPopup content.buttons[0].action.url": `"open" needs it`,
	"putPopup content.buttons[0].action.do":  "url is for \"open\" alone",
	"renameSite dryRun":                      "it would rename the site of the next requests",
	"mergeSite dryRun":                       "it would merge it",
	"reportEvents batch":                     "entries of a page are in a batch; reports of a worker are not",
}

// without returns the JSON value without one of its members, for each member of each
// object in it, by path such as "actions[0].title".
func without(t *testing.T, text string) map[string]string {
	all := map[string]string{}
	var root any
	if err := json.Unmarshal([]byte(text), &root); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				value, at := v[name], strings.TrimPrefix(path+"."+name, ".")
				delete(v, name)
				incomplete, err := json.Marshal(root)
				if err != nil {
					t.Fatal(err)
				}
				all[at], v[name] = string(incomplete), value
				walk(at, value)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), inner)
			}
		}
	}
	walk("", root)
	return all
}

// requiredBy returns the paths of the members that a schema requires of the value.
func requiredBy(schemas map[string]any, schema map[string]any, path string, v any) []string {
	if ref, is := schema["$ref"].(string); is {
		schema, _ = schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
	}
	var all []string
	switch v := v.(type) {
	case map[string]any:
		required, _ := schema["required"].([]any)
		for _, name := range required {
			all = append(all, strings.TrimPrefix(fmt.Sprint(path, ".", name), "."))
		}
		properties, _ := schema["properties"].(map[string]any)
		for name, inner := range v {
			if s, has := properties[name].(map[string]any); has {
				all = append(all, requiredBy(schemas, s, strings.TrimPrefix(path+"."+name, "."), inner)...)
			}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, inner := range v {
			all = append(all, requiredBy(schemas, items, fmt.Sprintf("%s[%d]", path, i), inner)...)
		}
	}
	return all
}

// TestRequired: the server refuses a request without a member where the document requires
// the member, and takes it elsewhere.
func TestRequired(t *testing.T) {
	f := newFixture(t)
	f.subscribe(siteA, 1)
	f.subscribe(siteB, 2)
	f.putPopup(siteA, "x", `,"variants":[{"id":"v","weight":1}]`)
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			RequestBody struct {
				Content map[string]struct {
					Schema map[string]any `json:"schema"`
				} `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(api.OpenAPI, &document); err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	who := newBrowser(t, 3)
	for _, in := range requests {
		in.body = strings.NewReplacer("$p256dh", who.p256dh, "$auth", who.auth).Replace(in.body)
		for path, methods := range document.Paths {
			for method, operation := range methods {
				if operation.OperationID != in.operation {
					continue
				}
				tested[in.operation] = true
				url := strings.NewReplacer("/webpush/", "", "{site}", siteA, "{id}", "x").Replace(path)
				send := func(body string) answer { return f.operate(strings.ToUpper(method), url, body) }
				if action, visitors := strings.CutPrefix(path, httpapi.DefaultPrefix+"/"); visitors {
					send = func(body string) answer { return f.post(siteA, action, body) }
				}
				if a := send(in.body); a.status >= http.StatusMultipleChoices {
					t.Errorf("%s: %d %s", in.operation, a.status, a.body)
					continue
				}
				var value any
				_ = json.Unmarshal([]byte(in.body), &value)
				required := requiredBy(document.Components.Schemas, operation.RequestBody.Content["application/json"].Schema, "", value)
				for member, body := range without(t, in.body) {
					if conditional[in.operation+" "+member] != "" {
						continue
					}
					a := send(body)
					if refused := a.status == http.StatusBadRequest; refused != slices.Contains(required, member) || !refused && a.status >= http.StatusMultipleChoices {
						t.Errorf("%s without %s: %d %s; the document requires %q", in.operation, member, a.status, a.body, required)
					}
				}
			}
		}
	}
	for path, methods := range document.Paths {
		for method, operation := range methods {
			body := operation.RequestBody.Content["application/json"].Schema
			if id := operation.OperationID; body != nil && !tested[id] && id != "importKey" && id != "createPopup" {
				t.Errorf("%s %s: no request is tested", method, path)
			}
		}
	}
}
