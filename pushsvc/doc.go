// Package pushsvc is the model of a web push service: sites, the
// subscriptions of their visitors, the messages that operators send, the
// receipts that come back, the VAPID keys that hold it together, and what a
// store of each promises.
//
// The package does no I/O. Subjects of their own have their own packages:
// people, popup, prompt. store.Store is the sum of what all subjects ask of a
// store. The other packages do the work: webpush sends one message to one endpoint, delivery
// sends one message to an audience, service holds the use cases that every
// front shares, httpapi speaks HTTP, store/… keep the data, web carries what
// runs in the browser.
//
// # Names
//
// A site is one web origin, named by its canonical host as SiteName makes
// it: "shop.example.com", or "localhost:8080" where the port is not the
// scheme's own. Sites share a store but never see each other's rows.
//
// A subscription is what PushManager.subscribe gave to one browser (Push API
// §8): a capability URL (the endpoint) and two public keys. Whoever knows the
// endpoint and the keys can push, so all three are secrets: they appear in no
// log, metric or error. SubscriptionID is a number that means nothing outside
// the store.
//
// A message is what an operator wants shown: the options of the Notifications
// API with RFC 8030's TTL, Urgency and Topic. It is durable before it is
// acknowledged, and its Progress puts each recipient in exactly one state.
package pushsvc
