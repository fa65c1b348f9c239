package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/prompt"
)

// promptSetting is the name of the stored prompt settings.
const promptSetting = "prompt"

// PromptOverride is operators' settings of one site's prompt. The zero value
// means none.
type PromptOverride struct {
	Settings prompt.Settings
	Revision pushsvc.Revision
	Updated  time.Time
}

// Prompt returns the stored settings of the site's prompt. It never waits for the
// store.
func (l *Live) Prompt(site string) PromptOverride {
	l.follow()
	return l.now.Load().prompts[site]
}

// readPrompts reads those of all sites. An invalid document counts as no
// settings, and is reported to fault.
func (l *Live) readPrompts(ctx context.Context, next *snapshot) error {
	rows, err := l.store.Settings(ctx, promptSetting)
	if err != nil {
		return fmt.Errorf("reading prompts' settings: %w", err)
	}
	next.prompts = make(map[string]PromptOverride, len(rows))
	for _, row := range rows {
		next.prompts[row.Site] = l.parsePrompt(row)
	}
	return nil
}

func (l *Live) parsePrompt(row pushsvc.Setting) PromptOverride {
	o := PromptOverride{Revision: row.Revision, Updated: row.Updated}
	// Documents of older programs have "text_color" for "textColor".
	err := jsonv2.Unmarshal(row.Document, &o.Settings, jsonv2.MatchCaseInsensitiveNames(true))
	if err == nil {
		err = o.Settings.Validate()
	}
	if err != nil {
		o.Settings = prompt.Settings{}
		l.fault(fmt.Errorf("what is set of the prompt of %s is not used; set it again: %w", row.Site, err))
	}
	return o
}

// readPrompt reads one site's from the store.
func (l *Live) readPrompt(ctx context.Context, site string) (o PromptOverride, err error) {
	err = l.changed(ctx, func(ctx context.Context, next *snapshot) error {
		row, err := l.store.Setting(ctx, site, promptSetting)
		if err != nil && !errors.Is(err, pushsvc.ErrNotFound) {
			return fmt.Errorf("reading the prompt's settings: %w", err)
		}
		prompts := maps.Clone(next.prompts)
		if err != nil {
			delete(prompts, site)
		} else {
			if prompts == nil {
				prompts = map[string]PromptOverride{}
			}
			o = l.parsePrompt(row)
			prompts[site] = o
		}
		next.prompts = prompts
		return nil
	})
	return o, err
}

// putPrompt stores valid settings.
func (l *Live) putPrompt(ctx context.Context, site string, s prompt.Settings, expect pushsvc.Revision) (PromptOverride, error) {
	document, err := json.Marshal(s)
	if err != nil {
		return PromptOverride{}, fmt.Errorf("encoding the prompt's settings: %w", err)
	}
	if len(document) > pushsvc.MaxSettingDocument {
		return PromptOverride{}, &pushsvc.FieldError{Field: "prompt", Problem: fmt.Sprintf("takes more than %d bytes", pushsvc.MaxSettingDocument)}
	}
	row, err := l.store.PutSetting(ctx, pushsvc.Setting{Site: site, Name: promptSetting, Document: document, Updated: l.clock()}, expect)
	if err != nil {
		return PromptOverride{}, fmt.Errorf("storing the prompt's settings: %w", err)
	}
	if _, err := l.readPrompt(ctx, site); err != nil {
		l.fault(err) // it is stored, and is read again soon
	}
	return l.parsePrompt(row), nil
}

func (l *Live) removePrompt(ctx context.Context, site string, expect pushsvc.Revision) error {
	if err := l.store.DeleteSetting(ctx, site, promptSetting, expect); err != nil {
		return fmt.Errorf("removing the prompt's settings: %w", err)
	}
	if _, err := l.readPrompt(ctx, site); err != nil {
		l.fault(err)
	}
	return nil
}
