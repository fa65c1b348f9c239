// Package service holds the use cases of the push service: what a visitor's
// browser and an operator can ask for, whatever front it comes through. It
// checks input, asks the store, and starts the delivery engine; it knows no
// HTTP.
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

// Engine is told that there is something to send.
type Engine interface {
	// Wake makes the engine look for queued messages soon; it never blocks.
	Wake()
}

// Service is the use cases over one store. Its fields are set once, before
// use; its methods may be called by many goroutines.
type Service struct {
	Store  pushsvc.Store
	Engine Engine
	// Services is the allow-list that endpoints are checked against.
	Services webpush.Services
	// Contact is the VAPID "sub"; empty for each site's own.
	Contact string
	Clock   func() time.Time
}

// idempotencyPeriod is how long a repeated request is recognised.
const idempotencyPeriod = 30 * 24 * time.Hour

// MaxIdempotencyKey is the longest idempotency key in bytes.
const MaxIdempotencyKey = 255

// Sent is the answer to a request to send.
type Sent struct {
	Message pushsvc.Message
	// Created is false where an idempotency key repeated an earlier request.
	Created bool
	// Warnings are for the operator, in plain words.
	Warnings []string
}

// Send checks the content and stores a message for all present subscriptions
// of the site. It has been stored durably when Send returns; the engine sends
// it after that. A key of at most MaxIdempotencyKey bytes makes repeats of the
// same request harmless for 30 days; requestHash tells whether it is the same.
func (s *Service) Send(ctx context.Context, site string, content pushsvc.Content, key string, requestHash [32]byte) (Sent, error) {
	name, err := pushsvc.SiteName(site)
	if err != nil {
		return Sent{}, &pushsvc.FieldError{Field: "site", Problem: err.Error()}
	}
	if err := content.Validate(); err != nil {
		return Sent{}, err
	}
	if len(key) > MaxIdempotencyKey {
		return Sent{}, &pushsvc.FieldError{Field: "Idempotency-Key", Problem: fmt.Sprintf("is longer than %d bytes", MaxIdempotencyKey)}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Sent{}, fmt.Errorf("making a message id: %w", err)
	}
	now := s.Clock()
	msg, created, err := s.Store.CreateMessage(ctx,
		pushsvc.Message{ID: id.String(), Site: name, Content: content, State: pushsvc.StateQueued, Created: now},
		pushsvc.Idempotency{Key: key, RequestHash: requestHash, Expires: now.Add(idempotencyPeriod)})
	if errors.Is(err, pushsvc.ErrNotFound) {
		return Sent{}, s.unknownSite(ctx, name)
	}
	if err != nil {
		return Sent{}, fmt.Errorf("storing the message: %w", err)
	}
	s.Engine.Wake()
	return Sent{Message: msg, Created: created, Warnings: s.warnings(name)}, nil
}

func (s *Service) warnings(site string) []string {
	if s.Contact != "" || webpush.SiteContact(site) != "" {
		return nil
	}
	return []string{`no contact is configured, and this site is no public host name that could stand for one: Apple's push service will refuse the message; add "contact mailto:you@your-domain" to the webpush options`}
}

// UnknownSiteError says that a site has never had a subscriber, and which
// sites have.
type UnknownSiteError struct {
	Site  string
	Known []string
}

func (e *UnknownSiteError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("site %q has no subscribers yet, nor has any other", e.Site)
	}
	return fmt.Sprintf("site %q has no subscribers; sites that have: %q", e.Site, e.Known)
}

// Unwrap makes the error a pushsvc.ErrNotFound.
func (e *UnknownSiteError) Unwrap() error { return pushsvc.ErrNotFound }

// knownSitesShown keeps the error readable where one server has thousands.
const knownSitesShown = 20

func (s *Service) unknownSite(ctx context.Context, site string) error {
	sites, err := s.Store.Sites(ctx)
	if err != nil {
		return fmt.Errorf("listing sites: %w", err)
	}
	e := &UnknownSiteError{Site: site}
	for _, known := range sites {
		if len(e.Known) == knownSitesShown {
			break
		}
		e.Known = append(e.Known, known.Site)
	}
	return e
}

// Site gives one site's summary, or an UnknownSiteError.
func (s *Service) Site(ctx context.Context, site string) (pushsvc.SiteSummary, error) {
	name, err := pushsvc.SiteName(site)
	if err != nil {
		return pushsvc.SiteSummary{}, &pushsvc.FieldError{Field: "site", Problem: err.Error()}
	}
	sum, err := s.Store.Site(ctx, name)
	if errors.Is(err, pushsvc.ErrNotFound) {
		return pushsvc.SiteSummary{}, s.unknownSite(ctx, name)
	}
	return sum, err
}

// ImportKey adds a VAPID key pair to the ring and makes it current. Both
// halves are base64url, with or without padding.
func (s *Service) ImportKey(ctx context.Context, public string, private pushsvc.Secret) (pushsvc.Key, error) {
	pair, err := webpush.ParseKeyPair(public, private.Reveal())
	if err != nil {
		var key *webpush.KeyError
		if errors.As(err, &key) {
			return pushsvc.Key{}, &pushsvc.FieldError{Field: strings.ReplaceAll(key.Field, " ", "_"), Problem: key.Problem}
		}
		return pushsvc.Key{}, &pushsvc.FieldError{Field: "private_key", Problem: err.Error()}
	}
	key, err := RingKey(pair, s.Clock())
	if err != nil {
		return pushsvc.Key{}, fmt.Errorf("reading the key pair: %w", err)
	}
	return s.Store.ImportKey(ctx, key)
}
