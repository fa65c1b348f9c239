package cli_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/caddytest"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// says runs a command whose output must have all of the texts.
func (p *process) says(args []string, want ...string) string {
	p.T.Helper()
	out := p.OK(args...)
	for _, text := range want {
		if !strings.Contains(out, text) {
			p.T.Errorf("%v printed\n%s\nwithout %q", args, out, text)
		}
	}
	return out
}

// refused runs a command that must fail and say so.
func (p *process) refused(want string, args ...string) {
	p.T.Helper()
	out, stderr, err := p.CLI(args...)
	if err == nil || !strings.Contains(stderr, want) {
		p.T.Errorf("%v: %v, told %q; want an error with %q\n%s", args, err, stderr, want, out)
	}
}

// sent is what "send --json" says.
func (p *process) sent(args ...string) (m struct{ ID, State string }) {
	p.T.Helper()
	out := p.OK(append([]string{"send", "--json", "--site", p.Host(), "--title", "x"}, args...)...)
	if err := json.Unmarshal([]byte(out), &m); err != nil || m.ID == "" {
		p.T.Fatalf("%v: %s", err, out)
	}
	return m
}

// readers makes n subscribers whose push service resolves nowhere.
func (p *process) readers(n int) {
	p.T.Helper()
	for i := range n {
		if resp, body := p.Subscribe(p.Host(), caddytest.Subscription(p.T, fmt.Sprintf("https://push.webpush.test/secret/%d", i))); resp.StatusCode != 201 {
			p.T.Fatalf("subscribing: %d %s", resp.StatusCode, body)
		}
	}
}

// TestMessageCommands: a message is scheduled, looked at, paused, resumed,
// cancelled and waited for.
func TestMessageCommands(t *testing.T) {
	p := started(t, "")
	p.readers(3)
	site := []string{"--site", p.Host()}
	p.says(append([]string{"send", "--title", "Dry", "--body", "Q&A <now>", "--dry-run", "--at", "+1h", "--rate", "10/m"}, site...), "Nothing was sent", "3 subscribers", "At 0.167/s that takes 18s", "other", `"title": "Dry"`, `"body": "Q&A <now>"`)
	p.says(append([]string{"messages"}, site...), "No messages yet")
	p.says(append([]string{"send", "--title", "Later", "--at", "+2h"}, site...), "will be sent at", "3 subscribers")
	m := p.sent("--at", "+1h", "--rate", "0.5/s", "--to", "2", "--urgency", "high")
	if m.State != "scheduled" {
		t.Errorf("state %s", m.State)
	}
	p.says(append([]string{"messages", "list"}, site...), m.ID, "scheduled", "Later")
	p.says(append([]string{"messages", "show", m.ID}, site...), "0.5/s", "only to", "send at", "expires", "pending")
	p.refused("only a paused one", "messages", "resume", "--site", p.Host(), m.ID)
	p.says(append([]string{"messages", "pause", m.ID}, site...), "is paused")
	p.says(append([]string{"messages", "resume", m.ID}, site...), "is scheduled")
	p.says(append([]string{"messages", "cancel", m.ID}, site...), "is cancelled", "1 cancelled")
	p.says(append([]string{"messages", m.ID, "--json"}, site...), `"state":"cancelled"`)
	p.refused("can't be paused: it is cancelled", "messages", "pause", "--site", p.Host(), m.ID)
	p.refused("no message", "messages", "cancel", "--site", p.Host(), "x")
	p.refused("no message", "messages", "cancel", "--site", p.Host(), m.ID+"/cancel?")
	p.refused("no message", "messages", "show", "--site", p.Host(), m.ID+"?limit=1")
	p.refused("no subscriber", "subscribers", "remove", "--site", p.Host(), "1?x")
	p.refused("--site is missing", "messages", "cancel", m.ID)
	for _, tt := range [][]string{{"--at", "tomorrow"}, {"--at", "2001-01-01 00:00"}, {"--rate", "fast"}, {"--to", "99"}, {"--to", "x"}} {
		want := map[string]string{"--at": "--at", "--rate": "--rate", "--to": "--to"}[tt[0]]
		p.refused(want, append([]string{"send", "--title", "x", "--site", p.Host()}, tt...)...)
	}
	t.Run("cancelled while waited for", func(t *testing.T) {
		wait := p.waiting("--at", "+1h", "--idempotency-key", "k1")
		p.OK("messages", "cancel", "--site", p.Host(), wait.id)
		if err := wait.cmd.Wait(); err == nil || !strings.Contains(wait.stderr.String(), "the message was cancelled") {
			t.Errorf("%v, told %q", err, wait.stderr.String())
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		wait := p.waiting("--at", "+1h", "--idempotency-key", "k2")
		if err := wait.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		err := wait.cmd.Wait()
		if text := wait.stderr.String(); err == nil || !strings.Contains(text, "The message continues") || !strings.Contains(text, "messages cancel --site "+p.Host()+" "+wait.id) {
			t.Errorf("%v, told %q", err, text)
		}
		p.says([]string{"messages", "show", "--site", p.Host(), wait.id}, "scheduled")
	})
	p.Terminate()
}

// waitingCommand is a "send --wait" that waits.
type waitingCommand struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	id     string
}

