package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// parseEvent parses
//
//	event <name> [<matcher>] {
//		<matcher> ...
//		prop <key> <value>
//	}
func (h *Handler) parseEvent(d *caddyfile.Dispenser) error {
	e := new(Event)
	if !d.Args(&e.Name) {
		return d.Err(`event takes a name; write it like: event "Charged" { path /thank-you* }`)
	}
	set := caddy.ModuleMap{}
	everything := false
	if d.NextArg() {
		given := d.Val()
		d.Prev()
		if h.named == nil {
			return d.Errf("event: %q: matchers by name are known in a site's block only", given)
		}
		named, ok, err := h.named()
		switch {
		case err != nil:
			return d.WrapErr(err)
		case !ok:
			return d.Errf("event: %q is not a matcher; after the name write a path, @<name> or a block", given)
		}
		for name, raw := range named {
			set[name] = raw
		}
		everything = len(named) == 0
	}
	if d.NextArg() {
		return d.Errf("event: %q is one too many; the name and a matcher come before the block", d.Val())
	}
	lines := map[string][]caddyfile.Token{} // of each matcher, as in Caddy's own matcher sets
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "prop" {
			name := d.Val()
			lines[name] = append(lines[name], d.NextSegment()...)
			continue
		}
		var key, value string
		if !d.Args(&key, &value) || d.NextArg() {
			return d.Err("prop takes a key and a value; write it like: prop value {http.response.header.X-Order-Total}")
		}
		if _, twice := e.Props[key]; twice {
			return d.Errf("prop %s is given twice", key)
		}
		if e.Props == nil {
			e.Props = map[string]string{}
		}
		e.Props[key] = value
	}
	for name, tokens := range lines {
		if _, twice := set[name]; twice {
			return d.Errf("event: the matcher %s is given twice", name)
		}
		raw, err := parseMatcher(name, tokens)
		if err != nil {
			return err
		}
		set[name] = raw
	}
	if len(set) == 0 && !everything {
		return d.Errf(`event: %q has no matcher, so that each page would count; write it like: event %q /thank-you*, or for each page: event %q *`, e.Name, e.Name, e.Name)
	}
	if len(set) > 0 {
		e.MatcherSetsRaw = []caddy.ModuleMap{set}
	}
	h.Events = append(h.Events, e)
	return nil
}

// parseMatcher makes a request matcher from its lines.
func parseMatcher(name string, tokens []caddyfile.Token) ([]byte, error) {
	d := caddyfile.NewDispenser(tokens)
	d.Next() // errors name its line
	mod, err := caddy.GetModule("http.matchers." + name)
	if err != nil {
		known := append(moduleNames("http.matchers"), "prop")
		if near := pushsvc.Nearest(name, known); near != "" {
			return nil, d.Errf("event: there is no matcher %q%s", name, pushsvc.DidYouMean("; ", near))
		}
		return nil, d.Errf("event: there is no matcher %q; write prop <key> <value>, or a matcher such as: path /thank-you*", name)
	}
	matcher := mod.New()
	parser, ok := matcher.(caddyfile.Unmarshaler)
	if !ok {
		return nil, d.Errf("event: the matcher %q can't be written in a Caddyfile", name)
	}
	d.Reset()
	if err := parser.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return caddyconfig.JSON(matcher, nil), nil
}
