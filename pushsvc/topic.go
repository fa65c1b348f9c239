package pushsvc

import (
	"fmt"
	"slices"
	"strings"
)

// A site's topics are what its visitors can choose to hear of. They are named by
// ids; their labels are the site's configuration.
const (
	// MaxTopics is the most topics of a site, of a subscription, and of a
	// message.
	MaxTopics = 10
	// MaxTopicID is the longest id in bytes.
	MaxTopicID = 64
)

// isTopicID says whether s has the form of a topic's id: letters, digits, - and
// _, at most MaxTopicID of them.
func IsTopicID(s string) bool {
	return s != "" && len(s) <= MaxTopicID && strings.Trim(s, base64URLAlphabet) == ""
}

// CleanTopics gives those of the ids that can be one, rising, each once, and at
// most MaxTopics of them. What comes from outside is only information: a strange
// id is no reason to lose a subscriber. Nil stays nil.
func CleanTopics(ids []string) []string {
	if ids == nil {
		return nil
	}
	out := make([]string, 0, min(len(ids), MaxTopics))
	for _, id := range ids {
		if IsTopicID(id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), MaxTopics)]
}

// CheckTopics says which of a message's topics is wrong, as a *FieldError.
func CheckTopics(ids []string) error {
	if len(ids) > MaxTopics {
		return &FieldError{"topics", fmt.Sprintf("has more than %d entries", MaxTopics)}
	}
	for i, id := range ids {
		if !IsTopicID(id) {
			return &FieldError{fmt.Sprintf("topics[%d]", i), fmt.Sprintf("is no topic's id: at most %d letters, digits, - and _", MaxTopicID)}
		}
	}
	return nil
}

// IsFor says whether the message is for the subscription: one without topics is
// for all, one with topics for those who have chosen any of them.
func (m *Message) IsFor(s *Subscription) bool {
	return len(m.Topics) == 0 || slices.ContainsFunc(m.Topics, func(id string) bool { return slices.Contains(s.Topics, id) })
}
