package caddymodule

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-webpush/caddy-webpush/injector"
	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/web"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler gives the sites behind it web push. Put it in front of what answers
// with pages: it adds the manifest link and the SDK to their heads, answers
// the SDK, the service worker and the manifest, and takes subscriptions. All
// settings are optional.
type Handler struct {
	// The site's name in the store and in commands. Default: the request's
	// host, so that each host is a site of its own.
	Site string `json:"site,omitempty"`

	// What notifications without a title of their own and the manifest call
	// the site. Default: the site's name.
	Name string `json:"name,omitempty"`

	// The icon of the prompt, of notifications that bring none and of the
	// manifest: a path on the site or an https URL of a square picture,
	// best 192 pixels wide.
	Icon string `json:"icon,omitempty"`

	// The path under which the SDK and the endpoints it posts to are.
	// Default: /_webpush.
	Prefix string `json:"prefix,omitempty"`

	// The path of the service worker. Where the site has a worker there, ours
	// is put behind it. Default: /sw.js.
	Worker string `json:"worker,omitempty"`

	// The path of the web app manifest. Where the site has one there, it is
	// completed. Default: /manifest.json.
	Manifest string `json:"manifest,omitempty"`

	// What to do where a page's Content-Security-Policy keeps our parts from
	// working: "keep" leaves the policy and the page as they are, "extend" adds
	// the exact sources that are missing. Default: keep.
	CSP string `json:"csp,omitempty"`

	// If true, pages in frames get the script as well.
	Frames bool `json:"frames,omitempty"`

	// If true, pages are changed although their Cache-Control says
	// no-transform.
	IgnoreNoTransform bool `json:"ignore_no_transform,omitempty"`

	// If true, push is given up: browsers that come by are unsubscribed and lose
	// our worker, their subscriptions are removed, nobody is asked, and the
	// site's own worker and manifest are what they were before. Leave it in for
	// some weeks, then take webpush out.
	Retire bool `json:"retire,omitempty"`

	// The provider whose page API the script speaks as well, so that pages need
	// not be changed: "clevertap" or "onesignal". Its worker's place is taken as by
	// migrate_from.
	// Default: none.
	Compat string `json:"compat,omitempty"`

	// The push providers that the site moves away from: names, or paths of
	// service workers. Browsers that have a worker of theirs get ours in its
	// place, and its subscriber is ours after the next visit, without a question.
	MigrateFrom []string `json:"migrate_from,omitempty"`

	// If true, another provider's worker and subscriptions stay as they are, and
	// ours stands beside them in a registration of its own.
	DualRun bool `json:"dual_run,omitempty"`

	// The question that visitors are asked before the browser's own.
	Prompt *Prompt `json:"prompt,omitempty"`

	// What signs the identities that pages log visitors in with: HMAC-SHA256 with
	// this secret of kind, colon and identity, in hexadecimal. With it, logins
	// that are not signed are not believed. May be a placeholder such as
	// {env.IDENTITY_SECRET}. Default: none.
	IdentitySecret string `json:"identity_secret,omitempty"`

	// If true, pop-ups show a browser whose login is not signed all that is known of
	// the person that it claims to be: anybody can claim that. By default it gets what
	// it has told itself.
	ShareUnsigned bool `json:"share_unsigned,omitempty"`

	// Who the visitor is, by the proxy's own knowledge: a placeholder such as
	// {http.auth.user.id}, or {http.response.header.X-User} for a header of the
	// site's answer. Default: none.
	Identify string `json:"identify,omitempty"`

	// Events that are counted without code in pages.
	Events []*Event `json:"events,omitempty"`

	identitySecret pushsvc.Secret
	// named reads a matcher's name in a Caddyfile; nil elsewhere.
	named func() (caddy.ModuleMap, bool, error)

	app      *App
	logger   *zap.Logger
	injector func() *injector.Injector
	// strips has what is stripped off paths on the way.
	strips func() []string
	config httpapi.SiteConfig
	// vendors has the paths that are answered with our worker alone.
	vendors []string
	// outcomes has the reasons as the placeholder's values: to make one costs an
	// allocation.
	outcomes map[injector.Reason]any
	// warned holds what warnBlocked has said: uses and directives, which are few.
	warned sync.Map
}

// defaultPrefix is where the endpoints are unless the site says otherwise.
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
		// Not the site's own worker with ours behind it: the site has that already.
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
	h.vendors = h.config.VendorWorkers
	h.strips = sync.OnceValue(h.findStrips)
	h.outcomes = newOutcomes()
	return nil
}

