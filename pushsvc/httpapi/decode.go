package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// maxDepth is how deep JSON may nest.
const maxDepth = 16

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

// decodeJSON decodes exactly one JSON value. It refuses what encoding/json
// alone lets pass and what has two meanings: names that occur twice in any
// spelling, bytes that are not UTF-8, data after the value. strict also
// refuses names that v does not have.
func decodeJSON(body []byte, v any, strict bool) error {
	if !utf8.Valid(body) {
		return problem(http.StatusBadRequest, "the body is not UTF-8")
	}
	if err := checkNames(body); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if strict {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(v); err != nil {
		if strict {
			if where := faultOf(body, v); where != nil {
				return where
			}
		}
		return jsonProblem(err)
	}
	return nil
}

// decodeFilled is decodeJSON, strict, for what operators send. It also refuses
// values that are given and empty, see [CheckGiven].
func decodeFilled(body []byte, v any, mayBeEmpty ...string) error {
	if err := decodeJSON(body, v, true); err != nil {
		return err
	}
	return CheckGiven(body, mayBeEmpty...)
}

// decodeRecord decodes what browsers tell. An entry of a batch that can't be read
// is left out and counted, because a browser would lose the rest with it: it
// does not repeat what is refused. Reports of workers are refused as a whole.
func decodeRecord(body []byte) (req service.RecordRequest, err error) {
	if !utf8.Valid(body) {
		return req, problem(http.StatusBadRequest, "the body is not UTF-8")
	}
	if req, ok := decodeWhole(body); ok {
		return req, nil
	}
	return decodeEntries(body)
}

// decodeWhole decodes at once what has nothing that is left out or refused, which
// is what browsers send; else false, and nothing said.
func decodeWhole(body []byte) (req service.RecordRequest, ok bool) {
	if !namesOnce(body) || json.Unmarshal(body, &req) != nil {
		return req, false
	}
	return req, req.Batch == "" || len(req.Events) <= people.MaxEntries
}

// decodeEntries decodes one entry after the other.
func decodeEntries(body []byte) (req service.RecordRequest, err error) {
	var raw struct {
		Batch   string            `json:"batch"`
		Session string            `json:"session"`
		Seed    string            `json:"seed"`
		Sent    float64           `json:"sent"`
		Events  []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return req, jsonProblem(err)
	}
	if raw.Batch == "" {
		return req, decodeJSON(body, &req, false)
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
		if err := decodeJSON(text, &e, false); err != nil {
			req.Malformed++
			continue
		}
		req.Events = append(req.Events, e)
	}
	return req, nil
}

// checkTopNames is checkNames for the members of the outermost object alone.
func checkTopNames(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	names := map[string]bool{}
	if _, err := dec.Token(); err != nil {
		return jsonProblem(err)
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return jsonProblem(err)
		}
		name := strings.ToLower(strings.ToUpper(fmt.Sprint(tok)))
		if names[name] {
			return problem(http.StatusBadRequest, "an object names a member twice")
		}
		names[name] = true
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil {
			return jsonProblem(err)
		}
	}
	return nil
}

func jsonProblem(err error) error {
	var field *pushsvc.FieldError
	var typ *json.UnmarshalTypeError
	if errors.As(err, &field) {
		return field
	}
	if errors.Is(err, io.EOF) {
		return problem(http.StatusBadRequest, "the body is empty: JSON is missing")
	}
	if errors.As(err, &typ) && typ.Field != "" {
		return badField(fieldPath(typ.Field), "is not "+jsonKind(typ.Type.String()))
	}
	if errors.As(err, &typ) {
		return problem(http.StatusBadRequest, "the body is not a JSON object")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return badField(strings.Trim(name, `"`), "is not a field of this request")
	}
	return problem(http.StatusBadRequest, "the body is not JSON: "+strings.TrimPrefix(err.Error(), "json: "))
}

// fieldPath is the path as the sender spelled it: encoding/json also names the
// Go structs that are embedded on the way, which begin with a capital as no
// field of ours does.
func fieldPath(path string) string {
	names := slices.DeleteFunc(strings.Split(path, "."), func(name string) bool {
		return name != "" && name[0] >= 'A' && name[0] <= 'Z'
	})
	return strings.Join(names, ".")
}

// jsonKind says in JSON's words what a Go type takes.
func jsonKind(goType string) string {
	goType = strings.TrimPrefix(goType, "*")
	switch {
	case goType == "bool":
		return "true or false"
	case goType == "string" || strings.HasSuffix(goType, "Urgency") || strings.HasSuffix(goType, "Kind") || strings.HasSuffix(goType, "PopupState") || strings.HasSuffix(goType, "Secret"):
		return "a string"
	case strings.HasPrefix(goType, "int") || strings.HasPrefix(goType, "float") || strings.HasPrefix(goType, "uint"):
		return "a number of the right range"
	case strings.HasPrefix(goType, "["):
		return "a list"
	default:
		return "an object"
	}
}
