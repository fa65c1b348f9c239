package caddymodule

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/providers"
	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// request is what a request is for, decided once by Handler.decide.
type request struct {
	kind requestKind
	// action is the part of the path below the prefix: a file's name or an action.
	action string
	// site is the site's name, and siteErr the reason if the request names none. Both are empty if
	// the name is not needed.
	site    string
	siteErr error
	// varies: the answer depends on the headers that distinguish requests for a worker's script
	// from others.
	varies bool
	// tells: the page may report something about its visitor.
	tells bool
}

// requestKind is who answers a request, and how.
type requestKind byte

const (
	// kindPage: only the site answers; if the answer is a page, our parts are added.
	kindPage requestKind = iota

	// kindWorker and kindManifest: a path of ours, where the site may have its own.
	kindWorker
	kindManifest
	// kindSiteWorker and kindSiteManifest: another path that a browser fetches as a worker or
	// manifest. The site's answer is completed; if the site has no such file, that stays so.
	kindSiteWorker
	kindSiteManifest
	// kindWorkerAlone, kindManifestAlone and kindManifestRetired: the site is not asked, because it
	// has nothing there, or has another provider's worker that ours replaces.
	kindWorkerAlone
	kindManifestAlone
	kindManifestRetired

	// The rest is below the prefix; none of it reaches the site.
	kindUnknown        // there is no such path
	kindModule         // a module of the SDK
	kindFrame          // a file of a frame
	kindSDK            // the SDK
	kindPrefixWorker   // the importable worker, fetched as a worker
	kindImportedWorker // the same, imported by the site's own worker
	kindUpload         // an operator's picture
	kindAction         // a public action such as subscribe
	kindActionRetired  // an action that the option retire has ended
)

// belowPrefix reports whether the site never gets the request.
func (k requestKind) belowPrefix() bool { return k >= kindUnknown }

// needsSite reports whether the answer depends on the site's name.
func (k requestKind) needsSite() bool {
	switch k {
	case kindPage, kindUnknown, kindModule, kindFrame:
		return false
	}
	return true
}

// paths are the paths that a handler answers.
type paths struct {
	prefix, worker, manifest string
	// providers has other providers' workers that ours replaces (providers.Workers).
	providers []string
	retire    bool
}

// importable is the worker below the prefix: for the site's own worker to import, and for browsers
// that registered it during a dual run.
const importable = "sw.js"

// own reports whether the path is that of our worker or manifest.
func (p *paths) own(path string) bool { return path == p.worker || path == p.manifest }

// has reports whether we answer at the path.
func (p *paths) has(path string) bool {
	return p.own(path) || strings.HasPrefix(path, p.prefix+"/") || providers.IsWorker(p.providers, path)
}

// sample is a request for one of our paths, with a description of the path.
type sample struct{ method, path, name string }

// samples returns a request for each of our paths.
func (p *paths) samples() []sample {
	below := p.prefix + "/*"
	all := []sample{
		{http.MethodGet, p.prefix + "/sdk.js", below},
		{http.MethodPost, p.prefix + "/subscribe", below},
		{http.MethodGet, p.worker, p.worker},
	}
	if !p.retire {
		all = append(all, sample{http.MethodGet, p.manifest, p.manifest})
	}
	for _, provider := range p.providers {
		provider = strings.TrimPrefix(provider, "*") // of all folders, the site's root
		all = append(all, sample{http.MethodGet, provider, provider})
	}
	return all
}

// classify decides what a request is for. It reads only the headers that Fetch Metadata and Service
// Workers ("Update") define.
func (p *paths) classify(method, path string, h http.Header) request {
	action, below := strings.CutPrefix(path, p.prefix+"/")
	if below && !p.own(path) {
		return p.classifyBelow(action, h)
	}
	worker := h.Get("Service-Worker") != ""
	req := request{varies: worker && !p.own(path)}
	if method == http.MethodGet || method == http.MethodHead {
		req.kind = p.classifySite(path, below, worker, h)
	}
	return req
}

