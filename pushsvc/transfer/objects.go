package transfer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// objects reads records that are JSON objects: one per line, or inside a list or an object around all of
// them.
type objects struct {
	splitter
	// lines is true if each line is a record: a fault then ends with its line.
	lines bool
	// open are the closing brackets of the containers around the records. It is empty if records follow one
	// another without a container, each over any number of lines.
	open  []byte
	bare  bool // there is no container
	ended bool
	kind  Format
}

// maxOpen is the maximum number of containers around a record.
const maxOpen = 32

// sampleLength is how many bytes are inspected to find the kind of JSON.
const sampleLength = 4 << 10

func newObjects(b *bufio.Reader, line int, first byte) *objects {
	o := &objects{splitter: splitter{b: b, line: line}}
	sample, _ := b.Peek(sampleLength)
	switch {
	case first == '[':
		o.open = []byte{']'}
	case isMap(sample) || wrapsList(sample):
		o.open = []byte{'}'}
	default:
		head, _, whole := bytes.Cut(sample, []byte("\n"))
		head = bytes.TrimSpace(head)
		// A record over several lines does not end on the first one.
		o.lines = !whole || bytes.HasSuffix(head, []byte("}"))
		o.bare = true
	}
	if !o.bare {
		_, _ = o.readByte()
	}
	return o
}

// members calls fn for each member of the object at the beginning of a sample, with the part of its value
// that the sample has, until fn returns false or the sample ends.
func members(sample []byte, fn func(name string, value []byte) bool) {
	if len(sample) == 0 {
		return
	}
	s := splitter{b: bufio.NewReader(bytes.NewReader(sample[1:]))}
	for {
		c, err := s.skipSpace()
		if err == nil && c == ',' {
			_, _ = s.readByte()
			c, err = s.skipSpace()
		}
		if err != nil || c != '"' || s.take() != nil {
			return
		}
		name := string(bytes.Trim(s.value, `"`))
		if c, err = s.skipSpace(); err != nil || c != ':' {
			return
		}
		_, _ = s.readByte()
		if _, err := s.skipSpace(); err != nil {
			return
		}
		cut := s.take()
		if len(s.value) == 0 || !fn(name, s.value) || cut != nil {
			return
		}
	}
}

// recordNames are members that a record may have before its endpoint.
var recordNames = []string{"keys", "subscription", "subscriptionOptions", "web", "topics", "_id", "id", "expirationTime"}

// isMap reports whether an object maps names to records, as a Firebase database exports them, or is
// {"subscriptions": [...]}, rather than a record: its first member is an object or list with a name that no
// record has.
func isMap(sample []byte) (mapped bool) {
	members(sample, func(name string, value []byte) bool {
		mapped = (value[0] == '{' || value[0] == '[') && !slices.Contains(recordNames, name)
		return false
	})
	return mapped
}

// wrapsList reports whether an object is a container: before any member of a record, it has a list of
// records, as in {"total": 2, "data": [...]} or phpMyAdmin's {"type": "table", ..., "data": [...]}, or
// several records as text.
func wrapsList(sample []byte) (wraps bool) {
	texts := 0
	members(sample, func(name string, value []byte) bool {
		if slices.Contains(recordNames[:4], name) || slices.Contains(aliases["endpoint"], strings.ToLower(name)) {
			return false
		}
		if value[0] == '"' && bytes.Contains(value, []byte(`\"endpoint\"`)) {
			texts++
		}
		wraps = value[0] == '[' && hasRecord(value) || texts == 2
		return !wraps
	})
	return wraps
}

// hasRecord reports whether the beginning of a list may have a record.
func hasRecord(list []byte) bool {
	for _, name := range aliases["endpoint"] {
		if bytes.Contains(list, []byte(`"`+name+`"`)) || bytes.Contains(list, []byte(`\"`+name+`\"`)) {
			return true
		}
	}
	return false
}

