package cli_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// TestSiteMoveCommands: a site is renamed, another one joined with it; without --yes
// nothing is. What comes by the old name's host lands under the new one, also after a
// restart.
func TestSiteMoveCommands(t *testing.T) {
	p := started(t, "")
	p.readers(3)
	old := p.Host()
	later := p.sent("--at", "+2h")
	p.refused("own name", "sites", "rename", old, old, "--yes")
	p.refused("nothing is kept of site none.example", "sites", "rename", "none.example", "new.example", "--yes")
	p.refused("into", "sites", "rename", old, "no name", "--yes")
	p.says([]string{"sites", "rename", old, "new.example", "--dry-run"}, "Subscribers", "not sent yet", "would be renamed to new.example, with 3 subscribers")
	p.says([]string{"sites", "rename", old, "new.example", "--dry-run", "--json"}, `"dryRun":true`)
	p.refused("give --yes", "sites", "rename", old, "new.example")
	p.says([]string{"subscribers", "--site", old}, "Europe/Berlin")
	p.says([]string{"sites", "rename", old, "münchen.example", "--yes"}, old+" is renamed to xn--mnchen-3ya.example, with 3 subscribers")
	p.says([]string{"sites"}, "xn--mnchen-3ya.example", "formerly "+old)
	p.says([]string{"messages", "show", later.ID, "--site", "münchen.example"}, "scheduled")
	p.says([]string{"messages", "show", later.ID, "--site", old}, "scheduled")

	// A browser with a page from before.
	for range 2 {
		if resp, body := p.Subscribe(old, caddytest.Subscription(t, "https://push.webpush.test/secret/7")); resp.StatusCode != 201 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		p.Terminate()
		p.Start()
	}
	p.says([]string{"sites", "--json"}, `"subscriptions":4`)

	p.says([]string{"sites", "remove", old, "--dry-run"}, "is another name of xn--mnchen-3ya.example")
	p.says([]string{"sites", "remove", old, "--yes", "--force"}, "Only the name is removed")
	if resp, body := p.Subscribe(old, caddytest.Subscription(t, "https://push.webpush.test/secret/7")); resp.StatusCode != 201 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	p.refused("is there already (subscribers: 1, profiles: 0)", "sites", "rename", "münchen.example", old, "--yes")
	p.says([]string{"sites", "merge", "münchen.example", old, "--dry-run"}, "4 subscribers; 1 of them is at both")
	p.says([]string{"sites", "merge", "münchen.example", old, "--yes", "--json"}, `"joined":1`, `"subscriptions":4`, `"running":false`)
	p.says([]string{"messages", "show", later.ID, "--site", old}, "scheduled")
}

// TestSiteGivenLater: a "site" that is given to the Caddyfile later leaves subscribers
// under the host's name; the log and the list say so, and with which command they come.
func TestSiteGivenLater(t *testing.T) {
	p := started(t, "")
	p.readers(2)
	p.Terminate()
	text, err := os.ReadFile(p.File)
	if err != nil {
		t.Fatal(err)
	}
	given := strings.Replace(string(text), "prompt {", "site shop\n\t\tprompt {", 1)
	if given == string(text) {
		t.Fatalf("the Caddyfile has no place for it:\n%s", text)
	}
	if err := os.WriteFile(p.File, []byte(given), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Start()
	cure := fmt.Sprintf("sites merge %s shop", p.Host())
	p.says([]string{"sites"}, "its visitors belong to shop", cure)
	if log := p.Log.String(); !strings.Contains(log, cure) {
		t.Errorf("the log does not tell:\n%s", log)
	}
	if resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, "https://push.webpush.test/secret/1")); resp.StatusCode != 201 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	p.says([]string{"sites", "merge", p.Host(), "shop", "--yes"}, "2 subscribers")
	if out := p.OK("sites"); strings.Contains(out, "merge") {
		t.Errorf("it tells still:\n%s", out)
	}
}
