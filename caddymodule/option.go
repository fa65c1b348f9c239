package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// optionError is a fault in one option: its name in the Caddyfile, and what a right value is.
type optionError struct{ option, problem string }

func (e *optionError) Error() string { return e.option + ": " + e.problem }

// option parses one option's arguments; the dispenser is at its name.
type option func(d *caddyfile.Dispenser) error

// parseBlock parses the options of a block. Each may occur once, except those in repeated; an
// unknown one is refused with the nearest known name.
func parseBlock(d *caddyfile.Dispenser, options map[string]option, repeated ...string) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		parse, known := options[name]
		if !known {
			return unknownOption(d, options)
		}
		if seen[name] && !slices.Contains(repeated, name) {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := checkFilled(d); err != nil {
			return err
		}
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

// checkFilled refuses an option with an empty value, which "{$NAME}" is if the variable is not set:
// if it were ignored, the option's default might open what the option closes.
func checkFilled(d *caddyfile.Dispenser) error {
	line := *d
	for line.NextArg() {
		if line.Val() == "" {
			return line.Errf("%s is given and empty: set the variable that it is read from, or leave it out", d.Val())
		}
	}
	return nil
}

// unknownOption returns an error that names the nearest option.
func unknownOption(d *caddyfile.Dispenser, options map[string]option) error {
	names := make([]string, 0, len(options))
	for name := range options {
		names = append(names, name)
	}
	slices.Sort(names)
	switch near := pushsvc.Nearest(d.Val(), names); {
	case elsewhere(d.Val()) != "":
		return d.Errf("%s", elsewhere(d.Val()))
	case near != "":
		return d.Errf("unknown option %q%s", d.Val(), pushsvc.DidYouMean("; ", near))
	case len(names) > 0:
		return d.Errf("unknown option %q; known are: %s", d.Val(), strings.Join(names, ", "))
	default:
		return d.Errf("unknown option %q; none is known here", d.Val())
	}
}

// text is an option with one argument; example is a valid one.
func text(field *string, example string) option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.Args(field) || d.NextArg() {
			return d.Errf("%s takes one value; write it like: %s %s", name, name, example)
		}
		return nil
	}
}

// flag is an option without arguments.
func flag(field *bool) option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if d.NextArg() {
			return d.Errf("%s takes no value; it is switched on by its name alone", name)
		}
		*field = true
		return nil
	}
}

// list is an option with one or more arguments; example is a valid one.
func list(field *[]string, example string) option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if *field = d.RemainingArgs(); len(*field) == 0 {
			return d.Errf("%s takes one value or more; write it like: %s %s", name, name, example)
		}
		return nil
	}
}

// durations is an option with one or more durations.
func durations(field *AskAgain, example string) option {
	return func(d *caddyfile.Dispenser) error {
		var words []string
		if err := list(&words, example)(d); err != nil {
			return err
		}
		for _, s := range words {
			v, err := caddy.ParseDuration(s)
			if err != nil {
				return d.Errf(`%q is not a duration; write it like "30s", "12h" or "7d"`, s)
			}
			if v == 0 {
				return d.Errf("%q is not a duration; leave the option out for its default", s)
			}
			*field = append(*field, caddy.Duration(v))
		}
		return nil
	}
}

// color is an option with one colour. In a Caddyfile, "#" begins a comment unless it is quoted, so
// the colour may be without it.
func color(field *string) option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if !d.Args(field) || d.NextArg() {
			return d.Errf(`%s takes one colour; write it like 0b6bcb or "#0b6bcb", because a bare # begins a comment`, name)
		}
		if !strings.HasPrefix(*field, "#") {
			*field = "#" + *field
		}
		return nil
	}
}

// checked adds a check of the value while file and line are known.
func checked(parse option, check func() error) option {
	return func(d *caddyfile.Dispenser) error {
		if err := parse(d); err != nil {
			return err
		}
		var bad *optionError
		switch err := check(); {
		case errors.As(err, &bad):
			return d.Err(bad.Error())
		case err != nil:
			return d.WrapErr(err)
		}
		return nil
	}
}

// keep is an option for how long something is kept.
func keep(field *caddy.Duration, check func() error) option {
	return func(d *caddyfile.Dispenser) error {
		var s string
		if err := text(&s, "90d")(d); err != nil {
			return err
		}
		if s == "forever" {
			*field = -1
			return nil
		}
		v, err := caddy.ParseDuration(s)
		if err != nil {
			return d.Errf(`%q is not a duration; write it like "90d", or "forever"`, s)
		}
		*field = caddy.Duration(v)
		if err := check(); err != nil {
			return d.Err(err.Error())
		}
		if v == 0 {
			*field = 1 // not the default; the check returns the error
			return d.Err(check().Error())
		}
		return nil
	}
}

// leastStoreSize covers the store's own needs.
const leastStoreSize = 1_000_000

// size is an option for how many bytes something may take.
func size(field *int64) option {
	return func(d *caddyfile.Dispenser) error {
		var s string
		name := d.Val()
		if err := text(&s, "2GB")(d); err != nil {
			return err
		}
		if s == "off" {
			*field = -1
			return nil
		}
		n, err := humanize.ParseBytes(s)
		if err != nil || n < leastStoreSize || n > math.MaxInt64 {
			return d.Errf(`%s: %q is no size of a store of 1MB or more; write it like "500MB", "2GB", or "off"`, name, s)
		}
		*field = int64(n)
		return nil
	}
}

// perMinute is an option for how many of something a client may post.
func perMinute(field *int, what string) option {
	return func(d *caddyfile.Dispenser) error {
		var s string
		if err := text(&s, "300")(d); err != nil {
			return err
		}
		if s == "off" {
			*field = -1
			return nil
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return d.Errf(`%q is not a number of %s per client and minute; write it like "300", or "off"`, s, what)
		}
		*field = n
		return nil
	}
}

// guest is an option that names a module of the namespace and passes the rest to it.
func guest(namespace string, raw *json.RawMessage) option {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.Errf("name a module; %s", knownModules(namespace))
		}
		name := d.Val()
		if known := moduleNames(namespace); !slices.Contains(known, name) {
			hint := cmp.Or(pushsvc.DidYouMean("; ", pushsvc.Nearest(name, known)), "; "+knownModules(namespace))
			return d.Errf("%s: there is no module %q%s", namespace, name, hint)
		}
		mod, err := caddyfile.UnmarshalModule(d, namespace+"."+name)
		if err != nil {
			return err
		}
		*raw = caddyconfig.JSONModuleObject(mod, "module", name, nil)
		return nil
	}
}

func knownModules(namespace string) string {
	known := moduleNames(namespace)
	if len(known) == 0 {
		return "none is built in; it comes with a plug-in"
	}
	return "known are: " + strings.Join(known, ", ")
}

func moduleNames(namespace string) []string {
	var names []string
	for _, m := range caddy.GetModules(namespace) {
		names = append(names, m.ID.Name())
	}
	return names
}
