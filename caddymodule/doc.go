// Package caddymodule adds web push to any site behind Caddy with one line,
// "webpush", in front of reverse_proxy.
//
// Modules:
//
//   - the app webpush has what sites share: store, keys, delivery
//   - the handler http.handlers.webpush serves one site
//   - admin.api.webpush has the admin routes
//   - webpush.storage.* are the stores
//   - the command is "caddy webpush"
//
// # Life cycle
//
// Caddy provisions a new config while the old one serves, and may then discard it;
// "caddy validate" provisions beside a running server. So Provision changes nothing
// outside the process. Start takes the store from a pool that all configs of the
// process share (a bbolt file can be opened only once). Cleanup releases what Start
// took. Stop would be too early: requests of the old config run until every app has
// stopped.
//
// If a store can't be opened, Caddy still serves: pages pass unchanged, push
// endpoints answer 503, the log reports why, and opening is retried until it works.
package caddymodule
