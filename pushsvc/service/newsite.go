package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// defaultMaxSites is how many sites the store may have for a stranger to begin one
// more: where a pattern stands for all host names, anybody can make one up.
const defaultMaxSites = 10_000

// ErrTooManySites says that the site is none of the configuration's by its name, and
// that the store has as many as it may.
var ErrTooManySites = errors.New("there are as many sites as may be: only those that the configuration names begin anew")

// siteGate knows which sites are there.
type siteGate struct {
	mu     sync.RWMutex
	there  map[string]bool // nil until it has been read
	warned time.Time
}

// admit says whether the site may be stored something of.
func (s *Service) admit(ctx context.Context, site string) error {
	g := &s.sites
	g.mu.RLock()
	there, read := g.there[site], g.there != nil
	g.mu.RUnlock()
	if there {
		return nil
	}
	if !read {
		if err := s.readSites(ctx); err != nil {
			return err
		}
	}
	most := s.MaxSites
	if most == 0 {
		most = defaultMaxSites
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.there[site] || len(g.there) < most {
		g.there[site] = true
		return nil
	}
	if now := s.Clock(); now.Sub(g.warned) >= time.Hour {
		g.warned = now
		s.log().WarnContext(ctx, "visitors of a site that the configuration does not name are not taken: there are as many sites as may be", "site", site, "sites", len(g.there))
	}
	return ErrTooManySites
}

// readSites finds out which sites are there: what is stored, and what the
// configuration names.
func (s *Service) readSites(ctx context.Context) error {
	// Whoever hangs up meanwhile takes it from nobody.
	ctx = context.WithoutCancel(ctx)
	subscribed, err := s.Store.Sites(ctx)
	if err != nil {
		return fmt.Errorf("listing sites: %w", err)
	}
	visited, err := s.Store.PeopleSites(ctx)
	if err != nil {
		return fmt.Errorf("listing sites: %w", err)
	}
	there := make(map[string]bool, len(subscribed)+len(visited))
	for _, site := range subscribed {
		there[site.Site] = true
	}
	for _, site := range visited {
		there[site.Site] = true
	}
	if s.Configured != nil {
		for _, name := range s.Configured.Names() {
			there[name] = true
		}
	}
	s.sites.mu.Lock()
	defer s.sites.mu.Unlock()
	if s.sites.there == nil {
		s.sites.there = there
	}
	return nil
}
