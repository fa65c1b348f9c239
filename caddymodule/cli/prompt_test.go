package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// promptSites are two blocks that serve one site, one by a name of its own, and a
// wildcard. Their pages are not asked for.
const promptSites = `http://localhost:8080, http://*.example.com:8080 {
	webpush {
		prompt {
			kind bar
			title "From the file"
			after 3 pages
		}
	}
	respond "x"
}

http://127.0.0.1:8080 {
	webpush {
		site named.example
		compat clevertap
	}
	respond "x"
}
`

// script is the SDK of a host with its ETag.
func (p *process) script(host string) (body, tag string) {
	p.T.Helper()
	resp, body := p.Request(http.MethodGet, host, "/_webpush/sdk.js", nil, "")
	if resp.StatusCode != http.StatusOK {
		p.T.Fatalf("sdk.js of %s: %d %s", host, resp.StatusCode, body)
	}
	return body, resp.Header.Get("ETag")
}

// TestPromptCommands: what an operator sets is in the next script without a
// reload, wins over the Caddyfile setting by setting, and outlives reloads and
// the process.
func TestPromptCommands(t *testing.T) {
	p := started(t, promptSites)
	site := []string{"--site", p.Host()}
	prompt := func(args ...string) []string { return append(append([]string{"prompt"}, args...), site...) }
	has := func(host string, texts ...string) (tag string) {
		t.Helper()
		body, tag := p.script(host)
		for _, text := range texts {
			if !strings.Contains(body, text) {
				i := strings.Index(body, `"prompt":`)
				t.Errorf("the script of %s has no %s: %.300s", host, text, body[max(i, 0):])
			}
		}
		return tag
	}
	workers := func() (scripts string) {
		for _, path := range []string{"/sw.js", "/_webpush/sw.js"} {
			_, script := p.Request(http.MethodGet, p.Host(), path, nil, "")
			scripts += script
		}
		return scripts
	}
	before := workers()
	first := has(p.Host(), `"kind":"bar","title":"From the file"`, `"after":{"pages":3}`)
	p.says([]string{"prompt"}, p.Host(), "named.example")
	p.says(prompt(), "title      From the file  caddyfile", "after      3 pages        caddyfile", "askAgain   7d             default")

	p.says(prompt("set", "--kind", "bell", "--after", "2 pages", "--after", "click .a > b", "--color", "0b6bcb", "--paths", "/news/*"),
		"kind       bell", "api", "2 pages, click .a > b", "#0b6bcb", "Revision 1")
	second := has(p.Host(), `"kind":"bell","title":"From the file"`, `"after":{"pages":2,"click":".a \u003e b"}`, `"paths":{"in":["/news/*"]}`)
	if first == second {
		t.Error("the ETag is the same")
	}
	if resp, _ := p.Request(http.MethodGet, p.Host(), "/_webpush/sdk.js", map[string]string{"If-None-Match": first}, ""); resp.StatusCode != http.StatusOK {
		t.Errorf("with the former ETag: %d", resp.StatusCode)
	}
	if workers() != before {
		t.Error("a worker has changed")
	}
	p.says([]string{"prompt", "set", "--site", "named.example", "--reject", "Later", "--topics", "*news=News"}, "after      manual", "*news=News")
	named := strings.Replace(p.Host(), "localhost", "127.0.0.1", 1)
	has(named, `"site":"named.example"`, `"reject":"Later"`, `"topics":[{"id":"news","label":"News","checked":true}]`)
	// What a browser posts is held against the topics that are set.
	body := strings.Replace(caddytest.Subscription(t, "https://push.webpush.test/1"), "{", `{"topics":["news","other"],`, 1)
	if resp, text := p.Subscribe(named, body); resp.StatusCode != http.StatusCreated {
		t.Fatalf("subscribing: %d %s", resp.StatusCode, text)
	}
	p.says([]string{"subscribers", "--site", "named.example", "--json"}, `"topics":["news"]`)

	p.says(prompt("set", "--title", "Ω <b>", "--unset", "after,paths"), "Ω <b>", "Revision 2", "3 pages")
	has(p.Host(), `"title":"Ω \u003cb\u003e"`, `"after":{"pages":3}`, `"kind":"bell"`)
	p.refused("this has changed since you read it", prompt("set", "--revision", "1", "--title", "x")...)
	p.refused("kind", prompt("set", "--kind", "telegram")...)
	p.refused("--site is missing", "prompt", "reset")
	p.refused("there is no site \"shop.example.net\"", "prompt", "--site", "shop.example.net")
	file := filepath.Join(t.TempDir(), "prompt.json")
	for text, want := range map[string]string{`{"kind":"dialog","colour":"x"}`: "colour is not a field", `{"kind": "dialog", "title": "From a file"}`: ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if want != "" {
			p.refused(want, prompt("set", "--file", file)...)
		} else {
			p.says(prompt("set", "--file", file), "From a file  api", "Revision 3", "body       (built-in)   default")
		}
	}

	p.Kill()
	p.Start()
	third := has(p.Host(), `"kind":"dialog","title":"From a file"`)
	p.says(prompt("set", "--enabled=false"), "enabled    false")
	has(p.Host(), `"after":{"manual":true}`)
	p.says([]string{"prompt", "--json", "--site", "a.example.com"}, `"kind":"caddyfile"`)

	p.reload(strings.Replace(promptSites, "http://localhost:8080, ", "", 1))
	p.refused("what was set for its prompt is kept until it is deleted", prompt()...)
	p.says([]string{"prompt"}, p.Host(), "of no use")
	p.reload(promptSites)
	if tag := has(p.Host(), `"title":"From a file"`, `"after":{"manual":true}`); tag == third {
		t.Error("the ETag is the same")
	}
	p.says(prompt("reset"), "The prompt has the settings of the Caddyfile")
	if tag := has(p.Host(), `"kind":"bar","title":"From the file"`, `"after":{"pages":3}`); tag != first {
		t.Error("the ETag is not that of the beginning")
	}
	p.Terminate()
}

// reload loads another Caddyfile into the running process.
func (p *process) reload(text string) {
	p.T.Helper()
	raw, err := os.ReadFile(p.File)
	if err != nil {
		p.T.Fatal(err)
	}
	global, _, _ := strings.Cut(string(raw), "\n}\n")
	text = global + "\n}\n\n" + strings.ReplaceAll(text, "8080", strings.Split(p.Host(), ":")[1])
	if err := os.WriteFile(p.File, []byte(text), 0o600); err != nil {
		p.T.Fatal(err)
	}
	if out, err := p.Command("reload", "--config", p.File).CombinedOutput(); err != nil {
		p.T.Fatalf("reloading: %v\n%s", err, out)
	}
}
