package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// ConfiguredSites is the server's configuration of its sites.
type ConfiguredSites interface {
	// Prompt returns the settings in the configuration for the site's prompt, and
	// the defaults; false if it has no such site. site is canonical.
	Prompt(site string) (said, byDefault prompt.Settings, ok bool)
	// Prefix returns the path of the site's endpoints; empty if it has no such
	// site.
	Prefix(site string) string
	// Origin returns the site's most likely origin, for example
	// https://shop.example.com; empty if unknown.
	Origin(site string) string
	// SiteOf returns the site for visitors of that host; empty if the
	// configuration does not say, or has no such host.
	SiteOf(host string) string
	// Names lists the sites that are not from a pattern.
	Names() []string
	// EventNames lists the events in the site's settings.
	EventNames(site string) []string
}

// UnconfiguredSiteError means that the configuration does not have a site with
// stored data: no visitor sees its prompt.
type UnconfiguredSiteError struct {
	Site string
	// Set is true if prompt settings are stored for it.
	Set bool
}

func (e *UnconfiguredSiteError) Error() string {
	text := fmt.Sprintf("the running configuration has no site %q with webpush", e.Site)
	if e.Set {
		text += "; what was set for its prompt is kept until it is deleted"
	}
	return text
}

// Prompt returns a site's effective prompt; an *UnconfiguredSiteError if the
// configuration does not have the site.
func (s *Service) Prompt(ctx context.Context, site string) (api.Prompt, error) {
	name, err := s.promptSite(ctx, site)
	if err != nil {
		return api.Prompt{}, err
	}
	o, err := s.live().readPrompt(ctx, name)
	if err != nil {
		return api.Prompt{}, err
	}
	return s.promptView(name, o), nil
}

// SetPrompt replaces all settings that the API has made for a site's prompt, if
// the revision is the expected one; else pushsvc.ErrRevision.
func (s *Service) SetPrompt(ctx context.Context, site string, settings prompt.Settings, expect pushsvc.Revision) (api.Prompt, error) {
	name, err := s.promptSite(ctx, site)
	if err != nil {
		return api.Prompt{}, err
	}
	if err := settings.Validate(); err != nil {
		return api.Prompt{}, err
	}
	o, err := s.live().putPrompt(ctx, name, settings, expect)
	if err != nil {
		return api.Prompt{}, err
	}
	return s.promptView(name, o), nil
}

// ResetPrompt removes all settings that the API has made for a site's prompt, if
// the revision is the expected one; else pushsvc.ErrRevision. It succeeds if
// there are none. The configuration need not have the site.
func (s *Service) ResetPrompt(ctx context.Context, site string, expect pushsvc.Revision) error {
	name, err := siteName(site)
	if err != nil {
		return err
	}
	err = s.live().removePrompt(ctx, name, expect)
	if !errors.Is(err, pushsvc.ErrNotFound) {
		return err
	}
	if expect > 0 {
		return fmt.Errorf("removing the prompt's settings of %s: %w", name, pushsvc.ErrRevision)
	}
	_, err = s.promptSite(ctx, name)
	return err
}

// AllPrompts lists the configured sites, and sites with stored prompt settings,
// by name.
func (s *Service) AllPrompts(ctx context.Context) ([]api.PromptSummary, error) {
	if err := s.live().refresh(ctx, pushsvc.ChangedSettings); err != nil {
		return nil, err
	}
	set := s.live().now.Load().prompts
	names := slices.AppendSeq(s.Configured.Names(), maps.Keys(set))
	slices.Sort(names)
	out := []api.PromptSummary{}
	for _, name := range slices.Compact(names) {
		o := set[name]
		_, _, ok := s.Configured.Prompt(name)
		out = append(out, api.PromptSummary{Site: name, Configured: ok, Set: o.Settings.Said(), Revision: o.Revision, Updated: o.Updated})
	}
	return out, nil
}

// promptSite returns the canonical name of a configured site.
func (s *Service) promptSite(ctx context.Context, site string) (string, error) {
	name, err := siteName(site)
	if err != nil {
		return "", err
	}
	if _, _, ok := s.Configured.Prompt(name); ok {
		return name, nil
	}
	o, err := s.live().readPrompt(ctx, name)
	if err != nil {
		return "", err
	}
	if _, err := s.Site(ctx, name); err != nil {
		return "", err
	}
	return "", &UnconfiguredSiteError{Site: name, Set: o.Revision > 0}
}

func (s *Service) promptView(site string, o PromptOverride) api.Prompt {
	said, byDefault, _ := s.Configured.Prompt(site)
	v := api.Prompt{
		Site: site, Settings: o.Settings.Over(said.Over(byDefault)), Sources: map[string]api.SettingSource{},
		Override: o.Settings, Revision: o.Revision, Updated: o.Updated,
	}
	for _, layer := range []struct {
		settings prompt.Settings
		source   api.SettingSource
	}{{byDefault, api.SourceDefault}, {said, api.SourceCaddyfile}, {o.Settings, api.SourceAPI}} {
		for _, member := range layer.settings.Said() {
			v.Sources[member] = layer.source
		}
	}
	return v
}
