// Package e2e tests the product end to end in a real Chromium and a real
// Firefox that receive real pushes, without the internet.
//
// The parts, each a package of its own:
//
//   - [github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/pushservice] does what
//     every push service does: it accepts POSTs over HTTPS and checks them.
//   - [github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/fakefcm] delivers them to
//     Chromium, [github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/fakeautopush]
//     to Firefox.
//   - [github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/notifyd] is the desktop
//     that shows notifications and lets a test click on them.
//   - [github.com/caddy-webpush/caddy-webpush/caddymodule/e2e/browser] drives the two
//     browsers through one interface.
//
// The browser tests carry the build tag e2e:
//
//	go test -tags e2e ./caddymodule/e2e/...
//
// The README's pictures of prompts and pop-ups are made with Chromium:
//
//	WEBPUSH_E2E_PICTURES=$PWD/.github/images go test -tags e2e -count=1 -run 'Looks?$/Chromium' ./caddymodule/e2e/
//
// Both browsers run a test at the same time, each with its own sites, push service
// and desktop. A test waits for an expected event as long as the slowest machine may
// take. Where nothing may happen, it waits for the trace of that decision; a pause is
// the last resort.
//
// They skip where a browser or dbus-daemon is missing, unless
// WEBPUSH_E2E_REQUIRED=1, which turns that into a failure. Firefox also needs
// libnotify (libnotify.so.4) to show notifications on the desktop. TestSites needs
// Node and what "npm ci --ignore-scripts" installs in the folder sites.
package e2e
