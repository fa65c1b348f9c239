package pushsvc

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// errDuration means that a text is not a duration.
var errDuration = errors.New(`not a duration; write it like "30s", "12h" or "7d"`)

// maxDays keeps durations far from overflow.
const maxDays = 10_000

// ParseDuration is time.ParseDuration for durations from 0 to less than 10,000 days. It also accepts whole
// days in front: "7d", "1d12h".
func ParseDuration(s string) (time.Duration, error) {
	days, shorter, found := strings.Cut(s, "d")
	if !found {
		days, shorter = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n >= maxDays {
		return 0, errDuration
	}
	d := time.Duration(n) * day
	if shorter != "" {
		part, err := time.ParseDuration(shorter)
		if err != nil || part < 0 || part >= maxDays*day-d || found && strings.HasPrefix(shorter, "+") {
			return 0, errDuration
		}
		d += part
	} else if !found {
		return 0, errDuration
	}
	return d, nil
}

// FormatDuration formats a duration for ParseDuration, without zero parts: 36 hours are "1d12h".
func FormatDuration(d time.Duration) string {
	if d < time.Second {
		return d.String()
	}
	text := ""
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= unit.size {
			text += strconv.Itoa(int(d/unit.size)) + unit.name
			d %= unit.size
		}
	}
	if d > 0 {
		text += d.String()
	}
	return text
}
