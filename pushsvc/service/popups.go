package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/audience"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/personal"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// popupSettings is the name of the setting that has a site's PopupSettings.
const popupSettings = "popups"

// compile checks all parts of a pop-up; faults are *pushsvc.FieldError.
func compile(p *popup.Popup) (*audience.Audience, *personal.Popup, error) {
	if err := p.Validate(); err != nil {
		return nil, nil, err
	}
	who, err := audience.Compile(p.Audience)
	if err != nil {
		return nil, nil, &pushsvc.FieldError{Field: "audience", Problem: err.Error()}
	}
	texts, err := personal.CompilePopup(p)
	if err != nil {
		return nil, nil, err
	}
	return who, texts, nil
}

// PutPopup checks a pop-up and stores it, if its revision is the expected one,
// else pushsvc.ErrRevision. Visitors get it from then on. Faults are
// *pushsvc.FieldError; popup.ErrFull if the site has too many.
func (s *Service) PutPopup(ctx context.Context, site string, p popup.Popup, expect pushsvc.Revision) (popup.Stored, error) {
	name, err := s.knownSite(ctx, site)
	if err != nil {
		return popup.Stored{}, err
	}
	if p.State == "" {
		p.State = popup.Draft
	}
	if _, _, err := compile(&p); err != nil {
		return popup.Stored{}, err
	}
	now := s.Clock()
	row, err := s.Store.PutPopup(ctx, popup.Stored{Site: name, Popup: p, Created: now, Updated: now}, expect)
	if err != nil {
		return row, err
	}
	return row, s.live().popupsChanged(ctx, name)
}

// Popup returns a pop-up; pushsvc.ErrNotFound.
func (s *Service) Popup(ctx context.Context, site, id string) (popup.Stored, error) {
	name, err := siteName(site)
	if err != nil {
		return popup.Stored{}, err
	}
	return s.Store.Popup(ctx, name, id)
}

// Popups returns a site's pop-ups, by id.
func (s *Service) Popups(ctx context.Context, site string) ([]popup.Stored, error) {
	name, err := siteName(site)
	if err != nil {
		return nil, err
	}
	return s.Store.Popups(ctx, name)
}

// stateTries is how often a change of state is tried during other writes.
const stateTries = 5

// SetPopupState runs or pauses a pop-up.
func (s *Service) SetPopupState(ctx context.Context, site, id string, state popup.State) (popup.Stored, error) {
	for try := 1; ; try++ {
		row, err := s.Popup(ctx, site, id)
		if err != nil {
			return row, err
		}
		row.Popup.State = state
		row, err = s.PutPopup(ctx, site, row.Popup, row.Revision)
		if !errors.Is(err, pushsvc.ErrRevision) || try == stateTries {
			return row, err
		}
	}
}

// DeletePopup removes a pop-up, if its revision is the expected one. Its counters
// stay.
func (s *Service) DeletePopup(ctx context.Context, site, id string, expect pushsvc.Revision) error {
	name, err := siteName(site)
	if err != nil {
		return err
	}
	if err := s.Store.DeletePopup(ctx, name, id, expect); err != nil {
		return err
	}
	return s.live().popupsChanged(ctx, name)
}

// PopupSettings returns the settings for all pop-ups of a site, and their
// revision: 0 if none are stored.
func (s *Service) PopupSettings(ctx context.Context, site string) (popup.Settings, pushsvc.Revision, error) {
	name, err := siteName(site)
	if err != nil {
		return popup.DefaultSettings(), 0, err
	}
	return readPopupSettings(ctx, s.Store, name)
}

func readPopupSettings(ctx context.Context, store pushsvc.SettingStore, name string) (popup.Settings, pushsvc.Revision, error) {
	set := popup.DefaultSettings()
	row, err := store.Setting(ctx, name, popupSettings)
	switch {
	case errors.Is(err, pushsvc.ErrNotFound):
		return set, 0, nil
	case err != nil:
		return set, 0, err
	}
	if err := json.Unmarshal(row.Document, &set); err != nil {
		return popup.DefaultSettings(), row.Revision, fmt.Errorf("reading the settings of pop-ups of %s: %w", name, err)
	}
	return set, row.Revision, nil
}

