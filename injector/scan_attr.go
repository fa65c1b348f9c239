package injector

import "bytes"

// attribute is the attribute being read, if it matters.
type attribute uint8

const (
	attrOther     attribute = iota
	attrRel                 // of <link>
	attrHref                // of <base>
	attrSrc                 // of <script>
	attrEquiv               // http-equiv of <meta>
	attrContent             // of <meta>
	attrCharset             // of <meta>
	attrNamespace           // xmlns, in XHTML
	attrAddress             // src of <script>, href of <link>, with scanner.all
)

// Values of scanner.src below zero; from zero on it counts matched bytes.
const (
	srcMismatch = -1
	srcHost     = -2 // within the host of " // within the host of "//host/path"
	srcScheme   = -3 // and less: number of matched bytes of "https:" or "http:"
)

// Values of scanner.base.
const (
	baseEmpty   uint8 = iota // only space so far
	baseSlash                // a slash so far
	baseWord                 // a possible scheme so far
	baseDecided              // known
)

// beforeAttr skips space and slashes up to the next attribute or the tag's end (HTML 13.2.5.32 and .40). It
// handles the common case itself: attributes in double quotes.
func (s *scanner) beforeAttr(p []byte, i int) int {
	for i < len(p) && s.verdict == undecided {
		c := p[i]
		if c == '>' {
			s.endOfTag()
			return i + 1
		}
		if c == '/' || isSpace(c) {
			s.slash = c == '/'
			i++
			continue
		}
		s.slash = false
		if next, ok := s.simpleAttr(p, i); ok {
			i = next
			continue
		}
		s.state, s.nameLen = stAttrName, 1 // an "=" in front belongs to the name
		s.name[0] = c
		if i = s.attrName(p, i+1); s.state != stBeforeAttr {
			return i
		}
	}
	return i
}

// attrName collects an attribute's name.
func (s *scanner) attrName(p []byte, i int) int {
	n := s.nameLen
	for ; i < len(p); i++ {
		switch c := p[i]; c {
		case '=':
			s.nameLen = n
			s.endOfName()
			return s.quoted(p, i+1)
		case '>', '/', ' ', '\n', '\t', '\r', '\f':
			s.nameLen = n
			s.endOfName()
			s.state = stAfterAttr
			return i
		default:
			if n < maxAttr {
				s.name[n] = c
			}
			n = min(n+1, maxAttr+1)
		}
	}
	s.nameLen = n
	return i
}

// quoted is a shortcut for a value in double quotes that ends in this piece.
func (s *scanner) quoted(p []byte, i int) int {
	s.state = stBeforeValue
	if i == len(p) || p[i] != '"' {
		return i
	}
	n := bytes.IndexByte(p[i+1:], '"')
	if n < 0 {
		return i
	}
	if s.attr != attrOther {
		s.follow(p[i+1 : i+1+n])
		s.endOfValue()
	}
	s.state = stBeforeAttr
	return i + n + 2
}

// endOfName decides whether the attribute just named matters.
func (s *scanner) endOfName() {
	s.attr = attrOther
	switch s.element {
	case elHTML, elHead:
		if s.xml {
			s.watch("xmlns", attrNamespace)
			return
		}
		if s.named("amp") || s.named("⚡") || s.named("⚡\ufe0f") {
			s.reject(ReasonAMP)
		}
	case elLink:
		if s.all {
			s.watch("href", attrAddress)
			return
		}
		s.watch("rel", attrRel)
	case elBase:
		if !s.baseSeen {
			s.watch("href", attrHref)
		}
	case elScript:
		if s.all {
			s.watch("src", attrAddress)
			return
		}
		s.watch("src", attrSrc)
	case elMeta:
		s.watchMeta()
	}
}

// named reports whether the attribute has this name, in any case except in XHTML.
func (s *scanner) named(name string) bool {
	if int(s.nameLen) != len(name) {
		return false
	}
	for i := range len(name) {
		if c := s.name[i]; c != name[i] && (s.xml || lower(c) != name[i]) {
			return false
		}
	}
	return true
}

// watch starts following the value of the named attribute. A repeated attribute is ignored, like in browsers.
func (s *scanner) watch(name string, a attribute) {
	if s.seenAttr || !s.named(name) {
		return
	}
	s.attr, s.seenAttr = a, true
	s.rel, s.src, s.base = 0, 0, baseEmpty
	switch {
	case a == attrHref:
		s.baseSeen = true
	case a == attrNamespace && s.element == elHead:
		s.reject(ReasonXHTML)
	}
}

// afterAttr decides whether a value follows after space.
func (s *scanner) afterAttr(p []byte, i int) int {
	for ; i < len(p); i++ {
		switch c := p[i]; {
		case isSpace(c):
		case c == '=':
			s.state = stBeforeValue
			return i + 1
		default:
			s.state = stBeforeAttr
			return i
		}
	}
	return i
}

// beforeValue reads the opening quote.
func (s *scanner) beforeValue(p []byte, i int) int {
	for ; i < len(p); i++ {
		switch c := p[i]; {
		case isSpace(c):
		case c == '"':
			s.state = stValueDouble
			return i + 1
		case c == '\'':
			s.state = stValueSingle
			return i + 1
		case c == '>': // missing value
			s.state = stBeforeAttr
			return i
		default:
			s.state = stValueBare
			return i
		}
	}
	return i
}

