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

// TTL bounds in seconds. The upper one is FCM's, the lowest of the push services.
const (
	MaxTTL     = 2419200
	DefaultTTL = 86400
)

// Action is a button of a notification (Notifications API §2.10).
type Action struct {
	// Action names the button in clicks; unique within the message.
	Action string `json:"action" api:"required"`
	Title  string `json:"title" api:"required"`
	// URL is what the button opens; empty for the message's own URL.
	URL  string `json:"url,omitempty"`
	Icon string `json:"icon,omitempty"`
}

// Content is what an operator writes: the options of the Notifications API (§2.9, spelled as there), the URL
// to open, and how the push service treats the message (RFC 8030 §5.2–5.4). URLs are absolute http(s) URLs,
// or paths on the site that start with "/".
type Content struct {
	Title              string          `json:"title" api:"required"`
	Body               string          `json:"body,omitempty"`
	URL                string          `json:"url,omitempty"`
	Icon               string          `json:"icon,omitempty"`
	Image              string          `json:"image,omitempty"`
	Badge              string          `json:"badge,omitempty"`
	Tag                string          `json:"tag,omitempty"`
	Dir                string          `json:"dir,omitempty" api:"oneof=auto|ltr|rtl"`
	Lang               string          `json:"lang,omitempty"`
	Actions            []Action        `json:"actions,omitempty"`
	Data               json.RawMessage `json:"data,omitempty"`
	Vibrate            []int           `json:"vibrate,omitempty"`
	Timestamp          int64           `json:"timestamp,omitempty"`
	Renotify           bool            `json:"renotify,omitempty"`
	Silent             bool            `json:"silent,omitempty"`
	RequireInteraction bool            `json:"requireInteraction,omitempty"`

	// TTL is how long the push service keeps the message for an offline device, in seconds; nil means
	// DefaultTTL.
	TTL *int `json:"ttl,omitempty"`
	// Urgency may be empty, which means "normal".
	Urgency Urgency `json:"urgency,omitempty"`
	// Topic replaces an undelivered message of the same topic (§5.4).
	Topic string `json:"topic,omitempty"`
}

// TTLSeconds returns the time to live, with its default.
func (c *Content) TTLSeconds() int {
	if c.TTL == nil {
		return DefaultTTL
	}
	return *c.TTL
}

// State is the state of a message.
type State string

// A message is scheduled or queued, then sending, then done or cancelled, which are final. A paused one can
// continue; a cancelling one waits for pushes in flight. A held one is like a paused one: it was not final
// when the store was restored from a backup, which does not know who got it since.
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

// Final reports whether the message can no longer change.
func (s State) Final() bool { return s == StateDone || s == StateCancelled }

// Rests reports whether the message waits for an operator.
func (s State) Rests() bool { return s == StatePaused || s == StateHeld }

// Command is an operator's command to a message.
type Command string

// The commands. These return ErrWrongState: pausing or holding a final or cancelling message, resuming one
// that is neither paused nor held, and cancelling a done one. Pausing a held one leaves it held.
const (
	CommandPause  Command = "pause"
	CommandResume Command = "resume"
	CommandCancel Command = "cancel"
	// CommandHold comes from a store that was restored from a backup.
	CommandHold Command = "hold"
)

// Progress counts a message's recipients. Each is in exactly one of Pending, Accepted, Later, Gone, Left,
// Failed, Expired and Cancelled, so these always sum to Audience. A message with topics is planned for all
// subscriptions: Audience falls with each that has chosen none of them. Shown, Clicked and Closed count
// receipts of accepted pushes, each recipient once per kind.
type Progress struct {
	Audience int64 `json:"audience"`
	// Pending counts recipients that were not yet tried.
	Pending int64 `json:"pending"`
	// Accepted counts 2xx answers of push services. They don't prove delivery (RFC 8030 §5).
	Accepted int64 `json:"accepted"`
	// Later counts recipients to retry.
	Later int64 `json:"later"`
	// Gone counts 404 and 410 answers: those subscriptions have been removed.
	Gone int64 `json:"gone"`
	// Left counts recipients that unsubscribed before they were tried.
	Left int64 `json:"left"`
	// Failed counts by reason, from the fixed lists of package webpush and of the engine.
	Failed map[string]int64 `json:"failed"`
	// Expired counts recipients that were reached after the message's time to live.
	Expired int64 `json:"expired"`
	// Cancelled counts recipients that were left when the message was cancelled.
	Cancelled int64 `json:"cancelled"`
	// Reasons counts, by the reason of the last or prevented try, the recipients in Later, and those in
	// Expired and Cancelled that had been in Later or tried. So it explains why a message waits, also after
	// its end. Messages from older programs have none.
	Reasons map[string]int64 `json:"reasons,omitempty"`

	Shown   int64 `json:"shown"`
	Clicked int64 `json:"clicked"`
	Closed  int64 `json:"closed"`
}

// FailedTotal returns the sum over all reasons.
func (p *Progress) FailedTotal() int64 {
	var n int64
	for _, v := range p.Failed {
		n += v
	}
	return n
}

// Settled returns the number of recipients whose state is final.
func (p *Progress) Settled() int64 {
	return p.Accepted + p.Gone + p.Left + p.FailedTotal() + p.Expired + p.Cancelled
}