// provisionInjector makes the injectors for a site without a login and for one with.
func (h *Handler) provisionInjector() error {
	snippet := injector.Snippet{Manifest: h.Manifest, Script: h.Prefix + "/sdk.js"}
	if h.Retire {
		snippet.Manifest = "" // the pages are to have the links of their own only
	}
	options := injector.Options{
		Snippet:           snippet,
		IgnoreNoTransform: h.IgnoreNoTransform,
		Frames:            h.Frames,
		Decode:            true,
		Modules:           true,
		Blocking:          h.Compat != "", // the provider's embed snippet must find us there
		Uses:              injector.Addresses{Worker: h.Worker, Connect: h.Prefix + "/", TrustedTypes: "webpush"},
		CSPExtend:         h.CSP == cspExtend,
	}
	if scripts := vendorScripts[h.Compat]; scripts != "" && !h.Retire {
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
	// Which it is, the routes say, once all are there.
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
		Compat: h.Compat, VendorScripts: vendorScripts[h.Compat], DualRun: h.DualRun, Prompt: h.Prompt.config(),
	}
	if h.DualRun {
		c.Scope = h.Prefix + "/"
	} else {
		c.Migrate, c.VendorWorkers = h.MigrateFrom, vendorWorkers(append(slices.Clone(h.MigrateFrom), h.Compat))
	}
	return c
}

// optionError is a fault in one option: its name as the Caddyfile has it, and
// what would be right.
type optionError struct{ option, problem string }

func (e *optionError) Error() string { return e.option + ": " + e.problem }

// check says which option is wrong.
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
	if err := checkVendors(h.MigrateFrom); err != nil {
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

// checkPath takes paths that mean the same to every browser and proxy: no
// escapes, no dots alone, no query.
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

// ServeHTTP implements caddyhttp.MiddlewareHandler. Whatever is in doubt goes
// to next untouched.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if isError(r) {
		return h.servePage(w, r, next) // what is ours has been answered, or is refused
	}
	// Of several on the way the first one serves: two would be mixed.
	if caddyhttp.GetVar(r.Context(), servedVar) != nil {
		return next.ServeHTTP(w, r)
	}
	caddyhttp.SetVar(r.Context(), servedVar, h)
	path := h.path(r)
	own := path == h.Worker || path == h.Manifest
	if action, ours := strings.CutPrefix(path, h.Prefix+"/"); ours && !own {
		return h.serveOwn(w, r, action)
	}
	if h.watches() {
		return h.serveWatched(w, r, next, own)
	}
	defer withoutCookies(r, httpapi.SecureCookieName)()
	return h.serveSite(w, r, next, own)
}

// servedVar is the variable of a request that one of us serves.
const servedVar = "webpush"

// serveSite answers with what the site has, and what is ours in it; own says
// that the path is our worker's or manifest's.
func (h *Handler) serveSite(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, own bool) error {
	if !own && r.Header.Get("Service-Worker") != "" {
		httpapi.VaryWorker(w.Header()) // whatever comes of it
	}
	if own || isManifestRequest(r) || isVendorWorker(h.vendors, h.path(r)) || r.Header.Get("Service-Worker") != "" {
		if overlay := h.overlay(r); overlay != nil {
			mine := &ownAnswer{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
			site := next
			if !own {
				// What isn't a worker or a manifest after all is answered as without
				// the header that asked for one.
				site = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					return h.servePage(w, r, next)
				})
			}
			return overlay(mine, r, answering(site))
		}
	}
	return h.servePage(w, r, next)
}

// path is what the browser asked for, where that is ours: Caddy runs try_files
// and other rewrites before us, and they have a page for every path. Else it is
// what the request has become, so that we also work behind handle_path.
func (h *Handler) path(r *http.Request) string {
	if orig := originalURL(r); orig != nil && h.owns(orig.Path) {
		return orig.Path
	}
	return r.URL.Path
}

// owns reports whether we answer at the path.
func (h *Handler) owns(p string) bool {
	return p == h.Worker || p == h.Manifest || strings.HasPrefix(p, h.Prefix+"/") || isVendorWorker(h.vendors, p)
}

// originalURL is the URL as the browser asked for it; nil where Caddy does not
// tell.
func originalURL(r *http.Request) *url.URL {
	if orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return orig.URL
	}
	return nil
}

