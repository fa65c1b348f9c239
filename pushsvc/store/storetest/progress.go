package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var progressTests = []test{
	{"claim", testClaim},
	{"claim race has one winner", testClaimRace},
	{"checkpoint", testCheckpoint},
	{"checkpoint of an old epoch", testOldEpoch},
	{"checkpoint repeated counts once", testRepeatedCheckpoint},
	{"checkpoint gone removes", testGone},
	{"checkpoint done counts who left", testLeft},
	{"checkpoint refuses negative counts", testNegative},
	{"checkpoint never unbalances", testSurplus},
	{"campaign of random steps balances", testCampaign},
	{"receipts count once", testReceipts},
	{"receipts at once with checkpoints", testReceiptRace},
}

func testClaim(h *harness) {
	h.put(siteA, 1)
	h.create(message(siteA, 1))
	_, err := h.Claim(h.Context(), siteA, messageID(2), "x", epoch, epoch.Add(time.Minute))
	h.is("unknown message", err, pushsvc.ErrNotFound)
	_, err = h.Claim(h.Context(), siteB, messageID(1), "x", epoch, epoch.Add(time.Minute))
	h.is("unknown site", err, pushsvc.ErrNotFound)

	m := h.claim(siteA, 1, epoch)
	if m.State != pushsvc.StateSending || m.Owner != "engine" || m.Epoch != 1 ||
		!m.Lease.Equal(epoch.Add(time.Minute)) || !m.Started.Equal(epoch) || !m.Finished.IsZero() {
		h.Errorf("claimed: %+v", m)
	}
	h.same("row read", h.message(siteA, 1), m)
	for _, owner := range []string{"other", "engine"} {
		_, err = h.Claim(h.Context(), siteA, messageID(1), owner, epoch.Add(59*time.Second), epoch.Add(2*time.Minute))
		h.is("claimed by "+owner+" while leased", err, pushsvc.ErrLeaseHeld)
	}
	m = h.claim(siteA, 1, epoch.Add(time.Minute)) // a lease has run out at its end
	if m.Epoch != 2 || !m.Started.Equal(epoch) {
		h.Errorf("claimed again: epoch %d, started %v", m.Epoch, m.Started)
	}
	h.checkpoint(pushsvc.Checkpoint{Site: siteA, MessageID: m.ID, Epoch: 2, At: epoch}) // gives it back
	if m = h.claim(siteA, 1, epoch.Add(time.Minute)); m.Epoch != 3 {
		h.Errorf("claimed after it was given back: epoch %d", m.Epoch)
	}
	h.checkpoint(pushsvc.Checkpoint{Site: siteA, MessageID: m.ID, Epoch: 3, Done: true, At: epoch})
	_, err = h.Claim(h.Context(), siteA, messageID(1), "x", epoch.Add(time.Hour), epoch.Add(2*time.Hour))
	h.is("claiming what is done", err, pushsvc.ErrNotFound)
}

func testClaimRace(h *harness) {
	h.put(siteA, 1)
	h.create(message(siteA, 1))
	for round := range 10 {
		at := epoch.Add(time.Duration(round) * time.Minute)
		var mu sync.Mutex
		var winners []pushsvc.Message
		h.each(24, func(i int) error {
			m, err := h.Claim(h.Context(), siteA, messageID(1), fmt.Sprint("engine ", i), at, at.Add(time.Minute))
			if errors.Is(err, pushsvc.ErrLeaseHeld) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			winners = append(winners, m)
			return err
		})
		if len(winners) != 1 || winners[0].Epoch != int64(round+1) {
			h.Fatalf("round %d has %d winners", round, len(winners))
		}
		if got := h.message(siteA, 1); got.Owner != winners[0].Owner {
			h.Errorf("round %d: the owner is %q, the winner %q", round, got.Owner, winners[0].Owner)
		}
	}
}

