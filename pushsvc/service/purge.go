package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/audience"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// How many profiles one call of PurgeProfiles checks, and how many it reads and
// erases at a time.
const (
	purgeLooks = 10_000
	purgePage  = 500
	purgeErase = 16 // each may have some 200 kB, and others wait meanwhile
)

// PurgeProfiles erases the profiles that match the expression, among at most
// 10,000 after After, with all their data. Visitors who return meanwhile stay.
// Faults are *pushsvc.FieldError.
func (s *Service) PurgeProfiles(ctx context.Context, site string, r api.PurgeRequest) (api.Purged, error) {
	var out api.Purged
	name, err := siteName(site)
	if err != nil {
		return out, err
	}
	if strings.TrimSpace(r.Where) == "" {
		return out, &pushsvc.FieldError{Field: "where", Problem: `is missing: describe the profiles, as in "!known && visits < 2"`}
	}
	for _, name := range []string{"device", "language"} {
		if audience.Names(r.Where, name) {
			return out, &pushsvc.FieldError{Field: "where", Problem: fmt.Sprintf("has %q, which is known of visitors on a page only", name)}
		}
	}
	who, err := audience.Compile(r.Where)
	if err != nil {
		return out, &pushsvc.FieldError{Field: "where", Problem: err.Error()}
	}
	now, after, subscribed := s.Clock(), r.After, audience.Names(r.Where, "subscribed")
	for out.Looked < purgeLooks {
		page, err := s.Store.ProfilePage(ctx, name, after, purgePage)
		if err != nil {
			return out, fmt.Errorf("reading profiles of %s: %w", name, err)
		}
		if len(page) == 0 {
			return out, nil
		}
		if err := s.purgePage(ctx, name, purge{who, subscribed, r.DryRun, now}, page, &out); err != nil {
			return out, err
		}
		after = page[len(page)-1].ID
	}
	out.Next = after
	return out, nil
}

// purge has the parameters for each page.
type purge struct {
	who        *audience.Audience
	subscribed bool // the expression uses it
	dryRun     bool
	now        time.Time
}

// purgePage erases the matching profiles of a page.
func (s *Service) purgePage(ctx context.Context, site string, do purge, page []people.Profile, out *api.Purged) error {
	var meant []pushsvc.PersonSeen
	for i := range page {
		p := &page[i]
		v := profileVisitor(p, do.now)
		for _, d := range p.Devices {
			if v.Subscribed || !do.subscribed {
				break
			}
			f, err := s.Store.Facts(ctx, site, d.ID)
			if err != nil {
				return fmt.Errorf("reading a profile's subscriptions: %w", err)
			}
			v.Subscribed = f.Subscribed
		}
		out.Looked++
		// An expression that takes too many steps for a profile does not match
		// it.
		if yes, err := do.who.Includes(v); err == nil && yes {
			meant = append(meant, pushsvc.PersonSeen{ID: p.ID, Seen: p.Seen})
		}
	}
	out.Matched += int64(len(meant))
	if do.dryRun {
		return nil
	}
	for piece := range slices.Chunk(meant, purgeErase) {
		n, err := s.Store.ErasePeople(ctx, site, piece)
		if err != nil {
			return err
		}
		out.Erased += int64(n)
	}
	return nil
}

// profileVisitor returns the visitor of an expression, from the profile alone.
func profileVisitor(p *people.Profile, now time.Time) audience.Visitor {
	v := audience.Visitor{
		Attributes: p.Attributes, Events: make(map[string]audience.Event, len(p.Events)), Visits: p.Visits,
		Known: p.Known(), Created: p.Created, Seen: p.Seen, Now: now,
	}
	for name, c := range p.Events {
		v.Events[name] = audience.Event(c)
	}
	return v
}
