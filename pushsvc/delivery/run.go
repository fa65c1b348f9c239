package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

var errMass = errors.New("the push service reports very many subscriptions as gone: they are kept, and each is removed if it is reported gone again after a day")

// inbox returns jobs to their run. It has at most the jobs that the run has started.
type inbox struct {
	signal chan struct{}
	free   func(slots int)

	mu     sync.Mutex
	jobs   []*job
	closed bool
}

func (b *inbox) put(j *job) {
	b.mu.Lock()
	closed := b.closed
	if !closed {
		b.jobs = append(b.jobs, j)
	}
	b.mu.Unlock()
	if closed {
		if j.slot { // only pushes have one, and they hold no lock here
			b.free(1)
		}
		return
	}
	signal(b.signal)
}

func (b *inbox) take() []*job {
	b.mu.Lock()
	defer b.mu.Unlock()
	jobs := b.jobs
	b.jobs = nil
	return jobs
}

func (b *inbox) close() []*job {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.jobs
}

// rangeRun is one claimed range under way. Its own goroutine owns the fields that have no lock.
type rangeRun struct {
	engine  *Engine
	message *messageRun
	rng     pushsvc.Range
	inbox   inbox

	waiting  atomic.Int64 // in the scheduler's queue
	startEnd atomic.Int64 // no push is started after it; Unix ns
	full     atomic.Bool  // it can't read on until the first recipients it has read are settled
	wanted   atomic.Pointer[summons]

	window window                          // of a range of the audience
	known  map[pushsvc.SubscriptionID]bool // of the later range: read and not yet written
	forget []pushsvc.SubscriptionID        // of known: written, but maybe on the page being read

	out      int    // jobs handed out
	idle     []*job // came back because the lease was about to end
	saidGone []*job // answered with 404 or 410, outcome not yet recorded
	outcomes []pushsvc.Outcome
	recent   map[string]pushsvc.Answers // since the last checkpoint, by host
	holding  int                        // slots of the results being dealt with
	held     int                        // slots of results that could not be noted

	pages    chan page
	reading  bool
	ended    bool // everything has been read
	faults   int  // of reading, in a row
	readAt   time.Time
	wrote    time.Time
	draining bool
}

func (e *Engine) newRun(c *messageRun, rng pushsvc.Range, now time.Time) *rangeRun {
	r := &rangeRun{
		engine: e, message: c, rng: rng, wrote: now,
		inbox:  inbox{signal: make(chan struct{}, 1), free: e.sched.release},
		recent: make(map[string]pushsvc.Answers), pages: make(chan page, 1),
	}
	r.leased(rng.Lease)
	if r.isLater() {
		r.known = make(map[pushsvc.SubscriptionID]bool)
	} else {
		r.window = newWindow(&rng)
	}
	for _, o := range rng.Noted {
		if !undecided(o) {
			r.outcomes = append(r.outcomes, o)
			if r.isLater() {
				r.known[o.ID] = true
			}
		}
	}
	r.rng.Noted, r.rng.Settled = nil, nil
	return r
}

func (r *rangeRun) isLater() bool { return r.rng.N == pushsvc.LaterRange }

// leased notes the lease's end. Pushes are started only until some time before it, whatever the
// store reports: clocks differ, and a push takes time.
func (r *rangeRun) leased(until time.Time) {
	r.rng.Lease = until
	r.startEnd.Store(until.Add(-r.engine.cfg.Lease / 3).UnixNano())
}

// mayStart reports whether a push of the run may be started.
func (r *rangeRun) mayStart(now time.Time) bool {
	return now.UnixNano() < r.startEnd.Load() && !r.message.halted.Load()
}

// crowded reports whether the run can't read on because of its waiting jobs.
func (r *rangeRun) crowded() bool { return r.waiting.Load() >= int64(r.engine.cfg.PageSize) }

// run works on the range until it is done or released, or the lease is lost.
func (r *rangeRun) run() error {
	defer r.abandon()
	cfg := &r.engine.cfg
	tick := time.NewTicker(max(min(cfg.CheckpointEvery/2, cfg.Lease/6, 250*time.Millisecond), 5*time.Millisecond))
	defer tick.Stop()
	stop := r.engine.stop
	for {
		r.read()
		select {
		case <-r.inbox.signal:
			if err := r.collect(); err != nil {
				return err
			}
		case p := <-r.pages:
			if err := r.take(p); err != nil {
				return err
			}
		case <-stop:
			stop = nil
		case <-tick.C:
		}
		if finished, err := r.advance(); finished || err != nil {
			return err
		}
	}
}

