package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// parseBound reads the time of a flag that limits the counted time; zero if it is empty.
func parseBound(flag, text string) (time.Time, error) {
	at, err := parseTime(text, time.Now())
	if err != nil {
		return at, fmt.Errorf("--%s: %q is no time such as \"2026-12-01 09:00\"", flag, text)
	}
	return at, nil
}

// printPopupStats prints the counts. bounded is true if they are of a part of the time.
func printPopupStats(w io.Writer, stats api.PopupStats, hours, bounded bool) error {
	var rows [][]any
	row := func(first string, r api.PopupResult) {
		rows = append(rows, []any{
			first, r.Viewed, r.Clicked, share(r.Clicked, r.Viewed), r.Closed, r.Submitted, r.Converted, share(r.Converted, r.Viewed),
		})
	}
	for _, r := range stats.Variants {
		row(variantName(r.Variant), r)
	}
	if hours {
		for _, h := range stats.Hours {
			for _, r := range h.Variants {
				row(localHour(h.Hour)+" "+variantName(r.Variant), r)
			}
		}
	}
	seen := slices.ContainsFunc(stats.Variants, func(r api.PopupResult) bool { return r.Variant != popup.Control && r.Viewed > 0 })
	if err := numbers(w, []string{"VARIANT", "VIEWED", "CLICKED", "", "CLOSED", "SUBMITTED", "CONVERTED", ""}, rows); err != nil {
		return err
	}
	if err := printPopupParts(w, stats); err != nil || seen {
		return err
	}
	text := "No visitor has seen it yet."
	if bounded {
		text = "No visitor has seen it in this time."
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// printPopupParts prints the clicks by element, and the failures.
func printPopupParts(w io.Writer, stats api.PopupStats) error {
	var rows [][]any
	for _, r := range stats.Variants {
		names := slices.SortedFunc(maps.Keys(r.Elements), func(a, b string) int {
			return cmp.Or(cmp.Compare(r.Elements[b], r.Elements[a]), cmp.Compare(a, b))
		})
		for _, name := range names {
			rows = append(rows, []any{variantName(r.Variant), name, r.Elements[name]})
		}
	}
	if len(rows) > 0 {
		if err := table(w, []string{"VARIANT", "ELEMENT", "CLICKED"}, rows); err != nil {
			return err
		}
	}
	for _, r := range stats.Variants {
		if r.Errors > 0 {
			fmt.Fprintf(w, "%s failed in visitors' browsers %s.\n", variantName(r.Variant), plural(r.Errors, "time"))
		}
	}
	return nil
}

func variantName(v string) string {
	if v == popup.Base {
		return orNone("")
	}
	return printable(v)
}
