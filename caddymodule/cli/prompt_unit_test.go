package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// TestPromptFlags: the flags change what they name, and --unset takes settings
// away; each setting has a flag.
func TestPromptFlags(t *testing.T) {
	for _, member := range promptMembers() {
		if new(command).setPrompt(new(string)).Flags().Lookup(flagOfMember(member)) == nil {
			t.Errorf("%s has no flag", member)
		}
	}
	set := prompt.Settings{Title: new(string), Paths: []string{"/old"}}
	for _, tt := range []struct{ flags, want, fault string }{
		{`--kind bar`, `{"kind":"bar","paths":["/old"],"title":""}`, ""},
		{`--title x --body= --unset paths`, `{"body":"","title":"x"}`, ""},
		{`--unset title,paths`, `{}`, ""},
		{`--color 111 --text-color #222`, `{"color":"#111","paths":["/old"],"textColor":"#222","title":""}`, ""},
		{`--paths /a --paths /b --not-paths /c`, `{"notPaths":["/c"],"paths":["/a","/b"],"title":""}`, ""},
		{`--after 2_pages --after 30s --after click_.a_>_b`, `{"after":{"pages":2,"delay":"30s","click":".a > b"},"paths":["/old"],"title":""}`, ""},
		{`--after 0s --ask-again 3d --enabled=false`, `{"after":{},"askAgain":["3d"],"enabled":false,"paths":["/old"],"title":""}`, ""},
		{`--topics news=Breaking_news --topics *a=A=B`, `{"paths":["/old"],"title":"","topics":[{"id":"news","label":"Breaking news"},{"id":"a","label":"A=B","checked":true}]}`, ""},
		{`--after soon`, "", "--after"},
		{`--after 2_pages --after 3_pages`, "", "given twice"},
		{`--unset colour`, "", "known are"},
		{``, "", "nothing to set"},
		{`--revision 3`, "", "nothing to set"},
	} {
		var f promptFlags
		cmd := &cobra.Command{}
		f.add(cmd)
		args := strings.Fields(tt.flags)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ")
		}
		if err := cmd.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		members, err := f.merge(set, cmd.Flags().Changed)
		if err != nil || tt.fault != "" {
			if tt.fault == "" || err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%s: %v", tt.flags, err)
			}
			continue
		}
		got, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		var have, want any
		if err := json.Unmarshal(got, &have); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(have, want) {
			t.Errorf("%s: %s, want %s", tt.flags, got, tt.want)
		}
	}
}

func TestPromptFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prompt.json")
	if err := os.WriteFile(file, []byte(" {\"kind\":\n\"bar\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := promptFile(file); err != nil || string(got) != "{\"kind\":\n\"bar\"}" {
		t.Errorf("%s, %v", got, err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := promptFile(file); err == nil || !strings.Contains(err.Error(), "is not JSON") {
		t.Error(err)
	}
	if _, err := promptFile(file + "x"); !os.IsNotExist(err) && (err == nil || !strings.Contains(err.Error(), "no such file")) {
		t.Error(err)
	}
}

func TestDescribeAfter(t *testing.T) {
	for want, a := range map[string]*prompt.After{
		"": nil, "at once": {}, "manual": {Manual: true}, "1 page": {Pages: 1},
		"2 pages, 1d, scroll 5%, click a·, event e, exit": {Pages: 2, Delay: prompt.Delay(24 * 3600e9), Scroll: 5, Click: "a\x1b", Event: "e", Exit: true},
	} {
		if got := describeAfter(a); got != want {
			t.Errorf("%+v is %q, want %q", a, got, want)
		}
	}
}
