package caddymodule

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/vendors"
	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// request is what a request asks for, decided once by Handler.decide.
type request struct {
	kind requestKind
	// action is what is asked for below the prefix: a file's name or an action.
	action string
	// site is the site's name, and siteErr why the request names none. Both are
	// empty where nothing needs the name.
	site    string
	siteErr error
	// varies: the answer depends on the headers that tell a worker's script from
	// other requests.
	varies bool
	// tells: the page may tell something of its visitor.
	tells bool
}

// requestKind is whose request it is, and how it is answered.
type requestKind byte

const (
	// kindPage: the site answers alone; what turns out to be a page gets our parts.
	kindPage requestKind = iota

	// kindWorker and kindManifest: a path of ours, where the site may have its own.
	kindWorker
	kindManifest
	// kindSiteWorker and kindSiteManifest: another path that a browser fetches as
	// such. The site's answer is completed, and where it has none, it stays so.
	kindSiteWorker
	kindSiteManifest
	// kindWorkerAlone, kindManifestAlone and kindManifestRetired: the site is not
	// asked, because it has nothing there, or another provider's worker that ours
	// replaces.
	kindWorkerAlone
	kindManifestAlone
	kindManifestRetired

	// What follows lies below the prefix; nothing of it reaches the site.
	kindUnknown        // nothing is there
	kindModule         // a module of the SDK
	kindFrame          // a file of a frame
	kindSDK            // the SDK
	kindPrefixWorker   // the importable worker, fetched as a worker
	kindImportedWorker // the same, imported by the site's own worker
	kindUpload         // an operator's picture
	kindAction         // a public action such as subscribe
	kindActionRetired  // one that the option retire has ended
)

// belowPrefix reports whether nothing of the request reaches the site.
func (k requestKind) belowPrefix() bool { return k >= kindUnknown }

// needsSite reports whether the answer depends on the site's name.
func (k requestKind) needsSite() bool {
	switch k {
	case kindPage, kindUnknown, kindModule, kindFrame:
		return false
	}
	return true
}

// paths are those that a handler answers at.
type paths struct {
	prefix, worker, manifest string
	// vendors has other providers' workers that ours replaces (vendors.Workers).
	vendors []string
	retire  bool
}

// importable is the worker below the prefix: for the site's own worker to import,
// and for browsers that have it registered from the time of a dual run.
const importable = "sw.js"

// own reports whether the path is our worker's or manifest's.
func (p *paths) own(path string) bool { return path == p.worker || path == p.manifest }

// has reports whether we answer at the path.
func (p *paths) has(path string) bool {
	return p.own(path) || strings.HasPrefix(path, p.prefix+"/") || vendors.IsWorker(p.vendors, path)
}

// sample is a request for one of our paths, and what its path is called.
type sample struct{ method, path, name string }

// samples has a request for each of our paths.
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
	for _, vendor := range p.vendors {
		vendor = strings.TrimPrefix(vendor, "*") // of all folders, the site's root
		all = append(all, sample{http.MethodGet, vendor, vendor})
	}
	return all
}

// classify decides what a request is for. Only the headers that Fetch Metadata
// and Service Workers ("Update") define are looked at.
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

// classifySite decides on what the site may have as well; worker: the header
// Service-Worker is there.
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
	case vendors.IsWorker(p.vendors, path):
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

// classifyBelow decides on what lies below the prefix.
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

// isManifestRequest reports whether a browser fetches a web app manifest, wherever
// the site has it (Fetch Metadata).
func isManifestRequest(h http.Header) bool { return h.Get("Sec-Fetch-Dest") == "manifest" }

// isWorkerRequest reports whether a browser fetches a service worker's script
// (Service Workers, "Update", sets the header), and not one that it imports.
func isWorkerRequest(h http.Header) bool {
	if h.Get("Service-Worker") != "script" {
		return false
	}
	mode := h.Get("Sec-Fetch-Mode")
	return mode == "" || mode == "same-origin"
}

// decide finds out what a request asks for, and of which site where that matters.
func (h *Handler) decide(r *http.Request) request {
	req := h.paths.classify(r.Method, h.path(r), r.Header)
	req.tells = !req.kind.belowPrefix() && h.mayTell(r)
	if req.tells || req.kind.needsSite() {
		req.site, req.siteErr = h.siteName(r)
	}
	return req
}

// path is what the browser asked for, where that is ours: Caddy runs try_files
// and other rewrites before us, and they have a page for every path. Else it is
// what the request has become, so that we also work behind handle_path.
func (h *Handler) path(r *http.Request) string {
	if orig := originalURL(r); orig != nil && h.paths.has(orig.Path) {
		return orig.Path
	}
	return r.URL.Path
}

// originalURL is the URL as the browser asked for it; nil where Caddy does not
// tell.
func originalURL(r *http.Request) *url.URL {
	if orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return orig.URL
	}
	return nil
}

// siteName is the site that the request is for, by its present name: a former one
// may be all that a browser knows.
func (h *Handler) siteName(r *http.Request) (string, error) {
	name, err := h.givenName(r)
	if run, _ := h.app.current(); err == nil && run != nil {
		name = run.service.CurrentSite(name)
	}
	return name, err
}

// givenName is the site's name as the configuration or the request has it. A port
// counts only where it is the one that the request came in by: the rest of the Host
// header has been looked at by whoever routed the request here, its port has not.
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
