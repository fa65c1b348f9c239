package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
)

// objects reads records that are JSON objects: one a line, or inside of a list
// or an object around all of them.
type objects struct {
	splitter
	// lines is true where each line is a record: a fault then ends with its
	// line.
	lines bool
	// open is the container's closing bracket, or 0 where records follow one
	// another without one, over as many lines as they like.
	open  byte
	depth int // of containers
	ended bool
	kind  Format
}

// sampleLength is how much is looked at to tell what kind of JSON it is.
const sampleLength = 4 << 10

func newObjects(b *bufio.Reader, line int, first byte) *objects {
	o := &objects{splitter: splitter{b: b, line: line}}
	sample, _ := b.Peek(sampleLength)
	switch {
	case first == '[':
		o.open = ']'
	case isMap(sample):
		o.open = '}'
	default:
		head, _, whole := bytes.Cut(sample, []byte("\n"))
		head = bytes.TrimSpace(head)
		// A record over several lines does not end on its first.
		o.lines = !whole || bytes.HasSuffix(head, []byte("}"))
	}
	if o.open != 0 {
		_, _ = o.readByte()
		o.depth = 1
	}
	return o
}

// isMap says whether an object is one of records by their names, as a Firebase
// database exports them, or {"subscriptions": [...]}, rather than a record: its
// first member is an object or list whose name no record has.
func isMap(sample []byte) bool {
	s := splitter{b: bufio.NewReader(bytes.NewReader(sample[1:]))}
	if c, err := s.skipSpace(); err != nil || c != '"' {
		return false
	}
	if s.take() != nil {
		return false
	}
	name := string(bytes.Trim(s.value, `"`))
	if c, err := s.skipSpace(); err != nil || c != ':' {
		return false
	}
	_, _ = s.readByte()
	c, err := s.skipSpace()
	if err != nil || c != '{' && c != '[' {
		return false
	}
	return !slices.Contains([]string{"keys", "subscription", "subscriptionOptions", "web", "topics", "_id", "id", "expirationTime"}, name)
}

// next implements the Reader.
func (o *objects) next() (Record, error) {
	if o.ended {
		return Record{}, io.EOF
	}
	line, err := o.nextValue()
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

// nextValue leaves the next record in o.value and says where it began.
func (o *objects) nextValue() (line int, err error) {
	for {
		c, err := o.skipSpace()
		if errors.Is(err, io.EOF) && o.depth > 0 {
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
		case o.open == 0 || c == '{':
			return line, o.take()
		case c == ',' || c == ':':
			_, _ = o.readByte()
		case c == '[':
			_, _ = o.readByte()
			o.depth++
		case c == ']' || c == '}':
			_, _ = o.readByte()
			if o.depth--; o.depth == 0 {
				err := o.trailing()
				return o.line, err
			}
		default:
			if err := o.take(); err != nil {
				return line, err
			}
			// A name is passed over; what stands for a record is not.
			if c, err := o.skipSpace(); err != nil || c != ':' {
				return line, nil
			}
		}
	}
}

// trailing makes sure that nothing follows the container.
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

var errTrailing = errors.New("something follows the end of the list")

// fault says what an error means for the reading.
func (o *objects) fault(line int, err error) error {
	switch {
	case errors.Is(err, io.EOF):
		o.ended = true
		return io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		o.ended = true
		return &RecordError{Line: line, Problem: "the file ends in the middle: it may have been cut off"}
	case errors.Is(err, errTrailing):
		o.ended = true
		return &RecordError{Line: line, Problem: err.Error()}
	case errors.Is(err, errTooLong):
		// Without lines nobody knows where the next record begins.
		o.ended = !o.lines
		return &RecordError{Line: line, Problem: "the record " + err.Error()}
	default:
		return err
	}
}
