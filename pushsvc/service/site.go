package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// UnknownSiteError means that a site is not in the configuration and has no
// stored data.
type UnknownSiteError struct {
	Site string
	// Known are some of the existing sites.
	Known []string
	// Near is the nearest existing name; "" if no name is near.
	Near string
}

func (e *UnknownSiteError) Error() string {
	text := fmt.Sprintf("there is no site %q: the running configuration does not have it, and nothing is stored of it", e.Site)
	if len(e.Known) == 0 {
		return text + "; there is no site yet"
	}
	if len(e.Known) > 1 || e.Near == "" {
		text += "; known sites: " + strings.Join(e.Known, ", ")
	}
	return text + pushsvc.DidYouMean("; ", e.Near)
}

// Unwrap makes the error a pushsvc.ErrNotFound.
func (e *UnknownSiteError) Unwrap() error { return pushsvc.ErrNotFound }

// knownSitesShown keeps the error readable if a server has thousands.
const knownSitesShown = 20

// siteName returns the canonical name of a site; faults are *pushsvc.FieldError.
func siteName(site string) (string, error) {
	name, err := pushsvc.SiteName(site)
	if err != nil {
		return "", &pushsvc.FieldError{Field: "site", Problem: err.Error()}
	}
	return name, nil
}

// configured reports whether the configuration has the site, by its name or by a
// pattern. A name whose visitors belong to another site does not count, for
// example that of a named site without the port.
func (s *Service) configured(name string) bool {
	if s.Configured == nil {
		return false
	}
	if _, _, ok := s.Configured.Prompt(name); !ok {
		return false
	}
	names := s.Configured.Names()
	return slices.Contains(names, name) || !slices.ContainsFunc(names, func(named string) bool { return bareHost(named) == bareHost(name) })
}

// bareHost is a site's name without a port.
func bareHost(site string) string {
	if host, _, err := net.SplitHostPort(site); err == nil {
		return host
	}
	return site
}

// configuredNames returns the sites that the configuration names.
func (s *Service) configuredNames() []string {
	if s.Configured == nil {
		return nil
	}
	return s.Configured.Names()
}

// Site returns a site that the configuration has, or that has stored data; else
// an *UnknownSiteError.
func (s *Service) Site(ctx context.Context, site string) (api.Site, error) {
	name, err := siteName(site)
	if err != nil {
		return api.Site{}, err
	}
	row := api.Site{Site: name, Configured: s.configured(name)}
	sum, err := s.Store.Site(ctx, name)
	there := err == nil || row.Configured
	if err != nil && !errors.Is(err, pushsvc.ErrNotFound) {
		return row, fmt.Errorf("reading site %s: %w", name, err)
	}
	row.Subscriptions, row.Messages = sum.Subscriptions, sum.Messages
	people, err := s.Store.PeopleSites(ctx)
	if err != nil {
		return row, fmt.Errorf("listing sites: %w", err)
	}
	for _, p := range people {
		if p.Site == name {
			row.Profiles, there = p.Profiles, true
		}
	}
	if !there {
		set, err := s.sitesSet(ctx)
		if err != nil {
			return row, err
		}
		if !set[name] {
			return row, s.unknownSite(ctx, name)
		}
	}
	moves, err := s.Store.Moves(ctx)
	if err != nil {
		return row, fmt.Errorf("listing other names of sites: %w", err)
	}
	s.nameSite(&row, moves)
	return row, nil
}

// knownSite returns the canonical name of an existing site; see [Service.Site].
// Without a configuration all sites exist.
func (s *Service) knownSite(ctx context.Context, site string) (string, error) {
	name, err := siteName(site)
	if err != nil || s.Configured == nil || s.configured(name) {
		return name, err
	}
	row, err := s.Site(ctx, name)
	return row.Site, err
}

// unknownSite returns the error that lists the existing sites.
func (s *Service) unknownSite(ctx context.Context, site string) error {
	rows, err := s.AllSites(ctx)
	if err != nil {
		return err
	}
	e := &UnknownSiteError{Site: site}
	for _, row := range rows {
		e.Known = append(e.Known, row.Site)
	}
	e.Near = pushsvc.NearestSite(site, e.Known)
	e.Known = e.Known[:min(len(e.Known), knownSitesShown)]
	return e
}

// AllSites lists the sites that the configuration names, and those with stored
// data, by name.
func (s *Service) AllSites(ctx context.Context) ([]api.Site, error) {
	sizes, err := s.siteSizes(ctx)
	if err != nil {
		return nil, err
	}
	moves, err := s.Store.Moves(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing other names of sites: %w", err)
	}
	set, err := s.sitesSet(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.Concat(slices.Collect(maps.Keys(sizes)), slices.Collect(maps.Keys(set)), s.configuredNames())
	slices.Sort(names)
	rows := []api.Site{}
	for _, name := range slices.Compact(names) {
		size := sizes[name]
		row := api.Site{
			Site: name, Subscriptions: size.subscriptions, Messages: size.messages, Profiles: size.profiles,
			Configured: s.configured(name),
		}
		s.nameSite(&row, moves)
		rows = append(rows, row)
	}
	return rows, nil
}

// sitesSet returns the sites with operators' data: pop-ups, images, settings.
func (s *Service) sitesSet(ctx context.Context) (map[string]bool, error) {
	names, err := s.Store.PopupSites(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing sites with pop-ups: %w", err)
	}
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	for _, setting := range settingNames {
		rows, err := s.Store.Settings(ctx, setting)
		if err != nil {
			return nil, fmt.Errorf("listing sites with settings: %w", err)
		}
		for _, row := range rows {
			set[row.Site] = true
		}
	}
	return set, nil
}

// nameSite adds the other names under which visitors reach a site.
func (s *Service) nameSite(row *api.Site, moves []pushsvc.SiteMove) {
	if s.Configured != nil {
		row.Now = s.siteNow(s.Configured.Names(), row.Site)
	}
	for _, m := range moves {
		if m.Into == row.Site {
			row.OtherNames, row.Coming = append(row.OtherNames, m.From), row.Coming || m.Running
		}
	}
}
