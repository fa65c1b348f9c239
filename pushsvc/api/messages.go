package api

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// SendRequest is a message, and who gets it, when and how fast.
type SendRequest struct {
	// Site is the site to send to. It is for POST /webpush/send alone.
	Site string `json:"site,omitempty"`
	pushsvc.Content
	// SendAt is when to send, with a time zone (RFC 3339); empty is at once.
	SendAt string `json:"sendAt,omitempty"`
	// Rate is the most pushes per second; missing is as fast as the push services take
	// them.
	Rate *float64 `json:"rate,omitempty"`
	// Subscription is the id of the one to send to, as lists have it.
	Subscription string `json:"subscription,omitempty"`
	// Topics are whom to send to: who has chosen one of them.
	Topics []string `json:"topics,omitempty"`
	// Literal sends what looks like a template as it is.
	Literal bool `json:"literal,omitempty"`
	// DryRun checks the message and counts its audience, and stores nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// Message is a message and what became of it.
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
	// Audience is in the answer to a dry run alone.
	Audience *Audience        `json:"audience,omitempty"`
	Results  pushsvc.Progress `json:"results"`
	Warnings []string         `json:"warnings,omitempty"`
}

// Audience is who would get a message, also by push service.
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
