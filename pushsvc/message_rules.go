package pushsvc

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The rules of a message's course, which all stores share.

// CheckMessage refuses what no store accepts. Create calls it; a store may do so before it changes anything.
func CheckMessage(m Message, idem Idempotency) error {
	switch {
	case m.ID == "" || len(m.ID) > MaxRowID:
		return fmt.Errorf("the message's id has %d bytes, not 1 to %d", len(m.ID), MaxRowID)
	case len(idem.Key) > MaxRowID:
		return fmt.Errorf("the idempotency key has more than %d bytes", MaxRowID)
	}
	return nil
}

// Repeats reports whether a request repeats the one that stored was kept for, with the same key;
// ErrIdempotencyConflict if it is a different one.
func (i Idempotency) Repeats(stored Idempotency, at time.Time) (bool, error) {
	switch {
	case i.Key == "" || i.Key != stored.Key || !at.Before(stored.Expires):
		return false, nil
	case subtle.ConstantTimeCompare(i.RequestHash[:], stored.RequestHash[:]) != 1:
		return false, ErrIdempotencyConflict
	}
	return true, nil
}

// Creation is what CreateMessage reads of a site within its transaction.
type Creation struct {
	// Request returns the request that is kept for an idempotency key, and its message's id; zeros if there is
	// none.
	Request func(key string) (Idempotency, string, error)
	// Message returns a message; ErrNotFound.
	Message func(id string) (Message, error)
	// Unmoved returns ErrSiteMoving while rows are moving to the site.
	Unmoved func() error
	// Subscription returns a subscription; ErrNotFound.
	Subscription func(SubscriptionID) (Subscription, error)
	// Audience returns the number of subscriptions and the highest id.
	Audience func() (int64, SubscriptionID)
}

// Create returns what CreateMessage stores for m: the row and its ranges. Without ranges the row is a known
// message, which the call repeats.
func (m Message) Create(idem Idempotency, site Creation) (Message, []Range, error) {
	if err := CheckMessage(m, idem); err != nil {
		return Message{}, nil, err
	}
	ids := []string{m.ID}
	if idem.Key != "" {
		stored, id, err := site.Request(idem.Key)
		if err != nil {
			return Message{}, nil, err
		}
		switch repeats, err := idem.Repeats(stored, m.Created); {
		case err != nil:
			return Message{}, nil, err
		case repeats:
			ids = []string{id, m.ID}
		}
	}
	for _, id := range ids { // the message of a repeated request may have been pruned
		if row, err := site.Message(id); !errors.Is(err, ErrNotFound) {
			return row, nil, err
		}
	}
	if err := site.Unmoved(); err != nil {
		return Message{}, nil, err
	}
	if m.Only != 0 {
		if _, err := site.Subscription(m.Only); err != nil {
			return Message{}, nil, err
		}
	}
	row, ranges := m.Plan(site.Audience())
	return row, ranges, nil
}

// Plan returns the row and the ranges that CreateMessage stores for m, at a site with that many
// subscriptions, the highest id of which is last. The LaterRange comes first.
func (m Message) Plan(subscriptions int64, last SubscriptionID) (Message, []Range) {
	from := SubscriptionID(0)
	if m.Only != 0 {
		subscriptions, from, last = 1, m.Only-1, m.Only
	}
	row := Message{
		ID: m.ID, Site: m.Site, Content: m.Content, Rate: m.Rate, Only: m.Only, Topics: m.Topics,
		SendAt: kept(m.SendAt, 1), Created: kept(m.Created, 1), State: StateQueued,
		Progress: Progress{Audience: subscriptions, Pending: subscriptions, Failed: map[string]int64{}},
	}
	if row.SendAt.After(row.Created) {
		row.State = StateScheduled
	}
	return row, row.PlanRanges(from, last)
}

// MayClaim returns the error of a Claim as far as the message alone decides: nil if a Free range may be
// leased, ErrNothingDue, or ErrNotFound if the message is final.
func (m *Message) MayClaim(now time.Time) error {
	switch {
	case m.State.Final():
		return ErrNotFound
	case m.State == StateCancelling || m.Idle(now):
		return ErrNothingDue
	}
	return nil
}

// Idle reports whether engines can ignore the message: it is final, waits for an operator, or is scheduled
// for later than now.
func (m *Message) Idle(now time.Time) bool {
	return m.State.Final() || m.State.Rests() || m.State != StateCancelling && m.SendAt.After(now)
}

// Begin records that a range has been leased; it reports whether that changes the row.
func (m *Message) Begin(now time.Time) bool {
	if m.State == StateSending {
		return false
	}
	m.State = StateSending
	if m.Started.IsZero() {
		m.Started = kept(now, 1)
	}
	return true
}

// Prunable reports whether the message finished before the time.
func (m *Message) Prunable(before time.Time) bool {
	return m.State.Final() && m.Finished.Before(before)
}

