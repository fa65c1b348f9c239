package pushsvc

import (
	"slices"
	"strings"
)

// MinShortID is the minimum length of an abbreviated id.
const MinShortID = 4

// ShortID returns the ids that given may mean: the equal one, or else those that begin or end with it, if it
// has at least MinShortID characters. Ids that rise with time (UUIDv7) begin alike, so their ends differ
// sooner.
func ShortID(given string, ids []string) (found []string) {
	if slices.Contains(ids, given) {
		return []string{given}
	}
	if len(given) < MinShortID {
		return nil
	}
	for _, id := range ids {
		if strings.HasPrefix(id, given) || strings.HasSuffix(id, given) {
			found = append(found, id)
		}
	}
	return found
}
