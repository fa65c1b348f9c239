package cli

import (
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/onsite"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// timing is how a running pop-up's from and until are to now: empty between them.
// By the visitors' own clocks, over is over for the last one on Earth, and waiting
// is by UTC.
func timing(p popup.Popup, now time.Time) onsite.Reason {
	if p.State != popup.Running {
		return ""
	}
	if _, told := onsite.Public(&p, now); !told {
		return onsite.NotAnyMore
	}
	if onsite.Window(&p, now, onsite.Zone(&p, "")) == onsite.NotYet {
		return onsite.NotYet
	}
	return ""
}

// stateWords say what a pop-up's state means to visitors.
func stateWords(p popup.Popup, now time.Time) string {
	switch timing(p, now) {
	case onsite.NotAnyMore:
		return fmt.Sprintf("running, but nobody sees it any more: it is until %s", p.Until)
	case onsite.NotYet:
		return fmt.Sprintf("running: visitors see it from %s on", p.From)
	}
	if p.State == popup.Draft {
		return "a draft: nobody sees it until it is run"
	}
	return string(p.State)
}

// shortState is a pop-up's state in a list.
func shortState(p popup.Popup, now time.Time) string {
	switch timing(p, now) {
	case onsite.NotAnyMore:
		return "over"
	case onsite.NotYet:
		return "waiting"
	}
	return string(p.State)
}
