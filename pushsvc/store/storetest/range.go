package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var rangeTests = []test{
	{"claim", testClaim},
	{"claim race has one winner per range", testClaimRace},
	{"ranges share an audience", testRanges},
	{"ranges without recipients", testNobody},
	{"range pages", testRangePages},
}

func testClaim(h *harness) {
	h.put(siteA, 1)
	h.create(message(siteA, 1))
	for name, try := range map[string][2]string{"unknown message": {siteA, messageID(2)}, "unknown site": {siteB, messageID(1)}, "no id": {siteA, ""}} {
		_, _, err := h.claimAt(try[0], try[1], "x", epoch, epoch.Add(time.Minute))
		h.is(name, err, pushsvc.ErrNotFound)
	}
	m, r, err := h.claimAt(siteA, messageID(1), "engine", epoch, epoch.Add(time.Minute))
	if err != nil {
		h.Fatal(err)
	}
	if m.State != pushsvc.StateSending || !m.Started.Equal(epoch) || !m.Finished.IsZero() {
		h.Errorf("claimed: %+v", m)
	}
	h.same("row read", h.message(siteA, 1), m)
	want := pushsvc.Range{Site: siteA, MessageID: m.ID, Until: r.Until, Owner: "engine", Epoch: 1, Lease: epoch.Add(time.Minute), Engines: 1}
	h.same("range", r, want)
	for _, owner := range []string{"other", "engine"} {
		got, _, err := h.claimAt(siteA, m.ID, owner, epoch.Add(59*time.Second), epoch.Add(2*time.Minute))
		h.is("claimed by "+owner+" while leased", err, pushsvc.ErrNothingDue)
		h.same("row of a claim in vain", got, m)
	}
	r = h.claim(siteA, 1, epoch.Add(time.Minute)) // a lease has expired at its end
	if m := h.message(siteA, 1); r.Epoch != 2 || !m.Started.Equal(epoch) {
		h.Errorf("claimed again: epoch %d, started %v", r.Epoch, m.Started)
	}
	back := on(r, epoch.Add(time.Minute))
	back.Lease = 0
	if _, got := h.checkpoint(back); got.Owner != "" || !got.Lease.IsZero() || got.Epoch != 2 {
		h.Errorf("given back: %+v", got)
	}
	if r = h.claim(siteA, 1, epoch.Add(time.Minute)); r.Epoch != 3 {
		h.Errorf("claimed after it was given back: epoch %d", r.Epoch)
	}
	h.finish(r, epoch.Add(time.Minute), pushsvc.OutcomeAccepted)
	_, _, err = h.claimAt(siteA, messageID(1), "x", epoch.Add(time.Hour), epoch.Add(2*time.Hour))
	h.is("claiming what is done", err, pushsvc.ErrNotFound)
}

// testClaimRace: of many that claim at once, each gets another range.
func testClaimRace(h *harness) {
	h.importAll(siteA, 10_000)
	h.create(message(siteA, 1))
	ranges := 0
	for round := range 6 {
		at := epoch.Add(time.Duration(round) * time.Minute)
		var mu sync.Mutex
		winners := map[int]string{}
		h.set(at)
		h.each(40, func(i int) error {
			owner := fmt.Sprint("engine ", i)
			_, r, err := h.handle(i).Claim(h.Context(), siteA, messageID(1), owner, time.Minute)
			if errors.Is(err, pushsvc.ErrNothingDue) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil && (winners[r.N] != "" || r.Owner != owner || r.Epoch != int64(round+1)) {
				err = fmt.Errorf("range %d of epoch %d went to %q, %q and %q", r.N, r.Epoch, winners[r.N], owner, r.Owner)
			}
			winners[r.N] = owner
			return err
		})
		if round == 0 {
			ranges = len(winners)
		}
		if len(winners) != ranges || ranges < 2 {
			h.Fatalf("round %d has %d winners, the first had %d", round, len(winners), ranges)
		}
	}
}

