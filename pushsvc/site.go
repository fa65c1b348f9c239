package pushsvc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// MaxSiteName is the maximum length of a site's name in bytes: a DNS name of 253 bytes with a port.
const MaxSiteName = 259

// SiteName returns the canonical name of the site in a request's Host header: lower case, without trailing
// dot, with a port only if it is not 80 for http or 443 for https. It accepts only host names and IP
// addresses: two spellings of one host never make two sites, and odd bytes never get into file names, logs
// and commands.
func SiteName(host string) (string, error) {
	if host == "" {
		return "", errors.New("empty host")
	}
	if strings.Contains(host, "/") {
		return "", errors.New("must be a host name, without https:// and the path")
	}
	if len(host) > MaxSiteName {
		return "", fmt.Errorf("host is longer than %d bytes", MaxSiteName)
	}
	for i := range len(host) {
		// Before lower-casing, which turns the Kelvin sign into a "k".
		if host[i] >= utf8.RuneSelf {
			return "", errors.New("host is not in ASCII form")
		}
	}
	name, port, err := splitHostPort(strings.ToLower(host))
	if err != nil {
		return "", err
	}
	if host[0] == '[' {
		addr, err := netip.ParseAddr(name)
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", errors.New("host in brackets is not an IPv6 address")
		}
		name = "[" + addr.String() + "]"
	} else {
		name = strings.TrimSuffix(name, ".")
		if !validHost(name) {
			return "", errors.New("host is neither a DNS name in ASCII form nor an IP address")
		}
	}
	if port == 0 || port == 80 || port == 443 {
		return name, nil
	}
	return name + ":" + strconv.Itoa(port), nil
}

// GivenSite returns the ASCII form of a site as an operator writes it: "münchen.example" is
// "xn--mnchen-3ya.example" (RFC 5891). An invalid name is returned as it is: SiteName reports what is wrong
// with it. Host headers are in ASCII form and don't need it.
func GivenSite(name string) string {
	name = strings.TrimSpace(name)
	host, port, ported := strings.Cut(name, ":")
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil || isASCII(name) {
		return name
	}
	if ported {
		return ascii + ":" + port
	}
	return ascii
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// splitHostPort returns the port 0 if the host has no port.
func splitHostPort(host string) (name string, port int, err error) {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return host[1 : len(host)-1], 0, nil
	}
	if !strings.Contains(host, ":") {
		return host, 0, nil
	}
	name, digits, err := net.SplitHostPort(host)
	if err != nil {
		return "", 0, errors.New("host has more than one colon or an unclosed bracket")
	}
	if digits == "" || len(digits) > 5 || strings.Trim(digits, "0123456789") != "" {
		return "", 0, errors.New("port is not a number")
	}
	port, err = strconv.Atoi(digits)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, errors.New("port is not between 1 and 65535")
	}
	return name, port, nil
}

func validHost(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// SiteSummary is one site as operators see it in lists.
type SiteSummary struct {
	// Site is the canonical name.
	Site string `json:"site"`
	// Subscriptions is the number of live subscriptions.
	Subscriptions int64 `json:"subscriptions"`
	// Messages is the number of messages ever created and still kept.
	Messages int64 `json:"messages"`
}
