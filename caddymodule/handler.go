package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/providers"
	"github.com/caddy-webpush/caddy-webpush/injector"
	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/web"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler adds web push to the sites that it serves. Put it before the handler that answers with
// pages: it adds the manifest link and the SDK to their heads, answers with the SDK, the service
// worker and the manifest, and accepts subscriptions. All settings are optional.
type Handler struct {
	// The site's name in the store and in commands. Default: the request's
	// host, so that each host is a site of its own.
	Site string `json:"site,omitempty"`

	// The name of the site in the manifest and in notifications without a title. Default: the
	// site's name.
	Name string `json:"name,omitempty"`

	// The icon of the prompt, of notifications without one and of the manifest: a path on the site
	// or an https URL of a square picture, preferably 192 pixels wide.
	Icon string `json:"icon,omitempty"`

	// The path of the SDK and of the endpoints it posts to. Default: /_webpush.
	Prefix string `json:"prefix,omitempty"`

	// The path of the service worker. If the site has a worker there, ours is appended to it.
	// Default: /sw.js.
	Worker string `json:"worker,omitempty"`

	// The path of the web app manifest. If the site has one there, it is completed. Default:
	// /manifest.json.
	Manifest string `json:"manifest,omitempty"`

	// What to do if a page's Content-Security-Policy blocks a part of webpush: "keep" leaves the
	// policy and the page unchanged, "extend" adds exactly the missing sources. Default: keep.
	CSP string `json:"csp,omitempty"`

	// If true, pages in frames get the script as well.
	Frames bool `json:"frames,omitempty"`

	// If true, pages are changed even if their Cache-Control says no-transform.
	IgnoreNoTransform bool `json:"ignore_no_transform,omitempty"`

	// If true, push is given up: browsers that visit are unsubscribed and lose our worker, their
	// subscriptions are removed, no visitor is asked, and the site's own worker and manifest are as
	// they were before. Leave it in for some weeks, then remove webpush.
	Retire bool `json:"retire,omitempty"`

	// The provider whose page API the script offers too, so that pages need not be changed:
	// "clevertap" or "onesignal". Ours replaces that provider's worker, as with migrate_from.
	// Default: none.
	Compat string `json:"compat,omitempty"`

	// The push providers that the site moves away from: names, or paths of service workers.
	// Browsers with one of these workers get ours instead, and the provider's subscriber becomes
	// ours with the next visit, without being asked again.
	MigrateFrom []string `json:"migrate_from,omitempty"`

	// If true, another provider's worker and subscriptions stay unchanged, and ours runs beside
	// them in a registration of its own.
	DualRun bool `json:"dual_run,omitempty"`

	// The prompt that visitors see before the browser's own question.
	Prompt *Prompt `json:"prompt,omitempty"`

	// The secret with which the identities in logins by pages are signed: HMAC-SHA256 of kind,
	// colon and identity, in hexadecimal. With it, unsigned logins are claims only. May be a
	// placeholder such as {env.IDENTITY_SECRET}. Default: none.
	IdentitySecret string `json:"identity_secret,omitempty"`

	// If true, a browser with an unsigned login gets in pop-ups all that is known of the person
	// that it claims to be: any visitor can claim that. By default it gets only what it has
	// reported itself.
	ShareUnsigned bool `json:"share_unsigned,omitempty"`

	// Who the visitor is, as the proxy knows: a placeholder such as {http.auth.user.id}, or
	// {http.response.header.X-User} for a header of the site's answer. Default: none.
	Identify string `json:"identify,omitempty"`

	// Events that are counted without code in pages.
	Events []*Event `json:"events,omitempty"`

	identitySecret pushsvc.Secret
	// named reads a matcher's name in a Caddyfile; nil elsewhere.
	named func() (caddy.ModuleMap, bool, error)

	app      *App
	logger   *zap.Logger
	injector func() *injector.Injector
	// strips returns the prefixes that are removed from paths before us.
	strips func() []string
	config httpapi.SiteConfig
	// paths are the paths that we answer.
	paths paths
	// outcomes has the reasons as values of the placeholder: to make one costs an allocation.
	outcomes map[injector.Reason]any
	// warned has the uses and directives that warnBlocked has logged, which are few.
	warned sync.Map
}

// defaultPrefix is the path of the endpoints unless the site sets another.
const defaultPrefix = httpapi.DefaultPrefix

// The values of the option csp.
const (
	cspKeep   = "keep"
	cspExtend = "extend"
)

// The values of the option compat.
const (
	compatCleverTap = "clevertap"
	compatOneSignal = httpapi.CompatOneSignal
)

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.webpush",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision sets defaults and finds the app.
func (h *Handler) Provision(ctx caddy.Context) error {
	app, err := ctx.App("webpush")
	if err != nil {
		return fmt.Errorf("getting the webpush app: %w", err)
	}
	h.app = app.(*App)
	h.logger = ctx.Logger()
	setDefault(&h.Prefix, defaultPrefix)
	if h.DualRun {
		// Not the site's own worker with ours appended: that has a path already.
		setDefault(&h.Worker, h.Prefix+"/sw.js")
	}
	setDefault(&h.Worker, "/sw.js")
	setDefault(&h.Manifest, "/manifest.json")
	if err := h.expand(); err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return err
	}
	if err := h.provisionPeople(ctx); err != nil {
		return err
	}
	if h.Site != "" {
		h.Site, _ = pushsvc.SiteName(pushsvc.GivenSite(h.Site))
	}
	if err := h.provisionInjector(); err != nil {
		return err
	}
	h.config = h.siteConfig()
	h.paths = paths{prefix: h.Prefix, worker: h.Worker, manifest: h.Manifest, providers: h.config.ProviderWorkers, retire: h.Retire}
	h.strips = sync.OnceValue(h.findStrips)
	h.outcomes = newOutcomes()
	return nil
}

