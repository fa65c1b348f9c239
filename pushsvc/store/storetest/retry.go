package storetest

import (
	"reflect"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var laterTests = []test{
	{"later queue", testLater},
	{"later queue and who left", testLaterLeft},
	{"later queue alone", testLaterAlone},
	{"later queue of strangers", testLaterStrangers},
	{"later queue of many", testManyLater},
}

// retries reads the due recipients.
func (h *harness) retries(n int, at time.Time, limit int) (ids []pushsvc.SubscriptionID) {
	h.Helper()
	page, err := h.laterAt(siteA, messageID(n), at, limit)
	if err != nil {
		h.Fatal(err)
	}
	for _, r := range page {
		ids = append(ids, r.ID)
		if r.Subscription.ID != r.ID && r.Subscription.ID != 0 || r.Due.After(at) {
			h.Errorf("retry %+v at %v", r, at)
		}
	}
	return ids
}

// postpone makes a message with a retry for each recipient, the i-th after i
// minutes, and returns the recipients.
func (h *harness) postpone(n, recipients int) []pushsvc.Subscription {
	h.Helper()
	rows := sorted(h.putAll(siteA, recipients))
	h.create(message(siteA, n))
	r := h.claim(siteA, n, epoch)
	c := on(r, epoch, outcomes(pushsvc.OutcomeLater, rows)...)
	for i := range c.Outcomes {
		c.Outcomes[i].Attempt, c.Outcomes[i].Due = 1, epoch.Add(time.Duration(i)*time.Minute+1234567*time.Nanosecond)
	}
	c.Cursor, c.Done = r.Until, true
	h.checkpoint(c)
	return rows
}

func testLater(h *harness) {
	rows := h.postpone(1, 4)
	ids := []pushsvc.SubscriptionID{rows[0].ID, rows[1].ID, rows[2].ID, rows[3].ID}
	m := h.idle(siteA, 1, epoch) // the first is due a millisecond later
	if m.State != pushsvc.StateSending || !m.NextTry.Equal(epoch.Add(time.Millisecond)) || m.Progress.Later != 4 {
		h.Errorf("next try %v, %+v", m.NextTry.Sub(epoch), m)
	}
	at := epoch.Add(2*time.Minute + time.Second)
	h.same("due", h.retries(1, at, 10), ids[:3])
	h.same("the first two due", h.retries(1, at, 2), ids[:2])
	h.same("none", h.retries(1, at, 0), []pushsvc.SubscriptionID(nil))
	page, err := h.laterAt(siteA, messageID(1), at, 1)
	if err != nil {
		h.Fatal(err)
	}
	h.same("retry", page, []pushsvc.Retry{{ID: ids[0], Attempt: 1, Due: epoch.Add(time.Millisecond), Reason: "why", Subscription: rows[0]}})

	r := h.claim(siteA, 1, at)
	h.same("range of retries", r, pushsvc.Range{
		Site: siteA, MessageID: messageID(1), N: pushsvc.LaterRange, Owner: "engine", Epoch: 1, Lease: at.Add(time.Minute), Engines: 1,
	})
	h.idle(siteA, 1, at) // leased
	m, got := h.checkpoint(on(r, at,
		pushsvc.Outcome{ID: ids[0], Kind: pushsvc.OutcomeAccepted},
		pushsvc.Outcome{ID: ids[1], Kind: pushsvc.OutcomeLater, Reason: "again", Attempt: 2, Due: epoch.Add(time.Hour)},
		pushsvc.Outcome{ID: ids[2], Kind: pushsvc.OutcomeGone},
	))
	h.same("progress", m.Progress, pushsvc.Progress{Audience: 4, Accepted: 1, Gone: 1, Later: 2, Reasons: map[string]int64{"why": 1, "again": 1}})
	if !m.NextTry.Equal(epoch.Add(3*time.Minute+time.Millisecond)) || got.Cursor != 0 || got.Until != 0 {
		h.Errorf("next try %v, range %+v", m.NextTry.Sub(epoch), got)
	}
	h.same("due in an hour", h.retries(1, epoch.Add(time.Hour), 10), []pushsvc.SubscriptionID{ids[3], ids[1]})
	if n := h.count(siteA); n != 3 {
		h.Errorf("the site counts %d, want 3", n)
	}
	old := r
	r = h.claim(siteA, 1, epoch.Add(2*time.Hour))
	_, _, err = h.checkpointAt(on(old, at.Add(time.Second), pushsvc.Outcome{ID: ids[3], Kind: pushsvc.OutcomeAccepted}))
	h.is("checkpoint of an old epoch", err, pushsvc.ErrLeaseLost)
	c := on(r, epoch.Add(2*time.Hour),
		pushsvc.Outcome{ID: ids[1], Kind: pushsvc.OutcomeExpired},
		pushsvc.Outcome{ID: ids[3], Kind: pushsvc.OutcomeFailed, Reason: "rejected"})
	m, _ = h.checkpoint(c)
	h.same("progress at the end", m.Progress, pushsvc.Progress{Audience: 4, Accepted: 1, Gone: 1, Expired: 1, Failed: map[string]int64{"rejected": 1}, Reasons: map[string]int64{"again": 1}})
	if m.State != pushsvc.StateDone || !m.NextTry.IsZero() || !m.Finished.Equal(c.At) {
		h.Errorf("at the end: %+v", m)
	}
	again, _ := h.checkpoint(c)
	h.same("end repeated", again, m)
	h.same("due at the end", h.retries(1, epoch.Add(100*time.Hour), 10), []pushsvc.SubscriptionID(nil))
}

// testLaterLeft: a recipient that has unsubscribed has a retry without a
// subscription.
func testLaterLeft(h *harness) {
	rows := h.postpone(1, 3)
	if err := h.DeleteSubscription(h.Context(), siteA, rows[1].ID); err != nil {
		h.Fatal(err)
	}
	at := epoch.Add(time.Hour)
	page, err := h.laterAt(siteA, messageID(1), at, 10)
	if err != nil || len(page) != 3 || page[1].ID != rows[1].ID || page[1].Subscription.ID != 0 || !reflect.DeepEqual(page[2].Subscription, rows[2]) {
		h.Fatalf("%+v, %v", page, err)
	}
	m, _ := h.checkpoint(on(h.claim(siteA, 1, at), at, outcomes(pushsvc.OutcomeLeft, rows)...))
	if m.State != pushsvc.StateDone || m.Progress.Left != 3 {
		h.Errorf("%+v", m)
	}
}

// testLaterAlone: once all ranges are done, no recipient waits for a first
// attempt, however many wait for a retry.
func testLaterAlone(h *harness) {
	rows := sorted(h.putAll(siteA, 3))
	h.create(message(siteA, 1))
	if err := h.DeleteSubscription(h.Context(), siteA, rows[2].ID); err != nil {
		h.Fatal(err)
	}
	r := h.claim(siteA, 1, epoch)
	due := epoch.Add(time.Hour)
	c := on(r, epoch, outcomes(pushsvc.OutcomeAccepted, rows[:1])...)
	c.Outcomes = append(c.Outcomes, pushsvc.Outcome{ID: rows[1].ID, Kind: pushsvc.OutcomeLater, Attempt: 1, Due: due})
	c.Cursor, c.Done = r.Until, true
	m, _ := h.checkpoint(c)
	h.same("progress", m.Progress, pushsvc.Progress{Audience: 3, Accepted: 1, Later: 1, Left: 1})
	if m.State != pushsvc.StateSending || !m.NextTry.Equal(due) {
		h.Errorf("%s, next try %v", m.State, m.NextTry)
	}
	m, _ = h.checkpoint(on(h.claim(siteA, 1, due), due, outcomes(pushsvc.OutcomeAccepted, rows[1:2])...))
	h.same("progress at the end", m.Progress, pushsvc.Progress{Audience: 3, Accepted: 2, Left: 1})
	if m.State != pushsvc.StateDone {
		h.Errorf("at the end it is %s", m.State)
	}
}

// testLaterStrangers: outcomes of recipients outside of the queue change nothing.
func testLaterStrangers(h *harness) {
	rows := h.postpone(1, 2)
	extra := h.put(siteA, 9)
	at := epoch.Add(time.Hour)
	r := h.claim(siteA, 1, at)
	var m pushsvc.Message
	for i := range 3 {
		c := on(r, at.Add(time.Duration(i)*time.Second), outcomes(pushsvc.OutcomeGone, []pushsvc.Subscription{rows[0], extra})...)
		c.Outcomes = append(c.Outcomes, pushsvc.Outcome{ID: extra.ID, Kind: pushsvc.OutcomeLater, Attempt: 1, Due: at})
		m, _ = h.checkpoint(c)
	}
	h.same("progress", m.Progress, pushsvc.Progress{Audience: 2, Gone: 1, Later: 1, Reasons: map[string]int64{"why": 1}})
	h.same("rows", h.all(siteA), []pushsvc.Subscription{rows[1], extra})
}

// testManyLater keeps the order over changes.
func testManyLater(h *harness) {
	rows := h.postpone(1, 300)
	at := epoch.Add(1000 * time.Hour)
	r := h.claim(siteA, 1, at)
	want := make([]pushsvc.SubscriptionID, len(rows))
	c := on(r, at)
	for i, row := range rows { // backwards, two of three at the same time
		want[len(rows)-1-i] = row.ID
		due := at.Add(-time.Duration(i/3) * time.Minute)
		c.Outcomes = append(c.Outcomes, pushsvc.Outcome{ID: row.ID, Kind: pushsvc.OutcomeLater, Attempt: 2, Due: due})
	}
	m, _ := h.checkpoint(c)
	for i := 0; i < len(want); i += 3 {
		slices.Sort(want[i : i+3])
	}
	h.same("due", h.retries(1, at, 1000), want)
	if !m.NextTry.Equal(at.Add(-99*time.Minute)) || m.Progress.Later != 300 {
		h.Errorf("next try %v, %+v", m.NextTry.Sub(at), m.Progress)
	}
}
