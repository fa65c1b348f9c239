package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/caddymodule/providers"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// providerMarks are words that identify a provider's code, besides its name.
var providerMarks = map[string][]string{
	"airship":   {"urbanairship", "asnapieu.com", "aswpsdkus.com"},
	"clevertap": {"wizrocket", "d2r1yp2w7bby2u.cloudfront.net"},
	"firebase":  {"firebase-messaging", "firebase/messaging", "firebasejs"},
	"insider":   {"useinsider", "api.useinsider.com"},
	"webpushr":  {"webpushr.com", "webpushr-sw"}, // other names begin with this one
}

// genericWorkers are providers' paths that many other workers use too.
var genericWorkers = []string{"/service-worker.js", "/serviceworker.js", "/push-worker.js", "/sw.js"}

// providerIn returns the provider that a text is from, or that it loads; "" if none is known.
func providerIn(text string) string {
	text = strings.ToLower(text)
	for _, v := range providers.Known {
		marks := providerMarks[v.Name]
		if !slices.Contains([]string{"insider", "firebase", "webpushr"}, v.Name) { // their names occur in other words
			marks = append([]string{v.Name}, marks...)
		}
		if slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(text, mark) }) {
			return v.Name
		}
	}
	return ""
}

// registration finds where a page registers a worker.
var registration = regexp.MustCompile("serviceWorker\\s*\\.\\s*register\\(\\s*[\"'`]([^\"'`]+)[\"'`]")

// pushListener finds a worker that handles pushes.
var pushListener = regexp.MustCompile("addEventListener\\(\\s*[\"'`]push[\"'`]|\\bonpush\\s*=")

// providers: another provider's worker beside ours must be configured.
func (d *doctor) providers(ctx context.Context) {
	if d.config.DualRun {
		d.say("providers", OK, "", "another provider may stay, by the option dual_run")
		return
	}
	found := map[string]bool{}
	for _, path := range d.workerPaths() {
		d.otherWorker(ctx, path, found)
	}
	for _, src := range d.tags.scripts {
		if v := providerIn(src); v != "" && !found[v] && !d.moved(v) {
			found[v] = true
			d.say("providers", Warning, migrateCure(v), "the page loads a script of %s: %s", v, src)
		}
	}
	if len(found) == 0 {
		d.say("providers", OK, "", "no other push provider's worker is found")
	}
}

func migrateCure(from string) string {
	return fmt.Sprintf("write migrate_from %s, which makes its subscribers yours, and take its script out of the pages; or dual_run to leave it beside ours", from)
}

// moved reports whether the configuration names a provider as one that the site moves away from.
func (d *doctor) moved(v string) bool {
	return slices.Contains(d.config.Migrate, v) || d.config.Compat == v
}

// workerPaths returns where other workers may be: the paths that the page registers, the providers'
// own and ours.
func (d *doctor) workerPaths() (paths []string) {
	for _, m := range registration.FindAllStringSubmatch(string(d.body), -1) {
		if u, err := url.Parse(d.resolve(m[1])); err == nil && u.Host == d.page.Request.URL.Host {
			paths = append(paths, u.Path)
		}
	}
	paths = append(paths, d.config.Worker)
	for _, v := range providers.Known {
		for _, worker := range v.Workers {
			name, any := strings.CutPrefix(worker, providers.AnyFolder)
			if !any {
				paths = append(paths, worker)
				continue
			}
			for _, folder := range workerFolders {
				paths = append(paths, folder+name)
			}
		}
	}
	slices.Sort(paths)
	return slices.DeleteFunc(slices.Compact(paths), func(p string) bool {
		return providers.IsWorker(d.config.ProviderWorkers, p) || strings.HasPrefix(p, d.config.Prefix+"/")
	})
}

// workerFolders are the usual folders of a worker that may be in any folder.
var workerFolders = []string{"/", "/push/onesignal/", "/wp-content/plugins/onesignal-free-web-push-notifications/sdk_files/"}

// otherWorker checks a path where there may be another worker.
func (d *doctor) otherWorker(ctx context.Context, path string, found map[string]bool) {
	resp, text, err := d.get(ctx, d.origin(path), map[string]string{"Sec-Fetch-Dest": "script", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin", "Accept": "*/*"})
	if err != nil || resp.StatusCode != http.StatusOK || !httpapi.IsJavaScript(resp.Header) {
		return
	}
	theirs, _, ours := strings.Cut(string(text), `{"version":"`+d.config.Version)
	if i := strings.LastIndex(theirs, "\n;(()=>{"); ours && i >= 0 {
		theirs = theirs[:i]
	}
	if ours && path != d.config.Worker {
		return // migrate_from handles it
	}
	v := providerIn(theirs)
	if i := slices.IndexFunc(providers.Known, func(v providers.Provider) bool { return providers.IsWorker(v.Workers, path) }); v == "" && i >= 0 && !slices.Contains(genericWorkers, path) {
		v = providers.Known[i].Name
	}
	registered := strings.Contains(string(d.body), path)
	takesPush := !ours && pushListener.MatchString(theirs)
	switch {
	case v != "" && (found[v] || d.moved(v)):
	case v != "" && path == d.config.Worker:
		found[v] = true
		d.say("providers", Warning, fmt.Sprintf("remove the part of %s from the site's worker", v),
			"the site's worker %s, to which ours is appended, has code of %s: both would show our messages", path, v)
	case v != "":
		found[v] = true
		d.say("providers", Warning, migrateCure(v), "a worker of %s is at %s", v, path)
	case takesPush && path != d.config.Worker:
		found[path] = true
		d.say("providers", Warning, migrateCure(path)+". If it is the site's own, nothing needs to be done", "the worker %s takes pushes, and is not ours", path)
	case registered && path != d.config.Worker:
		d.say("providers", OK, "", "the page registers a worker of the site's, %s%s; ours is appended to it", path, workbox(theirs))
	}
}

// workbox names the tool that makes most sites' workers.
func workbox(text string) string {
	if strings.Contains(strings.ToLower(text), "workbox") {
		return " (Workbox)"
	}
	return ""
}
