package providers_test

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/providers"
)

// TestProviderTable checks the table's form: names in order, each once; paths as
// the option takes them, none with two providers.
func TestProviderTable(t *testing.T) {
	names := providers.Names()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("names %q", names)
	}
	table, err := os.ReadFile("../../.github/docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	owner := make(map[string]string)
	for _, name := range names {
		paths := providers.Workers([]string{name})
		_, row, _ := strings.Cut(string(table), "\n| `"+name+"` | ")
		row, _, _ = strings.Cut(row, "\n")
		if len(paths) == 0 || row == "" {
			t.Errorf("%s has no worker, or no row in migrate.md", name)
		}
		for _, p := range paths {
			if path.Clean(p) != p || !strings.HasSuffix(strings.TrimSuffix(p, ".php"), ".js") || !strings.Contains(row, path.Base(p)+"`") {
				t.Errorf("%s: %q, in migrate.md %q", name, p, row)
			}
			if other := owner[p]; other != "" {
				t.Errorf("%s and %s both have %s", name, other, p)
			}
			owner[p] = name
		}
	}
	got := providers.Workers([]string{"/z.js", "clevertap", "firebase", "/z.js", "clevertap"})
	if want := []string{"/clevertap_sw.js", "/firebase-messaging-sw.js", "/z.js"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
