// Package providers knows the push providers whose service workers may be on a site
// already: where they are, and how pages load their scripts.
package providers

import (
	"slices"
	"strings"
)

// Provider is a push provider whose web SDK registers a service worker on the
// site's own origin.
type Provider struct {
	// Name is what the option migrate_from calls it.
	Name string
	// Workers are the paths where its worker is by the provider's own documentation
	// or SDK; with AnyFolder in front, that file in any folder. Sites may have put it
	// elsewhere; then they name the path.
	Workers []string
}

// Known has the providers whose paths could be looked up: in their published
// SDKs (clevertap, onesignal, firebase, moengage), in their documentation (airship,
// pushwoosh), or in their plug-ins and what many sites have (insider, pushengage,
// sendpulse, webpushr).
var Known = []Provider{
	// The default of its option workerUrl.
	{"airship", []string{"/push-worker.js"}},
	// The default of its option serviceWorkerPath.
	{"clevertap", []string{"/clevertap_sw.js"}},
	// Registered by the SDK with the scope /firebase-cloud-messaging-push-scope.
	{"firebase", []string{"/firebase-messaging-sw.js"}},
	{"insider", []string{"/insider-sw-sdk.js"}},
	// The default of its option swPath.
	{"moengage", []string{"/serviceworker.js"}},
	// The names are OneSignal's alone, and the folders are many: the site's root,
	// /push/onesignal/ as its documentation recommends, and in WordPress
	// sdk_files/ of the plug-in, wherever the site has its plug-ins. The updater was
	// in use until November 2021, .php is from the plug-in's second generation, and
	// .sw.js is what the worker of v16 imports.
	{"onesignal", []string{
		AnyFolder + "OneSignalSDK.sw.js",
		AnyFolder + "OneSignalSDKUpdaterWorker.js", AnyFolder + "OneSignalSDKUpdaterWorker.js.php",
		AnyFolder + "OneSignalSDKWorker.js", AnyFolder + "OneSignalSDKWorker.js.php",
	}},
	{"pushengage", []string{"/service-worker.js"}},
	{"pushwoosh", []string{"/pushwoosh-service-worker.js"}},
	{"sendpulse", []string{"/sp-push-worker-fb.js"}},
	{"webpushr", []string{"/webpushr-sw.js"}},
}

// AnyFolder begins a path that stands for a file in any folder. The page script
// reads it, too (pushsvc/web/src/sdk/worker.ts, isProviders).
const AnyFolder = "*/"

// IsWorker reports whether a path is one of those of Workers.
func IsWorker(workers []string, p string) bool {
	return slices.ContainsFunc(workers, func(worker string) bool {
		name, any := strings.CutPrefix(worker, "*")
		return worker == p || any && strings.HasSuffix(p, name)
	})
}

// Scripts match the addresses of the page scripts of those providers whose page
// API we speak, as pages and scripts write them. Go and browsers read them.
var Scripts = map[string]string{
	"clevertap": `^(https?:)?//([^/]*\.)?(clevertap(-prod)?\.com|wzrkt\.com|d2r1yp2w7bby2u\.cloudfront\.net)/`,
	"onesignal": `^(https?:)?//([^/]*\.)?onesignal\.com/|/OneSignalSDK(\.page(\.es6)?)?\.js([?#]|$)`,
}

// Names are the providers that are known by name.
func Names() []string {
	names := make([]string, len(Known))
	for i, v := range Known {
		names[i] = v.Name
	}
	return names
}

// Workers are the paths of the workers of what migrate_from names, each
// once.
func Workers(from []string) []string {
	var paths []string
	for _, entry := range from {
		if strings.HasPrefix(entry, "/") {
			paths = append(paths, entry)
			continue
		}
		for _, v := range Known {
			if v.Name == entry {
				paths = append(paths, v.Workers...)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
