package h2push

import (
	"errors"
	"fmt"

	"golang.org/x/net/http2"
)

// Causes of an Error, besides errors of the network and of a context, and the types below.
var (
	// ErrClosed: this side closed the connection.
	ErrClosed = errors.New("the connection was closed")
	// ErrFull: the peer lowered its limit of streams after Reserve.
	ErrFull = errors.New("the connection has no stream left")
	// ErrSilent: the peer did not answer a PING.
	ErrSilent = errors.New("the peer answers no PING")
)

// Error is why a request got no answer.
type Error struct {
	// Unprocessed is true if the peer did not process the request and never will: it did not get all of it,
	// or said so (RFC 9113 §8.7). The request can be repeated at once.
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

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// ResetError is the peer's RST_STREAM (RFC 9113 §6.4).
type ResetError struct{ Code http2.ErrCode }

// Error implements error.
func (e *ResetError) Error() string { return "the peer reset the stream: " + e.Code.String() }

// GoAwayError is the peer's GOAWAY (RFC 9113 §6.8). Debug is the beginning of the peer's text, for a log,
// after cleaning.
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

// ProtocolError is the peer's violation of HTTP/2 that ended the connection.
type ProtocolError struct {
	Code    http2.ErrCode // as sent to the peer
	Problem string
}

// Error implements error.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("the peer violates HTTP/2 (%s): %s", e.Code, e.Problem)
}

func violationOf(code http2.ErrCode, problem string) error { return &ProtocolError{code, problem} }

// panicError is a panic in one of a connection's goroutines.
type panicError struct{ value any }

// Error implements error. The value's text may contain anything, so only its type is named, unless it is the
// runtime's error.
func (e *panicError) Error() string {
	if err, ok := e.value.(interface{ RuntimeError() }); ok {
		return fmt.Sprintf("panic: %v", err)
	}
	return fmt.Sprintf("panic of type %T", e.value)
}
