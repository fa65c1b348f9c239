package webpush

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxEndpoint is the maximum length of an endpoint in bytes. Real ones are below 600; the bound keeps rows
// and request lines small.
const maxEndpoint = 2048

// Service names the push service of a host. Services differ in limits and in the meaning of their answers.
type Service string

// The services whose rules this package knows. Everything else, such as an operator's own autopush, is
// ServiceOther and treated by the RFCs alone.
const (
	ServiceFCM     Service = "fcm"
	ServiceMozilla Service = "mozilla"
	ServiceApple   Service = "apple"
	ServiceWNS     Service = "wns"
	ServiceOther   Service = "other"
)

// ServiceOf returns the push service of a lower-case host name. It only looks at the name, and does not check
// that the host may be sent to.
func ServiceOf(host string) Service {
	switch {
	case host == "fcm.googleapis.com", host == "android.googleapis.com", host == "jmt17.google.com":
		return ServiceFCM
	case strings.HasSuffix(host, ".push.services.mozilla.com"):
		return ServiceMozilla
	case strings.HasSuffix(host, ".push.apple.com"):
		return ServiceApple
	case strings.HasSuffix(host, ".notify.windows.com"):
		return ServiceWNS
	}
	return ServiceOther
}

// Services is an allow-list of push service hosts. The zero value allows
// nothing. It is immutable and safe for concurrent use.
type Services struct {
	hosts    []string
	suffixes []string // each with its leading dot
}

// DefaultServices allows the push services of the browsers in use: Chrome and its relatives (FCM), Firefox,
// Safari, Edge on Windows.
func DefaultServices() Services {
	return Services{
		hosts: []string{
			"fcm.googleapis.com",
			"android.googleapis.com",
			"jmt17.google.com",
			"updates.push.services.mozilla.com",
			"web.push.apple.com",
		},
		suffixes: []string{
			".push.services.mozilla.com",
			".push.apple.com",
			".notify.windows.com",
		},
	}
}

// ParseServices parses an operator's patterns into an allow-list: a host name ("push.example.net") or "*."
// and a suffix of at least two labels ("*.push.example.net", any depth below it but not the suffix itself).
// Letter case does not matter. The error is a *PatternError.
func ParseServices(patterns []string) (Services, error) {
	var s Services
	for _, p := range patterns {
		host, wildcard := strings.CutPrefix(strings.ToLower(p), "*.")
		if problem := patternProblem(host); problem != "" {
			return Services{}, &PatternError{Pattern: p, Problem: problem}
		}
		if wildcard {
			s.suffixes = append(s.suffixes, "."+host)
		} else {
			s.hosts = append(s.hosts, host)
		}
	}
	return s, nil
}

// PatternError is why a push service pattern is refused.
type PatternError struct {
	Pattern string // as the operator wrote it
	Problem string // what is wrong and how to write it
}

// Error implements error.
func (e *PatternError) Error() string {
	return "push service " + quote(e.Pattern) + ": " + e.Problem
}

func patternProblem(host string) string {
	switch {
	case host == "":
		return `is empty; write a host name such as "push.example.net"`
	case strings.Contains(host, "://"):
		return `write only the host name, without "https://" and path`
	case strings.Contains(host, "/"):
		return "write only the host name, without a path"
	case strings.Contains(host, "*"):
		return `"*" is only allowed at the beginning, followed by a dot: "*.push.example.net"`
	case isIPLike(strings.Trim(host, "[]")):
		return "IP addresses cannot be allowed; use a host name"
	case strings.Contains(host, ":"):
		return "write the host name without a port; push services are reached on 443"
	case !isHostName(host):
		return "is not a host name (letters, digits, - and dots; international names in their xn-- form)"
	case !strings.Contains(host, "."):
		return "needs a full host name with at least one dot"
	}
	return ""
}

// With returns an allow-list of everything that s or more allows.
func (s Services) With(more Services) Services {
	return Services{
		hosts:    slices.Concat(s.hosts, more.hosts),
		suffixes: slices.Concat(s.suffixes, more.suffixes),
	}
}

// empty reports whether s allows nothing.
func (s Services) empty() bool { return len(s.hosts) == 0 && len(s.suffixes) == 0 }

func (s Services) allow(host string) bool {
	if slices.Contains(s.hosts, host) {
		return true
	}
	return slices.ContainsFunc(s.suffixes, func(suffix string) bool {
		return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	})
}

// Endpoint has the public parts of a checked push endpoint. The endpoint itself is a capability.
type Endpoint struct {
	Host    string // "fcm.googleapis.com"
	Origin  string // "https://fcm.googleapis.com", the VAPID audience
	Service Service

	target string // path and query, the secret part
}

// Refusal is the reason why Services.Check refuses an endpoint: a short fixed string that can label a metric.
type Refusal string

// Every reason for refusing an endpoint.
const (
	RefusedEmpty      Refusal = "empty"
	RefusedTooLong    Refusal = "too_long"
	RefusedCharacter  Refusal = "bad_character"
	RefusedScheme     Refusal = "not_https"
	RefusedFragment   Refusal = "fragment"
	RefusedUserinfo   Refusal = "userinfo"
	RefusedPort       Refusal = "port"
	RefusedIP         Refusal = "ip_literal"
	RefusedHost       Refusal = "bad_host"
	RefusedRemoved    Refusal = "removed"
	RefusedService    Refusal = "unknown_service"
	RefusedForm       Refusal = "not_canonical"
	RefusedNoResource Refusal = "no_resource"
)

// EndpointError is why an endpoint is refused, without the endpoint.
type EndpointError struct {
	Reason Refusal
}

