package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Topic is a subject that a visitor can choose.
type Topic struct {
	// The id that messages use: letters, digits, - and _, at most 64.
	ID string `json:"id"`
	// The text of its check box.
	Label string `json:"label"`
	// If true, the box is checked at first, and a visitor who is subscribed
	// without a prompt, because the browser's permission exists, has this topic.
	Checked bool `json:"checked,omitempty"`
}

// parseTopics parses the block of topics, one per line.
func (p *Prompt) parseTopics(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Err("topics takes a block, one topic a line: topics { ... }")
	}
	add := func(d *caddyfile.Dispenser) error {
		t := Topic{ID: d.Val()}
		args := d.RemainingArgs()
		switch {
		case len(args) == 2 && args[1] == "checked":
			t.Checked = true
		case len(args) > 1:
			return d.Errf(`topics: after the label only "checked" may follow; write it like: %s "News" checked`, t.ID)
		}
		if len(args) > 0 {
			t.Label = args[0]
		}
		p.Topics = append(p.Topics, t)
		return nil
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := checked(add, p.check)(d); err != nil {
			return err
		}
	}
	if len(p.Topics) == 0 {
		return d.Err(`topics has none; write one a line, like: news "News" checked`)
	}
	return nil
}
