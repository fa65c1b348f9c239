package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("webpush", parseGlobalOption)
	httpcaddyfile.RegisterDirective("webpush", parseDirective)
	// Inside encode, which compresses what we have written, and outside
	// everything that answers.
	httpcaddyfile.RegisterDirectiveOrder("webpush", httpcaddyfile.After, "encode")
}

func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the webpush options are given twice; write them in one block")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "webpush", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from the global option. Syntax:
//
//	webpush {
//		storage         bbolt [<path>]
//		contact         mailto:<address> | https://<url>
//		push_services   [default] [<host> | *.<suffix>]...
//		dialer          <module> ...
//		keep_messages   <duration> | forever
//		subscribe_limit <number per minute> | off
//		event_limit     <number per minute> | off
//		retain_events   <duration> | forever
//		max_store_size  <size> | off
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the option's name
	if d.NextArg() {
		return d.Errf("webpush takes no %q; its options go into a block: webpush { ... }", d.Val())
	}
	return parseBlock(d, a.options())
}

func (a *App) options() map[string]option {
	return map[string]option{
		"storage":         guest("webpush.storage", &a.StorageRaw),
		"dialer":          guest("webpush.dialer", &a.DialerRaw),
		"keep_messages":   keep(&a.KeepMessages, a.checkKeep),
		"retain_events":   keep(&a.RetainEvents, a.checkKeep),
		"subscribe_limit": perMinute(&a.SubscribeLimit, "subscriptions"),
		"event_limit":     perMinute(&a.EventLimit, "batches of events"),
		"max_store_size":  size(&a.MaxStoreSize),
		"contact": checked(text(&a.Contact, "mailto:ops@example.com"), func() error {
			if strings.Contains(a.Contact, "{") {
				return nil // a placeholder; Provision sees its value
			}
			return webpush.CheckContact(a.Contact)
		}),
		"push_services": checked(func(d *caddyfile.Dispenser) error {
			a.PushServices = d.RemainingArgs()
			if len(a.PushServices) == 0 {
				return d.Err("push_services takes host names; write it like: push_services default push.example.net")
			}
			return nil
		}, func() error { _, err := parseServices(a.PushServices); return err }),
	}
}

// UnmarshalCaddyfile sets up the handler. Syntax:
//
//	webpush [<matcher>] {
//		site     <name>
//		name     <text>
//		icon     <path or URL>
//		prefix   <path>
//		worker   <path>
//		manifest <path>
//		csp      keep | extend
//		frames
//		no_transform ignore
//		retire
//		compat       clevertap | onesignal
//		migrate_from <provider> | <path of a worker>...
//		dual_run
//		identify        <placeholder>
//		identity_secret <secret>
//		share_unsigned
//		event <name> [<matcher>] {
//			<matcher> ...
//			prop <key> <value>
//		}
//		prompt {
//			kind       dialog | bar | bell
//			title      <text>
//			body       <text>
//			accept     <text>
//			reject     <text>
//			color      <rrggbb>
//			text_color <rrggbb>
//			topics {
//				<id> <label> [checked]
//			}
//			after      <n> pages | <duration> | manual
//			after      scroll <n>% | click <selector> | event <name> | exit
//			paths      <pattern>...
//			not_paths  <pattern>...
//			ask_again  <duration>...
//			consent    <selector>
//		}
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if d.NextArg() {
		return d.Errf("webpush takes no %q; its options go into a block: webpush { ... }", d.Val())
	}
	return parseBlock(d, h.options(), "event")
}

func (h *Handler) options() map[string]option {
	return map[string]option{
		"site":            checked(text(&h.Site, "shop.example.com"), h.check),
		"name":            text(&h.Name, `"Acme News"`),
		"icon":            checked(text(&h.Icon, "/icon-192.png"), h.check),
		"prefix":          checked(text(&h.Prefix, "/_webpush"), h.check),
		"worker":          checked(text(&h.Worker, "/sw.js"), h.check),
		"manifest":        checked(text(&h.Manifest, "/manifest.json"), h.check),
		"csp":             checked(text(&h.CSP, "extend"), h.check),
		"frames":          flag(&h.Frames),
		"retire":          flag(&h.Retire),
		"dual_run":        flag(&h.DualRun),
		"compat":          checked(text(&h.Compat, "clevertap"), h.check),
		"migrate_from":    checked(list(&h.MigrateFrom, "onesignal"), h.check),
		"identify":        checked(text(&h.Identify, "{http.auth.user.id}"), h.check),
		"identity_secret": text(&h.IdentitySecret, "{env.IDENTITY_SECRET}"),
		"share_unsigned":  flag(&h.ShareUnsigned),
		"event":           checked(h.parseEvent, h.check),
		"no_transform": func(d *caddyfile.Dispenser) error {
			var s string
			if err := text(&s, "ignore")(d); err != nil || s == "ignore" {
				h.IgnoreNoTransform = true
				return err
			}
			return d.Errf("no_transform: %q is not a way to treat it; write it like: no_transform ignore", s)
		},
		"prompt": func(d *caddyfile.Dispenser) error {
			h.Prompt = new(Prompt)
			return h.Prompt.unmarshalCaddyfile(d)
		},
	}
}

func (p *Prompt) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Err("prompt takes a block: prompt { ... }")
	}
	return parseBlock(d, p.options(), "after")
}

func (p *Prompt) options() map[string]option {
	return map[string]option{
		"kind":       checked(text(&p.Kind, "bar"), p.check),
		"title":      text(&p.Title, `"Breaking news, first"`),
		"body":       text(&p.Body, `"At most two a day."`),
		"accept":     text(&p.Accept, `"Keep me posted"`),
		"reject":     text(&p.Reject, `"No thanks"`),
		"color":      checked(color(&p.Color), p.check),
		"text_color": checked(color(&p.TextColor), p.check),
		"topics":     p.parseTopics,
		"paths":      checked(list(&p.Paths, "/news/*"), p.check),
		"not_paths":  checked(list(&p.NotPaths, "/checkout*"), p.check),
		"ask_again":  checked(durations(&p.AskAgain, "7d"), p.check),
		"consent":    checked(text(&p.Consent, `"#cookie-banner"`), p.check),
		"after":      checked(p.parseAfter, p.check),
	}
}

// parseAfter parses one line of after.
func (p *Prompt) parseAfter(d *caddyfile.Dispenser) error {
	if p.After == nil {
		p.After = new(After)
	}
	if err := p.After.add(d.RemainingArgs()); err != nil {
		return d.Err(err.Error())
	}
	return nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
