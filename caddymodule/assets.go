package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// answering is next in the form that the overlays take: a handler such as
// file_server answers "not found" by an error that Caddy writes later.
func answering(next caddyhttp.Handler) httpapi.Next {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := next.ServeHTTP(w, r)
		var answer caddyhttp.HandlerError
		if errors.As(err, &answer) {
			return &httpapi.StatusError{Status: answer.StatusCode, Err: err}
		}
		return err
	}
}

// overlay is how to answer a request for the worker or the manifest, which the
// site may have as well; nil where the site answers alone.
func (h *Handler) overlay(r *http.Request) func(http.ResponseWriter, *http.Request, httpapi.Next) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	config, ok := h.ready(r)
	if !ok {
		return nil
	}
	path := h.path(r)
	own := path == h.Worker
	switch {
	case strings.HasPrefix(path, h.Prefix+"/"):
		// The site has nothing below our prefix: no need to ask it.
		serve := httpapi.ServeManifest
		switch {
		case own:
			serve = httpapi.ServeWorker
		case h.Retire:
			serve = httpapi.ServeRetired
		}
		return func(w http.ResponseWriter, r *http.Request, _ httpapi.Next) error {
			serve(w, r, config)
			return nil
		}
	case isVendorWorker(h.vendors, path) && !own:
		return func(w http.ResponseWriter, r *http.Request, _ httpapi.Next) error {
			httpapi.ServeWorker(w, r, config)
			return nil
		}
	case h.Retire && !own:
		return nil
	case own || path != h.Manifest && isWorkerRequest(r):
		return func(w http.ResponseWriter, r *http.Request, next httpapi.Next) error {
			return httpapi.OverlayWorker(w, r, next, config, own)
		}
	case path == h.Manifest || isManifestRequest(r):
		own := path == h.Manifest
		return func(w http.ResponseWriter, r *http.Request, next httpapi.Next) error {
			return httpapi.OverlayManifest(w, r, next, config, own)
		}
	}
	return nil
}

// isManifestRequest says whether a browser is fetching a web app manifest,
// wherever the site has it (Fetch Metadata).
func isManifestRequest(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Dest") == "manifest" }

// isWorkerRequest says whether a browser is fetching a service worker's script
// (Service Workers, "Update", sets the header), and not one that it imports.
func isWorkerRequest(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return r.Header.Get("Service-Worker") == "script" && (mode == "" || mode == "same-origin")
}

// importable is the worker below the prefix: for the site's own worker to import,
// and for browsers that have it registered from the time of a dual run.
const importable = "sw.js"

// serveOwn answers what lies under the prefix. Nothing of it reaches the site.
func (h *Handler) serveOwn(w http.ResponseWriter, r *http.Request, action string) error {
	httpapi.LimitReading(w, r)
	w = newOwnAnswer(w)
	if httpapi.IsModule(action) {
		httpapi.ServeModule(w, r, action)
		return nil
	}
	if httpapi.IsFrame(action) {
		httpapi.ServeFrame(w, r, action)
		return nil
	}
	script := action == "sdk.js" || action == importable
	image, isImage := httpapi.UploadName(action)
	if !script && !isImage && !httpapi.IsPublicAction(action) {
		return caddyhttp.Error(http.StatusNotFound, fmt.Errorf("webpush has no %q", r.URL.Path))
	}
	site, err := h.siteName(r)
	if err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	if script {
		h.serveScript(w, r, action)
		return nil
	}
	run, _ := h.app.current()
	config := h.config
	config.Site = site
	switch {
	case !isImage && action != "unsubscribe" && h.Retire:
		httpapi.ServeRetired(w, r, config)
	case run == nil:
		httpapi.WriteUnavailable(w)
	case isImage:
		run.public.ServeUpload(w, r, httpapi.PublicSite{Name: site}, image)
	default:
		if action == "subscribe" { // the only one that asks for topics
			config.Prompt = config.Prompt.With(run.live.Prompt(site).Settings)
		}
		run.public.Serve(w, r, h.publicSite(r, site, config), action)
	}
	return nil
}

// serveScript answers the SDK, or the worker below the prefix.
func (h *Handler) serveScript(w http.ResponseWriter, r *http.Request, action string) {
	run, _ := h.app.current()
	config, ready := h.ready(r)
	switch {
	case !ready || run == nil:
		httpapi.WriteUnavailable(w)
	case action == importable:
		// Without the settings that change at run time: a worker that changes is
		// installed anew by every browser, with all that the site's own does then.
		httpapi.VaryWorker(w.Header())
		if isWorkerRequest(r) {
			httpapi.ServeWorker(w, r, config)
		} else {
			httpapi.ServeWorkerPart(w, r, config)
		}
	default:
		config.Prompt = config.Prompt.With(run.live.Prompt(config.Site).Settings)
		config.Popups = run.service.PopupsConfig(r.Context(), config.Site)
		config.Watched = h.watches()
		httpapi.ServeSDK(w, r, config)
	}
}
