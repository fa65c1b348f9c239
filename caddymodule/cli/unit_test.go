package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile" // the adapter of TestAdminOff

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

func TestParseAt(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, zone)
	for in, want := range map[string]string{
		"":                          "",
		"2026-11-24 09:00":          "2026-11-24T09:00:00+02:00",
		"2026-11-24 09:00:30":       "2026-11-24T09:00:30+02:00",
		"2026-11-24T09:00":          "2026-11-24T09:00:00+02:00",
		"2026-11-24T09:00:00Z":      "2026-11-24T09:00:00Z",
		"2026-11-24T09:00:00-05:00": "2026-11-24T09:00:00-05:00",
		"+90m":                      "2026-11-23T13:30:00+02:00",
		"+1d":                       "2026-11-24T12:00:00+02:00",
	} {
		if got, err := parseAt(in, now); err != nil || got != want {
			t.Errorf("parseAt(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"tomorrow", "09:00", "+", "+-1h", "90m", "2026-13-01 00:00", "24.11.2026"} {
		if got, err := parseAt(in, now); err == nil || !strings.Contains(err.Error(), "--at") {
			t.Errorf("parseAt(%q) = %q, %v", in, got, err)
		}
	}
}

// TestPrintSent: the recipients of a message with topics are not counted yet.
func TestPrintSent(t *testing.T) {
	for _, tt := range []struct {
		topics []string
		want   string
	}{{nil, "to 3 subscribers of a.example."}, {[]string{"deals", "news"}, "to the subscribers to deals or news of a.example."}} {
		m := api.Message{ID: "id", Site: "a.example", Topics: tt.topics}
		m.Results.Audience = 3
		var b bytes.Buffer
		c := &command{address: "localhost:2020"}
		if err := c.printSent(&b, m); err != nil || !strings.Contains(b.String(), "is on its way "+tt.want) ||
			!strings.Contains(b.String(), ": caddy webpush --address localhost:2020 messages --site a.example id\n") {
			t.Errorf("%q: %s, %v", tt.topics, b.String(), err)
		}
	}
}

func TestParseRate(t *testing.T) {
	for in, want := range map[string]float64{"500/s": 500, "30000/m": 500, "3600/h": 1, "0.5/s": 0.5} {
		if got, err := parseRate(in); err != nil || *got != want {
			t.Errorf("parseRate(%q) = %v, %v", in, got, err)
		}
	}
	if got, err := parseRate(""); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	for _, in := range []string{"fast", "500", "0.5", "0", "0/s", "-1/s", "5/d", "5/", "/s", "NaN/s"} {
		if got, err := parseRate(in); err == nil {
			t.Errorf("parseRate(%q) = %v, %v", in, got, err)
		}
	}
}

func TestBars(t *testing.T) {
	for _, tt := range []struct {
		progress pushsvc.Progress
		elapsed  time.Duration
		want     string
	}{
		{pushsvc.Progress{}, time.Second, "[██████████████████████████████] 100%  0/0  accepted 0"},
		{pushsvc.Progress{Audience: 10, Pending: 10}, 0, "[░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░]   0%  0/10  accepted 0"},
		{
			pushsvc.Progress{Audience: 300, Pending: 190, Accepted: 90, Later: 10, Gone: 1, Left: 2, Failed: map[string]int64{"dns": 3}, Expired: 4},
			10 * time.Second,
			"[██████████░░░░░░░░░░░░░░░░░░░░]  33%  100/300  accepted 90, to be tried again 10, gone 1, left 2, failed 3, expired 4  10/s  ETA 20s",
		},
	} {
		if got := messageProgress(tt.progress, tt.elapsed); got != tt.want {
			t.Errorf("%+v:\n%s\nwant\n%s", tt.progress, got, tt.want)
		}
	}
	if got, want := transferProgress(512, 1024, 1000, 4*time.Second), "[███████████████░░░░░░░░░░░░░░░]  50%  1000 rows  250 rows/s  ETA 4s"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got, want := transferProgress(512, 0, 7, 0), "7 rows"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestProgress: a terminal's line is written over, a log gets lines, and
// neither too many.
func TestProgress(t *testing.T) {
	now := time.Unix(0, 0)
	for _, tt := range []struct {
		terminal bool
		want     string
	}{
		{true, "\r1\x1b[K\r3\x1b[K\rend\x1b[K\n"},
		{false, "3\nend\n"},
	} {
		var out bytes.Buffer
		p := &progress{w: &out, terminal: tt.terminal, clock: func() time.Time { return now }, shown: now}
		for _, step := range []struct {
			after time.Duration
			text  string
		}{{terminalPace, "1"}, {terminalPace / 2, "2"}, {logPace, "3"}, {logPace, "3"}} {
			now = now.Add(step.after)
			p.show(step.text)
		}
		p.finish("end")
		p.abandon() // nothing is open
		if out.String() != tt.want {
			t.Errorf("terminal %t: %q, want %q", tt.terminal, out.String(), tt.want)
		}
	}
}

// TestWriteFile: whole or not at all, for its owner only.
func TestWriteFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	put := func(text string, fail error) func(io.Writer, string) error {
		return func(w io.Writer, temp string) error {
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
			if got, err := os.ReadFile(temp); err != nil || string(got) != text {
				t.Errorf("%s has %q, %v", temp, got, err)
			}
			return fail
		}
	}
	broken := errors.New("broken")
	if err := writeFile(name, false, put("one", broken)); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if err := writeFile(name, false, put("two", nil)); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(name, false, put("three", nil)); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("%v", err)
	}
	if err := writeFile(name, true, put("four", broken)); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "two" {
		t.Errorf("%q, %v", got, err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := writeFile(name, true, put("five", nil)); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	if err := writeFile(filepath.Join(name+"-none", "x"), true, put("", nil)); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("%v", err)
	}
}

// TestAdminOff: where the configuration has no admin endpoint, commands name the line.
func TestAdminOff(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte("{\n\tadmin off\n}\n:80\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &command{config: file}
	if _, err := c.client(nil).ListSites(t.Context()); err == nil || !strings.Contains(err.Error(), file+` has "admin off"`) {
		t.Errorf("with a configuration: %v", err)
	}
	c = &command{address: "127.0.0.1:1"}
	if _, err := c.client(nil).ListSites(t.Context()); err == nil || !strings.Contains(err.Error(), `"admin off"`) {
		t.Errorf("without: %v", err)
	}
	if err := os.WriteFile(file, []byte("{\n\tadmin localhost:2999\n}\n:80\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := (&command{config: file}).admin(); err != nil || got != "localhost:2999" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestStatesDocumented: the reference explains each state that the list of pop-ups has.
func TestStatesDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../.github/docs/popups.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range popupStates {
		if !strings.Contains(string(doc), "\n| `"+string(s.state)+"` | ") {
			t.Errorf("popups.md does not explain the state %s", s.state)
		}
	}
}
