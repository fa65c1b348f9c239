package injector

import (
	"bytes"
	"net/http"
	"regexp"
)

// maxTag is how much of a tag is held back at a piece's end, until the script's address is complete. A longer
// one is left alone.
const maxTag = 2 << 10

// displacer writes the rest of a page, after our script. A script that the page must not load gets our own
// address, and nothing else of the page changes: the browser already has ours, which does nothing the second
// time, and it fires the events that the page waits for, in the expected order. Spaces fill the address up to
// its old length: URLs are parsed without them.
type displacer struct {
	http.ResponseWriter
	scripts *regexp.Regexp
	ours    []byte
	scan    scanner
	held    []byte // the beginning of a tag
}

// newDisplacer returns a displacer that begins between two tags.
func (w *Writer) newDisplacer() *displacer {
	return &displacer{
		ResponseWriter: w.down, scripts: w.in.opts.Displaces, ours: []byte(w.origin + w.in.opts.Snippet.Script),
		scan: scanner{all: true, state: stData, baseSeen: w.scan.baseSeen},
	}
}

// Unwrap returns the wrapped writer, for [http.ResponseController].
func (d *displacer) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// Push implements [http.Pusher] if the wrapped writer does.
func (d *displacer) Push(target string, opts *http.PushOptions) error {
	return push(d.ResponseWriter, target, opts)
}

// Write passes a piece of the page on, except an unfinished tag at its end.
func (d *displacer) Write(p []byte) (int, error) {
	var err error
	d.pass(p, func(part []byte) {
		if err == nil {
			_, err = d.ResponseWriter.Write(part)
		}
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// finish sends the bytes that were held back: the page has ended.
func (d *displacer) finish() error {
	if d == nil || len(d.held) == 0 {
		return nil
	}
	_, err := d.ResponseWriter.Write(d.held)
	d.held = nil
	return err
}

// pass calls out with the parts of a piece, in order.
func (d *displacer) pass(p []byte, out func([]byte)) {
	if len(d.held) > 0 {
		p = append(d.held, p...)
		d.held = nil
	}
	s, sent, tag := &d.scan, 0, -1
	for i := 0; i < len(p) && s.verdict == undecided; {
		if s.state == stData {
			n := bytes.IndexByte(p[i:], '<')
			if n < 0 {
				break
			}
			i += n
			tag = i
		}
		i = s.step(p, i)
		if s.address != nil && !s.inValue() {
			at := cap(p) - cap(s.address)
			if at+len(s.address)-tag > maxTag { // like an address that comes in two pieces
				s.address = nil
			}
			if instead := d.instead(s.address, s.element == elLink); instead != nil {
				out(p[sent:at])
				out(instead)
				sent = at + len(instead)
			}
			s.address = nil
		}
	}
	if s.verdict == undecided && s.unfinished() && tag >= 0 {
		if len(p)-tag <= maxTag {
			d.held = bytes.Clone(p[tag:])
			p, s.state = p[:tag], stData // it is read again
		} else {
			s.seenAttr, s.attr = true, attrOther
		}
		s.address = nil
	}
	if sent < len(p) {
		out(p[sent:])
	}
}

// unfinished reports whether the scanner is in a tag that may load a script, before the address's end.
func (s *scanner) unfinished() bool {
	switch s.state {
	case stTagOpen, stTagName:
		return true
	case stBeforeAttr, stAttrName, stAfterAttr, stBeforeValue, stValueDouble, stValueSingle, stValueBare:
		return (s.element == elScript || s.element == elLink) && (!s.seenAttr || s.attr == attrAddress)
	}
	return false
}

// inValue reports whether the scanner is in an attribute's value.
func (s *scanner) inValue() bool {
	return s.state == stValueDouble || s.state == stValueSingle || s.state == stValueBare
}

// instead returns the replacement of the address, nil to keep it.
func (d *displacer) instead(address []byte, link bool) []byte {
	url := bytes.TrimSpace(address)
	if len(address) == 0 || len(d.ours) > len(address) || d.scan.baseForeign || !d.scripts.Match(url) {
		return nil
	}
	if file, _, _ := bytes.Cut(url, []byte("?")); link && !bytes.HasSuffix(file, []byte(".js")) {
		return nil // an icon, a style sheet, an address to connect to
	}
	return appendSpaces(bytes.Clone(d.ours), len(address)-len(d.ours))
}
