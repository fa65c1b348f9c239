package caddymodule_test

import (
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

// process is a real Caddy process with its own data directory.
type process struct{ *caddytest.Process }

func newProcess(t *testing.T, text, data string) *process {
	t.Helper()
	return &process{caddytest.New(t, text, data)}
}

// TestExampleProcess runs the README's first command, and the CLI against it,
// across a kill -9 and a regular end.
func TestExampleProcess(t *testing.T) {
	p := newProcess(t, "", t.TempDir())
	p.Start()
	if _, body := p.Page(p.Host(), "/"); !strings.Contains(body, snippet+"\n</head>") && !strings.Contains(body, snippet+"</head>") {
		t.Fatalf("the page has no snippet:\n%s", body)
	}
	if out, err := p.Command("validate", "--config", p.File).CombinedOutput(); err != nil {
		t.Fatalf("validate beside the running server: %v\n%s", err, out)
	}
	if _, stderr, err := p.CLI("send", "--site", p.Host(), "--title", "x"); err != nil || !strings.Contains(stderr, "has no subscriber") {
		t.Errorf("sending without recipients: %v, %q", err, stderr)
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
	// No subscriber gets it: scripts must see that.
	out, stderr, err := p.CLI("send", "--site", p.Host(), "--title", "x", "--ttl", "3s", "--wait")
	if err == nil || !strings.Contains(stderr, "no subscriber got it") || !strings.Contains(out, "done") {
		t.Errorf("a message that reached no subscriber: %v, %q\n%s", err, stderr, out)
	}
	p.Terminate()
	if strings.Contains(p.Log.String(), "secret") {
		t.Error("the log has an endpoint")
	}
	if !strings.Contains(p.Log.String(), "push is on") {
		t.Error("the log does not say that push is on")
	}
}

// TestDiskFull fills the disk under a running server: pages work, new
// subscriptions get 503, and are accepted again when there is room.
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
