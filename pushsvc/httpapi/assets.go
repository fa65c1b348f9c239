package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/web"
)

// DefaultPrefix is the path of the endpoints unless the site sets another.
const DefaultPrefix = "/_webpush"

// SiteConfig is the configuration for the SDK and the worker. It is public: every visitor of a
// page can read it.
type SiteConfig struct {
	Version string `json:"version"`
	Site    string `json:"site"`
	Name    string `json:"name"`
	Icon    string `json:"icon,omitempty"`
	// Key is the applicationServerKey in base64url.
	Key string `json:"key"`
	// OldKeys are the ring's other keys: the SDK replaces subscriptions made with them, and does
	// not touch those made with any other key.
	OldKeys []string `json:"oldKeys,omitempty"`
	Prefix  string   `json:"prefix"`
	Worker  string   `json:"worker"`
	// Manifest is the path in the pages' link to the manifest, if that link is ours.
	Manifest string       `json:"manifest,omitempty"`
	Scope    string       `json:"scope"`
	Prompt   PromptConfig `json:"prompt"`
	// Popups are the running pop-ups, in the SDK only; missing without running pop-ups.
	Popups *service.PopupsConfig `json:"popups,omitempty"`
	// Compat names a provider whose page API the SDK offers too: "clevertap" or [CompatOneSignal].
	Compat string `json:"compat,omitempty" api:"oneof=clevertap|onesignal"`
	// ProviderScripts is a regular expression for the addresses of that provider's page script, which
	// pages don't load.
	ProviderScripts string `json:"vendorScripts,omitempty"`
	// Migrate names the providers that the site moves away from.
	Migrate []string `json:"migrate,omitempty"`
	// ProviderWorkers are the paths of their workers, "*/name" for a file in any folder: browsers
	// that have one get ours instead.
	ProviderWorkers []string `json:"vendorWorkers,omitempty"`
	// Watched means that the pages themselves report events of a visitor who has the cookie: so
	// visitors get it with the first page.
	Watched bool `json:"watched,omitempty"`
	// DualRun leaves another provider's worker and subscription unchanged: ours runs beside it, in
	// Scope.
	DualRun bool `json:"dualRun,omitempty"`
	// Standalone is true for a worker that we serve alone, not appended to the site's own.
	Standalone bool `json:"standalone,omitempty"`
	// Retire is true if the site ends its use of push: ServeSDK, ServeWorker and OverlayWorker then return
	// scripts that undo what the others did.
	Retire bool `json:"retire,omitempty"`
}

// Cache times of our files. The browser itself checks on each visit whether the worker has
// changed.
const (
	sdkCache      = "public, max-age=60"
	moduleCache   = "public, max-age=31536000, immutable"
	workerCache   = "no-cache"
	manifestCache = "public, max-age=300"
	// privateManifestCache is for a manifest of ours that replaces an answer that may be for some
	// visitors only, such as a redirect to the login.
	privateManifestCache = "private, max-age=300"
)

func (c SiteConfig) json() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		// Strings, numbers and booleans always encode.
		panic("httpapi: encoding the site config: " + err.Error())
	}
	return b
}

// ServeSDK answers with the page SDK and the site's settings.
func ServeSDK(w http.ResponseWriter, r *http.Request, c SiteConfig) {
	script := web.SDK
	if c.Retire {
		script = web.RetireSDK
	}
	serveAsset(w, r, script(c.json()), javascript, sdkCache)
}

// IsModule reports whether ServeModule has the module.
func IsModule(name string) bool {
	_, known := web.Module(name)
	return known
}

// ServeModule answers with a module that the SDK loads when it needs it. The SDK names its own
// version in ?v=, so that caches may keep the answer for ever; an SDK that is older than the server
// keeps it for a minute.
func ServeModule(w http.ResponseWriter, r *http.Request, name string) {
	body, known := web.Module(name)
	if !known {
		exchange.WriteProblem(w, api.NewProblem(http.StatusNotFound, "there is no such module"))
		return
	}
	cache := sdkCache
	if r.URL.Query().Get("v") == web.Version() {
		cache = moduleCache
	}
	serveAsset(w, r, body, javascript, cache)
}

// javascript is the type of scripts and modules.
const javascript = "text/javascript; charset=utf-8"

// widestScope lets a worker have any scope (Service Workers §6.5): its own may be above its folder,
// and a provider's worker that ours replaces may be in any folder.
const widestScope = "/"

// ServeWorker answers with the service worker and the site's settings.
func ServeWorker(w http.ResponseWriter, r *http.Request, c SiteConfig) {
	c.Standalone = true
	script := c.worker()
	if c.Retire {
		script = web.RetireWorker(c.json())
	}
	w.Header().Set("Service-Worker-Allowed", widestScope)
	serveAsset(w, r, script, javascript, workerCache)
}

// CompatOneSignal is the Compat of sites whose pages use OneSignal's API.
const CompatOneSignal = "onesignal"

