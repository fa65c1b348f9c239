package pushsvc_test

import (
	"errors"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func TestNewMove(t *testing.T) {
	waiting := func(site string) pushsvc.Message {
		return pushsvc.Message{ID: "w", Site: site, State: pushsvc.StateQueued}
	}
	begun := pushsvc.Message{ID: "b", Site: "from", State: pushsvc.StateSending, Started: at(1)}
	for name, c := range map[string]struct {
		into       string
		moves      []pushsvc.SiteMove
		gone       bool
		unfinished []pushsvc.Message
		keepFrom   bool
		err        any
	}{
		"nothing waits":       {into: "into"},
		"messages wait":       {into: "into", unfinished: []pushsvc.Message{waiting("from")}, keepFrom: true},
		"at both":             {into: "into", unfinished: []pushsvc.Message{waiting("from"), waiting("into")}},
		"at the other":        {into: "into", unfinished: []pushsvc.Message{waiting("into")}},
		"one is on its way":   {into: "into", unfinished: []pushsvc.Message{waiting("from"), begun}, err: new(*pushsvc.SiteBusyError)},
		"one of the other is": {into: "into", unfinished: []pushsvc.Message{{ID: "b", Site: "into", State: pushsvc.StateSending}}},
		"nothing is there":    {into: "into", gone: true, err: pushsvc.ErrNotFound},
		"the same name":       {into: "from", err: new(*pushsvc.SiteNameError)},
		"no name":             {into: "", gone: true, err: new(*pushsvc.SiteNameError)},
		"another name":        {into: "into", moves: []pushsvc.SiteMove{{From: "from", Into: "x"}}, err: new(*pushsvc.SiteNameError)},
		"it is moving":        {into: "into", moves: []pushsvc.SiteMove{{From: "x", Into: "from", Running: true}}, gone: true, err: pushsvc.ErrSiteMoving},
	} {
		m, begun, err := pushsvc.NewMove(c.moves, "from", c.into, at(1.2345), !c.gone, c.unfinished)
		if begun {
			t.Errorf("%s: it has begun already", name)
		}
		switch want := c.err.(type) {
		case nil:
			if err != nil || m.KeepFrom != c.keepFrom || !m.Running || !m.Begun.Equal(at(1.234)) {
				t.Errorf("%s: %+v, %v", name, m, err)
			}
		case error:
			if !errors.Is(err, want) {
				t.Errorf("%s: %v", name, err)
			}
		default:
			if !errors.As(err, want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestNewMoveAgain: a repeated call continues the move, although the messages of the site have begun.
func TestNewMoveAgain(t *testing.T) {
	there := pushsvc.SiteMove{From: "from", Into: "into", Begun: at(1), Base: 7}
	m, begun, err := pushsvc.NewMove([]pushsvc.SiteMove{{From: "x", Into: "into"}, there}, "from", "into", at(2), false, []pushsvc.Message{{Site: "from", State: pushsvc.StateSending}})
	if err != nil || !begun || m.Base != 7 || !m.Begun.Equal(at(1)) {
		t.Errorf("%+v, %v, %v", m, begun, err)
	}
}

// TestUnmoved: only rows that are still moving to the site itself count.
func TestUnmoved(t *testing.T) {
	moves := []pushsvc.SiteMove{{From: "a", Into: "done"}, {From: "b", Into: "moving", Running: true}}
	for site, want := range map[string]error{"done": nil, "moving": pushsvc.ErrSiteMoving, "b": nil, "other": nil} {
		if err := pushsvc.Unmoved(moves, site); !errors.Is(err, want) {
			t.Errorf("%s: %v", site, err)
		}
	}
}

// TestRedirect: other names of the site follow it; a name that comes back is no other name.
func TestRedirect(t *testing.T) {
	m := pushsvc.SiteMove{From: "from", Into: "into"}
	for name, c := range map[string]struct {
		other pushsvc.SiteMove
		into  string
		stays bool
	}{
		"of the site":    {pushsvc.SiteMove{From: "x", Into: "from"}, "into", true},
		"of the new one": {pushsvc.SiteMove{From: "x", Into: "into"}, "into", true},
		"of another":     {pushsvc.SiteMove{From: "x", Into: "y"}, "y", true},
		"the way back":   {pushsvc.SiteMove{From: "into", Into: "from"}, "into", false},
	} {
		if stays := m.Redirect(&c.other); stays != c.stays || c.other.Into != c.into {
			t.Errorf("%s: %+v, stays %v", name, c.other, stays)
		}
	}
}

// TestForgetMoves: with a site go its other names, with another name only itself.
func TestForgetMoves(t *testing.T) {
	moves := []pushsvc.SiteMove{{From: "a", Into: "s"}, {From: "b", Into: "s"}, {From: "c", Into: "t"}, {From: "d", Into: "u", Running: true}}
	for _, c := range []struct {
		names []string
		gone  string
		err   error
	}{
		{[]string{"s"}, "ab", nil},
		{[]string{"a"}, "a", nil},
		{[]string{"c", "s"}, "abc", nil},
		{[]string{"z"}, "", nil},
		{[]string{"a", "d"}, "", pushsvc.ErrSiteMoving},
		{[]string{"u"}, "", pushsvc.ErrSiteMoving},
	} {
		gone, err := pushsvc.ForgetMoves(moves, c.names)
		got := ""
		for _, m := range gone {
			got += m.From
		}
		if got != c.gone || !errors.Is(err, c.err) {
			t.Errorf("%q: %q, %v", c.names, got, err)
		}
	}
}

func TestAdoptSubscription(t *testing.T) {
	come, known := subscription(3, "a", 1), subscription(50, "a", 2)
	known.Site, known.Seen = "into", at(9)
	for name, c := range map[string]struct {
		known    pushsvc.Subscription
		keepFrom bool
		id       pushsvc.SubscriptionID
		moved    pushsvc.SiteMoved
	}{
		"new":                      {id: 103, moved: pushsvc.SiteMoved{Subscriptions: 1}},
		"at both":                  {known: known, id: 50, moved: pushsvc.SiteMoved{Joined: 1}},
		"at both, messages wait":   {known: known, keepFrom: true, id: 103, moved: pushsvc.SiteMoved{Joined: 1}},
		"a row that can't be read": {known: pushsvc.Subscription{ID: 50}, keepFrom: true, id: 50},
	} {
		m := pushsvc.SiteMove{From: "from", Into: "into", Base: 100, KeepFrom: c.keepFrom}
		row := m.Adopt(come, c.known)
		if row.ID != c.id || row.Site != "into" || m.Moved != c.moved || (c.known.Endpoint != "") != (row.Auth[0] == 2) {
			t.Errorf("%s: %+v, moved %+v", name, row, m.Moved)
		}
	}
	m := pushsvc.SiteMove{Into: "into", Base: 100, Popups: map[string]string{"p": "p-2"}}
	msg := m.AdoptMessage(pushsvc.Message{ID: "m", Site: "from", Only: 3}, func(id string) bool { return id == "m" })
	if msg.ID != "m-2" || msg.Site != "into" || msg.Only != 103 || m.Moved.Messages != 1 || m.PopupID("p") != "p-2" || m.PopupID("q") != "q" {
		t.Errorf("%+v, %+v", msg, m)
	}
}
