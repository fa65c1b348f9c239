package pushsvc

import (
	"encoding/json"
	"time"
)

// Urgency is how much a message may cost a device's battery (RFC 8030 §5.3).
type Urgency string

// The four urgencies of RFC 8030.
const (
	UrgencyVeryLow Urgency = "very-low"
	UrgencyLow     Urgency = "low"
	UrgencyNormal  Urgency = "normal"
	UrgencyHigh    Urgency = "high"
)

// TTL bounds in seconds. The upper one is FCM's, the tightest of the push
// services.
const (
	MaxTTL     = 2419200
	DefaultTTL = 86400
)

// Action is a button of a notification (Notifications API §2.10).
type Action struct {
	// Action names the button in clicks; unique within the message.
	Action string `json:"action"`
	Title  string `json:"title"`
	// URL is what the button opens; empty for the message's own URL.
	URL  string `json:"url,omitempty"`
	Icon string `json:"icon,omitempty"`
}

// Content is what an operator writes: the options of the Notifications API
// (§2.9, spelled as there), the URL to open, and how the push service is to
// treat the message (RFC 8030 §5.2–5.4). URLs are absolute http(s) URLs, or
// paths on the site that start with "/".
type Content struct {
	Title              string          `json:"title"`
	Body               string          `json:"body,omitempty"`
	URL                string          `json:"url,omitempty"`
	Icon               string          `json:"icon,omitempty"`
	Image              string          `json:"image,omitempty"`
	Badge              string          `json:"badge,omitempty"`
	Tag                string          `json:"tag,omitempty"`
	Dir                string          `json:"dir,omitempty"`
	Lang               string          `json:"lang,omitempty"`
	Actions            []Action        `json:"actions,omitempty"`
	Data               json.RawMessage `json:"data,omitempty"`
	Vibrate            []int           `json:"vibrate,omitempty"`
	Timestamp          int64           `json:"timestamp,omitempty"`
	Renotify           bool            `json:"renotify,omitempty"`
	Silent             bool            `json:"silent,omitempty"`
	RequireInteraction bool            `json:"requireInteraction,omitempty"`

	// TTL is how long the push service keeps the message for a device that
	// is away, in seconds; nil is DefaultTTL.
	TTL *int `json:"ttl,omitempty"`
	// Urgency is empty for "normal".
	Urgency Urgency `json:"urgency,omitempty"`
	// Topic replaces an undelivered message of the same topic (§5.4).
	Topic string `json:"topic,omitempty"`
}

// TTLSeconds is the time to live with its default.
func (c *Content) TTLSeconds() int {
	if c.TTL == nil {
		return DefaultTTL
	}
	return *c.TTL
}

// State is where a message is on its way.
type State string

// A message is scheduled or queued, then sending, then done or cancelled, which
// are final. A paused one goes on from where it was; a cancelling one waits for
// what is under way. A held one is as a paused one: it was not final when the store
// was restored from a backup, which knows nothing of who got it since.
const (
	StateScheduled  State = "scheduled"
	StateQueued     State = "queued"
	StateSending    State = "sending"
	StatePaused     State = "paused"
	StateHeld       State = "held"
	StateCancelling State = "cancelling"
	StateDone       State = "done"
	StateCancelled  State = "cancelled"
)

// Final says whether nothing will happen to the message any more.
func (s State) Final() bool { return s == StateDone || s == StateCancelled }

// Rests reports whether nothing happens to the message until an operator says so.
func (s State) Rests() bool { return s == StatePaused || s == StateHeld }

// Command is what an operator tells a message on its way.
type Command string

// The commands. Pausing or holding a final message, resuming one that is neither
// paused nor held, pausing or holding a cancelling one, and cancelling a done one
// give ErrWrongState. Pausing a held one leaves it held.
const (
	CommandPause  Command = "pause"
	CommandResume Command = "resume"
	CommandCancel Command = "cancel"
	// CommandHold is given by a store that was restored from a backup.
	CommandHold Command = "hold"
)

