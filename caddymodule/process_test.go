package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildCaddy builds the program that users run, once for all tests.
var buildCaddy = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "webpush-caddy")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "caddy")
	out, err := exec.Command("go", "build", "-o", bin, "./cmd/caddy").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building: %w\n%s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := buildCaddy(); err == nil {
		_ = os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// process is a real Caddy of its own, with a data directory of its own.
type process struct {
	t              *testing.T
	bin, dir, file string
	admin          int
	server
	cmd *exec.Cmd
	log *processLog
	env []string // more of the environment
}

// processLog is what a process has written; it may be read meanwhile.
type processLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *processLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *processLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newProcess prepares Caddyfile.example, or text where it is not empty, on
// ports that are free; from the repository's root, as the README says.
func newProcess(t *testing.T, text, data string) *process {
	t.Helper()
	bin, err := buildCaddy()
	if err != nil {
		t.Fatal(err)
	}
	if text == "" {
		raw, err := os.ReadFile("../Caddyfile.example")
		if err != nil {
			t.Fatal(err)
		}
		text = string(raw)
	}
	p := &process{t: t, bin: bin, dir: data, admin: freePort(t), log: new(processLog)}
	p.server = server{t: t, port: freePort(t)}
	p.url = fmt.Sprintf("http://127.0.0.1:%d", p.port)
	// In one pass: a port that the system picks may itself contain 8081.
	text = strings.NewReplacer("8080", fmt.Sprint(p.port), "8081", fmt.Sprint(freePort(t))).Replace(text)
	// A push service that resolves nowhere: tests send nothing to real ones.
	text = fmt.Sprintf("{\n\tadmin localhost:%d\n\twebpush {\n\t\tpush_services default push.webpush.test\n\t\tsubscribe_limit off\n\t\tevent_limit off\n\t}\n}\n\n%s", p.admin, text)
	p.file = filepath.Join(t.TempDir(), "Caddyfile.example")
	if err := os.WriteFile(p.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.bin, args...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir)
	cmd.Env = append(cmd.Env, p.env...)
	return cmd
}

// host is the site's name.
func (p *process) host() string { return fmt.Sprintf("localhost:%d", p.port) }

func (p *process) start() {
	p.t.Helper()
	p.cmd = p.command("run", "--config", p.file)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if resp, _, err := p.try(http.MethodGet, p.host(), "/_webpush/sdk.js", nil, ""); err == nil && resp.StatusCode == 200 {
			return
		}
		if time.Now().After(deadline) {
			p.kill()
			p.t.Fatalf("the server did not start:\n%s", p.log)
		}
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *process) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("ending: %v\n%s", err, p.log)
	}
}

