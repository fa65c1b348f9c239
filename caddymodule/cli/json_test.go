package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestJSONIsTheAnswer: --json prints the API's answer byte for byte.
func TestJSONIsTheAnswer(t *testing.T) {
	p := started(t, "")
	p.readers(2)
	file := filepath.Join(t.TempDir(), "sale.json")
	if err := os.WriteFile(file, []byte(`{"id":"sale","kind":"inbox","content":{"title":"A & B <c>"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p.OK("popups", "put", "--site", p.Host(), file)
	m := p.sent("--at", "+1d")
	site := "/sites/" + p.Host()
	for _, tt := range []struct {
		path string
		args []string
	}{
		{"/sites", []string{"sites"}},
		{"/sites", []string{"subscribers"}},
		{site + "/subscriptions?limit=1", []string{"subscribers", "--site", p.Host(), "--limit", "1"}},
		{site + "/messages?limit=20", []string{"messages", "--site", p.Host()}},
		// The answer to a command is the message as it is after it.
		{site + "/messages/" + m.ID, []string{"messages", "pause", "--site", p.Host(), m.ID}},
		{site + "/messages/" + m.ID, []string{"messages", "show", "--site", p.Host(), m.ID}},
		{site + "/profiles?limit=100", []string{"profiles", "--site", p.Host()}},
		{site + "/prompt", []string{"prompt", "--site", p.Host()}},
		{"/prompts", []string{"prompt"}},
		{site + "/popups", []string{"popups", "--site", p.Host()}},
		{site + "/popups/sale", []string{"popups", "show", "--site", p.Host(), "sale"}},
		{site + "/popups/sale/stats", []string{"popups", "stats", "--site", p.Host(), "sale"}},
		{site + "/popup-settings", []string{"popups", "settings", "--site", p.Host()}},
		{site + "/uploads", []string{"popups", "uploads", "--site", p.Host()}},
		{"/keys?count=true", []string{"keys", "--count"}},
	} {
		got := p.OK(append(tt.args, "--json")...)
		resp, err := http.Get(fmt.Sprintf("http://localhost:%d/webpush%s", p.Admin, tt.path))
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || got != string(want) {
			t.Errorf("%v printed\n%s\nthe API answers %d\n%s%v", tt.args, got, resp.StatusCode, want, err)
		}
	}
}
