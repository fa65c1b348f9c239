package httpapi

import (
	"net/http"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/web"
)

// framePolicy makes the origin of custom HTML in pop-ups opaque (HTML, sandboxing), even if the
// document is opened by itself, and lets only the site frame it. It forbids nothing else: what the
// HTML loads is its author's decision, as in any other frame, and the site's own policy would stop
// its inline scripts.
const framePolicy = "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox allow-forms; frame-ancestors 'self'"

// IsFrame reports whether ServeFrame has the name: "frame.html", the document for custom HTML of
// pop-ups, or "frame.js", its script.
func IsFrame(name string) bool { return name == "frame.html" || name == "frame.js" }

// ServeFrame answers with one of the files of IsFrame. They are the same for all sites and
// visitors; the page that embeds the frame passes the HTML. Headers that an outer handler has set
// for the whole site are replaced if they would forbid the frame.
func ServeFrame(w http.ResponseWriter, r *http.Request, name string) {
	cache := sdkCache
	if r.URL.Query().Get("v") == web.Version() {
		cache = moduleCache
	}
	h := w.Header()
	if name == "frame.js" {
		// Frames with an opaque origin load it, and those are never same-site. It holds no
		// visitor's data.
		serveTo(w, r, web.Frame(), javascript, cache, "cross-origin")
		return
	}
	h.Set("Content-Security-Policy", framePolicy)
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Del("Content-Security-Policy-Report-Only")
	serveAsset(w, r, web.FrameDocument(), "text/html; charset=utf-8", cache)
}