// cli runs "caddy webpush …" and gives both outputs.
func (p *process) cli(args ...string) (stdout, stderr string, err error) {
	cmd := p.command(append([]string{"webpush", "--address", fmt.Sprintf("localhost:%d", p.admin)}, args...)...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// TestExampleProcess runs what the README's first command runs, and the CLI
// against it, across a kill -9 and a graceful end.
func TestExampleProcess(t *testing.T) {
	p := newProcess(t, "", t.TempDir())
	p.start()
	if _, body := p.page(p.host(), "/"); !strings.Contains(body, snippet+"\n</head>") && !strings.Contains(body, snippet+"</head>") {
		t.Fatalf("the page has no snippet:\n%s", body)
	}
	if out, err := p.command("validate", "--config", p.file).CombinedOutput(); err != nil {
		t.Fatalf("validate beside the running server: %v\n%s", err, out)
	}
	if _, stderr, err := p.cli("send", "--site", p.host(), "--title", "x"); err == nil || !strings.Contains(stderr, "has no subscribers yet") {
		t.Errorf("sending to nobody: %v, %q", err, stderr)
	}
	resp, body := p.subscribe(p.host(), subscription(t, "https://push.webpush.test/secret/1"))
	if resp.StatusCode != 201 {
		t.Fatalf("subscribing: %d %s", resp.StatusCode, body)
	}
	keys, _, err := p.cli("keys")
	if err != nil || !strings.Contains(keys, "yes") {
		t.Fatalf("keys: %v\n%s", err, keys)
	}
	p.kill()

	p.start()
	again, _, err := p.cli("keys")
	if err != nil || again != keys {
		t.Errorf("after kill -9 the keys are\n%s, before\n%s", again, keys)
	}
	out, _, err := p.cli("subscribers")
	if err != nil || !strings.Contains(out, p.host()) || strings.Contains(out, "secret") {
		t.Errorf("subscribers after kill -9: %v\n%s", err, out)
	}
	out, _, err = p.cli("subscribers", "--site", p.host())
	if err != nil || !strings.Contains(out, "other") || !strings.Contains(out, "Europe/Berlin") {
		t.Errorf("subscribers of the site: %v\n%s", err, out)
	}
	// Nobody gets it: scripts must see that.
	out, stderr, err := p.cli("send", "--site", p.host(), "--title", "x", "--ttl", "3s", "--wait")
	if err == nil || !strings.Contains(stderr, "nobody got it") || !strings.Contains(out, "done") {
		t.Errorf("a message that nobody got: %v, %q\n%s", err, stderr, out)
	}
	p.terminate()
	if strings.Contains(p.log.String(), "secret") {
		t.Error("the log has an endpoint")
	}
	if !strings.Contains(p.log.String(), "push is on") {
		t.Error("the log does not say that push is on")
	}
}

func TestCommandMistakes(t *testing.T) {
	p := newProcess(t, "", t.TempDir())
	p.start()
	if resp, body := p.subscribe(p.host(), subscription(t, "https://fcm.googleapis.com/fcm/send/1")); resp.StatusCode != 201 {
		t.Fatalf("subscribing: %d %s", resp.StatusCode, body)
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no title", []string{"send", "--site", p.host()}, `"title"`},
		{"no site", []string{"send", "--title", "x"}, `"site"`},
		{"wrong site", []string{"send", "--site", "shop.example.com", "--title", "x"}, p.host()},
		{"bad url", []string{"send", "--site", p.host(), "--title", "x", "--url", "javascript:alert(1)"}, "url"},
		{"bad urgency", []string{"send", "--site", p.host(), "--title", "x", "--urgency", "now"}, "urgency"},
		{"bad action", []string{"send", "--site", p.host(), "--title", "x", "--action", "read"}, "id=Title"},
		{"bad ttl", []string{"send", "--site", p.host(), "--title", "x", "--ttl", "1.5s"}, "whole seconds"},
		{"bad data", []string{"send", "--site", p.host(), "--title", "x", "--data", "{"}, "--data"},
		{"unknown command", []string{"sned"}, `"sned": did you mean "send"?`},
		{"unknown command with flags", []string{"message", "--site", p.host(), "--title", "x"}, `"message": did you mean "messages"?`},
		{"flag spelled wrong", []string{"send", "--site", p.host(), "--titel", "x"}, "unknown flag: --titel: did you mean --title?"},
		{"nothing to show", []string{"popups", "show", "--site", p.host()}, "write it like: caddy webpush popups show --site <site> <id>\n"},
		{"two to show", []string{"profiles", "export", "--site", p.host(), "a", "b"}, "write it like: caddy webpush profiles export --site <site> <id or identity>\n"},
		{"nothing to put", []string{"popups", "put", "--site", p.host()}, "popups put --site <site> <file>…"},
		{"no such subcommand", []string{"popups", "bogus", "--site", p.host()}, `"bogus" is no command here`},
		{"no such flag", []string{"popups", "stats", "--site", p.host(), "--hour", "a"}, "unknown flag: --hour"},
		{"unknown message", []string{"messages", "--site", p.host(), "no-such-id"}, "nothing of that id"},
		{"bad key", []string{"keys", "import", "--public", "abc", "--private-file", os.DevNull}, "private key"},
		{"missing subscriber", []string{"subscribers", "remove", "--site", p.host(), "99"}, "nothing of that id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, stderr, err := p.cli(tt.args...)
			if err == nil || !strings.Contains(stderr, tt.want) {
				t.Errorf("error %v, told %q, want something with %q", err, stderr, tt.want)
			}
		})
	}
	t.Run("no server", func(t *testing.T) {
		p := *p
		p.admin = freePort(t)
		if _, stderr, err := p.cli("subscribers"); err == nil || !strings.Contains(stderr, "is it running") {
			t.Errorf("error %v, told %q", err, stderr)
		}
	})
	t.Run("remove", func(t *testing.T) {
		out, _, err := p.cli("subscribers", "--site", p.host(), "--json")
		var list struct{ Subscriptions []struct{ ID string } }
		if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list.Subscriptions) != 1 {
			t.Fatalf("%v: %s", err, out)
		}
		if out, stderr, err := p.cli("subscribers", "remove", "--site", p.host(), list.Subscriptions[0].ID); err != nil {
			t.Errorf("%v: %s%s", err, out, stderr)
		}
	})
	p.terminate()
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
	p.start()
	acked := 0
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 3<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	full := false
	for i := 0; i < 20000 && !full; i++ {
		resp, body := p.subscribe(p.host(), subscription(t, fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%d%s", i, strings.Repeat("x", 1500))))
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
	if _, body := p.page(p.host(), "/"); !strings.Contains(body, "Harbour Books") {
		t.Errorf("with a full disk the page is %q", body)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if resp, body := p.subscribe(p.host(), subscription(t, "https://fcm.googleapis.com/fcm/send/after")); resp.StatusCode != http.StatusCreated {
		t.Errorf("with room again: %d %s", resp.StatusCode, body)
	}
	p.terminate()
	if got := stored(t, filepath.Join(dir, "caddy", "webpush", "webpush.db"), p.host()); got < int64(acked)+1 {
		t.Errorf("%d stored, %d acknowledged", got, acked+1)
	}
}
