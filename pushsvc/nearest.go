package pushsvc

import (
	"fmt"
	"net"
	"strings"
)

// Nearest returns the name that is closest to s, or "" if none is close. Names are in lower case except for
// inner capitals, with "_" between words.
func Nearest(s string, names []string) string {
	s = strings.ReplaceAll(strings.ToLower(s), "-", "_")
	best, bestDistance, bestStart := "", 3, 0
	for _, name := range names {
		lower := strings.ToLower(name)
		d, start := distance(s, lower), commonStart(s, lower)
		if d < len(name) && (d < bestDistance || d == bestDistance && best != "" && start > bestStart) {
			best, bestDistance, bestStart = name, d, start
		}
	}
	return best
}

// DidYouMean ends an error about an unknown name: the separator, such as "; ", and a
// question with the near name; "" if near is "". A flag ("--title") has no quotes, as on
// command lines and in their own errors.
func DidYouMean(separator, near string) string {
	switch {
	case near == "":
		return ""
	case strings.HasPrefix(near, "--"):
		return fmt.Sprintf("%sdid you mean %s?", separator, near)
	}
	return fmt.Sprintf("%sdid you mean %q?", separator, near)
}

// NearestSite returns the site that is closest to name, or "" if none is close: one that differs only in
// "www." or the port, else one that is spelled similarly.
func NearestSite(name string, sites []string) string {
	bare := func(site string) string {
		host, port, err := net.SplitHostPort(site)
		if err != nil || port == "" {
			host = site
		}
		return strings.TrimPrefix(host, "www.")
	}
	for _, site := range sites {
		if bare(site) == bare(name) {
			return site
		}
	}
	return Nearest(name, sites)
}

// commonStart returns the length of the common prefix of a and b in bytes.
func commonStart(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// distance returns the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