// asVisited calls f while r has the address that the visitor sees, whatever
// try_files and other rewrites have made of it. What handle_path has stripped off
// stays off; a query that a rewrite has added stays. The URL is changed in place,
// because placeholders read it there.
func (h *Handler) asVisited(r *http.Request, f func()) {
	orig := originalURL(r)
	if orig == nil || strings.HasSuffix(orig.Path, r.URL.Path) {
		f()
		return
	}
	rewritten := *r.URL
	defer func() { *r.URL = rewritten }()
	*r.URL = *orig
	for _, prefix := range h.strips() {
		if rest, had := strings.CutPrefix(r.URL.Path, prefix); had {
			r.URL.Path, r.URL.RawPath = "/"+strings.TrimPrefix(rest, "/"), ""
		}
	}
	if orig.RawQuery == "" {
		r.URL.RawQuery = rewritten.RawQuery
	}
	f()
}

// placeholder is where other handlers and logs find what became of a page.
const placeholder = "http.webpush.inject"

// reasonNotReady is the handler's own, beside the injector's.
const reasonNotReady injector.Reason = "not-ready"

func newOutcomes() map[injector.Reason]any {
	outcomes := make(map[injector.Reason]any)
	for _, why := range append(injector.Reasons(), reasonNotReady) {
		outcomes[why] = string(why)
	}
	return outcomes
}

func (h *Handler) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, why injector.Reason) error {
	h.account(r, why)
	return next.ServeHTTP(w, r)
}

// account tells the operator what became of a page: counter, placeholder, and a
// line in the debug log for those that were left as they are.
func (h *Handler) account(r *http.Request, why injector.Reason) {
	h.app.metrics.page(why)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set(placeholder, h.outcomes[why])
	}
	if why == injector.ReasonInjected {
		return
	}
	if c := h.logger.Check(zapcore.DebugLevel, "page left as it is"); c != nil {
		c.Write(zap.String("reason", string(why)), zap.String("host", r.Host), zap.String("path", r.URL.Path))
	}
}

func (h *Handler) servePage(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	in := h.injector()
	if why := in.Classify(r); why != "" {
		return h.pass(in.Bystander(w, r), r, next, why)
	}
	if run, _ := h.app.current(); run == nil || !run.hasKey() {
		return h.pass(w, r, next, reasonNotReady)
	}
	iw := in.NewWriter(w, r)
	l := lateOf(w)
	if l != nil {
		iw.SetLater(l)
	}
	iw.PrepareRequest()
	// A response that is aborted, which is a panic, counts as well. Nothing else
	// may be done here: what was cut off must not be added to.
	defer func() {
		iw.RestoreRequest()
		if why := iw.Reason(); why != "" {
			h.account(r, why)
		}
	}()
	err := next.ServeHTTP(iw, r)
	if err != nil && !iw.Begun() {
		err = h.serveError(iw, l, r, err)
	}
	if err != nil {
		return err
	}
	err = iw.Finish()
	h.warnBlocked(r, iw.Blocked())
	return err
}

// warnBlocked says once which directive of a page's policy keeps what of ours
// from working: it is the same on every page.
func (h *Handler) warnBlocked(r *http.Request, findings []injector.Finding) {
	for _, f := range findings {
		if _, told := h.warned.LoadOrStore(string(f.Use)+" "+f.Directive, true); told {
			continue
		}
		h.logger.Warn("a page's Content-Security-Policy blocks a part of webpush; run 'caddy webpush doctor' on the page",
			zap.String("use", string(f.Use)), zap.String("directive", f.Directive), zap.String("cure", f.Cure),
			zap.String("host", r.Host), zap.String("path", r.URL.Path))
	}
}

// siteName is the site that the request is for. A port counts only where it is
// the one that the request came in by: the rest of the Host header has been
// looked at by whoever routed the request here, its port has not.
func (h *Handler) siteName(r *http.Request) (string, error) {
	name, err := h.givenName(r)
	if run, _ := h.app.current(); err == nil && run != nil {
		name = run.service.CurrentSite(name) // a former name may be all that a browser knows
	}
	return name, err
}

func (h *Handler) givenName(r *http.Request) (string, error) {
	if h.Site != "" {
		return h.Site, nil
	}
	name, err := pushsvc.SiteName(r.Host)
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(name)
	if err != nil {
		return name, nil // no port
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if _, own, err := net.SplitHostPort(local.String()); err == nil && own == port {
			return name, nil
		}
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host, nil
}

// ready gives the settings to serve with, and false where there is no store,
// no key or no site.
func (h *Handler) ready(r *http.Request) (httpapi.SiteConfig, bool) {
	run, _ := h.app.current()
	if run == nil {
		return httpapi.SiteConfig{}, false
	}
	site, err := h.siteName(r)
	if err != nil {
		return httpapi.SiteConfig{}, false
	}
	config := h.config
	config.Site = site
	config.Key, config.OldKeys = run.publicKeys()
	setDefault(&config.Name, site)
	return config, config.Key != ""
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