// classifySite decides about paths that the site may have too; worker: the request has the header
// Service-Worker.
func (p *paths) classifySite(path string, below, worker bool, h http.Header) requestKind {
	switch {
	case path == p.worker && below:
		return kindWorkerAlone
	case path == p.worker:
		return kindWorker
	case below && p.retire:
		return kindManifestRetired
	case below:
		return kindManifestAlone
	case providers.IsWorker(p.providers, path):
		return kindWorkerAlone
	case p.retire:
		return kindPage
	case path == p.manifest:
		return kindManifest
	case worker && isWorkerRequest(h):
		return kindSiteWorker
	case isManifestRequest(h):
		return kindSiteManifest
	}
	return kindPage
}

// classifyBelow decides about paths below the prefix.
func (p *paths) classifyBelow(action string, h http.Header) request {
	image, isImage := httpapi.UploadName(action)
	switch {
	case httpapi.IsModule(action):
		return request{kind: kindModule, action: action}
	case httpapi.IsFrame(action):
		return request{kind: kindFrame, action: action}
	case action == "sdk.js":
		return request{kind: kindSDK, action: action}
	case action == importable && isWorkerRequest(h):
		return request{kind: kindPrefixWorker, action: action}
	case action == importable:
		return request{kind: kindImportedWorker, action: action}
	case isImage:
		return request{kind: kindUpload, action: image}
	case !httpapi.IsPublicAction(action):
		return request{kind: kindUnknown, action: action}
	case p.retire && action != "unsubscribe":
		return request{kind: kindActionRetired, action: action}
	}
	return request{kind: kindAction, action: action}
}

// isManifestRequest reports whether a browser fetches a web app manifest, at any path (Fetch
// Metadata).
func isManifestRequest(h http.Header) bool { return h.Get("Sec-Fetch-Dest") == "manifest" }

// isWorkerRequest reports whether a browser fetches a service worker's script (Service Workers,
// "Update", sets the header), and not a script that it imports.
func isWorkerRequest(h http.Header) bool {
	if h.Get("Service-Worker") != "script" {
		return false
	}
	mode := h.Get("Sec-Fetch-Mode")
	return mode == "" || mode == "same-origin"
}

// decide finds out what a request is for, and, if it matters, of which site.
func (h *Handler) decide(r *http.Request) request {
	req := h.paths.classify(r.Method, h.path(r), r.Header)
	req.tells = !req.kind.belowPrefix() && h.mayTell(r)
	if req.tells || req.kind.needsSite() {
		req.site, req.siteErr = h.siteName(r)
	}
	return req
}

// path returns the path that the browser requested, if that is ours: Caddy runs try_files and other
// rewrites before us, and they have a page for every path. Else it returns the path as rewritten,
// so that we also work inside handle_path.
func (h *Handler) path(r *http.Request) string {
	if orig := originalURL(r); orig != nil && h.paths.has(orig.Path) {
		return orig.Path
	}
	return r.URL.Path
}

// originalURL returns the URL that the browser requested; nil if Caddy does not provide it.
func originalURL(r *http.Request) *url.URL {
	if orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return orig.URL
	}
	return nil
}

// siteName returns the present name of the site that the request is for: a browser may know only a
// former one.
func (h *Handler) siteName(r *http.Request) (string, error) {
	name, err := h.givenName(r)
	if run, _ := h.app.current(); err == nil && run != nil {
		name = run.service.CurrentSite(name)
	}
	return name, err
}

// givenName returns the site's name from the configuration or the request. A port counts only if
// the request arrived at it: Caddy's routes have checked the rest of the Host header, but not its
// port.
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
		if _, listening, err := net.SplitHostPort(local.String()); err == nil && listening == port {
			return name, nil
		}
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host, nil
}
