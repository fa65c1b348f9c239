package httpapi

import (
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/injector/cachecontrol"
)

// Next is the rest of the site: what would have answered without us. An answer may also be an error
// that wraps a *StatusError.
type Next func(w http.ResponseWriter, r *http.Request) error

// StatusError is an answer that has not been written yet.
type StatusError struct {
	Status int
	Err    error
}

func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StatusError) Unwrap() error { return e.Err }

// maxManifest is the largest manifest of a site's own that is completed; a larger one passes
// unchanged.
const maxManifest = 256 << 10

// OverlayWorker answers a request for a worker script:
//
//   - If the site has a script there, it is the site's with ours appended, because a scope has one
//     worker and the site's must go on working.
//   - If the site has none, and ours is registered there (own is true), it is ours alone.
//   - An answer that does not show whether the site has one (error, refusal, redirect) passes
//     unchanged: ours alone would replace the site's worker in every browser.
//   - If the site is retired, its own script passes, with only the header added that lets
//     browsers accept it for its present scope.
func OverlayWorker(w http.ResponseWriter, r *http.Request, next Next, c SiteConfig, own bool) error {
	o := newOverlay(w, func(status int, h http.Header) overlayMode {
		switch {
		case c.Retire && status == http.StatusOK && IsJavaScript(h):
			h.Set("Service-Worker-Allowed", widestScope)
			return passing
		case status == http.StatusOK && IsJavaScript(h) && !isEncoded(h):
			markWorker(h, own)
			return appending
		case own && (isAbsent(status) || status == http.StatusOK && !IsJavaScript(h)):
			return replacing
		default:
			return passing
		}
	})
	if err := o.ask(next, unconditional(r)); err != nil {
		return err
	}
	switch o.mode {
	case replacing:
		o.restoreHeader()
		ServeWorker(w, r, c)
	case appending:
		if r.Method == http.MethodHead {
			return nil
		}
		// Begins with a line break: the site's script may end in a comment.
		ours := append([]byte("\n;"), c.worker()...)
		if _, err := w.Write(ours); err != nil {
			return err
		}
	}
	return nil
}

// OverlayManifest answers a request for a manifest: the site's own, with the missing members added;
// or ours if the site has none and the path is that of our own link (own is true).
func OverlayManifest(w http.ResponseWriter, r *http.Request, next Next, c SiteConfig, own bool) error {
	o := newOverlay(w, func(status int, h http.Header) overlayMode {
		switch {
		case isAbsent(status) || isElsewhere(status) || status == http.StatusOK && isHTML(h):
			if !own {
				return passing
			}
			return replacing
		case status == http.StatusOK && !isEncoded(h):
			return holding
		default:
			return passing
		}
	})
	if err := o.ask(next, unconditional(r)); err != nil {
		return err
	}
	switch o.mode {
	case replacing:
		o.restoreHeader()
		cache := manifestCache
		if !isAbsent(o.status) {
			cache = privateManifestCache
		}
		serveManifest(w, r, c, cache)
	case holding:
		o.complete(r, c, own)
		return o.passHeld()
	}
	return nil
}

// complete adds the missing members to a held manifest. Without a manifest's type, the file
// counts as one only for clients that fetch it as such: at any path but our own, no cache may give
// our answer to others, because the URL may be the site's data.
func (o *overlay) complete(r *http.Request, c SiteConfig, own bool) {
	h := o.w.Header()
	typed := isManifest(h)
	body, changed := c.completeManifest(o.held, typed || isManifestFetch(r))
	if changed {
		o.held = body
	}
	if changed || r.Method == http.MethodHead { // only the body shows how long the completed one is
		dropValidators(h)
		if !own {
			cachecontrol.Forbid(h)
			owned(o.w)
		}
	}
	if own && !typed || !own && (changed || r.Method == http.MethodHead) {
		addVary(h, "Sec-Fetch-Dest")
	}
}

// isManifestFetch reports whether a browser fetches a web app manifest (Fetch
// Metadata).
func isManifestFetch(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Dest") == "manifest" }

// addVary adds a request header on which the answer depends.
func addVary(h http.Header, field string) {
	if v := strings.Join(h["Vary"], ","); v != "*" && !strings.Contains(strings.ToLower(v), strings.ToLower(field)) {
		h.Add("Vary", field)
	}
}

// markWorker sets the headers of the site's worker with ours appended. At any path but our own, the
// same URL is a plain script for clients that do not ask for a worker, so no cache may keep the
// worker's answer.
func markWorker(h http.Header, own bool) {
	if own {
		h.Set("Service-Worker-Allowed", widestScope)
		return
	}
	cachecontrol.Forbid(h)
	VaryWorker(h)
}

// VaryWorker names the headers that distinguish browsers' requests for a service worker from
// others.
func VaryWorker(h http.Header) {
	addVary(h, "Service-Worker")
	addVary(h, "Sec-Fetch-Mode")
}

// unconditional asks for the whole file without compression: the site's validators and ranges do
// not apply to what we send. A client that names no coding stays as it is, because the proxy's
// transport may ask for one and undo it.
func unconditional(r *http.Request) *http.Request {
	c := r.Clone(r.Context())
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"} {
		c.Header.Del(name)
	}
	if c.Header.Get("Accept-Encoding") != "" {
		c.Header.Set("Accept-Encoding", "identity")
	}
	return c
}

