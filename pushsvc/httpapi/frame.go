package httpapi

import (
	"net/http"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/web"
)

// framePolicy gives custom HTML of pop-ups an origin of nobody's (HTML, sandboxing),
// even where the document is opened by itself, and lets only the site frame it. It
// forbids nothing else: what the HTML loads is its author's business, as in any
// other frame, and the site's own policy would stop its inline scripts.
const framePolicy = "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox allow-forms; frame-ancestors 'self'"

// IsFrame says whether ServeFrame knows the name: "frame.html", the document in
// which custom HTML of pop-ups stands, or "frame.js", its script by itself.
func IsFrame(name string) bool { return name == "frame.html" || name == "frame.js" }

// ServeFrame answers one of the files of IsFrame. They are the same for all sites
// and visitors; the HTML comes from the page around the frame. Headers that an
// outer handler has set for the whole site are replaced where they would forbid
// the frame.
func ServeFrame(w http.ResponseWriter, r *http.Request, name string) {
	cache := sdkCache
	if r.URL.Query().Get("v") == web.Version() {
		cache = moduleCache
	}
	h := w.Header()
	if name == "frame.js" {
		// Frames of no origin load it, which are never the same site. It holds
		// nothing that is anybody's.
		serveTo(w, r, web.Frame(), javascript, cache, "cross-origin")
		return
	}
	h.Set("Content-Security-Policy", framePolicy)
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Del("Content-Security-Policy-Report-Only")
	serveAsset(w, r, web.FrameDocument(), "text/html; charset=utf-8", cache)
}
