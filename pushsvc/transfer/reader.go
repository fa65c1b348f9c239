package transfer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// Reader reads the records of one file.
type Reader struct {
	records interface{ next() (Record, error) }
	wanted  Format
	format  Format
	read    bool
}

// NewReader inspects the first bytes and returns a reader. It fails with a *FormatError if the file's format
// is unknown or not the wanted one, and with r's error. An empty file has no records.
func NewReader(r io.Reader, format Format) (*Reader, error) {
	b, err := unpacked(bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		return nil, err
	}
	lines := 1
	first, err := firstByte(b, &lines)
	if errors.Is(err, io.EOF) {
		return &Reader{records: noRecords{}, wanted: format}, nil
	}
	if err != nil {
		return nil, err
	}
	isCSV := first != '{' && first != '['
	switch {
	case isCSV && (format == FormatWebPush || format == FormatFirebase):
		return nil, formatError("the file is not JSON, but the format %s is", format)
	case !isCSV && (format == FormatOneSignal || format == FormatCSV):
		return nil, formatError("the file is JSON, and the format %s is a table (CSV)", format)
	case isCSV:
		t, err := newTable(b, lines, format)
		if err != nil {
			return nil, err
		}
		return &Reader{records: t, wanted: format, format: t.format, read: true}, nil
	default:
		return &Reader{records: newObjects(b, lines, first), wanted: format}, nil
	}
}

// unpacked unpacks a file compressed with gzip (RFC 1952).
func unpacked(b *bufio.Reader) (*bufio.Reader, error) {
	if head, _ := b.Peek(2); !bytes.Equal(head, []byte("\x1f\x8b")) {
		return b, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, formatError("the file is compressed with gzip and cannot be unpacked: %v", err)
	}
	return bufio.NewReaderSize(z, 64<<10), nil
}

type noRecords struct{}

func (noRecords) next() (Record, error) { return Record{}, io.EOF }

// firstByte skips a byte order mark and white space, counts the lines, and peeks at the next byte.
func firstByte(b *bufio.Reader, lines *int) (byte, error) {
	head, err := b.Peek(4)
	if len(head) == 0 {
		return 0, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, _ = b.Discard(3)
	case bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")):
		return 0, formatError("the file is in UTF-16: save it as UTF-8")
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return 0, formatError("the file is compressed twice: unpack it first, as by gunzip")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return 0, formatError("the file is a zip archive or a spreadsheet: unpack it, or save it as CSV")
	}
	for {
		c, err := b.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n':
			*lines++
		case ' ', '\t', '\r':
		default:
			return c, b.UnreadByte()
		}
	}
}

// Format returns the file's format; FormatAuto before the first record of JSON.
func (r *Reader) Format() Format {
	if r.format == "" {
		return FormatAuto
	}
	return r.format
}

// Next returns the next record, io.EOF at the end, a *RecordError for a record that can't be read (the next
// one may be readable), and any other error if reading can't go on.
func (r *Reader) Next() (Record, error) {
	rec, err := r.records.next()
	if err != nil || r.read {
		return rec, err
	}
	objects, ok := r.records.(*objects)
	if !ok {
		return rec, nil
	}
	r.format, r.read = objects.kind, true
	if r.wanted != FormatAuto && r.wanted != r.format {
		return Record{}, formatError("the file is of the format %s, not %s", r.format, r.wanted)
	}
	return rec, nil
}

// splitter splits a stream of JSON into records without decoding it: the objects at the top level, or in the
// containers.
type splitter struct {
	b     *bufio.Reader
	line  int
	value []byte
}

// errTooLong means that a record is longer than MaxRecord.
var errTooLong = fmt.Errorf("is longer than %d bytes", MaxRecord)

func (s *splitter) readByte() (byte, error) {
	c, err := s.b.ReadByte()
	if c == '\n' && err == nil {
		s.line++
	}
	return c, err
}

// skipSpace returns the next byte that is not white space, and unreads it.
func (s *splitter) skipSpace() (byte, error) {
	for {
		c, err := s.readByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c, s.b.UnreadByte()
		}
	}
}

// take collects the next value: an object or list with its content, a string, or a bare word.
// io.ErrUnexpectedEOF means that it has no end.
func (s *splitter) take() error {
	s.value = s.value[:0]
	depth, quoted, escaped := 0, false, false
	for {
		c, err := s.readByte()
		if err != nil {
			return s.cutOff(err, depth > 0 || quoted)
		}
		if !quoted && depth == 0 && len(s.value) > 0 && endsWord(c) {
			if c == '\n' {
				s.line--
			}
			return s.b.UnreadByte()
		}
		if len(s.value) == MaxRecord {
			return errTooLong
		}
		s.value = append(s.value, c)
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return nil
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth <= 0 {
				return nil
			}
		}
	}
}

// endsWord reports whether a bare word such as a number ends before c.
func endsWord(c byte) bool {
	return bytes.IndexByte([]byte(" \t\r\n,:]}"), c) >= 0
}

func (s *splitter) cutOff(err error, inside bool) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	if inside {
		return io.ErrUnexpectedEOF
	}
	return nil // a bare word at the very end
}

// takeLine collects the rest of the line. It skips a line that is too long and returns errTooLong.
func (s *splitter) takeLine() error {
	s.value = s.value[:0]
	long := false
	for {
		part, err := s.b.ReadSlice('\n')
		if len(s.value)+len(part) > MaxRecord+1 {
			long = true
		}
		if !long {
			s.value = append(s.value, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case errors.Is(err, io.EOF) && len(part) == 0 && len(s.value) == 0 && !long:
			return io.EOF
		case err == nil:
			s.line++
		}
		if long {
			return errTooLong
		}
		return nil
	}
}
