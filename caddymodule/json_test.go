package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestGivenJSON: JSON with an empty option is refused, and everything that Caddy
// refuses in JSON is still refused.
func TestGivenJSON(t *testing.T) {
	for _, tt := range []struct {
		into       any
		json, want string
	}{
		{new(App), `{"contact":"mailto:ops@example.com","storage":{"module":"bbolt"}}`, ""},
		{new(App), `{"contact":""}`, "contact is empty"},
		{new(App), `{"push_services":[]}`, "push_services is empty"},
		{new(App), `{"push_services":["default",""]}`, "push_services[1] is empty"},
		{new(App), `{"storage":{"module":"bbolt","path":""}}`, "storage.path is empty"},
		{new(App), `{"contacts":"x"}`, "unknown field"},
		{new(BoltStorage), `{}`, ""},
		{new(BoltStorage), `{"path":""}`, "path is empty"},
		{new(BoltStorage), `{"path":null}`, "path is empty"},
		{new(Handler), `{}`, ""},
		{new(Handler), `{"prompt":{},"events":[{"name":"Seen","match":[{"not":[{}]}],"props":{"a":""}}]}`, ""},
		{new(Handler), `{"prompt":{"after":{},"paths":["/a"]}}`, ""},
		{new(Handler), `{"site":""}`, "site is empty"},
		{new(Handler), `{"identity_secret":""}`, "identity_secret is empty"},
		{new(Handler), `{"events":[]}`, "events is empty"},
		{new(Handler), `{"prompt":{"not_paths":[]}}`, "not_paths is empty"},
		{new(Handler), `{"prompt":{"pahts":["/a"]}}`, "unknown field"},
	} {
		err := json.Unmarshal([]byte(tt.json), tt.into)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%T of %s: %v, want %q", tt.into, tt.json, err, tt.want)
		}
	}
}