func testCheckpoint(h *harness) {
	rows := sorted(h.putAll(siteA, 10))
	h.create(message(siteA, 1))
	m := h.claim(siteA, 1, epoch)
	m = h.checkpoint(pushsvc.Checkpoint{
		Site: siteA, MessageID: m.ID, Epoch: 1, Cursor: rows[3].ID, Accepted: 2, Failed: map[string]int64{"timeout": 1, "rejected": 1},
		Lease: epoch.Add(2 * time.Minute), At: epoch.Add(time.Second),
	})
	want := pushsvc.Progress{Audience: 10, Pending: 6, Accepted: 2, Failed: map[string]int64{"timeout": 1, "rejected": 1}}
	h.same("progress", m.Progress, want)
	if m.Cursor != rows[3].ID || m.State != pushsvc.StateSending || !m.Lease.Equal(epoch.Add(2*time.Minute)) || m.Owner != "engine" {
		h.Errorf("row %+v", m)
	}
	h.same("row read", h.message(siteA, 1), m)

	m = h.checkpoint(pushsvc.Checkpoint{ // a heartbeat
		Site: siteA, MessageID: m.ID, Epoch: 1, Cursor: rows[3].ID, Lease: epoch.Add(3 * time.Minute), At: epoch.Add(2 * time.Second),
	})
	h.same("progress after a heartbeat", m.Progress, want)

	m = h.checkpoint(pushsvc.Checkpoint{
		Site: siteA, MessageID: m.ID, Epoch: 1, Cursor: rows[9].ID, Accepted: 4, Failed: map[string]int64{"timeout": 2}, Done: true, At: epoch.Add(3 * time.Second),
	})
	h.same("progress at the end", m.Progress, pushsvc.Progress{
		Audience: 10, Accepted: 6, Failed: map[string]int64{"timeout": 3, "rejected": 1},
	})
	if m.State != pushsvc.StateDone || !m.Finished.Equal(epoch.Add(3*time.Second)) || !m.Lease.IsZero() {
		h.Errorf("row at the end %+v", m)
	}
	_, err := h.Checkpoint(h.Context(), pushsvc.Checkpoint{Site: siteA, MessageID: m.ID, Epoch: 1, Accepted: 1, At: epoch.Add(4 * time.Second)})
	h.is("another checkpoint of what is done", err, pushsvc.ErrLeaseLost)
}

func testOldEpoch(h *harness) {
	rows := h.putAll(siteA, 3)
	h.create(message(siteA, 1))
	h.claim(siteA, 1, epoch)
	h.claim(siteA, 1, epoch.Add(time.Hour))
	before := h.message(siteA, 1)
	for _, e := range []int64{0, 1, 3} {
		_, err := h.Checkpoint(h.Context(), pushsvc.Checkpoint{
			Site: siteA, MessageID: messageID(1), Epoch: e, Cursor: 9, Accepted: 1, Gone: []pushsvc.SubscriptionID{rows[0].ID}, Done: true, At: epoch,
		})
		h.is(fmt.Sprint("epoch ", e), err, pushsvc.ErrLeaseLost)
	}
	h.same("row", h.message(siteA, 1), before)
	if n := h.count(siteA); n != 3 {
		h.Errorf("the site counts %d, want 3", n)
	}
	_, err := h.Checkpoint(h.Context(), pushsvc.Checkpoint{Site: siteA, MessageID: messageID(7), At: epoch})
	h.is("unknown message", err, pushsvc.ErrNotFound)
}

// testRepeatedCheckpoint repeats a call whose outcome was unknown.
func testRepeatedCheckpoint(h *harness) {
	rows := sorted(h.putAll(siteA, 8))
	h.create(message(siteA, 1))
	h.claim(siteA, 1, epoch)
	c := pushsvc.Checkpoint{
		Site: siteA, MessageID: messageID(1), Epoch: 1, Cursor: rows[2].ID, Accepted: 1, Failed: map[string]int64{"a": 1, "b": 1, "c": 1},
		Gone: []pushsvc.SubscriptionID{rows[1].ID}, Lease: epoch.Add(time.Hour), At: epoch.Add(time.Second),
	}
	first := h.checkpoint(c)
	h.same("repeated", h.checkpoint(c), first)
	c.At = c.At.Add(time.Second) // another page with the same result
	if m := h.checkpoint(c); m.Progress.Accepted != 2 || m.Progress.Gone != 2 || m.Progress.FailedTotal() != 6 {
		h.Errorf("the next one was taken for a repetition: %+v", m.Progress)
	}
	done := pushsvc.Checkpoint{Site: siteA, MessageID: messageID(1), Epoch: 1, Cursor: rows[7].ID, Done: true, At: epoch.Add(time.Minute)}
	first = h.checkpoint(done)
	h.same("end repeated", h.checkpoint(done), first)
}