// value reads an attribute's value to its end.
func (s *scanner) value(p []byte, i int) int {
	var n int
	switch s.state {
	case stValueDouble:
		n = bytes.IndexByte(p[i:], '"')
	case stValueSingle:
		n = bytes.IndexByte(p[i:], '\'')
	default:
		n = bareEnd(p[i:])
	}
	if n < 0 {
		s.follow(p[i:])
		return len(p)
	}
	s.follow(p[i : i+n])
	s.endOfValue()
	if s.state != stValueBare {
		n++ // the quote
	}
	s.state = stBeforeAttr
	return i + n
}

// bareEnd returns the length of an unquoted value, or -1 if its end is not in p.
func bareEnd(p []byte) int {
	for i, c := range p {
		if c == '>' || isSpace(c) {
			return i
		}
	}
	return -1
}

// follow reads a piece of a value that matters.
func (s *scanner) follow(v []byte) {
	switch s.attr {
	case attrRel:
		for _, c := range v {
			s.followRel(c)
		}
	case attrHref:
		for _, c := range v {
			s.followBase(c)
		}
	case attrSrc:
		for _, c := range v {
			if s.src == srcMismatch {
				break
			}
			s.followSrc(c)
		}
	case attrEquiv:
		for _, c := range v {
			s.followEquiv(c)
		}
	case attrContent:
		s.followContent(v)
	case attrCharset:
		s.followLabel(v)
	case attrNamespace:
		for _, c := range v {
			s.followNamespace(c)
		}
	case attrAddress:
		s.address = v
	}
}

// endOfValue handles the end of a value that matters.
func (s *scanner) endOfValue() {
	switch s.attr {
	case attrRel:
		s.followRel(' ')
	case attrSrc:
		if int(s.src) == len(s.marker) {
			s.reject(ReasonAlready)
		}
	case attrEquiv:
		s.endOfEquiv()
	case attrContent, attrCharset:
		s.endOfLabel()
	}
	s.attr = attrOther
}

// followRel looks for the token "manifest" in a list of tokens
// (HTML 4.6.7: compared without regard to ASCII case).
func (s *scanner) followRel(c byte) {
	const want = "manifest"
	switch {
	case isSpace(c):
		if s.rel == int8(len(want)) {
			s.hasManifest = true
		}
		s.rel = 0
	case s.rel >= 0 && int(s.rel) < len(want) && lower(c) == want[s.rel]:
		s.rel++
	default:
		s.rel = -1
	}
}

// followBase decides whether a base address may name an origin: by a scheme, or by two slashes (URL 4.4,
// "scheme start state" ff.). A relative one can't, and then root-relative addresses keep their meaning.
func (s *scanner) followBase(c byte) {
	switch {
	case s.base == baseDecided || c == '\t' || c == '\n' || c == '\r': // the URL parser drops these
	case s.base == baseEmpty && c <= ' ':
	case c == '&': // may be an escaped slash or colon
		s.base, s.baseForeign = baseDecided, true
	case s.base == baseEmpty && (c == '/' || c == '\\'):
		s.base = baseSlash
	case s.base == baseEmpty && isLetter(c):
		s.base = baseWord
	case s.base == baseWord && (isLetter(c) || c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
	default:
		s.baseForeign = s.base == baseWord && c == ':' || s.base == baseSlash && (c == '/' || c == '\\')
		s.base = baseDecided
	}
}

// followSrc compares a script's address with ours, in all forms: "/path", with a host, and with a scheme and
// a host.
func (s *scanner) followSrc(c byte) {
	switch {
	case s.src == srcMismatch || s.marker == "":
		s.src = srcMismatch
	case s.src <= srcScheme || s.src == 0 && lower(c) == 'h':
		s.followScheme(lower(c))
	case s.src == srcHost:
		if c == '/' {
			s.src = 1
		}
	case s.src == 1 && c == '/':
		s.src = srcHost
	case int(s.src) == len(s.marker) && c == '?':
		s.reject(ReasonAlready)
	case int(s.src) < len(s.marker) && c == s.marker[s.src]:
		s.src++
	default:
		s.src = srcMismatch
	}
}

// followScheme compares the beginning of a script's address with "https://" and
// "http://".
func (s *scanner) followScheme(c byte) {
	const want = "https://"
	n := 0
	if s.src < 0 {
		n = int(srcScheme - s.src)
	}
	if n == len("http") && c == ':' {
		n++ // without "s"
	}
	switch {
	case c != want[n]:
		s.src = srcMismatch
	case n+1 == len(want):
		s.src = srcHost
	default:
		s.src = int16(srcScheme - n - 1)
	}
}

// endOfTag handles the ">" of a tag and chooses how the following text is read.
func (s *scanner) endOfTag() {
	if s.xml {
		s.endOfTagXML()
		return
	}
	switch elements[s.element].holds {
	case holdsRaw:
		s.state = stRaw
	case holdsScript:
		s.state, s.escape, s.dashes = stScript, 0, 0
	default:
		if s.element == elMeta {
			s.endOfMeta()
		}
		s.state = stData
	}
}
