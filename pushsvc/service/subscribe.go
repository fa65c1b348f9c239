package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// SubscriptionJSON is PushSubscription.toJSON() (Push API §8.3).
type SubscriptionJSON struct {
	Endpoint string `json:"endpoint" api:"required"`
	// ExpirationTime is in milliseconds since 1970, or null.
	ExpirationTime *float64 `json:"expirationTime"`
	Keys           KeysJSON `json:"keys" api:"required"`
}

// KeysJSON is a subscription's keys in base64url.
type KeysJSON struct {
	P256DH string `json:"p256dh" api:"required"`
	Auth   string `json:"auth" api:"required"`
}

// SubscribeRequest is the SDK's post: the subscription and its origin.
type SubscribeRequest struct {
	SubscriptionJSON
	// ApplicationServerKey is the key that the browser subscribed with; empty
	// means the current one.
	ApplicationServerKey string `json:"applicationServerKey"`
	Language             string `json:"language"`
	TimeZone             string `json:"timeZone"`
	Page                 string `json:"page"`
	// Topics are the ids that the visitor has chosen; missing if the visitor was not
	// asked, or the choice is unknown: then the stored topics stay.
	Topics []string `json:"topics"`
	// DefaultTopics are for a subscription without any choice yet.
	DefaultTopics []string `json:"defaultTopics"`
	// SiteTopics are the ids of the site's topics, by its settings. Others are
	// dropped, because a page may be older than the settings.
	SiteTopics []string `json:"-"`
	// Replaces is the subscription that this one replaces.
	Replaces *ProofJSON `json:"replaces"`
	// Device is the device that posts; zero for a visitor who opts out of tracking.
	Device pushsvc.DeviceID `json:"-"`
}

// ProofJSON proves that its sender has a subscription.
type ProofJSON struct {
	Endpoint string `json:"endpoint" api:"required"`
	Keys     struct {
		Auth string `json:"auth" api:"required"`
	} `json:"keys" api:"required"`
}

// Subscribed is the part of the row that the subscriber may see.
type Subscribed struct {
	ID pushsvc.SubscriptionID
	// Topics are the stored ones; nil if there has never been a choice.
	Topics []string
}

// Subscribe stores a subscription of the site. It is durable when Subscribe
// returns nil; repeating the call changes only the time when it was last seen.
// Faults in the request are *pushsvc.FieldError.
func (s *Service) Subscribe(ctx context.Context, site string, req SubscribeRequest) (Subscribed, error) {
	sub, err := s.parseSubscription(req)
	if err != nil {
		return Subscribed{}, err
	}
	if err := s.admit(ctx, site); err != nil {
		return Subscribed{}, err
	}
	if err := s.roomBy(ctx, site, req.Device, subscribing, subscribed); err != nil {
		return Subscribed{}, err
	}
	sub.Site, sub.Device, sub.Topics = site, req.Device, among(req.SiteTopics, req.Topics)
	if sub.KeyID, err = s.keyID(ctx, req.ApplicationServerKey); err != nil {
		return Subscribed{}, err
	}
	var replaces *pushsvc.Proof
	if req.Replaces != nil {
		// An invalid proof proves nothing; the new subscription is still valid.
		if p, err := parseProof(*req.Replaces); err == nil && p.Endpoint != sub.Endpoint {
			replaces = &p
		}
	}
	row, err := s.Store.PutSubscription(ctx, sub, replaces)
	ours := row.Auth == sub.Auth // else the endpoint is known with other keys
	// For a sender without the keys all steps are the same as for a new endpoint,
	// including a second write.
	if err == nil && (ours && row.Topics == nil || !ours && sub.Topics == nil) {
		if sub.Topics = among(req.SiteTopics, req.DefaultTopics); sub.Topics != nil {
			row, err = s.Store.PutSubscription(ctx, sub, nil)
		}
	}
	if err != nil {
		return Subscribed{}, fmt.Errorf("storing the subscription: %w", err)
	}
	if !ours {
		row.Topics = sub.Topics // as for a new one: the sender must not see the stored ones
	}
	return Subscribed{ID: row.ID, Topics: row.Topics}, nil
}

// among returns the known ones of the ids; nil if none were given, or if the site
// has no topics.
func among(known, ids []string) []string {
	if len(known) == 0 || ids == nil {
		return nil
	}
	out := []string{}
	for _, id := range known {
		if slices.Contains(ids, id) {
			out = append(out, id)
		}
	}
	return pushsvc.CleanTopics(out)
}

