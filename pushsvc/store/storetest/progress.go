package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var progressTests = []test{
	{"checkpoint", testCheckpoint},
	{"checkpoint counts every kind", testKinds},
	{"checkpoint of an old epoch", testOldEpoch},
	{"checkpoint repeated counts once", testRepeatedCheckpoint},
	{"checkpoint counts a recipient once", testSettledOnce},
	{"checkpoint gone removes", testGone},
	{"checkpoint quarantined doubts", testQuarantined},
	{"checkpoint done counts who left", testLeft},
	{"checkpoint refusals", testCheckpointRefusals},
	{"checkpoint never unbalances", testSurplus},
	{"receipts count once", testReceipts},
	{"receipts at once with checkpoints", testReceiptRace},
}

func testCheckpoint(h *harness) {
	rows := sorted(h.putAll(siteA, 10))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	c := on(r, epoch.Add(time.Second), outcomes(pushsvc.OutcomeAccepted, rows[:3])...)
	c.Cursor = rows[1].ID
	c.Settled = []pushsvc.SubscriptionID{rows[3].ID, rows[8].ID}
	c.Outcomes[2].ID = rows[3].ID
	c.Outcomes = append(c.Outcomes, pushsvc.Outcome{ID: rows[8].ID, Kind: pushsvc.OutcomeFailed, Reason: "timeout"})
	m, got := h.checkpoint(c)
	want := pushsvc.Progress{Audience: 10, Pending: 6, Accepted: 3, Failed: map[string]int64{"timeout": 1}}
	h.same("progress", m.Progress, want)
	next := r
	next.Cursor, next.Settled, next.Lease = c.Cursor, c.Settled, c.At.Add(c.Lease)
	h.same("range", got, next)
	h.same("row read", h.message(siteA, 1), m)

	m, got = h.checkpoint(on(got, epoch.Add(2*time.Second))) // a heartbeat
	h.same("progress after a heartbeat", m.Progress, want)
	next.Lease = epoch.Add(2*time.Second + time.Minute)
	h.same("range after a heartbeat", got, next)

	// Another engine continues from there.
	r = h.claim(siteA, 1, epoch.Add(time.Hour))
	next.Epoch, next.Lease = 2, epoch.Add(time.Hour+time.Minute)
	h.same("range claimed again", r, next)
	page, err := h.RangePage(h.Context(), r, r.Cursor, 100)
	if err != nil {
		h.Fatal(err)
	}
	page = slices.DeleteFunc(page, func(s pushsvc.Subscription) bool { return slices.Contains(r.Settled, s.ID) })
	c = on(r, epoch.Add(time.Hour), outcomes(pushsvc.OutcomeAccepted, page)...)
	c.Cursor, c.Settled, c.Done = r.Until, nil, true
	m, _ = h.checkpoint(c)
	h.same("progress at the end", m.Progress, pushsvc.Progress{Audience: 10, Accepted: 9, Failed: map[string]int64{"timeout": 1}})
	if m.State != pushsvc.StateDone || !m.Finished.Equal(c.At) || !m.NextTry.IsZero() {
		h.Errorf("row at the end %+v", m)
	}
	_, _, err = h.checkpointAt(on(r, epoch.Add(2*time.Hour)))
	h.is("another checkpoint of what is done", err, pushsvc.ErrLeaseLost)
	h.is("a note on what is done", h.Note(h.Context(), r, outcomes(pushsvc.OutcomeAccepted, page)), pushsvc.ErrLeaseLost)
}

func testKinds(h *harness) {
	rows := sorted(h.putAll(siteA, 8))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	c := on(r, epoch)
	for i, kind := range []pushsvc.OutcomeKind{
		pushsvc.OutcomeAccepted, pushsvc.OutcomeGone, pushsvc.OutcomeFailed, pushsvc.OutcomeFailed,
		pushsvc.OutcomeLater, pushsvc.OutcomeExpired, pushsvc.OutcomeLeft, pushsvc.OutcomeQuarantined,
	} {
		c.Outcomes = append(c.Outcomes, pushsvc.Outcome{ID: rows[i].ID, Kind: kind, Reason: fmt.Sprint("why ", i), Attempt: 1, Due: epoch.Add(time.Minute)})
	}
	c.Cursor, c.Done = r.Until, true
	m, _ := h.checkpoint(c)
	h.same("progress", m.Progress, pushsvc.Progress{
		Audience: 8, Accepted: 1, Gone: 1, Later: 1, Expired: 1, Left: 1,
		Failed:  map[string]int64{"why 2": 1, "why 3": 1, pushsvc.ReasonQuarantined: 1},
		Reasons: map[string]int64{"why 4": 1, "why 5": 1},
	})
	if m.State != pushsvc.StateSending || !m.NextTry.Equal(epoch.Add(time.Minute)) {
		h.Errorf("state %s, next try %v", m.State, m.NextTry)
	}
}

