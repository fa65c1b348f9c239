package people

import (
	"slices"
	"time"
)

// convert counts the event as success for the last view of each pop-up, once. The time limit runs from the
// view and starts again with the last click.
func (a *applier) convert(e Entry) {
	for _, c := range a.batch.Conversions {
		if c.Event != e.Name {
			continue
		}
		after := func(t time.Time) bool { return !t.IsZero() && !e.Time.Before(t) && e.Time.Sub(t) <= c.Within }
		shown := a.current.Shown
		for i := len(shown) - 1; i >= 0; i-- {
			s := shown[i]
			if s.Popup != c.Popup || !after(s.At) && !after(s.Clicked) {
				continue
			}
			if !s.Converted {
				a.current.Shown = slices.Clone(shown)
				a.current.Shown[i].Converted = true
				variant := s.Variant
				if s.Control {
					variant = string(ActControl)
				}
				a.stat(PopupAct{Popup: s.Popup, Variant: variant, Act: ActConverted}, e.Time)
			}
			break
		}
	}
}

func (a *applier) popup(e Entry) {
	act := e.Popup
	a.stat(*act, e.Time)
	c := a.current.Popups[act.Popup]
	switch act.Act {
	case ActControl:
		a.shown(Shown{At: e.Time, Control: true}, act)
		c.Kept++
		c.Last = latest(c.Last, e.Time)
	case ActViewed:
		a.viewed(e)
		c.Viewed++
		c.Last = latest(c.Last, e.Time)
	case ActClicked:
		a.clicked(e)
		c.Clicked++
	case ActSubmitted:
		a.clicked(e)
		return
	case ActClosed:
		c.Closed++
	default:
		return
	}
	setIn(&a.current.Popups, act.Popup, c)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// shown appends to the profile's views.
func (a *applier) shown(s Shown, act *PopupAct) {
	s.Popup, s.Variant, s.Session = act.Popup, act.Variant, a.sessionMark
	a.current.Shown = append(slices.Clone(a.current.Shown), s)
}

// lastShown returns the index in Shown of the last time that the pop-up was seen; negative for none.
func (a *applier) lastShown(popup string) int {
	for i, s := range slices.Backward(a.current.Shown) {
		if s.Popup == popup && !s.Control {
			return i
		}
	}
	return -1
}

// viewed records a view. If it follows its own click, the click's entry becomes seen.
func (a *applier) viewed(e Entry) {
	if i := a.lastShown(e.Popup.Popup); i >= 0 && a.current.Shown[i].Unseen && a.current.Shown[i].Session == a.sessionMark {
		a.current.Shown = slices.Clone(a.current.Shown)
		a.current.Shown[i].Unseen = false
		return
	}
	a.shown(Shown{At: e.Time}, e.Popup)
}

// clicked records a click on the last view.
func (a *applier) clicked(e Entry) {
	i := a.lastShown(e.Popup.Popup)
	if i < 0 {
		a.shown(Shown{At: e.Time, Clicked: e.Time, Unseen: true}, e.Popup)
		return
	}
	if e.Time.After(a.current.Shown[i].Clicked) {
		a.current.Shown = slices.Clone(a.current.Shown)
		a.current.Shown[i].Clicked = e.Time
	}
}

func (a *applier) stat(act PopupAct, at time.Time) {
	key := PopupStat{Popup: act.Popup, Variant: act.Variant, Act: act.Act, Element: act.Element, Hour: at.Truncate(time.Hour)}
	if !a.cost.addHour(key) {
		a.counts.RefusedReports++
		return
	}
	setIn(&a.change.Popups, key, a.change.Popups[key]+1)
}
