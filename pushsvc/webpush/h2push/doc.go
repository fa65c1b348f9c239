// Package h2push is an HTTP/2 client (RFC 9113) for one kind of exchange: a
// small POST whose answer is a status and a few bytes. That is all that Web
// Push needs (RFC 8030), and doing no more makes it cheap: requests of many
// callers leave in one write, a request costs no goroutine, and header fields
// that do not change from one request to the next cost one byte each.
//
// A Conn takes over a connection that is already encrypted and has agreed on
// "h2". It dials nothing, follows nothing and repeats nothing: RoundTrip gives
// an answer or an *Error that says whether the request can be repeated without
// the peer seeing it twice. How many connections there are is the caller's
// business.
//
// # Bounds
//
// Everything that the peer decides on is bounded: streams, the size of header
// blocks and answers (the latter by flow control, so that they are not even
// sent), frames that lead nowhere, the time that a write may take. Every
// request ends by its timeout, whatever the peer does.
package h2push
