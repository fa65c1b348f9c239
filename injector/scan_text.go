package injector

import "bytes"

// markup reads what begins with "<!", "<?" or "</" without a letter: comments, doctypes and bogus comments
// (HTML 13.2.5.41, .42, .53 ff). A ">" ends a doctype even within quotes.
func (s *scanner) markup(p []byte, i int) int {
	c := p[i]
	switch s.state {
	case stMarkup:
		s.state, s.nameLen = stDeclWord, 0
		if c == '-' {
			s.state = stMarkupDash
			return i + 1
		}
	case stMarkupDash:
		s.state = stBogus
		if c == '-' {
			s.state = stComStart
			return i + 1
		}
	case stDeclWord:
		if isLetter(c) && s.nameLen < maxName {
			s.collect(c)
			if string(s.name[:s.nameLen]) == "doctype" {
				s.whole, s.state = true, stBogus
			}
			return i + 1
		}
		s.state = stBogus
	default:
		n := bytes.IndexByte(p[i:], '>')
		if n < 0 {
			return len(p)
		}
		s.state = stData
		return i + n + 1
	}
	return i
}

// comment reads a comment to its end (HTML 13.2.5.43 to .52).
func (s *scanner) comment(p []byte, i int) int {
	if s.state == stComment {
		return s.commentText(p, i)
	}
	c := p[i]
	next := stComment
	switch {
	case c == '>' && s.state != stComDash:
		next = stData
	case c == '-' && s.state == stComStart:
		next = stComStartDash
	case c == '-' && s.state == stComBang:
		next = stComDash
	case c == '-':
		next = stComEnd
	case c == '!' && s.state == stComEnd:
		next = stComBang
	}
	s.state = next
	return i + 1
}

// commentText skips to the next pair of dashes.
func (s *scanner) commentText(p []byte, i int) int {
	if n := bytes.Index(p[i:], []byte("--")); n >= 0 {
		s.state = stComEnd
		return i + n + 2
	}
	if p[len(p)-1] == '-' {
		s.state = stComDash
	}
	return len(p)
}

// raw reads the text of an element such as title (RCDATA) or style (RAWTEXT) up to
// the end tag of the same name (HTML 13.2.5.9 to .14).
func (s *scanner) raw(p []byte, i int) int {
	switch s.state {
	case stRaw:
		n := bytes.IndexByte(p[i:], '<')
		if n < 0 {
			return len(p)
		}
		s.state = stRawOpen
		return i + n + 1
	case stRawOpen:
		if p[i] != '/' {
			s.state = stRaw
			return i
		}
		s.state, s.nameLen = stRawEnd, 0
		return i + 1
	}
	c := p[i]
	switch {
	case isLetter(c) && s.collect(c):
		return i + 1
	case endsName(c) && s.closesRaw():
		s.element, s.state = elEnd, stBeforeAttr
	default:
		s.state = stRaw
	}
	return i
}

// closesRaw reports whether the collected end tag is the open element's.
func (s *scanner) closesRaw() bool {
	return elementOf(s.name[:min(s.nameLen, maxName)]) == s.element
}

// script reads a script's text (HTML 13.2.5.4, .15 to .31): within "<!--" and
// "-->" it is escaped, where a "<script" opens a double escaped part in which
// "</script>" doesn't end the element.
func (s *scanner) script(p []byte, i int) int {
	c := p[i]
	switch s.state {
	case stScript:
		if s.escape > 0 {
			return s.escaped(p, i)
		}
		n := markIn(p[i:])
		if n < 0 {
			return len(p)
		}
		s.state = stScriptOpen
		return i + n + 1
	case stScriptOpen:
		s.state, s.dashes, s.nameLen = stScript, 0, 0
		switch {
		case c == '/':
			s.state = stScriptEnd
			return i + 1
		case c == '!' && s.escape == 0:
			s.state = stScriptBang
			return i + 1
		case isLetter(c) && s.escape == 1:
			s.state = stScriptName
		}
		return i
	case stScriptBang, stScriptBangD:
		if c != '-' {
			s.state = stScript
			return i
		}
		if s.state == stScriptBang {
			s.state = stScriptBangD
		} else {
			s.state, s.escape, s.dashes = stScript, 1, 2
		}
		return i + 1
	}
	return s.scriptTag(c, i)
}

// markIn returns the offset of the first relevant "<" in a script's text: before "s", "/s" or "!", or at the
// end of the piece. Code has many others.
func markIn(p []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(p[i:], '<')
		if n < 0 {
			return -1
		}
		i += n
		after := p[i+1:]
		if len(after) > 1 && after[0] == '/' {
			after = after[1:]
		}
		if len(after) == 0 || after[0] == '/' || after[0] == '!' || after[0]|0x20 == 's' {
			return i
		}
	}
}

// scriptTag reads the name after "<" or "</" in a script's text.
func (s *scanner) scriptTag(c byte, i int) int {
	if isLetter(c) && s.collect(c) {
		return i + 1
	}
	closing := s.state == stScriptEnd
	s.state = stScript
	if !endsName(c) || string(s.name[:min(s.nameLen, maxName)]) != "script" || s.nameLen > maxName {
		return i
	}
	switch {
	case !closing:
		s.escape = 2
	case s.escape == 2:
		s.escape = 1
	default:
		s.element, s.state = elEnd, stBeforeAttr
		return i
	}
	return i + 1
}

// escaped reads an escaped part up to a "<" or to its end at "-->".
func (s *scanner) escaped(p []byte, i int) int {
	for ; i < len(p) && s.dashes > 0; i++ { // finish what an earlier piece began
		switch c := p[i]; {
		case c == '-':
			s.dashes = 2
		case c == '>' && s.dashes == 2:
			s.escape, s.dashes = 0, 0
			return i + 1
		case c == '<':
			s.state = stScriptOpen
			return i + 1
		default:
			s.dashes = 0
		}
	}
	n := markIn(p[i:])
	text := p[i:]
	if n >= 0 {
		text = text[:n]
	}
	if e := bytes.Index(text, []byte("-->")); e >= 0 {
		s.escape = 0
		return i + e + len("-->")
	}
	if n >= 0 {
		s.state = stScriptOpen
		return i + n + 1
	}
	switch {
	case bytes.HasSuffix(text, []byte("--")):
		s.dashes = 2
	case bytes.HasSuffix(text, []byte("-")):
		s.dashes = 1
	}
	return len(p)
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f'
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// endsName reports whether c ends a tag's name.
func endsName(c byte) bool { return c == '>' || c == '/' || isSpace(c) }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}
