// Package e2e tests the product end to end in a real Chromium and a real
// Firefox that receive real pushes, without the internet.
//
// The parts, each a package of its own:
//
//   - [github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice] is what
//     every push service does: it takes POSTs over HTTPS and judges them.
//   - [github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/fakefcm] hands them to
//     Chromium, [github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/fakeautopush]
//     to Firefox.
//   - [github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/notifyd] is the desktop
//     that shows notifications and on which somebody clicks.
//   - [github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser] drives the two
//     browsers through one interface.
//
// The browser tests carry the build tag e2e:
//
//	go test -tags e2e ./caddymodule/e2e/...
//
// The README's pictures of what visitors see are Chromium's:
//
//	WEBPUSH_E2E_PICTURES=$PWD/.github/images go test -tags e2e -count=1 -run 'Looks?$/Chromium' ./caddymodule/e2e/
//
// Both browsers go through a test at once, each at sites, with a push service and on
// a desktop of its own. Their tests wait for what has to come, for as long as the
// slowest machine may take, and where nothing is to come for the word that this was
// decided; a pause is the last resort, where nothing tells.
//
// They skip where a browser or dbus-daemon is missing, unless
// WEBPUSH_E2E_REQUIRED=1, which turns that into a failure. Firefox also needs
// libnotify (libnotify.so.4) to show notifications on the desktop. TestSites needs
// Node and what "npm ci --ignore-scripts" installs in the folder sites.
package e2e
