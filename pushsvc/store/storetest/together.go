package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// togetherTests are the promises about several processes, tested over two
// handles.
var togetherTests = []test{
	{"ids rise as they become visible", testIDsVisible},
	{"a message's audience while visitors subscribe", testCreateWhilePutting},
	{"engines that share a message", testEngines},
	{"engines whose leases have run out", testEnginesGone},
	{"answers to a message are everybody's", testAnswers},
	{"answers of many hosts", testAnswersBound},
	{"people/counts of many newcomers", testNewcomers},
	{"people/what is known of a page of visitors", testFactsOf},
}

// putWhile subscribes n visitors over both handles and meanwhile calls fn
// repeatedly, also once after the last.
func (h *harness) putWhile(n int, fn func()) {
	h.Helper()
	var left atomic.Bool
	left.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		h.each(n, func(i int) error {
			_, err := h.handle(i).PutSubscription(h.Context(), sub(siteA, i+1), nil)
			return err
		})
		left.Store(false)
	})
	for more := true; more; {
		more = left.Load()
		fn()
	}
	wg.Wait()
}

// testIDsVisible: a reader that continues above the highest id it has seen misses
// no subscription.
func testIDsVisible(h *harness) {
	const n = 400
	var seen []pushsvc.SubscriptionID
	h.putWhile(n, func() {
		after := pushsvc.SubscriptionID(0)
		if len(seen) > 0 {
			after = seen[len(seen)-1]
		}
		page, err := h.handle(len(seen)).SubscriptionPage(h.Context(), siteA, after, n)
		if err != nil {
			h.Error(err)
		}
		for _, row := range page {
			seen = append(seen, row.ID)
		}
	})
	if len(seen) != n || !slices.IsSorted(seen) {
		h.Errorf("a reader has seen %d of %d", len(seen), n)
	}
	if last := seen[len(seen)-1]; last > 2*n {
		h.Errorf("%d subscriptions have ids up to %d", n, last)
	}
}

// testCreateWhilePutting: a message's ranges hold as many recipients as its
// audience counts, however many subscribe while it is created.
func testCreateWhilePutting(h *harness) {
	h.put(siteA, 1000)
	var made []pushsvc.Message
	h.putWhile(400, func() {
		if len(made) == 200 {
			return
		}
		before := h.count(siteA)
		m, created, err := h.handle(len(made)).CreateMessage(h.Context(), message(siteA, len(made)), pushsvc.Idempotency{})
		if err != nil || !created || m.Progress.Audience < before {
			h.Errorf("created %v, %v: %d recipients where there were %d", created, err, m.Progress.Audience, before)
		}
		made = append(made, m)
	})
	for i, m := range made {
		r := h.claim(siteA, i, epoch)
		rows, err := h.RangePage(h.Context(), r, r.Cursor, 1<<20)
		if err != nil || int64(len(rows)) != m.Progress.Audience {
			h.Errorf("message %d: the range has %d of %d recipients, %v", i, len(rows), m.Progress.Audience, err)
		}
	}
}

// claimBy claims a range through the given handle.
func (h *harness) claimBy(handle, n int, owner string) pushsvc.Range {
	h.Helper()
	_, r, err := h.handle(handle).Claim(h.Context(), siteA, messageID(n), owner, time.Minute)
	if err != nil {
		h.Fatalf("%s claims: %v", owner, err)
	}
	return r
}

func testEngines(h *harness) {
	h.importAll(siteA, 10_000)
	h.create(message(siteA, 1))
	a, b := h.claimBy(0, 1, "a"), h.claimBy(1, 1, "b")
	if a.Engines != 1 || b.Engines != 2 {
		h.Errorf("the first sees %d engines, the second %d", a.Engines, b.Engines)
	}
	if again := h.claimBy(0, 1, "a"); again.Engines != 2 {
		h.Errorf("one engine with two ranges, and another: %d", again.Engines)
	}
	if _, r := h.checkpoint(on(a, epoch)); r.Engines != 2 {
		h.Errorf("at the first one's checkpoint: %d", r.Engines)
	}
	c := on(b, epoch)
	c.Lease = 0
	if _, r := h.checkpoint(c); r.Engines != 1 {
		h.Errorf("once the second has given its range back: %d", r.Engines)
	}
	b = h.claimBy(1, 1, "b")
	c = on(b, epoch)
	c.Cursor, c.Done = b.Until, true
	if _, r := h.checkpoint(c); r.Engines != 1 {
		h.Errorf("once the second's range is done: %d", r.Engines)
	}
}

func testEnginesGone(h *harness) {
	h.importAll(siteA, 10_000)
	h.create(message(siteA, 1))
	a := h.claimBy(0, 1, "a")
	h.claimBy(1, 1, "b")
	_, a = h.checkpoint(on(a, epoch.Add(59*time.Second)))
	if a.Engines != 2 {
		h.Errorf("while both are leased: %d", a.Engines)
	}
	if _, a = h.checkpoint(on(a, epoch.Add(time.Minute))); a.Engines != 1 {
		h.Errorf("when one has run out: %d", a.Engines)
	}
}