// Command sets the state that the command leads to, or returns ErrWrongState. A message to cancel becomes
// cancelling: the store decides when it is cancelled.
func (m *Message) Command(command Command, now time.Time) error {
	switch command {
	case CommandPause, CommandHold:
		if m.State.Final() || m.State == StateCancelling {
			return ErrWrongState
		}
		if command == CommandHold {
			m.State = StateHeld
		} else if m.State != StateHeld {
			m.State = StatePaused
		}
	case CommandResume:
		switch {
		case !m.State.Rests():
			return ErrWrongState
		case !m.Started.IsZero():
			m.State = StateSending
		case m.SendAt.After(now):
			m.State = StateScheduled
		default:
			m.State = StateQueued
		}
	case CommandCancel:
		switch m.State {
		case StateDone:
			return ErrWrongState
		case StateCancelled:
		default:
			m.State = StateCancelling
		}
	default:
		return fmt.Errorf("the command %q is not known", command)
	}
	return nil
}

// Count moves one recipient to the counter of the outcome: from Later if there was a retry, else from
// Pending. One beyond these (after a damaged count) raises the audience: the sum always balances, and a
// refusal would only make the engine send again.
func (p *Progress) Count(o Outcome, retry *Retry) {
	var before string
	switch {
	case retry != nil:
		p.Later = max(p.Later, 1) - 1
		before = retry.Reason
		p.addReason(before, -1)
	case p.Pending > 0:
		p.Pending--
	default:
		p.Audience++
	}
	switch o.Kind {
	case OutcomeAccepted:
		p.Accepted++
	case OutcomeGone:
		p.Gone++
	case OutcomeFailed:
		p.Failed[o.Reason]++
	case OutcomeQuarantined:
		p.Failed[ReasonQuarantined]++
	case OutcomeLater:
		p.Later++
		p.addReason(o.Reason, 1)
	case OutcomeExpired:
		p.Expired++
		p.addReason(cmp.Or(o.Reason, before), 1)
	case OutcomeLeft:
		p.Left++
	case OutcomePassed:
		p.Audience--
	}
}

// addReason adds n to the count of a reason, which does not fall below zero: it lacks retries of older programs.
func (p *Progress) addReason(why string, n int64) {
	if why == "" {
		return
	}
	if n += p.Reasons[why]; n <= 0 {
		if delete(p.Reasons, why); len(p.Reasons) == 0 {
			p.Reasons = nil
		}
		return
	}
	if p.Reasons == nil {
		p.Reasons = map[string]int64{}
	}
	p.Reasons[why] = n
}

// EndCancelled ends a cancelling message, once no range is leased. Remaining recipients count as cancelled;
// reasons stay.
func (m *Message) EndCancelled(at time.Time) {
	p := &m.Progress
	p.Cancelled, p.Pending, p.Later = p.Cancelled+p.Pending+p.Later, 0, 0
	m.end(StateCancelled, at)
}

// EndDone ends a message that is not cancelling once nothing is left to do, and reports whether that is so.
// open is the number of ranges besides the LaterRange that are not done. If there are none, pending
// recipients count as left.
func (m *Message) EndDone(open int, at time.Time) bool {
	if open > 0 || m.State == StateCancelling {
		return false
	}
	p := &m.Progress
	p.Left, p.Pending = p.Left+p.Pending, 0
	if p.Later > 0 {
		return false
	}
	m.end(StateDone, at)
	return true
}

func (m *Message) end(state State, at time.Time) {
	m.State, m.Finished, m.NextTry, m.Answers = state, kept(at, 1), time.Time{}, nil
}

// addAnswers adds answers of push services to the message's.
func (m *Message) addAnswers(answers map[string]Answers) {
	for _, host := range slices.Sorted(maps.Keys(answers)) {
		sum, known := m.Answers[host]
		if !known && len(m.Answers) >= MaxAnswerHosts {
			continue
		}
		if m.Answers == nil {
			m.Answers = make(map[string]Answers, len(answers))
		}
		a := answers[host]
		m.Answers[host] = Answers{sum.Answers + a.Answers, sum.Gone + a.Gone}
	}
}

// Known reports whether k is one of the kinds.
func (k OutcomeKind) Known() bool { return k >= OutcomeAccepted && k <= OutcomePassed }

// validate returns an error if the checkpoint is invalid for any row.
func (c *Checkpoint) validate() error {
	switch {
	case len(c.Settled) > MaxSettled:
		return fmt.Errorf("checkpoint: %d settled ids, the maximum is %d", len(c.Settled), MaxSettled)
	case !slices.IsSorted(c.Settled):
		return errors.New("checkpoint: the settled ids don't rise")
	case c.Range == LaterRange && len(c.Settled) > 0:
		return errors.New("checkpoint: the range of retries has no settled ids")
	}
	for _, o := range c.Outcomes {
		if !o.Kind.Known() {
			return fmt.Errorf("checkpoint: an outcome of the unknown kind %d", o.Kind)
		}
	}
	return nil
}
