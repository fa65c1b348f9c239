package cli

import (
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// TestPrintPopupStats: what was clicked and what failed is on the terminal as well.
func TestPrintPopupStats(t *testing.T) {
	stats := api.PopupStats{Variants: []api.PopupResult{
		{Variant: "a", Viewed: 10, Clicked: 4, Elements: map[string]int64{"close": 1, "pay\x1b[31m": 3}},
		{Variant: "", Viewed: 2, Errors: 7},
	}}
	var out strings.Builder
	if err := printPopupStats(&out, stats, false, false); err != nil {
		t.Fatal(err)
	}
	want := "VARIANT  ELEMENT   CLICKED\na        pay·[31m  3\na        close     1\n– failed in visitors' browsers 7 times.\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("%s\nwant the end\n%s", out.String(), want)
	}
	out.Reset()
	if err := printPopupStats(&out, api.PopupStats{Variants: []api.PopupResult{{Variant: "a", Viewed: 1}}}, false, false); err != nil || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%v, nothing was clicked:\n%s", err, out.String())
	}
	unseen := api.PopupStats{Variants: []api.PopupResult{{Variant: "a"}, {Variant: "control", Viewed: 3}}}
	for bounded, last := range map[bool]string{false: "No visitor has seen it yet.\n", true: "No visitor has seen it in this time.\n"} {
		out.Reset()
		if err := printPopupStats(&out, unseen, false, bounded); err != nil || strings.Count(out.String(), "\n") != 4 || !strings.HasSuffix(out.String(), last) {
			t.Errorf("%v, without a view:\n%s", err, out.String())
		}
	}
}
