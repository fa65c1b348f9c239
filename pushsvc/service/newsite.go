package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// defaultMaxSites limits the stored sites that the configuration does not name:
// if a pattern stands for all host names, strangers can invent some.
const defaultMaxSites = 10_000

// ErrTooManySites means that the configuration does not name the site, the store
// has the maximum number of such sites, and none of them may be removed.
var ErrTooManySites = errors.New("there are as many sites as may be: only those that the configuration names can begin now")

// Rules for the sites that make room for new ones.
const (
	// smallSite is the largest number of subscriptions, and of profiles, of such
	// a site.
	smallSite = 64
	// idleSite is the time after the last visit when a site with a returning
	// visitor may be removed.
	idleSite = 30 * 24 * time.Hour
	// evictedSites is how many are removed at a time: each time is a transaction.
	evictedSites = 100
	// surveyPause is the pause after a search that found no site.
	surveyPause = 10 * time.Second
)

// siteGate knows the existing sites.
type siteGate struct {
	mu      sync.RWMutex
	there   map[string]*siteUse // nil until it is read
	removed int64               // [Live.removals] when it was read
	unnamed int                 // the number of sites that the configuration does not name
	warned  time.Time

	evicting sync.Mutex
	looked   time.Time // when no removable site was found
}

// siteUse is one site. last is the last visit, in Unix seconds; 0 means none
// since the start.
type siteUse struct {
	named  bool
	last   atomic.Int64
	once   sync.Once
	events []string // that the configuration names; after once
}

// forget removes a site from memory, so that it can start again as a new one.
func (g *siteGate) forget(sites ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, site := range sites {
		if use := g.there[site]; use != nil && !use.named {
			g.unnamed--
			delete(g.there, site)
		}
	}
}

// follow records a site that has taken over another one's name, and so its place.
func (g *siteGate) follow(site string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.there != nil && g.there[site] == nil {
		g.there[site] = new(siteUse)
		g.unnamed++
	}
}

// HasSite reports whether the site has stored data or is in the configuration;
// otherwise it would be a new one.
func (s *Service) HasSite(ctx context.Context, site string) (bool, error) {
	use, err := s.siteUse(ctx, site)
	return use != nil, err
}

func (s *Service) siteUse(ctx context.Context, site string) (*siteUse, error) {
	g := &s.sites
	g.mu.RLock()
	use, read := g.there[site], g.there != nil && g.removed == s.live().removals()
	g.mu.RUnlock()
	if read {
		return use, nil
	}
	if err := s.readSites(ctx); err != nil {
		return nil, err
	}
	return s.siteUse(ctx, site)
}

// admit returns an error if data of the site must not be stored.
func (s *Service) admit(ctx context.Context, site string) error {
	use, err := s.siteUse(ctx, site)
	if err != nil {
		return err
	}
	if use == nil {
		if err := s.room(ctx, strangers); err != nil {
			return err
		}
		if use = s.begin(site); use == nil && s.evictSites(ctx) {
			use = s.begin(site)
		}
	}
	if use != nil {
		use.last.Store(s.Clock().Unix())
		return nil
	}
	g := &s.sites
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := s.Clock(); now.Sub(g.warned) >= time.Hour {
		g.warned = now
		s.log().WarnContext(ctx, "visitors of a site that the configuration does not name are not taken: there are as many sites as may be; 'caddy webpush sites remove' removes some", "site", site, "sites", len(g.there))
	}
	return ErrTooManySites
}

func (s *Service) maxSites() int { return cmp.Or(s.MaxSites, defaultMaxSites) }

// begin adds a new site; nil if there is no room for it.
func (s *Service) begin(site string) *siteUse {
	g := &s.sites
	g.mu.Lock()
	defer g.mu.Unlock()
	if use := g.there[site]; use != nil {
		return use
	}
	if g.unnamed >= s.maxSites() {
		return nil
	}
	use := new(siteUse)
	g.there[site] = use
	g.unnamed++
	return use
}

// readSites reads the existing sites: stored ones, and those in the
// configuration.
func (s *Service) readSites(ctx context.Context) error {
	// A request that is cancelled meanwhile does not stop the read for others.
	ctx = context.WithoutCancel(ctx)
	removed := s.live().removals()
	sizes, err := s.siteSizes(ctx)
	if err != nil {
		return err
	}
	there := make(map[string]*siteUse, len(sizes))
	if s.Configured != nil {
		for _, name := range s.Configured.Names() {
			there[name] = &siteUse{named: true}
		}
	}
	unnamed := 0
	for name := range sizes {
		if there[name] == nil {
			there[name] = new(siteUse)
			unnamed++
		}
	}
	s.sites.replace(there, unnamed, removed)
	return nil
}

