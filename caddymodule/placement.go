package caddymodule

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// parseDirective parses the directive in a site's block.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	match, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	handler := &Handler{named: h.MatcherToken}
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if err := once(h, match); err != nil {
		return nil, err
	}
	return h.NewRoute(match, handler), nil
}

// given is the place of an earlier directive in the same block.
type given struct {
	block uintptr
	match []byte
	place string
}

// once refuses a second directive with the same matcher in a block: the options
// of the two would be mixed. An inner block, such as that of handle_errors, may
// have its own.
func once(h httpcaddyfile.Helper, match caddy.ModuleMap) error {
	block := blockOf(h)
	if block == 0 {
		return nil
	}
	const key = "webpush"
	this := given{block, h.JSON(match), placeOf(h)}
	seen, _ := h.State[key].([]given)
	for _, other := range seen {
		if other.block == block && bytes.Equal(other.match, this.match) {
			return h.Errf("this site has webpush twice, and first at %s; keep one of the two, or give each a matcher that excludes the other", other.place)
		}
	}
	h.State[key] = append(seen, this)
	return nil
}

// placeOf returns the directive's place, with the snippets that import it.
func placeOf(h httpcaddyfile.Helper) string {
	h.Reset()
	h.Next()
	return strings.TrimPrefix(h.WrapErr(fmt.Errorf("")).Error(), ", at ")
}

// blockOf identifies the directive's block; 0 if unknown. Caddy has no name for a
// block: an inner block has its own table, and all site blocks share one, but
// each has its own list of lines.
func blockOf(h httpcaddyfile.Helper) uintptr {
	if table := reflect.ValueOf(h.BlockState).Pointer(); table != reflect.ValueOf(h.State).Pointer() {
		return table
	}
	lines := reflect.ValueOf(h).FieldByName("parentBlock").FieldByName("Segments")
	if !lines.IsValid() || lines.Kind() != reflect.Slice {
		return 0
	}
	return lines.Pointer()
}

// elsewhere returns where a misplaced option belongs; empty for an unknown
// option.
func elsewhere(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	for _, block := range []struct {
		options map[string]option
		where   string
	}{
		{new(App).options(), "%[1]s is for all sites: write it into the global options, { webpush { %[1]s ... } } at the top of the Caddyfile"},
		{new(Prompt).options(), "%[1]s is an option of the prompt: write prompt { %[1]s ... } in the webpush block of the site"},
		{new(Handler).options(), "%[1]s is an option of a site: write it straight into the webpush block of the site"},
		{map[string]option{"prop": nil}, "%[1]s is an option of an event: write event <name> <matcher> { %[1]s ... } in the webpush block of the site"},
	} {
		if _, known := block.options[name]; known {
			return fmt.Sprintf(block.where, name)
		}
	}
	return ""
}
