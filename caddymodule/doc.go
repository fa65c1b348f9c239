// Package caddymodule gives any site behind Caddy web push by one line,
// "webpush", in front of reverse_proxy.
//
// Modules: the app webpush, which holds what sites share (store, keys,
// delivery); the handler http.handlers.webpush, which is one site's part; the
// admin routes admin.api.webpush; the stores webpush.storage.*; and the
// command "caddy webpush".
//
// # Life cycle
//
// Caddy provisions a new config while the old one serves, and may then throw
// it away; "caddy validate" provisions beside a running server. So Provision
// touches nothing outside the process. Start takes the store from a pool that
// all configs of the process share (a bbolt file can be opened once only), and
// Cleanup gives back what Start took. Cleanup, not Stop: requests of the old
// config go on until every app has stopped.
//
// A store that cannot be opened does not keep Caddy from serving: pages pass
// untouched, push endpoints answer 503, the log says why, and opening is tried
// again until it works.
package caddymodule
