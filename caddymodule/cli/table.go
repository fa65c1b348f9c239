package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// table writes rows below the names of the columns, or without names if columns is nil.
// All cells go through cell, so that the data's control characters cannot reach the terminal.
func table(w io.Writer, columns []string, rows [][]any) error {
	return align(w, 0, columns, rows)
}

// numbers is table with all cells aligned right.
func numbers(w io.Writer, columns []string, rows [][]any) error {
	return align(w, tabwriter.AlignRight, columns, rows)
}

func align(w io.Writer, flags uint, columns []string, rows [][]any) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', flags)
	end := "\n"
	if flags&tabwriter.AlignRight != 0 {
		end = "\t\n" // a cell that no tab ends is not aligned
	}
	line := func(cells []string) { fmt.Fprint(t, strings.Join(cells, "\t"), end) }
	if columns != nil {
		cells := make([]string, len(columns))
		for i, name := range columns {
			cells[i] = printable(name)
		}
		line(cells)
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = cell(v)
		}
		line(cells)
	}
	return t.Flush()
}

// cell is one value in a table.
func cell(v any) string {
	if t, ok := v.(time.Time); ok {
		return localTime(t)
	}
	return printable(fmt.Sprint(v))
}

// count is a row of a table: a name and its number.
type count struct {
	name string
	n    int64
}

// rowsOf are the rows of counts.
func rowsOf(counts ...count) (rows [][]any) {
	for _, c := range counts {
		rows = append(rows, []any{c.name, c.n})
	}
	return rows
}

// localTime formats times for tables: in this machine's time zone, with its name.
func localTime(t time.Time) string {
	if t.IsZero() {
		return orNone("")
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// localHour is localTime of an hour, in a table that counts by hours.
func localHour(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// when formats a time, and its distance from now.
func when(t, now time.Time) string { return localTime(t) + ", " + relative(t, now) }

// orNone returns the text for a table, or a mark if it is empty.
func orNone(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// relative formats a time's distance from now, such as "5m ago" or "in 3d".
func relative(t, now time.Time) string {
	d, say := now.Sub(t), func(n time.Duration, unit string) string { return fmt.Sprintf("%d%s ago", n, unit) }
	if d < 0 {
		d, say = -d, func(n time.Duration, unit string) string { return fmt.Sprintf("in %d%s", n, unit) }
	}
	const day = 24 * time.Hour
	switch d = d.Round(time.Second); {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		return say(d/time.Second, "s")
	case d < 2*time.Hour:
		return say(d/time.Minute, "m")
	case d < 2*day:
		return say(d/time.Hour, "h")
	}
	return say(d/day, "d")
}

// plural is "1 subscriber", "2 subscribers".
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// printable removes control characters, so that no text controls the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '·'
		}
		return r
	}, s)
}

func pluralIs(n int64, what string) string {
	if n == 1 {
		return plural(n, what) + " is"
	}
	return plural(n, what) + " are"
}

// megabytes is a size for people.
func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f kB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}

// share is a part of a whole in per cent.
func share(part, whole int64) string {
	if whole == 0 {
		return orNone("")
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(whole))
}
