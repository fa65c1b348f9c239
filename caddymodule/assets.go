package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
)

// answering returns next in the form that the overlays need: a handler such as file_server answers
// "not found" by an error that Caddy writes later.
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

// serveSite answers requests for files that the site may have too: with the site's file and ours in
// it.
func (h *Handler) serveSite(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, req request) error {
	if req.varies {
		httpapi.VaryWorker(w.Header()) // for every answer
	}
	if req.kind == kindPage {
		return h.servePage(w, r, next)
	}
	config, ready := h.ready(req)
	if !ready {
		return h.servePage(w, r, next)
	}
	// A request that turns out not to be for a worker or a manifest is answered as if the header
	// that asks for one were missing.
	page := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return h.servePage(w, r, next)
	})
	w = &ownAnswer{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	switch req.kind {
	case kindWorker:
		return httpapi.OverlayWorker(w, r, answering(next), config, true)
	case kindSiteWorker:
		return httpapi.OverlayWorker(w, r, answering(page), config, false)
	case kindWorkerAlone:
		httpapi.ServeWorker(w, r, config)
	case kindManifest:
		return httpapi.OverlayManifest(w, r, answering(next), config, true)
	case kindSiteManifest:
		return httpapi.OverlayManifest(w, r, answering(page), config, false)
	case kindManifestAlone:
		httpapi.ServeManifest(w, r, config)
	case kindManifestRetired:
		httpapi.ServeRetired(w, r, config)
	}
	return nil
}

// serveBelow answers requests below the prefix. None of them reaches the site.
func (h *Handler) serveBelow(w http.ResponseWriter, r *http.Request, req request) error {
	exchange.LimitReading(w, r)
	w = newOwnAnswer(w)
	if req.siteErr != nil {
		return caddyhttp.Error(http.StatusBadRequest, req.siteErr)
	}
	switch req.kind {
	case kindUnknown:
		return caddyhttp.Error(http.StatusNotFound, fmt.Errorf("webpush has no %q", r.URL.Path))
	case kindModule:
		httpapi.ServeModule(w, r, req.action)
	case kindFrame:
		httpapi.ServeFrame(w, r, req.action)
	case kindSDK, kindPrefixWorker, kindImportedWorker:
		h.serveScript(w, r, req)
	case kindActionRetired:
		httpapi.ServeRetired(w, r, httpapi.SiteConfig{Site: req.site})
	case kindUpload, kindAction:
		h.serveAction(w, r, req)
	}
	return nil
}

// serveScript answers with the SDK, or with the worker below the prefix.
func (h *Handler) serveScript(w http.ResponseWriter, r *http.Request, req request) {
	run, _ := h.app.current()
	config, ready := h.ready(req)
	if !ready || run == nil {
		exchange.WriteUnavailable(w)
		return
	}
	switch req.kind {
	case kindSDK:
		config.Prompt = config.Prompt.With(run.live.Prompt(config.Site).Settings)
		config.Popups = run.service.PopupsConfig(r.Context(), config.Site)
		config.Watched = h.watches()
		httpapi.ServeSDK(w, r, config)
	// The worker does not have the settings that change at run time: every browser installs a
	// changed worker, and runs the install steps of the site's own.
	case kindPrefixWorker:
		httpapi.VaryWorker(w.Header())
		httpapi.ServeWorker(w, r, config)
	case kindImportedWorker:
		httpapi.VaryWorker(w.Header())
		httpapi.ServeWorkerPart(w, r, config)
	}
}

// ready returns the settings to serve with, and false if there is no store, no key or no site.
func (h *Handler) ready(req request) (httpapi.SiteConfig, bool) {
	run, _ := h.app.current()
	if run == nil || req.siteErr != nil {
		return httpapi.SiteConfig{}, false
	}
	config := h.config
	config.Site = req.site
	config.Key, config.OldKeys = run.publicKeys()
	setDefault(&config.Name, req.site)
	return config, config.Key != ""
}