func testOldEpoch(h *harness) {
	rows := h.putAll(siteA, 3)
	h.create(message(siteA, 1))
	unclaimed := pushsvc.Checkpoint{Site: siteA, MessageID: messageID(1), At: epoch}
	_, _, err := h.checkpointAt(unclaimed)
	h.is("an unclaimed range", err, pushsvc.ErrLeaseLost)
	h.claim(siteA, 1, epoch)
	r := h.claim(siteA, 1, epoch.Add(time.Hour))
	before := h.message(siteA, 1)
	for _, e := range []int64{-1, 0, 1, 3} {
		c := on(r, epoch, outcomes(pushsvc.OutcomeGone, rows)...)
		c.Epoch, c.Done = e, true
		_, _, err := h.checkpointAt(c)
		h.is(fmt.Sprint("epoch ", e), err, pushsvc.ErrLeaseLost)
		old := r
		old.Epoch = e
		h.is(fmt.Sprint("note of epoch ", e), h.Note(h.Context(), old, c.Outcomes), pushsvc.ErrLeaseLost)
	}
	h.same("row", h.message(siteA, 1), before)
	if n := h.count(siteA); n != 3 {
		h.Errorf("the site counts %d, want 3", n)
	}
	for name, c := range map[string]pushsvc.Checkpoint{
		"unknown message": {Site: siteA, MessageID: messageID(7), Epoch: 1, At: epoch},
		"unknown site":    {Site: siteB, MessageID: messageID(1), Epoch: 1, At: epoch},
		"unknown range":   {Site: siteA, MessageID: messageID(1), Range: 999, Epoch: 1, At: epoch},
		"negative range":  {Site: siteA, MessageID: messageID(1), Range: -2, Epoch: 1, At: epoch},
	} {
		_, _, err := h.checkpointAt(c)
		h.is(name, err, pushsvc.ErrNotFound)
	}
}

// testRepeatedCheckpoint repeats a call whose outcome was unknown.
func testRepeatedCheckpoint(h *harness) {
	rows := sorted(h.putAll(siteA, 8))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	// Two recipients outside of the range are counted with each new checkpoint.
	extra := []pushsvc.Outcome{{ID: 1 << 40, Kind: pushsvc.OutcomeAccepted}, {ID: 1<<40 + 1, Kind: pushsvc.OutcomeFailed, Reason: "a"}}
	c := on(r, epoch.Add(time.Second), append(outcomes(pushsvc.OutcomeGone, rows[1:2]), extra...)...)
	c.Cursor = rows[2].ID
	first, _ := h.checkpoint(c)
	again, _ := h.checkpoint(c)
	h.same("repeated", again, first)
	c.At = c.At.Add(time.Second)
	if m, _ := h.checkpoint(c); m.Progress.Accepted != 2 || m.Progress.Gone != 1 || m.Progress.FailedTotal() != 2 {
		h.Errorf("the next one was taken for a repetition: %+v", m.Progress)
	}
	done := on(r, epoch.Add(time.Minute))
	done.Cursor, done.Done = r.Until, true
	first, _ = h.checkpoint(done)
	again, _ = h.checkpoint(done)
	h.same("end repeated", again, first)
}

// testSettledOnce: an engine that reports a recipient again, in another
// checkpoint, is counted once.
func testSettledOnce(h *harness) {
	rows := sorted(h.putAll(siteA, 5))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	c := on(r, epoch, outcomes(pushsvc.OutcomeAccepted, rows[:3])...)
	c.Outcomes[2].ID = rows[4].ID
	c.Cursor, c.Settled = rows[1].ID, []pushsvc.SubscriptionID{rows[4].ID}
	first, r := h.checkpoint(c)
	again, _ := h.checkpoint(on(r, epoch.Add(time.Second), append(c.Outcomes, outcomes(pushsvc.OutcomeGone, rows[:2])...)...))
	h.same("progress", again.Progress, first.Progress)
	if n := h.count(siteA); n != 5 {
		h.Errorf("%d are left of 5", n)
	}
}

