package api

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// SettingSource is where a setting comes from.
type SettingSource string

// The sources, from the lowest up: each takes precedence over those before it.
const (
	SourceDefault   SettingSource = "default"
	SourceCaddyfile SettingSource = "caddyfile"
	SourceAPI       SettingSource = "api"
)

// Prompt is the prompt of one site.
type Prompt struct {
	Site string `json:"site"`
	// Settings are those that visitors get, Sources the source of each member.
	Settings prompt.Settings          `json:"settings"`
	Sources  map[string]SettingSource `json:"sources"`
	// Override has the settings by the API: the part that a PUT replaces.
	Override prompt.Settings `json:"override"`
	// Revision is the override's revision; 0 if there is no override.
	Revision pushsvc.Revision `json:"revision"`
	Updated  time.Time        `json:"updated,omitzero"`
}

// PromptSummary is one line of the list of all sites' prompts.
type PromptSummary struct {
	Site string `json:"site"`
	// Configured is false for settings that are stored but unused, because the configuration has no
	// such site.
	Configured bool `json:"configured"`
	// Set lists the members that the API has set.
	Set      []string         `json:"set"`
	Revision pushsvc.Revision `json:"revision"`
	Updated  time.Time        `json:"updated,omitzero"`
}

// PromptList is the prompts of all sites.
type PromptList struct {
	Prompts []PromptSummary `json:"prompts"`
}
