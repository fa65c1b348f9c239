package injector

// maxName is the length of the longest names that the scanner must know ("basefont", "noscript", "noframes",
// "template"). A longer one is not one of them.
const maxName = 8

// element is the element whose start tag is being read, if it matters.
type element uint8

const (
	elOther element = iota
	elEnd           // an end tag
	elHTML
	elHead
	elLink
	elBase
	elMeta
	elScript
	elTitle
	elStyle
	elNoscript
	elNoframes
	elBasefont
	elBgsound
	elTextarea
	elIframe
	elNoembed
	elXMP
)

// modes are a set of ways to read a document.
type modes uint8

const (
	inHead modes = 1 << iota // an HTML document's head: the start tags that stay in it
	inPage                   // with scanner.all: what has an address or raw text
	inXML                    // an XHTML document's head: its children that matter
)

// holding is the kind of content after an HTML element's start tag.
type holding uint8

const (
	holdsTags   holding = iota
	holdsRaw            // text up to its end tag
	holdsScript         // the same, with a script's rules
)

// elements has the scanner's knowledge of an element: its name, the modes in which its start tag matters,
// and the kind of its content.
var elements = [...]struct {
	name    string
	matters modes
	holds   holding
}{
	elOther:    {},
	elEnd:      {},
	elHTML:     {name: "html", matters: inHead},
	elHead:     {name: "head", matters: inHead},
	elLink:     {name: "link", matters: inHead | inPage | inXML},
	elBase:     {name: "base", matters: inHead | inPage | inXML},
	elMeta:     {name: "meta", matters: inHead | inXML},
	elScript:   {name: "script", matters: inHead | inPage | inXML, holds: holdsScript},
	elTitle:    {name: "title", matters: inHead | inPage, holds: holdsRaw},
	elStyle:    {name: "style", matters: inHead | inPage, holds: holdsRaw},
	elNoscript: {name: "noscript", matters: inHead | inPage, holds: holdsRaw},
	elNoframes: {name: "noframes", matters: inHead | inPage, holds: holdsRaw},
	elBasefont: {name: "basefont", matters: inHead},
	elBgsound:  {name: "bgsound", matters: inHead},
	elTextarea: {name: "textarea", matters: inPage, holds: holdsRaw},
	elIframe:   {name: "iframe", matters: inPage, holds: holdsRaw},
	elNoembed:  {name: "noembed", matters: inPage, holds: holdsRaw},
	elXMP:      {name: "xmp", matters: inPage, holds: holdsRaw},
}

// numSlots is a power of two, large enough that no two names have the same slot.
const numSlots = 32

// slots maps a name's slot to its element.
var slots = func() (s [numSlots]element) {
	for el := range elements {
		if name := elements[el].name; name != "" {
			s[slot([]byte(name))] = element(el)
		}
	}
	return s
}()

// slot is a hash of a name; TestElements checks that no two names have the same.
func slot(name []byte) uint {
	return (5*uint(len(name)) + 13*uint(name[0]) + uint(name[len(name)-1])) % numSlots
}

// elementOf returns the element of a tag's name, which is in lower case.
func elementOf(name []byte) element {
	if len(name) > 0 {
		if el := slots[slot(name)]; elements[el].name == string(name) {
			return el
		}
	}
	return elOther
}

// tagOpen handles the byte after "<" and after "</" (HTML 13.2.5.6, .7).
func (s *scanner) tagOpen(p []byte, i int) int {
	c, closing := p[i], s.state == stEndOpen
	first := !s.tagged
	s.tagged = true
	switch {
	case isLetter(c):
		s.nameLen = 0
		if s.state = stTagName; closing {
			s.state = stEndName
		}
		return i
	case closing && c == '>': // "</>" is ignored
		s.state = stData
		return i + 1
	case closing:
		s.state = stBogus
		return i
	case c == '/':
		s.state = stEndOpen
		return i + 1
	case c == '!':
		s.state = stMarkup
		return i + 1
	case c == '?':
		s.state = stBogus
		return i + 1
	case s.all:
		s.state = stData
		return i
	case c == 0 && first:
		s.reject(ReasonCharset) // "<" in UTF-16 or UTF-32
		return i
	}
	s.stop(c) // a lone "<" is text
	return s.open
}

// readName collects a tag's name and decides by it.
func (s *scanner) readName(p []byte, i int) int {
	for ; i < len(p); i++ {
		c := p[i]
		if endsName(c) {
			if s.state == stEndName {
				return s.endTag(i)
			}
			return s.startTag(i)
		}
		if c == 0x1b && s.undeclared && s.state == stEndName {
			s.reject(ReasonCharset)
			return i
		}
		if !s.collect(c) {
			if s.all && s.state == stTagName && string(s.name[:maxName]) == "plaintex" {
				s.reject(ReasonOpenConstruct) // text to the document's end
				return i
			}
			if s.all || s.state == stEndName { // ends nothing
				s.element, s.state = elEnd, stLongName
				s.firstTag()
				return i
			}
			s.firstTag()
			s.stop(c)
			return s.open
		}
	}
	return i
}

// longName skips the rest of a long end tag's name.
func (s *scanner) longName(p []byte, i int) int {
	for ; i < len(p); i++ {
		if endsName(p[i]) {
			s.state = stBeforeAttr
			break
		}
	}
	return i
}

// startTag decides by the name of a start tag which ends at i. Those that HTML 13.2.6.4.4 ("in head") keeps
// in the head continue it, any other ends it. <template> may stay, but its content needs a tree builder, so
// the head's last safe place is before it. With scanner.all every tag continues.
func (s *scanner) startTag(i int) int {
	el := elementOf(s.name[:s.nameLen])
	if s.all {
		if elements[el].matters&inPage == 0 {
			el = elOther
		}
		s.element, s.state, s.seenAttr, s.address = el, stBeforeAttr, false, nil
		return i
	}
	switch {
	case elements[el].matters&inHead == 0:
		s.stop('<')
		return s.open
	case el == elHTML:
		s.whole, s.framed = true, true
	case el == elHead:
		s.whole, s.framed, el = true, true, elOther // its attributes only matter in XHTML
	case el == elScript && s.early:
		// The page's own manifest may be further down, and the first one counts.
		s.hasManifest = true
		s.stop('<')
		return s.open
	}
	s.firstTag()
	s.began, s.opened = true, s.opened || el != elHTML
	s.element, s.state, s.seenAttr, s.meta = el, stBeforeAttr, false, 0
	return i
}

// endTag decides by the name of an end tag which ends at i. In a head all except four are ignored (HTML
// 13.2.6.4.2 to .4).
func (s *scanner) endTag(i int) int {
	switch string(s.name[:s.nameLen]) {
	case "head", "body", "html", "br":
		if s.all {
			break
		}
		s.stop('<')
		return s.open
	}
	s.firstTag()
	s.element, s.state = elEnd, stBeforeAttr
	return i
}

// collect adds a letter to the name, in lower case. It returns false if the name is too long to matter.
func (s *scanner) collect(c byte) bool {
	if s.nameLen >= maxName {
		s.nameLen = maxName + 1
		return false
	}
	s.name[s.nameLen] = lower(c)
	s.nameLen++
	return true
}

// firstTag rejects a fragment at its first tag.
func (s *scanner) firstTag() {
	if s.needWhole && !s.whole {
		s.reject(ReasonFragment)
	}
}
