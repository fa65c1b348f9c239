package service

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// People returns the summary of a site's people; an *UnknownSiteError if there is
// no such site.
func (s *Service) People(ctx context.Context, site string) (people.Summary, error) {
	name, err := s.knownSite(ctx, site)
	if err != nil {
		return people.Summary{}, err
	}
	all, err := s.Store.PeopleSites(ctx)
	if err != nil {
		return people.Summary{}, fmt.Errorf("listing sites: %w", err)
	}
	for _, sum := range all {
		if sum.Site == name {
			return sum, nil
		}
	}
	return people.Summary{Site: name}, nil
}

// ProfilePage lists people by rising id.
func (s *Service) ProfilePage(ctx context.Context, site, after string, limit int) ([]people.Profile, error) {
	page, err := s.Store.ProfilePage(ctx, site, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing profiles: %w", err)
	}
	return page, nil
}

// FindProfiles returns the profile with an identity; without such a profile, those
// whose ids begin or end with the text.
func (s *Service) FindProfiles(ctx context.Context, sum people.Summary, given string) ([]people.Profile, error) {
	for _, clean := range identitiesOf(given) {
		p, err := s.Store.PersonBy(ctx, sum.Site, clean)
		if err == nil {
			return []people.Profile{p}, nil
		}
		if !errors.Is(err, pushsvc.ErrNotFound) {
			return nil, fmt.Errorf("finding a profile: %w", err)
		}
	}
	return s.ProfilesByShortID(ctx, sum, given)
}

// identitiesOf returns the identities that an operator's text may mean:
// "<kind>:<value>", or a value alone, which is the site's own id or an e-mail
// address.
func identitiesOf(text string) (all []people.Identity) {
	kind, value, _ := strings.Cut(text, ":")
	for _, i := range []people.Identity{
		{Kind: people.IdentityKind(kind), Value: value},
		{Kind: people.IdentityID, Value: text},
		{Kind: people.IdentityEmail, Value: text},
	} {
		if clean, ok := i.Clean(); ok {
			all = append(all, clean)
		}
	}
	return all
}

// ErasePerson erases all data of a person.
func (s *Service) ErasePerson(ctx context.Context, site, id string) error {
	if err := s.Store.ErasePerson(ctx, site, id); err != nil {
		return fmt.Errorf("erasing a profile: %w", err)
	}
	return nil
}

// EraseIdentities erases all profiles that have or claim one of the identities
// that the text may mean, and returns their number.
func (s *Service) EraseIdentities(ctx context.Context, site, text string) (erased int, err error) {
	for _, identity := range identitiesOf(text) {
		n, err := s.EraseIdentity(ctx, site, identity)
		if erased += n; err != nil {
			return erased, err
		}
	}
	return erased, nil
}

// EraseIdentity erases all profiles that have or claim the identity, and returns
// their number, including those that only lose a claim.
func (s *Service) EraseIdentity(ctx context.Context, site string, i people.Identity) (erased int, err error) {
	const atOnce = 20 // each has up to some 200 kB, and others wait
	for {
		n, err := s.Store.EraseIdentity(ctx, site, i, atOnce)
		if erased += n; err != nil {
			return erased, fmt.Errorf("erasing an identity: %w", err)
		}
		if n < atOnce {
			return erased, nil
		}
	}
}

// Events lists the events of a site.
func (s *Service) Events(ctx context.Context, site string) ([]people.EventSummary, error) {
	events, err := s.Store.EventSummary(ctx, site)
	if err != nil {
		return nil, fmt.Errorf("listing events: %w", err)
	}
	if events == nil {
		events = []people.EventSummary{}
	}
	return events, nil
}
