package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// ConfiguredSites is what the server's configuration says of its sites.
type ConfiguredSites interface {
	// Prompt gives what it says of the prompt of the site, whose name is
	// canonical, and what holds for the rest; false where it has no such site.
	Prompt(site string) (said, byDefault prompt.Settings, ok bool)
	// Prefix is the path below which the site has our endpoints; empty where it
	// has no such site.
	Prefix(site string) string
	// Origin is where the site most likely is, as https://shop.example.com; empty
	// where nothing tells.
	Origin(site string) string
	// SiteOf is the site of those who come to the host of that name; empty where the
	// configuration does not say, or has no such host.
	SiteOf(host string) string
	// Names lists the sites, but for those that a pattern stands for.
	Names() []string
	// EventNames lists the events that the site's settings name.
	EventNames(site string) []string
}

// SettingSource is who says a setting.
type SettingSource string

// The sources, from the lowest up: each wins over those before it.
const (
	SourceDefault   SettingSource = "default"
	SourceCaddyfile SettingSource = "caddyfile"
	SourceAPI       SettingSource = "api"
)

// PromptView is the prompt of one site as operators see it.
type PromptView struct {
	Site string `json:"site"`
	// Settings is what visitors get, Sources who says each member of it.
	Settings prompt.Settings          `json:"settings"`
	Sources  map[string]SettingSource `json:"sources"`
	// Override is what the API has set: the part that a PUT replaces.
	Override prompt.Settings `json:"override"`
	// Revision is the override's; 0 for none.
	Revision pushsvc.Revision `json:"revision"`
	Updated  time.Time        `json:"updated,omitzero"`
}

// PromptSummary is one line of the list of all sites' prompts.
type PromptSummary struct {
	Site string `json:"site"`
	// Configured is false for what is stored but of no use: the configuration
	// has no such site.
	Configured bool `json:"configured"`
	// Set has the members that the API has set.
	Set      []string         `json:"set"`
	Revision pushsvc.Revision `json:"revision"`
	Updated  time.Time        `json:"updated,omitzero"`
}

// UnconfiguredSiteError says that the configuration has no such site, and which
// it has.
type UnconfiguredSiteError struct {
	Site  string
	Known []string
	// Stored is true where something is set for the site nevertheless.
	Stored bool
}

func (e *UnconfiguredSiteError) Error() string {
	text := fmt.Sprintf("the running configuration has no site %q with webpush", e.Site)
	if len(e.Known) > 0 {
		text += fmt.Sprintf("; it has: %q", e.Known[:min(len(e.Known), knownSitesShown)])
	}
	text += pushsvc.DidYouMean("; ", pushsvc.NearestSite(e.Site, e.Known))
	if e.Stored {
		text += "; what was set for its prompt is kept until it is deleted"
	}
	return text
}

// Prompt gives what holds for a site's prompt; an *UnconfiguredSiteError where
// the configuration does not have the site.
func (s *Service) Prompt(ctx context.Context, site string) (PromptView, error) {
	name, err := s.promptSite(ctx, site)
	if err != nil {
		return PromptView{}, err
	}
	o, err := s.live().readPrompt(ctx, name)
	if err != nil {
		return PromptView{}, err
	}
	return s.promptView(name, o), nil
}

// SetPrompt puts settings in the place of all that the API has set of a site's
// prompt, if the revision is the expected one; else pushsvc.ErrRevision.
func (s *Service) SetPrompt(ctx context.Context, site string, settings prompt.Settings, expect pushsvc.Revision) (PromptView, error) {
	name, err := s.promptSite(ctx, site)
	if err != nil {
		return PromptView{}, err
	}
	if err := settings.Validate(); err != nil {
		return PromptView{}, err
	}
	o, err := s.live().putPrompt(ctx, name, settings, expect)
	if err != nil {
		return PromptView{}, err
	}
	return s.promptView(name, o), nil
}

// ResetPrompt removes what the API has set of a site's prompt, if the revision is
// the expected one; else pushsvc.ErrRevision. Where nothing is set it succeeds.
// The configuration need not have the site.
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

// AllPrompts lists the configured sites, and those for which something is set, by
// name.
func (s *Service) AllPrompts(ctx context.Context) ([]PromptSummary, error) {
	if err := s.live().refresh(ctx, pushsvc.ChangedSettings); err != nil {
		return nil, err
	}
	set := s.live().now.Load().prompts
	names := slices.AppendSeq(s.Configured.Names(), maps.Keys(set))
	slices.Sort(names)
	out := []PromptSummary{}
	for _, name := range slices.Compact(names) {
		o := set[name]
		_, _, ok := s.Configured.Prompt(name)
		out = append(out, PromptSummary{name, ok, o.Settings.Said(), o.Revision, o.Updated})
	}
	return out, nil
}

// promptSite gives the canonical name of a configured site.
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
	return "", &UnconfiguredSiteError{Site: name, Known: s.Configured.Names(), Stored: o.Revision > 0}
}

func (s *Service) promptView(site string, o PromptOverride) PromptView {
	said, byDefault, _ := s.Configured.Prompt(site)
	v := PromptView{
		Site: site, Settings: o.Settings.Over(said.Over(byDefault)), Sources: map[string]SettingSource{},
		Override: o.Settings, Revision: o.Revision, Updated: o.Updated,
	}
	for _, layer := range []struct {
		settings prompt.Settings
		source   SettingSource
	}{{byDefault, SourceDefault}, {said, SourceCaddyfile}, {o.Settings, SourceAPI}} {
		for _, member := range layer.settings.Said() {
			v.Sources[member] = layer.source
		}
	}
	return v
}
