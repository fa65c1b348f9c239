package api

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// SendRequest is a message, its audience, and when and how fast to send it.
type SendRequest struct {
	// Site is the site to send to. Only POST /webpush/send has it.
	Site string `json:"site,omitempty"`
	pushsvc.Content
	// SendAt is when to send, with a time zone (RFC 3339); empty is at once.
	SendAt string `json:"sendAt,omitempty"`
	// Rate is the most pushes per second; missing is as fast as the push services accept them.
	Rate *float64 `json:"rate,omitempty"`
	// Subscription is the id of a single recipient, as in lists.
	Subscription string `json:"subscription,omitempty"`
	// Topics select the subscribers who have chosen one of them.
	Topics []string `json:"topics,omitempty"`
	// Literal sends text that looks like a template unchanged.
	Literal bool `json:"literal,omitempty"`
	// DryRun checks the message and counts its audience, and stores nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// Message is a message and its results.
type Message struct {
	// ID is missing in the answer to a dry run.
	ID           string          `json:"id,omitempty"`
	DryRun       bool            `json:"dryRun,omitempty"`
	Site         string          `json:"site"`
	State        pushsvc.State   `json:"state"`
	Created      time.Time       `json:"created"`
	SendAt       time.Time       `json:"sendAt,omitzero"`
	Started      time.Time       `json:"started,omitzero"`
	Finished     time.Time       `json:"finished,omitzero"`
	NextTry      time.Time       `json:"nextTry,omitzero"`
	Expires      time.Time       `json:"expires"`
	Rate         float64         `json:"rate,omitempty"`
	Subscription string          `json:"subscription,omitempty"`
	Topics       []string        `json:"topics,omitempty"`
	Message      pushsvc.Content `json:"message"`
	// Audience is only in the answer to a dry run.
	Audience *Audience        `json:"audience,omitempty"`
	Results  pushsvc.Progress `json:"results"`
	Warnings []string         `json:"warnings,omitempty"`
}

// Audience is how many recipients a message would have, also by push service.
type Audience struct {
	Total    int64            `json:"total"`
	Services map[string]int64 `json:"services"`
}

// MessageList is a page of a site's messages, the latest first.
type MessageList struct {
	Messages []Message `json:"messages"`
	// Next is the cursor of the next page; missing at the end.
	Next string `json:"next,omitempty"`
}
