package cli_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRestoreHolds: restore says which messages it holds and how they are released;
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
		out, err := p.Command(append([]string{"webpush", "restore", "--force", "--config", p.File, file}, args...)...).CombinedOutput()
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
