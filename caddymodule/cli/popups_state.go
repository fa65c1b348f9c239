package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/onsite"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// timing compares a running pop-up's from and until with now: empty between them. By the
// visitors' own clocks, a pop-up is over when it is over in all time zones; waiting is
// by UTC.
func timing(p popup.Popup, now time.Time) onsite.Reason {
	if p.State != popup.Running {
		return ""
	}
	if _, public := onsite.Public(&p, now); !public {
		return onsite.NotAnyMore
	}
	if onsite.Window(&p, now, onsite.Zone(&p, "")) == onsite.NotYet {
		return onsite.NotYet
	}
	return ""
}

// The states of a running pop-up that only the list has.
const (
	stateWaiting popup.State = "waiting"
	stateOver    popup.State = "over"
)

// popupStates are the names of a pop-up's state in the list, and their meaning to visitors.
var popupStates = []struct {
	state popup.State
	means string
}{
	{popup.Draft, "not shown until it is run"},
	{popup.Running, "shown to visitors"},
	{popup.Paused, "not shown until it is run again"},
	{stateWaiting, `runs, and is shown from its "from" on`},
	{stateOver, `runs, and is no longer shown: its "until" has passed`},
}

// listedState is a pop-up's state in a list.
func listedState(p popup.Popup, now time.Time) popup.State {
	switch timing(p, now) {
	case onsite.NotAnyMore:
		return stateOver
	case onsite.NotYet:
		return stateWaiting
	}
	return p.State
}

// statesHelp explains all states, for --help.
func statesHelp() string {
	text := "Its state in the list is one of:\n"
	for _, s := range popupStates {
		text += fmt.Sprintf("  %-8s %s\n", s.state, s.means)
	}
	return strings.TrimSuffix(text, "\n")
}

// explainStates explains the states in the list that no command sets.
func explainStates(w io.Writer, listed []popup.State) error {
	for _, s := range popupStates {
		if (s.state == stateWaiting || s.state == stateOver) && slices.Contains(listed, s.state) {
			if _, err := fmt.Fprintf(w, "%s: %s.\n", s.state, s.means); err != nil {
				return err
			}
		}
	}
	return nil
}

// stateWords describe the meaning of a pop-up's state to visitors.
func stateWords(p popup.Popup, now time.Time) string {
	switch timing(p, now) {
	case onsite.NotAnyMore:
		return fmt.Sprintf("running, but no visitor sees it any more: it ended at %s", p.Until)
	case onsite.NotYet:
		return fmt.Sprintf("running: visitors see it from %s on", p.From)
	}
	if p.State == popup.Draft {
		return "a draft: no visitor sees it until it is run"
	}
	return string(p.State)
}
