package caddymodule_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestRestoreHolds: restore says which messages it holds and how they are released;
// the lists say so too, and the log at the start.
func TestRestoreHolds(t *testing.T) {
	p := newProcess(t, "", t.TempDir())
	p.start()
	p.readers(3)
	site := []string{"--site", p.host()}
	scheduled, other, over := p.sent("--at", "+1h"), p.sent("--at", "+2h"), p.sent("--at", "+3h")
	p.ok("messages", "cancel", "--site", p.host(), over.ID)
	file := filepath.Join(t.TempDir(), "webpush.backup")
	p.ok("backup", file)
	p.ok("messages", "cancel", "--site", p.host(), scheduled.ID) // which the backup does not know
	p.terminate()

	restore := func(args ...string) string {
		t.Helper()
		out, err := p.command(append([]string{"webpush", "restore", "--force", "--config", p.file, file}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	out := restore()
	for _, want := range []string{"2 messages are held", scheduled.ID, other.ID, p.host(), "messages resume --site " + p.host(), "messages cancel --site"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, over.ID) {
		t.Errorf("one that had ended is listed:\n%s", out)
	}
	if out := restore("--json"); !strings.Contains(out, `"held":[{"site":"`+p.host()) {
		t.Errorf("as JSON:\n%s", out)
	}
	p.start()
	if log := p.log.String(); strings.Count(log, "messages are held") != 1 || !strings.Contains(log, `"messages":2`) {
		t.Errorf("the log is\n%s", log)
	}
	p.says(append([]string{"messages", "list"}, site...), "held")
	p.says(append([]string{"messages", "show", scheduled.ID}, site...), "held", "restored from a backup", "resume")
	p.says(append([]string{"messages", "show", scheduled.ID, "--json"}, site...), `"state":"held"`)
	p.says(append([]string{"messages", "pause", scheduled.ID}, site...), "is held")
	p.says(append([]string{"messages", "resume", scheduled.ID}, site...), "is scheduled")
	p.refused("not both", "messages", "cancel", other.ID, "--held", "--site", p.host())
	p.refused("give the message's id", "messages", "cancel", "--site", p.host())
	p.says(append([]string{"messages", "cancel", "--held"}, site...), other.ID+" is cancelled")
	p.refused("no message of the site is held", "messages", "resume", "--held", "--site", p.host())
	p.terminate()
	p.start()
	p.says(append([]string{"messages", "show", scheduled.ID}, site...), "scheduled")
	if log := p.log.String(); strings.Count(log, "messages are held") != 1 {
		t.Errorf("nothing is held any more, and the log is\n%s", log)
	}
}
