package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// ReadTimeout is how long a body may take from the first byte to the last, so that a slow client
// cannot hold a connection open.
const ReadTimeout = 5 * time.Second

// LimitReading is StartReading for a request whose body no handler may read: the server reads it
// before it answers.
func LimitReading(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		StartReading(w)
	}
}

// StartReading starts ReadTimeout. If the request fails, the limit stays: the server reads the rest
// of the body before it answers. The limit ends with the request. Not every writer can set a
// deadline; without one, the server's own limits apply.
func StartReading(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(ReadTimeout))
}

// ReadBody reads a request's body of at most limit bytes whose media type is
// one of types.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64, types ...string) ([]byte, error) {
	StartReading(w)
	if !isMedia(r.Header.Get("Content-Type"), types) {
		return nil, api.NewProblem(http.StatusUnsupportedMediaType, "Content-Type must be "+strings.Join(types, " or "))
	}
	if ce := r.Header.Get("Content-Encoding"); ce != "" && !strings.EqualFold(ce, "identity") {
		return nil, api.NewProblem(http.StatusUnsupportedMediaType, "a body with a Content-Encoding is not accepted")
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var read bytes.Buffer
	read.Grow(int(max(0, min(r.ContentLength, maxAhead)) + bytes.MinRead))
	_, err := read.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	var max *http.MaxBytesError
	switch {
	case errors.As(err, &max):
		return nil, tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, api.NewProblem(http.StatusRequestTimeout, fmt.Sprintf("the body took longer than %v", ReadTimeout))
	case err != nil:
		return nil, api.NewProblem(http.StatusBadRequest, "the body ended early")
	}
	// A server that waits for the client to close the connection would mistake the deadline for
	// that.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return read.Bytes(), nil
}

// maxAhead is how many bytes are allocated because a request announces them.
const maxAhead = 16 << 10

// isMedia reports whether a Content-Type is one of the types.
func isMedia(contentType string, types []string) bool {
	if slices.Contains(types, contentType) {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && slices.Contains(types, media)
}

func tooLarge(limit int64) *api.Problem {
	return api.NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes, the maximum here", limit))
}

// maxDepth is how deep JSON may nest.
const maxDepth = 17

var (
	// Lenient are the options for requests of browsers: unknown members are ignored, and half of a
	// surrogate pair, which a page's text may have, becomes U+FFFD. Other bytes that are not UTF-8
	// are refused before.
	Lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true))
	// Strict are the options for requests of operators.
	Strict = json.JoinOptions(Lenient, json.RejectUnknownMembers(true))
)

// Decode decodes exactly one JSON value. It refuses names that occur twice in an
// object, bytes that are not UTF-8, data after the value, and JSON that nests deeper
// than maxDepth. Faults are a *api.Problem or a *pushsvc.FieldError.
func Decode(body []byte, v any, options json.Options) error {
	switch {
	case !utf8.Valid(body):
		return api.NewProblem(http.StatusBadRequest, "the body is not UTF-8")
	case tooDeep(body):
		return api.NewProblem(http.StatusBadRequest, fmt.Sprintf("the body nests deeper than %d levels", maxDepth))
	}
	if err := json.Unmarshal(body, v, options); err != nil {
		return JSONProblem(body, v, err)
	}
	return nil
}

// tooDeep reports whether objects and lists nest deeper than maxDepth: values of any form, such as
// an event's props, cost a stack frame for each level.
func tooDeep(body []byte) bool {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			if depth++; depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		}
	}
	return false
}

// DecodeFilled is Decode with Strict, for requests of operators. It also refuses values that are
// given and empty, see [CheckGiven].
func DecodeFilled(body []byte, v any, mayBeEmpty ...string) error {
	if err := Decode(body, v, Strict); err != nil {
		return err
	}
	return CheckGiven(body, mayBeEmpty...)
}