// waiting starts one and returns when its message is there.
func (p *process) waiting(args ...string) waitingCommand {
	p.T.Helper()
	before := p.newestMessage()
	w := waitingCommand{stderr: new(bytes.Buffer)}
	w.cmd = p.Command(append([]string{"webpush", "--address", fmt.Sprintf("localhost:%d", p.Admin), "send", "--wait", "--site", p.Host(), "--title", "x"}, args...)...)
	w.cmd.Stderr = w.stderr
	if err := w.cmd.Start(); err != nil {
		p.T.Fatal(err)
	}
	p.T.Cleanup(func() { _ = w.cmd.Process.Kill() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if w.id = p.newestMessage(); w.id != before {
			time.Sleep(300 * time.Millisecond) // the command has begun to wait
			return w
		}
		if time.Now().After(deadline) {
			p.T.Fatalf("no message came: %s", w.stderr)
		}
	}
}

func (p *process) newestMessage() string {
	p.T.Helper()
	var list struct{ Messages []struct{ ID string } }
	if err := json.Unmarshal([]byte(p.OK("messages", "--json", "--limit", "1", "--site", p.Host())), &list); err != nil {
		p.T.Fatal(err)
	}
	if len(list.Messages) == 0 {
		return ""
	}
	return list.Messages[0].ID
}

// TestTransferCommands: subscribers go from one server to another by a file,
// with their key, and come from OneSignal.
func TestTransferCommands(t *testing.T) {
	from, to := newProcess(t, "", t.TempDir()), newProcess(t, "", t.TempDir())
	from.Start()
	to.Start()
	from.readers(5)
	dir := t.TempDir()
	file := filepath.Join(dir, "subscribers.ndjson")
	from.says([]string{"subscribers", "export", "--site", from.Host(), file}, "5 subscribers of "+from.Host(), "Keep it safe")
	text, err := os.ReadFile(file)
	if info, serr := os.Stat(file); err != nil || serr != nil || info.Mode().Perm() != 0o600 || bytes.Count(text, []byte("\n")) != 5 {
		t.Fatalf("%v, %v, %q", err, serr, text)
	}
	if out := from.OK("subscribers", "export", "--site", from.Host()); out != string(text) {
		t.Errorf("to standard output came\n%s", out)
	}
	from.refused("--site is missing", "subscribers", "export", file)
	from.refused("there is no site", "subscribers", "export", "--site", "shop.example.com", filepath.Join(dir, "none"))
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("a failed export left a file")
	}

	// Without the key pair no message could be sent to them.
	out, stderr, err := to.CLI("subscribers", "import", "--site", to.Host(), file)
	if err == nil || !strings.Contains(stderr, "the file has no valid row") || !strings.Contains(out, "line 5, row 5: applicationServerKey is not in the key ring") {
		t.Errorf("%v, %q\n%s", err, stderr, out)
	}
	pair, err := service.NewKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(dir, "vapid.key")
	if err := os.WriteFile(private, []byte(pair.Private.Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var foreign strings.Builder
	foreign.WriteString("id,identifier,invalid_identifier,device_type,web_auth,web_p256,tags\n")
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var sub struct {
			Endpoint string
			Keys     struct{ P256DH, Auth string }
		}
		if err := json.Unmarshal([]byte(line), &sub); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&foreign, "%d,%s,%t,5,%s,%s,\"{\"\"a\"\":1}\"\n", i, sub.Endpoint, i == 4, sub.Keys.Auth, sub.Keys.P256DH)
	}
	csv := filepath.Join(dir, "players.csv.gz")
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write([]byte(foreign.String())); err != nil || zip.Close() != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(csv, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	to.refused("import the pair first", "subscribers", "import", "--site", to.Host(), csv, "--key", "nonsense")
	to.says([]string{"subscribers", "import", "--site", to.Host(), csv, "--key", "current", "--dry-run"}, "Nothing was stored", "(onesignal)", "new          4")
	to.says([]string{"subscribers", "import", "--site", to.Host(), csv, "--vapid-public", pair.Public, "--vapid-private-file", private}, "added        4", "skipped      1")
	to.says([]string{"subscribers", "import", "--json", "--site", to.Host(), csv, "--key", pair.ID, "--format", "onesignal"}, `"added":0,"known":4`)
	to.says([]string{"keys", "list", "--count"}, pair.ID, "SUBSCRIBERS", "4")
	to.refused("not one of auto", "subscribers", "import", "--site", to.Host(), csv, "--format", "xml")
	to.refused("neither JSON nor a table", "subscribers", "import", "--site", to.Host(), private)
	to.refused("opening the subscribers", "subscribers", "import", "--site", to.Host(), filepath.Join(dir, "none"))

	if out := to.OK("keys"); !strings.Contains(strings.Split(out, "\n")[2], pair.ID) {
		t.Errorf("the imported key is the current one:\n%s", out)
	}
	to.says([]string{"subscribers", "import", "--site", to.Host(), csv, "--vapid-public", pair.Public, "--dry-run"}, "new          0", "known        4")
	cut := filepath.Join(dir, "cut.gz")
	if err := os.WriteFile(cut, packed.Bytes()[:packed.Len()-20], 0o600); err != nil {
		t.Fatal(err)
	}
	to.refused("reading the subscribers: unexpected EOF", "subscribers", "import", "--site", to.Host(), cut, "--key", pair.ID)
	to.refused("is a folder", "subscribers", "import", "--site", to.Host(), dir)
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	to.refused("has no rows", "subscribers", "import", "--site", to.Host(), empty)
	from.refused("--force", "subscribers", "export", "--site", from.Host(), file)
	from.OK("subscribers", "export", "--force", "--site", from.Host(), file)
	table := filepath.Join(dir, "table.csv.gz")
	from.says([]string{"subscribers", "export", "--site", from.Host(), table}, "5 subscribers")
	if head, err := os.ReadFile(table); err != nil || !bytes.HasPrefix(head, []byte("\x1f\x8b")) {
		t.Errorf("%s is not packed: %v", table, err)
	}
	from.says([]string{"subscribers", "import", "--site", from.Host(), table}, "(csv)", "known        5")
	from.says([]string{"subscribers", "export", "--site", from.Host(), "--format", "csv"}, "endpoint,p256dh,auth,")
	from.refused("write ndjson or csv", "subscribers", "export", "--site", from.Host(), "--format", "xml")
	stranger, err := service.NewKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(private, []byte(stranger.Private.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	to.refused("the key ring is unchanged", "subscribers", "import", "--site", to.Host(), private, "--vapid-public", stranger.Public, "--vapid-private-file", private)
	if out := to.OK("keys"); strings.Contains(out, stranger.ID) {
		t.Errorf("an invalid file imported a key:\n%s", out)
	}

	to.says([]string{"keys", "rotate"}, "is the current one now")
	if out := to.OK("keys"); strings.Count(out, "\n") != 4 || strings.Contains(out, "SUBSCRIBERS") {
		t.Errorf("keys after a rotation:\n%s", out)
	}
	from.Terminate()
	to.Terminate()
	for _, log := range []string{from.Log.String(), to.Log.String()} {
		if strings.Contains(log, "secret") || strings.Contains(log, pair.Private.Reveal()) {
			t.Error("a log has a secret")
		}
	}
}

// TestBackupCommands: a store is copied while it is used, and brought back.
func TestBackupCommands(t *testing.T) {
	p := started(t, "")
	p.readers(4)
	keys := p.OK("keys")
	file := filepath.Join(t.TempDir(), "webpush.backup")
	p.says([]string{"backup", file}, "4 subscribers of 1 site", "1 key", "Keep it safe")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	p.refused("--force", "backup", file)
	p.says([]string{"backup", "--json", "--force", file}, `"subscriptions":4`)
	p.says([]string{"compact"}, "The store was")
	p.says([]string{"subscribers", "remove", "--site", p.Host(), "1"}, "Removed")

	restore := func(args ...string) (string, error) {
		out, err := p.Command(append([]string{"webpush", "restore", "--yes", "--config", p.File}, args...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := restore("--force", file); err == nil || !strings.Contains(out, "stop Caddy first") {
		t.Errorf("under a running server: %v\n%s", err, out)
	}
	if out, err := restore(file); err == nil || !strings.Contains(out, "stop Caddy first") || strings.Contains(out, "--force") {
		t.Errorf("under a running server, without --force: %v\n%s", err, out)
	}
	p.says([]string{"subscribers"}, "3")
	p.Terminate()
	if out, err := restore(file); err == nil || !strings.Contains(out, "--force replaces it") {
		t.Errorf("over another store: %v\n%s", err, out)
	}
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, bytes.Repeat([]byte("junk "), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := restore("--force", junk); err == nil {
		t.Errorf("junk was restored:\n%s", out)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The file's end may be free pages.
	for name, cut := range map[string][]byte{"it is cut short": whole[:4*os.Getpagesize()], "it is empty": nil} {
		if err := os.WriteFile(junk, cut, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, more := range [][]string{nil, {"--damaged"}} {
			out, err := restore(append(more, "--force", junk)...)
			if err == nil || !strings.Contains(out, name) || !strings.Contains(out, "--damaged cannot help") || !strings.Contains(out, "Copy the backup again") {
				t.Errorf("%s, %q: %v\n%s", name, more, err, out)
			}
		}
	}
	out, err := restore("--force", file)
	if err != nil || !strings.Contains(out, "is restored: 4 subscribers") || !strings.Contains(out, "is kept as") {
		t.Fatalf("%v\n%s", err, out)
	}
	p.Start()
	p.says([]string{"subscribers"}, "4")
	if after := p.OK("keys"); after != keys {
		t.Errorf("the keys are\n%s, before\n%s", after, keys)
	}
	p.Terminate()

	// To another place that there is nothing at.
	other := filepath.Join(t.TempDir(), "new", "webpush.db")
	if out, err := restore("--json", "--storage", other, file); err != nil || !strings.Contains(out, `"subscriptions":4`) || strings.Contains(out, "kept") {
		t.Errorf("%v\n%s", err, out)
	}
	if got := caddytest.Stored(t, other, p.Host()); got != 4 {
		t.Errorf("%d subscriptions", got)
	}
}