// replace stores the result of a read that began at this number of removals,
// unless a later one is stored. The known use of sites is kept.
func (g *siteGate) replace(there map[string]*siteUse, unnamed int, removed int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.there != nil && g.removed >= removed {
		return
	}
	for name := range there {
		if use := g.there[name]; use != nil {
			there[name] = use
		}
	}
	g.there, g.unnamed, g.removed = there, unnamed, removed
}

// siteSize has a site's numbers of rows.
type siteSize struct{ subscriptions, profiles, messages int64 }

// siteSizes returns the sizes of all sites that have had visitors.
func (s *Service) siteSizes(ctx context.Context) (map[string]siteSize, error) {
	subscribed, err := s.Store.Sites(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing sites: %w", err)
	}
	visited, err := s.Store.PeopleSites(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing sites: %w", err)
	}
	sizes := make(map[string]siteSize, len(subscribed)+len(visited))
	for _, site := range subscribed {
		sizes[site.Site] = siteSize{subscriptions: site.Subscriptions, messages: site.Messages}
	}
	for _, site := range visited {
		size := sizes[site.Site]
		size.profiles = site.Profiles
		sizes[site.Site] = size
	}
	return sizes, nil
}

// evictSites removes some of the least valuable sites, and reports whether there
// were any. These are small sites that the configuration does not name, without
// operators' data, and without a returning visitor, at least for a long time.
// Those that were visited longest ago go first.
func (s *Service) evictSites(ctx context.Context) bool {
	g := &s.sites
	g.evicting.Lock()
	defer g.evicting.Unlock()
	g.mu.RLock()
	full := g.unnamed >= s.maxSites()
	g.mu.RUnlock()
	now := s.Clock()
	if !full {
		return true // another caller has
	}
	if now.Sub(g.looked) < surveyPause && !now.Before(g.looked) {
		return false
	}
	ctx = context.WithoutCancel(ctx)
	least, err := s.leastSites(ctx, now)
	if err == nil && len(least) > 0 {
		err = s.Store.RemoveSite(ctx, least...)
	}
	if err != nil {
		s.log().ErrorContext(ctx, "removing sites without returning visitors", "error", err)
	}
	if err != nil || len(least) == 0 {
		g.looked = now
		return false
	}
	g.forget(least...)
	s.SweepSoon()
	return true
}

// leastSites returns at most evictedSites sites that may be removed.
func (s *Service) leastSites(ctx context.Context, now time.Time) (least []string, err error) {
	sizes, err := s.siteSizes(ctx)
	if err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	names, err := s.Store.PopupSites(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		kept[name] = true
	}
	for _, setting := range settingNames {
		rows, err := s.Store.Settings(ctx, setting)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			kept[row.Site] = true
		}
	}
	type candidate struct {
		name string
		last int64
		size int64
	}
	var all []candidate
	s.sites.mu.RLock()
	for name, use := range s.sites.there {
		size := sizes[name]
		if use.named || kept[name] || size.messages > 0 || size.subscriptions > smallSite || size.profiles > smallSite {
			continue
		}
		// A site that was created this second may not be stored yet.
		if last := use.last.Load(); last < now.Unix() {
			all = append(all, candidate{name, last, size.subscriptions + size.profiles})
		}
	}
	s.sites.mu.RUnlock()
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.size, b.size), cmp.Compare(a.name, b.name))
	})
	most := min(evictedSites, s.maxSites()/20+1)
	for _, c := range all[:min(len(all), 10*evictedSites)] {
		ok, err := s.mayGo(ctx, c.name, now)
		if err != nil {
			return nil, err
		}
		if ok {
			if least = append(least, c.name); len(least) == most {
				break
			}
		}
	}
	return least, nil
}

// mayGo reports whether a small site has no returning visitor, or none for a long
// time.
func (s *Service) mayGo(ctx context.Context, site string, now time.Time) (bool, error) {
	subs, err := s.Store.SubscriptionPage(ctx, site, 0, smallSite+1)
	if err != nil {
		return false, err
	}
	profiles, err := s.Store.ProfilePage(ctx, site, "", smallSite+1)
	if err != nil {
		return false, err
	}
	returned, last := false, time.Time{}
	for _, sub := range subs {
		returned, last = returned || people.CameBack(sub.Created, sub.Seen), laterOf(last, sub.Seen)
	}
	for _, p := range profiles {
		returned, last = returned || people.CameBack(p.Created, p.Seen), laterOf(last, p.Seen)
	}
	return len(subs) <= smallSite && len(profiles) <= smallSite && (!returned || now.Sub(last) > idleSite), nil
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
