package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRestoreHolds: restore lists the held messages and the commands that release them;
// the lists say so too, and the log at the start.
func TestRestoreHolds(t *testing.T) {
	p := started(t, "")
	p.readers(3)
	site := []string{"--site", p.Host()}
	scheduled, other, over := p.sent("--at", "+1h"), p.sent("--at", "+2h"), p.sent("--at", "+3h")
	p.OK("messages", "cancel", "--site", p.Host(), over.ID)
	file := filepath.Join(t.TempDir(), "webpush.backup")
	p.OK("backup", file)
	p.OK("messages", "cancel", "--site", p.Host(), scheduled.ID) // which the backup does not know
	p.Terminate()

	restore := func(args ...string) string {
		t.Helper()
		out, err := p.Command(append([]string{"webpush", "restore", "--force", "--yes", "--config", p.File, file}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	out := restore()
	for _, want := range []string{"2 messages are held", scheduled.ID, other.ID, p.Host(), "messages resume --site " + p.Host(), "messages cancel --site"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, over.ID) {
		t.Errorf("one that had ended is listed:\n%s", out)
	}
	if out := restore("--json"); !strings.Contains(out, `"held":[{"site":"`+p.Host()) {
		t.Errorf("as JSON:\n%s", out)
	}
	p.Start()
	// The line comes when the store is open, which may be after the first answer.
	for deadline := time.Now().Add(time.Minute); !strings.Contains(p.Log.String(), "messages are held") && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	if log := p.Log.String(); strings.Count(log, "messages are held") != 1 || !strings.Contains(log, `"messages":2`) {
		t.Errorf("the log is\n%s", log)
	}
	p.says(append([]string{"messages", "list"}, site...), "held")
	p.says(append([]string{"messages", "show", scheduled.ID}, site...), "held", "restored from a backup", "resume")
	p.says(append([]string{"messages", "show", scheduled.ID, "--json"}, site...), `"state":"held"`)
	p.says(append([]string{"messages", "pause", scheduled.ID}, site...), "is held")
	p.says(append([]string{"messages", "resume", scheduled.ID}, site...), "is scheduled")
	p.refused("not both", "messages", "cancel", other.ID, "--held", "--site", p.Host())
	p.refused("give the message's id", "messages", "cancel", "--site", p.Host())
	p.says(append([]string{"messages", "cancel", "--held"}, site...), other.ID+" is cancelled")
	p.refused("no message of the site is held", "messages", "resume", "--held", "--site", p.Host())
	p.Terminate()
	p.Start()
	p.says(append([]string{"messages", "show", scheduled.ID}, site...), "scheduled")
	if log := p.Log.String(); strings.Count(log, "messages are held") != 1 {
		t.Errorf("nothing is held any more, and the log is\n%s", log)
	}
}

// TestRestoreChoosesStore: restore names the file that it writes and how it was chosen, and asks
// for --yes where neither --storage nor --config names it.
func TestRestoreChoosesStore(t *testing.T) {
	p := started(t, "")
	p.readers(1)
	backup := filepath.Join(t.TempDir(), "webpush.backup")
	p.OK("backup", backup)
	p.Terminate()
	elsewhere, folder := t.TempDir(), t.TempDir()
	configs := map[string]string{
		"Caddyfile": "{\n\twebpush {\n\t\tstorage bbolt adjacent.db\n\t}\n}\n",
		"absolute":  "{\n\twebpush {\n\t\tstorage bbolt " + filepath.Join(folder, "named.db") + "\n\t}\n}\n",
		"relative":  "{\n\twebpush {\n\t\tstorage bbolt relative.db\n\t}\n}\n",
	}
	for name, text := range configs {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	empty := t.TempDir()
	standard := filepath.Join(elsewhere, "caddy", "webpush", "webpush.db")
	for _, tt := range []struct {
		name, dir string
		args      []string
		path, why string
		asks      bool
	}{
		{"nothing", empty, nil, standard, "the default of", true},
		{"config without storage", empty, []string{"--config", p.File}, standard, p.File + " names no storage path", true},
		{"the folder's Caddyfile", folder, nil, filepath.Join(folder, "adjacent.db"), "Caddyfile of the current folder", true},
		{"relative", folder, []string{"--config", "relative", "--adapter", "caddyfile"}, filepath.Join(folder, "relative.db"), "which relative names as relative.db", true},
		{"config", empty, []string{"--config", filepath.Join(folder, "absolute"), "--adapter", "caddyfile"}, filepath.Join(folder, "named.db"), filepath.Join(folder, "absolute") + " names", false},
		{"storage", empty, []string{"--storage", filepath.Join(folder, "given.db")}, filepath.Join(folder, "given.db"), "which --storage names", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run := func(more ...string) (string, error) {
				cmd := p.Command(append(append([]string{"webpush", "restore", backup}, tt.args...), more...)...)
				cmd.Dir, cmd.Env = tt.dir, append(cmd.Env, "XDG_DATA_HOME="+elsewhere)
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			if tt.asks {
				out, err := run()
				if _, there := os.Stat(tt.path); err == nil || there == nil || !strings.Contains(out, tt.path) || !strings.Contains(out, tt.why) || !strings.Contains(out, "--yes") {
					t.Errorf("without --yes: %v, the file: %v\n%s", err, there, out)
				}
				if out, err := run("--yes"); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			} else if out, err := run(); err != nil || !strings.Contains(out, "Restoring to "+tt.path) || !strings.Contains(out, tt.why) {
				t.Errorf("%v\n%s", err, out)
			}
			if _, err := os.Stat(tt.path); err != nil {
				t.Error(err)
			}
			_ = os.Remove(tt.path)
		})
	}
}
