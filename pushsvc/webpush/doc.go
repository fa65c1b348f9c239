// Package webpush sends one message to one push endpoint: it encrypts for the subscription (RFC 8291 on RFC
// 8188), signs for the application server (VAPID, RFC 8292), posts over HTTP/2 (RFC 8030) and interprets the
// answer for the subscription.
//
// It knows nothing of campaigns, stores or retries: Client.Send makes one attempt and returns a Result, and
// the caller decides by the Result's Class what to do next.
//
// # Trust
//
// Endpoints come from anonymous visitors and are capabilities: anyone who has one can push. So:
//
//   - Services.Check accepts only known push services, by the parsed host. It runs when a subscription is
//     stored and again before every send.
//   - PublicDialer refuses, after name resolution and on every dial, each address that is not public, so that
//     a name that points to an internal host is useless. Neither proxies from the environment nor redirects
//     are followed.
//   - No error, and no formatting of a KeyPair, contains an endpoint, a subscription key, a token or a
//     private key.
//
// # Units
//
// Binary keys are arrays, the text form is base64url (RFC 4648 §5). Times to live are whole seconds as on the
// wire, other durations are time.Duration. Sizes are in bytes.
package webpush
