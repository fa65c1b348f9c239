package cli_test

import (
	"strings"
	"testing"
)

// TestHelpUsage: the help of webpush has one line of usage, and that of a command which has both a
// use of its own and subcommands has one for each.
func TestHelpUsage(t *testing.T) {
	p := newProcess(t, "", t.TempDir())
	for _, tt := range []struct{ args, want string }{
		{"", "caddy webpush <command>"},
		{"prompt", "caddy webpush prompt [--site <site>] [flags]\n  caddy webpush prompt <command>"},
		{"backup", "caddy webpush backup <file> [flags]"},
	} {
		out := p.OK(append(strings.Fields(tt.args), "--help")...)
		_, usage, _ := strings.Cut(out, "Usage:\n")
		usage, _, _ = strings.Cut(usage, "\n\n")
		if strings.TrimSpace(usage) != tt.want {
			t.Errorf("%q: the usage is\n%s\nwant\n%s", tt.args, usage, tt.want)
		}
	}
}