// Message is a message with its progress.
type Message struct {
	// ID is a UUIDv7 (RFC 9562 §5.7).
	ID      string
	Site    string
	Content Content
	State   State
	// SendAt is when to send it; zero means at once. The time to live counts from it.
	SendAt time.Time
	// Rate is the maximum number of pushes per second; zero means no limit.
	Rate float64
	// Only is the single recipient of a test; zero means all.
	Only SubscriptionID
	// Topics, if any, select the recipients: those that have chosen one of them when they are reached.
	Topics []string
	// Created, Started and Finished are zero until they happen.
	Created, Started, Finished time.Time
	// NextTry is when the first of Progress.Later is due; zero if Later is empty.
	NextTry time.Time

	Progress Progress
	// Answers counts push services' answers, by host, in the checkpoints of all engines. A final message has
	// none.
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

// LifeBegins returns when the message's time to live begins.
func (m *Message) LifeBegins() time.Time {
	if m.SendAt.After(m.Created) {
		return m.SendAt
	}
	return m.Created
}

// LaterRange is the number of the range with the recipients to retry.
const LaterRange = -1

// MaxSettled is the maximum number of ids in Range.Settled.
const MaxSettled = 4096

// Range is a part of a message's audience; one engine at a time works on it. The ranges are planned when the
// message is created: later subscriptions are in none of them.
type Range struct {
	Site, MessageID string
	// N counts from 0, or is LaterRange.
	N int
	// Cursor and Until bound what is left: ids above Cursor, up to and including Until. Both are zero in the
	// LaterRange.
	Cursor, Until SubscriptionID
	// Settled are ids above Cursor, rising, that are done.
	Settled []SubscriptionID
	// Owner, Epoch and Lease are the engine that works on the range. A write with an old Epoch is refused.
	Owner string
	Epoch int64
	Lease time.Time
	// Done means that the range has no recipients left; never true for the LaterRange.
	Done bool
	// Engines is the number of owners that lease ranges of the message, including the caller. Only Claim and
	// Checkpoint set it.
	Engines int
	// Noted are outcomes that Note recorded since the last checkpoint, by engines that did not write the next
	// one. The claiming engine includes them in its first checkpoint. Each id is there once.
	Noted []Outcome
}

// OutcomeKind is the result for one recipient in one attempt.
type OutcomeKind byte

// The kinds. They are stored: their numbers must not change.
const (
	OutcomeAccepted    OutcomeKind = 1
	OutcomeGone        OutcomeKind = 2 // the subscription is removed
	OutcomeFailed      OutcomeKind = 3
	OutcomeLater       OutcomeKind = 4
	OutcomeExpired     OutcomeKind = 5
	OutcomeLeft        OutcomeKind = 6
	OutcomeQuarantined OutcomeKind = 7 // reported gone, but not believed yet
	OutcomePassed      OutcomeKind = 8 // not a recipient: has chosen none of the message's topics
)

// Outcome is the result for one recipient.
type Outcome struct {
	ID   SubscriptionID
	Kind OutcomeKind
	// Reason is the cause for Failed, Later, Quarantined and, after a try, Expired: a short text from a fixed
	// list.
	Reason string
	// Attempt counts the tries so far, and Due is when the next one may be made, in milliseconds; only for
	// Later.
	Attempt int
	Due     time.Time
}

// ReasonQuarantined counts, under Failed, recipients reported gone together with so many others that it is
// not believed yet.
const ReasonQuarantined = "quarantined"

// Retry is a recipient to retry.
type Retry struct {
	ID      SubscriptionID
	Attempt int
	Due     time.Time
	Reason  string
	// Subscription is the row; its ID is zero if it has been removed meanwhile.
	Subscription Subscription
}

// Checkpoint is an engine's write about a range. All of it is applied in one transaction, or nothing.
type Checkpoint struct {
	Site, MessageID string
	Range           int
	// Epoch is the lease's; an older one returns ErrLeaseLost.
	Epoch int64
	// Cursor is the new position. It never moves back: a lower one changes nothing. Zero in the LaterRange.
	Cursor SubscriptionID
	// Settled replaces the row's: ids above Cursor, rising, at most MaxSettled. Empty in the LaterRange.
	Settled []SubscriptionID
	// Outcomes are those since the last checkpoint of the range. Each moves its recipient from Pending (in
	// the LaterRange: from Later) to the counter of its kind, or out of the Audience:
	//
	//   - Gone removes the subscription.
	//   - Quarantined counts as Failed, and sets the subscription's Doubted if it is zero.
	//   - Later stores the retry.
	//
	// An outcome for an id that is settled already (in the LaterRange: that isn't in it) is skipped, so that
	// each recipient is counted once.
	Outcomes []Outcome
	// Answers are the push services' since the last checkpoint of the range, by host; they are added to the
	// message's.
	Answers map[string]Answers
	// Lease is how long the range stays leased from now on; zero releases it.
	Lease time.Duration
	// Done ends the range. The LaterRange does not use it: it ends when it is empty.
	Done bool
	// At is the time of the checkpoint by the engine's clock.
	At time.Time
}
