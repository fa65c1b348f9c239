package cli_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestProfileCommands: a visitor is listed, shown, exported and erased.
func TestProfileCommands(t *testing.T) {
	p := started(t, "")
	site := []string{"--site", p.Host()}
	with := func(args ...string) []string { return append(append([]string{"profiles"}, args...), site...) }
	p.says(with(), "No profiles yet.")
	resp, body := p.Request("POST", p.Host(), "/_webpush/events", map[string]string{"Content-Type": "application/json"},
		`{"batch":"AAAAAAAAAAAAAAAAAAAAAA","events":[{"type":"event","name":"Charged\u001b[31m","props":{"Amount":5}},
		{"type":"login","identities":[{"kind":"email","value":"Ann@example.com"}],"set":{"Plan":"pro"}}]}`)
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("events: %d %s", resp.StatusCode, body)
	}
	p.says(with(), "ann@example.com", "KNOWN AS", "1 profile, 0 of them anonymous")
	p.says(with("list", "--identity", "unused"), `No profile has the identity "unused".`)
	p.says(with("list", "--identity", "Ann@example.com"), "ann@example.com")
	if out := p.says(with("show", "ann@example.com"), "ann@example.com", "Plan", `"pro"`, "Charged·[31m"); strings.Contains(out, "\x1b") {
		t.Errorf("a visitor's text steers the terminal: %q", out)
	}
	var export struct {
		ID            string
		HistoryEvents []struct{ Props map[string]any }
	}
	if err := json.Unmarshal([]byte(p.OK(with("export", "email:ann@example.com")...)), &export); err != nil || len(export.HistoryEvents) != 1 || export.HistoryEvents[0].Props["Amount"] != 5.0 {
		t.Errorf("export: %+v, %v", export, err)
	}
	p.says(with("show", export.ID[24:]), export.ID)
	p.refused("has no profile with the id or identity", with("erase", "bob@example.com")...)
	p.refused("has no profile with the id or identity", with("erase", "ffff")...)
	p.says(with("erase", export.ID[24:]), "Erased.", export.ID)
	p.refused("no profile", with("show", export.ID)...)
	p.says(with(), "No profiles yet.")
	// Caddy logs the address of each request to its admin endpoint: who asks for an
	// erasure is not to be left in the log by it.
	p.Terminate()
	for _, identity := range []string{"ann@example.com", "ann%40example.com", "bob%40example.com"} {
		if strings.Contains(strings.ToLower(p.Log.String()), identity) {
			t.Errorf("the log has %s", identity)
		}
	}
}
