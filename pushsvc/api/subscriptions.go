package api

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// Subscription is a subscription without its secrets.
type Subscription struct {
	ID string `json:"id"`
	// Service is the push service.
	Service string `json:"service"`
	// Key is the id of the VAPID key that it was made with.
	Key        string    `json:"key"`
	Created    time.Time `json:"created"`
	Seen       time.Time `json:"seen"`
	Expiration time.Time `json:"expiration,omitzero"`
	Language   string    `json:"language,omitempty"`
	TimeZone   string    `json:"timeZone,omitempty"`
	Page       string    `json:"page,omitempty"`
	// Topics are missing if the subscriber has never chosen.
	Topics []string `json:"topics,omitzero"`
}

// SubscriptionList is a page of a site's subscriptions, the oldest first.
type SubscriptionList struct {
	Subscriptions []Subscription `json:"subscriptions"`
	// Next is the cursor of the next page; missing at the end.
	Next string `json:"next,omitempty"`
}

// Imported is the result for the rows of a file. Each is counted once.
type Imported struct {
	// Format is the format as which the file was read.
	Format transfer.Format `json:"format"`
	DryRun bool            `json:"dryRun,omitempty"`
	// Rows is how many rows the file has.
	Rows int64 `json:"rows"`
	// Added are new; Known existed before; Conflicting have a known endpoint but other keys, and
	// changed nothing. A dry run counts them as an import would.
	Added       int64 `json:"added"`
	Known       int64 `json:"known"`
	Conflicting int64 `json:"conflicting"`
	// Skipped are marked as unsubscribed, or are not web push.
	Skipped int64 `json:"skipped"`
	// Refused can't be sent to; Faults describes the first of them.
	Refused int64         `json:"refused"`
	Faults  []ImportFault `json:"faults"`
}

// ImportFault is a row that can't be used.
type ImportFault struct {
	// Line is where the row begins in the file, and Row its number among the
	// rows; both from 1.
	Line   int    `json:"line"`
	Row    int64  `json:"row"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}
