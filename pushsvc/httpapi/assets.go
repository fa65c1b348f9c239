package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/web"
)

// SiteConfig is what the SDK and the worker are told (shared/wire.ts). It is
// public: whoever loads a page can read it.
type SiteConfig struct {
	Version string `json:"version"`
	Site    string `json:"site"`
	Name    string `json:"name"`
	Icon    string `json:"icon,omitempty"`
	// Key is the applicationServerKey in base64url.
	Key string `json:"key"`
	// OldKeys are the ring's other keys: the SDK replaces subscriptions made
	// with them, and leaves those of others alone.
	OldKeys []string     `json:"oldKeys,omitempty"`
	Prefix  string       `json:"prefix"`
	Worker  string       `json:"worker"`
	Scope   string       `json:"scope"`
	Prompt  PromptConfig `json:"prompt"`
	// Standalone is true for a worker that we serve alone, not behind the
	// site's own.
	Standalone bool `json:"standalone,omitempty"`
	// Retire is true where the site gives push up: ServeSDK, ServeWorker and
	// OverlayWorker then give scripts that undo what the others did.
	Retire bool `json:"retire,omitempty"`
}

// PromptConfig is the soft prompt; empty texts are the SDK's own.
type PromptConfig struct {
	Title     string      `json:"title"`
	Body      string      `json:"body"`
	Accept    string      `json:"accept"`
	Reject    string      `json:"reject"`
	Color     string      `json:"color,omitempty"`
	TextColor string      `json:"textColor,omitempty"`
	After     PromptAfter `json:"after"`
	// AskAgain is how long a refusal is respected, in seconds.
	AskAgain int64 `json:"askAgain"`
}

// PromptAfter is what has to happen before the prompt is shown by itself; the
// zero value is nothing.
type PromptAfter struct {
	Pages   int   `json:"pages,omitempty"`
	Seconds int64 `json:"seconds,omitempty"`
	Manual  bool  `json:"manual,omitempty"`
}

// Cache times of what we serve. The worker is checked for news on each visit
// by the browser itself.
const (
	sdkCache      = "public, max-age=60"
	workerCache   = "no-cache"
	manifestCache = "public, max-age=300"
)

func (c SiteConfig) json() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		// Strings, numbers and booleans always encode.
		panic("httpapi: encoding the site config: " + err.Error())
	}
	return b
}

// ServeSDK answers the page SDK with the site's settings.
func ServeSDK(w http.ResponseWriter, r *http.Request, c SiteConfig) {
	script := web.SDK
	if c.Retire {
		script = web.RetireSDK
	}
	serveAsset(w, r, script(c.json()), "text/javascript; charset=utf-8", sdkCache)
}

// ServeWorker answers the service worker with the site's settings.
func ServeWorker(w http.ResponseWriter, r *http.Request, c SiteConfig) {
	c.Standalone = true
	script := web.Worker
	if c.Retire {
		script = web.RetireWorker
	}
	// The scope may be above the worker's own folder (Service Workers §6.5).
	w.Header().Set("Service-Worker-Allowed", c.Scope)
	serveAsset(w, r, script(c.json()), "text/javascript; charset=utf-8", workerCache)
}

// ServeRetired answers what is no more where the site gives push up, such as a
// subscription from a page that was open before.
func ServeRetired(w http.ResponseWriter, _ *http.Request, c SiteConfig) {
	WriteProblem(w, problem(http.StatusGone, fmt.Sprintf("%s has given push up", c.Site)))
}

// ServeManifest answers a web app manifest of our own.
func ServeManifest(w http.ResponseWriter, r *http.Request, c SiteConfig) {
	body, err := json.Marshal(c.manifest())
	if err != nil {
		WriteProblem(w, problem(http.StatusInternalServerError, fmt.Sprintf("encoding the manifest: %v", err)))
		return
	}
	serveAsset(w, r, body, "application/manifest+json", manifestCache)
}

// manifest has what a browser needs to install the site, which is what iOS
// wants before it lets a site push.
func (c SiteConfig) manifest() map[string]any {
	name := c.Name
	if name == "" {
		name = c.Site
	}
	m := map[string]any{
		"name": name, "short_name": name,
		"id": "/", "start_url": "/", "scope": "/", "display": "standalone",
	}
	if c.Icon != "" {
		m["icons"] = []map[string]string{{"src": c.Icon, "sizes": "192x192"}}
	}
	return m
}

// completeManifest adds what the site's own manifest lacks, and gives false
// where there is nothing to add or the body is no manifest: known says that it
// is one, else a member of one has to be there, because build tools have files
// of that name too. What the site says stays as it is.
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
		// Ours are right for a site without a manifest; in one that has its
		// own identity and start, they would change the installed app.
		if key == "id" || key == "start_url" || key == "scope" || key == "short_name" {
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

// etag is a strong validator over the bytes.
func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// serveAsset answers GET and HEAD with validators.
func serveAsset(w http.ResponseWriter, r *http.Request, body []byte, contentType, cache string) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		WriteProblem(w, problem(http.StatusMethodNotAllowed, "only GET is taken here"))
		return
	}
	tag := etag(body)
	h.Set("ETag", tag)
	h.Set("Cache-Control", cache)
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
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

// matches is the weak comparison of RFC 9110 §13.1.2; a suffix that an outer
// encoder adds to our tag is the encoder's to take off again.
func matches(header, tag string) bool {
	for member := range strings.SplitSeq(header, ",") {
		member = strings.TrimPrefix(strings.TrimSpace(member), "W/")
		if member == tag || member == "*" {
			return true
		}
	}
	return false
}
