// Package web holds the browser side of push: the page SDK and the service
// worker, built from the TypeScript under src and committed under dist. It
// imports nothing but the standard library; esbuild is only in the build
// command. DESIGN.md has the decisions.
package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
)

//go:generate go run ./build

// placeholder is a free identifier in the built scripts, once in each.
const placeholder = "__WEBPUSH_CONFIG__"

// Nothing writes to the scripts.
var (
	//go:embed dist/sdk.js
	sdk []byte

	//go:embed dist/sw.js
	worker []byte

	//go:embed dist/tell.js
	tell []byte

	//go:embed dist/retire.js
	retireSDK []byte

	//go:embed dist/retire-sw.js
	retireWorker []byte
)

// Version names the scripts: eight hexadecimal digits over all that a page and
// its worker load.
func Version() string {
	sum := sha256.New()
	sum.Write(sdk)
	sum.Write(worker)
	sum.Write(frame)
	sum.Write(tell)
	for _, name := range lazyModules {
		body, _ := Module(name)
		sum.Write(body)
	}
	return hex.EncodeToString(sum.Sum(nil)[:4])
}

// SDK returns the page script of a site in a slice of its own, to be served as
// text/javascript. config is the site's config object (src/shared/server.ts,
// SiteConfig) as json.Marshal wrote it: its escaping of <, >, &, U+2028 and U+2029
// makes the JSON a valid expression in any script.
func SDK(config []byte) []byte {
	return bytes.Replace(sdk, []byte(placeholder), config, 1)
}

// Worker returns the service worker of a site in a slice of its own, to be
// served as text/javascript. config is as for SDK, with "standalone":true if
// the worker is served alone. To append it to the site's own worker, leave that
// out and put "\n;" in between; the script is one expression statement without
// directive, import, export or fetch listener, for classic and module workers.
func Worker(config []byte) []byte {
	return bytes.Replace(worker, []byte(placeholder), config, 1)
}

// Tell returns, in a slice of its own, the script to append to the worker, with
// "\n;" in between, if pages listen for notifications by another provider's
// names. It has the form that Worker describes.
func Tell() []byte { return bytes.Clone(tell) }

// RetireSDK returns the script to serve in place of the page script when a site
// retires push: it ends the browser's subscription and forgets the visitor.
// config is as for SDK.
func RetireSDK(config []byte) []byte {
	return bytes.Replace(retireSDK, []byte(placeholder), config, 1)
}

// RetireWorker returns the script to serve in place of our worker when a site
// retires push: browsers install it by their own update check, and it ends the
// subscription and unregisters itself. It must never be appended to another
// script. config is as for SDK.
func RetireWorker(config []byte) []byte {
	return bytes.Replace(retireWorker, []byte(placeholder), config, 1)
}
