package pushsvc

import (
	"slices"
	"strings"
)

// MinShortID is the fewest characters that stand for an id.
const MinShortID = 4

// ShortID returns the ids that given may stand for: the one that it is, or else those
// that begin or end with it, where it has MinShortID characters. Ids that rise with time
// (UUIDv7) begin alike, so that their ends tell them apart sooner.
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