// importAll stores n subscriptions of a site in one go.
func (h *harness) importAll(site string, n int) {
	h.Helper()
	subs := make([]pushsvc.Subscription, n)
	for i := range subs {
		subs[i] = sub(site, i+1)
	}
	if got, err := h.ImportSubscriptions(h.Context(), site, subs); err != nil || got.Added != n {
		h.Fatalf("imported %+v, %v", got, err)
	}
}

// testRanges: the ranges contain each recipient once, and no other.
func testRanges(h *harness) {
	const n = 12_345
	h.importAll(siteA, n)
	rows := h.all(siteA)
	for i := 0; i < len(rows); i += 100 { // ids with holes
		if err := h.DeleteSubscription(h.Context(), siteA, rows[i].ID); err != nil {
			h.Fatal(err)
		}
	}
	want := map[pushsvc.SubscriptionID]bool{}
	for _, row := range h.all(siteA) {
		want[row.ID] = true
	}
	audience := int64(len(want))
	if m := h.create(message(siteA, 1)); m.Progress.Audience != audience {
		h.Errorf("audience %d, want %d", m.Progress.Audience, audience)
	}
	h.put(siteA, n+1)
	seen := map[int]bool{}
	for at := epoch; ; at = at.Add(time.Millisecond) {
		m, r, err := h.claimAt(siteA, messageID(1), "engine", at, at.Add(time.Hour))
		if errors.Is(err, pushsvc.ErrNothingDue) {
			h.Fatalf("%d ranges were claimed and ended, and the message is %s: %+v", len(seen), m.State, m.Progress)
		}
		if err != nil {
			h.Fatal(err)
		}
		if seen[r.N] {
			h.Fatalf("range %d is there twice", r.N)
		}
		seen[r.N] = true
		page, err := h.RangePage(h.Context(), r, r.Cursor, n)
		if err != nil {
			h.Fatal(err)
		}
		for _, row := range page {
			if !want[row.ID] {
				h.Fatalf("range %d has %d, which is in another one or outside of the audience", r.N, row.ID)
			}
			delete(want, row.ID)
		}
		if h.finish(r, at, pushsvc.OutcomeAccepted).State == pushsvc.StateDone {
			break
		}
	}
	if m := h.message(siteA, 1); len(want) != 0 || m.Progress.Accepted != audience || len(seen) < 2 {
		h.Errorf("%d were in none of %d ranges; %+v", len(want), len(seen), m.Progress)
	}
}

// testNobody sends to a site whose subscribers have all unsubscribed.
func testNobody(h *harness) {
	row := h.put(siteA, 1)
	if err := h.DeleteSubscription(h.Context(), siteA, row.ID); err != nil {
		h.Fatal(err)
	}
	h.create(message(siteA, 1))
	if m := h.finish(h.claim(siteA, 1, epoch), epoch, pushsvc.OutcomeAccepted); m.State != pushsvc.StateDone || m.Progress.Audience != 0 {
		h.Errorf("%+v", m)
	}
}

func testRangePages(h *harness) {
	rows := sorted(h.putAll(siteA, 10))
	h.create(message(siteA, 1))
	h.put(siteA, 11)
	r := h.claim(siteA, 1, epoch)
	if err := h.DeleteSubscription(h.Context(), siteA, rows[4].ID); err != nil {
		h.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		after    pushsvc.SubscriptionID
		limit    int
		from, to int
	}{
		{"from the start", r.Cursor, 4, 0, 4},
		{"the rest", rows[4].ID, 100, 5, 10},
		{"the last", rows[8].ID, 100, 9, 10},
		{"beyond", rows[9].ID, 100, 0, 0},
		{"at the end of numbers", ^pushsvc.SubscriptionID(0), 4, 0, 0},
		{"limit 0", r.Cursor, 0, 0, 0},
		{"limit below 0", r.Cursor, -1, 0, 0},
	} {
		got, err := h.RangePage(h.Context(), r, c.after, c.limit)
		if err != nil {
			h.Errorf("%s: %v", c.name, err)
		}
		h.same(c.name, got, rows[c.from:c.to])
	}
	r.Site = "c.example"
	if got, err := h.RangePage(h.Context(), r, 0, 10); err != nil || len(got) != 0 {
		h.Errorf("an unknown site has %d rows, %v", len(got), err)
	}
}
