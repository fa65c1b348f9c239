// Package pushsvc is the model of a web push service: sites, the subscriptions of their visitors, the
// messages that operators send, the receipts that come back, the VAPID keys, and the contracts of the stores
// of each.
//
// The package does no I/O. Three subjects have their own packages: people, popup, prompt. store.Store is the
// sum of the stores of all subjects. The other packages do the work:
//
//   - webpush sends one message to one endpoint.
//   - delivery sends one message to an audience.
//   - service has the use cases that all front ends share.
//   - httpapi speaks HTTP.
//   - store/… keep the data.
//   - web has the browser side.
//
// # Names
//
// A site is one web origin, named by its canonical host as SiteName returns it: "shop.example.com", or
// "localhost:8080" if the port is not the scheme's default. Sites share a store but never see each other's
// rows.
//
// A subscription is the result of PushManager.subscribe in one browser (Push API §8): a capability URL (the
// endpoint) and two public keys. Anyone who knows the endpoint and the keys can push, so all three are
// secrets: they appear in no log, metric or error. SubscriptionID is a number that means nothing outside the
// store.
//
// A message is an operator's content for an audience: the options of the Notifications API with RFC 8030's TTL,
// Urgency and Topic. It is durable before it is acknowledged. Its Progress counts each recipient in exactly
// one state.
package pushsvc