func testGone(h *harness) {
	rows := sorted(h.putAll(siteA, 5))
	h.put(siteB, 1)
	h.create(message(siteA, 1))
	h.claim(siteA, 1, epoch)
	if err := h.DeleteSubscription(h.Context(), siteA, rows[1].ID); err != nil { // between the send and the checkpoint
		h.Fatal(err)
	}
	m := h.checkpoint(pushsvc.Checkpoint{
		Site: siteA, MessageID: messageID(1), Epoch: 1, Cursor: rows[2].ID, Accepted: 1,
		Gone: []pushsvc.SubscriptionID{rows[0].ID, rows[1].ID}, Lease: epoch.Add(time.Minute), At: epoch,
	})
	if m.Progress.Gone != 2 || m.Progress.Pending != 2 {
		h.Errorf("progress %+v", m.Progress)
	}
	h.same("rows left", h.all(siteA), rows[2:])
	if h.count(siteA) != 3 || h.count(siteB) != 1 {
		h.Errorf("the sites count %d and %d, want 3 and 1", h.count(siteA), h.count(siteB))
	}
	if got := h.put(siteA, 1); got.ID <= rows[4].ID {
		h.Errorf("who comes back has the old id %d", got.ID)
	}
}

func testLeft(h *harness) {
	rows := sorted(h.putAll(siteA, 6))
	h.create(message(siteA, 1))
	h.claim(siteA, 1, epoch)
	h.checkpoint(pushsvc.Checkpoint{Site: siteA, MessageID: messageID(1), Epoch: 1, Cursor: rows[1].ID, Accepted: 2, Lease: epoch.Add(time.Minute), At: epoch})
	for _, row := range rows[2:4] {
		if ok, err := h.DeleteProven(h.Context(), siteA, pushsvc.Proof{Endpoint: row.Endpoint, Auth: row.Auth}); !ok || err != nil {
			h.Fatalf("%v, %v", ok, err)
		}
	}
	if m := h.message(siteA, 1); m.Progress.Left != 0 || m.Progress.Pending != 4 {
		h.Errorf("before the end: %+v", m.Progress)
	}
	page, err := h.SubscriptionPage(h.Context(), siteA, rows[1].ID, 10)
	if err != nil || len(page) != 2 {
		h.Fatalf("%d are left to send to, %v", len(page), err)
	}
	m := h.checkpoint(pushsvc.Checkpoint{
		Site: siteA, MessageID: messageID(1), Epoch: 1, Cursor: page[1].ID, Accepted: 1, Failed: map[string]int64{"timeout": 1}, Done: true, At: epoch,
	})
	h.same("progress", m.Progress, pushsvc.Progress{Audience: 6, Accepted: 3, Left: 2, Failed: map[string]int64{"timeout": 1}})
}

func testNegative(h *harness) {
	h.putAll(siteA, 3)
	h.create(message(siteA, 1))
	h.claim(siteA, 1, epoch)
	before := h.message(siteA, 1)
	for _, c := range []pushsvc.Checkpoint{{Accepted: -1}, {Failed: map[string]int64{"x": -1}}} {
		c.Site, c.MessageID, c.Epoch, c.At = siteA, messageID(1), 1, epoch
		if _, err := h.Checkpoint(h.Context(), c); err == nil {
			h.Errorf("%+v was taken", c)
		}
	}
	h.same("row", h.message(siteA, 1), before)
}

// testSurplus counts more recipients than there are, and moves the cursor
// back: faults of an engine that must not make it send again and again.
func testSurplus(h *harness) {
	rows := sorted(h.putAll(siteA, 3))
	h.create(message(siteA, 1))
	h.claim(siteA, 1, epoch)
	c := pushsvc.Checkpoint{Site: siteA, MessageID: messageID(1), Epoch: 1, Cursor: rows[2].ID, Accepted: 5, Lease: epoch.Add(time.Minute), At: epoch}
	if m := h.checkpoint(c); m.Progress.Accepted != 5 || m.Progress.Pending != 0 {
		h.Errorf("progress %+v", m.Progress)
	}
	c.Cursor, c.Accepted, c.Done = rows[0].ID, 0, true
	if m := h.checkpoint(c); m.Cursor != rows[2].ID || m.Progress.Left != 0 {
		h.Errorf("cursor %d, progress %+v", m.Cursor, m.Progress)
	}
}

