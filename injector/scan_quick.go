package injector

import "bytes"

// Constructs that are complete in one piece, as nearly all of a head, need no state per byte. These shortcuts return
// the same as the states: TestSplits compares them with pieces of one byte, which can't take the shortcuts.

// endsAttr are the bytes that end an attribute's name.
var endsAttr = [256]bool{'=': true, '>': true, '/': true, ' ': true, '\n': true, '\t': true, '\r': true, '\f': true}

// construct reads on from the "<" at i, as long as it is simple.
func (s *scanner) construct(p []byte, i int) int {
	s.open, s.state = i, stTagOpen
	switch after := p[i+1:]; {
	case len(after) == 0:
	case isLetter(after[0]):
		return s.simpleTag(p, i+1)
	case len(after) > 3 && after[0] == '!' && after[1] == '-' && after[2] == '-' && after[3] != '-' && after[3] != '>':
		s.tagged, s.state = true, stComment
		i = s.commentText(p, i+4)
		if s.state == stComEnd && i < len(p) && p[i] == '>' {
			s.state = stData
			i++
		}
		return i
	}
	return i + 1
}

// simpleTag reads a start tag from its name on, and the text of an element that has no other tags in it.
func (s *scanner) simpleTag(p []byte, i int) int {
	n := 0
	for ; i < len(p) && n < maxName && isLetter(p[i]); i++ {
		s.name[n] = p[i] | 0x20
		n++
	}
	s.tagged, s.state, s.nameLen = true, stTagName, uint8(n) // at most maxName
	if i = s.readName(p, i); s.state != stBeforeAttr || s.verdict != undecided {
		return i
	}
	i = s.beforeAttr(p, i)
	if s.verdict != undecided {
		return i
	}
	switch s.state {
	case stRaw:
		return s.simpleText(p, i)
	case stScript:
		return s.simpleScript(p, i)
	}
	return i
}

// simpleText is raw for a text and the end tag after it.
func (s *scanner) simpleText(p []byte, i int) int {
	name := elements[s.element].name
	for ; ; i++ {
		n := bytes.IndexByte(p[i:], '<')
		if n < 0 {
			return len(p)
		}
		i += n
		end := i + len("</") + len(name)
		if end >= len(p) {
			s.state = stRawOpen
			return i + 1
		}
		if p[i+1] == '/' && named(p[i+2:end], name) && endsName(p[end]) {
			s.element, s.state = elEnd, stBeforeAttr
			return s.beforeAttr(p, end)
		}
	}
}

// simpleScript is script for one that is not escaped, and the end tag after it.
func (s *scanner) simpleScript(p []byte, i int) int {
	n := markIn(p[i:])
	if n < 0 {
		return len(p)
	}
	i += n
	end := i + len("</script")
	if end < len(p) && p[i+1] == '/' && named(p[i+2:end], "script") && endsName(p[end]) {
		s.element, s.state = elEnd, stBeforeAttr
		return s.beforeAttr(p, end)
	}
	s.state = stScriptOpen
	return i + 1
}

// named reports whether a tag's name equals want, which has the same length.
func named(name []byte, want string) bool {
	for i := range len(want) {
		if lower(name[i]) != want[i] {
			return false
		}
	}
	return true
}

// simpleAttr reads an attribute with a value in double quotes, from its name at i on. It returns false for
// any other.
func (s *scanner) simpleAttr(p []byte, i int) (int, bool) {
	end := i + 1 // an "=" at the beginning belongs to the name
	for end < len(p) && !endsAttr[p[end]] {
		end++
	}
	if end+1 >= len(p) || p[end] != '=' || p[end+1] != '"' {
		return i, false
	}
	value := p[end+2:]
	n := bytes.IndexByte(value, '"')
	if n < 0 {
		return i, false
	}
	if s.mayMatter(end - i) {
		s.nameLen = uint8(min(end-i, maxAttr+1))
		copy(s.name[:], p[i:end])
		if s.endOfName(); s.attr != attrOther {
			s.follow(value[:n])
			s.endOfValue()
		}
	}
	return end + 2 + n + 1, true
}

// mayMatter reports whether an attribute with a name of n bytes may be one that endOfName looks for.
func (s *scanner) mayMatter(n int) bool {
	switch s.element {
	case elLink, elScript:
		return !s.seenAttr && (n == len("rel") || s.all && n == len("href")) // "src" has the same length
	case elMeta:
		return n <= len("http-equiv") && n >= len("name")
	case elHTML, elHead, elBase:
		return true
	}
	return s.xml
}