// advance does the work that is due by the time or by new answers.
func (r *rangeRun) advance() (finished bool, err error) {
	if !r.draining && (r.engine.stopping() || r.message.halted.Load()) {
		r.draining = true
		r.out -= len(r.engine.sched.withdraw(r))
		r.idle = nil
	}
	now := r.engine.cfg.Clock()
	if !r.reading && r.out == 0 && (r.draining || r.ended && len(r.idle) == 0) {
		return true, r.finish(now)
	}
	if len(r.idle) > 0 && r.mayStart(now) {
		idle := r.idle
		r.idle = nil
		r.handOut(idle, false)
	}
	if !r.due(now) && (len(r.saidGone) == 0 || now.Sub(r.wrote) < r.engine.cfg.CheckpointEvery) {
		return false, nil
	}
	r.recordGone(now, false)
	if !r.due(now) {
		return false, nil // it is too early to decide about those reported gone
	}
	if err := r.checkpoint(now, r.engine.cfg.Lease, false); err != nil {
		return false, err
	}
	return false, nil
}

// finish writes the last checkpoint. The answers to other engines may decide whether those reported
// gone are believed: so our answers are written first, and the sum is read.
func (r *rangeRun) finish(now time.Time) error {
	r.recordGone(now, false)
	if len(r.saidGone) > 0 && r.message.mayBeMass() {
		if err := r.checkpoint(now, r.engine.cfg.Lease, false); err != nil {
			return err
		}
		now = r.engine.cfg.Clock()
	}
	r.recordGone(now, true)
	// Not done while draining: some jobs have been withdrawn.
	return r.checkpoint(now, 0, !r.draining)
}

// due reports whether it is time for a checkpoint.
func (r *rangeRun) due(now time.Time) bool {
	cfg, since := &r.engine.cfg, now.Sub(r.wrote)
	return len(r.outcomes) >= cfg.CheckpointSize || r.held > 0 ||
		len(r.outcomes) > 0 && since >= cfg.CheckpointEvery || since >= cfg.Lease/3
}

// handOut passes jobs to the scheduler.
func (r *rangeRun) handOut(jobs []*job, first bool) {
	r.out += len(jobs)
	r.engine.sched.enqueue(r.message.lane, jobs, first)
}

// collect takes the jobs that came back. Each attempt's outcome is noted before another job gets
// its slot.
func (r *rangeRun) collect() error {
	now := r.engine.cfg.Clock()
	var notes []pushsvc.Outcome
	var again []*job
	jobs := r.inbox.take()
	for _, j := range jobs {
		if j.slot {
			j.slot = false
			r.holding++
		}
	}
	r.out -= len(jobs)
	for _, j := range jobs {
		switch j.end {
		case endNotStarted:
			r.idle = append(r.idle, j)
		case endExpired:
			r.record(pushsvc.Outcome{ID: j.sub.ID, Kind: pushsvc.OutcomeExpired, Reason: string(j.why)})
		case endDeferred:
			r.record(r.deferredOutcome(j, now))
		case endAttempted:
			o, retry := r.takeResult(j, now)
			if retry {
				again = append(again, j)
			} else {
				notes = append(notes, o)
			}
		}
	}
	if r.draining {
		r.idle, again = nil, nil
	}
	if err := r.note(notes); err != nil {
		return err
	}
	if len(again) > 0 {
		r.handOut(again, true)
	}
	return nil
}

// takeResult takes an attempt's result, and returns the outcome to note; again is true if there is
// none yet, because the job is tried once more.
func (r *rangeRun) takeResult(j *job, now time.Time) (note pushsvc.Outcome, again bool) {
	r.count(j)
	r.message.report(&j.result)
	o, again := r.outcomeOf(j, now)
	if again {
		return o, true
	}
	if o.Kind != pushsvc.OutcomeGone {
		r.record(o)
		return o, false
	}
	r.saidGone = append(r.saidGone, j)
	kind, sure := r.goneOutcome(j, now)
	if o.Kind = kind; !sure {
		// No subscription may be removed because of this note.
		o.Kind = pushsvc.OutcomeQuarantined
	} else if kind == pushsvc.OutcomeQuarantined {
		o.Reason = pushsvc.ReasonQuarantined
	}
	return o, false
}

