package service

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/audience"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/onsite"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/personal"
)

// StatsQuery bounds what is counted; zeros are no bound.
type StatsQuery struct{ From, To time.Time }

// PopupsConfig is what every page of a site is told of its running pop-ups
// (web/src/shared/onsite.ts).
type PopupsConfig struct {
	// V changes with the rest.
	V          string        `json:"v"`
	List       []onsite.Rule `json:"list"`
	PerSession int           `json:"perSession,omitempty"`
}

// runningPopup is a pop-up that is ready to be shown.
type runningPopup struct {
	pushsvc.StoredPopup
	who   *audience.Audience
	texts *personal.Popup
	// told is true once somebody was told that it failed.
	told atomic.Bool
}

// popupSite is what a site has for its visitors. It never changes: a write makes
// another.
type popupSite struct {
	settings    pushsvc.PopupSettings
	running     []*runningPopup // in the order of their priority
	conversions []pushsvc.Conversion
	events      []string      // that pop-ups name
	config      *PopupsConfig // nil where nothing is running
}

// popupCache holds all sites that have pop-ups: pages must not wait for the
// store.
type popupCache struct {
	writing sync.Mutex // held while a site is read from the store
	mu      sync.RWMutex
	sites   map[string]*popupSite // nil until they have been read
	failed  time.Time
}

// popupRetry is how long after a failure the store is not asked again.
const popupRetry = time.Second

// popupSite gives what a site has; the zero value where it has nothing.
func (s *Service) popupSite(ctx context.Context, site string) (*popupSite, error) {
	s.popups.mu.RLock()
	sites, failed := s.popups.sites, s.popups.failed
	st := sites[site]
	s.popups.mu.RUnlock()
	switch {
	case st != nil:
		return st, nil
	case sites != nil:
		return &popupSite{}, nil
	case !failed.IsZero() && s.Clock().Sub(failed) < popupRetry:
		return nil, fmt.Errorf("pop-ups could not be read")
	}
	if err := s.loadPopups(ctx); err != nil {
		return nil, err
	}
	return s.popupSite(ctx, site)
}

