package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var simulationTests = []test{
	{"simulation of one engine", func(h *harness) { simulate(h, 1, 600, false) }},
	{"simulation of engines that crash", func(h *harness) { simulate(h, 1, 600, true) }},
	{"simulation of several engines", func(h *harness) { simulate(h, 4, 8000, false) }},
	{"simulation of several engines that crash", func(h *harness) { simulate(h, 4, 8000, true) }},
}

// simulation is of a message to an audience that comes and goes, sent by engines of
// which some crash. Its clock moves when no engine has work, and never during a
// send: a lease that holds at the beginning of a push holds at its end. Sometimes
// it also moves while another engine works, which may then lose its lease; if it
// always did, idle engines could take the leases of working ones for ever.
type simulation struct {
	*harness
	keepsNotes bool
	crashes    bool

	clock   sync.RWMutex
	now     time.Time
	working atomic.Int32 // engines that hold a range

	mu    sync.Mutex
	turns map[turn]int                   // how often each attempt was sent
	last  map[pushsvc.SubscriptionID]int // the highest attempt per recipient
	dead  int                            // engines that crashed
	lost  int                            // sent by those, without a note
}

// turn is one recipient's attempt, from 1.
type turn struct {
	id      pushsvc.SubscriptionID
	attempt int
}

// lease is the length of engines' leases, in the simulation's time.
const lease = 30 * time.Second

func (c *simulation) tick(d time.Duration) time.Time {
	c.clock.Lock()
	defer c.clock.Unlock()
	c.now = c.now.Add(d)
	c.set(c.now)
	return c.now
}

// simulate sends, and then compares the engines' results with the store's
// counts.
func simulate(h *harness, engines, audience int, crashes bool) {
	c := &simulation{harness: h, crashes: crashes, now: epoch, turns: map[turn]int{}, last: map[pushsvc.SubscriptionID]int{}}
	c.keepsNotes = h.keepsNotes()
	h.importAll(siteA, audience)
	present := h.all(siteA)
	h.create(message(siteA, 1))
	var wg sync.WaitGroup
	errs := make(chan error, engines+1)
	for e := range engines {
		wg.Go(func() { errs <- c.engine(e) })
	}
	stop := make(chan struct{})
	var coming sync.WaitGroup
	coming.Go(func() { c.comeAndGo(stop, audience) })
	wg.Wait()
	close(stop)
	coming.Wait()
	for range engines {
		if err := <-errs; err != nil {
			h.Fatal(err)
		}
	}
	c.compare(present)
}

// comeAndGo subscribes and unsubscribes during the simulation.
func (c *simulation) comeAndGo(stop chan struct{}, audience int) {
	r := rand.New(rand.NewPCG(5, 6))
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
		}
		_, err := c.handle(n).PutSubscription(c.Context(), sub(siteA, 100_000+n), nil)
		_, err2 := c.handle(n).DeleteProven(c.Context(), siteA, *proof(1 + r.IntN(audience)))
		if err := errors.Join(err, err2); err != nil {
			c.Error(err)
		}
	}
}

// engine works until the message is done.
func (c *simulation) engine(number int) error {
	r := rand.New(rand.NewPCG(uint64(number), 77))
	for steps := 0; ; steps++ {
		if steps > 100_000 {
			return errors.New("the simulation doesn't end")
		}
		c.tick(time.Millisecond)
		m, rng, err := c.handle(number).Claim(c.Context(), siteA, messageID(1), fmt.Sprint("engine ", number), lease)
		switch {
		case errors.Is(err, pushsvc.ErrNotFound):
			return nil
		case errors.Is(err, pushsvc.ErrNothingDue):
			c.balanced(m.Progress)
			if c.working.Load() > 0 && r.IntN(50) > 0 {
				time.Sleep(time.Millisecond)
				continue
			}
			c.tick(time.Second)
			continue
		case err != nil:
			return err
		}
		c.working.Add(1)
		err = c.work(r, rng)
		c.working.Add(-1)
		if err != nil && !errors.Is(err, pushsvc.ErrLeaseLost) {
			return err
		}
	}
}

// work sends a range in random order, a page at a time.
func (c *simulation) work(r *rand.Rand, rng pushsvc.Range) error {
	taken := map[pushsvc.SubscriptionID]bool{}
	for _, id := range rng.Settled {
		taken[id] = true
	}
	outcomes := slices.Clone(rng.Noted)
	for _, o := range outcomes {
		taken[o.ID] = true
	}
	for {
		rows, attempts, err := c.page(rng)
		if err != nil {
			return err
		}
		end := len(rows) < 64
		ids := make([]pushsvc.SubscriptionID, 0, len(rows))
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
		crash := c.crashes && r.IntN(8) == 0
		for _, i := range r.Perm(len(rows)) {
			if taken[ids[i]] {
				continue
			}
			if crash && r.IntN(16) == 0 {
				c.crash(len(outcomes) - len(rng.Noted))
				return nil
			}
			o, err := c.send(r, rng, rows[i], attempts[i])
			if err != nil {
				return err
			}
			taken[o.ID], outcomes = true, append(outcomes, o)
		}
		if crash {
			c.crash(len(outcomes) - len(rng.Noted))
			return nil
		}
		rng, err = c.writeCheckpoint(rng, ids, outcomes, end)
		if err != nil || end {
			return err
		}
		outcomes = nil
	}
}

