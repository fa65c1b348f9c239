package cli_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

func TestCommandMistakes(t *testing.T) {
	p := started(t, "")
	if resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, "https://fcm.googleapis.com/fcm/send/1")); resp.StatusCode != 201 {
		t.Fatalf("subscribing: %d %s", resp.StatusCode, body)
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no title", []string{"send", "--site", p.Host()}, "--title is missing: it must be the title of the notification"},
		{"no site", []string{"send", "--title", "x"}, "--site is missing: it must be the name of a site, such as shop.example.com"},
		{"wrong site", []string{"send", "--site", "shop.example.com", "--title", "x"}, p.Host()},
		{"bad url", []string{"send", "--site", p.Host(), "--title", "x", "--url", "javascript:alert(1)"}, "url"},
		{"bad urgency", []string{"send", "--site", p.Host(), "--title", "x", "--urgency", "now"}, "urgency"},
		{"bad action", []string{"send", "--site", p.Host(), "--title", "x", "--action", "read"}, "id=Title"},
		{"bad ttl", []string{"send", "--site", p.Host(), "--title", "x", "--ttl", "1.5s"}, "whole seconds"},
		{"ttl without unit", []string{"send", "--site", p.Host(), "--title", "x", "--ttl", "5"}, "with their unit, such as 90s"},
		{"rate without unit", []string{"send", "--site", p.Host(), "--title", "x", "--rate", "500"}, "with its unit, like 500/s"},
		{"ask again without unit", []string{"prompt", "set", "--site", p.Host(), "--ask-again", "7"}, "ask"},
		{"no colour", []string{"prompt", "set", "--site", p.Host(), "--color", "blue"}, `"blue" is not a colour`},
		{"only site", []string{"send", "--site", "localhost", "--title", "x"}, "nothing is stored of it; did you mean"},
		{"bad data", []string{"send", "--site", p.Host(), "--title", "x", "--data", "{"}, "--data"},
		{"unknown command", []string{"sned"}, `"sned": did you mean "send"?`},
		{"unknown command with flags", []string{"message", "--site", p.Host(), "--title", "x"}, `"message": did you mean "messages"?`},
		{"flag spelled wrong", []string{"send", "--site", p.Host(), "--titel", "x"}, "unknown flag: --titel: did you mean --title?"},
		{"nothing to show", []string{"popups", "show", "--site", p.Host()}, "write it like: caddy webpush popups show --site <site> <id>\n"},
		{"two to show", []string{"profiles", "export", "--site", p.Host(), "a", "b"}, "write it like: caddy webpush profiles export --site <site> <id or identity>\n"},
		{"nothing to put", []string{"popups", "put", "--site", p.Host()}, "popups put --site <site> <file>…"},
		{"no such subcommand", []string{"popups", "bogus", "--site", p.Host()}, `"bogus" is not a command here`},
		{"no such flag", []string{"popups", "stats", "--site", p.Host(), "--hour", "a"}, "unknown flag: --hour"},
		{"unknown message", []string{"messages", "--site", p.Host(), "no-such-id"}, `has no message "no-such-id"; 'caddy webpush messages --site `},
		{"bad key", []string{"keys", "import", "--public", "abc", "--private-file", os.DevNull}, "private key"},
		{"missing subscriber", []string{"subscribers", "remove", "--site", p.Host(), "99"}, `has no subscriber "99"; 'caddy webpush subscribers --site `},
		{"missing image", []string{"popups", "uploads", "--site", p.Host(), "--remove", "none.png"}, `has no image "none.png"; 'caddy webpush popups uploads --site `},
		{"missing recipient", []string{"send", "--site", p.Host(), "--title", "x", "--to", "99"}, `--to 99 is not a subscriber of site `},
		{"missing recipient, dry run", []string{"send", "--site", p.Host(), "--title", "x", "--to", "99", "--dry-run"}, `--to 99 is not a subscriber of site `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, stderr, err := p.CLI(tt.args...)
			if err == nil || !strings.Contains(stderr, tt.want) {
				t.Errorf("error %v, told %q, want something with %q", err, stderr, tt.want)
			}
		})
	}
	t.Run("no server", func(t *testing.T) {
		away := *p.Process
		away.Admin = caddytest.FreePort(t)
		if _, stderr, err := away.CLI("subscribers"); err == nil || !strings.Contains(stderr, "is it running") {
			t.Errorf("error %v, told %q", err, stderr)
		}
	})
	t.Run("remove", func(t *testing.T) {
		out, _, err := p.CLI("subscribers", "--site", p.Host(), "--json")
		var list struct{ Subscriptions []struct{ ID string } }
		if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list.Subscriptions) != 1 {
			t.Fatalf("%v: %s", err, out)
		}
		if out, stderr, err := p.CLI("subscribers", "remove", "--site", p.Host(), list.Subscriptions[0].ID); err != nil {
			t.Errorf("%v: %s%s", err, out, stderr)
		}
	})
	p.Terminate()
}
