package injector

import (
	"bytes"
	"html"
)

// A <meta http-equiv=Content-Security-Policy content="…"> in front of our tags
// applies to them (HTML 4.2.5.3). Its content is collected, wherever the pieces
// are cut. Where content comes first, it is collected in case http-equiv follows,
// unless the element has a name already or the content's first word isn't like a
// directive's: that would copy every page's description.

// metaFlags is what was seen in a <meta> tag.
type metaFlags uint8

const (
	metaEquiv   metaFlags = 1 << iota // http-equiv
	metaPolicy                        // which is Content-Security-Policy
	metaContent                       // content
	metaNamed                         // name or property
	metaMissed                        // content, but it wasn't collected
	metaEarly                         // content before http-equiv
)

// maxPolicy bounds the text of a page's policies. A longer one isn't known.
const maxPolicy = 8 << 10

const equivCSP = "content-security-policy"

// watchMeta follows the value of an attribute that matters.
func (s *scanner) watchMeta() {
	switch {
	case s.named("name"), s.named("property"):
		s.meta |= metaNamed
	case s.named("http-equiv"):
		if s.meta&metaEquiv == 0 {
			s.meta |= metaEquiv
			s.attr, s.equiv = attrEquiv, 0
		}
	case s.named("content"):
		switch {
		case s.meta&metaContent != 0: // a repeated attribute is ignored
		case s.meta&metaPolicy != 0:
			s.meta |= metaContent
			s.attr = attrContent
		case s.meta&(metaEquiv|metaNamed) == 0:
			s.meta |= metaContent | metaEarly
			s.attr = attrContent
		default:
			s.meta |= metaContent | metaMissed
		}
	}
}

// followEquiv compares http-equiv's value (compared without regard to ASCII case).
func (s *scanner) followEquiv(c byte) {
	if s.equiv >= 0 && int(s.equiv) < len(equivCSP) && lower(c) == equivCSP[s.equiv] {
		s.equiv++
	} else {
		s.equiv = -1
	}
}

func (s *scanner) endOfEquiv() {
	if int(s.equiv) == len(equivCSP) {
		s.meta |= metaPolicy
	}
}

// followContent collects a piece of content's value.
func (s *scanner) followContent(v []byte) {
	switch {
	case s.meta&metaMissed != 0:
	case len(s.text)+len(v) > maxPolicy:
		s.meta |= metaMissed
	case s.meta&metaEarly != 0: // it will hardly be one, so don't copy it yet
		s.content = v
	default:
		s.text = append(s.text, v...)
	}
}

// keepContent copies what may turn out to be a policy before its piece goes away.
func (s *scanner) keepContent() {
	if len(s.text) > s.textLen || likePolicy(s.content) {
		s.text = append(s.text, s.content...)
	} else {
		s.meta |= metaMissed
	}
	s.content = nil
}

// likePolicy reports whether a text begins with what may be a directive's name,
// or hasn't got far enough to tell. All names but two have a dash.
func likePolicy(text []byte) bool {
	text = bytes.TrimLeft(text, cspSpace)
	end := bytes.IndexAny(text, cspSpace+";")
	word := text
	if end >= 0 {
		word = text[:end]
	}
	for _, c := range word {
		if !isLetter(c) && c != '-' {
			return c == '&' // a character reference, whatever it stands for
		}
	}
	return end <= 0 || bytes.IndexByte(word, '-') >= 0 || bytes.EqualFold(word, []byte("sandbox"))
}

// endOfMeta keeps the collected content if it is a policy.
func (s *scanner) endOfMeta() {
	if s.meta&metaPolicy != 0 && s.meta&metaContent != 0 {
		s.metaCSP = true
		if s.meta&metaEarly != 0 && s.content != nil {
			s.keepContent()
		}
		if s.meta&metaEarly != 0 && !likePolicy(s.text[s.textLen:]) {
			s.meta |= metaMissed
		}
		if s.meta&metaMissed == 0 {
			s.text = append(s.text, 0)
			s.textLen = len(s.text)
		} else {
			s.metaLost = true
		}
	}
	if s.meta&metaContent != 0 {
		s.text, s.content = s.text[:s.textLen], nil
	}
}

// policies returns the policies seen in <meta> elements. There is no list in an
// element, and three directives don't count there (CSP3 3.3, "sandbox" of ours).
func (s *scanner) policies() []policy {
	var ps []policy
	for text := range bytes.SplitSeq(bytes.TrimSuffix(s.text[:s.textLen], []byte{0}), []byte{0}) {
		p := parsePolicy(html.UnescapeString(string(text)))
		p.has[dirSandbox] = false
		ps = append(ps, p)
	}
	return ps
}
