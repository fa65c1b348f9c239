package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// idempotencyPeriod is how long a repeated request is recognised.
const idempotencyPeriod = 30 * 24 * time.Hour

// MaxIdempotencyKey is the longest idempotency key in bytes.
const MaxIdempotencyKey = 255

// Bounds on when and how fast a message may be sent.
const (
	// MaxAhead is how far in the future SendAt may be.
	MaxAhead = 366 * 24 * time.Hour
	// sendAtGrace is how long SendAt may have passed: clocks differ, and a
	// request that is repeated after a timeout must not turn into an error.
	sendAtGrace = 15 * time.Minute
	minRate     = 0.01
	maxRate     = 1e6
)

// SendRequest is an operator's request to send.
type SendRequest struct {
	// Site is the site as the operator spelled it.
	Site    string
	Content pushsvc.Content
	// SendAt is when to send; zero means at once.
	SendAt time.Time
	// Rate is the largest number of pushes per second; nil means no limit.
	Rate *float64
	// Only is the one subscription to send to; zero means all.
	Only pushsvc.SubscriptionID
	// Topics are the recipients' topics: subscribers who have chosen one of them.
	// Nil means all subscribers; an empty list is refused.
	Topics []string
	// Literal sends text that looks like a template unchanged.
	Literal bool
	// IdempotencyKey makes repeats of the same request harmless for 30 days;
	// RequestHash identifies the request. Empty means none.
	IdempotencyKey string
	RequestHash    [32]byte
}

// Sent is the answer to a request to send.
type Sent struct {
	Message pushsvc.Message
	// Created is false if an idempotency key repeated an earlier request.
	Created bool
	// Warnings are plain sentences for the operator.
	Warnings []string
}

// check returns the site's canonical name, or a *pushsvc.FieldError for an
// invalid field.
func (r *SendRequest) check(now time.Time) (site string, err error) {
	if site, err = pushsvc.SiteName(r.Site); err != nil {
		return "", &pushsvc.FieldError{Field: "site", Problem: err.Error()}
	}
	if !r.Literal {
		if err := r.Content.CheckLiteral(); err != nil {
			return "", err
		}
	}
	if err := r.Content.Validate(); err != nil {
		return "", err
	}
	if err := pushsvc.CheckTopics(r.Topics); err != nil {
		return "", err
	}
	switch {
	case r.Topics != nil && len(r.Topics) == 0:
		return "", &pushsvc.FieldError{Field: "topics", Problem: "is empty: leave it out to send to all subscribers"}
	case r.Only != 0 && len(r.Topics) > 0:
		return "", &pushsvc.FieldError{Field: "topics", Problem: "cannot go with subscription: a message to one is for that one, whatever was chosen"}
	case len(r.IdempotencyKey) > MaxIdempotencyKey:
		return "", &pushsvc.FieldError{Field: "Idempotency-Key", Problem: fmt.Sprintf("is longer than %d bytes", MaxIdempotencyKey)}
	case !r.SendAt.IsZero() && r.SendAt.Before(now.Add(-sendAtGrace)):
		return "", &pushsvc.FieldError{Field: "sendAt", Problem: "has passed: leave it out to send at once"}
	case r.SendAt.After(now.Add(MaxAhead)):
		return "", &pushsvc.FieldError{Field: "sendAt", Problem: "is more than a year ahead"}
	case r.Rate != nil && !(*r.Rate >= minRate && *r.Rate <= maxRate):
		return "", &pushsvc.FieldError{Field: "rate", Problem: fmt.Sprintf("is not between %g and %.0f pushes per second: leave it out to send as fast as the push services take it", minRate, float64(maxRate))}
	}
	return site, nil
}

// message returns the row for the request.
func (r *SendRequest) message(site string, now time.Time) pushsvc.Message {
	m := pushsvc.Message{Site: site, Content: r.Content, SendAt: r.SendAt, Only: r.Only, Topics: pushsvc.CleanTopics(r.Topics), Created: now}
	if r.Rate != nil {
		m.Rate = *r.Rate
	}
	return m
}

