package cli_test

import (
	"fmt"
	"net/http"
	"testing"
)

// TestSiteCommands: sites are listed and removed, visitors are purged by what is known
// of them; without --yes nothing is.
func TestSiteCommands(t *testing.T) {
	p := started(t, "")
	const madeUp = "made-up.example"
	tell := func(host string, n int, entries string) {
		t.Helper()
		resp, body := p.Request("POST", host, "/_webpush/events", map[string]string{"Content-Type": "application/json"},
			fmt.Sprintf(`{"batch":"AAAAAAAAAAAAAAAAAAA%02dA","events":[%s]}`, n, entries))
		if resp.StatusCode != http.StatusNoContent {
			t.Fatalf("events: %d %s", resp.StatusCode, body)
		}
	}
	p.says([]string{"sites"}, p.Host()+"  0            0         0         by name")
	tell(p.Host(), 1, `{"type":"event","name":"Junk"}`)
	tell(p.Host(), 2, `{"type":"login","identities":[{"kind":"identity","value":"42"}]}`)
	p.says([]string{"sites"}, p.Host(), "SUBSCRIBERS", "PROFILES")
	with := func(args ...string) []string {
		return append(append([]string{"profiles", "purge"}, args...), "--site", p.Host())
	}
	p.refused(`--where is missing`, with()...)
	p.refused("--where is empty", with("--where", " ")...)
	p.refused(`"absent" is not known`, with("--where", "absent")...)
	p.says(with("--where", "!known", "--dry-run"), "1 profile of 2 would be erased.")
	p.refused("give --yes", with("--where", "!known")...)
	p.says(with("--where", "!known", "--yes"), "1 profile of 2 erased.")
	p.says(with("--where", "!known", "--dry-run"), "0 profiles of 1 would be erased.")

	p.refused("nothing", "sites", "remove", madeUp, "--yes")
	p.says([]string{"sites", "remove", p.Host(), "--dry-run"}, "Profiles", "Names of events")
	p.refused("give --yes and --force", "sites", "remove", p.Host())
	p.refused("or give --force", "sites", "remove", p.Host(), "--yes")
	p.says([]string{"sites", "remove", p.Host(), "--dry-run"}, "or give --force")
	p.says([]string{"sites"}, p.Host())
	p.says([]string{"sites", "remove", p.Host(), "--yes", "--force"}, "Removed.")
	p.says([]string{"sites"}, p.Host()+"  0            0         0         by name")
	tell(p.Host(), 3, `{"type":"event","name":"Again"}`)
	p.says([]string{"sites"}, p.Host())
}