// loadPopups reads all sites, once, for whoever comes: also where the one who asks
// first hangs up.
func (s *Service) loadPopups(ctx context.Context) error {
	s.popups.writing.Lock()
	defer s.popups.writing.Unlock()
	if s.popups.sites != nil {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	names, err := s.Store.PopupSites(ctx)
	sites := make(map[string]*popupSite, len(names))
	for _, name := range names {
		if err == nil {
			sites[name], err = s.readPopups(ctx, name)
		}
	}
	s.popups.mu.Lock()
	defer s.popups.mu.Unlock()
	if err != nil {
		s.popups.failed = s.Clock()
		return fmt.Errorf("reading all pop-ups: %w", err)
	}
	s.popups.sites = sites
	return nil
}

// reloadPopups reads a site anew, after a write.
func (s *Service) reloadPopups(ctx context.Context, site string) error {
	// What has been written is to be seen, whoever hangs up meanwhile.
	ctx = context.WithoutCancel(ctx)
	if err := s.loadPopups(ctx); err != nil {
		return err
	}
	s.popups.writing.Lock()
	defer s.popups.writing.Unlock()
	st, err := s.readPopups(ctx, site)
	if err != nil {
		return err
	}
	s.popups.mu.Lock()
	defer s.popups.mu.Unlock()
	s.popups.sites[site] = st
	return nil
}

// forgetPopups drops what a site that was removed had.
func (s *Service) forgetPopups(site string) {
	s.popups.writing.Lock()
	defer s.popups.writing.Unlock()
	s.popups.mu.Lock()
	defer s.popups.mu.Unlock()
	delete(s.popups.sites, site)
}

// readPopups makes a site's from what is stored.
func (s *Service) readPopups(ctx context.Context, site string) (*popupSite, error) {
	rows, err := s.Store.Popups(ctx, site)
	if err != nil {
		return nil, err
	}
	st := &popupSite{}
	if st.settings, _, err = s.PopupSettings(ctx, site); err != nil {
		return nil, err
	}
	onsite.Order(rows)
	config := &PopupsConfig{PerSession: st.settings.PerSession}
	for _, row := range rows {
		p := &row.Popup
		if p.State == pushsvc.PopupDraft {
			continue
		}
		if p.Conversion != nil {
			// Also of a paused one: it has been seen.
			if within, err := p.Conversion.Window(); err == nil {
				st.conversions = append(st.conversions, pushsvc.Conversion{Popup: p.ID, Event: p.Conversion.Event, Within: within})
				st.events = append(st.events, p.Conversion.Event)
			}
		}
		if p.When.Event != "" {
			st.events = append(st.events, p.When.Event)
		}
		rule, running := onsite.Public(p, s.Clock())
		if !running {
			continue
		}
		who, texts, err := compile(p)
		if err != nil {
			s.log().ErrorContext(ctx, "a stored pop-up can't be shown; put it again", "site", site, "popup", p.ID, "error", err)
			continue
		}
		st.running = append(st.running, &runningPopup{StoredPopup: row, who: who, texts: texts})
		config.List = append(config.List, rule)
	}
	if len(config.List) > 0 {
		st.config, err = shorten(config)
	}
	return st, err
}

// maxPopupsConfig is how many bytes of JSON the script of every page has for
// pop-ups.
const maxPopupsConfig = 16 << 10

// shorten leaves out of a large list what pages can do without: they ask the
// server then where none can apply, too.
func shorten(c *PopupsConfig) (*PopupsConfig, error) {
	for {
		text, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("encoding what pages are told of pop-ups: %w", err)
		}
		sum := sha256.Sum256(text)
		c.V = base64.RawURLEncoding.EncodeToString(sum[:6])
		if len(text) <= maxPopupsConfig {
			return c, nil
		}
		longest, most := 0, 0
		for i, r := range c.List {
			if text, err := json.Marshal(r); err == nil && len(text) > most {
				longest, most = i, len(text)
			}
		}
		r := &c.List[longest]
		least := onsite.Rule{ID: r.ID, Session: r.Session, Priority: r.Priority, Free: r.Free}
		if reflect.DeepEqual(*r, least) {
			return c, nil // nothing is left to leave out
		}
		*r, c.V = least, ""
	}
}

// log is where faults go that nobody is there to be told of.
func (s *Service) log() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

// PopupsConfig gives what the pages of a site are told; nil where nothing is
// running, or where the store can't tell at present.
func (s *Service) PopupsConfig(ctx context.Context, site string) *PopupsConfig {
	st, err := s.popupSite(ctx, site)
	if err != nil {
		return nil
	}
	return st.config
}

// PopupConversions gives what counts as the success of a site's pop-ups.
func (s *Service) PopupConversions(ctx context.Context, site string) []pushsvc.Conversion {
	st, err := s.popupSite(ctx, site)
	if err != nil {
		return nil
	}
	return st.conversions
}

// eventNames are the events of a site that its configuration, its prompt and its
// pop-ups name: strangers' names never take their places.
func (s *Service) eventNames(ctx context.Context, site string) (names []string) {
	if s.Configured != nil {
		names = s.configuredEvents(site)
	}
	if st, err := s.popupSite(ctx, site); err == nil {
		names = slices.Concat(names, st.events)
	}
	if s.Prompts != nil {
		if after := s.Prompts.Of(site).Settings.After; after != nil && after.Event != "" {
			names = slices.Concat(names, []string{after.Event})
		}
	}
	return names
}

// configuredEvents asks the configuration once for each site that is there: that looks
// at all its routes.
func (s *Service) configuredEvents(site string) []string {
	g := &s.sites
	g.mu.RLock()
	use := g.there[site]
	g.mu.RUnlock()
	if use == nil {
		return s.Configured.EventNames(site)
	}
	use.once.Do(func() { use.events = s.Configured.EventNames(site) })
	return use.events
}