// Send checks the request and stores a message for all present subscriptions of
// the site, or for the requested one. It is durable when Send returns; the engine
// sends it afterwards. Errors of the request are *pushsvc.FieldError, an
// *UnknownSiteError, or ErrIdempotencyConflict.
func (s *Service) Send(ctx context.Context, r SendRequest) (Sent, error) {
	now := s.Clock()
	site, err := r.check(now)
	if err != nil {
		return Sent{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Sent{}, fmt.Errorf("making a message id: %w", err)
	}
	if site, err = s.knownSite(ctx, site); err != nil {
		return Sent{}, err
	}
	m := r.message(site, now)
	m.ID = id.String()
	msg, created, err := s.Store.CreateMessage(ctx, m,
		pushsvc.Idempotency{Key: r.IdempotencyKey, RequestHash: r.RequestHash, Expires: now.Add(idempotencyPeriod)})
	if errors.Is(err, pushsvc.ErrNotFound) {
		return Sent{}, unknownRecipient(site, r.Only)
	}
	if err != nil {
		return Sent{}, fmt.Errorf("storing the message: %w", err)
	}
	s.Engine.Wake()
	warnings := s.warnings(&msg)
	warnings = append(warnings, s.audienceWarnings(ctx, &msg)...)
	return Sent{Message: msg, Created: created, Warnings: warnings}, nil
}

// unknownRecipient returns the error of a subscription that the site does not have.
func unknownRecipient(site string, id pushsvc.SubscriptionID) error {
	return &pushsvc.FieldError{Field: "subscription", Problem: fmt.Sprintf("%d is not a subscriber of site %s: 'caddy webpush subscribers --site %[2]s' lists them", id, site)}
}

func (s *Service) warnings(m *pushsvc.Message) []string {
	var w []string
	if s.Contact == "" && webpush.SiteContact(m.Site) == "" {
		w = append(w, `no contact is configured, and this site is no public host name that could stand for one: Apple's push service will refuse the message; write the contact into the global options block at the top of the Caddyfile: { webpush { contact mailto:you@your-domain } }`)
	}
	ttl := time.Duration(m.Content.TTLSeconds()) * time.Second
	// The recipients of a stored message with topics are not counted yet.
	if m.Rate > 0 && ttl > 0 && (len(m.Topics) == 0 || m.ID == "") {
		if takes := float64(m.Progress.Audience) / m.Rate; takes > ttl.Seconds() {
			w = append(w, fmt.Sprintf("at %g pushes per second the last of %d recipients would have a turn after %s, but the message expires after %s: raise rate or ttl",
				m.Rate, m.Progress.Audience, inWords(takes), inWords(ttl.Seconds())))
		}
	}
	return append(w, m.Content.MarkupWarnings()...)
}

// inWords returns a number of seconds in words, rounded.
func inWords(seconds float64) string {
	for _, unit := range []struct {
		seconds float64
		name    string
	}{{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}} {
		if seconds >= 2*unit.seconds || unit.seconds == 1 {
			return fmt.Sprintf("%.0f %ss", seconds/unit.seconds, unit.name)
		}
	}
	return ""
}

// Audience counts the recipients of a message.
type Audience struct {
	// Total is the number of subscriptions.
	Total int64
	// Services counts them by push service, as PushService names them.
	Services map[string]int64
}

// DryRun is the result of a request to send, without sending.
type DryRun struct {
	// Message is the row that would be stored, without an id.
	Message  pushsvc.Message
	Audience Audience
	Warnings []string
}

// DryRun checks the request as Send does, counts the audience, and stores
// nothing. It reads the whole audience, which takes seconds for millions.
func (s *Service) DryRun(ctx context.Context, r SendRequest) (DryRun, error) {
	now := s.Clock()
	site, err := r.check(now)
	if err != nil {
		return DryRun{}, err
	}
	if site, err = s.knownSite(ctx, site); err != nil {
		return DryRun{}, err
	}
	a := Audience{Services: make(map[string]int64)}
	m := r.message(site, now)
	known := s.siteTopics(site)
	count := func(sub *pushsvc.Subscription) error {
		known.add(sub)
		if !m.IsFor(sub) {
			return nil
		}
		a.Total++
		a.Services[PushService(sub.Endpoint)]++
		return nil
	}
	if r.Only != 0 {
		err = s.oneSubscription(ctx, site, r.Only, count)
	} else {
		err = s.each(ctx, site, count)
	}
	if err != nil {
		return DryRun{}, err
	}
	m.State = pushsvc.StateQueued
	if m.SendAt.After(now) {
		m.State = pushsvc.StateScheduled
	}
	m.Progress.Audience, m.Progress.Pending = a.Total, a.Total
	warnings := s.warnings(&m)
	if a.Total == 0 && len(m.Topics) == 0 {
		warnings = append(warnings, noSubscribers)
	}
	warnings = append(warnings, known.warnings(m.Topics, false)...)
	return DryRun{Message: m, Audience: a, Warnings: warnings}, nil
}

// pageSize is how many subscriptions are read together.
const pageSize = 1000

// each calls fn for every subscription of the site, by rising id.
func (s *Service) each(ctx context.Context, site string, fn func(*pushsvc.Subscription) error) error {
	var after pushsvc.SubscriptionID
	for {
		page, err := s.Store.SubscriptionPage(ctx, site, after, pageSize)
		if err != nil {
			return fmt.Errorf("reading subscriptions: %w", err)
		}
		for i := range page {
			if err := fn(&page[i]); err != nil {
				return err
			}
			after = page[i].ID
		}
		if len(page) == 0 {
			return nil
		}
	}
}

// oneSubscription calls fn for one subscription of the site.
func (s *Service) oneSubscription(ctx context.Context, site string, id pushsvc.SubscriptionID, fn func(*pushsvc.Subscription) error) error {
	page, err := s.Store.SubscriptionPage(ctx, site, id-1, 1)
	if err != nil {
		return fmt.Errorf("reading subscriptions: %w", err)
	}
	if len(page) == 0 || page[0].ID != id {
		return unknownRecipient(site, id)
	}
	return fn(&page[0])
}

// StateError means that a message's state does not allow a command.
type StateError struct {
	Command pushsvc.Command
	State   pushsvc.State
}

func (e *StateError) Error() string {
	verb := map[pushsvc.Command]string{
		pushsvc.CommandPause: "paused", pushsvc.CommandResume: "resumed", pushsvc.CommandCancel: "cancelled",
	}[e.Command]
	why := "it is " + string(e.State)
	if e.Command == pushsvc.CommandResume && !e.State.Final() {
		why += ", and only a paused one can be"
	}
	return fmt.Sprintf("the message can't be %s: %s", verb, why)
}

// Unwrap makes the error a pushsvc.ErrWrongState.
func (e *StateError) Unwrap() error { return pushsvc.ErrWrongState }

// Control pauses, resumes or cancels a message. It returns the row, or a
// *StateError, or pushsvc.ErrNotFound.
func (s *Service) Control(ctx context.Context, site, id string, command pushsvc.Command) (pushsvc.Message, error) {
	name, err := pushsvc.SiteName(site)
	if err != nil {
		return pushsvc.Message{}, &pushsvc.FieldError{Field: "site", Problem: err.Error()}
	}
	id = strings.ToLower(id)
	at := s.Clock()
	row, err := s.Store.Control(ctx, name, id, command, at)
	switch {
	case errors.Is(err, pushsvc.ErrWrongState):
		now, readErr := s.Store.Message(ctx, name, id)
		if readErr != nil {
			return pushsvc.Message{}, fmt.Errorf("reading the message: %w", readErr)
		}
		return pushsvc.Message{}, &StateError{Command: command, State: now.State}
	case err != nil:
		return pushsvc.Message{}, fmt.Errorf("controlling the message: %w", err)
	}
	// A repeated cancel returns the row of the first.
	if s.Ended != nil && row.State.Final() && row.Finished.Equal(at) {
		s.Ended(row)
	}
	s.Engine.Wake()
	return row, nil
}

// Message returns one of a site's messages; pushsvc.ErrNotFound.
func (s *Service) Message(ctx context.Context, site, id string) (pushsvc.Message, error) {
	name, err := siteName(site)
	if err != nil {
		return pushsvc.Message{}, err
	}
	return s.Store.Message(ctx, name, id)
}

// MessagePage lists a site's messages before an id, the latest first.
func (s *Service) MessagePage(ctx context.Context, site, before string, limit int) ([]pushsvc.Message, error) {
	name, err := s.knownSite(ctx, site)
	if err != nil {
		return nil, err
	}
	page, err := s.Store.MessagePage(ctx, name, before, limit)
	if err != nil {
		return nil, fmt.Errorf("listing messages: %w", err)
	}
	return page, nil
}