// testCampaign sends to an audience that comes and goes, from engines that
// crash, with a random but repeatable course.
func testCampaign(h *harness) {
	r := rand.New(rand.NewPCG(1, 2))
	h.putAll(siteA, 150)
	m := h.create(message(siteA, 1))
	at := epoch
	var accepted, gone, failed int64
	for m.State != pushsvc.StateDone {
		at = at.Add(time.Hour)
		m = h.claim(siteA, 1, at)
		for range 1 + r.IntN(4) { // pages until the crash
			h.put(siteA, 1000+r.IntN(50))
			_, err := h.DeleteProven(h.Context(), siteA, *proof(1 + r.IntN(150)))
			if err != nil {
				h.Fatal(err)
			}
			page, err := h.SubscriptionPage(h.Context(), siteA, m.Cursor, 9)
			if err != nil {
				h.Fatal(err)
			}
			c := pushsvc.Checkpoint{Site: siteA, MessageID: m.ID, Epoch: m.Epoch, Cursor: m.Until, Failed: map[string]int64{}, Lease: at.Add(time.Minute), Done: true}
			at = at.Add(time.Second)
			c.At = at
			for _, row := range page {
				if row.ID > m.Until {
					break
				}
				c.Cursor, c.Done = row.ID, false
				switch r.IntN(4) {
				case 0:
					c.Gone = append(c.Gone, row.ID)
				case 1:
					c.Failed[fmt.Sprint("reason ", r.IntN(3))]++
				default:
					c.Accepted++
				}
			}
			m = h.checkpoint(c)
			h.same("repeated", h.checkpoint(c), m)
			accepted, gone = accepted+c.Accepted, gone+int64(len(c.Gone))
			for _, n := range c.Failed {
				failed += n
			}
			if m.State == pushsvc.StateDone {
				break
			}
		}
	}
	p := m.Progress
	if p.Audience != 150 || p.Pending != 0 || p.Accepted != accepted || p.Gone != gone || p.FailedTotal() != failed {
		h.Errorf("progress %+v; want accepted %d, gone %d, failed %d", p, accepted, gone, failed)
	}
	if n := int64(len(h.all(siteA))); n != h.count(siteA) {
		h.Errorf("the site counts %d and has %d", h.count(siteA), n)
	}
}

func testReceipts(h *harness) {
	rows := sorted(h.putAll(siteA, 3))
	h.create(message(siteA, 1))
	h.create(message(siteA, 2))
	receipt := func(n, row int, kind pushsvc.ReceiptKind) pushsvc.Receipt {
		return pushsvc.Receipt{MessageID: messageID(n), Subscription: rows[row].ID, Kind: kind}
	}
	shown, clicked, closed := pushsvc.ReceiptShown, pushsvc.ReceiptClicked, pushsvc.ReceiptClosed
	for i, c := range []struct {
		receipts []pushsvc.Receipt
		want     int
	}{
		{nil, 0},
		{[]pushsvc.Receipt{receipt(1, 0, shown), receipt(1, 0, shown), receipt(1, 0, clicked)}, 2},
		{[]pushsvc.Receipt{receipt(1, 0, shown), receipt(1, 1, shown), receipt(2, 0, shown)}, 2},
		{[]pushsvc.Receipt{receipt(1, 2, closed), receipt(7, 0, shown), receipt(1, 0, "other"), {Kind: shown}}, 1},
	} {
		n, err := h.AddReceipts(h.Context(), siteA, c.receipts)
		if err != nil || n != c.want {
			h.Errorf("call %d: %d new, %v; want %d", i, n, err, c.want)
		}
	}
	if n, err := h.AddReceipts(h.Context(), "c.example", []pushsvc.Receipt{receipt(1, 0, shown)}); n != 0 || err != nil {
		h.Errorf("unknown site: %d, %v", n, err)
	}
	if err := h.DeleteSubscription(h.Context(), siteA, rows[0].ID); err != nil {
		h.Fatal(err)
	}
	if n, err := h.AddReceipts(h.Context(), siteA, []pushsvc.Receipt{receipt(1, 0, shown), receipt(1, 0, closed)}); n != 1 || err != nil {
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
	h.claim(siteA, 1, epoch)
	var mu sync.Mutex
	added := 0
	h.each(100, func(i int) error {
		if i%5 == 0 {
			_, err := h.Checkpoint(h.Context(), pushsvc.Checkpoint{
				Site: siteA, MessageID: messageID(1), Epoch: 1, Cursor: rows[i/5].ID, Accepted: 1, Lease: epoch.Add(time.Minute), At: epoch.Add(time.Duration(i) * time.Millisecond),
			})
			return err
		}
		n, err := h.AddReceipts(h.Context(), siteA, []pushsvc.Receipt{{MessageID: messageID(1), Subscription: rows[i%20].ID, Kind: pushsvc.ReceiptShown}})
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
