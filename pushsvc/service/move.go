package service

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// Rows of a renamed site are moved in pieces, with pauses for other writes.
const (
	moveRows  = 128
	movePause = 2 * time.Millisecond
	moveAgain = 10 * time.Second // after an error
)

// siteNames are the last read other names of sites.
type siteNames struct {
	moves  map[string]pushsvc.SiteMove // by the other name
	former map[string][]string         // other names by site
}

// readNames reads which sites have other names. Before that only the store knows
// them.
func (l *Live) readNames(ctx context.Context, next *snapshot) error {
	all, err := l.store.Moves(ctx)
	if err != nil {
		return fmt.Errorf("reading the other names of sites: %w", err)
	}
	n := &siteNames{moves: map[string]pushsvc.SiteMove{}, former: map[string][]string{}}
	for _, m := range all {
		n.moves[m.From] = m
		n.former[m.Into] = append(n.former[m.Into], m.From)
	}
	next.names = n
	return nil
}

// names returns the other names of sites; nil if they could not be read yet. It
// never waits for the store.
func (l *Live) names() *siteNames {
	l.follow()
	return l.now.Load().names
}

// CurrentSite returns a site's present name: browsers with an old page or worker
// use its former one.
func (s *Service) CurrentSite(name string) string {
	if n := s.live().names(); n != nil {
		if m, ok := n.moves[name]; ok {
			return m.Into
		}
	}
	return name
}

// signedFor returns the names that signatures for the site may have.
func (s *Service) signedFor(site string) []string {
	if n := s.live().names(); n != nil {
		return append([]string{site}, n.former[site]...)
	}
	return []string{site}
}

// popupNow returns the present id of a pop-up of a former name.
func (s *Service) popupNow(name, popup string) string {
	if n := s.live().names(); n != nil {
		return cmp.Or(n.moves[name].Popups[popup], popup)
	}
	return popup
}

// SiteTakenError means that a site can't be renamed to an existing one.
type SiteTakenError struct{ From, Into api.SiteContents }

func (e *SiteTakenError) Error() string {
	return fmt.Sprintf("site %[1]s is there already (subscribers: %[2]d, profiles: %[3]d): 'caddy webpush sites merge %[4]s %[1]s' makes both one",
		e.Into.Site, e.Into.Subscriptions, e.Into.Profiles, e.From.Site)
}

