package service

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/audience"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/onsite"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/personal"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// StatsQuery limits the counted time; zeros mean no limit.
type StatsQuery struct{ From, To time.Time }

// PopupsConfig is a site's running pop-ups in the form that every page gets.
type PopupsConfig struct {
	// V changes with the rest.
	V          string        `json:"v"`
	List       []onsite.Rule `json:"list"`
	PerSession int           `json:"perSession,omitempty"`
}

// runningPopup is a pop-up that is ready to be shown.
type runningPopup struct {
	popup.Stored
	who   *audience.Audience
	texts *personal.Popup
	// failureLogged is true once its failure has been logged.
	failureLogged atomic.Bool
}

// popupSite has a site's data for its visitors. It is immutable: a write makes a
// new one.
type popupSite struct {
	settings    popup.Settings
	running     []*runningPopup // in the order of their priority
	conversions []people.Conversion
	events      []string      // names in pop-ups
	config      *PopupsConfig // nil if nothing is running
}

// readAllPopups reads those of all sites. Unchanged texts and audiences are not
// compiled again.
func (l *Live) readAllPopups(ctx context.Context, next *snapshot) error {
	names, err := l.store.PopupSites(ctx)
	if err != nil {
		return fmt.Errorf("reading all pop-ups: %w", err)
	}
	sites := make(map[string]*popupSite, len(names))
	for _, name := range names {
		if sites[name], err = l.readPopups(ctx, name, next.popups[name]); err != nil {
			return fmt.Errorf("reading all pop-ups: %w", err)
		}
	}
	next.popups = sites
	return nil
}

// popupsChanged reads a site's pop-ups again.
func (l *Live) popupsChanged(ctx context.Context, site string) error {
	if _, err := l.have(ctx, pushsvc.ChangedPopups); err != nil {
		return err
	}
	return l.changed(ctx, func(ctx context.Context, next *snapshot) error {
		st, err := l.readPopups(ctx, site, next.popups[site])
		if err != nil {
			return err
		}
		next.popups = maps.Clone(next.popups)
		next.popups[site] = st
		return nil
	})
}

// popupSite returns a site's data; the zero value if it has none.
func (s *Service) popupSite(ctx context.Context, site string) (*popupSite, error) {
	now, err := s.live().have(ctx, pushsvc.ChangedPopups)
	if err != nil {
		return nil, err
	}
	if st := now.popups[site]; st != nil {
		return st, nil
	}
	return &popupSite{}, nil
}

// compiled returns the pop-up of the earlier site data, if it is unchanged.
func (st *popupSite) compiled(row popup.Stored) *runningPopup {
	if st == nil {
		return nil
	}
	i := slices.IndexFunc(st.running, func(p *runningPopup) bool { return p.Popup.ID == row.Popup.ID && p.Revision == row.Revision })
	if i < 0 {
		return nil
	}
	return st.running[i]
}

// readPopups makes a site's data from the stored rows and from the earlier data.
func (l *Live) readPopups(ctx context.Context, site string, before *popupSite) (*popupSite, error) {
	rows, err := l.store.Popups(ctx, site)
	if err != nil {
		return nil, err
	}
	st := &popupSite{}
	if st.settings, _, err = readPopupSettings(ctx, l.store, site); err != nil {
		return nil, err
	}
	onsite.Order(rows)
	config := &PopupsConfig{PerSession: st.settings.PerSession}
	for _, row := range rows {
		p := &row.Popup
		if p.State == popup.Draft {
			continue
		}
		if p.Conversion != nil {
			// Also of a paused one: visitors have seen it.
			if within, err := p.Conversion.Window(); err == nil {
				st.conversions = append(st.conversions, people.Conversion{Popup: p.ID, Event: p.Conversion.Event, Within: within})
				st.events = append(st.events, p.Conversion.Event)
			}
		}
		if p.When.Event != "" {
			st.events = append(st.events, p.When.Event)
		}
		rule, running := onsite.Public(p, l.clock())
		if !running {
			continue
		}
		ready := before.compiled(row)
		if ready == nil {
			who, texts, err := compile(p)
			if err != nil {
				l.fault(fmt.Errorf("the stored pop-up %q of %s can't be shown; put it again: %w", p.ID, site, err))
				continue
			}
			ready = &runningPopup{Stored: row, who: who, texts: texts}
		}
		st.running = append(st.running, ready)
		config.List = append(config.List, rule)
	}
	if len(config.List) > 0 {
		st.config, err = shorten(config)
	}
	return st, err
}

// maxPopupsConfig is the largest size of the pop-ups' JSON in every page's
// script, in bytes.
const maxPopupsConfig = 16 << 10

// shorten removes dispensable parts from a large list; pages then ask the server
// even if no pop-up can apply.
func shorten(c *PopupsConfig) (*PopupsConfig, error) {
	for {
		text, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("encoding the rules of pop-ups for pages: %w", err)
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
			return c, nil // nothing more can be removed
		}
		*r, c.V = least, ""
	}
}

// log is the logger for faults that no caller gets.
func (s *Service) log() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

// PopupsConfig returns the configuration for a site's pages; nil if nothing is
// running, or if the store can't be read now.
func (s *Service) PopupsConfig(ctx context.Context, site string) *PopupsConfig {
	st, err := s.popupSite(ctx, site)
	if err != nil {
		return nil
	}
	return st.config
}

// PopupConversions returns the events that count as success of a site's pop-ups.
func (s *Service) PopupConversions(ctx context.Context, site string) []people.Conversion {
	st, err := s.popupSite(ctx, site)
	if err != nil {
		return nil
	}
	return st.conversions
}

// eventNames returns the events that a site's configuration, prompt and pop-ups
// name: strangers' names never evict them.
func (s *Service) eventNames(ctx context.Context, site string) (names []string) {
	if s.Configured != nil {
		names = s.configuredEvents(site)
	}
	if st, err := s.popupSite(ctx, site); err == nil {
		names = slices.Concat(names, st.events)
	}
	if after := s.live().Prompt(site).Settings.After; after != nil && after.Event != "" {
		names = slices.Concat(names, []string{after.Event})
	}
	return names
}

// configuredEvents reads the configuration once per existing site, since it looks
// at all routes.
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
