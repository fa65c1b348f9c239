package httpapi

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

	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// readTimeout is how long a body may take from the first byte to the last, so
// that nobody holds a connection open drop by drop.
const readTimeout = 5 * time.Second

// LimitReading is limitReading for a request that nobody may read the body of: the
// server reads it before it answers.
func LimitReading(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		limitReading(w)
	}
}

// limitReading starts readTimeout. Where the request fails, the limit stays:
// the server reads what is left of the body before it answers. It ends with
// the request. Not every writer can set a deadline; where it cannot, the
// server's own limits hold.
func limitReading(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
}

// readBody reads a request's body of at most limit bytes whose media type is
// one of types.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, types ...string) ([]byte, error) {
	limitReading(w)
	if !isMedia(r.Header.Get("Content-Type"), types) {
		return nil, problem(http.StatusUnsupportedMediaType, "Content-Type must be "+strings.Join(types, " or "))
	}
	if ce := r.Header.Get("Content-Encoding"); ce != "" && !strings.EqualFold(ce, "identity") {
		return nil, problem(http.StatusUnsupportedMediaType, "a body with a Content-Encoding is not taken")
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
		return nil, problem(http.StatusRequestTimeout, fmt.Sprintf("the body took longer than %v", readTimeout))
	case err != nil:
		return nil, problem(http.StatusBadRequest, "the body ended early")
	}
	// A server that waits for the client to hang up would take the deadline
	// for that.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return read.Bytes(), nil
}

// maxAhead is how many bytes are made room for because a request says that so
// many come.
const maxAhead = 16 << 10

// isMedia says whether a Content-Type is of one of the types.
func isMedia(contentType string, types []string) bool {
	if slices.Contains(types, contentType) {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && slices.Contains(types, media)
}

func tooLarge(limit int64) *Problem {
	return problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("what is sent is larger than %d bytes, the most that is taken here", limit))
}

// maxDepth is how deep JSON may nest.
const maxDepth = 17

var (
	// lenient are the options for what browsers send: members that are not known here are
	// passed over, and half of a surrogate pair, which a page's text may have, becomes
	// U+FFFD. Other bytes that are not UTF-8 are refused before.
	lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true))
	// strict are the options for what operators send.
	strict = json.JoinOptions(lenient, json.RejectUnknownMembers(true))
)

// decodeJSON decodes exactly one JSON value. It refuses names that occur twice in an
// object, bytes that are not UTF-8, data after the value, and JSON that nests deeper
// than maxDepth. Faults are a *Problem or a *pushsvc.FieldError.
func decodeJSON(body []byte, v any, options json.Options) error {
	switch {
	case !utf8.Valid(body):
		return problem(http.StatusBadRequest, "the body is not UTF-8")
	case tooDeep(body):
		return problem(http.StatusBadRequest, fmt.Sprintf("the body nests deeper than %d levels", maxDepth))
	}
	if err := json.Unmarshal(body, v, options); err != nil {
		return jsonProblem(body, v, err)
	}
	return nil
}

// tooDeep reports whether objects and lists nest deeper than maxDepth: values of any form,
// such as an event's props, cost a stack frame for each level.
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

// decodeFilled is decodeJSON, strict, for what operators send. It also refuses
// values that are given and empty, see [CheckGiven].
func decodeFilled(body []byte, v any, mayBeEmpty ...string) error {
	if err := decodeJSON(body, v, strict); err != nil {
		return err
	}
	return CheckGiven(body, mayBeEmpty...)
}

// decodeRecord decodes what browsers tell. An entry of a batch that can't be read
// is left out and counted, because a browser would lose the rest with it: it
// does not repeat what is refused. Reports of workers are refused as a whole.
func decodeRecord(body []byte) (req service.RecordRequest, err error) {
	err = decodeJSON(body, &req, lenient)
	if err == nil && (req.Batch == "" || len(req.Events) <= people.MaxEntries) {
		return req, nil
	}
	if !utf8.Valid(body) {
		return req, err
	}
	return decodeEntries(body)
}

// decodeEntries decodes one entry after the other.
func decodeEntries(body []byte) (req service.RecordRequest, err error) {
	var raw struct {
		Batch   string           `json:"batch"`
		Session string           `json:"session"`
		Seed    string           `json:"seed"`
		Sent    float64          `json:"sent"`
		Events  []jsontext.Value `json:"events"`
	}
	// What an entry names twice is that entry's fault.
	if err := json.Unmarshal(body, &raw, lenient, jsontext.AllowDuplicateNames(true)); err != nil {
		return req, jsonProblem(body, &raw, err)
	}
	if raw.Batch == "" {
		return req, decodeJSON(body, &req, lenient)
	}
	if err := checkTopNames(body); err != nil {
		return req, err
	}
	if len(raw.Events) > people.MaxEntries {
		return req, badField("events", fmt.Sprintf("has more than %d entries", people.MaxEntries))
	}
	req = service.RecordRequest{Batch: raw.Batch, Session: raw.Session, Seed: raw.Seed, Sent: raw.Sent}
	for _, text := range raw.Events {
		var e service.EntryInput
		if err := decodeJSON(text, &e, lenient); err != nil {
			req.Malformed++
			continue
		}
		req.Events = append(req.Events, e)
	}
	return req, nil
}

// checkTopNames refuses an object that names one of its own members twice. What is in the
// members stays unread.
func checkTopNames(body []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(body), lenient, jsontext.AllowDuplicateNames(true))
	names := map[string]bool{}
	if _, err := dec.ReadToken(); err != nil {
		return jsonProblem(body, nil, err)
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return jsonProblem(body, nil, err)
		}
		if names[name.String()] {
			return badField(name.String(), namedTwice)
		}
		names[name.String()] = true
		if err := dec.SkipValue(); err != nil {
			return jsonProblem(body, nil, err)
		}
	}
	return nil
}
