package webpush

import (
	"errors"
	"fmt"
	"strings"
)

// maxDetail is how much of a push service's own text an error contains.
const maxDetail = 160

// vapidError is an error of making a token.
type vapidError struct{ cause error }

func (e *vapidError) Error() string { return "making the VAPID token: " + e.cause.Error() }
func (e *vapidError) Unwrap() error { return e.cause }

// sendError is a transport failure without secrets. It has no Unwrap, because the cause's text may contain
// secrets; errors.Is still works.
type sendError struct {
	host  string
	cause error
	text  string
}

func (e *sendError) Error() string        { return "sending to " + e.host + ": " + e.text }
func (e *sendError) Is(target error) bool { return errors.Is(e.cause, target) }

// Format keeps %+v and %#v from printing the cause.
func (e *sendError) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// answerError returns the error for a refusal.
func answerError(host string, got answer, endpoint string) error {
	detail := got.header.Get("X-Wns-Error-Description")
	if detail == "" {
		detail = string(got.text)
	}
	if detail = withhold(detail, endpoint); detail == "" {
		return fmt.Errorf("%s answered %d", host, got.status)
	}
	return fmt.Errorf("%s answered %d: %s", host, got.status, detail)
}

// withhold makes foreign text safe for a log: one printable ASCII line of bounded length, or a placeholder if
// it repeats anything that looks like a part of the endpoint or of our token.
func withhold(text, endpoint string) string {
	_, secret, _ := strings.Cut(strings.TrimPrefix(endpoint, "https://"), "/")
	for piece := range strings.FieldsFuncSeq(secret, isNotTokenRune) {
		if repeats(text, piece) {
			return "[withheld: it repeats the endpoint]"
		}
	}
	if strings.Contains(text, jwtHeader[:12]) {
		return "[withheld: it repeats the token]"
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text[:min(len(text), maxDetail)])
	return strings.Join(strings.Fields(text), " ")
}

// repeats reports whether text contains piece or a good part of it: any run of 23 characters contains one of
// the windows.
func repeats(text, piece string) bool {
	const window = 12
	if len(piece) < window {
		return len(piece) >= 8 && strings.Contains(text, piece)
	}
	for i := 0; i+window <= len(piece); i += window {
		if strings.Contains(text, piece[i:i+window]) {
			return true
		}
	}
	return false
}

func isNotTokenRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
