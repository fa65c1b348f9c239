package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestTrustedProxies: behind a proxy that appends to X-Forwarded-For, each
// request can be another client, unless trusted_proxies_strict is set; the log
// and the doctor report it.
func TestTrustedProxies(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprint("strict ", strict), func(t *testing.T) {
			p := newProcess(t, "", t.TempDir())
			text, err := os.ReadFile(p.File)
			if err != nil {
				t.Fatal(err)
			}
			option := "servers {\n\t\ttrusted_proxies static private_ranges\n"
			if strict {
				option += "\t\ttrusted_proxies_strict\n"
			}
			changed := strings.Replace(string(text), "event_limit off", "event_limit 10", 1)
			changed = strings.Replace(changed, "{\n", "{\n\t"+option+"\t}\n", 1)
			if err := os.WriteFile(p.File, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			p.Start()
			refused := 0
			for n := range 30 {
				header := map[string]string{"Content-Type": "application/json", "X-Forwarded-For": fmt.Sprintf("198.51.100.%d, 203.0.113.7", n)}
				resp, _ := p.Request("POST", p.Host(), "/_webpush/messages", header, "{}")
				if resp.StatusCode == http.StatusTooManyRequests {
					refused++
				}
			}
			if want := map[bool]int{true: 20}[strict]; refused < want-2 || refused > want {
				t.Errorf("%d of 30 posts are refused, want %d", refused, want)
			}
			out, _, _ := p.CLI("doctor", "--json", "http://"+p.Host()+"/")
			var report struct {
				Healthy   bool
				Diagnoses []struct{ Check, Verdict, Finding, Cure string }
			}
			if err := json.Unmarshal([]byte(out), &report); err != nil || !report.Healthy {
				t.Fatalf("%v: %s", err, out)
			}
			found := false
			for _, d := range report.Diagnoses {
				found = found || d.Check == "proxies" && d.Verdict == "warning" && strings.Contains(d.Cure, "trusted_proxies_strict")
			}
			p.Terminate()
			logged := strings.Count(p.Log.String(), "accepts any client address")
			if found == strict || (logged == 1) == strict {
				t.Errorf("the doctor finds it: %t; the log says it %d times", found, logged)
			}
		})
	}
}

// TestNewSitesLimited: one client can create only a few sites per minute, by
// posts or by pages; sites in the configuration are not limited.
func TestNewSitesLimited(t *testing.T) {
	p := newProcess(t, ":8080 {\n\twebpush {\n\t\tevent Any *\n\t}\n\theader Content-Type text/html\n\trespond \"<!doctype html><title>x</title>\"\n}\n", t.TempDir())
	p.Start()
	status := map[int]int{}
	for n := range 60 {
		resp, _ := p.Request("POST", fmt.Sprintf("made-up-%d.example", n), "/_webpush/events", map[string]string{"Content-Type": "application/json"},
			fmt.Sprintf(`{"batch":"AAAAAAAAAAAAAAAAAAA%02dA","events":[{"type":"event","name":"x"}]}`, n))
		status[resp.StatusCode]++
	}
	if status[http.StatusNoContent] < 30 || status[http.StatusNoContent] > 35 || status[http.StatusTooManyRequests] < 25 {
		t.Errorf("answers: %v; want 30 that are taken", status)
	}
	resp, _ := p.Request("POST", "made-up-0.example", "/_webpush/events", map[string]string{"Content-Type": "application/json"},
		`{"batch":"BAAAAAAAAAAAAAAAAAAAAA","events":[{"type":"event","name":"x"}]}`)
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("an existing site: %d", resp.StatusCode)
	}
	p.Terminate()
}