// Progress counts a message's recipients. Each is in exactly one of Pending,
// Accepted, Later, Gone, Left, Failed, Expired and Cancelled, so that they
// always sum to Audience. A message with topics is planned for all subscriptions:
// Audience falls with each that is found not to have chosen any. Shown, Clicked and Closed count the accepted ones of
// whom a receipt came back, each recipient once per kind.
type Progress struct {
	Audience int64 `json:"audience"`
	// Pending is who has not had a turn.
	Pending int64 `json:"pending"`
	// Accepted is what the push services answered 2xx to. It is not proof
	// of delivery (RFC 8030 §5).
	Accepted int64 `json:"accepted"`
	// Later is who is to be tried again.
	Later int64 `json:"later"`
	// Gone is what they answered 404 or 410 to: those subscriptions have
	// been removed.
	Gone int64 `json:"gone"`
	// Left counts those who unsubscribed between the request and their turn.
	Left int64 `json:"left"`
	// Failed counts by reason, one of the fixed list in package webpush and
	// the engine's own.
	Failed map[string]int64 `json:"failed"`
	// Expired is whose turn came after the message's time to live.
	Expired int64 `json:"expired"`
	// Cancelled is who had not been sent to when the message was cancelled.
	Cancelled int64 `json:"cancelled"`
	// Reasons counts, by the reason of the last try or of what kept them from one, those
	// in Later, and those in Expired and Cancelled who had been in Later or tried: so it
	// says why while a message waits, and still does when it has ended. Messages from
	// older programs have none.
	Reasons map[string]int64 `json:"reasons,omitempty"`

	Shown   int64 `json:"shown"`
	Clicked int64 `json:"clicked"`
	Closed  int64 `json:"closed"`
}

// FailedTotal is the sum over all reasons.
func (p *Progress) FailedTotal() int64 {
	var n int64
	for _, v := range p.Failed {
		n += v
	}
	return n
}

// Settled is the number of recipients whose state is final.
func (p *Progress) Settled() int64 {
	return p.Accepted + p.Gone + p.Left + p.FailedTotal() + p.Expired + p.Cancelled
}

// Message is a message and how far it has come.
type Message struct {
	// ID is a UUIDv7 (RFC 9562 §5.7).
	ID      string
	Site    string
	Content Content
	State   State
	// SendAt is when it is to be sent; zero for at once. The time to live
	// counts from it.
	SendAt time.Time
	// Rate is the most pushes per second; zero for as fast as goes.
	Rate float64
	// Only is the one recipient of a test; zero for everybody.
	Only SubscriptionID
	// Topics, where there are any, are whom it is for: who has chosen one of
	// them when it is their turn.
	Topics []string
	// Created, Started and Finished are zero until they happen.
	Created, Started, Finished time.Time
	// NextTry is when the first of Progress.Later is due; zero where there
	// is none.
	NextTry time.Time

	Progress Progress
	// Answers counts what all engines' checkpoints have said of push
	// services' answers, by host. A final message has none.
	Answers map[string]Answers
}

// MessageName names a message in a store.
type MessageName struct{ Site, ID string }

// Answers counts a push service's answers to one message.
type Answers struct {
	Answers int64 `json:"n"`
	// Gone is how many of them were 404 or 410.
	Gone int64 `json:"gone,omitempty"`
}

// MaxAnswerHosts is how many hosts Message.Answers holds; further ones are not counted.
const MaxAnswerHosts = 64

// Birth is when the message's time to live begins.
func (m *Message) Birth() time.Time {
	if m.SendAt.After(m.Created) {
		return m.SendAt
	}
	return m.Created
}

// LaterRange is the number of the range that holds the recipients to be tried
// again.
const LaterRange = -1

// MaxSettled is the most ids that Range.Settled holds.
const MaxSettled = 4096

