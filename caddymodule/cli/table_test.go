package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// TestTable: columns line up, numbers at the right where they are asked for, times are
// local ones, and no cell steers the terminal or breaks the table.
func TestTable(t *testing.T) {
	var b strings.Builder
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.Local)
	if err := table(&b, []string{"ID", "WHEN", "NAME"}, [][]any{
		{"long-id", at, "a\tb\n\x1b[31m"},
		{1, time.Time{}, ""},
		{pushsvc.StateDone, "x"},
	}); err != nil {
		t.Fatal(err)
	}
	zone := at.Format("MST")
	pad := strings.Repeat(" ", len("2026-11-24 09:00:00 ")+len(zone))
	want := "ID       WHEN" + pad[2:] + "NAME\n" +
		"long-id  2026-11-24 09:00:00 " + zone + "  a·b··[31m\n" +
		"1        –" + pad[:len(pad)-1] + "  \n" +
		"done     x\n"
	if b.String() != want {
		t.Errorf("\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := numbers(&b, []string{"VARIANT", "N"}, [][]any{{"a", 1}, {"–", int64(100)}}); err != nil || b.String() != "  VARIANT    N\n        a    1\n        –  100\n" {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	if err := table(&b, nil, rowsOf(count{"Subscribers", 3}, count{"  joined", 12})); err != nil || b.String() != "Subscribers  3\n  joined     12\n" {
		t.Errorf("%v\n%s", err, b.String())
	}
}