// MoveSite renames a site and waits until all its rows are moved. If ctx ends
// first, the move continues, also after a restart.
//
//   - Unless merge is true, the new name must have no data.
//   - A dry run reports what would be merged, and changes nothing.
//   - Errors are *pushsvc.FieldError, *SiteTakenError, and those of
//     pushsvc.SiteStore's BeginMove.
func (s *Service) MoveSite(ctx context.Context, from, into string, merge, dryRun bool) (api.SiteMoving, error) {
	var out api.SiteMoving
	var err error
	if from, err = siteName(pushsvc.GivenSite(from)); err != nil {
		return out, err
	}
	if into, err = pushsvc.SiteName(pushsvc.GivenSite(into)); err != nil {
		return out, &pushsvc.FieldError{Field: "into", Problem: err.Error()}
	}
	if err := s.live().changed(ctx, s.live().readNames); err != nil {
		return out, err
	}
	move, begun := s.live().names().moves[from]
	if !begun || move.Into != into {
		if out, err = s.beforeMove(ctx, from, into, merge); err != nil || dryRun {
			out.DryRun = dryRun
			return out, err
		}
	}
	if move, err = s.Store.BeginMove(ctx, from, into, s.Clock()); err != nil {
		return out, fmt.Errorf("renaming site %s: %w", from, err)
	}
	s.renamed(ctx, from, into)
	if move.Running {
		select {
		case <-s.bringOver(from):
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
	s.renamed(ctx, from, into)
	move = s.live().names().moves[from]
	out.Popups, out.Moved, out.Running = move.Popups, api.SiteMoved(move.Moved), move.Running
	out.From.Site = from
	out.Into, err = s.SiteContents(ctx, into)
	return out, err
}

// beforeMove returns what would be merged, or an error that prevents the move.
func (s *Service) beforeMove(ctx context.Context, from, into string, merge bool) (out api.SiteMoving, err error) {
	moves := []pushsvc.SiteMove{}
	for _, m := range s.live().names().moves {
		moves = append(moves, m)
	}
	if _, err := pushsvc.BeginMove(moves, from, into); err != nil {
		return out, err
	}
	if from == into {
		return out, &pushsvc.FieldError{Field: "into", Problem: "is the site's own name"}
	}
	if out.From, err = s.SiteContents(ctx, from); err != nil {
		return out, err
	}
	out.Into = api.SiteContents{Site: into}
	if s.CurrentSite(into) == into { // else it is another name of from
		found, err := s.SiteContents(ctx, into)
		switch {
		case err == nil:
			out.Into = found
		case !errors.Is(err, pushsvc.ErrNotFound):
			return out, err
		}
		if err == nil && !merge {
			return out, &SiteTakenError{out.From, out.Into}
		}
	}
	var busy []string
	err = s.eachUnfinished(ctx, from, func(m pushsvc.Message) error {
		if !m.Movable() {
			busy = append(busy, m.ID)
		}
		return nil
	})
	if err == nil && len(busy) > 0 {
		err = &pushsvc.SiteBusyError{Site: from, Messages: busy}
	}
	if err != nil || out.Into.Subscriptions+out.Into.Popups == 0 {
		return out, err
	}
	if out.Popups, err = s.popupClash(ctx, from, into); err != nil {
		return out, err
	}
	out.Shared, err = s.sharedEndpoints(ctx, from, into)
	return out, err
}

func (s *Service) popupClash(ctx context.Context, from, into string) (map[string]string, error) {
	have, err := s.Store.Popups(ctx, into)
	if err != nil {
		return nil, err
	}
	come, err := s.Store.Popups(ctx, from)
	if err != nil {
		return nil, err
	}
	_, renamed, err := popup.Join(have, come)
	return renamed, err
}

// sharedEndpoints counts endpoints that are subscribed at both sites.
func (s *Service) sharedEndpoints(ctx context.Context, from, into string) (n int64, err error) {
	known := map[[16]byte]struct{}{}
	each := func(site string, fn func([16]byte)) error {
		for after := pushsvc.SubscriptionID(0); ; {
			page, err := s.Store.SubscriptionPage(ctx, site, after, 1000)
			if err != nil || len(page) == 0 {
				return err
			}
			for i := range page {
				sum := sha256.Sum256([]byte(page[i].Endpoint))
				fn([16]byte(sum[:16]))
			}
			after = page[len(page)-1].ID
		}
	}
	err = each(from, func(h [16]byte) { known[h] = struct{}{} })
	if err == nil {
		err = each(into, func(h [16]byte) {
			if _, both := known[h]; both {
				n++
			}
		})
	}
	if err != nil {
		return 0, fmt.Errorf("comparing the subscribers of %s and %s: %w", from, into, err)
	}
	return n, nil
}

// renamed updates everything in memory to the sites' present names.
func (s *Service) renamed(ctx context.Context, from, into string) {
	ctx = context.WithoutCancel(ctx)
	s.sites.forget(from)
	s.sites.follow(into)
	if err := s.live().refresh(ctx, pushsvc.ChangedSites); err != nil {
		s.log().ErrorContext(ctx, "reading what operators have set, after site "+from+" became "+into, "error", err)
	}
}

// ResumeMoves continues interrupted moves in the background. It reads the store
// itself: memory may not be up to date yet.
func (s *Service) ResumeMoves() {
	go func() {
		all, err := s.Store.Moves(context.Background())
		if err != nil && !errors.Is(err, pushsvc.ErrClosed) {
			s.log().Error("looking for sites on their way to a new name", "error", err)
		}
		for _, m := range all {
			if m.Running {
				s.log().Info("going on with giving a site its new name", "from", m.From, "into", m.Into)
				s.bringOver(m.From)
			}
		}
	}()
}

// bringOver moves the rows of a site to its new name, in the background. The
// channel is closed at the end.
func (s *Service) bringOver(from string) <-chan struct{} {
	s.moving.mu.Lock()
	defer s.moving.mu.Unlock()
	if running := s.moving.runs[from]; running != nil {
		return running
	}
	if s.moving.runs == nil {
		s.moving.runs = map[string]chan struct{}{}
	}
	done := make(chan struct{})
	s.moving.runs[from] = done
	go func() {
		defer func() {
			if r := recover(); r != nil {
				s.log().Error("giving a site its new name failed unexpectedly", "panic", fmt.Sprint(r))
			}
			s.moving.mu.Lock()
			delete(s.moving.runs, from)
			s.moving.mu.Unlock()
			close(done)
		}()
		s.bring(from)
	}()
	return done
}

func (s *Service) bring(from string) {
	ctx := context.Background()
	for {
		m, err := s.Store.MoveRows(ctx, from, moveRows)
		switch {
		case errors.Is(err, pushsvc.ErrClosed), errors.Is(err, pushsvc.ErrNotFound):
			return
		case err != nil:
			s.log().Error("giving a site its new name; it is tried again", "from", from, "error", err)
			time.Sleep(moveAgain)
		case !m.Running:
			s.renamed(ctx, from, m.Into)
			s.SweepSoon()
			s.Engine.Wake()
			return
		default:
			time.Sleep(movePause)
		}
	}
}

// StaleSite is a site whose visitors now belong to another site by the
// configuration.
type StaleSite struct {
	Site string `json:"site"`
	// Now is the visitors' present site.
	Now           string `json:"now"`
	Subscriptions int64  `json:"subscriptions"`
}

// StaleSites lists sites with subscribers whose visitors now belong to another
// site: the option "site" was added, or "www." or a port has changed.
func (s *Service) StaleSites(ctx context.Context) ([]StaleSite, error) {
	if s.Configured == nil {
		return nil, nil
	}
	sites, err := s.Store.Sites(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing sites: %w", err)
	}
	var stale []StaleSite
	names := s.Configured.Names()
	for _, site := range sites {
		if now := s.siteNow(names, site.Site); now != "" && site.Subscriptions > 0 {
			stale = append(stale, StaleSite{site.Site, now, site.Subscriptions})
		}
	}
	return stale, nil
}

// siteNow returns the present site of a site's visitors by the configuration;
// empty if it is unchanged or unknown.
func (s *Service) siteNow(names []string, site string) string {
	if slices.Contains(names, site) {
		return ""
	}
	if now := s.Configured.SiteOf(site); now != "" {
		if now == site {
			return ""
		}
		return now
	}
	host := site
	if name, _, err := net.SplitHostPort(site); err == nil {
		host = name
	}
	bare := strings.TrimPrefix(host, "www.")
	for _, name := range names {
		other := name
		if h, _, err := net.SplitHostPort(name); err == nil {
			other = h
		}
		if strings.TrimPrefix(other, "www.") == bare {
			return name
		}
	}
	return ""
}
