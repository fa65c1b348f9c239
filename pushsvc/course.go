package pushsvc

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The rules of a message's course that every store keeps in the same way.

// Enter makes m the row of a message that has just been made for so many
// recipients.
func (m *Message) Enter(audience int64) {
	m.State = StateQueued
	if m.SendAt.After(m.Created) {
		m.State = StateScheduled
	}
	m.Started, m.Finished, m.NextTry = time.Time{}, time.Time{}, time.Time{}
	m.Progress = Progress{Audience: audience, Pending: audience, Failed: map[string]int64{}}
}

// Command sets the state that the command leads to, or gives ErrWrongState. A
// message to be cancelled becomes cancelling: the store says when it is
// cancelled.
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

// Count moves one recipient to where the outcome says: from Later where there was a
// retry, else from Pending. One beyond these (a damaged count at the
// start) raises the audience: the sum always balances, and a refusal would only
// make the engine send again.
func (p *Progress) Count(o Outcome, retry *Retry) {
	var before string
	switch {
	case retry != nil:
		p.Later = max(p.Later, 1) - 1
		before = retry.Reason
		p.reason(before, -1)
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
		p.reason(o.Reason, 1)
	case OutcomeExpired:
		p.Expired++
		p.reason(cmp.Or(o.Reason, before), 1)
	case OutcomeLeft:
		p.Left++
	case OutcomePassed:
		p.Audience--
	}
}

// reason adds n to the count of a reason, which does not fall below zero: retries of
// older programs are not in it.
func (p *Progress) reason(why string, n int64) {
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

// Cancel counts as cancelled who has not been sent to. Reasons stay.
func (p *Progress) Cancel() {
	p.Cancelled, p.Pending, p.Later = p.Cancelled+p.Pending+p.Later, 0, 0
}

// Close counts as left who has had no turn when all ranges are done.
func (p *Progress) Close() { p.Left, p.Pending = p.Left+p.Pending, 0 }

// Known says whether k is one of the kinds.
func (k OutcomeKind) Known() bool { return k >= OutcomeAccepted && k <= OutcomePassed }

// Validate says what is wrong with a checkpoint, whatever the row that it is
// about.
func (c *Checkpoint) Validate() error {
	switch {
	case len(c.Settled) > MaxSettled:
		return fmt.Errorf("checkpoint: %d settled ids, the most are %d", len(c.Settled), MaxSettled)
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

// Move applies what the checkpoint says of the range itself, and says whether
// that ends it.
func (r *Range) Move(c Checkpoint) (ended bool) {
	r.Lease = time.Time{}
	if c.Lease.IsZero() {
		r.Owner = ""
	} else {
		r.Lease = c.Lease.UTC().Round(0)
	}
	if r.N == LaterRange {
		return false
	}
	r.Cursor = max(r.Cursor, c.Cursor)
	r.Settled = nil
	for _, id := range c.Settled {
		if id > r.Cursor {
			r.Settled = append(r.Settled, id)
		}
	}
	if c.Done {
		r.Owner, r.Lease, r.Settled = "", time.Time{}, nil
	}
	return c.Done
}

// A message for everybody is planned into ranges of at least leastRange ids,
// and at most MaxRanges ranges besides the LaterRange.
const (
	leastRange = 2500
	MaxRanges  = 256
)

// PlanRanges divides the ids above cursor, up to and with until, into the
// ranges of the message; the LaterRange comes first.
func (m *Message) PlanRanges(cursor, until SubscriptionID) []Range {
	n := min(max((until-cursor)/leastRange, 1), MaxRanges)
	plan := append(make([]Range, 0, n+1), Range{Site: m.Site, MessageID: m.ID, N: LaterRange})
	for i := range n {
		plan = append(plan, Range{
			Site: m.Site, MessageID: m.ID, N: int(i),
			Cursor: cursor + (until-cursor)*i/n, Until: cursor + (until-cursor)*(i+1)/n,
		})
	}
	return plan
}