func testGone(h *harness) {
	rows := sorted(h.putAll(siteA, 5))
	h.put(siteB, 1)
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	if err := h.DeleteSubscription(h.Context(), siteA, rows[1].ID); err != nil { // between the send and the checkpoint
		h.Fatal(err)
	}
	m, _ := h.checkpoint(on(r, epoch, append(outcomes(pushsvc.OutcomeGone, rows[:2]), outcomes(pushsvc.OutcomeAccepted, rows[2:3])...)...))
	if m.Progress.Gone != 2 || m.Progress.Pending != 2 {
		h.Errorf("progress %+v", m.Progress)
	}
	h.same("rows left", h.all(siteA), rows[2:])
	if h.count(siteA) != 3 || h.count(siteB) != 1 {
		h.Errorf("the sites count %d and %d, want 3 and 1", h.count(siteA), h.count(siteB))
	}
	if got := h.putSub(rows[0], nil); got.ID <= rows[4].ID {
		h.Errorf("who comes back has the old id %d", got.ID)
	}
}

// testQuarantined marks rows and keeps them; a visit clears the mark.
func testQuarantined(h *harness) {
	rows := sorted(h.putAll(siteA, 3))
	for n := range 2 { // the second message finds the first one's mark
		h.create(message(siteA, n))
		at := epoch.Add(time.Duration(n)*time.Hour + 999*time.Millisecond)
		h.finish(h.claim(siteA, n, at), at, pushsvc.OutcomeQuarantined)
	}
	for i := range rows {
		rows[i].Doubted = epoch
	}
	h.same("rows", h.all(siteA), rows)
	if p := h.message(siteA, 1).Progress; p.Failed[pushsvc.ReasonQuarantined] != 3 {
		h.Errorf("progress %+v", p)
	}
	again := h.put(siteA, 1)
	if !again.Doubted.IsZero() {
		h.Errorf("after a visit it is doubted since %v", again.Doubted)
	}
	for _, row := range h.all(siteA) {
		if row.Doubted.IsZero() != (row.ID == again.ID) {
			h.Errorf("row %d is doubted since %v", row.ID, row.Doubted)
		}
	}
	other := sub(siteA, 2) // no proof, no change
	other.Auth = auth(9)
	if got := h.putSub(other, nil); !got.Doubted.Equal(epoch) {
		h.Errorf("a stranger's visit made it %v", got.Doubted)
	}
}

func testLeft(h *harness) {
	rows := sorted(h.putAll(siteA, 6))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	c := on(r, epoch, outcomes(pushsvc.OutcomeAccepted, rows[:2])...)
	c.Cursor = rows[1].ID
	_, r = h.checkpoint(c)
	for _, row := range rows[2:4] {
		if ok, err := h.DeleteProven(h.Context(), siteA, pushsvc.Proof{Endpoint: row.Endpoint, Auth: row.Auth}); !ok || err != nil {
			h.Fatalf("%v, %v", ok, err)
		}
	}
	if m := h.message(siteA, 1); m.Progress.Left != 0 || m.Progress.Pending != 4 {
		h.Errorf("before the end: %+v", m.Progress)
	}
	m := h.finish(r, epoch.Add(time.Second), pushsvc.OutcomeFailed)
	h.same("progress", m.Progress, pushsvc.Progress{Audience: 6, Accepted: 2, Left: 2, Failed: map[string]int64{"why": 2}})
}

func testCheckpointRefusals(h *harness) {
	h.putAll(siteA, 3)
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	before := h.message(siteA, 1)
	many := make([]pushsvc.SubscriptionID, pushsvc.MaxSettled+1)
	for i := range many {
		many[i] = pushsvc.SubscriptionID(1000 + i)
	}
	for name, change := range map[string]func(*pushsvc.Checkpoint){
		"no kind":         func(c *pushsvc.Checkpoint) { c.Outcomes = []pushsvc.Outcome{{ID: 1}} },
		"unknown kind":    func(c *pushsvc.Checkpoint) { c.Outcomes = []pushsvc.Outcome{{ID: 1, Kind: 9}} },
		"too many":        func(c *pushsvc.Checkpoint) { c.Settled = many },
		"falling":         func(c *pushsvc.Checkpoint) { c.Settled = []pushsvc.SubscriptionID{3, 2} },
		"retries settled": func(c *pushsvc.Checkpoint) { c.Range, c.Settled = pushsvc.LaterRange, many[:1] },
	} {
		c := on(r, epoch)
		change(&c)
		if _, _, err := h.checkpointAt(c); err == nil {
			h.Errorf("%s: taken", name)
		}
	}
	h.same("row", h.message(siteA, 1), before)
	c := on(r, epoch)
	c.Settled = many[1:]
	if _, got := h.checkpoint(c); !slices.Equal(got.Settled, many[1:]) {
		h.Errorf("of %d settled ids %d are there", len(c.Settled), len(got.Settled))
	}
	if got := h.claim(siteA, 1, epoch.Add(time.Hour)); !slices.Equal(got.Settled, many[1:]) {
		h.Errorf("of %d settled ids the next engine sees %d", len(c.Settled), len(got.Settled))
	}
}

