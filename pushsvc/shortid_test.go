package pushsvc_test

import (
	"slices"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func TestShortID(t *testing.T) {
	ids := []string{"019f8b7c-2f3e-7d41-9a55-0c1d2e3f4a5b", "019f8b7c-2f3e-7d41-9a55-0c1d2e3f4a5c", "019f8b7d-0000-7000-8000-000000004a5b", "sale", "sale-2"}
	for given, want := range map[string][]string{
		ids[0]:             ids[:1],
		"2e3f4a5b":         ids[:1],
		"4a5c":             ids[1:2],
		"4a5b":             {ids[0], ids[2]},
		"019f8b7d":         ids[2:3],
		"019f8b7c":         ids[:2],
		"sale":             {"sale"},
		"sale-":            {"sale-2"},
		"a5b":              nil,
		"":                 nil,
		"7d41":             nil,
		ids[0] + "/cancel": nil,
	} {
		if got := pushsvc.ShortID(given, ids); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}
