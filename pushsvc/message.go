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

// A message is queued, then sending, then done. Only done is final.
const (
	StateQueued  State = "queued"
	StateSending State = "sending"
	StateDone    State = "done"
)

// Progress counts a message's recipients. Each is in exactly one of Pending,
// Accepted, Gone, Left and Failed, so that they always sum to Audience; Shown,
// Clicked and Closed count the accepted ones of whom a receipt came back, each
// recipient once per kind.
type Progress struct {
	Audience int64 `json:"audience"`
	Pending  int64 `json:"pending"`
	// Accepted is what the push services answered 2xx to. It is not proof
	// of delivery (RFC 8030 §5).
	Accepted int64 `json:"accepted"`
	// Gone is what they answered 404 or 410 to: those subscriptions have
	// been removed.
	Gone int64 `json:"gone"`
	// Left counts those who unsubscribed between the request and their turn.
	Left int64 `json:"left"`
	// Failed counts the rest by reason, one of the fixed list in package
	// webpush.
	Failed map[string]int64 `json:"failed"`

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

// Message is a message and how far it has come.
type Message struct {
	// ID is a UUIDv7 (RFC 9562 §5.7).
	ID      string
	Site    string
	Content Content
	State   State
	// Created, Started and Finished are zero until they happen.
	Created, Started, Finished time.Time

	// Until is the highest subscription id that belongs to the audience:
	// who subscribes later is not sent to.
	Until SubscriptionID
	// Cursor is the last subscription id that has been dealt with.
	Cursor SubscriptionID

	// Owner, Epoch and Lease say which engine works on the message. A write
	// with an old Epoch is refused.
	Owner string
	Epoch int64
	Lease time.Time

	Progress Progress
}

// Checkpoint is what an engine writes after a page of recipients: everything
// in it is applied in one transaction, or nothing.
type Checkpoint struct {
	Site, MessageID string
	// Epoch is the lease's; a checkpoint of an older one gives ErrLeaseLost.
	Epoch int64
	// Cursor is the new position. It never moves back: a lower one leaves
	// the row's as it is.
	Cursor SubscriptionID
	// Accepted and Failed are added to the message's counters, and Gone's
	// length; the subscriptions in Gone are removed.
	Accepted int64
	Failed   map[string]int64
	Gone     []SubscriptionID
	// Lease is the new end of the lease; zero gives the message back.
	Lease time.Time
	// Done ends the message: whoever is still pending is counted as Left,
	// and Finished is set to At.
	Done bool
	// At is the time of the checkpoint.
	At time.Time
}