// SetPopupSettings stores settings for all pop-ups of a site.
func (s *Service) SetPopupSettings(ctx context.Context, site string, set popup.Settings, expect pushsvc.Revision) (pushsvc.Revision, error) {
	name, err := s.knownSite(ctx, site)
	if err != nil {
		return 0, err
	}
	if err := set.Validate(); err != nil {
		return 0, err
	}
	text, err := json.Marshal(set)
	if err != nil {
		return 0, fmt.Errorf("encoding the settings of pop-ups: %w", err)
	}
	row, err := s.Store.PutSetting(ctx, pushsvc.Setting{Site: name, Name: popupSettings, Document: text, Updated: s.Clock()}, expect)
	if err != nil {
		return 0, err
	}
	return row.Revision, s.live().popupsChanged(ctx, name)
}

// countAct adds one counter.
func countAct(r *api.PopupResult, c people.PopupCounter) {
	switch c.Act {
	case people.ActViewed, people.ActControl:
		r.Viewed += c.Count
	case people.ActClicked:
		r.Clicked += c.Count
		if c.Element != "" {
			if r.Elements == nil {
				r.Elements = map[string]int64{}
			}
			r.Elements[c.Element] += c.Count
		}
	case people.ActClosed:
		r.Closed += c.Count
	case people.ActSubmitted:
		r.Submitted += c.Count
	case people.ActError:
		r.Errors += c.Count
	case people.ActConverted:
		r.Converted += c.Count
	}
}

// PopupStats counts visitors' acts on a pop-up between two times; zeros mean no
// limit. pushsvc.ErrNotFound if there is neither such a pop-up nor a counter of
// it.
func (s *Service) PopupStats(ctx context.Context, site, id string, q StatsQuery) (api.PopupStats, error) {
	stats := api.PopupStats{Popup: id, Variants: []api.PopupResult{}, Hours: []api.PopupHour{}}
	name, err := siteName(site)
	if err != nil {
		return stats, err
	}
	counters, err := s.Store.PopupStats(ctx, name, id, q.From, q.To)
	if err != nil {
		return stats, fmt.Errorf("reading the counters of pop-up %q: %w", id, err)
	}
	row, err := s.Store.Popup(ctx, name, id)
	if err != nil && (!errors.Is(err, pushsvc.ErrNotFound) || len(counters) == 0) {
		return stats, err
	}
	// Variants without a view, and the control group, are in the result too.
	for _, v := range row.Popup.Variants {
		stats.Variants = append(stats.Variants, api.PopupResult{Variant: v.ID})
	}
	if err == nil && len(row.Popup.Variants) == 0 {
		stats.Variants = append(stats.Variants, api.PopupResult{Variant: popup.Base})
	}
	if row.Popup.Control > 0 {
		stats.Variants = append(stats.Variants, api.PopupResult{Variant: popup.Control})
	}
	for _, c := range counters {
		countAct(result(&stats.Variants, c.Variant), c)
		if c.Hour.Equal(people.FoldedHour) {
			continue // its hour is no longer known
		}
		hour := c.Hour.UTC()
		if n := len(stats.Hours); n == 0 || !stats.Hours[n-1].Hour.Equal(hour) {
			stats.Hours = append(stats.Hours, api.PopupHour{Hour: hour})
		}
		countAct(result(&stats.Hours[len(stats.Hours)-1].Variants, c.Variant), c)
	}
	return stats, nil
}

// result returns the entry of a variant, and adds it if it is missing.
func result(list *[]api.PopupResult, variant string) *api.PopupResult {
	i := slices.IndexFunc(*list, func(r api.PopupResult) bool { return r.Variant == variant })
	if i < 0 {
		i = len(*list)
		*list = append(*list, api.PopupResult{Variant: variant})
	}
	return &(*list)[i]
}
