package doctor

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longKept is the longest time for which an answer of ours may be kept: new settings and keys, and
// the option retire, have to reach browsers.
const longKept = 24 * time.Hour

// kept: nothing after us makes caches keep the answer for longer than we set.
func (d *doctor) kept(check, address string, h http.Header) {
	why := keptLong(h, time.Now())
	if why == "" {
		return
	}
	d.say(check, Warning, fmt.Sprintf("have whatever sets %s after webpush, such as a CDN, another proxy or a header directive for *.js, leave %s alone", fieldOf(why), address),
		"%s is kept for long (%s): new settings and keys do not arrive", address, why)
}

// fieldOf returns the header field of a line.
func fieldOf(line string) string {
	field, _, _ := strings.Cut(line, ":")
	return field
}

// keptLong returns the header line by which caches keep an answer for more than longKept; "" if
// no line does. Fields that are only for CDNs count too (RFC 9213, Surrogate-Control).
func keptLong(h http.Header, now time.Time) string {
	lifetime := false
	for field, values := range h {
		if !strings.HasSuffix(field, "Cache-Control") && field != "Surrogate-Control" {
			continue
		}
		for part := range strings.SplitSeq(strings.ToLower(strings.Join(values, ",")), ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			seconds, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 64)
			age := err == nil && (name == "max-age" || name == "s-maxage")
			lifetime = lifetime || age || name == "no-cache" || name == "no-store"
			if name == "immutable" || age && time.Duration(seconds)*time.Second > longKept {
				return field + ": " + strings.Join(values, ", ")
			}
		}
	}
	if age, err := strconv.ParseInt(h.Get("Age"), 10, 64); err == nil && time.Duration(age)*time.Second > longKept {
		return "Age: " + h.Get("Age")
	}
	if lifetime {
		return ""
	}
	if expires, err := http.ParseTime(h.Get("Expires")); err == nil && expires.Sub(now) > longKept {
		return "Expires: " + h.Get("Expires")
	}
	// Without any of these, caches guess from Last-Modified (RFC 9111 §4.2.2): a tenth of its age.
	if modified, err := http.ParseTime(h.Get("Last-Modified")); err == nil && h.Get("Expires") == "" && now.Sub(modified)/10 > longKept {
		return "Last-Modified: " + h.Get("Last-Modified") + ", and no Cache-Control"
	}
	return ""
}