func dropValidators(h http.Header) {
	for _, name := range []string{"Content-Length", "Etag", "Last-Modified", "Accept-Ranges", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		h.Del(name)
	}
}

// IsJavaScript reports whether browsers accept the Content-Type as JavaScript.
func IsJavaScript(h http.Header) bool {
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	_, sub, _ := strings.Cut(media, "/")
	// The types of JavaScript that the MIME Sniffing standard lists and that are still in use.
	return slices.Contains([]string{"javascript", "x-javascript", "ecmascript", "x-ecmascript"}, sub)
}

func isManifest(h http.Header) bool {
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return media == "application/manifest+json"
}

func isHTML(h http.Header) bool {
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return media == "text/html" || media == "application/xhtml+xml"
}

func isEncoded(h http.Header) bool {
	ce := h.Get("Content-Encoding")
	return ce != "" && !strings.EqualFold(ce, "identity")
}

// isAbsent reports whether a status means that the site has no such file. The callers also count
// the page that an application returns for every path. A redirect or a refusal may be the site's
// answer to visitors who are not logged in: ours instead would remove the site's own worker from
// their browsers.
func isAbsent(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone || status == http.StatusMethodNotAllowed
}

// isElsewhere reports whether a status redirects or refuses (object stores do so for files they do
// not have). For a manifest that is as good as absent: browsers fetch it without cookies, and ours
// is linked only if the page has no link.
func isElsewhere(status int) bool {
	return status == http.StatusForbidden || status >= 300 && status < 400 && status != http.StatusNotModified
}

type overlayMode int

const (
	undecided overlayMode = iota
	passing               // unchanged
	appending             // unchanged, with ours appended
	holding               // kept, up to maxManifest
	replacing             // discarded
)

// overlay is a response writer whose header decides how the body is handled.
type overlay struct {
	w      http.ResponseWriter
	decide func(status int, h http.Header) overlayMode
	before http.Header
	mode   overlayMode
	status int
	held   []byte
}

func newOverlay(w http.ResponseWriter, decide func(int, http.Header) overlayMode) *overlay {
	return &overlay{w: w, decide: decide, before: w.Header().Clone()}
}

// Unwrap is for http.ResponseController; overlay flushes itself.
func (o *overlay) Unwrap() http.ResponseWriter { return o.w }

func (o *overlay) Header() http.Header { return o.w.Header() }

func (o *overlay) WriteHeader(status int) {
	if o.mode != undecided {
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		o.w.WriteHeader(status)
		return
	}
	o.status = status
	o.mode = o.decide(status, o.w.Header())
	switch o.mode {
	case appending:
		dropValidators(o.w.Header())
		owned(o.w)
		o.w.WriteHeader(status)
	case passing:
		o.w.WriteHeader(status)
	}
}

func (o *overlay) Write(b []byte) (int, error) {
	o.WriteHeader(http.StatusOK)
	switch o.mode {
	case replacing:
		return len(b), nil
	case holding:
		if len(o.held)+len(b) <= maxManifest {
			o.held = append(o.held, b...)
			return len(b), nil
		}
		if err := o.passHeld(); err != nil {
			return 0, err
		}
	}
	return o.w.Write(b)
}

// ReadFrom ensures that an embedded writer's ReadFrom does not bypass Write.
func (o *overlay) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{o}, r)
}

// FlushError flushes the bytes that are not held back.
func (o *overlay) FlushError() error {
	if o.mode == passing || o.mode == appending {
		return http.NewResponseController(o.w).Flush()
	}
	return nil
}

// ask calls next, and decides for answers that were not written.
func (o *overlay) ask(next Next, r *http.Request) error {
	err := next(o, r)
	var answer *StatusError
	switch {
	case err == nil:
		o.WriteHeader(http.StatusOK)
		return nil
	case !errors.As(err, &answer):
		return err
	case o.mode == undecided && o.decide(answer.Status, o.w.Header()) == replacing:
		o.mode, o.status = replacing, answer.Status
		return nil
	default:
		// Unchanged: Caddy identifies its errors by their type.
		return answer.Err
	}
}

// passHeld sends the held bytes and passes the rest through.
func (o *overlay) passHeld() error {
	o.mode = passing
	o.w.WriteHeader(o.status)
	_, err := o.w.Write(o.held)
	o.held = nil
	return err
}

// restoreHeader removes the headers that the discarded answer had set, except Vary: our answer
// depends on the same headers.
func (o *overlay) restoreHeader() {
	h := o.w.Header()
	vary := h["Vary"]
	clear(h)
	maps.Copy(h, o.before)
	if len(vary) > 0 {
		h["Vary"] = vary
	}
}
