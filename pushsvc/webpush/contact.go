package webpush

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxContact keeps the token small: it is part of every message.
const maxContact = 256

// ContactError is why a contact is refused and how to write it.
type ContactError struct {
	Contact string // as the operator wrote it
	Problem string
}

// Error implements error.
func (e *ContactError) Error() string { return "contact " + quote(e.Contact) + " " + e.Problem }

// CheckContact checks that s can be the VAPID "sub" claim (RFC 8292 §2.1): "mailto:" and an address at a real
// domain, or an https URL of a real host. Push services answer 403 to others, Apple most strictly. The empty
// contact passes: the token then has no "sub", which some services refuse. The error is a *ContactError.
func CheckContact(s string) error {
	if s == "" {
		return nil
	}
	if problem := contactProblem(s); problem != "" {
		return &ContactError{Contact: s, Problem: problem}
	}
	return nil
}

func contactProblem(s string) string {
	if len(s) > maxContact {
		return "is longer than " + strconv.Itoa(maxContact) + " characters"
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ', c == '<', c == '>':
			return `contains a space or angle brackets; write only the address: "mailto:ops@your-domain.com"`
		case c < ' ', c >= 0x7f, c == '"', c == '\\':
			return "contains a character that is not allowed here; write international domains in their xn-- form"
		}
	}
	scheme, address, found := strings.Cut(s, ":")
	switch {
	case found && scheme == "mailto":
		return mailProblem(address)
	case found && scheme == "https":
		return siteProblem(s)
	case found && strings.EqualFold(scheme, "mailto"), found && strings.EqualFold(scheme, "https"):
		return "needs its scheme in lower case"
	case found && strings.EqualFold(scheme, "http"):
		return `must be an https address, not http`
	case strings.Count(s, "@") == 1:
		return `lacks its scheme: write "mailto:` + s + `"`
	}
	return `is neither "mailto:" and an e-mail address nor an https URL`
}

func mailProblem(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	switch {
	case strings.HasPrefix(local, "mailto:"):
		return `has "mailto:" twice`
	case local == "" || domain == "" || strings.Contains(domain, "@"):
		return "is not one e-mail address"
	case strings.ContainsAny(address, "?&,;:%/"):
		return "must be one plain e-mail address without parameters"
	}
	return domainProblem(domain)
}

func siteProblem(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "is not a valid URL"
	case u.User != nil:
		return "must not contain a user name"
	}
	return domainProblem(u.Hostname())
}

// domainProblem refuses domains that push services can't resolve.
func domainProblem(domain string) string {
	domain = strings.ToLower(domain)
	if isIPLike(domain) {
		return "needs a domain name, not an IP address"
	}
	if !isHostName(domain) {
		return "has a domain that is not a host name"
	}
	top := domain[strings.LastIndexByte(domain, '.')+1:]
	private := []string{
		"localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", // not delegated
		"invalid", "onion", "arpa", // RFC 6761, RFC 7686
	}
	if top == domain || slices.Contains(private, top) {
		return "needs a domain that push services can resolve; " + quote(domain) + " only exists on local networks"
	}
	return ""
}

// quote quotes text from a configuration for a log line.
func quote(s string) string { return strconv.Quote(s) }