// provisionInjector makes the injectors for a site with a login and for one without.
func (h *Handler) provisionInjector() error {
	snippet := injector.Snippet{Manifest: h.Manifest, Script: h.Prefix + "/sdk.js"}
	if h.Retire {
		snippet.Manifest = "" // pages keep only the links of their own
	}
	options := injector.Options{
		Snippet:           snippet,
		IgnoreNoTransform: h.IgnoreNoTransform,
		Frames:            h.Frames,
		Decode:            true,
		Modules:           true,
		Blocking:          h.Compat != "", // the provider's embed snippet must find ours loaded
		Uses:              injector.Addresses{Worker: h.Worker, Connect: h.Prefix + "/", TrustedTypes: "webpush"},
		CSPExtend:         h.CSP == cspExtend,
	}
	if scripts := providers.Scripts[h.Compat]; scripts != "" && !h.Retire {
		options.Displaces = regexp.MustCompile(scripts)
	}
	plain, err := injector.New(options)
	if err != nil {
		return fmt.Errorf("preparing the injector: %w", err)
	}
	options.Credentials = true
	withLogin, err := injector.New(options)
	if err != nil {
		return fmt.Errorf("preparing the injector: %w", err)
	}
	// The routes decide which one is used, once all of them are known.
	h.injector = sync.OnceValue(func() *injector.Injector {
		if h.findLogin() {
			return withLogin
		}
		return plain
	})
	return nil
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

func (h *Handler) siteConfig() httpapi.SiteConfig {
	c := httpapi.SiteConfig{
		Version: web.Version(), Name: h.Name, Icon: h.Icon,
		Prefix: h.Prefix, Worker: h.Worker, Manifest: h.Manifest, Scope: "/", Retire: h.Retire,
		Compat: h.Compat, ProviderScripts: providers.Scripts[h.Compat], DualRun: h.DualRun, Prompt: h.Prompt.config(),
	}
	if h.DualRun {
		c.Scope = h.Prefix + "/"
	} else {
		c.Migrate, c.ProviderWorkers = h.MigrateFrom, providers.Workers(append(slices.Clone(h.MigrateFrom), h.Compat))
	}
	return c
}

// check returns an error that names the wrong option.
func (h *Handler) check() error {
	if h.Site != "" {
		if _, err := pushsvc.SiteName(pushsvc.GivenSite(h.Site)); err != nil {
			return &optionError{"site", fmt.Sprintf("%q: %v; write a host name such as shop.example.com", h.Site, err)}
		}
	}
	for _, p := range []struct{ option, value, suggestion string }{
		{"prefix", h.Prefix, "/_webpush"}, {"worker", h.Worker, "/sw.js"}, {"manifest", h.Manifest, "/manifest.json"},
	} {
		if err := checkPath(p.option, p.value, p.suggestion); err != nil {
			return err
		}
	}
	switch h.CSP {
	case "", cspKeep, cspExtend:
	default:
		return &optionError{"csp", fmt.Sprintf("%q is neither keep nor extend", h.CSP)}
	}
	switch h.Compat {
	case "", compatCleverTap, compatOneSignal:
	default:
		return &optionError{"compat", fmt.Sprintf("%q is not known here; write compat clevertap or compat onesignal", h.Compat)}
	}
	if err := checkProviders(h.MigrateFrom); err != nil {
		return err
	}
	if h.Worker != "" && h.Worker == h.Manifest {
		return &optionError{"manifest", "is the same path as the worker's"}
	}
	if err := checkIcon(h.Icon); err != nil {
		return err
	}
	if err := h.checkPeople(); err != nil {
		return err
	}
	return h.Prompt.check()
}

var pathPattern = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

// checkPath accepts paths that mean the same to every browser and proxy: no escapes, no "." or ".."
// segments, no query.
func checkPath(option, value, suggestion string) error {
	if value != "" && (!pathPattern.MatchString(value) || path.Clean(value) != value) {
		return &optionError{option, fmt.Sprintf("%q is not a plain path; write it like %q", value, suggestion)}
	}
	return nil
}

func checkIcon(icon string) error {
	c := pushsvc.Content{Title: "-", Icon: icon}
	var fe *pushsvc.FieldError
	if errors.As(c.Validate(), &fe) {
		return &optionError{"icon", fmt.Sprintf("%q %s", icon, fe.Problem)}
	}
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler. On any doubt, a request goes to next unchanged.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if isError(r) {
		return h.servePage(w, r, next) // requests for our paths are answered or refused
	}
	// If several get a request, the first one serves it: two would be mixed.
	if caddyhttp.GetVar(r.Context(), servedVar) != nil {
		return next.ServeHTTP(w, r)
	}
	caddyhttp.SetVar(r.Context(), servedVar, h)
	req := h.decide(r)
	switch {
	case req.kind.belowPrefix():
		return h.serveBelow(w, r, req)
	case h.watches():
		return h.serveWatched(w, r, next, req)
	default:
		defer withoutCookies(r, httpapi.SecureCookieName)()
		return h.serveSite(w, r, next, req)
	}
}

// servedVar is the variable of a request that a webpush handler serves.
const servedVar = "webpush"

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
