package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
)

// EmptyCure ends the message about a value that is given and empty.
const EmptyCure = "leave it out, or set the variable that it is filled from"

// CheckGiven refuses JSON with a member whose value is empty: "", [], {} or null. A template or a
// script produces such a value from a variable that is not set. Read as "not given" it would send
// to all subscribers, or at once.
//
//   - The values of a site's own names may be empty, see [freeName].
//   - The members that mayBeEmpty names may be empty, and for "name.*" everything in them too.
//
// It returns a *api.Problem that names the first such member. body must be JSON.
func CheckGiven(body []byte, mayBeEmpty ...string) error {
	dec := jsontext.NewDecoder(bytes.NewReader(body), Lenient, jsontext.AllowDuplicateNames(true))
	for {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return JSONProblem(body, nil, err)
		}
		pointer := dec.StackPointer()
		name := pointer.LastToken()
		if in, n := dec.StackIndex(dec.StackDepth()); in == jsontext.KindBeginObject && n%2 == 1 {
			if freeName(name) || name == "data" || slices.Contains(mayBeEmpty, name+".*") {
				err = dec.SkipValue()
			}
			if err != nil {
				return JSONProblem(body, nil, err)
			}
			continue
		}
		// The decoder decides about an empty body.
		if what := emptyValue(dec, token); what != "" && pointer != "" && !slices.Contains(mayBeEmpty, name) {
			return api.FieldProblem(fieldPath(pointer), fmt.Sprintf("is empty (%s): %s", what, EmptyCure))
		}
	}
}

// emptyValue returns the text of the value that the token begins if the value is empty, else "".
func emptyValue(dec *jsontext.Decoder, token jsontext.Token) string {
	switch kind := token.Kind(); {
	case kind == jsontext.KindNull:
		return "null"
	case kind == jsontext.KindString && token.String() == "":
		return `""`
	case kind == jsontext.KindBeginArray && dec.PeekKind() == jsontext.KindEndArray:
		return "[]"
	case kind == jsontext.KindBeginObject && dec.PeekKind() == jsontext.KindEndObject:
		return "{}"
	}
	return ""
}

// freeName reports whether a member's value has names of a site's own, which may have
// empty values.
func freeName(name string) bool {
	switch name {
	case "props", "set", "value", "kv", "query":
		return true
	}
	return false
}

// CheckQuery refuses query parameters that are given and empty, except a cursor: a client that
// follows pages in a loop begins without one.
func CheckQuery(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return api.NewProblem(http.StatusBadRequest, "the address has a query that cannot be read: "+err.Error())
	}
	for name, values := range query {
		if name != "cursor" && slices.Contains(values, "") {
			return api.FieldProblem(name, "is empty: "+EmptyCure)
		}
	}
	return nil
}
