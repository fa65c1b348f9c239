package injector

import (
	"bytes"
	"html"
)

// A <meta http-equiv=Content-Security-Policy content="…"> before our tags applies to them (HTML 4.2.5.3). Its
// content is collected across pieces. If content comes first, it is collected in case http-equiv follows,
// unless the element has a name already or the content's first word isn't like a directive's: that would copy
// every page's description.

// metaFlags are the attributes seen in a <meta> tag.
type metaFlags uint8

const (
	metaEquiv   metaFlags = 1 << iota // http-equiv
	metaPolicy                        // which is Content-Security-Policy
	metaContent                       // content
	metaNamed                         // name or property
	metaMissed                        // content that wasn't collected
	metaEarly                         // content before http-equiv
	metaCharset                       // a charset that is ASCII-compatible
)

// maxPolicy bounds the text of a page's policies. A longer one counts as unknown.
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
	case s.named("charset"):
		if s.undeclared {
			s.attr, s.label = attrCharset, labelStart
		}
	case s.named("content"):
		s.label = 0
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
			if s.undeclared && s.meta&metaNamed == 0 {
				s.attr = attrContent // it may declare a charset
			}
		}
	}
}

// followEquiv compares http-equiv's value, ignoring ASCII case.
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
	if s.undeclared && s.meta&metaPolicy == 0 {
		s.followLabel(v)
	}
	switch {
	case s.meta&metaMissed != 0:
	case len(s.text)+len(v) > maxPolicy:
		s.meta |= metaMissed
	case s.meta&metaEarly != 0: // unlikely to be one, so don't copy it yet
		s.content = v
	default:
		s.text = append(s.text, v...)
	}
}

// keepContent copies a possible policy before its piece is gone.
func (s *scanner) keepContent() {
	if len(s.text) > s.textLen || likePolicy(s.content) {
		s.text = append(s.text, s.content...)
	} else {
		s.meta |= metaMissed
	}
	s.content = nil
}

// likePolicy reports whether a text begins with a possible directive's name, or is too short to decide. All
// names except two have a dash.
func likePolicy(text []byte) bool {
	text = bytes.TrimLeft(text, cspSpace)
	end := bytes.IndexAny(text, cspSpace+";")
	word := text
	if end >= 0 {
		word = text[:end]
	}
	for _, c := range word {
		if !isLetter(c) && c != '-' {
			return c == '&' // a character reference: it may mean any letter
		}
	}
	return end <= 0 || bytes.IndexByte(word, '-') >= 0 || bytes.EqualFold(word, []byte("sandbox"))
}

// Values of scanner.label. Below them it counts the matched bytes of "charset".
const (
	labelWord   = int8(len("charset"))
	labelStart  = labelWord + 1 // after its "="
	labelWithin = labelStart + 1
	labelEnd    = labelWithin + 1
)

// followLabel collects the label of a charset in scanner.name, which is free
// while a value is read (HTML 2.5.5, "extracting a character encoding").
func (s *scanner) followLabel(v []byte) {
	for _, c := range v {
		switch {
		case s.label == labelEnd:
			return
		case s.label < labelWord && lower(c) == "charset"[s.label]:
			s.label++
		case s.label < labelWord, s.label == labelWord && c != '=' && !isSpace(c):
			s.label = 0
			if lower(c) == 'c' {
				s.label = 1
			}
		case s.label == labelWord:
			if c == '=' {
				s.label = labelStart
			}
		case isSpace(c), c == ';', c == '"', c == '\'':
			if s.label == labelWithin {
				s.label = labelEnd
			}
		default:
			if s.label == labelStart {
				s.label, s.nameLen = labelWithin, 0
			}
			if s.nameLen < maxAttr {
				s.name[s.nameLen] = lower(c)
				s.nameLen++
			}
		}
	}
}

// endOfLabel records a charset, unless it is ISO-2022-JP or CSISO2022JP.
func (s *scanner) endOfLabel() {
	if s.label >= labelWithin && !bytes.Contains(s.name[:s.nameLen], []byte("2022")) {
		s.meta |= metaCharset
	}
	s.label = 0
}

// endOfMeta keeps the collected content if it is a policy.
func (s *scanner) endOfMeta() {
	if s.meta&(metaCharset|metaNamed) == metaCharset {
		s.declared = true
	}
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

// policies returns the policies in <meta> elements. An element has no list of policies, and three directives
// don't count there (CSP3 3.3; of ours, "sandbox").
func (s *scanner) policies() []policy {
	if s.textLen == 0 {
		return nil
	}
	var ps []policy
	for text := range bytes.SplitSeq(bytes.TrimSuffix(s.text[:s.textLen], []byte{0}), []byte{0}) {
		p := parsePolicy(html.UnescapeString(string(text)))
		p.has[dirSandbox] = false
		ps = append(ps, p)
	}
	return ps
}

// prescan is how far browsers look for a <meta> with a charset, whatever precedes it (HTML 13.2.3.2).
const prescan = 1024

// displaces reports whether n bytes at the offset at in the piece p would push the declaration of the page's
// charset out of the browsers' reach. The declaration then comes after the head's end, so only p can show it.
func (s *scanner) displaces(p []byte, at, n int) bool {
	at = max(at, 0)
	from := s.read - len(p) + at
	if !s.undeclared || from >= prescan {
		return false
	}
	const word = "charset"
	p = p[at:min(len(p), at+prescan-from)]
	for i := range len(p) - len(word) + 1 {
		if p[i]|0x20 == word[0] && hasPrefixFold(string(p[i:i+len(word)]), word) {
			end := bytes.IndexByte(p[i:], '>')
			return end < 0 || from+i+end+1+n > prescan
		}
	}
	return false
}
