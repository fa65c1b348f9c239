package storetest

import (
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var topicTests = []test{
	{"topics are kept until others are chosen", testTopics},
	{"topics stay when a visitor subscribes again", testTopicsReplaced},
	{"topics of imported ones", testTopicsImported},
	{"topics of a message", testMessageTopics},
	{"topics and skipped recipients", testPassed},
}

// chose checks the topics of the site's only row, where nil is not empty.
func (h *harness) chose(what string, got, want []string) {
	h.Helper()
	if (got == nil) != (want == nil) || !slices.Equal(got, want) {
		h.Errorf("%s: topics %#v, want %#v", what, got, want)
	}
}

func testTopics(h *harness) {
	s := sub(siteA, 1)
	for i, step := range []struct{ put, want []string }{
		{nil, nil},
		{[]string{"deals", "news"}, []string{"deals", "news"}},
		{nil, []string{"deals", "news"}},
		{[]string{}, []string{}},
		{nil, []string{}},
		{[]string{"Weather-1_a"}, []string{"Weather-1_a"}},
	} {
		s.Topics = step.put
		s.Seen = s.Seen.Add(time.Minute)
		h.chose("row returned", h.putSub(s, nil).Topics, step.want)
		rows := h.all(siteA)
		if h.chose("row read", rows[0].Topics, step.want); len(rows) != 1 || !rows[0].Seen.Equal(s.Seen) {
			h.Errorf("step %d: %+v", i, rows)
		}
	}
	// With wrong keys nothing changes, and stored topics are not returned to the
	// caller.
	s.Auth, s.Topics = auth(666), []string{"attack"}
	h.putSub(s, nil)
	mine := []string{"news"}
	s.Auth, s.Topics = auth(1), mine
	h.putSub(s, nil)
	mine[0] = "other"
	h.chose("after all", h.all(siteA)[0].Topics, []string{"news"})
}

func testTopicsReplaced(h *harness) {
	first := sub(siteA, 1)
	first.Topics = []string{"news"}
	h.putSub(first, nil)
	h.chose("without a choice", h.putSub(sub(siteA, 2), proof(1)).Topics, []string{"news"})
	third := sub(siteA, 3)
	third.Topics = []string{}
	h.chose("with one", h.putSub(third, proof(2)).Topics, []string{})
	h.chose("row read", h.all(siteA)[0].Topics, []string{})
}

func testTopicsImported(h *harness) {
	s := sub(siteA, 1)
	for _, step := range []struct{ put, want []string }{
		{[]string{"news"}, []string{"news"}},
		{nil, []string{"news"}},
		{[]string{"deals"}, []string{"deals"}},
	} {
		s.Topics = step.put
		s.Seen = s.Seen.Add(time.Minute)
		if _, err := h.ImportSubscriptions(h.Context(), siteA, []pushsvc.Subscription{s}); err != nil {
			h.Fatal(err)
		}
		h.chose("row read", h.all(siteA)[0].Topics, step.want)
	}
	// The row that was seen later wins.
	s.Topics, s.Seen = []string{"old"}, epoch
	if _, err := h.ImportSubscriptions(h.Context(), siteA, []pushsvc.Subscription{s}); err != nil {
		h.Fatal(err)
	}
	h.chose("row read", h.all(siteA)[0].Topics, []string{"deals"})
}

func testMessageTopics(h *harness) {
	h.putAll(siteA, 3)
	m := message(siteA, 1)
	m.Topics = []string{"deals", "news"}
	row := h.create(m)
	h.chose("row made", row.Topics, m.Topics)
	h.chose("row read", h.message(siteA, 1).Topics, m.Topics)
	if row.Progress.Audience != 3 {
		h.Errorf("planned for %d", row.Progress.Audience)
	}
	claimed, _, err := h.claimAt(siteA, messageID(1), "engine", epoch.Add(time.Minute), epoch.Add(time.Hour))
	if err != nil {
		h.Fatal(err)
	}
	h.chose("row claimed", claimed.Topics, m.Topics)
	h.create(message(siteA, 2))
	h.chose("a message to all", h.message(siteA, 2).Topics, nil)
}

// testPassed: a skipped recipient is not in the audience, at once or when a retry
// is due.
func testPassed(h *harness) {
	rows := sorted(h.putAll(siteA, 6))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	c := on(r, epoch, outcomes(pushsvc.OutcomePassed, rows[:3])...)
	c.Cursor = rows[2].ID
	m, _ := h.checkpoint(c)
	h.same("progress", m.Progress, pushsvc.Progress{Audience: 3, Pending: 3})
	// A settled recipient is not skipped again.
	c.At = epoch.Add(time.Second)
	m, _ = h.checkpoint(c)
	h.same("progress after a repetition", m.Progress, pushsvc.Progress{Audience: 3, Pending: 3})

	c = on(r, epoch.Add(2*time.Second), outcomes(pushsvc.OutcomeAccepted, rows[3:4])...)
	for _, row := range rows[4:] {
		c.Outcomes = append(c.Outcomes, pushsvc.Outcome{ID: row.ID, Kind: pushsvc.OutcomeLater, Attempt: 1, Due: epoch})
	}
	c.Cursor, c.Settled, c.Done = r.Until, nil, true
	h.checkpoint(c)
	later := h.claim(siteA, 1, epoch.Add(time.Minute))
	m, _ = h.checkpoint(on(later, epoch.Add(time.Minute), pushsvc.Outcome{ID: rows[4].ID, Kind: pushsvc.OutcomePassed}))
	h.same("progress of a retry", m.Progress, pushsvc.Progress{Audience: 2, Accepted: 1, Later: 1})
	m, _ = h.checkpoint(on(later, epoch.Add(time.Minute+time.Second), pushsvc.Outcome{ID: rows[5].ID, Kind: pushsvc.OutcomePassed}))
	h.same("progress at the end", m.Progress, pushsvc.Progress{Audience: 1, Accepted: 1})
	if m.State != pushsvc.StateDone || h.count(siteA) != 6 {
		h.Errorf("%s, %d subscriptions", m.State, h.count(siteA))
	}
}
