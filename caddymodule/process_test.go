package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
)

func TestMain(m *testing.M) { caddytest.Main(m) }

// process is a real Caddy of its own, with a data directory of its own.
type process struct{ *caddytest.Process }

func newProcess(t *testing.T, text, data string) *process {
	t.Helper()
	return &process{caddytest.New(t, text, data)}
}

// TestExampleProcess runs what the README's first command runs, and the CLI
// against it, across a kill -9 and a graceful end.
func TestExampleProcess(t *testing.T) {
	p := newProcess(t, "", t.TempDir())
	p.Start()
	if _, body := p.Page(p.Host(), "/"); !strings.Contains(body, snippet+"\n</head>") && !strings.Contains(body, snippet+"</head>") {
		t.Fatalf("the page has no snippet:\n%s", body)
	}
	if out, err := p.Command("validate", "--config", p.File).CombinedOutput(); err != nil {
		t.Fatalf("validate beside the running server: %v\n%s", err, out)
	}
	if _, stderr, err := p.CLI("send", "--site", p.Host(), "--title", "x"); err == nil || !strings.Contains(stderr, "has no subscribers yet") {
		t.Errorf("sending to nobody: %v, %q", err, stderr)
	}
	resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, "https://push.webpush.test/secret/1"))
	if resp.StatusCode != 201 {
		t.Fatalf("subscribing: %d %s", resp.StatusCode, body)
	}
	keys, _, err := p.CLI("keys")
	if err != nil || !strings.Contains(keys, "yes") {
		t.Fatalf("keys: %v\n%s", err, keys)
	}
	p.Kill()

	p.Start()
	again, _, err := p.CLI("keys")
	if err != nil || again != keys {
		t.Errorf("after kill -9 the keys are\n%s, before\n%s", again, keys)
	}
	out, _, err := p.CLI("subscribers")
	if err != nil || !strings.Contains(out, p.Host()) || strings.Contains(out, "secret") {
		t.Errorf("subscribers after kill -9: %v\n%s", err, out)
	}
	out, _, err = p.CLI("subscribers", "--site", p.Host())
	if err != nil || !strings.Contains(out, "other") || !strings.Contains(out, "Europe/Berlin") {
		t.Errorf("subscribers of the site: %v\n%s", err, out)
	}
	// Nobody gets it: scripts must see that.
	out, stderr, err := p.CLI("send", "--site", p.Host(), "--title", "x", "--ttl", "3s", "--wait")
	if err == nil || !strings.Contains(stderr, "nobody got it") || !strings.Contains(out, "done") {
		t.Errorf("a message that nobody got: %v, %q\n%s", err, stderr, out)
	}
	p.Terminate()
	if strings.Contains(p.Log.String(), "secret") {
		t.Error("the log has an endpoint")
	}
	if !strings.Contains(p.Log.String(), "push is on") {
		t.Error("the log does not say that push is on")
	}
}

func TestCommandMistakes(t *testing.T) {
	p := newProcess(t, "", t.TempDir())
	p.Start()
	if resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, "https://fcm.googleapis.com/fcm/send/1")); resp.StatusCode != 201 {
		t.Fatalf("subscribing: %d %s", resp.StatusCode, body)
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no title", []string{"send", "--site", p.Host()}, `"title"`},
		{"no site", []string{"send", "--title", "x"}, `"site"`},
		{"wrong site", []string{"send", "--site", "shop.example.com", "--title", "x"}, p.Host()},
		{"bad url", []string{"send", "--site", p.Host(), "--title", "x", "--url", "javascript:alert(1)"}, "url"},
		{"bad urgency", []string{"send", "--site", p.Host(), "--title", "x", "--urgency", "now"}, "urgency"},
		{"bad action", []string{"send", "--site", p.Host(), "--title", "x", "--action", "read"}, "id=Title"},
		{"bad ttl", []string{"send", "--site", p.Host(), "--title", "x", "--ttl", "1.5s"}, "whole seconds"},
		{"bad data", []string{"send", "--site", p.Host(), "--title", "x", "--data", "{"}, "--data"},
		{"unknown command", []string{"sned"}, `"sned": did you mean "send"?`},
		{"unknown command with flags", []string{"message", "--site", p.Host(), "--title", "x"}, `"message": did you mean "messages"?`},
		{"flag spelled wrong", []string{"send", "--site", p.Host(), "--titel", "x"}, "unknown flag: --titel: did you mean --title?"},
		{"nothing to show", []string{"popups", "show", "--site", p.Host()}, "write it like: caddy webpush popups show --site <site> <id>\n"},
		{"two to show", []string{"profiles", "export", "--site", p.Host(), "a", "b"}, "write it like: caddy webpush profiles export --site <site> <id or identity>\n"},
		{"nothing to put", []string{"popups", "put", "--site", p.Host()}, "popups put --site <site> <file>…"},
		{"no such subcommand", []string{"popups", "bogus", "--site", p.Host()}, `"bogus" is no command here`},
		{"no such flag", []string{"popups", "stats", "--site", p.Host(), "--hour", "a"}, "unknown flag: --hour"},
		{"unknown message", []string{"messages", "--site", p.Host(), "no-such-id"}, "nothing of that id"},
		{"bad key", []string{"keys", "import", "--public", "abc", "--private-file", os.DevNull}, "private key"},
		{"missing subscriber", []string{"subscribers", "remove", "--site", p.Host(), "99"}, "nothing of that id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, stderr, err := p.CLI(tt.args...)
			if err == nil || !strings.Contains(stderr, tt.want) {
				t.Errorf("error %v, told %q, want something with %q", err, stderr, tt.want)
			}
		})
	}
	t.Run("no server", func(t *testing.T) {
		p := *p
		p.Admin = caddytest.FreePort(t)
		if _, stderr, err := p.CLI("subscribers"); err == nil || !strings.Contains(stderr, "is it running") {
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

// TestDiskFull fills the disk under a running server: pages go on, new
// subscriptions get 503, and come back with the room.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("needs root, to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	p := newProcess(t, "", dir)
	p.Start()
	acked := 0
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 3<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	full := false
	for i := 0; i < 20000 && !full; i++ {
		resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%d%s", i, strings.Repeat("x", 1500))))
		switch resp.StatusCode {
		case http.StatusCreated:
			acked++
		case http.StatusServiceUnavailable:
			full = true
			if resp.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		default:
			t.Fatalf("status %d: %s", resp.StatusCode, body)
		}
	}
	if !full {
		t.Fatal("the disk never filled up")
	}
	if _, body := p.Page(p.Host(), "/"); !strings.Contains(body, "Harbour Books") {
		t.Errorf("with a full disk the page is %q", body)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if resp, body := p.Subscribe(p.Host(), caddytest.Subscription(t, "https://fcm.googleapis.com/fcm/send/after")); resp.StatusCode != http.StatusCreated {
		t.Errorf("with room again: %d %s", resp.StatusCode, body)
	}
	p.Terminate()
	if got := caddytest.Stored(t, filepath.Join(dir, "caddy", "webpush", "webpush.db"), p.Host()); got < int64(acked)+1 {
		t.Errorf("%d stored, %d acknowledged", got, acked+1)
	}
}
