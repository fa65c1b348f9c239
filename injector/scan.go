package injector

import "bytes"

// maxHeld is the maximum number of bytes that the scanner makes its caller hold back: "</" and eight letters,
// plus some reserve.
const maxHeld = 12

// maxAttr is the length of the longest attribute's name that the scanner must know ("http-equiv").
const maxAttr = 10

// state is the scanner's state in the HTML tokenizer (WHATWG HTML 13.2.5).
type state uint8

const (
	stStart        state = iota // nothing read yet: a byte order mark may come
	stBOM1                      // after EF
	stBOM2                      // after EF BB
	stData                      // between tags
	stTagOpen                   // after "<"
	stEndOpen                   // after "</"
	stTagName                   // in the name of a start tag
	stEndName                   // in the name of an end tag
	stLongName                  // in the rest of an end tag's name that ends nothing
	stMarkup                    // after "<!"
	stMarkupDash                // after "<!-"
	stDeclWord                  // in the word after "<!"
	stBogus                     // in a bogus comment or a doctype: ends with ">"
	stComStart                  // after "<!--"
	stComStartDash              // after "<!---"
	stComment                   // in a comment
	stComDash                   // in a comment after "-"
	stComEnd                    // in a comment after "--"
	stComBang                   // in a comment after "--!"
	stBeforeAttr                // in a tag, before an attribute
	stAttrName                  // in an attribute's name
	stAfterAttr                 // after an attribute's name and a space
	stBeforeValue               // after "="
	stValueDouble               // in "value"
	stValueSingle               // in 'value'
	stValueBare                 // in an unquoted value
	stRaw                       // in the text of title, style, noscript, noframes
	stRawOpen                   // there, after "<"
	stRawEnd                    // there, after "</"
	stScript                    // in a script's text
	stScriptOpen                // there, after "<"
	stScriptBang                // there, after "<!"
	stScriptBangD               // there, after "<!-"
	stScriptName                // there, after "<" and a letter (only when escaped)
	stScriptEnd                 // there, after "</"
	stXMLLong                   // XHTML: in the rest of a long start tag's name
	stXMLComment                // XHTML: in a comment
	stXMLData                   // XHTML: in a CDATA section
	stXMLPI                     // XHTML: in a processing instruction
	stXMLDoctype                // XHTML: in the doctype
)

// verdict is the scanner's result so far.
type verdict uint8

const (
	undecided verdict = iota
	found             // the insertion point is known
	rejected          // this document must stay as it is; the cause is scanner.reason
)

// scanner finds the place right before whatever ends a document's head. It reads pieces of any size, and its
// result doesn't depend on how the document is cut. The zero value is ready after marker was set; it does not
// allocate.
type scanner struct {
	marker    string // our own script's src as written in a page
	reason    Reason // why rejected
	name      [maxAttr]byte
	text      []byte // policies of <meta> elements, see scan_meta.go
	content   []byte // part of the current piece that may become one
	textLen   int    // how much of it is final
	src       int16  // progress of the src comparison, see scan_attr.go
	open      int    // offset in the current piece of the held "<"
	state     state
	verdict   verdict
	element   element
	attr      attribute
	nameLen   uint8 // maxName+1 for a name that is longer
	pending   uint8 // bytes held back at the end of the last piece
	rel       int8  // progress of the rel comparison
	equiv     int8  // progress of the http-equiv comparison
	meta      metaFlags
	base      uint8 // progress of the base href classification
	escape    uint8 // script data: 0 plain, 1 escaped, 2 double escaped
	dashes    uint8 // script data: dashes right before this byte, at most 2
	seenAttr  bool  // the tag's interesting attribute was seen: the first one counts
	label     int8  // progress in the declaration of a charset
	tagged    bool  // a construct was seen: the document did not begin with text
	began     bool  // a start tag was seen: the document is a page
	opened    bool  // a start tag was seen that opens the head
	whole     bool  // a doctype, <html> or <head> was seen first
	needWhole bool  // reject unless whole
	framed    bool  // <html> or <head> was seen
	needTags  bool  // reject unless framed: to htmx a page without them is a fragment
	early     bool  // stop before the first script
	anyText   bool  // accept a document that begins with text
	xml       bool  // the document is XHTML
	slash     bool  // XHTML: a slash was right before this byte in a tag
	depth     int8  // XHTML: open elements
	namespace int8  // XHTML: progress of the xmlns comparison
	late      bool  // the header is sent: instead of rejecting, it scans to the head's end and keeps the reason
	read      int   // bytes in the pieces so far

	// undeclared means that no charset was declared so far: ISO-2022 escapes are rejected. declared ends it,
	// at the end of the tag with the declaration.
	undeclared bool
	declared   bool

	hasManifest bool // the head has a <link rel=manifest>
	// all makes the scanner continue to the document's end instead of stopping at the head's. address is then
	// the src of a script or the href of a link, if it is complete in the piece.
	all     bool
	address []byte

	baseSeen    bool // the head has a <base href>
	baseForeign bool // and it may point at another origin
	metaCSP     bool // the head has a <meta http-equiv=Content-Security-Policy>
	metaLost    bool // and the policy of one isn't known
}

