package prompt

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// TestAfterWords: each condition and trigger has its words, and may be set once.
func TestAfterWords(t *testing.T) {
	var a After
	for _, line := range []string{"2 pages", "1d12h", "scroll 50%", "click .a", "event Bought", "exit"} {
		if err := a.Add(pushsvc.ParseDuration, strings.Split(line, " ")...); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if want := (After{Pages: 2, Delay: Delay(36 * time.Hour), Scroll: 50, Click: ".a", Event: "Bought", Exit: true}); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
	before := a
	for line, fault := range map[string]string{
		"3 pages": "given twice", "scroll 1": "given twice", "scroll half": "not a share", "scroll 0": "not a share", "no pages": "not a number",
		"manual now": "write", "click ": "write", "-5s": "write", "soon": "write", "": "write",
	} {
		if err := a.Add(pushsvc.ParseDuration, strings.Split(line, " ")...); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v, want %q", line, err, fault)
		}
	}
	if a != before {
		t.Errorf("a fault changed it: %+v", a)
	}
}
