package injector

// A page rejected after its header promised space for our tags needs as many bytes of something else. An end
// tag of no element has no effect: it is ignored wherever a head is open or about to be (HTML 13.2.6.4.1 to
// .4), and the scanner goes on to the head's end for that reason. A document that ends inside an open
// construct gets its missing end, or an end tag without its ">", which is dropped (HTML 13.2.5.9
// ff.).

// filler appends n bytes that don't change the document: in the place of the tags, or at its end. n is at
// least the length of a script tag.
//
// In a script's double escaped text nothing is invisible. There it is space, at the end of a script that
// never runs because it isn't closed. Browsers disagree on "<?x" at the end: by the standard it is a comment,
// Chromium drops it.
func (s *scanner) filler(b []byte, n int) []byte {
	const endTag = "</x"
	end := len(b) + n
	if s.verdict != found {
		if s.inTag() {
			return appendSpaces(b, n)
		}
		switch s.state {
		case stMarkup, stMarkupDash, stDeclWord, stBogus, stComStart, stComStartDash, stComEnd, stComBang:
			b = append(b, '>')
		case stComment:
			b = append(b, "-->"...)
		case stComDash:
			b = append(b, "->"...)
		default:
			return appendSpaces(append(b, s.openEnd()...), end-len(b)-len(s.openEnd()))
		}
	}
	b = append(b, endTag...)
	return append(appendSpaces(b, end-len(b)-1), '>')
}

// inTag reports whether the document ended within a tag, which is then dropped.
func (s *scanner) inTag() bool {
	switch s.state {
	case stTagName, stEndName, stLongName, stBeforeAttr, stAttrName, stAfterAttr,
		stBeforeValue, stValueDouble, stValueSingle, stValueBare:
		return true
	}
	return false
}

// openEnd returns the end tag of the element in whose text the document ended, without its ">".
func (s *scanner) openEnd() string {
	switch {
	case s.element == elTitle:
		return "</title"
	case s.element == elStyle:
		return "</style"
	case s.element == elNoscript:
		return "</noscript"
	case s.element == elNoframes:
		return "</noframes"
	case s.escape == 2:
		return ""
	}
	return "</script"
}
