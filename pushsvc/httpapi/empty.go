package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// emptyCure ends what is said of a value that is given and empty.
const emptyCure = "leave it out, or set the variable that it is filled from"

// CheckGiven refuses JSON that gives a value and leaves it empty: "", [], {}
// or null. A template or a script makes such a value of a variable that is not
// set. Read as "not given" it would send to everybody, or at once. The values of
// a site's own names are free, see [freeName]; the members that mayBeEmpty names may be empty themselves,
// those that it names as "name.*" with all that is in them.
//
// It returns a *Problem that names the first such member. body must be JSON.
func CheckGiven(body []byte, mayBeEmpty ...string) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	f := emptyFinder{dec, mayBeEmpty}
	path, what, err := f.value("")
	switch {
	case err != nil:
		return jsonProblem(err)
	case what == "" || path == "":
		return nil // an empty body is the decoder's to judge
	}
	return badField(path, fmt.Sprintf("is empty (%s): %s", what, emptyCure))
}

// emptyFinder reads JSON and looks for a value that is empty.
type emptyFinder struct {
	dec        *json.Decoder
	mayBeEmpty []string // names of members
}

// value reads one value. It returns the path of the first empty value in it,
// and how that is written; "" where no value is empty.
func (f emptyFinder) value(path string) (where, what string, err error) {
	tok, err := f.dec.Token()
	if err != nil {
		return "", "", err
	}
	switch tok {
	case nil:
		return path, "null", nil
	case "":
		return path, `""`, nil
	case json.Delim('['):
		return f.members(path, "[]", func(n int) (string, bool, error) {
			return fmt.Sprintf("%s[%d]", path, n), false, nil
		})
	case json.Delim('{'):
		return f.members(path, "{}", func(int) (string, bool, error) {
			name, err := f.dec.Token()
			if err != nil {
				return "", false, err
			}
			member := fmt.Sprint(name)
			free := freeName(member) || member == "data" || slices.Contains(f.mayBeEmpty, member+".*")
			return strings.TrimPrefix(path+"."+member, "."), free, nil
		})
	}
	return "", "", nil
}

// members reads the rest of a list or an object; empty is how it is written
// without a member. next returns the path of the next value, and whether that is
// free to be empty.
func (f emptyFinder) members(path, empty string, next func(n int) (string, bool, error)) (where, what string, err error) {
	n := 0
	for ; f.dec.More(); n++ {
		member, free, err := next(n)
		if err != nil {
			return "", "", err
		}
		if free {
			var skip json.RawMessage
			if err := f.dec.Decode(&skip); err != nil {
				return "", "", err
			}
			continue
		}
		where, what, err := f.value(member)
		mayBe := where == member && slices.Contains(f.mayBeEmpty, member[strings.LastIndexByte(member, '.')+1:])
		if err != nil || what != "" && !mayBe {
			return where, what, err
		}
	}
	if _, err := f.dec.Token(); err != nil {
		return "", "", err
	}
	if n == 0 {
		return path, empty, nil
	}
	return "", "", nil
}

// checkQuery refuses query parameters that are given and empty. A cursor may be:
// whoever follows pages in a loop begins without one.
func checkQuery(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return problem(http.StatusBadRequest, "the address has a query that cannot be read: "+err.Error())
	}
	for name, values := range query {
		if name != "cursor" && slices.Contains(values, "") {
			return badField(name, "is empty: "+emptyCure)
		}
	}
	return nil
}
