package service

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/google/uuid"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

const (
	// maxShortScan is the largest number of a site's profiles for a search by the
	// end of an id: it reads all, which takes about a second.
	maxShortScan = 50_000
	// maxShortFound is the largest useful number of candidates.
	maxShortFound = 10
)

// ProfilesByShortID returns at most maxShortFound profiles whose ids begin or end
// with the given text. It searches ends only if the site has at most maxShortScan
// profiles.
func (s *Service) ProfilesByShortID(ctx context.Context, sum people.Summary, given string) (found []people.Profile, err error) {
	given = strings.ToLower(given)
	if len(given) < pushsvc.MinShortID || len(given) > 36 || strings.Trim(given, "0123456789abcdef-") != "" {
		return nil, nil
	}
	take := func(page []people.Profile) {
		for _, p := range page {
			if len(pushsvc.ShortID(given, []string{p.ID})) > 0 && len(found) < maxShortFound {
				found = append(found, p)
			}
		}
	}
	if sum.Profiles > maxShortScan {
		page, err := s.Store.ProfilePage(ctx, sum.Site, idBefore(given), maxShortFound)
		if err != nil {
			return nil, fmt.Errorf("finding a profile by its id's beginning: %w", err)
		}
		take(page)
		return found, nil
	}
	for after := ""; ; {
		page, err := s.Store.ProfilePage(ctx, sum.Site, after, pageSize)
		if err != nil {
			return nil, fmt.Errorf("finding a profile by a part of its id: %w", err)
		}
		if len(page) == 0 {
			return found, nil
		}
		take(page)
		after = page[len(page)-1].ID
	}
}

// idBefore is the last UUID below all that begin with the hexadecimal digits; ""
// if no UUID is below them.
func idBefore(digits string) string {
	digits = strings.ReplaceAll(digits, "-", "")
	n, ok := new(big.Int).SetString(digits+strings.Repeat("0", max(32-len(digits), 0)), 16)
	if !ok || n.Sign() <= 0 || len(digits) > 32 {
		return ""
	}
	var id uuid.UUID
	n.Sub(n, big.NewInt(1)).FillBytes(id[:])
	return id.String()
}