// Error implements error.
func (e *EndpointError) Error() string {
	return "push endpoint refused: " + e.Reason.text()
}

func (r Refusal) text() string {
	switch r {
	case RefusedEmpty:
		return "it is empty"
	case RefusedTooLong:
		return "it is longer than 2048 bytes"
	case RefusedCharacter:
		return "it contains a character that URLs do not have"
	case RefusedScheme:
		return "it does not begin with https://"
	case RefusedFragment:
		return "it has a fragment"
	case RefusedUserinfo:
		return "it has a user name"
	case RefusedPort:
		return "its port is not 443"
	case RefusedIP:
		return "its host is an IP address"
	case RefusedHost:
		return "its host is not a host name"
	case RefusedRemoved:
		return "the browser marked the subscription as removed"
	case RefusedService:
		return "its host is not an allowed push service"
	case RefusedNoResource:
		return "it is a push service's address without a subscription"
	case RefusedForm:
		return "it is not in the form in which browsers write URLs"
	}
	return "it is not valid"
}

// Check checks that endpoint may be sent to: an https URL on an allowed host and the default port, written
// exactly as a browser writes it, of at most 2048 bytes. Anything that two URL parsers could read differently
// is refused. The error is an *EndpointError and does not contain the endpoint.
func (s Services) Check(endpoint string) (Endpoint, error) {
	if host, target, ok := plainEndpoint(endpoint); ok && s.allow(host) {
		return endpointAt(host, target), nil
	}
	return s.parse(endpoint)
}

// parse is Check with all checks.
func (s Services) parse(endpoint string) (Endpoint, error) {
	if r := textRefusal(endpoint); r != "" {
		return Endpoint{}, &EndpointError{r}
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		// err quotes the endpoint, so it is dropped.
		return Endpoint{}, &EndpointError{RefusedForm}
	}
	if r := s.urlRefusal(u, endpoint); r != "" {
		return Endpoint{}, &EndpointError{r}
	}
	return endpointAt(u.Hostname(), endpoint[len("https://")+len(u.Host):]), nil
}

func endpointAt(host, target string) Endpoint {
	return Endpoint{Host: host, Origin: "https://" + host, Service: ServiceOf(host), target: target}
}

// plainEndpoint splits endpoints that are nothing but a host name and path segments of letters, digits, "-",
// "_" and ":", like those of the known services. Parsers can't disagree on them, so url.Parse, which costs
// more than all other checks, is skipped. FuzzCheck compares the two.
func plainEndpoint(endpoint string) (host, target string, ok bool) {
	address, found := strings.CutPrefix(endpoint, "https://")
	slash := strings.IndexByte(address, '/')
	if !found || slash < 0 || slash+1 == len(address) || len(endpoint) > maxEndpoint {
		return "", "", false
	}
	host, target = address[:slash], address[slash:]
	for i := range len(target) {
		if !isPlain(target[i]) {
			return "", "", false
		}
	}
	return host, target, isHostName(host) && !strings.HasSuffix(host, ".invalid")
}

// isPlain reports whether c is a letter, a digit, "-", "_", ":" or "/". It uses a bit per byte, because it is
// called for every byte of every endpoint.
func isPlain(c byte) bool {
	const (
		low  = 1<<'-' | 1<<'/' | 1<<':' | (1<<10-1)<<'0'
		high = 1<<('_'-64) | (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)
	)
	if c < 64 {
		return uint64(low)>>c&1 != 0
	}
	return c < 128 && uint64(high)>>(c-64)&1 != 0
}

// textRefusal checks the bytes before any parser does.
func textRefusal(endpoint string) Refusal {
	switch {
	case endpoint == "":
		return RefusedEmpty
	case len(endpoint) > maxEndpoint:
		return RefusedTooLong
	}
	for i := range len(endpoint) {
		switch c := endpoint[i]; {
		case c <= ' ', c >= 0x7f, c == '\\', c == '"', c == '<', c == '>':
			return RefusedCharacter
		case c == '#':
			return RefusedFragment
		}
	}
	if !strings.HasPrefix(endpoint, "https://") {
		return RefusedScheme
	}
	return ""
}

func (s Services) urlRefusal(u *url.URL, endpoint string) Refusal {
	host := u.Hostname()
	switch {
	case u.User != nil || strings.Contains(u.Host, "@"):
		return RefusedUserinfo
	case isIPLike(host):
		return RefusedIP
	case u.Host != host && u.Host != host+":443":
		return RefusedPort
	case !isHostName(host):
		return RefusedHost
	case host == "permanently-removed.invalid":
		// Chromium's and Edge's marker for a subscription that never gets messages again.
		return RefusedRemoved
	case !s.allow(host):
		return RefusedService
	case u.Path == "" || hasDotSegment(u.EscapedPath()) || u.String() != endpoint:
		return RefusedForm
	case u.Path == "/" && u.RawQuery == "":
		return RefusedNoResource
	}
	return ""
}

// hasDotSegment reports whether a path has "." or "..", also percent-encoded. Browsers resolve them, so a
// browser's endpoint never has one.
func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if len(segment) > 6 {
			continue
		}
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			return true
		}
	}
	return false
}

// isHostName accepts lower-case DNS names of LDH labels (RFC 1123 §2.1)
// without a trailing dot.
func isHostName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return true
}

// isIPLike reports whether host is an IP literal in any notation: what netip reads, and names whose last
// label is a number, which browsers read as an IPv4 address (WHATWG URL, "ends in a number checker").
func isIPLike(host string) bool {
	if strings.ContainsAny(host, ":%[]") {
		_, err := netip.ParseAddr(strings.Trim(host, "[]"))
		return err == nil
	}
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
