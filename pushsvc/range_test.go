package pushsvc_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

type (
	id      = pushsvc.SubscriptionID
	outcome = pushsvc.Outcome
)

func sameRows(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestPlan(t *testing.T) {
	m := pushsvc.Message{ID: "m", Site: "a", State: "nonsense", Started: at(1), Created: at(2), Progress: pushsvc.Progress{Accepted: 9}}
	row, ranges := m.Plan(3000, 10_000)
	if row.State != pushsvc.StateQueued || row.Progress.Audience != 3000 || row.Progress.Pending != 3000 || row.Progress.Accepted != 0 || !row.Started.IsZero() {
		t.Errorf("%+v", row)
	}
	next := id(0)
	for i, r := range ranges {
		if r.N != i-1 || r.N >= 0 && r.Cursor != next {
			t.Errorf("range %d begins after %d, not %d", r.N, r.Cursor, next)
		}
		next = r.Until
	}
	if len(ranges) != 5 || next != 10_000 {
		t.Errorf("%d ranges up to %d", len(ranges), next)
	}
	if _, many := m.Plan(1, 1<<40); len(many) != pushsvc.MaxRanges+1 {
		t.Errorf("%d ranges", len(many))
	}
	m.Only, m.SendAt = 77, at(3)
	row, ranges = m.Plan(3000, 10_000)
	if row.State != pushsvc.StateScheduled || row.Progress.Audience != 1 || len(ranges) != 2 || ranges[1].Cursor != 76 || ranges[1].Until != 77 {
		t.Errorf("to one: %+v, %+v", row, ranges)
	}
}

// TestCreate: a repetition returns the earlier message, whatever else has changed since; what refuses a new one
// is checked after that.
func TestCreate(t *testing.T) {
	hash := [32]byte{1}
	stored := pushsvc.Idempotency{Key: "k", RequestHash: hash, Expires: at(10)}
	for name, c := range map[string]struct {
		id, key string
		hash    [32]byte
		request string // the id of the stored request's message
		only    pushsvc.SubscriptionID
		moving  bool
		want    string // the row's id
		err     error
		new     bool
	}{
		"a new one":                          {id: "m", want: "m", new: true},
		"to one subscription":                {id: "m", only: 3, want: "m", new: true},
		"to one that is gone":                {id: "m", only: 4, err: pushsvc.ErrNotFound},
		"a known id":                         {id: "old", want: "old"},
		"a known id, to one that is gone":    {id: "old", only: 4, want: "old"},
		"a known id while rows move":         {id: "old", moving: true, want: "old"},
		"a new one while rows move":          {id: "m", moving: true, err: pushsvc.ErrSiteMoving},
		"to one that may still arrive":       {id: "m", only: 4, moving: true, err: pushsvc.ErrSiteMoving},
		"a repeated request":                 {id: "m", key: "k", hash: hash, request: "old", only: 4, moving: true, want: "old"},
		"another request with its key":       {id: "old", key: "k", request: "old", err: pushsvc.ErrIdempotencyConflict},
		"a repeated request, pruned since":   {id: "m", key: "k", hash: hash, request: "pruned", want: "m", new: true},
		"pruned since, but the id is known":  {id: "old", key: "k", hash: hash, request: "pruned", want: "old"},
		"another key":                        {id: "m", key: "l", hash: hash, request: "old", want: "m", new: true},
		"another request without an own key": {id: "m", request: "old", want: "m", new: true},
	} {
		m := pushsvc.Message{ID: c.id, Site: "a", Only: c.only, Created: at(1)}
		row, ranges, err := m.Create(pushsvc.Idempotency{Key: c.key, RequestHash: c.hash}, pushsvc.Creation{
			Request: func(key string) (pushsvc.Idempotency, string, error) {
				if key != stored.Key {
					return pushsvc.Idempotency{}, "", nil
				}
				return stored, c.request, nil
			},
			Message: func(id string) (row pushsvc.Message, err error) {
				if id != "old" {
					return row, pushsvc.ErrNotFound
				}
				return pushsvc.Message{ID: id}, nil
			},
			Unmoved: func() error {
				if c.moving {
					return pushsvc.ErrSiteMoving
				}
				return nil
			},
			Subscription: func(id pushsvc.SubscriptionID) (sub pushsvc.Subscription, err error) {
				if id != 3 {
					return sub, pushsvc.ErrNotFound
				}
				return sub, nil
			},
			Audience: func() (int64, pushsvc.SubscriptionID) { return 7, 9 },
		})
		if row.ID != c.want || !errors.Is(err, c.err) || (len(ranges) > 0) != c.new {
			t.Errorf("%s: %+v, %d ranges, %v; want %q, %v", name, row, len(ranges), err, c.want, c.err)
		}
		if want := int64(7); c.new && c.only == 0 && (row.Progress.Audience != want || ranges[len(ranges)-1].Until != 9) {
			t.Errorf("%s: %+v, %+v", name, row.Progress, ranges)
		}
	}
	failure := errors.New("damaged")
	if _, ranges, err := (pushsvc.Message{ID: "m"}).Create(pushsvc.Idempotency{}, pushsvc.Creation{
		Message: func(string) (pushsvc.Message, error) { return pushsvc.Message{}, failure },
	}); !errors.Is(err, failure) || ranges != nil {
		t.Errorf("a message that can't be read: %v, %v", ranges, err)
	}
}

func TestRepeats(t *testing.T) {
	stored := pushsvc.Idempotency{Key: "k", RequestHash: [32]byte{1}, Expires: at(10)}
	for name, c := range map[string]struct {
		idem pushsvc.Idempotency
		at   time.Time
		want bool
		err  error
	}{
		"the same":         {stored, at(9), true, nil},
		"another request":  {pushsvc.Idempotency{Key: "k", RequestHash: [32]byte{2}}, at(9), false, pushsvc.ErrIdempotencyConflict},
		"at its very end":  {stored, at(10), false, nil},
		"another, too old": {pushsvc.Idempotency{Key: "k"}, at(11), false, nil},
		"no key":           {pushsvc.Idempotency{RequestHash: [32]byte{1}}, at(9), false, nil},
	} {
		if got, err := c.idem.Repeats(stored, c.at); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestMayClaim(t *testing.T) {
	for state, want := range map[pushsvc.State]error{
		pushsvc.StateScheduled: nil, pushsvc.StateQueued: nil, pushsvc.StateSending: nil,
		pushsvc.StatePaused: pushsvc.ErrNothingDue, pushsvc.StateHeld: pushsvc.ErrNothingDue, pushsvc.StateCancelling: pushsvc.ErrNothingDue,
		pushsvc.StateDone: pushsvc.ErrNotFound, pushsvc.StateCancelled: pushsvc.ErrNotFound,
	} {
		m := pushsvc.Message{State: state, SendAt: at(5)}
		if err := m.MayClaim(at(5)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", state, err, want)
		}
		if want != nil {
			continue
		}
		if err := m.MayClaim(at(4)); !errors.Is(err, pushsvc.ErrNothingDue) || !m.Idle(at(4)) || m.Idle(at(5)) {
			t.Errorf("%s, before its time: %v", state, err)
		}
	}
	if m := (pushsvc.Message{State: pushsvc.StateCancelling, SendAt: at(5)}); m.Idle(at(4)) {
		t.Error("a cancelling message needs a last look before its time, too")
	}
}

func TestFree(t *testing.T) {
	due := pushsvc.Message{NextTry: at(10)}
	for name, c := range map[string]struct {
		r    pushsvc.Range
		at   time.Time
		want bool
	}{
		"new":                      {pushsvc.Range{}, at(0), true},
		"leased":                   {pushsvc.Range{Lease: at(1)}, at(0), false},
		"at the lease's very end":  {pushsvc.Range{Lease: at(1)}, at(1), true},
		"done":                     {pushsvc.Range{Done: true}, at(0), false},
		"retries, not due":         {pushsvc.Range{N: pushsvc.LaterRange}, at(9), false},
		"retries, due":             {pushsvc.Range{N: pushsvc.LaterRange}, at(10), true},
		"retries, due and leased":  {pushsvc.Range{N: pushsvc.LaterRange, Lease: at(11)}, at(10), false},
		"retries, lease at an end": {pushsvc.Range{N: pushsvc.LaterRange, Lease: at(10)}, at(10), true},
	} {
		if got := c.r.Free(&due, c.at); got != c.want {
			t.Errorf("%s: free: %v", name, got)
		}
		if c.want && !due.MayBeFree(c.r.N, c.r.Done, c.at) {
			t.Errorf("%s: is free and may not be", name)
		}
	}
	none := pushsvc.Message{}
	if r := (pushsvc.Range{N: pushsvc.LaterRange}); r.Free(&none, at(0)) {
		t.Error("the range of no retries is free")
	}
}

func TestAccept(t *testing.T) {
	sending, done := pushsvc.Message{State: pushsvc.StateSending}, pushsvc.Message{State: pushsvc.StateDone}
	c := pushsvc.Checkpoint{Epoch: 2, Cursor: 5, At: at(1), Outcomes: []outcome{{ID: 4, Kind: pushsvc.OutcomeFailed, Reason: "a"}}}
	row := pushsvc.RangeRow{Range: pushsvc.Range{Epoch: 2}}
	for _, epoch := range []int64{-1, 0, 1, 3} {
		old := c
		old.Epoch = epoch
		if ok, err := row.Accept(&sending, &old); ok || !errors.Is(err, pushsvc.ErrLeaseLost) {
			t.Errorf("epoch %d: %v, %v", epoch, ok, err)
		}
	}
	unclaimed := pushsvc.RangeRow{}
	if ok, err := unclaimed.Accept(&sending, &pushsvc.Checkpoint{}); ok || !errors.Is(err, pushsvc.ErrLeaseLost) {
		t.Errorf("a range without a claim: %v, %v", ok, err)
	}
	if ok, err := row.Accept(&sending, &c); !ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	row.Done = true
	for _, m := range []*pushsvc.Message{&sending, &done} { // also when it was the last
		if ok, err := row.Accept(m, &c); ok || err != nil {
			t.Errorf("repeated: %v, %v", ok, err)
		}
	}
	for name, change := range map[string]func(*pushsvc.Checkpoint){
		"time":    func(c *pushsvc.Checkpoint) { c.At = at(1.000000001) },
		"cursor":  func(c *pushsvc.Checkpoint) { c.Cursor++ },
		"settled": func(c *pushsvc.Checkpoint) { c.Settled = []id{9} },
		"kind": func(c *pushsvc.Checkpoint) {
			c.Outcomes = []outcome{{ID: 4, Kind: pushsvc.OutcomeAccepted, Reason: "a"}}
		},
		"reason": func(c *pushsvc.Checkpoint) { c.Outcomes = []outcome{{ID: 4, Kind: pushsvc.OutcomeFailed, Reason: "b"}} },
		"due": func(c *pushsvc.Checkpoint) {
			c.Outcomes = []outcome{{ID: 4, Kind: pushsvc.OutcomeFailed, Reason: "a", Due: at(1)}}
		},
		"done": func(c *pushsvc.Checkpoint) { c.Done = true },
	} {
		other, r := c, row
		change(&other)
		if ok, err := r.Accept(&sending, &other); ok || !errors.Is(err, pushsvc.ErrLeaseLost) {
			t.Errorf("another %s is taken for a repetition: %v, %v", name, ok, err)
		}
	}
	if err := row.Noting(&sending, 2); !errors.Is(err, pushsvc.ErrLeaseLost) {
		t.Errorf("a note on what is done: %v", err)
	}
}

func TestApply(t *testing.T) {
	m := pushsvc.Message{State: pushsvc.StateSending}
	move := func(r *pushsvc.Range, c pushsvc.Checkpoint) bool {
		_, ended := m.Apply(r, &c, at(100), nil)
		return ended
	}
	r := pushsvc.Range{Cursor: 10, Until: 50, Owner: "e", Epoch: 1, Settled: []id{12}}
	if move(&r, pushsvc.Checkpoint{Cursor: 8, Settled: []id{9, 12, 14}, Lease: 5 * time.Second}) {
		t.Error("it is done")
	}
	sameRows(t, "moved back", r, pushsvc.Range{Cursor: 10, Until: 50, Owner: "e", Epoch: 1, Settled: []id{12, 14}, Lease: at(105)})
	move(&r, pushsvc.Checkpoint{Cursor: 12})
	sameRows(t, "given back", r, pushsvc.Range{Cursor: 12, Until: 50, Epoch: 1})
	r.Claim("f", at(100), 9*time.Second)
	sameRows(t, "claimed", r, pushsvc.Range{Cursor: 12, Until: 50, Owner: "f", Epoch: 2, Lease: at(109)})
	if !move(&r, pushsvc.Checkpoint{Cursor: 50, Lease: time.Second, Done: true}) {
		t.Error("it is not done")
	}
	sameRows(t, "done", r, pushsvc.Range{Cursor: 50, Until: 50, Epoch: 2, Done: true})
	later := pushsvc.Range{N: pushsvc.LaterRange, Owner: "e"}
	if move(&later, pushsvc.Checkpoint{Cursor: 7, Done: true}) || later.Cursor != 0 || later.Done {
		t.Errorf("the retries' range: %+v", later)
	}
	move(&r, pushsvc.Checkpoint{Answers: map[string]pushsvc.Answers{"a": {Answers: 3, Gone: 1}}})
	move(&r, pushsvc.Checkpoint{Answers: map[string]pushsvc.Answers{"a": {Answers: 2, Gone: 2}, "b": {Answers: 1}}})
	sameRows(t, "answers", m.Answers, map[string]pushsvc.Answers{"a": {Answers: 5, Gone: 3}, "b": {Answers: 1}})
}

func TestEngines(t *testing.T) {
	e := pushsvc.Engines{}
	for _, r := range []pushsvc.Range{{Owner: "a", Lease: at(2)}, {Owner: "a", Lease: at(9)}, {Owner: "b", Lease: at(1)}, {Owner: "c", Lease: at(3)}, {}} {
		e.Add(&r, at(1))
	}
	if len(e) != 2 {
		t.Errorf("%v", e)
	}
}

func TestTake(t *testing.T) {
	m := pushsvc.Message{Progress: pushsvc.Progress{Audience: 9, Pending: 9, Failed: map[string]int64{}}}
	r := pushsvc.Range{Cursor: 2, Until: 9, Settled: []id{5}}
	e := m.Take(&r, []outcome{
		{ID: 1, Kind: pushsvc.OutcomeGone},
		{ID: 5, Kind: pushsvc.OutcomeAccepted}, // dealt with before
		{ID: 3, Kind: pushsvc.OutcomeGone},
		{ID: 4, Kind: pushsvc.OutcomeQuarantined},
		{ID: 6, Kind: pushsvc.OutcomeLater, Reason: "busy", Attempt: 1, Due: at(1.23456)},
		{ID: 7, Kind: pushsvc.OutcomeAccepted},
	}, nil)
	sameRows(t, "effects", e, pushsvc.Effects{
		Gone: []id{3}, Doubted: []id{4}, Later: []pushsvc.Retry{{ID: 6, Attempt: 1, Reason: "busy", Due: at(1.234)}},
	})
	sameRows(t, "progress", m.Progress, pushsvc.Progress{
		Audience: 9, Pending: 5, Gone: 1, Later: 1, Accepted: 1,
		Failed: map[string]int64{pushsvc.ReasonQuarantined: 1}, Reasons: map[string]int64{"busy": 1},
	})

	queue := map[id]pushsvc.Retry{6: {ID: 6, Attempt: 1, Reason: "busy"}, 8: {ID: 8, Attempt: 1, Reason: "busy"}}
	retries := func(id id) (pushsvc.Retry, bool) { r, ok := queue[id]; return r, ok }
	m.Progress = pushsvc.Progress{Audience: 2, Later: 2, Failed: map[string]int64{}, Reasons: map[string]int64{"busy": 2}}
	e = m.Take(&pushsvc.Range{N: pushsvc.LaterRange}, []outcome{
		{ID: 3, Kind: pushsvc.OutcomeGone}, // not there
		{ID: 6, Kind: pushsvc.OutcomeAccepted},
		{ID: 6, Kind: pushsvc.OutcomeGone},
		{ID: 8, Kind: pushsvc.OutcomeLater, Reason: "slow", Attempt: 2, Due: at(2)},
		{ID: 8, Kind: pushsvc.OutcomeLater, Reason: "tls", Attempt: 3, Due: at(3)},
	}, retries)
	sameRows(t, "effects on retries", e, pushsvc.Effects{Dropped: []id{6}, Later: []pushsvc.Retry{{ID: 8, Attempt: 3, Reason: "tls", Due: at(3)}}})
	sameRows(t, "progress of retries", m.Progress, pushsvc.Progress{Audience: 2, Accepted: 1, Later: 1, Failed: map[string]int64{}, Reasons: map[string]int64{"tls": 1}})
}

func TestUnsettled(t *testing.T) {
	r := pushsvc.Range{Cursor: 2, Settled: []id{5, 8}}
	sameRows(t, "of an audience", r.Unsettled([]outcome{{ID: 2}, {ID: 3}, {ID: 5}, {ID: 8}, {ID: 9}}, nil), []outcome{{ID: 3}, {ID: 9}})
	later := func(attempt int, due float64) outcome {
		return outcome{ID: 6, Kind: pushsvc.OutcomeLater, Attempt: attempt, Due: at(due)}
	}
	queue := func(id id) (pushsvc.Retry, bool) { return pushsvc.Retry{ID: 6, Attempt: 2, Due: at(5)}, id == 6 }
	for _, c := range []struct {
		o    outcome
		kept bool
	}{
		{outcome{ID: 7, Kind: pushsvc.OutcomeAccepted}, false},
		{outcome{ID: 6, Kind: pushsvc.OutcomeAccepted}, true},
		{later(1, 9), false},
		{later(2, 5), false},
		{later(2, 6), true},
		{later(3, 1), true},
	} {
		got := (&pushsvc.Range{N: pushsvc.LaterRange}).Unsettled([]outcome{c.o}, queue)
		if (len(got) == 1) != c.kept {
			t.Errorf("%+v: kept %v", c.o, got)
		}
	}
}

// TestEnd: at each end every recipient is in one state.
func TestEnd(t *testing.T) {
	progress := func() pushsvc.Progress {
		return pushsvc.Progress{Audience: 6, Pending: 3, Later: 1, Accepted: 2, Failed: map[string]int64{}}
	}
	for _, c := range []struct {
		open  int
		later int64
		state pushsvc.State
		want  pushsvc.State
		left  int64
	}{
		{1, 0, pushsvc.StateSending, pushsvc.StateSending, 0},
		{0, 1, pushsvc.StateSending, pushsvc.StateSending, 3},
		{0, 0, pushsvc.StateSending, pushsvc.StateDone, 3},
		{0, 0, pushsvc.StatePaused, pushsvc.StateDone, 3},
		{0, 0, pushsvc.StateCancelling, pushsvc.StateCancelling, 0},
	} {
		m := pushsvc.Message{State: c.state, NextTry: at(5), Progress: progress()}
		m.Progress.Audience, m.Progress.Later = 5+c.later, c.later
		ended := m.EndDone(c.open, at(3))
		if ended != (c.want == pushsvc.StateDone) || m.State != c.want || m.Progress.Left != c.left || ended != m.Finished.Equal(at(3)) || ended != m.NextTry.IsZero() {
			t.Errorf("%s", fmt.Sprintf("%+v: %v, %+v", c, ended, m))
		}
	}
	m := pushsvc.Message{State: pushsvc.StateCancelling, NextTry: at(5), Progress: progress()}
	m.EndCancelled(at(3))
	if m.State != pushsvc.StateCancelled || m.Progress.Cancelled != 4 || m.Progress.Pending+m.Progress.Later != 0 || !m.NextTry.IsZero() {
		t.Errorf("%+v", m)
	}
	if !m.Prunable(at(4)) || m.Prunable(at(3)) || (&pushsvc.Message{State: pushsvc.StateSending}).Prunable(at(9)) {
		t.Error("only what has ended before is pruned")
	}
}

func TestReceive(t *testing.T) {
	var p pushsvc.Progress
	for _, k := range []pushsvc.ReceiptKind{pushsvc.ReceiptShown, pushsvc.ReceiptClicked, pushsvc.ReceiptClosed} {
		if !p.Receive(k) {
			t.Errorf("%s is not known", k)
		}
	}
	if p.Receive("other") || p.Shown != 1 || p.Clicked != 1 || p.Closed != 1 {
		t.Errorf("%+v", p)
	}
}