func testAnswers(h *harness) {
	h.importAll(siteA, 10_000)
	h.create(message(siteA, 1))
	ranges := []pushsvc.Range{h.claimBy(0, 1, "a"), h.claimBy(1, 1, "b")}
	const each = 20
	h.each(2*each, func(i int) error {
		c := on(ranges[i%2], epoch.Add(time.Duration(i)*time.Millisecond))
		c.Answers = map[string]pushsvc.Answers{"fcm.example": {Answers: 10, Gone: int64(i % 2)}, fmt.Sprint("h", i%2): {Answers: 1}}
		m, _, err := h.handle(i).Checkpoint(h.Context(), c)
		if again, _, err2 := h.handle(i+1).Checkpoint(h.Context(), c); err == nil && err2 == nil && again.Answers["fcm.example"].Answers < m.Answers["fcm.example"].Answers {
			err = fmt.Errorf("answers fall: %v, then %v", m.Answers, again.Answers)
		}
		return err
	})
	got := h.message(siteA, 1).Answers
	if got["fcm.example"].Answers < 20*each { // a repetition after another checkpoint counts as a new one
		h.Errorf("%+v", got)
	}
	c := on(ranges[0], epoch.Add(time.Second))
	c.Answers = map[string]pushsvc.Answers{"fcm.example": {Answers: 5, Gone: 5}}
	first, _ := h.checkpoint(c)
	again, _ := h.checkpoint(c)
	h.same("repeated", again.Answers, first.Answers)
	want := got["fcm.example"]
	want.Answers, want.Gone = want.Answers+5, want.Gone+5
	h.same("sum", first.Answers["fcm.example"], want)
	h.same("row", h.message(siteA, 1).Answers, first.Answers)
	m := h.control(siteA, 1, pushsvc.CommandCancel, epoch.Add(time.Hour))
	if m.State != pushsvc.StateCancelled || len(m.Answers) > 0 {
		h.Errorf("%s, answers %v", m.State, m.Answers)
	}
}

func testAnswersBound(h *harness) {
	h.putAll(siteA, 3)
	h.create(message(siteA, 1))
	r := h.claim(siteA, 1, epoch)
	for i := range 2 {
		c := on(r, epoch.Add(time.Duration(i)*time.Second))
		c.Answers = map[string]pushsvc.Answers{}
		for n := range pushsvc.MaxAnswerHosts {
			c.Answers[fmt.Sprintf("%d-%d.example", i, n)] = pushsvc.Answers{Answers: 1}
		}
		c.Answers["0-0.example"] = pushsvc.Answers{Answers: 1}
		m, _ := h.checkpoint(c)
		if len(m.Answers) != pushsvc.MaxAnswerHosts || m.Answers["0-0.example"].Answers != int64(i+1) {
			h.Errorf("checkpoint %d: %d hosts, %+v", i, len(m.Answers), m.Answers["0-0.example"])
		}
	}
}

// testNewcomers: all changes count, however many devices are new at the same time; the
// number of profiles differs from its limit by those that come at once at the most.
func testNewcomers(h *harness) {
	const n, most, atOnce = 300, 100, 64 // see harness.each
	h.each(n, func(i int) error {
		_, err := h.handle(i).Track(h.Context(), siteA, people.Batch{
			Device: device(i), ID: batchID(i), At: epoch, Limits: people.Limits{Anonymous: most, Known: most, EventNames: 50},
			Entries: []people.Entry{event(fmt.Sprint("E", i%70), epoch)},
		})
		return err
	})
	page, err := h.ProfilePage(h.Context(), siteA, "", 10*n)
	events, err2 := h.EventSummary(h.Context(), siteA)
	if err != nil || err2 != nil {
		h.Fatal(err, err2)
	}
	got := h.people(siteA)
	if got.Profiles != int64(len(page)) || got.Anonymous != int64(len(page)) || got.EventNames != int64(len(events)) {
		h.Errorf("the site counts %+v and has %d profiles and %d events", got, len(page), len(events))
	}
	// Each that comes at once drops up to two (people.maxPeopleOut) by the same count.
	if len(page) < most-atOnce || len(page) > most+atOnce || len(events) < 50 || len(events) > 50+atOnce {
		h.Errorf("%d profiles and %d events, where the limits are %d and 50", len(page), len(events), most)
	}
}

// testFactsOf reads a page of visitors at once, as one by one.
func testFactsOf(h *harness) {
	h.trackBatch(siteA, people.Batch{Device: device(1), ID: batchID(1), At: epoch, Entries: []people.Entry{event("A", epoch)}})
	h.trackBatch(siteA, people.Batch{Device: device(2), ID: batchID(2), At: epoch, Entries: []people.Entry{event("B", epoch), login("2")}})
	s := sub(siteA, 1)
	s.Device = device(2)
	h.putSub(s, nil)
	devices := []pushsvc.DeviceID{device(9), device(2), device(1), {}, device(2)}
	for _, site := range []string{siteA, siteB} {
		got, err := h.FactsOf(h.Context(), site, devices)
		if err != nil || len(got) != len(devices) {
			h.Fatalf("%d of %d, %v", len(got), len(devices), err)
		}
		for i, d := range devices {
			facts, err := h.Facts(h.Context(), site, d)
			if err != nil {
				h.Fatal(err)
			}
			h.same(fmt.Sprint("visitor ", i, " of ", site), got[i], facts)
		}
		if site == siteA && (got[0].Profile != nil || got[1].Profile == nil || !got[1].Subscribed || got[2].Profile == nil || got[2].Subscribed) {
			h.Errorf("%+v", got)
		}
	}
	if none, err := h.FactsOf(h.Context(), siteA, nil); err != nil || len(none) != 0 {
		h.Errorf("without devices: %v, %v", none, err)
	}
}
