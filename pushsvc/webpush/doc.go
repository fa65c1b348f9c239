// Package webpush sends one message to one push endpoint: it encrypts for the
// subscription (RFC 8291 on RFC 8188), signs for the application server
// (VAPID, RFC 8292), posts over HTTP/2 (RFC 8030) and says what the answer
// means for the subscription.
//
// It knows nothing of campaigns, stores or retries: Client.Send makes one
// attempt and gives back a Result, and the caller decides what comes next
// from the Result's Class.
//
// # Trust
//
// Endpoints are posted by anonymous visitors and are capabilities: whoever has
// one can push. So:
//
//   - Services.Check lets only known push services through, comparing the
//     parsed host and nothing else. It runs when a subscription is taken in
//     and again before every send.
//   - PublicDialer refuses, after name resolution and on every dial, each
//     address that is not public, so that a name that points inwards is of no
//     use. Neither proxies from the environment nor redirects are followed.
//   - No error, and nothing that formats a KeyPair, contains an endpoint, a
//     subscription key, a token or a private key.
//
// # Units
//
// Binary keys are arrays, the text form is base64url (RFC 4648 §5). Times to
// live are whole seconds as on the wire, other spans are time.Duration. Sizes
// are bytes.
package webpush
