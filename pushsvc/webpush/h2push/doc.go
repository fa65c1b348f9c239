// Package h2push is an HTTP/2 client (RFC 9113) for one kind of exchange: a small POST whose answer is a
// status and a few bytes. Web Push needs no more (RFC 8030), and that makes it cheap: the requests of many
// callers are sent in one write, a request costs no goroutine, and header fields that stay the same cost one
// byte each.
//
// A Conn takes over a connection that is already encrypted and has negotiated "h2". It does not dial, follow
// redirects or repeat: RoundTrip returns an answer, or an *Error that reports whether the request can be
// repeated without the peer seeing it twice. The caller decides on the number of connections.
//
// # Bounds
//
// Everything that the peer controls is bounded: streams, the size of header blocks and answers (the latter by
// flow control, so that they are not even sent), useless frames, the time of a write. Every request ends by
// its timeout, whatever the peer does.
package h2push