// scan reads the next piece and returns an offset in it, from -pending to len(p). While undecided, everything
// before the offset can be sent, and the bytes from it on (at most maxHeld) must be held back. Once found,
// the offset is the insertion point; a negative one is before the bytes held back earlier. Once rejected it
// is len(p).
func (s *scanner) scan(p []byte) int {
	s.open = -int(s.pending)
	s.read += len(p)
	i := 0
	for i < len(p) && s.verdict == undecided {
		if s.xml {
			i = s.stepXML(p, i)
		} else {
			i = s.step(p, i)
		}
		if s.declared && s.undeclared {
			s.checkEscapes(p[:i])
			s.undeclared = false
		}
	}
	if s.content != nil {
		s.keepContent()
	}
	at := i
	held := s.state == stBOM1 || s.state == stBOM2 || s.state >= stTagOpen && s.state <= stEndName
	if s.verdict == undecided && held {
		at = s.open
	}
	// Held bytes need no check: only end tags' names could hide an escape there, and readName checks them.
	if s.undeclared && at > 0 {
		s.checkEscapes(p[:at])
	}
	if s.verdict == rejected {
		return len(p)
	}
	s.pending = uint8(len(p) - at) // names are cut at maxName
	if s.verdict == found {
		s.pending = 0
	}
	return at
}

// checkEscapes rejects ISO-2022, in which any byte may be part of any character.
func (s *scanner) checkEscapes(p []byte) {
	if bytes.IndexByte(p, 0x1b) < 0 {
		return
	}
	if s.verdict == rejected {
		s.reason = ReasonCharset // the escape came before what rejected the document
		return
	}
	s.reject(ReasonCharset)
}

// end is called after the last piece. It decides about a document that ended in its head, and returns the
// insertion point relative to the document's end: 0, or negative if it is before the held bytes.
func (s *scanner) end() int {
	if s.verdict != undecided {
		return 0
	}
	if s.xml && s.state != stStart {
		s.reject(ReasonXHTML)
		return 0
	}
	switch s.state {
	case stData:
		s.stop(0)
		return 0
	case stTagOpen, stEndOpen: // "<" and "</" at the end are text
		s.stop(0)
		return -int(s.pending)
	case stStart, stBOM1, stBOM2:
		s.reject(ReasonEmpty)
	default:
		s.reject(ReasonOpenConstruct)
	}
	return 0
}

// step runs the current state on p[i:] and returns the offset of the first byte that it didn't consume. p[i:]
// is not empty.
func (s *scanner) step(p []byte, i int) int {
	switch s.state {
	case stStart, stBOM1, stBOM2:
		return s.start(p, i)
	case stData:
		return s.data(p, i)
	case stTagOpen, stEndOpen:
		return s.tagOpen(p, i)
	case stTagName, stEndName:
		return s.readName(p, i)
	case stLongName:
		return s.longName(p, i)
	case stMarkup, stMarkupDash, stDeclWord, stBogus:
		return s.markup(p, i)
	case stComStart, stComStartDash, stComment, stComDash, stComEnd, stComBang:
		return s.comment(p, i)
	case stBeforeAttr:
		return s.beforeAttr(p, i)
	case stAttrName:
		return s.attrName(p, i)
	case stAfterAttr:
		return s.afterAttr(p, i)
	case stBeforeValue:
		return s.beforeValue(p, i)
	case stValueDouble, stValueSingle, stValueBare:
		return s.value(p, i)
	case stRaw, stRawOpen, stRawEnd:
		return s.raw(p, i)
	default:
		return s.script(p, i)
	}
}

// start skips a UTF-8 byte order mark (HTML 13.2.3.2).
func (s *scanner) start(p []byte, i int) int {
	c := p[i]
	switch {
	case s.state == stStart && c == 0xef:
		s.open, s.state = i, stBOM1
		return i + 1
	case s.state == stStart && (c == 0xfe || c == 0xff || c == 0):
		s.reject(ReasonCharset) // UTF-16 or UTF-32
		return i
	case s.state == stBOM1 && c == 0xbb:
		s.state = stBOM2
		return i + 1
	case s.state == stBOM2 && c == 0xbf:
		s.state, s.undeclared = stData, false
		return i + 1
	case s.state != stStart: // not a mark: text
		s.stop(0)
		return s.open
	}
	s.state = stData
	return i
}

// data reads the text between tags in a head: space and "<". Anything else is text, which ends the head.
func (s *scanner) data(p []byte, i int) int {
	for ; i < len(p); i++ {
		switch c := p[i]; {
		case c == '<':
			i = s.construct(p, i)
			if s.all || s.state != stData || s.verdict != undecided || s.declared && s.undeclared {
				return i
			}
			i--
		case s.all:
			n := bytes.IndexByte(p[i:], '<')
			if n < 0 {
				return len(p)
			}
			i += n - 1
		case !isSpace(c):
			if c == 0 && !s.opened {
				// By the standard a NUL opens the body; browsers ignore it. Once the head is open, the place
				// before it suits both.
				s.reject(ReasonNotHTML)
			}
			s.stop(c)
			return i
		}
	}
	return i
}

// stop ends the scan: the head ends here, before a construct that begins with c.
func (s *scanner) stop(c byte) {
	switch {
	case s.verdict != undecided:
	case s.xml:
		s.reject(ReasonXHTML)
	case !s.tagged && !s.anyText:
		s.reject(ReasonNotHTML)
		if c == 0 && s.state == stData {
			s.reason = ReasonEmpty
		}
	case s.needWhole && !s.whole:
		s.reject(ReasonFragment)
	default:
		if s.needTags && !s.framed {
			s.reject(ReasonFragment)
		}
		if s.verdict == rejected {
			return
		}
		s.verdict = found
	}
}

// reject ends the scan without an insertion point. If the header is sent already, it only keeps the reason,
// because the place is still needed: see [scanner.filler].
func (s *scanner) reject(r Reason) {
	if s.reason == "" {
		s.reason = r
	}
	if !s.late || r == ReasonOpenConstruct {
		s.verdict = rejected
	}
}

// page reports whether the document is certainly a page that can be read to its head's end: only its end in
// an open construct can reject it.
func (s *scanner) page() bool { return s.began && !s.undeclared && !s.xml }