// Range is one part of a message's audience, which one engine works on at a
// time. A message is planned into ranges when it is made: who subscribes later
// is in none of them.
type Range struct {
	Site, MessageID string
	// N counts from 0, or is LaterRange.
	N int
	// Cursor and Until bound what is left: ids above Cursor, up to and with
	// Until. Both are zero in the LaterRange.
	Cursor, Until SubscriptionID
	// Settled are ids above Cursor, rising, that have been dealt with.
	Settled []SubscriptionID
	// Owner, Epoch and Lease say which engine works on the range. A write
	// with an old Epoch is refused.
	Owner string
	Epoch int64
	Lease time.Time
	// Done says that nobody is left in it; the LaterRange never is.
	Done bool
	// Engines is how many owners have leases on ranges of the message, the
	// caller included. Only Claim and Checkpoint set it.
	Engines int
	// Noted is what Note recorded since the last checkpoint, by engines that
	// did not come to writing the next one. The claiming engine takes it
	// into its first checkpoint as its own. Each id is there once.
	Noted []Outcome
}

// OutcomeKind is what became of one recipient in one attempt.
type OutcomeKind byte

// The kinds. They are stored: none may change its number.
const (
	OutcomeAccepted    OutcomeKind = 1
	OutcomeGone        OutcomeKind = 2 // and to be removed
	OutcomeFailed      OutcomeKind = 3
	OutcomeLater       OutcomeKind = 4
	OutcomeExpired     OutcomeKind = 5
	OutcomeLeft        OutcomeKind = 6
	OutcomeQuarantined OutcomeKind = 7 // said to be gone, but not to be believed yet
	OutcomePassed      OutcomeKind = 8 // none of the message's recipients: has chosen none of its topics
)

// Outcome is what became of one recipient.
type Outcome struct {
	ID   SubscriptionID
	Kind OutcomeKind
	// Reason is why, for Failed, Later, Quarantined and, where there was a try,
	// Expired: short, of a fixed list.
	Reason string
	// Attempt counts the tries so far, and Due is when the next one may be
	// made, to the millisecond; for Later only.
	Attempt int
	Due     time.Time
}

// ReasonQuarantined counts, under Failed, who was said to be gone together
// with so many others that it is not believed yet.
const ReasonQuarantined = "quarantined"

// Retry is a recipient who is to be tried again.
type Retry struct {
	ID      SubscriptionID
	Attempt int
	Due     time.Time
	Reason  string
	// Subscription is the row; its ID is zero where it has been removed in
	// the meantime.
	Subscription Subscription
}

// Checkpoint is what an engine writes about a range: everything in it is
// applied in one transaction, or nothing.
type Checkpoint struct {
	Site, MessageID string
	Range           int
	// Epoch is the lease's; a checkpoint of an older one gives ErrLeaseLost.
	Epoch int64
	// Cursor is the new position. It never moves back: a lower one leaves
	// the row's as it is. Zero in the LaterRange.
	Cursor SubscriptionID
	// Settled replaces the row's: ids above Cursor, rising, at most
	// MaxSettled. Empty in the LaterRange.
	Settled []SubscriptionID
	// Outcomes are those since the last checkpoint of the range. Each moves
	// its recipient from Pending (in the LaterRange: from Later) to where its
	// kind says, or out of the Audience: Gone removes the subscription, Quarantined counts as Failed
	// and sets the subscription's Doubted where it is zero, Later stores the
	// retry. An outcome for an id that the range's row has as settled
	// already (in the LaterRange: that isn't in it) is passed over, so that
	// nobody is counted twice.
	Outcomes []Outcome
	// Answers are the push services' since the last checkpoint of the range, by
	// host; they are added to the message's.
	Answers map[string]Answers
	// Lease is for how long the range stays leased from now on; zero gives it
	// back.
	Lease time.Duration
	// Done ends the range. In the LaterRange it is not used: that range is
	// at its end when it is empty.
	Done bool
	// At is the time of the checkpoint by the engine's clock.
	At time.Time
}
