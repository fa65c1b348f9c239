package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// NoSiteError means that a site has no stored data.
type NoSiteError struct{ Site string }

func (e *NoSiteError) Error() string {
	return fmt.Sprintf("nothing is kept of site %s; 'caddy webpush sites' lists those of which something is", e.Site)
}

// Unwrap makes the error a pushsvc.ErrNotFound.
func (e *NoSiteError) Unwrap() error { return pushsvc.ErrNotFound }

// settingNames are all settings of a site.
var settingNames = []string{promptSetting, popupSettings}

// SiteContents returns the numbers of a site's stored rows; pushsvc.ErrNotFound
// if there are none.
func (s *Service) SiteContents(ctx context.Context, site string) (api.SiteContents, error) {
	name, err := siteName(site)
	c := api.SiteContents{Site: name}
	if err != nil {
		return c, err
	}
	if now := s.CurrentSite(name); now != name {
		c.OtherNameOf = now
		return c, nil
	}
	found := false
	sum, err := s.Store.Site(ctx, name)
	switch {
	case err == nil:
		c.Subscriptions, c.Messages, found = sum.Subscriptions, sum.Messages, true
	case !errors.Is(err, pushsvc.ErrNotFound):
		return c, fmt.Errorf("reading site %s: %w", name, err)
	}
	visited, err := s.Store.PeopleSites(ctx)
	if err != nil {
		return c, fmt.Errorf("listing sites: %w", err)
	}
	if i := slices.IndexFunc(visited, func(p people.Summary) bool { return p.Site == name }); i >= 0 {
		c.Profiles, c.EventNames, found = visited[i].Profiles, visited[i].EventNames, true
	}
	popups, err := s.Store.Popups(ctx, name)
	if err != nil {
		return c, fmt.Errorf("reading site %s: %w", name, err)
	}
	uploads, err := s.Store.Uploads(ctx, name)
	if err != nil {
		return c, fmt.Errorf("reading site %s: %w", name, err)
	}
	for _, setting := range settingNames {
		_, err := s.Store.Setting(ctx, name, setting)
		switch {
		case err == nil:
			c.Settings++
		case !errors.Is(err, pushsvc.ErrNotFound):
			return c, fmt.Errorf("reading site %s: %w", name, err)
		}
	}
	c.Popups, c.Uploads = int64(len(popups)), int64(len(uploads))
	c.Configured = s.Configured != nil && slices.Contains(s.Configured.Names(), name)
	if !found && c.Popups+c.Uploads+c.Settings == 0 {
		return c, &NoSiteError{name}
	}
	err = s.eachUnfinished(ctx, name, func(pushsvc.Message) error { c.Unfinished++; return nil })
	return c, err
}

// eachUnfinished calls fn with the site's messages that are not final.
func (s *Service) eachUnfinished(ctx context.Context, site string, fn func(pushsvc.Message) error) error {
	for before := ""; ; {
		page, err := s.Store.MessagePage(ctx, site, before, 200)
		if err != nil {
			return fmt.Errorf("listing messages of %s: %w", site, err)
		}
		if len(page) == 0 {
			return nil
		}
		for _, m := range page {
			if m.State.Final() {
				continue
			}
			if err := fn(m); err != nil {
				return err
			}
		}
		before = page[len(page)-1].ID
	}
}

// SiteInUseError explains why a site is not removed.
type SiteInUseError struct{ Contents api.SiteContents }

func (e *SiteInUseError) Error() string {
	var why []string
	if e.Contents.Configured {
		why = append(why, "the configuration names it, so that visitors begin it again: take it out first")
	}
	if e.Contents.Unfinished > 0 {
		why = append(why, unsent(e.Contents.Unfinished))
	}
	return fmt.Sprintf("site %s is in use: %s; or give --force (in the API: force=true)", e.Contents.Site, strings.Join(why, "; "))
}

func unsent(messages int64) string {
	if messages == 1 {
		return "one of its messages is not sent yet: cancel it first"
	}
	return fmt.Sprintf("%d of its messages are not sent yet: cancel them first", messages)
}

// RemoveSite removes all stored data of a site, and returns what it was. It
// returns
// a *SiteInUseError if the configuration names the site or it has unsent
// messages,
// unless force is true; force cancels those messages.
//
// For another name of a site it removes only the name: its next visitor starts a
// new site.
func (s *Service) RemoveSite(ctx context.Context, site string, force bool) (api.SiteContents, error) {
	if err := s.live().changed(ctx, s.live().readNames); err != nil {
		return api.SiteContents{}, err
	}
	c, err := s.SiteContents(ctx, site)
	if err != nil {
		return c, err
	}
	if (c.Configured || c.Unfinished > 0) && !force {
		return c, &SiteInUseError{c}
	}
	if c.OtherNameOf != "" {
		return c, s.dropSite(ctx, c.Site)
	}
	err = s.eachUnfinished(ctx, c.Site, func(m pushsvc.Message) error {
		_, err := s.Control(ctx, c.Site, m.ID, pushsvc.CommandCancel)
		if errors.Is(err, pushsvc.ErrWrongState) || errors.Is(err, pushsvc.ErrNotFound) {
			return nil // it has ended meanwhile
		}
		return err
	})
	if err != nil {
		return c, err
	}
	return c, s.dropSite(ctx, c.Site)
}

// dropSite removes a site from the store and from memory.
func (s *Service) dropSite(ctx context.Context, site string) error {
	if err := s.Store.RemoveSite(ctx, site); err != nil && !errors.Is(err, pushsvc.ErrNotFound) {
		return err
	}
	s.sites.forget(site)
	if err := s.live().refresh(context.WithoutCancel(ctx), pushsvc.ChangedSites); err != nil {
		s.log().ErrorContext(ctx, "reading what operators have set, after the site was removed", "error", err)
	}
	s.SweepSoon()
	return nil
}

// Rows of removed sites are deleted in pieces, with pauses for other writes.
const (
	sweepRows  = 500
	sweepPause = 20 * time.Millisecond
)

// SweepSoon deletes the rows of removed sites, in the background.
func (s *Service) SweepSoon() {
	if !s.sweeping.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer s.sweeping.Store(false)
		defer func() {
			if r := recover(); r != nil {
				s.log().Error("giving back room failed unexpectedly", "panic", fmt.Sprint(r))
			}
		}()
		for {
			n, err := s.Store.Sweep(context.Background(), sweepRows)
			if err != nil && !errors.Is(err, pushsvc.ErrClosed) {
				s.log().Error("giving back the room of removed sites", "error", err)
			}
			if err != nil || n == 0 {
				return
			}
			time.Sleep(sweepPause)
		}
	}()
}
