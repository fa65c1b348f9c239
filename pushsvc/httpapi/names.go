package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// checkNames walks the tokens of one JSON value: objects may not name a member
// twice, not even in another case, because encoding/json would take the last.
func checkNames(body []byte) error {
	if namesOnce(body) {
		return nil
	}
	return walkNames(body)
}

func walkNames(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := checkValue(dec, 0, false); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return problem(http.StatusBadRequest, "the body has more than one JSON value")
	}
	return nil
}

// freeName says whether a member's value is a site's own, in which "a" and "A"
// are two names.
func freeName(name string) bool {
	switch name {
	case "props", "set", "value", "kv", "query":
		return true
	}
	return false
}

func checkValue(dec *json.Decoder, depth int, free bool) error {
	if depth > maxDepth {
		return problem(http.StatusBadRequest, fmt.Sprintf("the body nests deeper than %d levels", maxDepth))
	}
	tok, err := dec.Token()
	if err != nil {
		return jsonProblem(err)
	}
	var names map[string]bool
	switch tok {
	case json.Delim('{'):
		names = make(map[string]bool)
	case json.Delim('['):
	default:
		return nil
	}
	for dec.More() {
		within := free
		if names != nil {
			tok, err := dec.Token()
			if err != nil {
				return jsonProblem(err)
			}
			// Both ways, as encoding/json folds: "ſ" and "K" match "s" and "k".
			name := fmt.Sprint(tok)
			within = free || freeName(name)
			if !free {
				name = strings.ToLower(strings.ToUpper(name))
			}
			if names[name] {
				return problem(http.StatusBadRequest, "an object names a member twice")
			}
			names[name] = true
		}
		if err := checkValue(dec, depth+1, within); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing delimiter
		return jsonProblem(err)
	}
	return nil
}

// namesOnce is checkNames for what browsers send, without a token or a map: true
// where each object's names are plainly different. False is no answer: names with
// escapes or beyond ASCII, objects of many members and what is no JSON are
// checkNames'. Texts, numbers and the like are passed over unread: whoever
// decodes the value refuses those that are none.
func namesOnce(body []byte) bool {
	var room [64][]byte // names of the objects that are open
	s := nameScan{body: body, names: room[:0]}
	return s.value(0, false) && s.next() == 0 && s.at == len(body)
}

// maxCompared is how many members an object may have for each to be compared
// with all others.
const maxCompared = 32

type nameScan struct {
	body  []byte
	at    int
	names [][]byte
}

// next passes over white space and gives the byte behind it, 0 at the end.
func (s *nameScan) next() byte {
	for ; s.at < len(s.body); s.at++ {
		switch c := s.body[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take passes over the byte, which has to come next.
func (s *nameScan) take(c byte) bool {
	if s.next() != c {
		return false
	}
	s.at++
	return true
}

func (s *nameScan) value(depth int, free bool) bool {
	if depth > maxDepth {
		return false
	}
	switch s.next() {
	case '{':
		return s.object(depth, free)
	case '[':
		return s.list(depth, free)
	case '"':
		_, _, ok := s.text()
		return ok
	}
	from := s.at
	for ; s.at < len(s.body); s.at++ {
		c := s.body[s.at]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' && c != '+' && c != '.' && c != 'E' {
			break
		}
	}
	return s.at > from
}

func (s *nameScan) list(depth int, free bool) bool {
	s.at++
	if s.take(']') {
		return true
	}
	for s.value(depth+1, free) {
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}

func (s *nameScan) object(depth int, free bool) bool {
	s.at++
	if s.take('}') {
		return true
	}
	before := len(s.names)
	for s.next() == '"' {
		name, kind, ok := s.text()
		if !ok || kind == escaped || kind == beyondASCII && !free || len(s.names)-before == maxCompared ||
			named(s.names[before:], name, free) || !s.take(':') {
			return false
		}
		s.names = append(s.names, name)
		if !s.value(depth+1, free || freeName(string(name))) {
			return false
		}
		if s.take('}') {
			s.names = s.names[:before]
			return true
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}

// named says whether the name is one of those, as encoding/json compares.
func named(names [][]byte, name []byte, free bool) bool {
	for _, have := range names {
		if len(have) == len(name) && (bytes.Equal(have, name) || !free && bytes.EqualFold(have, name)) {
			return true
		}
	}
	return false
}

// textKind is how much a string's bytes say as they are.
type textKind int

const (
	plainASCII textKind = iota
	beyondASCII
	escaped
)

// text passes over a string and gives what is between its quotes.
func (s *nameScan) text() (text []byte, kind textKind, ok bool) {
	from := s.at + 1
	for s.at = from; s.at < len(s.body); s.at++ {
		switch c := s.body[s.at]; {
		case c == '"':
			text = s.body[from:s.at]
			s.at++
			return text, kind, true
		case c == '\\':
			kind = escaped
			s.at++
		case c >= 0x80:
			kind = max(kind, beyondASCII)
		}
	}
	return nil, kind, false
}