func (s *Service) parseSubscription(req SubscribeRequest) (pushsvc.Subscription, error) {
	if req.Endpoint == "" {
		return pushsvc.Subscription{}, &pushsvc.FieldError{Field: "endpoint", Problem: "is missing"}
	}
	if _, err := s.Services.Check(req.Endpoint); err != nil {
		return pushsvc.Subscription{}, &pushsvc.FieldError{Field: "endpoint", Problem: "is refused: " + strings.TrimPrefix(err.Error(), "push endpoint refused: ")}
	}
	p256dh, auth, err := parseKeys(req.Keys)
	if err != nil {
		return pushsvc.Subscription{}, err
	}
	now := s.Clock().Truncate(time.Second)
	sub := pushsvc.Subscription{
		Endpoint: req.Endpoint, P256DH: p256dh, Auth: auth,
		Language: req.Language, TimeZone: req.TimeZone, Page: req.Page,
		Created: now, Seen: now,
	}
	// 8.64e15 ms is the last moment that a JavaScript Date can hold.
	if t := req.ExpirationTime; t != nil {
		if *t < 0 || *t > 8.64e15 {
			return pushsvc.Subscription{}, &pushsvc.FieldError{Field: "expirationTime", Problem: "is neither null nor milliseconds since 1970"}
		}
		sub.Expiration = time.UnixMilli(int64(*t))
	}
	sub.CleanOrigin()
	return sub, nil
}

func parseKeys(keys KeysJSON) (p256dh [pushsvc.P256DHSize]byte, auth [pushsvc.AuthSize]byte, err error) {
	p256dh, auth, err = webpush.ParseSubscriptionKeys(keys.P256DH, keys.Auth)
	if err != nil {
		return p256dh, auth, asFieldError(err)
	}
	return p256dh, auth, nil
}

// keyID returns the id of the ring's key that the browser used.
func (s *Service) keyID(ctx context.Context, public string) (string, error) {
	public = strings.TrimRight(public, "=")
	key, err := s.live().key(ctx, func(k pushsvc.Key) bool { return k.Public == public || public == "" && k.Current })
	if !errors.Is(err, pushsvc.ErrNotFound) {
		return key.ID, err
	}
	return "", &pushsvc.FieldError{Field: "applicationServerKey", Problem: "is not a key of this server: unsubscribe, and subscribe with the server's own"}
}

// Unsubscribe removes the subscription that the proof is for, if it exists. The
// result does not reveal whether there was, so that it can't be used to probe for
// endpoints.
func (s *Service) Unsubscribe(ctx context.Context, site string, req ProofJSON) error {
	proof, err := parseProof(req)
	if err != nil {
		return err
	}
	if _, err := s.Store.DeleteProven(ctx, site, proof); err != nil {
		return fmt.Errorf("removing the subscription: %w", err)
	}
	return nil
}

func parseProof(req ProofJSON) (pushsvc.Proof, error) {
	switch {
	case req.Endpoint == "":
		return pushsvc.Proof{}, &pushsvc.FieldError{Field: "endpoint", Problem: "is missing"}
	case len(req.Endpoint) > pushsvc.MaxEndpoint:
		return pushsvc.Proof{}, &pushsvc.FieldError{Field: "endpoint", Problem: fmt.Sprintf("is longer than %d bytes", pushsvc.MaxEndpoint)}
	}
	auth, err := webpush.ParseAuth(req.Keys.Auth)
	if err != nil {
		return pushsvc.Proof{}, asFieldError(err)
	}
	return pushsvc.Proof{Endpoint: req.Endpoint, Auth: auth}, nil
}

// asFieldError changes the field's name to the sender's.
func asFieldError(err error) error {
	var key *webpush.KeyError
	if errors.As(err, &key) {
		return &pushsvc.FieldError{Field: "keys." + key.Field, Problem: key.Problem}
	}
	return &pushsvc.FieldError{Field: "keys", Problem: err.Error()}
}

// SubscriptionPage lists a site's subscriptions by rising id.
func (s *Service) SubscriptionPage(ctx context.Context, site string, after pushsvc.SubscriptionID, limit int) ([]pushsvc.Subscription, error) {
	name, err := s.knownSite(ctx, site)
	if err != nil {
		return nil, err
	}
	page, err := s.Store.SubscriptionPage(ctx, name, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing subscriptions: %w", err)
	}
	return page, nil
}

// DeleteSubscription removes a subscription; pushsvc.ErrNotFound.
func (s *Service) DeleteSubscription(ctx context.Context, site string, id pushsvc.SubscriptionID) error {
	name, err := s.knownSite(ctx, site)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteSubscription(ctx, name, id); err != nil {
		return fmt.Errorf("removing the subscription: %w", err)
	}
	return nil
}