// worker returns the site's worker with everything that its pages need from it.
func (c SiteConfig) worker() []byte {
	script := web.Worker(c.json())
	if c.Compat == CompatOneSignal {
		script = append(append(script, "\n;"...), web.Tell()...)
	}
	return script
}

// ServeWorkerPart answers with the service worker as a part that the site's own worker imports: it
// handles only events that are ours. With Retire, the part is empty.
func ServeWorkerPart(w http.ResponseWriter, r *http.Request, c SiteConfig) {
	body := []byte("// webpush has been given up here\n")
	if !c.Retire {
		body = c.worker()
	}
	serveAsset(w, r, body, javascript, workerCache)
}

// ServeRetired answers requests that no longer have a handler because the site is retired, such
// as a subscription from a page that was open before.
func ServeRetired(w http.ResponseWriter, _ *http.Request, c SiteConfig) {
	exchange.WriteProblem(w, api.NewProblem(http.StatusGone, fmt.Sprintf("%s no longer has push", c.Site)))
}

// ServeManifest answers with a web app manifest of our own.
func ServeManifest(w http.ResponseWriter, r *http.Request, c SiteConfig) {
	serveManifest(w, r, c, manifestCache)
}

func serveManifest(w http.ResponseWriter, r *http.Request, c SiteConfig, cache string) {
	body, err := json.Marshal(c.manifest())
	if err != nil {
		exchange.WriteProblem(w, api.NewProblem(http.StatusInternalServerError, fmt.Sprintf("encoding the manifest: %v", err)))
		return
	}
	serveAsset(w, r, body, "application/manifest+json", cache)
}

// manifest returns the data that a browser needs to install the site, which iOS requires before it lets a
// site push.
func (c SiteConfig) manifest() map[string]any {
	name := c.Name
	if name == "" {
		name = c.Site
	}
	m := map[string]any{
		"name": name, "short_name": name,
		"id": "/", "start_url": "/", "scope": "/", "display": "standalone",
		// The sender id for browsers that do not support VAPID keys; the same for all sites.
		"gcm_sender_id": "103953800507",
	}
	if c.Icon != "" {
		m["icons"] = []map[string]string{{"src": c.Icon, "sizes": "192x192"}}
	}
	return m
}

// completeManifest adds the missing members to the site's own manifest. It returns false if nothing is missing
// or the body is not a manifest. If known is false, the body must have a manifest's member to count
// as one, because build tools have files of the same name. Members that the site has set stay as
// they are.
func (c SiteConfig) completeManifest(body []byte, known bool) ([]byte, bool) {
	var own map[string]json.RawMessage
	if err := json.Unmarshal(body, &own); err != nil || own == nil {
		return nil, false
	}
	for _, member := range []string{"name", "short_name", "start_url", "icons", "display"} {
		known = known || own[member] != nil
	}
	if !known {
		return nil, false
	}
	added := false
	for key, value := range c.manifest() {
		// Ours are right for a site without a manifest; in a manifest with its own identity and
		// start, they would change the installed app.
		if slices.Contains([]string{"id", "start_url", "scope", "short_name", "gcm_sender_id"}, key) {
			continue
		}
		if key == "name" && own["short_name"] != nil {
			continue
		}
		if _, has := own[key]; has {
			continue
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, false
		}
		own[key], added = raw, true
	}
	if !added {
		return nil, false
	}
	out, err := json.Marshal(own)
	return out, err == nil
}

// etag returns a strong validator for the bytes.
func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// serveAsset answers GET and HEAD with validators; only the site's own pages may
// load it (Fetch, Cross-Origin-Resource-Policy).
func serveAsset(w http.ResponseWriter, r *http.Request, body []byte, contentType, cache string) {
	serveTo(w, r, body, contentType, cache, "same-origin")
}

// serveTo is serveAsset with a Cross-Origin-Resource-Policy of its own.
func serveTo(w http.ResponseWriter, r *http.Request, body []byte, contentType, cache, resourcePolicy string) {
	owned(w)
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		exchange.WriteProblem(w, api.NewProblem(http.StatusMethodNotAllowed, "only GET is accepted here"))
		return
	}
	tag := etag(body)
	h.Set("ETag", tag)
	h.Set("Cache-Control", cache)
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", resourcePolicy)
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}

// owned notifies a writer that asks for it that the answer is ours, before it begins: the site's
// rules for its own files do not apply to it.
func owned(w http.ResponseWriter) {
	if o, ok := w.(interface{ OwnAnswer() }); ok {
		o.OwnAnswer()
	}
}

// matches is the weak comparison of RFC 9110 §13.1.2. An outer encoder that adds a suffix to our
// tag must remove it itself.
func matches(header, tag string) bool {
	for member := range strings.SplitSeq(header, ",") {
		member = strings.TrimPrefix(strings.TrimSpace(member), "W/")
		if member == tag || member == "*" {
			return true
		}
	}
	return false
}