// next implements the Reader.
func (o *objects) next() (Record, error) {
	if o.ended {
		return Record{}, io.EOF
	}
	line, err := o.nextValue()
	for err == nil && isHeader(o.value) {
		line, err = o.nextValue()
	}
	if err != nil {
		return Record{}, o.fault(line, err)
	}
	rec, kind, err := parseObject(o.value)
	var bad *RecordError
	if errors.As(err, &bad) {
		bad.Line = line
		return Record{}, bad
	}
	if o.kind == "" {
		o.kind = kind
	}
	rec.Line = line
	return rec, err
}

// isHeader reports whether an object is one that phpMyAdmin writes before a table.
func isHeader(value []byte) bool {
	var head struct{ Type, Version, Name string }
	return bytes.HasPrefix(value, []byte(`{"type":`)) && json.Unmarshal(value, &head) == nil &&
		(head.Type == "header" && head.Version != "" || head.Type == "database" && head.Name != "")
}

// nextValue reads the next record into o.value and returns the line where it began.
func (o *objects) nextValue() (line int, err error) {
	for {
		c, err := o.skipSpace()
		if errors.Is(err, io.EOF) && len(o.open) > 0 {
			return o.line, io.ErrUnexpectedEOF
		}
		if err != nil {
			return o.line, err
		}
		line = o.line
		if o.lines {
			return line, o.takeLine()
		}
		switch {
		case o.bare:
			return line, o.take()
		case c == ',' || c == ':':
			_, _ = o.readByte()
		case c == '{' && !o.nextWraps():
			return line, o.take()
		case c == '[' || c == '{':
			if len(o.open) == maxOpen {
				return line, errTooDeep
			}
			_, _ = o.readByte()
			o.open = append(o.open, c+2) // in ASCII the closing bracket
		case c == ']' || c == '}':
			_, _ = o.readByte()
			if o.open = o.open[:len(o.open)-1]; len(o.open) == 0 {
				err := o.trailing()
				return o.line, err
			}
		default:
			if err := o.take(); err != nil {
				return line, err
			}
			if o.isNotRecord() {
				continue
			}
			return line, nil
		}
	}
}

// nextWraps reports whether the next object is another container.
func (o *objects) nextWraps() bool {
	sample, _ := o.b.Peek(sampleLength)
	if len(sample) > 0 && bytes.HasPrefix(bytes.TrimLeft(sample[1:], " \t\r\n"), []byte(`"endpoint"`)) {
		return false // true for most
	}
	return wrapsList(sample)
}

// isNotRecord reports whether the value just taken is not a record: a member's name, or a member beside the
// records.
func (o *objects) isNotRecord() bool {
	if c, err := o.skipSpace(); err == nil && c == ':' {
		return true
	}
	return o.open[len(o.open)-1] == '}' && !bytes.Contains(o.value, []byte(`\"endpoint\"`))
}

// trailing checks that nothing follows the container.
func (o *objects) trailing() error {
	switch _, err := o.skipSpace(); {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return err
	default:
		return errTrailing
	}
}

// errTooDeep means that more containers are open than a list of records has.
var errTooDeep = fmt.Errorf("there are more than %d lists or objects around the records", maxOpen)

var errTrailing = errors.New("something follows the end of the list")

// fault turns an error into the one that next returns.
func (o *objects) fault(line int, err error) error {
	switch {
	case errors.Is(err, io.EOF):
		o.ended = true
		return io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		o.ended = true
		return &RecordError{Line: line, Problem: "the file ends in the middle: it may have been cut off"}
	case errors.Is(err, errTrailing), errors.Is(err, errTooDeep):
		o.ended = true
		return &RecordError{Line: line, Problem: err.Error()}
	case errors.Is(err, errTooLong):
		// Without lines the start of the next record is unknown.
		o.ended = !o.lines
		return &RecordError{Line: line, Problem: "the record " + err.Error()}
	default:
		return err
	}
}