// undecided reports whether a note is of a recipient that was reported gone before it was known
// whether to believe it. The recipient is sent to again, which reaches no one if the report is
// true.
func undecided(o pushsvc.Outcome) bool {
	return o.Kind == pushsvc.OutcomeQuarantined && o.Reason != pushsvc.ReasonQuarantined
}

// record adds an outcome to the next checkpoint, which settles its recipient.
func (r *rangeRun) record(o pushsvc.Outcome) {
	r.outcomes = append(r.outcomes, o)
	if !r.isLater() {
		r.window.markSettled(o.ID)
	}
}

// note records outcomes of pushes and frees their slots. If that fails, the slots stay taken until
// the next checkpoint, which is made at once: so there are never more outcomes that a crash would
// forget than there are slots.
func (r *rangeRun) note(notes []pushsvc.Outcome) error {
	var err error
	if len(notes) > 0 {
		err = r.engine.cfg.Store.Note(context.Background(), r.rng, notes)
	}
	n := r.holding
	r.holding = 0
	if err != nil && !lost(err) {
		r.held += n
		return nil
	}
	r.engine.sched.release(n)
	if err != nil {
		return fmt.Errorf("noting outcomes: %w", err)
	}
	return nil
}

// abandon withdraws what the run still has in the scheduler and the messageRun.
func (r *rangeRun) abandon() {
	slots := r.holding + r.held
	r.holding, r.held = 0, 0
	r.engine.sched.withdraw(r)
	for _, j := range r.inbox.close() {
		if j.slot {
			slots++
		}
	}
	r.engine.sched.release(slots)
}

// lost reports whether an error of the store means that the range is no longer ours.
func lost(err error) bool {
	return errors.Is(err, pushsvc.ErrLeaseLost) || errors.Is(err, pushsvc.ErrClosed) || errors.Is(err, pushsvc.ErrNotFound)
}

// checkpoint writes the recorded outcomes, and tries again as long as the lease lasts. Each try is
// the same, including its times, because a try that failed may have been written all the same: by
// that, the store recognises it.
func (r *rangeRun) checkpoint(now time.Time, lease time.Duration, done bool) error {
	c := pushsvc.Checkpoint{
		Site: r.rng.Site, MessageID: r.rng.MessageID, Range: r.rng.N, Epoch: r.rng.Epoch,
		Outcomes: r.outcomes, Answers: r.recent, Lease: lease, At: now,
	}
	if !r.isLater() {
		c.Done, c.Cursor, c.Settled = done, r.window.cursor, r.window.settled()
		if done {
			c.Cursor, c.Settled = r.rng.Until, nil
		}
	}
	r.message.mu.Lock()
	r.message.sums.begin(r.recent)
	r.message.mu.Unlock()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		row, rng, err := r.engine.cfg.Store.Checkpoint(context.Background(), c)
		if err == nil {
			r.written(c, row, rng.Engines)
			return nil
		}
		if lost(err) || r.engine.cfg.Clock().Add(wait).After(r.rng.Lease) {
			return fmt.Errorf("writing a checkpoint: %w", err)
		}
		r.message.report(&webpush.Result{Verdict: webpush.Verdict{Reason: "store"}, Err: err})
		time.Sleep(wait)
	}
}

// written notes that a checkpoint is in the store.
func (r *rangeRun) written(c pushsvc.Checkpoint, row pushsvc.Message, engines int) {
	if r.isLater() {
		for _, o := range c.Outcomes {
			r.forget = append(r.forget, o.ID)
		}
		r.forgetWritten()
	}
	r.outcomes = nil
	r.wrote = c.At
	if c.Lease > 0 {
		r.leased(c.At.Add(c.Lease))
	}
	slots := r.held
	r.held = 0
	r.engine.sched.release(slots)
	r.recent = make(map[string]pushsvc.Answers)
	r.message.update(row)
	r.engine.sched.setEngines(r.message.lane, engines)
}

// forgetWritten forgets recipients that are written; not while a page is being read, because the
// page may show the store as it was before.
func (r *rangeRun) forgetWritten() {
	if r.reading {
		return
	}
	for _, id := range r.forget {
		delete(r.known, id)
	}
	r.forget = r.forget[:0]
}
