package h2push

import (
	"errors"
	"fmt"

	"golang.org/x/net/http2"
)

// Causes of an Error besides those of the network, of a context and the types
// below.
var (
	// ErrClosed: the connection was closed from this side.
	ErrClosed = errors.New("the connection was closed")
	// ErrFull: the peer lowered its limit of streams after Reserve.
	ErrFull = errors.New("the connection has no stream left")
	// ErrSilent: the peer did not answer a PING.
	ErrSilent = errors.New("the peer answers no PING")
)

// Error says why a request got no answer.
type Error struct {
	// Unprocessed is true where the peer did not act on the request and never
	// will, as it did not get all of it or says so (RFC 9113 §8.7). It can
	// then be repeated at once.
	Unprocessed bool
	cause       error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Unprocessed {
		return "HTTP/2: request not processed: " + e.cause.Error()
	}
	return "HTTP/2: " + e.cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// ResetError is the peer's RST_STREAM (RFC 9113 §6.4).
type ResetError struct{ Code http2.ErrCode }

// Error implements error.
func (e *ResetError) Error() string { return "the peer reset the stream: " + e.Code.String() }

// GoAwayError is the peer's GOAWAY (RFC 9113 §6.8). Debug is the beginning of
// what the peer says about it, for a log, after cleaning.
type GoAwayError struct {
	Code  http2.ErrCode
	Debug string
}

// Error implements error.
func (e *GoAwayError) Error() string {
	if e.Debug == "" {
		return "the peer retires the connection: " + e.Code.String()
	}
	return fmt.Sprintf("the peer retires the connection: %s: %s", e.Code, e.Debug)
}

// ProtocolError is a breach of HTTP/2 by the peer that ended the connection.
type ProtocolError struct {
	Code    http2.ErrCode // as it was said to the peer
	Problem string
}

// Error implements error.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("the peer breaks HTTP/2 (%s): %s", e.Code, e.Problem)
}

func breach(code http2.ErrCode, problem string) error { return &ProtocolError{code, problem} }

// panicError is a panic in one of a connection's goroutines.
type panicError struct{ value any }

// Error implements error. The value's text could hold anything, so its type
// alone is named, unless it is the runtime's.
func (e *panicError) Error() string {
	if err, ok := e.value.(interface{ RuntimeError() }); ok {
		return fmt.Sprintf("panic: %v", err)
	}
	return fmt.Sprintf("panic of type %T", e.value)
}
