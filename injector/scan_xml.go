package injector

import "bytes"

// XHTML (application/xhtml+xml) implies nothing and forgives nothing, so the only place for the tags is right
// before the </head> of a plain
//
//	<html xmlns="http://www.w3.org/1999/xhtml"><head>…</head>
//
// Documents with an internal subset, which can add attributes to elements, or with another namespace of the
// head are left alone, and so are malformed ones, as far as that is visible.

const xhtmlType = "application/xhtml+xml"

const xhtmlNamespace = "http://www.w3.org/1999/xhtml"

// stepXML is step for XHTML (XML 1.0, 2 and 3).
func (s *scanner) stepXML(p []byte, i int) int {
	switch s.state {
	case stData:
		n := bytes.IndexByte(p[i:], '<')
		if n < 0 {
			return len(p)
		}
		s.open, s.state = i+n, stTagOpen
		return i + n + 1
	case stTagOpen:
		return s.openXML(p[i], i)
	case stEndOpen:
		s.state, s.nameLen = stEndName, 0
		return i
	case stTagName, stEndName:
		return s.nameXML(p, i)
	case stLongName:
		if i = s.longName(p, i); s.state != stLongName {
			s.afterNameXML(elEnd)
		}
		return i
	case stXMLLong:
		for i < len(p) && !endsName(p[i]) {
			i++
		}
		if i < len(p) {
			s.afterNameXML(elOther)
		}
		return i
	case stMarkup, stMarkupDash:
		return s.markupXML(p[i], i)
	case stXMLComment, stXMLData, stXMLPI:
		return s.skipXML(p, i)
	case stXMLDoctype:
		return s.doctypeXML(p, i)
	case stValueBare:
		s.reject(ReasonXHTML)
		return i
	}
	return s.step(p, i)
}

// openXML handles the byte after "<".
func (s *scanner) openXML(c byte, i int) int {
	s.tagged, s.dashes = true, 0
	switch {
	case c == '/':
		s.state = stEndOpen
	case c == '?':
		s.state = stXMLPI
	case c == '!':
		s.state = stMarkup
	case endsName(c) || c == '<' || c == '&' || c == '=' || c == 0:
		s.reject(ReasonXHTML) // or UTF-16
	default:
		s.state, s.nameLen = stTagName, 0
		return i
	}
	return i + 1
}

// markupXML handles the bytes after "<!".
func (s *scanner) markupXML(c byte, i int) int {
	switch {
	case s.state == stMarkup && c == '-':
		s.state = stMarkupDash
	case s.state == stMarkupDash && c == '-':
		s.state = stXMLComment
	case s.state == stMarkup && c == '[' && s.depth > 0:
		s.state = stXMLData
	case s.state == stMarkup && c == 'D' && s.depth == 0:
		s.state, s.escape = stXMLDoctype, 0
	default:
		s.reject(ReasonXHTML)
	}
	return i + 1
}

// skipXML skips a comment, a CDATA section or a processing instruction to its end:
// "-->", "]]>" or "?>".
func (s *scanner) skipXML(p []byte, i int) int {
	mark, need := byte('-'), uint8(2)
	switch s.state {
	case stXMLData:
		mark = ']'
	case stXMLPI:
		mark, need = '?', 1
	}
	for ; i < len(p); i++ {
		switch c := p[i]; {
		case c == mark:
			s.dashes = min(s.dashes+1, need)
		case c == '>' && s.dashes == need:
			s.state = stData
			return i + 1
		default:
			s.dashes = 0
			if n := bytes.IndexByte(p[i:], mark); n > 0 {
				i += n - 1
			} else {
				return len(p)
			}
		}
	}
	return i
}

// doctypeXML skips a doctype without an internal subset. scanner.escape is the
// kind of quote that is open.
func (s *scanner) doctypeXML(p []byte, i int) int {
	for ; i < len(p); i++ {
		switch c := p[i]; {
		case s.escape == 1 && c == '"', s.escape == 2 && c == '\'':
			s.escape = 0
		case s.escape != 0:
		case c == '"':
			s.escape = 1
		case c == '\'':
			s.escape = 2
		case c == '[':
			s.reject(ReasonXHTML)
			return i
		case c == '>':
			s.state = stData
			return i + 1
		}
	}
	return i
}

// nameXML collects a tag's name, in its case.
func (s *scanner) nameXML(p []byte, i int) int {
	for ; i < len(p); i++ {
		c := p[i]
		switch {
		case endsName(c) && s.state == stEndName:
			return s.endTagXML(i)
		case endsName(c):
			s.startTagXML()
			return i
		case s.nameLen == maxName && s.state == stEndName:
			s.state = stLongName
			return i
		case s.nameLen == maxName:
			s.nameLen, s.state = maxName+1, stXMLLong
			if s.depth < 2 {
				s.reject(ReasonXHTML)
			}
			return i
		}
		s.name[s.nameLen] = c
		s.nameLen++
	}
	return i
}

// startTagXML decides by the name of a start tag. Only children of the head matter.
func (s *scanner) startTagXML() {
	el := elementOf(s.name[:s.nameLen])
	switch {
	case s.depth == 0 && el == elHTML:
		s.whole, s.framed = true, true
	case s.depth == 1 && el == elHead:
	case s.depth < 2:
		s.reject(ReasonXHTML)
	case s.depth > 2 || elements[el].matters&inXML == 0:
		el = elOther
	}
	s.afterNameXML(el)
}

func (s *scanner) afterNameXML(el element) {
	s.element, s.state = el, stBeforeAttr
	s.seenAttr, s.meta, s.slash, s.namespace = false, 0, false, 0
}

// endTagXML decides by the name of an end tag which ends at i. The second level only has the head.
func (s *scanner) endTagXML(i int) int {
	isHead := string(s.name[:s.nameLen]) == "head"
	switch {
	case s.depth == 2 && isHead:
		s.verdict = found
		return s.open
	case s.depth <= 2:
		s.reject(ReasonXHTML)
		return i
	}
	s.afterNameXML(elEnd)
	return i
}

// endOfTagXML is endOfTag for XHTML.
func (s *scanner) endOfTagXML() {
	s.state = stData
	switch {
	case s.element == elHTML && int(s.namespace) != len(xhtmlNamespace), s.slash && s.depth < 2:
		s.reject(ReasonXHTML)
	case s.element == elMeta:
		s.endOfMeta()
	}
	switch {
	case s.element == elEnd:
		s.depth--
	case s.depth == maxDepth:
		s.reject(ReasonXHTML)
	case !s.slash:
		s.depth++
	}
}

// maxDepth bounds how deep a head's elements may nest.
const maxDepth = 100

// followNamespace compares a declared default namespace with XHTML's.
func (s *scanner) followNamespace(c byte) {
	if int(s.namespace) >= 0 && int(s.namespace) < len(xhtmlNamespace) && c == xhtmlNamespace[s.namespace] {
		s.namespace++
	} else {
		s.namespace = -1
	}
}