// testSurplus counts more recipients than exist, and moves the cursor back: such
// faults of an engine must not make it send for ever.
func testSurplus(h *harness) {
	rows := sorted(h.putAll(siteA, 3))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	c := on(r, epoch, outcomes(pushsvc.OutcomeAccepted, append(rows, make([]pushsvc.Subscription, 2)...))...)
	c.Cursor = rows[2].ID
	c.Outcomes[3].ID, c.Outcomes[4].ID = 1<<40, 1<<40+1
	if m, _ := h.checkpoint(c); m.Progress.Accepted != 5 || m.Progress.Pending != 0 || m.Progress.Audience != 5 {
		h.Errorf("progress %+v", m.Progress)
	}
	back := on(r, epoch.Add(time.Second))
	back.Cursor, back.Settled = rows[0].ID, []pushsvc.SubscriptionID{rows[1].ID, rows[2].ID + 1}
	if _, got := h.checkpoint(back); got.Cursor != rows[2].ID || !slices.Equal(got.Settled, back.Settled[1:]) {
		h.Errorf("cursor %d, settled %v", got.Cursor, got.Settled)
	}
}

func testReceipts(h *harness) {
	rows := sorted(h.putAll(siteA, 3))
	h.create(message(siteA, 1))
	h.create(message(siteA, 2))
	receipt := func(row int, kind pushsvc.ReceiptKind) pushsvc.Receipt {
		return pushsvc.Receipt{Subscription: rows[row].ID, Kind: kind}
	}
	shown, clicked, closed := pushsvc.ReceiptShown, pushsvc.ReceiptClicked, pushsvc.ReceiptClosed
	for i, c := range []struct {
		id       string
		receipts []pushsvc.Receipt
		want     int
	}{
		{messageID(1), nil, 0},
		{messageID(1), []pushsvc.Receipt{receipt(0, shown), receipt(0, shown), receipt(0, clicked)}, 2},
		{messageID(1), []pushsvc.Receipt{receipt(0, shown), receipt(1, shown)}, 1},
		{messageID(2), []pushsvc.Receipt{receipt(0, shown)}, 1},
		{messageID(7), []pushsvc.Receipt{receipt(0, shown)}, 0},
		{"", []pushsvc.Receipt{receipt(0, shown)}, 0},
		{messageID(1), []pushsvc.Receipt{receipt(2, closed), receipt(0, "other")}, 1},
	} {
		n, err := h.AddReceipts(h.Context(), siteA, c.id, c.receipts)
		if err != nil || n != c.want {
			h.Errorf("call %d: %d new, %v; want %d", i, n, err, c.want)
		}
	}
	if n, err := h.AddReceipts(h.Context(), "c.example", messageID(1), []pushsvc.Receipt{receipt(0, shown)}); n != 0 || err != nil {
		h.Errorf("unknown site: %d, %v", n, err)
	}
	if err := h.DeleteSubscription(h.Context(), siteA, rows[0].ID); err != nil {
		h.Fatal(err)
	}
	if n, err := h.AddReceipts(h.Context(), siteA, messageID(1), []pushsvc.Receipt{receipt(0, shown), receipt(0, closed)}); n != 1 || err != nil {
		h.Errorf("after the subscription has gone: %d, %v", n, err)
	}
	if p := h.message(siteA, 1).Progress; p.Shown != 2 || p.Clicked != 1 || p.Closed != 2 || p.Pending != 3 {
		h.Errorf("first message: %+v", p)
	}
	if p := h.message(siteA, 2).Progress; p.Shown != 1 || p.Clicked != 0 {
		h.Errorf("second message: %+v", p)
	}
}

func testReceiptRace(h *harness) {
	rows := sorted(h.putAll(siteA, 20))
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	var mu sync.Mutex
	added := 0
	h.each(100, func(i int) error {
		if i%5 == 0 {
			c := on(r, epoch.Add(time.Duration(i)*time.Millisecond), pushsvc.Outcome{ID: rows[i/5].ID, Kind: pushsvc.OutcomeAccepted})
			_, _, err := h.handle(i).Checkpoint(h.Context(), c)
			return err
		}
		n, err := h.handle(i).AddReceipts(h.Context(), siteA, messageID(1), []pushsvc.Receipt{{Subscription: rows[i%20].ID, Kind: pushsvc.ReceiptShown}})
		mu.Lock()
		defer mu.Unlock()
		added += n
		return err
	})
	m := h.message(siteA, 1)
	if added != 16 || m.Progress.Shown != 16 || m.Progress.Accepted != 20 || m.Progress.Pending != 0 {
		h.Errorf("%d were new; progress %+v", added, m.Progress)
	}
}
