package service

import (
	"context"
	"fmt"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/audience"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/personal"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// PopupWarnings warns of events and attributes in a valid pop-up that no visitor
// has, with the nearest name. A pop-up may be written before the first event, so
// there are no warnings for a site without events. Attributes are searched in one
// page of profiles.
func (s *Service) PopupWarnings(ctx context.Context, site string, p *popup.Popup) (warnings []string, err error) {
	name, err := siteName(site)
	if err != nil {
		return nil, err
	}
	events, attributes := audience.Mentions(p.Audience)
	if texts, err := personal.CompilePopup(p); err == nil {
		attributes = append(attributes, texts.Attributes()...)
	}
	if p.When.Event != "" {
		events = append(events, p.When.Event)
	}
	if p.Conversion != nil {
		events = append(events, p.Conversion.Event)
	}
	if len(events) > 0 {
		known, err := s.knownEvents(ctx, name)
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, unknownNames(events, known, "no visitor has had the event %q yet")...)
	}
	if len(attributes) > 0 {
		page, err := s.Store.ProfilePage(ctx, name, "", pageSize)
		if err != nil {
			return nil, fmt.Errorf("looking for attributes: %w", err)
		}
		var known []string
		for _, profile := range page {
			for attribute := range profile.Attributes {
				known = append(known, attribute)
			}
		}
		what := "no visitor has the attribute %q"
		if len(page) == pageSize {
			what = fmt.Sprintf("none of the first %d visitors has the attribute %%q", pageSize)
		}
		warnings = append(warnings, unknownNames(attributes, known, what)...)
	}
	return warnings, nil
}

// knownEvents returns the events that visitors have had, and those that the
// configuration, the prompt or an answer in a pop-up can cause.
func (s *Service) knownEvents(ctx context.Context, site string) (names []string, err error) {
	had, err := s.Store.EventSummary(ctx, site)
	if err != nil {
		return nil, fmt.Errorf("looking for events: %w", err)
	}
	for _, e := range had {
		names = append(names, e.Name)
	}
	if s.Configured != nil {
		names = append(names, s.Configured.EventNames(site)...)
	}
	rows, err := s.Store.Popups(ctx, site)
	if err != nil {
		return nil, fmt.Errorf("looking for events: %w", err)
	}
	for _, row := range rows {
		if in := row.Popup.Content.Input; in != nil {
			names = append(names, in.Event)
		}
	}
	return names, nil
}

// unknownNames returns a warning for each name that is not among the known ones,
// if there are any.
func unknownNames(names, known []string, what string) (warnings []string) {
	slices.Sort(known)
	known = slices.Compact(known)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if len(known) > 0 && !slices.Contains(known, name) {
			warnings = append(warnings, fmt.Sprintf(what, name)+pushsvc.DidYouMean("; ", pushsvc.Nearest(name, known)))
		}
	}
	return warnings
}
