package cli_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

// warnings runs a command that must succeed and returns what it wrote to standard error.
func (p *process) warnings(args ...string) string {
	p.T.Helper()
	out, stderr, err := p.CLI(args...)
	if err != nil {
		p.T.Fatalf("%v: %v\n%s%s", args, err, out, stderr)
	}
	return stderr
}

// TestMessageSaysWhy: a message that waits says why, by reason, and still does when it
// was cancelled or has expired; short ids stand for whole ones.
func TestMessageSaysWhy(t *testing.T) {
	p := started(t, "")
	p.readers(3)
	site := []string{"--site", p.Host()}
	m := p.sent()
	short := m.ID[len(m.ID)-8:]
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(p.OK("messages", "show", short, "--site", p.Host()), "(dns 3)"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not say why it waits:\n%s", p.OK("messages", "show", short, "--site", p.Host()))
		}
	}
	shown := p.says(append([]string{"messages", "show", short}, site...), m.ID, "next try", "to be tried again  3 (dns 3)")
	if !regexp.MustCompile(`created +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+, (\d+s ago|now)`).MatchString(shown) || !regexp.MustCompile(`expires .*, in \d+h`).MatchString(shown) {
		t.Errorf("times:\n%s", shown)
	}
	list := p.says(append([]string{"messages"}, site...), "WHEN", "3 (dns 3)")
	if !regexp.MustCompile(`\d\d:\d\d:\d\d \S+, (\d+s ago|now) `).MatchString(list) {
		t.Errorf("the list does not say when:\n%s", list)
	}
	p.says(append([]string{"messages", "cancel", short}, site...), m.ID, "is cancelled", "3 cancelled; not reached: dns 3")
	p.says(append([]string{"messages", "show", m.ID[len(m.ID)-12:]}, site...), "not reached          3 (dns 3)", "finished")
	p.says(append([]string{"messages", "show", m.ID, "--json"}, site...), `"cancelled":3`, `"reasons":{"dns":3}`)

	later := p.sent("--at", "+3h")
	p.sent("--at", "+1h")
	list = p.OK(append([]string{"messages"}, site...)...)
	lines := strings.Split(list, "\n")
	if !strings.HasPrefix(lines[1], later.ID+"  scheduled") || !strings.Contains(lines[1], ", in 2h") && !strings.Contains(lines[1], ", in 3h") || !strings.HasPrefix(lines[3], m.ID+"  cancelled") {
		t.Errorf("the order, or the times:\n%s", list)
	}
	p.refused("matches 3 messages", "messages", "pause", m.ID[:4], "--site", p.Host())
	p.refused(later.ID, "messages", "show", m.ID[:4], "--site", p.Host())
	p.refused("no message", "messages", "show", "ffff", "--site", p.Host())

	_, stderr, err := p.CLI(append([]string{"send", "--title", "x", "--ttl", "2s", "--wait"}, site...)...)
	if err == nil || !strings.Contains(stderr, "no subscriber got it: 3 expired before they could be reached; not reached: dns 3") {
		t.Errorf("an expired message: %v, %q", err, stderr)
	}
	p.Terminate()
}

// TestSendWarnings: what is most likely a mistake is refused, or told beside the answer.
func TestSendWarnings(t *testing.T) {
	p := started(t, "")
	body := strings.Replace(caddytest.Subscription(t, "https://push.webpush.test/1"), "{", `{"topics":["events"],`, 1)
	p.OK("prompt", "set", "--site", p.Host(), "--topics", "events=Events", "--topics", "offers=Offers")
	if resp, text := p.Subscribe(p.Host(), body); resp.StatusCode != 201 {
		t.Fatal(text)
	}
	send := func(args ...string) []string {
		return append([]string{"send", "--site", p.Host(), "--title", "x", "--at", "+1h"}, args...)
	}
	for _, args := range [][]string{{"--title", "Hi {{ name }}"}, {"--body", "{% if x %}"}, {"--url", "/?n={{name}}"}, {"--action", "a={{b}}"}, {"--data", `{"a":"{{b}}"}`}} {
		p.refused("notifications are not filled in", send(args...)...)
		if text := p.warnings(send(append(args, "--literal")...)...); text != "" && !strings.Contains(text, "no contact") {
			t.Errorf("%q as it is: %s", args, text)
		}
	}
	for want, args := range map[string][]string{
		`title has "<b>"`: {"--title", "<b>Sale</b>"},
		`no subscriber has chosen the topic "event"; did you mean "events"?`: {"--topic", "event"},
		`no subscriber has chosen the topic "offers"`:                        {"--topic", "offers", "--dry-run"},
	} {
		if text := p.warnings(send(args...)...); !strings.Contains(text, "warning: "+want) {
			t.Errorf("%q: told %q, want %q", args, text, want)
		}
	}
	p.refused("did you mean \""+p.Host()+"\"?", "send", "--site", "localhost", "--title", "x")
	wait := []string{"send", "--site", p.Host(), "--title", "x", "--wait"}
	p.refused("none of its 1 subscriber has chosen offers or weather", append(wait, "--topic", "offers", "--topic", "weather")...)
	p.OK("subscribers", "remove", "--site", p.Host(), "1")
	p.refused(p.Host()+" has no subscriber", wait...)
	p.Terminate()
}

// TestSetPrints: commands that change settings print the new settings.
func TestSetPrints(t *testing.T) {
	p := started(t, promptSites)
	site := []string{"--site", p.Host()}
	prompt := func(args ...string) []string { return append(append([]string{"prompt"}, args...), site...) }
	p.says(prompt("set", "--after", "2 pages", "--after", "scroll 50%"), "after      2 pages, scroll 50%  api")
	p.says(prompt("set", "--after", "30s"), "after      30s            api")
	p.says(prompt("set", "--after", "exit"), "after      exit           api")
	if text := p.warnings(prompt("set", "--title", "Hi {{ name }}")...); !strings.Contains(text, `--title has the template "{{ name }}"`) {
		t.Errorf("a template in the prompt: %q", text)
	}
	p.says(prompt("reset"), "The prompt has the settings of the Caddyfile", "after      3 pages        caddyfile")
	var ring struct{ Keys []struct{ ID string } }
	rotated := p.says([]string{"keys", "rotate"}, "is the current one now", "CURRENT")
	if err := json.Unmarshal([]byte(p.OK("keys", "--json")), &ring); err != nil || len(ring.Keys) != 2 {
		t.Fatalf("%v, %+v", err, ring)
	}
	for _, k := range ring.Keys {
		if !strings.Contains(rotated, k.ID) {
			t.Errorf("the ring lacks %s:\n%s", k.ID, rotated)
		}
	}
	p.refused("there is no site \"localhost.exmaple\"", "popups", "settings", "--site", "localhost.exmaple", "--per-day", "1")
	p.Terminate()
}