// page returns the next recipients and their attempt numbers.
func (c *simulation) page(rng pushsvc.Range) (rows []pushsvc.Subscription, attempts []int, err error) {
	if rng.N != pushsvc.LaterRange {
		rows, err = c.RangePage(c.Context(), rng, rng.Cursor, 64)
		return rows, slices.Repeat([]int{1}, len(rows)), err
	}
	retries, err := c.LaterPage(c.Context(), siteA, messageID(1), 64)
	for _, r := range retries {
		rows, attempts = append(rows, r.Subscription), append(attempts, r.Attempt+1)
		if r.Subscription.ID == 0 {
			rows[len(rows)-1] = pushsvc.Subscription{ID: r.ID} // the recipient has unsubscribed
		}
	}
	return rows, attempts, err
}

// send notes a random outcome for one recipient.
func (c *simulation) send(r *rand.Rand, rng pushsvc.Range, row pushsvc.Subscription, attempt int) (pushsvc.Outcome, error) {
	c.clock.RLock()
	defer c.clock.RUnlock()
	o := pushsvc.Outcome{ID: row.ID, Kind: pushsvc.OutcomeAccepted}
	if !c.now.Before(rng.Lease) {
		return o, pushsvc.ErrLeaseLost
	}
	switch n := r.IntN(12); {
	case row.Endpoint == "":
		o.Kind = pushsvc.OutcomeLeft
	case n == 0:
		o.Kind = pushsvc.OutcomeGone
	case n == 1:
		o.Kind, o.Reason = pushsvc.OutcomeFailed, "rejected"
	case n < 5 && attempt < 4:
		o.Kind, o.Reason, o.Attempt, o.Due = pushsvc.OutcomeLater, "busy", attempt, c.now.Add(time.Duration(r.IntN(40))*time.Second)
	case n == 5:
		o.Kind = pushsvc.OutcomeExpired
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turns[turn{row.ID, attempt}]++
	c.last[row.ID] = max(c.last[row.ID], attempt)
	return o, c.Note(c.Context(), rng, []pushsvc.Outcome{o})
}

// crash leaves a range unfinished; its lease expires.
func (c *simulation) crash(unwritten int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead++
	c.lost += unwritten
}

// writeCheckpoint writes a checkpoint, and sometimes repeats it.
func (c *simulation) writeCheckpoint(rng pushsvc.Range, ids []pushsvc.SubscriptionID, outcomes []pushsvc.Outcome, end bool) (pushsvc.Range, error) {
	now := c.tick(time.Millisecond)
	cp := on(rng, now, outcomes...)
	cp.Lease = lease
	cp.Settled = nil
	if rng.N == pushsvc.LaterRange {
		if end {
			cp.Lease = 0
		}
	} else {
		if len(ids) > 0 {
			cp.Cursor = ids[len(ids)-1]
		}
		for _, o := range outcomes { // noted ones may be further ahead
			if o.ID > cp.Cursor {
				cp.Settled = append(cp.Settled, o.ID)
			}
		}
		for _, id := range rng.Settled {
			if id > cp.Cursor {
				cp.Settled = append(cp.Settled, id)
			}
		}
		slices.Sort(cp.Settled)
		cp.Done = end
	}
	m, next, err := c.Checkpoint(c.Context(), cp)
	if err != nil {
		return next, err
	}
	c.balanced(m.Progress)
	if len(outcomes)%5 == 0 && m.State != pushsvc.StateDone {
		if _, _, err := c.Checkpoint(c.Context(), cp); err != nil {
			return next, fmt.Errorf("repeating a checkpoint: %w", err)
		}
	}
	return next, nil
}

// compare compares the engines' counts with the store's.
func (c *simulation) compare(audience []pushsvc.Subscription) {
	c.Helper()
	m := c.message(siteA, 1)
	p := m.Progress
	if m.State != pushsvc.StateDone || p.Audience != int64(len(audience)) || p.Pending != 0 || p.Later != 0 {
		c.Errorf("at the end: %s, %+v", m.State, p)
	}
	in := map[pushsvc.SubscriptionID]bool{}
	for _, row := range audience {
		in[row.ID] = true
	}
	for id := range c.last {
		if !in[id] {
			c.Errorf("%d is not of the audience", id)
		}
	}
	never := int64(len(audience) - len(c.last))
	if never > p.Left {
		c.Errorf("%d were never sent to, %d left", never, p.Left)
	}
	twice := 0
	for t, n := range c.turns {
		twice += n - 1
		if t.attempt > 1 && c.turns[turn{t.id, t.attempt - 1}] == 0 {
			c.Errorf("%d was tried a %d. time and not before", t.id, t.attempt)
		}
	}
	if allowed := map[bool]int{true: 0, false: c.lost}[c.keepsNotes]; twice > allowed {
		c.Errorf("%d were sent to twice; %d engines crashed, which had %d outcomes not in a checkpoint", twice, c.dead, c.lost)
	}
	if c.crashes && c.dead == 0 {
		c.Error("no engine crashed: the test tests nothing")
	}
	if n := int64(len(c.all(siteA))); n != c.count(siteA) {
		c.Errorf("the site counts %d and has %d", c.count(siteA), n)
	}
	c.Logf("%d turns, %d crashes, failed %v, %+v", len(c.turns), c.dead, slices.Collect(maps.Keys(p.Failed)), p)
}
