package caddymodule_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webpush/caddy-webpush/caddymodule"
)

// TestAskAgainJSON: a single duration need not be in a list.
func TestAskAgainJSON(t *testing.T) {
	day := caddy.Duration(24 * time.Hour)
	for text, want := range map[string]caddymodule.AskAgain{
		`"1d"`: {day}, `86400000000000`: {day}, `["1d"]`: {day}, `["1d", "2d"]`: {day, 2 * day},
		`"soon"`: nil, `["1d", "soon"]`: nil, `{}`: nil,
	} {
		var got caddymodule.AskAgain
		err := json.Unmarshal([]byte(text), &got)
		if (err != nil) != (want == nil) || err == nil && len(got) != len(want) {
			t.Errorf("%s returns %v, %v", text, got, err)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s returns %v", text, got)
			}
		}
	}
}
