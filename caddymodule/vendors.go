package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// vendor is a push provider whose web SDK registers a service worker on the
// site's own origin.
type vendor struct {
	// name is what the option migrate_from calls it.
	name string
	// workers are the paths where its worker is by the provider's own documentation
	// or SDK; with anyFolder in front, that file in any folder. Sites may have put it
	// elsewhere; then they name the path.
	workers []string
}

// vendorTable has the providers whose paths could be looked up: in their published
// SDKs (clevertap, onesignal, firebase, moengage), in their documentation (airship,
// pushwoosh), or in their plug-ins and what many sites have (insider, pushengage,
// sendpulse, webpushr).
var vendorTable = []vendor{
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
		anyFolder + "OneSignalSDK.sw.js",
		anyFolder + "OneSignalSDKUpdaterWorker.js", anyFolder + "OneSignalSDKUpdaterWorker.js.php",
		anyFolder + "OneSignalSDKWorker.js", anyFolder + "OneSignalSDKWorker.js.php",
	}},
	{"pushengage", []string{"/service-worker.js"}},
	{"pushwoosh", []string{"/pushwoosh-service-worker.js"}},
	{"sendpulse", []string{"/sp-push-worker-fb.js"}},
	{"webpushr", []string{"/webpushr-sw.js"}},
}

// anyFolder begins a path that stands for a file in any folder. The page script
// reads it, too (pushsvc/web/src/sdk/worker.ts, isVendors).
const anyFolder = "*/"

// isVendorWorker reports whether a path is one of those of vendorWorkers.
func isVendorWorker(workers []string, p string) bool {
	return slices.ContainsFunc(workers, func(worker string) bool {
		name, any := strings.CutPrefix(worker, "*")
		return worker == p || any && strings.HasSuffix(p, name)
	})
}

// vendorScripts match the addresses of the page scripts of those providers whose page
// API we speak, as pages and scripts write them. Go and browsers read them.
var vendorScripts = map[string]string{
	"clevertap": `^(https?:)?//([^/]*\.)?(clevertap(-prod)?\.com|wzrkt\.com|d2r1yp2w7bby2u\.cloudfront\.net)/`,
	"onesignal": `^(https?:)?//([^/]*\.)?onesignal\.com/|/OneSignalSDK(\.page(\.es6)?)?\.js([?#]|$)`,
}

// vendorNames are the providers that are known by name.
func vendorNames() []string {
	names := make([]string, len(vendorTable))
	for i, v := range vendorTable {
		names[i] = v.name
	}
	return names
}

// vendorWorkers are the paths of the workers of what migrate_from names, each
// once.
func vendorWorkers(from []string) []string {
	var paths []string
	for _, entry := range from {
		if strings.HasPrefix(entry, "/") {
			paths = append(paths, entry)
			continue
		}
		for _, v := range vendorTable {
			if v.name == entry {
				paths = append(paths, v.workers...)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// checkVendors says which entry of migrate_from is wrong.
func checkVendors(from []string) error {
	const option = "migrate_from"
	for _, entry := range from {
		if strings.HasPrefix(entry, "/") {
			if err := checkPath(option, entry, "/js/worker.js"); err != nil {
				return err
			}
			continue
		}
		if slices.Contains(vendorNames(), entry) {
			continue
		}
		if near := pushsvc.Nearest(entry, vendorNames()); near != "" {
			return &optionError{option, fmt.Sprintf("%q is not known; did you mean %q?", entry, near)}
		}
		return &optionError{option, fmt.Sprintf("%q is not known; known are: %s; for others write the path of their service worker, such as /js/worker.js",
			entry, strings.Join(vendorNames(), ", "))}
	}
	return nil
}
