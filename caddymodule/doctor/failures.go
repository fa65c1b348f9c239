package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

// Failures returns one finding for each code, the most frequent first.
func Failures(counts api.FailureCounts) (found []Diagnosis) {
	var codes []string
	for code, n := range counts.Failures {
		if n > 0 {
			codes = append(codes, code)
		}
	}
	slices.SortFunc(codes, func(a, b string) int {
		if d := counts.Failures[b] - counts.Failures[a]; d != 0 {
			return int(d)
		}
		return strings.Compare(a, b)
	})
	for _, code := range codes {
		finding := fmt.Sprintf("%d visits since %s could not subscribe: %s", counts.Failures[code], counts.Since.Format(time.RFC3339), code)
		found = append(found, Diagnosis{"failures", Warning, finding, httpapi.FailureCure(code)})
	}
	return found
}
